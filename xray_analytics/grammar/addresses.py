"""Addresses: which texts are one, and whose.

Two libraries that read one text in two ways are how a file goes astray: the first reads the host that is allowed, the
second connects to another. So a text is an address only in the strictest form, which nobody reads in two ways: letters,
digits, dots and hyphens in the host, or an IPv4 or bracketed IPv6 address as it is normally written; no user,
backslash, fragment, control or non-ASCII character anywhere, and no percent sign in the host. What was read is passed
on, never the text: the text of an `Address` is made from its parts.

Whoever takes an address says whether it came from outside. Of those, none may be private; what the user typed is
allowed by being typed. Names are resolved elsewhere: `http.deadline` asks here about the peer it is connected to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from ..errors import InputError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST = 16_384  # characters; a signed address with its session token has about 2,000
_TARGET = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/{more}-]|%[0-9A-Fa-f]{{2}})*"
_URL = re.compile(
    r"(?i:(https?))://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?"
    rf"((?:/{_TARGET.format(more='')})?(?:\?{_TARGET.format(more='?')})?)"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# The unicast addresses of the internet, and those in which an IPv4 address stands in the last four bytes.
_SPECIAL = IPv4Network("192.0.0.0/24")  # which ipaddress of older Pythons calls global in part
_UNICAST = IPv6Network("2000::/3")
_EMBEDDING = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
_PLACES = "s3|gs|gcs|hdfs|viewfs|abfs|abfss|file"
_MEANT = re.compile(
    rf"(?:{_PLACES}|s3[an]|wasbs?|https?|ftp)(?::|//)|[a-z][a-z0-9+.-]*:(?://|(?<=..:)(?:[/\\]|$))", re.IGNORECASE
)
_PLACE = re.compile(
    rf"(?i:({_PLACES}))://([A-Za-z0-9](?:[A-Za-z0-9._-]{{0,253}}[A-Za-z0-9])?(?::[0-9]{{1,5}})?|(?=/))"
    r"((?:/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*)"
    rf"(\?{_TARGET.format(more='?')})?"
)
_KEY = re.compile(r"[?&][^=]*(key|secret|token|passw|signature|sig=)", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """Where to connect, and what to ask there for: `target` is path and query, and may be a key.

    Examples
    --------
    >>> address = parse("HTTPS://Bucket.S3.Amazonaws.com/key?X-Amz-Signature=0")
    >>> address
    Address(scheme='https', host='bucket.s3.amazonaws.com', port=443)
    >>> str(address)
    'https://bucket.s3.amazonaws.com/key?X-Amz-Signature=0'
    """

    scheme: str
    host: str  # lower case; an IPv6 address without brackets
    port: int
    target: str = field(default="", repr=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what must be the same for the secret headers to travel."""
        return self.scheme, self.host, self.port

    @property
    def netloc(self) -> str:
        """Host and port as they are written; the usual port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it names this machine, as the sandbox does."""
        return self.host in LOOPBACK_HOSTS

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.target}"


def parse(text: object) -> Address:
    """The address that a text is, in the one form that every library reads alike.

    Raises
    ------
    ValueError
        It is none; the message says why, and repeats nothing of it.

    Examples
    --------
    >>> parse("https://evil.example\\\\.amazonaws.com/k")
    Traceback (most recent call last):
    ValueError: it is not scheme, host, port, path and query in plain characters
    >>> parse("https://0x7f.1/")
    Traceback (most recent call last):
    ValueError: its host is a number that is not written as four decimal numbers
    """
    found = read(text)
    if isinstance(found, str):
        raise ValueError(found)
    return found


def read(text: object) -> Address | str:
    """As `parse`, with what is wrong as a value: no error that could keep a signed address in its frames."""
    found = _URL.fullmatch(text) if isinstance(text, str) and len(text) <= _LONGEST else None
    if found is None:
        return "it is not scheme, host, port, path and query in plain characters"
    scheme, port = found[1].lower(), found[3]
    number = _DEFAULT_PORTS[scheme] if port is None else int(port)
    if not 0 < number < 65_536:
        return "its port is not a number from 1 to 65535"
    try:
        return Address(scheme, _host(found[2].lower()), number, found[4])
    except ValueError as error:
        return str(error)


