"""Where the service is, who we are there, and how politely we call it.

A `Settings` is frozen. It comes from arguments, from ``XRAY_…`` variables, or from a TOML file; secrets are `Secret`
objects that neither print nor pickle. What `contract` leaves open about the service is a field here, marked *assumed*.
"""

from __future__ import annotations

import os
import re
import ssl
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import NoneType
from typing import Any, Never, Self, TypeGuard

from .errors import InputError, choices, listed
from .grammar import addresses

DEFAULT_BASE_URL = "https://api.lending.soprafinancing.io"
DEFAULT_API_VERSION = "2024-01-25"
# product -> the service's word. Documented for these three; the words for Doc and Manager X-Ray are unknown.
DEFAULT_SOURCES: Mapping[str, str] = {"bank": "bank_xray", "financial": "magpie", "esg": "esg"}
DEFAULT_ID_PATTERN = "[0-9a-f]{24}"
HASHES = ("sha256", "sha384", "sha512", "sha1")
_SECRET_NAMES = ("user_id", "session_token", "keys", "path_secret")
# Whatever the settings say, nothing else ever reaches a URL, a path or a log line.
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Secret:
    """A string that does not print and cannot be pickled; `reveal` gives it back.

    >>> Secret("token")
    Secret('***')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself: for the request header, and for nothing else."""
        return self._value

    @property
    def is_printable(self) -> bool:
        """Whether it is of printable ASCII characters without spaces, as a header can carry it."""
        return isinstance(self._value, str) and re.fullmatch(r"[\x21-\x7e]{1,4096}", self._value) is not None

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> Never:
        raise TypeError("a Secret cannot be pickled or copied; build the settings again where they are needed")


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """How deliveries are received, and how they prove where they come from.

    The vendor documents that a key validates deliveries, and nothing else: the scheme is *assumed* to be an HMAC, every
    part of it can be set, and it is off until there are ``keys`` and a ``signature_header``. `signed` is the text that
    is signed: ``{body}``, and ``{timestamp}`` for what ``timestamp_header`` carries [Unix seconds].

    Examples
    --------
    >>> WebhookSettings(keys=["old", "new"], signature_header="X-Signature").is_signed
    True
    """

    keys: tuple[Secret, ...] = ()  # all of them are accepted, so that one can be replaced
    signature_header: str | None = None
    signature_prefix: str = ""  # such as "sha256="
    hash: str = "sha256"
    encoding: str = "hex"  # or base64
    signed: str = "{body}"
    timestamp_header: str | None = None
    window_seconds: float = 300.0  # on either side of now
    path_secret: Secret | None = None  # last segment of the receiver's path, where no scheme is known
    # Ours: what one receiver takes on.
    requests_per_second: float = 100.0
    burst: int = 1_000
    max_pending: int = 10_000

    def __post_init__(self) -> None:
        _hide(self, "keys", "path_secret")
        _check_kinds(self, "webhook.")
        for key in self.keys:
            _check_secret(key, "webhook.keys")
        if self.path_secret is not None:
            _check_secret(self.path_secret, "webhook.path_secret")
            if not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", self.path_secret.reveal()):
                raise InputError("settings: webhook.path_secret must be 16 to 128 letters, digits, '-' or '_'")
        if bool(self.keys) != bool(self.signature_header):
            raise InputError("settings: webhook.keys and webhook.signature_header belong together; set both or none")
        if self.hash not in HASHES or self.encoding not in ("hex", "base64"):
            raise InputError(f"settings: webhook.hash is one of {', '.join(HASHES)}, webhook.encoding hex or base64")
        has_time = "{timestamp}" in self.signed
        if self.signed.count("{body}") != 1 or has_time != bool(self.timestamp_header):
            raise InputError(
                "settings: webhook.signed must hold {body} once, and {timestamp} exactly where timestamp_header is set"
            )
        for name in ("window_seconds", "requests_per_second", "burst", "max_pending"):
            if not getattr(self, name) > 0:
                raise InputError(f"settings: webhook.{name} must be above 0, not {getattr(self, name)!r}")

    @property
    def is_signed(self) -> bool:
        """Whether a delivery must carry a valid signature."""
        return bool(self.keys)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, *, file: str | Path | None = None) -> Self:
        """What the settings file says under ``[webhook]``; the credentials of the API are not needed.

        ``XRAY_WEBHOOK_KEYS``, separated by spaces, and ``XRAY_WEBHOOK_PATH_SECRET`` replace the secrets of the file.

        Raises
        ------
        InputError
            The file holds an unknown name, or the parts do not fit together.
        """
        given = _variables(environ, "XRAY_WEBHOOK_", ("keys", "path_secret"))
        file = file or _settings_path(environ)
        del environ  # and with it what a traceback may show of this frame
        values = read_settings_file(file).get("webhook", {})
        unknown = sorted(set(values) - {f.name for f in fields(cls)}) if isinstance(values, dict) else ["no table"]
        if unknown:
            known = choices(unknown[0], [f.name for f in fields(cls)])
            raise InputError(f"settings: [webhook] holds unknown names {unknown}; {known}")
        return cls(**{**values, **given})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be configured, in one frozen object.

    Examples
    --------
    >>> settings = Settings(base_url="http://127.0.0.1:8000", user_id="u", session_token="t")
    >>> settings.host
    '127.0.0.1:8000'
    >>> settings.session_token
    Secret('***')
    """

    user_id: Secret
    session_token: Secret
    base_url: str = DEFAULT_BASE_URL
    api_version: str = DEFAULT_API_VERSION
    # Certificates to trust instead of the public ones, in PEM: where a company's proxy looks into TLS.
    ca_file: str | Path | None = None
    sources: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_SOURCES))
    # Assumed: lists page with these parameters, by analogy with the older lending API.
    paging: bool = True
    page_limit_name: str = "limit"
    page_offset_name: str = "offset"
    page_size: int = 100
    max_pages: int = 10_000
    # Assumed: ids are 24 lower-case hexadecimal digits, as in every documented sample.
    id_pattern: str = DEFAULT_ID_PATTERN
    # Politeness and patience; no rate limit is documented.
    workers: int = 16
    requests_per_second: float = 500.0
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    total_timeout: float = 60.0
    attempts: int = 4
    backoff_seconds: float = 0.5
    backoff_cap_seconds: float = 20.0
    retry_budget: int = 10
    max_silences: int = 8  # so many attempts in a row not answered in time, and the run stops
    run_deadline_seconds: float = 24 * 3600.0
    max_body_bytes: int = 64_000_000
    # A PDF may be slow to answer (documented): more patience, fewer attempts.
    download_timeout: float = 180.0
    download_attempts: int = 2
    download_max_bytes: int = 200_000_000
    # Documented as "20MB": assumed to be the stricter reading. Where files may be sent is assumed as well: hosts, or
    # suffixes that begin with a dot; beside them this machine, and that only if the service itself runs on it.
    upload_max_bytes: int = 20_000_000
    upload_timeout: float = 600.0
    upload_hosts: tuple[str, ...] = (".amazonaws.com",)
    # Assumed: the organization whose webhooks are listed and changed; the web app's account pages may show its id.
    business_id: str | None = None
    # Ours: no polling interval is documented. The first pause, how it grows, and the longest.
    poll_seconds: float = 10.0
    poll_factor: float = 1.5
    poll_cap_seconds: float = 600.0
    # Assumed: a request without a new report for this long gets none any more (`--full` lists it all the same).
    settled_days: int = 30
    # Assumed member names of a transaction: house column -> candidates in order; replaces lines of the shipped map.
    transaction_aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # How reports are read: TOML files such as `xray fit` writes, or the lines of one; of several the first that reads a
    # report and all of its transactions. Default the shipped layout.
    layout: Any = None

    def __post_init__(self) -> None:
        _hide(self, "user_id", "session_token")
        _check_kinds(self)
        object.__setattr__(self, "upload_hosts", tuple(listed(self.upload_hosts, "settings: upload_hosts")))
        for name in ("user_id", "session_token"):
            _check_secret(getattr(self, name), name)
        object.__setattr__(self, "base_url", str(addresses.service(self.base_url)).rstrip("/"))
        if self.ca_file is not None:
            _check_ca_file(self.ca_file)
        above_0 = (
            "workers",
            "connect_timeout",
            "read_timeout",
            "run_deadline_seconds",
            "max_silences",
            "page_size",
            "max_pages",
            "attempts",
            "max_body_bytes",
            "total_timeout",
            "download_timeout",
            "download_attempts",
            "download_max_bytes",
            "upload_max_bytes",
            "upload_timeout",
            "requests_per_second",
            "poll_seconds",
            "poll_cap_seconds",
        )
        for name in above_0:
            if not getattr(self, name) > 0:
                raise InputError(f"settings: {name} must be above 0, not {getattr(self, name)!r}")
        try:
            re.compile(self.id_pattern)
        except re.error as error:
            raise InputError(f"settings: id_pattern {self.id_pattern!r} is no regular expression: {error}") from None
        if not self.poll_factor >= 1:
            raise InputError(f"settings: poll_factor must be at least 1, not {self.poll_factor!r}")

    @property
    def host(self) -> str:
        """Host and port of the service, for display."""
        return addresses.service(self.base_url).netloc

    @property
    def is_loopback(self) -> bool:
        """Whether the service runs on this machine, as the sandbox does."""
        return addresses.service(self.base_url).is_loopback

    def checked_id(self, text: str) -> str:
        """The id, if it may reach a URL; it is not repeated in the error, as it could be anything."""
        if not is_id(text, self.id_pattern):
            raise InputError(
                f"an id is not of the form {self.id_pattern!r} and was not sent; "
                "check it, or change the setting id_pattern"
            )
        return text

    def source_of(self, product: str) -> str:
        """The service's word for a product."""
        if product not in self.sources:
            known = choices(product, sorted(self.sources))
            raise InputError(f"unknown product {product!r}; {known}; add others to the setting sources")
        return self.sources[product]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, *, file: str | Path | None = None) -> Self:
        """Settings from ``XRAY_…`` variables over an optional TOML file (``XRAY_SETTINGS`` or `file`).

        Raises
        ------
        InputError
            A credential is missing, or the file holds an unknown name.
        """
        names = ("user_id", "session_token", "api_version", "base_url", "business_id", "ca_file")
        given = _variables(environ, "XRAY_", names)
        file = file or _settings_path(environ)
        del environ  # and with it what a traceback may show of this frame
        values = {**read_settings_file(file), **given}
        values.pop("webhook", None)  # for the receiver, which may run elsewhere
        missing = [f"XRAY_{n.upper()}" for n in ("user_id", "session_token") if not values.get(n)]
        if missing:
            raise InputError(
                f"{' and '.join(missing)} not set: in the web app, edit your profile, section 'API token', "
                "'New token' shows both; or run `xray demo` on the sandbox"
            )
        return cls(**values)


