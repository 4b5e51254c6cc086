"""What entries do not say is not said: no two currencies are added, and what is not read is neither missed nor none."""

import json

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from test_basis import COMPANY, A, B, entry, flows_of, report, statement, tidied

from xray_analytics import Store, charts, import_files
from xray_analytics.analysis import cashflow, monitoring, quality
from xray_analytics.errors import InputError
from xray_analytics.report import company
from xray_analytics.report.company.results import top_parties

WHOLE = {"start": "2024-12-31", "end": "2025-04-30"}
ENGINES = {
    "pandas": lambda frame: frame, "pyarrow": pa.Table.from_pandas, "polars": pl.from_pandas,
    "duckdb": lambda frame: duckdb.from_arrow(pa.Table.from_pandas(frame)),
}  # fmt: skip


def paid(day, amount, label, currency, iban=A):
    return entry(day, amount, iban=iban, currency=currency) | {"label": label}


def loans(currency, amount):
    return [paid(f"2025-0{m}-10", amount, "ECHEANCE PRET 00047211", currency) for m in (1, 2, 3, 4)]


def seen(*entries, ibans=(A,), no=1, created="2025-05-10T00:00:00Z"):
    statements = [statement(*WHOLE.values(), iban=iban) for iban in ibans]
    return report(statements, list(entries), no=no, created=created)


MIXED = seen(
    *loans("EUR", -500.0), *loans("JPY", -90_000.0), paid("2025-02-03", 10_000.0, "VIR RECU LUNE", "EUR"),
    paid("2025-02-04", 1_000_000.0, "VIR RECU LUNE", "JPY"), paid("2025-02-05", 7.0, "VIR RECU X", None),
)  # fmt: skip
ACCOUNTS = seen(  # what an account names is what its other entries are in; a company names two
    paid("2025-02-03", 100.0, "VIR RECU LUNE", "EUR"), paid("2025-02-04", 50.0, "VIR RECU LUNE", None),
    paid("2025-02-05", 9_000.0, "VIR RECU SOL", "JPY", B), paid("2025-02-06", -1_000.0, "PRLV SOL", None, B),
    ibans=(A, B),
)  # fmt: skip


def totals(rows, value="total"):
    keys = zip(rows["currency"].astype(object).where(rows["currency"].notna(), None), rows["side"], strict=True)
    return dict(zip(keys, rows[value], strict=True))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("by_account", [False, True])
def test_every_analysis_has_a_row_a_currency__on_every_engine(engine, by_account):
    for given, credit, debit in (
        (MIXED, {"EUR": 10_000.0, "JPY": 1_000_000.0, None: 7.0}, {"EUR": 2_000.0, "JPY": 360_000.0}),
        (ACCOUNTS, {"EUR": 150.0, "JPY": 9_000.0}, {"JPY": 1_000.0}),
    ):
        found = tidied(given)
        frames = [ENGINES[engine](found[name]) for name in ("transactions", "reports", "statement_summaries")]
        more = {"statements": frames[2]} if by_account else {}
        want = {(c, "credit"): x for c, x in credit.items()} | {(c, "debit"): x for c, x in debit.items()}
        assert totals(cashflow.counterparty_concentration(*frames[:2], **more)) == want
        parts = [cashflow.counterparty_concentration(*frames[:2], **more, side=side) for side in ("credit", "debit")]
        assert totals(pd.concat(parts)) == want
        shares = cashflow.category_shares(*frames[:2], **more)
        shown = shares["currency"].astype(object).where(shares["currency"].notna(), None)
        assert dict(zip(shown, shares["credit"], strict=True)) == {c: credit.get(c, 0.0) for c in set(shown)}
        assert shares.groupby("currency", dropna=False)["share_ratio"].sum().tolist() == [1.0] * len(set(shown))


def test_one_named_currency_is_that_of_entries_without_one__and_ties_to_the_months():
    older = seen(paid("2025-01-03", 10.0, "VIR RECU X", "EUR"))
    newer = seen(
        paid("2025-01-03", 10.0, "VIR RECU X", None), paid("2025-03-04", 20.0, "VIR RECU X", None), no=2,
        created="2025-06-10T00:00:00Z",
    )  # fmt: skip
    found = tidied(older, newer)
    flows = flows_of(found)
    assert set(flows["currency"]) == {"EUR"}
    parties = cashflow.counterparty_concentration(found["transactions"], found["reports"])
    assert totals(parties) == {("EUR", "credit"): flows["total_credit"].sum()}
    assert set(cashflow.category_shares(found["transactions"], found["reports"])["currency"]) == {"EUR"}


