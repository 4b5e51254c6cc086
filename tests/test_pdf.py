"""The PDF of a report: strict base64, whole, of the report asked for; kept in the store under its digest."""

import base64
import os
import stat

import pytest
from faults.server import FaultServer, reply

from xray_analytics import Sandbox, Store, XRayClient
from xray_analytics.errors import (
    ApiError,
    IncompleteBody,
    InputError,
    NotFoundError,
    PermissionDenied,
    StoreError,
    UnavailableError,
)
from xray_analytics.files import save

REPORT, OTHER = "61baf58cb92353003b888c3d", "61b1aaa1015c69003931e945"
PDF = b"%PDF-1.7\n\xff\xfe body\n%%EOF\n"


def content(data=PDF, **changes):
    encoded = base64.b64encode(data).decode()
    documented = {"fileExtension": "pdf", "request": OTHER, "report": REPORT, "creation": "2021-12-16T08:15:08.000Z"}
    return documented | {"bankXrayPdfB64": encoded} | changes


def test_download_pdf__the_bytes(connect):
    with FaultServer(reply(content(), encoding="gzip")) as server:
        assert connect(server.url).download_pdf(REPORT) == PDF
    assert [(r.method, r.path) for r in server.requests] == [("GET", f"/reports/{REPORT}/download")]


def test_download_pdf__line_breaks_in_base64_are_dropped(connect):
    long = b"%PDF-1.7\n" + bytes(range(256)) * 4 + b"\n%%EOF"
    encoded = base64.encodebytes(long).decode().replace("\n", "\r\n")
    with FaultServer(reply(content(bankXrayPdfB64=encoded))) as server:
        assert connect(server.url).download_pdf(REPORT) == long


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"report": OTHER}, "wrong_id", "not of the report asked for"),
        ({"report": None}, "wrong_id", "not of the report asked for"),
        ({"report": {"id": REPORT}}, "wrong_id", "not of the report asked for"),
        ({"bankXrayPdfB64": None}, "invalid_pdf", "holds no bankXrayPdfB64"),
        ({"bankXrayPdfB64": 5}, "invalid_pdf", "holds no bankXrayPdfB64"),
        ({"bankXrayPdfB64": base64.b64encode(PDF).decode() + "=="}, "invalid_pdf", "not valid base64"),
        ({"bankXrayPdfB64": base64.b64encode(PDF).decode()[:-1]}, "invalid_pdf", "not valid base64"),
        ({"bankXrayPdfB64": "JVBE!" + base64.b64encode(PDF).decode()}, "invalid_pdf", "not valid base64"),
        ({"bankXrayPdfB64": "JVBERi0-_"}, "invalid_pdf", "not valid base64"),
        ({"bankXrayPdfB64": "é"}, "invalid_pdf", "not valid base64"),
        ({"bankXrayPdfB64": ""}, "invalid_pdf", "not a PDF"),
        ({"bankXrayPdfB64": base64.b64encode(b"<html>%%EOF").decode()}, "invalid_pdf", "not a PDF"),
        ({"bankXrayPdfB64": base64.b64encode(PDF[:-7]).decode()}, "invalid_pdf", "the PDF is cut"),
        ({"bankXrayPdfB64": base64.b64encode(PDF + bytes(1025)).decode()}, "invalid_pdf", "the PDF is cut"),
    ],
)
def test_download_pdf__refused(connect, changes, code, message):
    with FaultServer(reply(content(**changes))) as server, pytest.raises(ApiError, match=message) as caught:
        connect(server.url).download_pdf(REPORT)
    assert (caught.value.code, caught.value.report_id, len(server.requests)) == (code, REPORT, 1)


def test_download_pdf__json_that_is_no_object(connect):
    with FaultServer(reply([])) as server, pytest.raises(ApiError) as caught:
        connect(server.url).download_pdf(REPORT)
    assert caught.value.code == "wrong_id"


def test_download_pdf__a_missing_permission_is_named(connect):
    with FaultServer(reply({"error": "forbidden"}, 403)) as server, pytest.raises(PermissionDenied) as caught:
        connect(server.url).download_pdf(REPORT)
    assert "needs the permission read_bank_xray_report" in str(caught.value)
    assert (caught.value.status, caught.value.report_id, len(server.requests)) == (403, REPORT, 1)


