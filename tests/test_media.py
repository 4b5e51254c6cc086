"""The documents that were uploaded are rows of `media`, by upload, by wait and by sync, and never their addresses."""

import json
import sys
from datetime import UTC, datetime

import pytest

from xray_analytics import Sandbox, Store, XRayClient, cli, sync, tables
from xray_analytics.api.journal import Journal
from xray_analytics.cli.options import journal_path
from xray_analytics.ingest.erasure import forget
from xray_analytics.tidy.medium import media_table

PDF = b"%PDF-1.7\n%%EOF\n"
NAME = "releve-dupont.pdf"
ARGUMENTS = {"name": "bank_statement", "period": "month", "date": "2025-06-30"}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(3, report_delay=0.01) as running:
        yield running


@pytest.fixture
def place(tmp_path):
    (tmp_path / NAME).write_bytes(PDF)
    return tmp_path


def uploaded(sandbox, place, **arguments):
    with Journal(journal_path(place / "store")) as journal, XRayClient(sandbox.settings(), journal=journal) as client:
        request_id = client.list_requests()[0].id
        return client.upload(request_id, place / NAME, **ARGUMENTS | arguments)


def synced(sandbox, place):
    with Journal(journal_path(place / "store")) as journal, XRayClient(sandbox.settings()) as client:
        return sync(client, Store(place / "store"), journal=journal)


def rows(place):
    return Store(place / "store").snapshot().arrow("media").to_pylist()


def test_sync__writes_the_documents_once(sandbox, place):
    medium = uploaded(sandbox, place)
    synced(sandbox, place)
    (row,) = rows(place)
    wanted = {
        "medium_id": medium.id, "request_id": medium.request_id, "name": "bank_statement", "type": "document",
        "size_bytes": len(PDF), "mime_type": "application/pdf", "period": "month",
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted
    assert row["status"] in ("online", "pending_extraction")
    assert str(row["document_date"]) == "2025-06-30"
    assert row["created_at"] <= row["fetched_at"]
    again = synced(sandbox, place)
    assert (len(rows(place)), again.commits) == (1, ())


def test_addresses__are_in_no_file(sandbox, place):
    uploaded(sandbox, place)
    synced(sandbox, place)
    (row,) = rows(place)
    assert "document-" not in json.dumps(row, default=str)
    files = [path.read_bytes() for path in (place / "store").rglob("*") if path.is_file()]
    assert not any(word in data for data in files for word in (b"Signature", b"/document-", NAME.encode()))


@pytest.fixture
def xray(monkeypatch, capsys, sandbox, place):
    """Run `xray` against the sandbox: exit code, standard output, standard error."""
    settings = sandbox.settings()
    monkeypatch.setenv("XRAY_BASE_URL", settings.base_url)
    monkeypatch.setenv("XRAY_USER_ID", settings.user_id.reveal())
    monkeypatch.setenv("XRAY_SESSION_TOKEN", settings.session_token.reveal())
    monkeypatch.setenv("XRAY_STORE", str(place / "store"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["xray", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, *capsys.readouterr()

    return run


def test_upload__writes_its_row_with_the_name_of_the_file(xray, sandbox, place):
    synced(sandbox, place)
    request_id = Store(place / "store").snapshot().arrow("requests")["request_id"][0].as_py()
    for _ in range(2):
        assert xray("upload", request_id, place / NAME, "--name", "bank_statement", "--period", "quarter")[0] == 0
        (row,) = rows(place)
        assert (row["file_name"], row["request_id"], row["period"]) == (NAME, request_id, "quarter")


def test_upload__of_a_store_that_is_locked_is_left_to_the_next_sync(xray, sandbox, place):
    synced(sandbox, place)
    request_id = Store(place / "store").snapshot().arrow("requests")["request_id"][0].as_py()
    with Store(place / "store").writer():
        code, out, err = xray("upload", request_id, place / NAME, "--name", "other")
    assert (code, "is online" in out, "the next xray sync" in err) == (0, True, True)
    assert rows(place) == []
    synced(sandbox, place)
    assert [(row["name"], row["file_name"]) for row in rows(place)] == [("other", None)]


def test_wait__writes_the_document_with_the_report(xray, sandbox, place):
    with Journal(journal_path(place / "store")), XRayClient(sandbox.settings()) as client:
        request_id = client.list_requests()[0].id
    medium = uploaded(sandbox, place)
    assert xray("wait", request_id, "--timeout", "20s")[0] == 0
    assert [row["medium_id"] for row in rows(place)] == [medium.id]


def test_forget__takes_the_document_too_and_it_does_not_come_back(sandbox, place):
    medium = uploaded(sandbox, place)
    synced(sandbox, place)
    opened = Store(place / "store")
    requests = opened.snapshot().read("requests").set_index("request_id")
    company = requests.loc[medium.request_id, "company_id"]
    forget(opened, company)
    assert rows(place) == []
    synced(sandbox, place)  # the journal still tells of it
    assert rows(place) == []


def test_media_table__what_has_another_form_is_kept_as_it_came():
    at = datetime(2025, 7, 1, tzinfo=UTC)
    medium = {"id": "m", "request": "r", "status": "lost", "creation": 17, "more": [1], "meta": {"date": "June"}}
    (row,) = media_table({"m": (medium, at)}).to_pylist()
    assert (row["status"], row["created_at"], row["document_date"]) == ("lost", None, None)
    assert json.loads(row["extra"]) == {"creation": 17, "more": [1], "meta.date": "June"}
    assert set(row) == set(tables.MEDIA.names)