def read_settings_file(path: str | Path | None) -> dict[str, Any]:
    """The fields of a TOML settings file; empty without a path.

    Raises
    ------
    InputError
        The file cannot be read, is not TOML, or holds a name that is not a setting.
    """
    if path is None:
        return {}
    values = _loaded(path)
    if isinstance(values, str):
        raise InputError(f"settings file {path} cannot be read ({values}); mend it, or XRAY_SETTINGS names another")
    unknown = sorted(set(values) - {"webhook", *(f.name for f in fields(Settings))})
    if unknown:
        known = choices(unknown[0], (*(f.name for f in fields(Settings)), "webhook"))
        raise InputError(f"settings file {path} holds unknown names {unknown}; {known}")
    wrong = [name for name, is_right in _SHAPES.items() if name in values and not is_right(values[name])]
    if wrong:
        raise InputError(f"settings file {path}: {wrong[0]} is not of the form {_FORMS[wrong[0]]}")
    if "sources" in values:
        values["sources"] = {**DEFAULT_SOURCES, **values["sources"]}
    if "transaction_aliases" in values:
        values["transaction_aliases"] = {k: tuple(v) for k, v in values["transaction_aliases"].items()}
    if isinstance(values.get("layout"), str | list):
        given = [values["layout"]] if isinstance(values["layout"], str) else values["layout"]
        values["layout"] = [Path(path).parent / one if isinstance(one, str) else one for one in given]
    if "upload_hosts" in values:
        values["upload_hosts"] = tuple(values["upload_hosts"])
    return values


