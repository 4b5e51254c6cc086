"""One grammar for every address: what it refuses, and that nobody ever connects to another host than was checked."""

import os
import random
import socket
from urllib.parse import urlsplit

import pytest
import requests
from faults.server import FaultServer, reply
from hypothesis import given
from hypothesis import strategies as st

from xray_analytics import Settings, Store
from xray_analytics.api.http.deadline import Watchdog, WrongPeer
from xray_analytics.api.http.transport import new_session
from xray_analytics.api.storage import Metered, Storage, check_host
from xray_analytics.errors import InputError, UploadError
from xray_analytics.grammar.addresses import (
    check_path,
    is_meant_as_url,
    is_private_host,
    is_public,
    parse,
    place,
    service,
)
from xray_analytics.sandbox.service.deliveries import is_local
from xray_analytics.store.remote import filesystem
from xray_analytics.store.remote.published import PublishedStore

HOST = "b.s3.amazonaws.com"
SETTINGS = Settings(user_id="u", session_token="t")
EVIL = "evil.example"
# What a hostile service, or a typing error, puts between and into the parts of an address.
PIECES = (
    "\\", "@", "%", "%5c", "%40", "%2f", "%00", "#", "?", "/", "//", "///", ":", "::", ";", ",", "[", "]", "\t", "\n",
    "\r", "\x00", "\x0b", " ", "\xa0", "\u200b", "\u3002", "\uff0e", "\uff0f", "\uff20", "\u2024", "\u212a", "\xad",
    "\ufe13", "\u02d0", "%25", "|", "^", "`", "{", "}", "<", ">", '"', "'", "*", "+", "_", "~", "!", "$", "&", "(", "=",
    "..", ".", "-", "xn--", "user:pw@", ":443", ":80", ":0", ":65536", ":99999999", ":4 43", ":+443", ":\u0664",
    "https:", "https://", "http://", "javascript:", "file://", "127.0.0.1", "[::1]", "0x7f.1", "0177.0.0.1",
    "2130706433", "127.1", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1", "localhost", EVIL, HOST, ".amazonaws.com",
)  # fmt: skip
FORMS = (
    "https://{a}{x}{b}/k", "https://{a}{x}.{b}/k", "https://{a}{x}@{b}/k", "https://{x}{b}/k", "https://{b}{x}/k",
    "https:{x}//{b}/k", "{x}https://{b}/k", "https://{b}/{x}{a}", "https://{b}{x}:443/k", "https://{b}:443{x}{a}/k",
    "//{x}{b}/k", "https://{a}{x}{y}{b}/k", "https://{a}{x}{y}.{b}", "HTTPS://{a}{y}{x}{b}:443?k", "https://{b}?{x}{a}",
    "https://{x}{y}", "https://{a}{x}{b}{y}/k?q", "http://{a}{x}{b}{y}", "https:/{x}/{a}{y}{b}",
)  # fmt: skip


def hostile(n, seed=13):
    """So many different addresses made of hosts and of what stands between them."""
    rng, found = random.Random(seed), set()
    while len(found) < n:
        a, b = rng.sample((EVIL, HOST, "amazonaws.com", "10.0.0.1"), 2)
        text = rng.choice(FORMS).format(a=a, b=b, x=rng.choice(PIECES), y=rng.choice(PIECES))
        if rng.random() < 0.3:  # one more anywhere
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(PIECES) + text[at:]
        found.add(text)
    return sorted(found)


@pytest.fixture(scope="module")
def session():
    watchdog = Watchdog()
    opened = new_session(SETTINGS, watchdog)
    yield opened
    opened.close()
    watchdog.close()


def connected(session, url):
    """Scheme, host and port to which requests and urllib3 would connect; None where they refuse."""
    request = requests.PreparedRequest()
    try:
        request.prepare("PUT", url)
        pool = session.get_adapter(request.url).get_connection_with_tls_context(request, verify=True)
    except (requests.RequestException, ValueError):
        return None
    return pool.scheme, pool.host.strip("[]").lower(), pool.port or {"http": 80, "https": 443}[pool.scheme]