def test_streams_and_incidents_have_a_currency__debt_is_not_compared_across():
    found = tidied(MIXED)
    families = cashflow.categories(found["transactions"])
    streams = cashflow.recurring(found["transactions"], found["reports"], categories=families)
    assert streams[["currency", "amount"]].to_numpy().tolist() == [["EUR", 500.0], ["JPY", 90_000.0]]
    debt = monitoring.debt_service(flows_of(found), streams).iloc[0]
    assert debt["status"] == "several_currencies"
    assert debt[["debt_payments", "cash_before_debt", "cover_ratio"]].isna().all()
    # cash in one currency, the loan in another
    cash = flows_of(found)
    debt = monitoring.debt_service(cash[cash["currency"] == "EUR"], streams[streams["currency"] == "JPY"]).iloc[0]
    assert debt["status"] == "several_currencies"
    seized = tidied(seen(paid("2025-02-04", -80.0, "SAISIE ATTRIBUTION", "JPY")))
    assert cashflow.incidents(seized["transactions"], seized["reports"])["currency"].tolist() == ["JPY"]


def test_no_pair_is_made_of_two_currencies():
    found = tidied(
        seen(
            paid("2025-02-03", -1_000.0, "VIR EMIS VERS SOL", "EUR"),
            paid("2025-02-03", 1_000.0, "VIR RECU DE SOL", "JPY", B),
            paid("2025-02-10", -80.0, "PRLV SEPA LUNE", "EUR"), paid("2025-02-11", 80.0, "REJET PRLV LUNE", "JPY"),
            ibans=(A, B),
        )
    )  # fmt: skip
    families = cashflow.categories(found["transactions"])
    assert not families["rule"].isin(["paired_accounts"]).any()
    kept = cashflow.operating(found["transactions"], families)
    assert kept.attrs["base"]["excluded"]["rejected_debit"] == 0
    assert set(kept["currency"]) == {"EUR", "JPY"}


def test_largest_parties_are_of_one_currency_and_of_a_report_that_can_be_read():
    found = tidied(MIXED)
    operating = cashflow.operating(found["transactions"], cashflow.categories(found["transactions"]))
    shown = top_parties(operating, found["reports"])
    assert shown.groupby("side")["share_ratio"].sum().round(9).eq(1).all()
    assert shown.loc[shown["side"] == "credit", "total"].tolist() == [10_000.0]
    assert top_parties(operating, found["reports"][:0]).empty


def test_what_is_not_read_is_neither_missed_nor_over():
    """A newer report that cannot be read covers further months: nothing is said of them."""
    readable = [*loans("EUR", -500.0), *(paid(f"2025-0{m}-15", -80.0, "PRLV SEPA URSSAF", "EUR") for m in (1, 2, 3, 4))]
    older = seen(*readable)
    unread = [one | {"amount": None} for one in readable]
    newer = report([statement("2025-02-28", "2025-09-30")], unread, no=2, created="2025-10-10T00:00:00Z")
    alone, both = tidied(older), tidied(older, newer)
    for statements in (False, True):
        shown = []
        for found in (alone, both):
            more = {"statements": found["statement_summaries"]} if statements else {}
            streams = cashflow.recurring(found["transactions"], found["reports"], **more)
            assert streams["is_active"].all()
            shown.append(cashflow.incidents(found["transactions"], found["reports"], **more))
        assert len(shown[0]) == len(shown[1]) == 0


def test_no_loan_is_seen_where_nothing_is_read():
    lost = tidied(report([statement(*WHOLE.values())], None))
    families = cashflow.categories(lost["transactions"])
    streams = cashflow.recurring(lost["transactions"], lost["reports"], categories=families)
    debt = monitoring.debt_service(flows_of(lost), streams).iloc[0]
    assert debt["status"] == "entries_unknown"
    assert debt[["debt_payments", "n_loans", "cover_ratio"]].isna().all()
    (said,) = quality.findings(reports=lost["reports"]).query("check == 'no_transactions'")["severity"]
    assert said == "high"


def test_a_sheet_says_first_that_nothing_is_read(tmp_path):
    for name, entries in (("null", None), ("empty", [{}]), ("amounts", [paid("2025-02-01", None, "X", "EUR")])):
        lost = report([statement(*WHOLE.values())], entries)
        lost["id"] = "0" * 24
        (tmp_path / f"{name}.json").write_text(json.dumps({"report": lost}))
        store = Store(tmp_path / name)
        import_files(tmp_path / f"{name}.json", store)
        html = company.render(company.analyse(store.snapshot(), COMPANY))
        assert html.index("Read this first") < html.index("What is behind it")
        assert "None seen" not in html
        assert html.count("Unknown: no bank report has entries that can all be read.") == 5
        assert "&lt;NA&gt;" not in html


def test_a_chart_counts_no_company_twice():
    found = tidied(MIXED)
    parties = cashflow.counterparty_concentration(found["transactions"], found["reports"])
    with pytest.raises(InputError, match="several currencies"):
        charts.plot_counterparty_concentration(parties)
    charts.plot_counterparty_concentration(cashflow.in_main_currency(parties)[0])