def test_download_pdf__cap_and_attempts(connect):
    with FaultServer(reply(content())) as server, pytest.raises(IncompleteBody, match="larger than 100 bytes"):
        connect(server.url, download_max_bytes=100).download_pdf(REPORT)
    with FaultServer(reply({}, 503)) as server, pytest.raises(UnavailableError):
        connect(server.url).download_pdf(REPORT)
    assert len(server.requests) == 2
    with FaultServer(reply(content()).drip(1.0)) as server, pytest.raises(UnavailableError, match=r"in 0\.2 s"):
        connect(server.url, download_timeout=0.2, download_attempts=1).download_pdf(REPORT)
    with pytest.raises(InputError):
        connect("http://127.0.0.1:9").download_pdf("../x")


def test_download_pdf__of_the_sandbox(tmp_path):
    with Sandbox(companies=3, seed=5, clean=True) as sandbox, XRayClient(sandbox.settings()) as client:
        bank = client.list_reports(product="bank")[0].id
        data = client.download_pdf(bank)
        assert data == client.download_pdf(bank)
        assert data.startswith(b"%PDF-1.4")
        assert b"SYNTHETIC" in data
        assert bank.encode() in data
        start = int(data.rpartition(b"startxref\n")[2].split()[0])
        assert data[start : start + 4] == b"xref"
        offsets = [int(line[:10]) for line in data[start:].split(b"\n")[3:] if line.endswith(b" n ")]
        assert [data[o:].split(b" ")[0] for o in offsets] == [b"%d" % n for n in range(1, len(offsets) + 1)]
        financial = client.list_reports(product="financial")[0].id
        with pytest.raises(NotFoundError):
            client.download_pdf(financial)


# --- in the store


def test_document__is_kept_once_and_survives_syncs(tmp_path):
    store = Store(tmp_path / "store")
    assert store.document(REPORT) is None
    digest = store.add_document(REPORT, PDF)
    number = store.head.number
    assert store.add_document(REPORT, PDF) == digest
    assert (store.head.number, store.document(REPORT), store.document(OTHER)) == (number, PDF, None)
    file = tmp_path / "store" / "documents" / f"{digest}.pdf"
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    store.add_document(OTHER, PDF)
    store.add_document(REPORT, PDF + b"\n")
    assert (store.document(OTHER), store.document(REPORT)) == (PDF, PDF + b"\n")
    with store.writer() as writer:
        writer.commit(cursor={**store.head.cursor, "listed": {}})
    assert store.document(OTHER) == PDF


def test_document__damage_is_noticed_and_mended(tmp_path):
    store = Store(tmp_path / "store")
    digest = store.add_document(REPORT, PDF)
    file = tmp_path / "store" / "documents" / f"{digest}.pdf"
    file.write_bytes(PDF[:-1])
    with pytest.raises(StoreError, match="is damaged; `xray pdf"):
        store.document(REPORT)
    store.add_document(REPORT, PDF)
    assert store.document(REPORT) == PDF
    os.unlink(file)
    with pytest.raises(StoreError, match="cannot be read"):
        store.document(REPORT)


def test_save__never_overwrites_unasked_and_leaves_nothing_behind(tmp_path):
    out = tmp_path / "a.pdf"
    save(PDF, out)
    with pytest.raises(InputError, match="--force"):
        save(b"other", out)
    assert (out.read_bytes(), os.listdir(tmp_path)) == (PDF, ["a.pdf"])
    save(b"other", out, overwrite=True)
    assert (out.read_bytes(), os.listdir(tmp_path)) == (b"other", ["a.pdf"])
    with pytest.raises(InputError, match="cannot be written"):
        save(PDF, tmp_path / "none" / "a.pdf")


def test_verify__names_a_damaged_document(tmp_path):
    store = Store(tmp_path / "store")
    digest = store.add_document(REPORT, PDF)
    assert store.verify() == []
    (store.path / "documents" / f"{digest}.pdf").write_bytes(PDF[:-1])
    (finding,) = store.verify()
    assert f"is damaged; `xray pdf {REPORT} --refresh` fetches it again" in str(finding)
