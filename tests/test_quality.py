"""The ledger on documented and hand-made statements, coverage by the calendar, and every oddity as a row."""

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_analytics.analysis import quality
from xray_analytics.analysis.days import covered
from xray_analytics.analysis.quality.reconciliation import LEDGER
from xray_analytics.errors import InputError
from xray_analytics.tables import DRIFT, MOVEMENT_METRICS, QUARANTINE, REPORTS, STATEMENT_SUMMARIES, TRANSACTIONS


def statements_of(*rows, **more):
    """From (account, start, end, start balance, credits, debits, end balance), of report `r`."""
    names = ["account_no", "start_date", "end_date", "start_balance", "total_credit", "total_debit", "end_balance"]
    frame = pd.DataFrame(rows, columns=names).assign(report_id="r", report_version=1, statement_no=range(len(rows)))
    frame = frame.assign(movements="correct").assign(**more)
    for name in ("start_date", "end_date"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return STATEMENT_SUMMARIES.conform(frame.astype({"account_no": "Int64"}))


def entries_of(*rows):
    """From (account, day, amount, balance after), of report `r`."""
    frame = pd.DataFrame(rows, columns=["account_no", "booked_date", "amount", "balance_after"])
    frame["booked_date"] = pd.to_datetime(frame["booked_date"]).astype("datetime64[us]")
    frame = frame.astype({"account_no": "Int64", "amount": "float64", "balance_after": "float64"})
    return TRANSACTIONS.conform(frame.assign(report_id="r", report_version=1, transaction_no=range(len(rows))))


def metric(period, annualised):
    frame = pd.DataFrame({"metric": ["totalDebitAmount"], "period_value": period, "annualised_value": annualised})
    return MOVEMENT_METRICS.conform(frame.assign(report_id="r", report_version=1))


def verdicts(ledger, item):
    return ledger[ledger["item"] == item]["verdict"].tolist()


DOCUMENTED = statements_of((0, "2021-07-31", "2021-08-31", 166623.16, 164341.91, 68226.41, 262738.66))
TWO = statements_of(
    (0, "2024-12-31", "2025-01-31", 100.0, 30.0, 50.1, 79.9), (0, "2025-01-31", "2025-02-28", 79.9, 0.3, 0.1, 80.1)
)  # fmt: skip
ENTRIES = entries_of(
    (0, "2025-01-02", 30.0, 130.0),
    (0, "2025-01-31", -50.1, 79.9),  # the end day belongs to the statement
    (0, "2025-02-01", 0.1, 80.0),
    (0, "2025-02-01", 0.2, 80.2),
    (0, "2025-02-01", -0.1, 80.1),
)


def test_the_documented_sample():
    ledger = quality.reconciliation(DOCUMENTED, TRANSACTIONS.empty(), metric(68226.41, 803310.96))
    row = ledger[ledger["check"] == "arithmetic"].iloc[0]
    assert (row["expected"], row["observed"], row["difference"], row["verdict"]) == (262738.66, 262738.66, 0.0, "ok")
    year = ledger[ledger["check"] == "annualised"].iloc[0]
    assert (year["expected"], year["observed"], year["verdict"]) == (803310.9565, 803310.96, "ok")
    assert (year["difference"], year["tolerance"]) == (0.0035, 0.01)
    assert ledger["statement_no"].isna().tolist() == [False] * 5 + [True]
    times_12 = quality.reconciliation(DOCUMENTED, TRANSACTIONS.empty(), metric(68226.41, 68226.41 * 12))
    assert verdicts(times_12, "totalDebitAmount") == ["off"]
    assert verdicts(ledger, "total_credit") == verdicts(ledger, "balance_after") == ["unknown"]


def test_two_statements_that_agree_in_everything():
    ledger = quality.reconciliation(TWO, ENTRIES, metric(59.0, 365.0))
    assert set(ledger["verdict"]) == {"ok"}
    assert (ledger["difference"].abs() <= ledger["tolerance"]).all()
    assert ledger["check"].tolist() == [
        "arithmetic",
        "transactions",
        "transactions",
        "running_balance",
        "service_verdict",
        "arithmetic",
        "chain",
        "chain",
        "transactions",
        "transactions",
        "running_balance",
        "service_verdict",
        "annualised",
    ]
    assert list(ledger.columns) == list(LEDGER.names)
    assert LEDGER.conform(ledger).num_rows == 13
    assert ledger[ledger["item"] == "total_credit"]["observed"].tolist() == [30.0, 0.3]
    assert ledger[ledger["item"] == "balance_after"]["expected"].tolist() == [3, 4]
    assert ledger.attrs["base"]["used"] == 2


def test_differences_are_exact():
    off = statements_of((0, "2024-12-31", "2025-01-31", 0.1, 0.2, 0.0, 0.31))
    row = quality.reconciliation(off, TRANSACTIONS.empty()).iloc[0]
    assert (row["difference"], row["verdict"]) == (0.01, "off")
    fine = statements_of((0, "2024-12-31", "2025-01-31", 0.1, 0.2, 0.0, 0.3))
    assert quality.reconciliation(fine, TRANSACTIONS.empty())["difference"][0] == 0.0  # 0.1 + 0.2 as floats is not 0.3
    frame = pd.DataFrame(STATEMENT_SUMMARIES.to_pandas(fine, money="decimal"))
    assert quality.reconciliation(frame, TRANSACTIONS.empty())["difference"][0] == 0.0
    huge = statements_of((0, "2024-12-31", "2025-01-31", 1e12, 0.0, 0.0, 1e12))
    assert quality.reconciliation(huge, TRANSACTIONS.empty())["verdict"][0] == "unknown"


def test_chain__gap_overlap_and_a_jump_of_the_balance():
    book = statements_of(
        (0, "2024-12-31", "2025-01-31", 0.0, 0.0, 0.0, 0.0),
        (0, "2025-02-02", "2025-02-28", 0.0, 0.0, 0.0, 0.0),  # two days missing
        (0, "2025-02-27", "2025-03-31", 0.0, 0.0, 0.0, 0.0),  # one day twice
        (1, "2024-12-31", "2025-01-31", 0.0, 0.0, 0.0, 5.0),
        (1, "2025-01-31", "2025-02-28", 7.0, 0.0, 0.0, 7.0),
    )
    ledger = quality.reconciliation(book, TRANSACTIONS.empty())
    chain = ledger[ledger["check"] == "chain"]
    assert chain[chain["item"] == "gap_days"]["observed"].tolist() == [2, -1, 0]
    assert verdicts(chain, "gap_days") == ["off", "off", "ok"]
    assert verdicts(chain, "start_balance") == ["unknown", "unknown", "off"]
    assert chain["difference"].tolist()[-1] == 2.0
    nameless = STATEMENT_SUMMARIES.conform(book.drop_columns("account_no"))  # accounts cannot be told apart
    assert set(verdicts(quality.reconciliation(nameless, TRANSACTIONS.empty()), "gap_days")) == {"unknown"}


def test_transactions__a_lost_entry_is_off_and_an_unreadable_one_makes_it_unknown():
    lost = quality.reconciliation(TWO, ENTRIES.slice(1))
    assert verdicts(lost, "total_credit") == ["off", "ok"]
    assert lost[lost["item"] == "total_credit"]["difference"].tolist() == [-30.0, 0.0]
    assert verdicts(lost, "balance_after") == ["off", "ok"]
    poor = entries_of((0, "2025-01-02", None, 130.0), (0, "2025-02-01", 0.3, 80.2))
    ledger = quality.reconciliation(TWO, poor)
    assert set(ledger[ledger["check"] == "transactions"]["verdict"]) == {"unknown"}
    assert ledger.attrs["base"]["excluded"] == {"entries_outside_statements": 0, "entries_without_day_or_amount": 1}
    outside = entries_of((0, "2024-12-31", 5.0, 5.0), (0, "2025-01-02", 30.0, 1.0))
    base = quality.reconciliation(TWO, outside).attrs["base"]
    assert base["excluded"] == {"entries_outside_statements": 1, "entries_without_day_or_amount": 0}
    stray = entries_of((0, "2025-01-02", 30.0, 130.0), (None, "2025-01-02", -50.1, 79.9))
    assert set(verdicts(quality.reconciliation(TWO, stray), "total_debit")) == {"unknown"}


def test_running_balance__one_wrong_balance_breaks_two_steps():
    wrong = entries_of((0, "2025-01-02", 30.0, 130.5), (0, "2025-01-31", -50.1, 79.9), (0, "2025-02-01", 0.2, 80.1))
    ledger = quality.reconciliation(TWO, wrong)
    rows = ledger[ledger["check"] == "running_balance"]
    assert rows["difference"].tolist() == [-2, 0]
    assert rows["verdict"].tolist() == ["off", "ok"]
    blind = entries_of((0, "2025-01-02", 30.0, None), (0, "2025-01-31", -50.1, 79.9), (0, "2025-02-01", 0.2, 80.1))
    assert verdicts(quality.reconciliation(TWO, blind), "balance_after") == ["unknown", "ok"]


def test_service_verdict__disagreement_is_off_and_silence_unknown():
    for word, end, verdict in (
        ("correct", 1.0, "ok"),
        ("incorrect", 1.0, "off"),
        ("incorrect", 2.0, "ok"),
        (None, 1.0, "unknown"),
    ):
        book = statements_of((0, "2024-12-31", "2025-01-31", 1.0, 0.0, 0.0, end), movements=pd.array([word], "string"))
        assert verdicts(quality.reconciliation(book, TRANSACTIONS.empty()), "movements") == [verdict]


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(5)), st.permutations(range(2)))
def test_order_of_rows_never_matters(entries, statements):
    want = quality.reconciliation(TWO, ENTRIES, metric(59.0, 365.0))
    got = quality.reconciliation(TWO.take(statements), ENTRIES.take(entries), metric(59.0, 365.0))
    pd.testing.assert_frame_equal(got, want)


