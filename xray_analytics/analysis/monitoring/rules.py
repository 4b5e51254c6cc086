"""The rules of the watch list: what each looks at, and when it holds.

A rule reads a `Book` and its settings and returns the companies that meet it. A rule that the data do not allow to
judge gives no row; `unjudged` counts those companies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from ...errors import InputError
from ...schema import Column, Table
from ...tables import COMPANY_KEY, REPORT_ID, RISK_CLASSES, SEVERITIES
from .. import frames
from ..cashflow.incidents import INCIDENTS
from ..cashflow.metrics import counted_months, operating_or_all
from ..cashflow.recurring import STREAMS
from ..frames import AsOf, Frame
from ..guards import is_number, on_scale

Rule: TypeAlias = Mapping[str, Any]

_WORST_CLASS = RISK_CLASSES[-1]
WATCH = Table(
    "watch",
    "One row per company and rule that it meets, the result of watch_list.",
    (
        COMPANY_KEY,
        Column("rule", "text", "Name of the rule.", required=True),
        Column("severity", "text", "High, medium or low.", choices=SEVERITIES, required=True),
        Column("before", "float", "What the rule compares with; null where there is nothing."),
        Column("after", "float", "What it found."),
        Column("evidence", "text", "One sentence with numbers and dates.", required=True),
        REPORT_ID,
        Column("first_seen", "date", "First day on which the rule held."),
    ),
    ("company_id", "rule"),
)


@dataclass(frozen=True)
class Book:
    """What the rules look at: bank reports with what came before them, months, incidents, streams, and the day."""

    newest: pd.DataFrame  # the newest report of each company, with the columns of `_with_history`
    months: pd.DataFrame  # complete months, numbered: `number` grows by 1 a month, `age` is 0 in the last one
    incidents: pd.DataFrame  # of reports seen, with `age_days` before the company's last statement day
    streams: pd.DataFrame  # with the columns of `newest`
    day: pd.Timestamp
    given: frozenset[str]  # which of the two frames were


def book_of(
    reports: Frame, flows: Frame, as_of: AsOf, incidents: Frame | None, recurring: Frame | None
) -> tuple[Book, pd.DataFrame]:
    """The book as of a day, and the reports seen."""
    columns = ("bank_risk_class", "period_end_date")
    seen = frames.newest_reports(reports, columns, product="bank", as_of=as_of)
    history = _with_history(seen[seen["company_id"].notna()])
    newest = frames.newest_of_each_company(history)
    wanted = ("company_id", "side", "counterparty", "category", "amount", "period", "first_date", "last_date")
    streams = frames.collect(frames.scan(_or_empty(recurring, STREAMS), STREAMS, wanted), STREAMS)
    given = {"incidents": incidents, "recurring": recurring}
    book = Book(
        newest=newest,
        months=_months(flows, history),
        incidents=_incidents(_or_empty(incidents, INCIDENTS), history),
        streams=streams.merge(newest, on="company_id"),
        day=frames.day(as_of),
        given=frozenset(name for name, frame in given.items() if frame is not None),
    )
    return book, seen


def _or_empty(frame: Frame | None, table: Table) -> Frame:
    return frames.typed(pd.DataFrame(), table) if frame is None else frame


def _months(flows: Frame, history: pd.DataFrame) -> pd.DataFrame:
    _, months, _ = counted_months(flows, ("report_id", "n_negative_days", "n_days_covered"))
    months = operating_or_all(months.merge(history[["report_id", "created_at"]], on="report_id"))
    return months.assign(age=months.groupby(["company_id", "currency"])["number"].transform("max") - months["number"])


def _incidents(incidents: Frame, history: pd.DataFrame) -> pd.DataFrame:
    wanted = ("company_id", "incident", "incident_date", "report_id", "evidence")
    table = frames.collect(frames.scan(incidents, INCIDENTS, wanted), INCIDENTS)
    table = table.merge(history[["report_id", "created_at", "last_statement_day"]], on="report_id")
    return table.assign(age_days=(table["last_statement_day"] - table["incident_date"]).dt.days)


def _with_history(reports: pd.DataFrame) -> pd.DataFrame:
    """Each report with the class and day of the one before, of the last rated one before, and of its own run."""
    on_scale(reports["bank_risk_class"], RISK_CLASSES)
    table = reports.rename(columns={"bank_risk_class": "risk_class"}).assign(day=reports["created_at"].dt.normalize())
    company = table["company_id"]
    table["previous_class"] = table.groupby(company)["risk_class"].shift()
    table["previous_day"] = table.groupby(company)["day"].shift()
    rated_day = table["day"].where(table["risk_class"].notna())
    for name, values in (("rated_class", table["risk_class"]), ("rated_day", rated_day)):
        table[name] = values.groupby(company).ffill().groupby(company).shift()
    changed = table["risk_class"].fillna(0) != table["previous_class"].fillna(0)
    run = (changed | ~company.duplicated()).groupby(company).cumsum()
    table["run_start"] = table.groupby([company, run])["day"].transform("min")
    last_day = table.groupby(company)["period_end_date"].transform("max")
    return table.assign(last_statement_day=last_day)


def applied(name: str, settings: Rule, book: Book) -> pd.DataFrame:
    """The rows of one rule, as the columns of `WATCH`."""
    for setting, value in settings.items():
        if isinstance(value, float) and not is_number(value):
            raise InputError(f"the rule {name} has {setting} {value}; give a number")
    try:
        rows = RULES[name](book, settings)
        rows["severity"] = rows.get("severity", settings["severity"])
    except KeyError as error:
        raise InputError(f"the rule {name} lacks the setting {error}; see shipped_rules()") from None
    if settings["severity"] not in SEVERITIES:
        raise InputError(f"the rule {name} has severity {settings['severity']!r}; choose {', '.join(SEVERITIES)}")
    return frames.typed(rows.assign(rule=name), WATCH)


def _class_worse(book: Book, rule: Rule) -> pd.DataFrame:
    steps = book.newest["risk_class"] - book.newest["rated_class"]
    hit = (steps >= rule["at_least"]).fillna(False)
    rows = _rows(book.newest[hit], before="rated_class", after="risk_class", first_seen="day")
    high = (steps[hit] >= rule["high_from"]).to_numpy(dtype=bool)
    rows["severity"] = ["high" if is_high else rule["severity"] for is_high in high]
    rows["evidence"] = [
        f"Bank class {r.risk_class} on {r.day:%Y-%m-%d}, {r.rated_class} on {r.rated_day:%Y-%m-%d}."
        for r in rows.itertuples()
    ]
    return rows


def _class_5(book: Book, rule: Rule) -> pd.DataFrame:
    hit = (book.newest["risk_class"] == _WORST_CLASS).fillna(False)
    rows = _rows(book.newest[hit], before="previous_class", after="risk_class", first_seen="run_start")
    rows["evidence"] = [
        f"Bank class 5, the worst, on {r.day:%Y-%m-%d}, and since {r.run_start:%Y-%m-%d}." for r in rows.itertuples()
    ]
    return rows


def _newly_unrated(book: Book, rule: Rule) -> pd.DataFrame:
    hit = book.newest["risk_class"].isna() & book.newest["previous_class"].notna()
    rows = _rows(book.newest[hit], before="previous_class", after="risk_class", first_seen="day")
    rows["evidence"] = [
        f"No bank rating on {r.day:%Y-%m-%d}, class {r.previous_class} on {r.previous_day:%Y-%m-%d}."
        for r in rows.itertuples()
    ]
    return rows


def _stale_data(book: Book, rule: Rule) -> pd.DataFrame:
    age = (book.day - book.newest["last_statement_day"]).dt.days
    hit = age > rule["after_days"]
    newest = book.newest.assign(age=age, limit=float(rule["after_days"]))[hit]
    newest["since"] = newest["last_statement_day"] + pd.Timedelta(days=rule["after_days"] + 1)
    rows = _rows(newest, before="limit", after="age", first_seen="since")
    rows["evidence"] = [
        f"The last statement day is {r.last_statement_day:%Y-%m-%d}, {r.age:.0f} days before {book.day:%Y-%m-%d}."
        for r in rows.itertuples()
    ]
    return rows


def _credits_down(book: Book, rule: Rule) -> pd.DataFrame:
    pairs = _compared(book.months, "credit", rule["months"])
    change = pairs["after"] / pairs["before"].where(pairs["before"] > 0) - 1
    rows: pd.DataFrame = pairs.assign(change=change)[change <= -rule["at_least_ratio"] + 1e-9]
    rows = rows.sort_values(["company_id", "change"]).drop_duplicates("company_id")
    words = {"all": "Credits", "operating": "Operating credits"}
    rows["evidence"] = [
        f"{words[str(r.basis)]} of {r.after:,.0f}{_unit(r)} in the {rule['months']} months to {r.month:%Y-%m}, "
        f"{r.before:,.0f} in those before ({r.change:+.0%})."
        for r in rows.itertuples()
    ]
    return rows


def _negative_days_up(book: Book, rule: Rule) -> pd.DataFrame:
    pairs = _compared(book.months, "n_negative_days", rule["months"])
    doubled = (pairs["after"] >= rule["factor"] * pairs["before"]) & (pairs["after"] >= rule["at_least_days"])
    rows: pd.DataFrame = pairs[doubled].sort_values(["company_id", "after"]).drop_duplicates("company_id", keep="last")
    rows["evidence"] = [
        f"{r.after:.0f} days below zero in the {rule['months']} months to {r.month:%Y-%m}, "
        f"{r.before:.0f} in those before."
        for r in rows.itertuples()
    ]
    return rows


def _new_incident(book: Book, rule: Rule) -> pd.DataFrame:
    """Incidents of these kinds in the days before the last statement day, more than in as many days before them."""
    mine = book.incidents[book.incidents["incident"].isin(rule["incidents"])]
    mine = mine.sort_values(["company_id", "incident_date", "evidence"])
    recent = mine[mine["age_days"].between(0, rule["days"] - 1)].groupby("company_id")
    former = mine[mine["age_days"].between(rule["days"], 2 * rule["days"] - 1)].groupby("company_id").size()
    found = recent.agg(
        after=("incident", "size"), evidence=("evidence", "last"), report_id=("report_id", "last"),
        seen=("created_at", "min"),
    )  # fmt: skip
    rows: pd.DataFrame = found.assign(before=former.reindex(found.index, fill_value=0))
    rows = rows[(rows["after"] >= rule["at_least"]) & (rows["before"] <= rule["at_most_before"])].reset_index()
    rows["evidence"] = [
        f"{r.after} in the last {rule['days']} days of statements, {r.before} in those before; the last: {r.evidence}"
        for r in rows.itertuples()
    ]
    rows["first_seen"] = rows["seen"].dt.normalize()
    return rows


def _new_lender(book: Book, rule: Rule) -> pd.DataFrame:
    """Loan payments to a party that was not paid in the months of statements before."""
    loans = book.streams[book.streams["category"].isin(rule["categories"]) & (book.streams["side"] == "debit")]
    begins = book.months.groupby("company_id")["month"].min().rename("begins").reset_index()
    loans = loans.merge(begins, on="company_id")
    history = (loans["first_date"] - loans["begins"]).dt.days
    age = (loans["last_statement_day"] - loans["first_date"]).dt.days
    before = loans.groupby(["company_id", "counterparty"])["first_date"].transform("min")
    is_first = (loans["first_date"] == before) & (history >= rule["after_days_of_history"])
    fresh = loans[is_first & age.between(0, rule["days"] - 1)]
    fresh = fresh.sort_values(["company_id", "amount", "counterparty"], ascending=[True, False, True])
    n_fresh = fresh.groupby("company_id").size()
    rows: pd.DataFrame = fresh.drop_duplicates("company_id").assign(before=0.0, first_seen=lambda t: t["day"])
    rows["after"] = rows["company_id"].map(n_fresh)
    rows["evidence"] = [
        f"{str(r.period).replace('_', '-').capitalize()} payments of {r.amount:,.0f} to {r.counterparty} "
        f"since {r.first_date:%Y-%m-%d}, none before."
        for r in rows.itertuples()
    ]
    return rows


RULES: Mapping[str, Callable[[Book, Rule], pd.DataFrame]] = {
    "class_worse": _class_worse,
    "class_5": _class_5,
    "newly_unrated": _newly_unrated,
    "credits_down": _credits_down,
    "negative_days_up": _negative_days_up,
    "new_reject": _new_incident,
    "new_seizure": _new_incident,
    "missed_urssaf": _new_incident,
    "new_lender": _new_lender,
    "stale_data": _stale_data,
}
_NEEDS = {
    "new_reject": "incidents", "new_seizure": "incidents", "missed_urssaf": "incidents", "new_lender": "recurring",
}  # fmt: skip
_MONTH_RULES = {"credits_down": "credit", "negative_days_up": "n_negative_days"}


def _rows(newest: pd.DataFrame, *, before: str, after: str, first_seen: str) -> pd.DataFrame:
    return newest.assign(before=newest[before], after=newest[after], first_seen=newest[first_seen])


def _unit(row: Any) -> str:
    return f" {row.currency}" if row.is_mixed else ""


def _compared(months: pd.DataFrame, column: str, n: int) -> pd.DataFrame:
    """Per company and currency: the sum of its last `n` months and of the `n` before.

    Only where all of them are there and known.
    """
    key = ["company_id", "currency"]
    near = months[(months["age"] < 2 * n) & months[column].notna()].sort_values([*key, "number"])
    near = near.assign(value=near[column].astype("float64"))
    after, before = (near[part].groupby(key) for part in (near["age"] < n, near["age"] >= n))
    sums = pd.DataFrame({"before": before["value"].sum(), "after": after["value"].sum()})
    full = sums[(before.size().reindex(sums.index) == n) & (after.size().reindex(sums.index) == n)]
    last = near.drop_duplicates(key, keep="last").set_index(key)
    pairs: pd.DataFrame = full.join(last[["month", "report_id", "created_at", "basis"]]).reset_index()
    several = months[key].drop_duplicates()
    is_mixed = pairs["company_id"].isin(several.loc[several.duplicated("company_id"), "company_id"])
    return pairs.assign(first_seen=pairs["created_at"].dt.normalize(), is_mixed=is_mixed)


def applicable(name: str, book: Book) -> bool:
    """Whether the frame that a rule reads was given."""
    return name not in _NEEDS or _NEEDS[name] in book.given


def unjudged(book: Book, rules: Mapping[str, Rule]) -> dict[str, int]:
    """How many companies a rule could not be applied to: too few complete months, no statement day."""
    n = {
        f"{name}_not_judged": len(book.newest)
        - _compared(book.months, _MONTH_RULES[name], rules[name]["months"])["company_id"].nunique()
        for name in rules
        if name in _MONTH_RULES
    }
    if "stale_data" in rules:
        n["stale_data_not_judged"] = int(book.newest["last_statement_day"].isna().sum())
    return n