def fuzz(session, n):
    """How many of so many are taken, and how many of those reach another host than was checked, by either text."""
    taken = wrong = 0
    for url in hostile(n):
        try:
            address = parse(url)
        except ValueError:
            continue
        taken += 1
        # The text that is sent, and the one that came: who reads it otherwise shows that the grammar is too wide.
        wrong += not connected(session, str(address)) == connected(session, url) == address.origin
    return taken, wrong


def misled(session, n):
    """Control: how many of so many pass a check of what `urlsplit` reads, and reach another host."""
    count = 0
    for url in hostile(n):
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            continue
        reached = connected(session, url)
        count += host.endswith(".amazonaws.com") and reached is not None and reached[1] != host
    return count


def test_fuzz__the_host_that_is_checked_is_the_host_that_is_connected_to(session, figure):
    n = 5_000
    taken, wrong = fuzz(session, n)
    figure("hostile addresses", f"{n:,} tried, {taken:,} taken, {wrong} that reach another host than was checked")
    assert taken > 100
    assert wrong == 0
    assert misled(session, n) > 0  # the corpus does lead astray who reads an address in two ways


@pytest.mark.long
def test_fuzz__long(session, figure):
    n = 100_000
    taken, wrong = fuzz(session, n)
    figure("hostile addresses, long", f"{n:,} tried, {taken:,} taken, {wrong} that reach another host than was checked")
    assert wrong == 0


@given(st.text(max_size=40), st.sampled_from(["https://{}", "https://b.s3.amazonaws.com{}", "{}"]))
def test_parse__any_text_is_an_address_of_plain_characters_or_a_value_error(text, form):
    try:
        address = parse(form.format(text))
    except ValueError:
        return
    assert str(address).isascii()
    assert not set("\\ \t\n\r#@") & set(address.netloc)
    assert parse(str(address)) == address


@pytest.mark.parametrize("text", [None, 5, b"https://h/", "", "https://", "https:///k", f"https://h/{'x' * 20_000}"])
def test_parse__refuses(text):
    with pytest.raises(ValueError, match="it is not scheme"):
        parse(text)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "127.0.0.01", "256.1.1.1", "1.2.3.4.5", "0",
        "a.0x7f", "h.1", "-h.example", "h-.example", "h..example", ".example", "example.", "a" * 64 + ".example", "h_h",
        "[::1", "[127.0.0.1]", "[::1%25eth0]", "[::1%eth0]", "[v1.x]", "[::ffff:1.2.3.400]", "::1",
    ],
)  # fmt: skip
def test_parse__refuses_hosts_that_can_be_read_in_two_ways(host):
    with pytest.raises(ValueError, match=r"its? "):
        parse(f"https://{host}/k")


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://api.example/x?y=%2F", ("https", "api.example", 443)),
        ("HTTP://Api.Example:80", ("http", "api.example", 80)),
        ("https://192.0.2.1:8443/", ("https", "192.0.2.1", 8443)),
        ("https://[2001:DB8:0::1]/", ("https", "2001:db8::1", 443)),
        ("https://xn--bcher-kva.example/", ("https", "xn--bcher-kva.example", 443)),
    ],
)
def test_parse__takes(session, text, origin):
    assert parse(text).origin == origin == connected(session, str(parse(text)))


PRIVATE = (
    "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "192.0.0.8", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1",
    "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:db8::1", "fd00:ec2::254",
)  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_is_public__not_for_any_spelling_of_a_private_address(address):
    assert not is_public(address)
    assert is_private_host(address.partition("%")[0])


@pytest.mark.parametrize("address", ["52.95.155.1", "2a05:d07a::1", "64:ff9b::52.95.155.1", "::ffff:52.95.155.1"])
def test_is_public__for_the_internet(address):
    assert is_public(address)