def test_engines_agree_and_inputs_stay_as_they_are():
    tables = (STATEMENT_SUMMARIES, TWO), (TRANSACTIONS, ENTRIES), (MOVEMENT_METRICS, metric(59.0, 365.0))
    frames = [table.to_pandas(data) for table, data in tables]
    kept = [frame.copy(deep=True) for frame in frames]
    want = quality.reconciliation(*(data for _, data in tables))
    connection = duckdb.connect()
    for given_frames in (frames, [connection.from_arrow(data) for _, data in tables]):
        pd.testing.assert_frame_equal(quality.reconciliation(*given_frames), want, rtol=1e-9)
    for frame, copy in zip(frames, kept, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


def test_a_second_version_has_its_own_rows_and_replaces_the_first_in_findings():
    old = STATEMENT_SUMMARIES.to_pandas(statements_of((0, "2024-12-31", "2025-01-31", 1.0, 0.0, 0.0, 2.0)))
    new = old.assign(report_version=2, end_balance=1.0)
    both = STATEMENT_SUMMARIES.conform(pd.concat([new, old.astype({"report_version": "int64"})]))
    ledger = quality.reconciliation(both, TRANSACTIONS.empty())
    assert verdicts(ledger, "end_balance") == ["off", "ok"]
    assert "arithmetic" not in quality.findings(ledger)["check"].tolist()


INTERVALS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(0, 20)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(INTERVALS)
def test_covered_days_are_those_of_a_set(intervals):
    frame = pd.DataFrame([(k, s, s + n) for k, s, n in intervals], columns=["key", "start", "end"])
    runs = covered(frame.astype({"start": "int64", "end": "int64"}), "key")
    want = {(k, day) for k, s, n in intervals for day in range(s + 1, s + n + 1)}
    got = [(r.key, day) for r in runs.itertuples() for day in range(int(r.after) + 1, int(r.until) + 1)]
    assert len(got) == len(set(got))
    assert set(got) == want
    assert not {(r.key, r.until) for r in runs.itertuples()} & {(r.key, r.after) for r in runs.itertuples()}


def reports_of(*rows):
    """From (id, company, created, rated, data sanity)."""
    names = ["report_id", "company_id", "created_at", "is_rated", "data_sanity_pct"]
    frame = pd.DataFrame(rows, columns=names).assign(
        report_version=1, product="bank", is_backfilled=False, raw_sha256="0"
    )
    at = pd.to_datetime(frame["created_at"], utc=True).astype("datetime64[us, UTC]")
    frame["created_at"] = frame["available_at"] = frame["fetched_at"] = at
    return REPORTS.conform(frame)


def test_coverage__counts_days_once_and_whole_months():
    book = statements_of(
        (0, "2024-12-31", "2025-01-31", 0.0, 0.0, 0.0, 0.0),
        (1, "2025-01-15", "2025-03-30", 0.0, 0.0, 0.0, 0.0),
        (0, "2025-04-30", "2025-07-31", 0.0, 0.0, 0.0, 0.0),
    )
    reports = reports_of(("r", "a", "2025-08-02", True, 100.0), ("s", "b", "2025-08-02", True, 100.0))
    table = quality.coverage(book, reports, as_of="2025-08-10")
    assert table.to_numpy().tolist() == [
        ["a", pd.Timestamp("2025-01-01"), pd.Timestamp("2025-07-31"), 89 + 92, 31, 5, 10, False]
    ]
    assert [table.dtypes.astype(str)[name] for name in ("first_day", "n_months", "is_under_6_months")] == [
        "datetime64[us]", "Int64", "boolean",
    ]  # fmt: skip
    assert quality.coverage(book, reports, as_of="2025-08-01").shape == (0, 8)  # not available yet
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    relations = connection.from_arrow(book), connection.from_arrow(reports)
    pd.testing.assert_frame_equal(quality.coverage(*relations, as_of="2025-08-10"), table)


def test_findings__worst_first_with_company():
    reports = reports_of(
        ("r", "a", "2025-08-02", True, 60.0),
        ("s", "b", "2025-08-02", False, 60.0),
        ("t", None, "2025-08-02", True, 90.0),
    )
    book = statements_of((0, "2024-12-31", "2025-01-31", 1000.0, 500.0, 0.0, 9999.5))
    ledger = quality.reconciliation(book, TRANSACTIONS.empty())
    now = pd.to_datetime(["2025-08-02"], utc=True).astype("datetime64[us, UTC]")
    lost = QUARANTINE.conform(
        pd.DataFrame({"raw_sha256": "0", "object_id": "q", "stage": "decode", "code": "not_json", "fetched_at": now})
    )
    drift = DRIFT.conform(
        pd.DataFrame(
            {
                "source": "bank_xray",
                "json_path": "raw.x",
                "problem": ["unknown_member"] * 2,
                "n_reports": [2, 3],
                "commit": [1, 2],
            }
        )
    )
    coverage = quality.coverage(book, reports, as_of="2025-08-10")
    table = quality.findings(ledger, coverage, reports, drift, lost)
    shown = table[["severity", "check", "report_id", "company_id", "n"]].astype(object)
    assert shown.where(shown.notna(), None).to_numpy().tolist() == [
        ["high", "arithmetic", "r", "a", 1],
        ["high", "quarantine", "q", None, 1],
        ["high", "rated_below_70", "r", "a", 1],
        ["medium", "no_company", "t", None, 1],
        ["medium", "service_verdict", "r", "a", 1],
        ["medium", "short_history", None, "a", 31],
        ["medium", "unrated", "s", "b", 1],
        ["low", "drift", None, None, 5],
        ["low", "running_balance", None, None, 1],
        ["low", "transactions", None, None, 2],
    ]  # fmt: skip
    sentences = table["finding"].tolist()
    assert sentences[0] == "Start balance + credits - debits is not the end balance: 1 times, by up to 8,499.50."
    assert sentences[7] == "Unknown member at raw.x of bank_xray, in 5 reports."
    assert sentences[9] == "The check transactions could not be done 2 times of 2."
    assert table.dtypes.astype(str).to_dict()["n"] == "Int64"


def test_empty_tables_give_typed_results():
    ledger = quality.reconciliation(STATEMENT_SUMMARIES.empty(), TRANSACTIONS.empty(), MOVEMENT_METRICS.empty())
    assert ledger.shape == (0, 10)
    assert ledger.dtypes.astype(str).to_dict()["difference"] == "float64"
    assert quality.reconciliation(STATEMENT_SUMMARIES.empty(), ENTRIES).attrs["base"]["excluded"] == {
        "entries_outside_statements": 5, "entries_without_day_or_amount": 0,
    }  # fmt: skip
    coverage = quality.coverage(STATEMENT_SUMMARIES.empty(), REPORTS.empty(), as_of="2025-01-01")
    assert coverage.shape == (0, 8)
    assert quality.findings().shape == (0, 6)
    assert quality.findings(ledger, coverage, REPORTS.empty(), DRIFT.empty(), QUARANTINE.empty()).shape == (0, 6)


def test_wrong_frames_raise():
    with pytest.raises(InputError, match="frame of statement_summaries lacks end_date"):
        quality.reconciliation(TWO.drop_columns("end_date"), ENTRIES)
    with pytest.raises(InputError, match="frame of transactions lacks amount"):
        quality.reconciliation(TWO, ENTRIES.drop_columns("amount"))
    with pytest.raises(InputError, match=r"transactions .*amount \(money expected, String found\)"):
        quality.reconciliation(TWO, TRANSACTIONS.to_pandas(ENTRIES).assign(amount="1,00"))
    with pytest.raises(InputError, match="frame of reports lacks report_version"):
        quality.coverage(TWO, pd.DataFrame({"report_id": []}), as_of="2025-01-01")
    with pytest.raises(InputError, match="frame of reconciliation lacks"):
        quality.findings(reconciliation=TWO)