def _loaded(path: str | Path) -> dict[str, Any] | str:
    """What the file says, its secrets hidden, or why it cannot be read: nothing is raised where its text stands."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    webhook = values.get("webhook")
    for found in (values, webhook if isinstance(webhook, dict) else {}):
        found.update({name: _hidden(found[name]) for name in _SECRET_NAMES if found.get(name)})
    return values


def _variables(environ: Mapping[str, str] | None, prefix: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The variables of these names that are set, secrets hidden; raises nothing."""
    environ = os.environ if environ is None else environ
    found: dict[str, Any] = {
        name: environ[f"{prefix}{name.upper()}"] for name in names if environ.get(f"{prefix}{name.upper()}")
    }
    if "keys" in found:
        found["keys"] = found["keys"].split()
    return {name: _hidden(value) if name in _SECRET_NAMES else value for name, value in found.items()}


def _settings_path(environ: Mapping[str, str] | None) -> str | None:
    return (os.environ if environ is None else environ).get("XRAY_SETTINGS")


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


_SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "sources": lambda found: isinstance(found, dict) and all(isinstance(word, str) for word in found.values()),
    "transaction_aliases": lambda found: isinstance(found, dict) and all(map(_is_texts, found.values())),
    "upload_hosts": _is_texts,
    "layout": lambda found: (
        isinstance(found, str | dict) or (isinstance(found, list) and all(isinstance(one, str | dict) for one in found))
    ),
}
_FORMS = {
    "sources": 'a table with lines such as bank = "bank_xray"',
    "transaction_aliases": 'a table with lines such as label = ["label", "wording"]',
    "upload_hosts": 'a list such as [".amazonaws.com"]',
    "layout": "the name of a layout file, several of them, or a table [layout] with the lines of one",
}
# annotation of a field -> what it may hold, and how that is called
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str,), "a text in quotes"),
    "str | None": ((str, NoneType), "a text in quotes"),
}