@pytest.mark.parametrize("host", [*PRIVATE, "localhost", "x.localhost", "0x7f.1", "2130706433"])
def test_check_host__no_private_address_from_outside_unless_its_host_is_named(host):
    host = f"[{host}]" if ":" in host else host
    with pytest.raises(UploadError, match="nothing was sent"):
        check_host(f"https://{host}/k", Settings(user_id="u", session_token="t", upload_hosts=(".1", ".localhost")))
    named = Settings(user_id="u", session_token="t", upload_hosts=("10.1.2.3", "files.internal"))
    assert check_host("https://10.1.2.3/k", named).host == "10.1.2.3"
    assert check_host("https://files.internal/k", named).host == "files.internal"


# --- from end to end: whom does the file reach?


@pytest.fixture
def resolving(monkeypatch):
    """Have every name lead to an address and port, and record the names: ``resolving("127.0.0.1", port)``."""
    asked, resolve = [], socket.getaddrinfo

    def lead(ip, port):
        def resolved(host, *arguments, **options):
            if host == "127.0.0.1":  # the service
                return resolve(host, *arguments, **options)
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        return asked

    return lead


def test_storage__a_name_that_leads_to_a_private_address_gets_no_byte(resolving):
    with FaultServer(reply(b"")) as inside:
        asked = resolving("127.0.0.1", inside.port)
        with Storage(SETTINGS) as storage, pytest.raises(UploadError, match="leads to a private address; upload it"):
            storage.send(f"https://{HOST}/k?X-Amz-Signature=0", Metered(b"statement", None), method="PUT", headers={})
    assert set(asked) == {HOST}
    assert inside.requests == []


def test_storage__a_host_that_is_named_in_full_may_be_private(resolving):
    named = Settings(user_id="u", session_token="t", upload_hosts=("files.internal",), connect_timeout=0.3)
    with FaultServer(reply(b"")) as inside:
        resolving("127.0.0.1", inside.port)
        with Storage(named) as storage, pytest.raises(UploadError, match=r"timed out|TLS"):  # it got that far
            storage.send("https://files.internal/k", Metered(b"statement", None), method="PUT", headers={})
    assert inside.n_connections > 0


def test_watchdog__no_connection_to_another_host_than_was_checked(session):
    with FaultServer(reply(b"")) as other:
        watchdog = Watchdog()
        opened = new_session(SETTINGS, watchdog)
        for checked in ("http://127.0.0.1:9/k", f"http://localhost:{other.port}/k", f"https://127.0.0.1:{other.port}/"):
            with watchdog.limit(60.0, parse(checked)), pytest.raises(WrongPeer, match="another host"):
                opened.get(f"{other.url}/k")
        with watchdog.limit(60.0, parse(other.url)):
            opened.get(f"{other.url}/k")
        with watchdog.limit(60.0, parse("http://127.0.0.1:9/k")), pytest.raises(WrongPeer, match="another host"):
            opened.get(f"{other.url}/k")  # nor through a connection that is open already
        with pytest.raises(WrongPeer):
            opened.get(f"{other.url}/k")  # nor without a limit
        opened.close()
        watchdog.close()
    assert len(other.requests) == other.n_connections == 1


def test_upload__no_hostile_address_takes_the_file_elsewhere(connect, tmp_path, resolving, figure):
    path = tmp_path / "statement.pdf"
    path.write_bytes(b"%PDF-1.4 statement")
    urls = hostile(1_000, seed=5)
    answers = iter(urls)

    def service(request):
        if request.path == "/media":
            return reply({"medium": {"id": "6" * 24, "upload": {"url": next(answers), "fields": {"key": "k"}}}})
        return reply({})

    with FaultServer(service) as server, FaultServer(reply(b"")) as elsewhere:
        asked = resolving("127.0.0.1", elsewhere.port)
        client, n_refused = connect(server.url, requests_per_second=1e6), 0
        for _ in urls:
            try:
                client.upload("6" * 24, path, name="bank_statement")
            except UploadError:
                n_refused += 1
        strangers = {host for host in asked if not host.endswith(".amazonaws.com")}
    figure("upload addresses", f"{len(urls):,} hostile, {len(strangers)} strangers asked for, {n_refused:,} refused")
    assert strangers == set()
    assert elsewhere.requests == []
    assert n_refused == len(urls)


