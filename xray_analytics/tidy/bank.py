"""Bank X-Ray: the rows of one report. The months are summed for a whole batch at once, in `batch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..tables import BANK_FLAG_CRITERIA, MINIMUM_DATA_SANITY_PCT, MOVEMENT_METRICS, REPORTS, STATEMENT_SUMMARIES
from .accounts import Statement, tell_apart
from .decode import Json, refuse, to_json
from .drift import DriftNotes, type_name
from .fields import MONEY_LIMIT, PayloadPlace, fields_of, read_members, to_mixed
from .months import LONGEST_STATEMENT_DAYS
from .rows import Parts, Product, Row
from .transactions import NAMED, Aliases, Entries, read_entries

PARTS = ("movementReport", "summary", "bankFlag", "allTransactions")
MEMBERS = frozenset((*PARTS, "riskClass", "score"))

_RAW = fields_of((REPORTS["bank_risk_class"], REPORTS["bank_score"]), "raw.")
_FLAG = fields_of((REPORTS["bank_flag_color"], REPORTS["data_sanity_pct"]), "raw.bankFlag.")
STATEMENT = fields_of(STATEMENT_SUMMARIES.columns[3:])
CRITERION = fields_of(BANK_FLAG_CRITERIA.columns[3:], lenient=("criteria",))
METRIC = fields_of(MOVEMENT_METRICS.columns[3:])


def read_bank(raw: dict[str, Json], aliases: Aliases, notes: DriftNotes, parts: Parts | None = None) -> Product:
    """All rows of a Bank X-Ray report but its months.

    `parts` are those that are read already. No class, or class 0, is *unrated*; a class given although the data
    sanity is below the documented minimum is kept as sent and counted as drift.
    """
    for part in PARTS:
        if part not in raw and not (parts is not None and part == "allTransactions"):
            notes.add(f"raw.{part}", "missing_member")
    rows = parts.rows if parts is not None else {}
    values = {name: value for name, value in raw.items() if name not in PARTS}
    if type(values.get("riskClass")) in (int, float) and values["riskClass"] == 0:
        values["riskClass"] = None
    (risk_class, score), extra = read_members(values, _RAW, PayloadPlace("raw"), notes)
    product = Product(extra=extra)
    entries = product.entries = _entries_of(raw, parts, aliases, notes)
    color, sanity = _read_flag(raw.get("bankFlag"), rows.get("bank_flag_criteria"), product, notes)
    metrics = rows.get("movement_metrics")
    product.rows["movement_metrics"] = _read_metrics(raw.get("movementReport"), notes) if metrics is None else metrics
    if risk_class is not None and sanity is not None and sanity < MINIMUM_DATA_SANITY_PCT:
        notes.add("raw.riskClass", "unknown_value", "class given at low sanity")
    product.report = {
        "is_rated": risk_class is not None,
        "bank_risk_class": risk_class,
        "bank_score": score,
        "bank_flag_color": color,
        "data_sanity_pct": sanity,
        "n_transactions": None if entries is None else entries.n,
        "n_unread_transactions": None if entries is None else _n_unread(entries),
    }
    _read_statements(raw.get("summary"), rows.get("statement_summaries"), product, notes)
    _refuse_overflow(product)
    return product


def _entries_of(raw: dict[str, Json], parts: Parts | None, aliases: Aliases, notes: DriftNotes) -> Entries | None:
    if parts is not None:
        return parts.entries
    items = raw.get("allTransactions")
    return None if items is None else read_entries(items, aliases, notes)


def _n_unread(entries: Entries) -> int:
    """How many transactions lack amount or day."""
    known, booked = entries.units["amount"][1], entries.columns["booked_date"]
    if booked.null_count:
        known = known & booked.is_valid().to_numpy(zero_copy_only=False)
    return entries.n - int(known.sum())


def _read_flag(
    flag: Json, criteria: list[Row] | None, product: Product, notes: DriftNotes
) -> tuple[str | None, float | None]:
    if flag is None:
        return None, None
    place = PayloadPlace("raw.bankFlag")
    if type(flag) is dict and "reasons" not in flag:
        notes.add(place.general("reasons"), "missing_member")
    values = {name: value for name, value in flag.items() if name != "reasons"} if type(flag) is dict else flag
    (color, sanity), extra = read_members(values, _FLAG, place, notes)
    if extra:
        product.extra["bankFlag"] = extra
    if criteria is None:
        reasons = array(flag.get("reasons"), place.exact("reasons"))
        criteria = [_read_criterion(no, reason, notes) for no, reason in enumerate(reasons)]
    product.rows["bank_flag_criteria"] = criteria
    return color, sanity


def _read_criterion(no: int, reason: Json, notes: DriftNotes) -> Row:
    row, extra = read_members(reason, CRITERION, PayloadPlace("raw.bankFlag.reasons[]", no), notes)
    return criterion_row(no, row, extra)


def criterion_row(no: int, row: Sequence[Any], extra: Mapping[str, Json]) -> Row:
    """The row of a criterion from its members."""
    criterion, value, quantile, sentiment, popovers = row
    if criterion is None:  # Financial X-Ray sends an object here: its names, and the object itself in extra
        criterion = ", ".join(extra["criteria"]) if type(extra.get("criteria")) is dict else ""
    return no, criterion, *to_mixed(value), quantile, sentiment, popovers, to_json(extra) if extra else None


def _read_metrics(metrics: Json, notes: DriftNotes) -> list[Row]:
    rows: list[Row] = []
    for name, metric in as_object(metrics, "raw.movementReport").items():
        if type(metric) is not dict:
            notes.add("raw.movementReport.*", "unknown_value", metric)
            metric_row, extra = [None, None], {"value": metric}
        else:
            metric_row, extra = read_members(metric, METRIC, PayloadPlace("raw.movementReport.*", name), notes)
        rows.append((name, *metric_row, to_json(extra) if extra else None))
    return rows


def _read_statements(summary: Json, rows: list[Row] | None, product: Product, notes: DriftNotes) -> None:
    """Statements, accounts, and what both say of the report."""
    if rows is None:
        items = array(summary, "raw.summary")
        statements = [_read_statement(no, item, notes) for no, item in enumerate(items)]
    else:
        statements = [_statement(no, row) for no, row in enumerate(rows)]
    product.statements = statements
    named = product.entries.named if product.entries else dict.fromkeys(NAMED, ())
    accounts = product.accounts = tell_apart(statements, named["account_id"], named["statement_id"])
    product.rows["accounts"] = list(accounts.rows)
    product.rows["statement_summaries"] = [
        (account_no, no, *statement)
        for no, (account_no, statement) in enumerate(zip(accounts.of_statement, statements, strict=True))
    ]
    product.report |= {
        "period_start_date": min((s.start_date for s in statements if s.start_date), default=None),
        "period_end_date": max((s.end_date for s in statements if s.end_date), default=None),
        "n_accounts": len(accounts.rows),
        "n_statements": None if summary is None else len(statements),
        "n_days_covered": _n_days_covered(statements),
        "total_credit": _total([s.total_credit for s in statements]),
        "total_debit": _total([s.total_debit for s in statements]),
    }


def _read_statement(no: int, item: Json, notes: DriftNotes) -> Statement:
    row, extra = read_members(item, STATEMENT, PayloadPlace("raw.summary[]", no), notes)
    return _statement(no, (*row, to_json(extra) if extra else None))


def _statement(no: int, row: Row) -> Statement:
    statement = Statement._make(row)
    if statement.start_date and statement.end_date:
        n_days = (statement.end_date - statement.start_date).days
        if n_days > LONGEST_STATEMENT_DAYS:
            path = PayloadPlace("raw.summary[]", no).exact("endDate")
            refuse("bad_date", path, "expected a statement of at most ten years, found a longer one")
    return statement


def _n_days_covered(statements: Sequence[Statement]) -> int:
    """Days in the union of (start_date, end_date]."""
    spans = sorted((s.start_date, s.end_date) for s in statements if s.start_date and s.end_date)
    n_days, reached = 0, None
    for start, end in spans:
        new = start if reached is None else max(start, reached)
        n_days += max((end - new).days, 0)
        reached = end if reached is None else max(end, reached)
    return n_days


def _total(amounts: Sequence[int | None]) -> int | None:
    known = [a for a in amounts if a is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _refuse_overflow(product: Product) -> None:
    """No sum of this report may leave the range of money."""
    totals = [abs(a or 0) for s in product.statements for a in (s.total_credit, s.total_debit)]
    balances = [abs(a or 0) for s in product.statements for a in (s.start_balance, s.end_balance)]
    reach = sum(totals) + sum(balances)
    if product.entries is not None and product.entries.n:
        amount, balance = (np.abs(product.entries.units[name][0]) for name in ("amount", "balance_after"))
        reach += int(amount.sum(dtype=np.float64)) + int(balance.max()) * max(len(product.rows["accounts"]), 1)
    if reach >= MONEY_LIMIT:
        refuse("money_out_of_range", "raw", "expected amounts that together stay below 10^14, found more")


def array(value: Json, path: str) -> list[Any]:
    """A list, empty for null; anything else is refused."""
    if value is not None and type(value) is not list:
        refuse("wrong_type", path, f"expected an array, found {type_name(value)}")
    return value or []


def as_object(value: Json, path: str) -> dict[str, Any]:
    """An object, empty for null; anything else is refused."""
    if value is not None and type(value) is not dict:
        refuse("wrong_type", path, f"expected an object, found {type_name(value)}")
    return value or {}
