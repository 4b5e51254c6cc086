"""Can I trust it? What the statements cover, whether their figures agree, and every oddity as a row.

`reconciliation` is the ledger (see `analysis.ledger`), `coverage` says which days there are, and `findings`
puts these and what the tidying noticed into one list; `sensitivity` shows what a figure owes to poor data. An oddity
is information about the data, not about the company.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ...schema import Column, Table
from ...tables import (
    COMPANY_ID,
    DRIFT,
    MAX_UNREAD_RATIO,
    MINIMUM_DATA_SANITY_PCT,
    QUARANTINE,
    SEVERITIES,
    STATEMENT_SUMMARIES,
)
from .. import frames
from ..days import covered, days
from ..frames import AsOf, Frame
from .contradictions import contradictions
from .reconciliation import LEDGER, reconciliation
from .sensitivity import sensitivity

__all__ = ["coverage", "findings", "reconciliation", "sensitivity", "unread"]

_SIX_MONTHS = 181  # days: January to June, the shortest half-year from the first of a month
COVERAGE = Table(
    "coverage",
    "One row per company, the result of coverage.",
    (
        COMPANY_ID,
        Column("first_day", "date", "First day covered by a statement."),
        Column("last_day", "date", "Last day covered by a statement."),
        Column("n_days_covered", "int", "Days that at least one statement covers.", unit="days", lo=0),
        Column("n_gap_days", "int", "Days between the first and the last that none covers.", unit="days", lo=0),
        Column("n_months", "int", "Calendar months with every day covered.", lo=0),
        Column("freshness_days", "int", "Days from the last day covered to the day of the question.", unit="days"),
        Column("is_under_6_months", "bool", "Fewer than 181 days covered."),
    ),
    ("company_id",),
)
FINDINGS = Table(
    "findings",
    "One row per oddity, the result of findings.",
    (
        Column("severity", "text", "High, medium or low.", choices=SEVERITIES, required=True),
        Column("check", "text", "What noticed it.", required=True),
        Column("report_id", "id", "Report; null where it is about more or less than one."),
        COMPANY_ID,
        Column("n", "int", "How many statements, days, reports or payloads.", unit="count", lo=0),
        Column("finding", "text", "One sentence.", required=True),
    ),
    ("check", "report_id", "company_id", "finding"),
)
_LEDGER_SENTENCES = {
    "arithmetic": ("high", "Start balance + credits - debits is not the end balance"),
    "transactions": ("high", "The entries do not add up to the statement's totals"),
    "chain": ("medium", "Statements of an account do not follow each other"),
    "running_balance": ("medium", "Running balances do not step by the amounts"),
    "service_verdict": ("medium", "The service's verdict on the movements and the arithmetic disagree"),
    "annualised": ("low", "Annualised figures are not period * 365 / days"),
}
_DRIFT_COLUMNS = ("source", "json_path", "problem", "n_reports", "first_report_id")
_WRONG_CODE = "A code that cannot be a company's and joins nothing, kept as sent,"
_DRIFT_SEVERITY = {"unknown_member": "low", "sub_cent": "low", "wrong_code": "high"}  # anything else is medium


def coverage(statements: Frame, reports: Frame, *, as_of: AsOf) -> pd.DataFrame:
    """Which days of each company the statements cover, over all its bank reports.

    Parameters
    ----------
    statements
        The table `statement_summaries`. A statement covers the days after its start up to its end.
    reports
        The table `reports`; of each the newest version available by `as_of` counts.
    as_of
        The day to which freshness is counted.

    Returns
    -------
    DataFrame
        The columns of `COVERAGE`: `company_id`, `first_day`, `last_day`, `n_days_covered` (by at least one
        statement of any account), `n_gap_days`, `n_months` (calendar months covered to the day),
        `freshness_days` (larger is staler), `is_under_6_months` (fewer than 181 days: annualised figures are
        weak). Sorted by company; no row for companies without a dated statement. ``attrs["base"]``: companies
        used, and statements without days or company.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or `as_of` is no date.

    Examples
    --------
    >>> from xray_analytics.tables import REPORTS
    >>> reports = REPORTS.example(report_id="a", company_id="732829320", created_at="2025-04-02")
    >>> statements = STATEMENT_SUMMARIES.example(
    ...     report_id="a", start_date=["2024-12-31", "2025-02-28"], end_date=["2025-01-31", "2025-03-31"],
    ... )
    >>> coverage(statements, reports, as_of="2025-04-10").iloc[:, 3:7]
       n_days_covered  n_gap_days  n_months  freshness_days
    0              62          28         2              10
    """
    seen = frames.newest_reports(reports, product="bank", as_of=as_of)
    columns = ("report_id", "report_version", "start_date", "end_date")
    rows = frames.collect(frames.scan(statements, STATEMENT_SUMMARIES, columns), STATEMENT_SUMMARIES)
    rows = rows.merge(seen[["report_id", "report_version", "company_id"]], on=["report_id", "report_version"])
    dated = rows.assign(start=days(rows["start_date"]), end=days(rows["end_date"]))
    dated = dated.dropna(subset=["company_id", "start", "end"])
    runs = covered(dated, "company_id")
    runs = runs.assign(n_days=runs["until"] - runs["after"], n_months=_whole_months(runs))
    table = runs.groupby("company_id").agg(
        after=("after", "min"), until=("until", "max"), n_days_covered=("n_days", "sum"), n_months=("n_months", "sum")
    )
    table["first_day"], table["last_day"] = _dates(table["after"] + 1), _dates(table["until"])
    table["n_gap_days"] = table["until"] - table["after"] - table["n_days_covered"]
    table["freshness_days"] = (frames.day(as_of) - table["last_day"]).dt.days
    table["is_under_6_months"] = table["n_days_covered"] < _SIX_MONTHS
    result = frames.typed(table.reset_index(), COVERAGE)
    excluded = {"statements_without_days_or_company": len(rows) - len(dated)}
    result.attrs["base"] = frames.base(len(result), seen, excluded=excluded, as_of=as_of)
    return result


def findings(  # noqa: PLR0913 - each is one thing that may be odd
    reconciliation: Frame | None = None,
    coverage: Frame | None = None,
    reports: Frame | None = None,
    drift: Frame | None = None,
    quarantine: Frame | None = None,
    *,
    companies: Frame | None = None,
    loans: Frame | None = None,
    exposures: Frame | None = None,
    outcomes: Frame | None = None,
) -> pd.DataFrame:
    """Every oddity as a row, worst first, from whatever is given.

    Parameters
    ----------
    reconciliation, coverage
        The results of the functions of that name.
    reports, drift, quarantine
        The tables of that name. With `reports` only its newest versions are looked at, and rows carry the
        company.
    companies, loans, exposures, outcomes
        The lender's tables: an end before its start, a day after the row was recorded, an empty id.

    Returns
    -------
    DataFrame
        The columns of `FINDINGS`: `severity` (high: figures contradict each other or a payload is missing;
        medium: figures are weak; low: worth knowing), `check`, `report_id`, `company_id`, `n`, `finding`.
        Sorted by severity, check, then `n` downwards, ties by report and company. No row is no finding among
        the checks that could be done; those that could not are rows too. Given nothing, it is empty.

    Raises
    ------
    InputError
        A column is absent or of the wrong type; the message names it and its table.

    Examples
    --------
    >>> lost = pd.DataFrame({"object_id": ["61e1a2b3c4d5e6f708192a3b"], "stage": "decode", "code": "not_json"})
    >>> print(*findings(quarantine=lost).loc[0, ["severity", "finding"]])
    high The payload could not be understood (decode: not_json).
    """
    columns = (
        "is_rated", "data_sanity_pct", "n_accounts", "n_transactions", "n_unread_transactions", "total_credit",
        "total_debit",
    )  # fmt: skip
    seen = None if reports is None else frames.newest_reports(reports, columns)
    parts = [frames.typed(pd.DataFrame(), FINDINGS)]
    if reconciliation is not None:
        parts += _of_ledger(frames.collect(frames.scan(reconciliation, LEDGER, LEDGER.names), LEDGER), seen)
    if coverage is not None:
        parts += _of_coverage(frames.collect(frames.scan(coverage, COVERAGE, COVERAGE.names), COVERAGE))
    if seen is not None:
        parts += _of_reports(seen)
    if drift is not None:
        parts.append(_of_drift(frames.collect(frames.scan(drift, DRIFT, _DRIFT_COLUMNS), DRIFT)))
    if quarantine is not None:
        lost = frames.scan(quarantine, QUARANTINE, ("object_id", "stage", "code"))
        parts.append(_of_quarantine(frames.collect(lost, QUARANTINE)))
    lender = {"companies": companies, "loans": loans, "exposures": exposures, "outcomes": outcomes}
    parts.append(contradictions({name: frame for name, frame in lender.items() if frame is not None}))
    table = pd.concat([frames.typed(part, FINDINGS) for part in parts if len(part)] or parts[:1], ignore_index=True)
    if seen is not None:
        company = table["report_id"].map(seen.set_index("report_id")["company_id"])
        table["company_id"] = table["company_id"].fillna(company)
    rank = pd.DataFrame({"rank": table["severity"].map(SEVERITIES.index).astype("int64"), "minus": -table["n"]})
    order = ["rank", "check", "minus", "report_id", "company_id", "finding"]
    return table.join(rank).sort_values(order, ignore_index=True).drop(columns=["rank", "minus"])


def _whole_months(runs: pd.DataFrame) -> Any:
    """Calendar months from the first to the last day of each run that it covers entirely."""
    first = _days64(runs["after"] + 1)
    stop = _days64(runs["until"] + 1)  # the day after: a month counts when its last day is before it
    begins = first.astype("datetime64[M]")
    begins = begins + (begins.astype("datetime64[D]") < first)
    return np.maximum((stop.astype("datetime64[M]") - begins).astype("int64"), 0)


def _days64(numbers: pd.Series[Any]) -> np.ndarray:
    return numbers.to_numpy("int64").astype("datetime64[D]")


def _dates(numbers: pd.Series[Any]) -> pd.Series[Any]:
    return pd.Series(_days64(numbers).astype("datetime64[us]"), numbers.index)


def _of_ledger(ledger: pd.DataFrame, seen: pd.DataFrame | None) -> Iterable[pd.DataFrame]:
    """One row per report and check that is off, and one per check that could not be done."""
    if seen is None:
        newest = ledger.groupby("report_id")["report_version"].transform("max")
        ledger = ledger[ledger["report_version"] == newest]
    else:
        ledger = ledger.merge(seen[["report_id", "report_version"]], on=["report_id", "report_version"])
    off = ledger[ledger["verdict"] == "off"].assign(size=lambda t: t["difference"].abs())
    groups = off.groupby(["report_id", "check"]).agg(n=("check", "size"), largest=("size", "max")).reset_index()
    severity, sentence = (groups["check"].map({k: v[i] for k, v in _LEDGER_SENTENCES.items()}) for i in (0, 1))
    numbers = zip(sentence, groups["n"], groups["largest"], strict=True)
    sentences = [f"{text}: {n} times, by up to {largest:,.2f}." for text, n, largest in numbers]
    yield groups.assign(finding=sentences, severity=severity)
    undone = (ledger["verdict"] == "unknown").groupby(ledger["check"]).agg(n="sum", total="size").reset_index()
    undone = undone[undone["n"] > 0]
    sentences = [f"The check {r.check} could not be done {r.n} times of {r.total}." for r in undone.itertuples()]
    yield undone.assign(finding=sentences, severity="low")


def _of_coverage(table: pd.DataFrame) -> Iterable[pd.DataFrame]:
    gaps = table[table["n_gap_days"] > 0]
    sentences = [
        f"{r.n_gap_days} days between {r.first_day:%Y-%m-%d} and {r.last_day:%Y-%m-%d} are in no statement."
        for r in gaps.itertuples()
    ]
    yield gaps.assign(severity="medium", check="gap", n=gaps["n_gap_days"], finding=sentences)
    short = table[table["is_under_6_months"]]
    sentences = [f"Statements cover {n} days, less than six months." for n in short["n_days_covered"]]
    yield short.assign(severity="medium", check="short_history", n=short["n_days_covered"], finding=sentences)


def _of_reports(seen: pd.DataFrame) -> Iterable[pd.DataFrame]:
    bank = seen[seen["product"] == "bank"]
    low = bank["data_sanity_pct"] < MINIMUM_DATA_SANITY_PCT
    odd = (
        (seen["company_id"].isna(), "no_company", "medium", "The report names no company."),
        (low & bank["is_rated"], "rated_below_70", "high", "Rated although data sanity is below 70."),
        (low & ~bank["is_rated"], "unrated", "medium", "No rating: data sanity is below 70."),
        (~low & ~bank["is_rated"], "unrated", "medium", "No rating, and data sanity does not say why."),
        (seen["is_backfilled"], "backfilled", "low", "First fetched long after its creation."),
    )
    for hit, check, severity, sentence in odd:
        rows = seen.loc[hit.index[hit.fillna(False)]]
        yield rows.assign(severity=severity, check=check, n=1, finding=sentence)
    yield from _of_transactions(bank)


def unread(reports: Frame) -> tuple[int, int]:
    """Transactions without amount or day, and all transactions, of the reports in which they are more than 1 in 100.

    Examples
    --------
    >>> created = pd.to_datetime(["2025-04-02"] * 2, utc=True)
    >>> unread(pd.DataFrame({
    ...     "report_id": ["a", "b"], "report_version": 1, "company_id": "732829320", "product": "bank",
    ...     "created_at": created, "available_at": created, "is_backfilled": False,
    ...     "n_transactions": [200, 300], "n_unread_transactions": [2, 30],
    ... }))
    (30, 300)
    """
    reports = frames.newest_reports(reports, ("n_transactions", "n_unread_transactions"), product="bank")
    poor = reports[reports["n_unread_transactions"] > MAX_UNREAD_RATIO * reports["n_transactions"]]
    return int(poor["n_unread_transactions"].sum()), int(poor["n_transactions"].sum())


def _of_transactions(bank: pd.DataFrame) -> Iterable[pd.DataFrame]:
    """Reports whose transactions lack amount or day, and those that list none although money moved or may have."""
    lost = bank[(bank["n_unread_transactions"] > 0).fillna(False).astype(bool)]
    numbers = zip(lost["n_unread_transactions"], lost["n_transactions"], strict=True)
    sentences = [f"{n:,} of {of:,} transactions have no amount or no day: see `xray inspect`." for n, of in numbers]
    is_poor = lost["n_unread_transactions"] > MAX_UNREAD_RATIO * lost["n_transactions"]
    severity = np.where(is_poor.to_numpy(bool), "high", "medium")
    yield lost.assign(
        severity=severity, check="unread_transactions", n=lost["n_unread_transactions"], finding=sentences
    )
    moved = (bank["total_credit"].fillna(0) != 0) | (bank["total_debit"].fillna(0) != 0)
    none = bank["n_transactions"].fillna(0) == 0
    untold = bank["n_transactions"].isna() & (bank["total_credit"].isna() | bank["total_debit"].isna())
    untold &= (bank["n_accounts"] > 0).fillna(False).astype(bool)
    for hit, grade, beside in (
        (none & moved, "medium", "although its statements say that money moved"),
        (untold & ~moved, "high", "and its statements give no totals: what moved is unknown"),
    ):
        sentence = f"The report lists no transactions, {beside}."
        yield bank[hit].assign(severity=grade, check="no_transactions", n=1, finding=sentence)


def _of_drift(table: pd.DataFrame) -> pd.DataFrame:
    keys = ["source", "json_path", "problem"]
    ordered = table.sort_values("first_report_id")
    groups = ordered.groupby(keys).agg(n=("n_reports", "sum"), report_id=("first_report_id", "first")).reset_index()
    wrong = groups["problem"] == "wrong_code"
    problem = groups["problem"].str.replace("_", " ").str.capitalize().mask(wrong, _WRONG_CODE)
    parts = zip(problem, groups["json_path"], groups["source"], groups["n"], strict=True)
    sentences = [f"{what} at {path} of {source}, in {n} reports." for what, path, source, n in parts]
    severity = [_DRIFT_SEVERITY.get(problem, "medium") for problem in groups["problem"]]
    check = pd.Series("drift", groups.index).mask(wrong, "company_code")
    return groups.assign(severity=severity, check=check, finding=sentences)


def _of_quarantine(table: pd.DataFrame) -> pd.DataFrame:
    groups = table.groupby(["object_id", "stage", "code"], dropna=False).size().rename("n").reset_index()
    sentences = [f"The payload could not be understood ({r.stage}: {r.code})." for r in groups.itertuples()]
    return groups.assign(report_id=groups["object_id"], severity="high", check="quarantine", finding=sentences)