def service(url: object) -> Address:
    """The address of the service, as the user gave it: a host and perhaps a path, with https outside this machine.

    Raises
    ------
    InputError
        It is another text.

    Examples
    --------
    >>> service("http://127.0.0.1:8000").netloc
    '127.0.0.1:8000'
    >>> service("http://api.example")
    Traceback (most recent call last):
    xray_analytics.errors.InputError: base_url http://api.example refused: https is required outside this machine
    """
    address = read(url)
    if isinstance(address, Address) and "?" in address.target:
        address = "it has a query"
    if isinstance(address, str):
        raise InputError(f"base_url must be a plain address such as https://host, and {address}; correct it")
    if address.scheme != "https" and not address.is_loopback:
        raise InputError(f"base_url http://{address.netloc} refused: https is required outside this machine")
    return address


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet: not private, loopback, link-local, shared, reserved or multicast.

    Examples
    --------
    >>> [is_public(a) for a in ("52.95.155.1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "2a05:d07a::1")]
    [True, False, False, False, True]
    """
    found = ip_address(address.partition("%")[0])  # a socket names the zone as well
    if isinstance(found, IPv6Address):
        if any(found in network for network in _EMBEDDING):
            return is_public(str(IPv4Address(found.packed[-4:])))
        if found.sixtofour is not None:
            return is_public(str(found.sixtofour))
        return found in _UNICAST and found.is_global
    return found.is_global and not found.is_multicast and found not in _SPECIAL


def is_private_host(host: str) -> bool:
    """Whether a host, as it is written, is not of the internet: an address that is not public, or this machine.

    Examples
    --------
    >>> is_private_host("10.0.0.1"), is_private_host("db.localhost"), is_private_host("b.s3.amazonaws.com")
    (True, True, False)
    """
    try:
        return not is_public(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_meant_as_url(path: str) -> bool:
    """Whether a text that would pass for a path was meant as an address; ``./`` before it makes it a path.

    Examples
    --------
    >>> [is_meant_as_url(p) for p in ("s3:/bucket", "s3//bucket", "S3://bucket", "file:x", "data/store", "C:/store")]
    [True, True, True, True, False, False]
    """
    return _MEANT.match(path) is not None


def check_path(path: object) -> None:
    """Refuse an address where a file or folder of this machine is wanted: it would become a folder called ``s3:``.

    And a name in no UTF-8, which the libraries that read a store cannot be given.

    Raises
    ------
    InputError
        The text begins like an address, or is none.
    """
    if not str(path).isascii() and str(path).encode("utf-8", "replace").decode() != str(path):
        shown = str(path).encode("utf-8", "replace").decode()
        raise InputError(f"the name of {shown} holds bytes that are no UTF-8; choose another name")
    if is_meant_as_url(str(path)):
        raise InputError(
            f"{str(path).partition('?')[0]} is an address and no folder of this machine; name a folder, and "
            "`xray publish` copies a store to a bucket"
        )


def place(text: str) -> tuple[str, str]:
    """A bucket or folder for `publish`, with its scheme in small letters, and the same without its query.

    Raises
    ------
    InputError
        It holds a user or a key, or is no such address; the message repeats neither.

    Examples
    --------
    >>> place("S3://lake/prefix/?region=eu-west-3")
    ('s3://lake/prefix/?region=eu-west-3', 's3://lake/prefix')
    >>> place("s3:/lake")
    Traceback (most recent call last):
    xray_analytics.errors.InputError: s3:/lake is no place that pyarrow can open: write s3://bucket/prefix with plain \
characters, or ./ before the name of a folder
    """
    authority = text.partition("//")[2].partition("/")[0]
    if "@" in authority or _KEY.search(text):
        raise InputError(
            "a URL with a user or password ends up in logs; leave them out and set them in the environment, such as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    found = _PLACE.fullmatch(text)
    is_without_host = found is not None and not found[2] and found[1].lower() not in ("hdfs", "viewfs", "file")
    if found is None or is_without_host or (found[1].lower() == "file" and found[2]):
        shown = re.sub(r"[^\x20-\x7e]", "?", text.partition("?")[0])[:100]
        raise InputError(
            f"{shown} is no place that pyarrow can open: write s3://bucket/prefix with plain characters, or ./ before "
            "the name of a folder"
        )
    plain = f"{found[1].lower()}://{found[2]}{found[3]}"
    return plain + (found[4] or ""), plain.rstrip("/")


def _host(text: str) -> str:
    """The host, if it is a name or an address as it is normally written."""
    if text.startswith("["):
        try:
            return str(IPv6Address(text[1:-1]))
        except ValueError:
            raise ValueError("its host is no IPv6 address") from None
    labels = text.split(".")
    if not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("its host is not of letters, digits, dots and hyphens as names are")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(text))
        except ValueError:
            raise ValueError("its host is a number that is not written as four decimal numbers") from None
    return text