def _check_kinds(settings: Settings | WebhookSettings, prefix: str = "") -> None:
    """Refuse values of another kind than their field, such as a date without quotes for the API version."""
    for one in fields(settings):
        kinds, name = _KINDS.get(str(one.type), ((object,), ""))
        value = getattr(settings, one.name)
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds not in ((bool,), (object,))):
            raise InputError(f"settings: {prefix}{one.name} must be {name}, not {value!r:.40}")


def is_id(text: object, pattern: str = DEFAULT_ID_PATTERN) -> TypeGuard[str]:
    """Whether `text` is an id of the service; whatever the pattern, nothing that changes a URL or a path is.

    Examples
    --------
    >>> is_id("61b1aaa1015c69003931e945"), is_id("../61b1aaa1015c69003931e945", ".*"), is_id("A-1", ".*")
    (True, False, True)
    """
    return isinstance(text, str) and bool(_SAFE_ID.fullmatch(text) and re.fullmatch(pattern, text, re.ASCII))


def _hide(settings: Settings | WebhookSettings, *names: str) -> None:
    """Hide the secrets of settings that are being made, before anything about them can be refused."""
    for name in names:
        object.__setattr__(settings, name, _hidden(getattr(settings, name)))
        if name == "keys" and not isinstance(settings.__dict__[name], tuple):
            object.__setattr__(settings, name, (settings.__dict__[name],))


def _hidden(value: Any) -> Any:
    """A secret, a tuple of them, or nothing; whether it can be one is asked later."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_hidden, value))
    return value if value is None or isinstance(value, Secret) else Secret(value)


def _check_secret(secret: object, name: str) -> None:
    """Refuse what no header can carry; no frame of the error holds it."""
    if not isinstance(secret, Secret) or not secret.is_printable:
        raise InputError(f"{name} must be printable ASCII without spaces; copy it again from the web app")


def _check_ca_file(path: str | Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:  # an SSLError is one
        reason = error.strerror if isinstance(error, FileNotFoundError) else "it holds no certificates in PEM"
        raise InputError(
            f"ca_file {path} cannot be used ({reason}); name a PEM file of the authorities to trust"
        ) from None