# --- the other doors


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example\\.api.example", "https://api.example%2eevil", "https://api.example:0", "https://a b",
        "https://api.example:65536", "https://user@api.example", "https://api.example/#x", "https://\u0430pi.example",
        "https://api.example\n", "https://api.example/a\\b", "https:api.example", "https://0x7f.1", "http://127.1",
        "http://0177.0.0.1", "http://[::ffff:127.0.0.1]", "https://api.example?x",
    ],
)  # fmt: skip
def test_base_url__strict(url):
    with pytest.raises(InputError, match="base_url") as caught:
        Settings(base_url=url, user_id="u", session_token="t")
    assert "\\" not in str(caught.value)


def test_base_url__what_the_user_typed_may_be_private():
    assert service("https://10.0.0.4:8443/gateway/").netloc == "10.0.0.4:8443"
    settings = Settings(base_url="HTTPS://Gateway.Internal:443/api/", user_id="u", session_token="t")
    assert (settings.base_url, settings.host) == ("https://gateway.internal/api", "gateway.internal")


@pytest.mark.parametrize(
    "url",
    ["https://evil\\.example/x", "https://h.example/%zz", "https://h.example#x", "https://u@h.example", "http://h"],
)
def test_webhook__strict(connect, url):
    settings = {"business_id": "6" * 24}
    with pytest.raises(InputError, match="must be an https address without user and fragment"):
        connect("http://127.0.0.1:9", **settings).add_webhook(url)
    assert not is_local(url)


PATHS = ("s3:/bucket", "s3:bucket", "s3//bucket/x", "S3:/bucket", "file:x", "file:/x", "gs:/b/x", "hdfs:/x", "x://y")
PLACES = (
    *PATHS,
    "s3://",
    "S3:///x",
    "s3://b\\c/x",
    "s3://b/x y",
    "s3://b/x\n",
    "s3://b/%2e%2e",
    "https://b/x",
    "s3://-b/",
)


@pytest.mark.parametrize("url", PLACES)
def test_publish__what_is_no_bucket_becomes_no_folder(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"s3://bucket/prefix"):
        filesystem.place(url)
    with pytest.raises(InputError, match=r"s3://bucket/prefix"):
        PublishedStore(url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["?client_secret=canary", "?x=1&sas_token=canary", "?secret_key=canary"])
def test_publish__a_key_in_the_query_is_refused_and_not_repeated(key):
    with pytest.raises(InputError, match="ends up in logs") as caught:
        place(f"abfs://account/lake{key}")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("path", ["data/store", "./s3:x/y", "/srv/s3:/x", "C:\\data", "2025:01/x", "a:b"])
def test_path__a_folder_is_a_folder(path):
    assert not is_meant_as_url(path)
    check_path(path)


@pytest.mark.parametrize("path", ["s3://bucket/x", "S3:/bucket", "file:///x", "gs:/x"])
def test_store__is_no_folder_called_s3(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    for text in (path, str(tmp_path.__class__(path))):
        with pytest.raises(InputError, match="is an address and no folder of this machine"):
            Store(text)
    assert list(tmp_path.iterdir()) == []


def test_paths__that_are_no_text_are_refused_before_anything_is_written(tmp_path, xray):
    """The libraries that read a store cannot be given such a path."""
    place = tmp_path / os.fsdecode(b"l\xffke")
    for said in (lambda: Store(place), lambda: filesystem.place(place), lambda: PublishedStore(place)):
        with pytest.raises(InputError, match=r"l\?ke holds bytes that are no UTF-8; choose another name"):
            said()
    assert not place.exists()
    code, out, err = xray("tables", "--write", tmp_path / os.fsdecode(b"t\xff\x1b[2J.md"))
    assert (code, out.endswith("t··[2J.md\n"), err) == (0, True, "")
