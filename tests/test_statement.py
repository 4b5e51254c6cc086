"""A statement that is uploaded as CSV comes back as a Bank X-Ray of what it says, and of nothing else."""

import pytest

from xray_analytics import Sandbox, Store, XRayClient, quality, sync
from xray_analytics.sandbox.payloads.statement import read

FRENCH = """date;libellé;débit;crédit;solde
28/02/2025;PRLV LOYER;900,00;;509,50
03/02/2025;REJET PRLV GRANULOX;;10,00;1 409,50
15/01/2025;PRLV URSSAF;300,50;;1 399,50
05/01/2025;VIR RECU CLIENT;;1 200,00;1 700,00
"""
PLAIN = (
    "date,label,amount\n2025-01-05,VIR RECU CLIENT,1200\n2025-01-15,PRLV URSSAF,-300.5\n2025-02-03,REJET PRLV,10.00\n"
)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("statement")
    (folder / "s.csv").write_text(FRENCH, encoding="utf-8-sig")
    with (
        Sandbox(companies=1, clean=True, report_delay=0.0) as sandbox,
        XRayClient(sandbox.settings(poll_seconds=0.1)) as client,
    ):
        request = client.create_request("732829320")
        client.upload(request.id, folder / "s.csv", name="bank_statement", media_type="text/csv")
        client.wait_for_report(request.id, product="bank")
        sync(client, store := Store(folder / "store"), request_ids=[request.id])
    return store.snapshot()


def test_report__holds_the_entries_of_the_file(snapshot):
    rows = snapshot.read("transactions", money="cents").sort_values("booked_date")
    assert rows["amount"].tolist() == [120_000, -30_050, 1_000, -90_000]
    assert rows["balance_after"].tolist() == [170_000, 139_950, 140_950, 50_950]
    assert rows["label"].tolist()[1] == "PRLV URSSAF"
    statements = snapshot.read("statement_summaries", money="cents")
    assert statements[["start_balance", "end_balance"]].to_numpy().tolist() == [[50_000, 139_950], [139_950, 50_950]]


def test_report__reconciles(snapshot):
    tables = (snapshot.read(n) for n in ("statement_summaries", "transactions", "movement_metrics"))
    assert set(quality.reconciliation(*tables)["verdict"]) == {"ok"}


def test_read__both_forms():
    assert [entry.cents for entry in read(FRENCH.encode())] == [120_000, -30_050, 1_000, -90_000]
    assert [entry.cents for entry in read(PLAIN.encode())] == [120_000, -30_050, 1_000]
    assert {entry.balance for entry in read(PLAIN.encode())} == {None}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"%PDF-1.4\n\xff\xfe", b"date,label,amount\n", b"date,label\n2025-01-05,VIR\n",
        b"date,label,amount\n2025-13-05,VIR,1\n", b"date,label,amount\n2025-01-05,VIR,1.005\n",
        b"date,label,amount\n2025-01-05,VIR,many\n", b"date,label,amount\n2025-01-05,VIR\n",
    ],
)  # fmt: skip
def test_read__what_is_no_statement_is_a_file_like_any_other(data):
    assert read(data) is None
