"""Financial X-Ray (`magpie`): the rows of one report."""

from __future__ import annotations

from typing import Any

from ..tables import FINANCIAL_RATIOS, FINANCIAL_REASONS, REPORTS
from .bank import array, as_object
from .decode import Json, to_json
from .drift import DriftNotes
from .fields import Mixed, PayloadPlace, fields_of, read_members, read_mixed, to_mixed
from .rows import Product, Row

PARTS = ("criterias", "reasons")
_SCALARS = (float, str, bool, type(None))

_RAW = fields_of((REPORTS["financial_risk_class"], REPORTS["default_probability"]), "raw.")
_RATIO = fields_of(FINANCIAL_RATIOS.columns[3:])
_REASON = fields_of(c for c in FINANCIAL_REASONS.columns if c.name in ("type_code", "sentiment", "weight"))


def read_financial(raw: dict[str, Json], notes: DriftNotes) -> Product:
    """All rows of a Financial X-Ray report; no class, or class 0, is *unrated*."""
    for part in PARTS:
        if part not in raw:
            notes.add(f"raw.{part}", "missing_member")
    values = {name: value for name, value in raw.items() if name not in PARTS}
    if type(values.get("riskClass")) in (int, float) and values["riskClass"] == 0:
        values["riskClass"] = None
    (risk_class, probability), extra = read_members(values, _RAW, PayloadPlace("raw"), notes)
    criterias = as_object(raw.get("criterias"), "raw.criterias")
    reasons = array(raw.get("reasons"), "raw.reasons")
    return Product(
        report={
            "is_rated": risk_class is not None,
            "financial_risk_class": risk_class,
            "default_probability": probability,
        },
        rows={
            "financial_ratios": [_read_ratio(name, item, notes) for name, item in criterias.items()],
            "financial_reasons": [row for no, item in enumerate(reasons) for row in _read_reason(no, item, notes)],
        },
        extra=extra,
    )


def _read_ratio(name: str, item: Json, notes: DriftNotes) -> Row:
    if type(item) is not dict:
        notes.add("raw.criterias.*", "unknown_value", item)
        item = {"value": item}
    elif len(item) == 2 and type(item.get("source")) is str and type(item.get("value", item)) in _SCALARS:
        return name, *to_mixed(item["value"]), item["source"], None  # as documented: nothing is left to check
    (value, origin), extra = read_members(item, _RATIO, PayloadPlace("raw.criterias.*", name), notes)
    return name, *to_mixed(value), origin, to_json(extra) if extra else None


def _read_reason(no: int, item: Json, notes: DriftNotes) -> list[Row]:
    """One row per criterion inside the reason, one without a criterion where it names none."""
    place = PayloadPlace("raw.reasons[]", no)
    values = {name: value for name, value in item.items() if name != "criteria"} if type(item) is dict else item
    (type_code, sentiment, weight), extra = read_members(values, _REASON, place, notes)
    if "criteria" not in item:
        notes.add(place.general("criteria"), "missing_member")
    rows: list[Row] = []
    for criterion, value, more in _criteria(item.get("criteria"), place, notes):
        left = extra | more
        rows.append((no, type_code, sentiment, weight, criterion, *value, to_json(left) if left else None))
    return rows


def _criteria(criteria: Json, place: PayloadPlace, notes: DriftNotes) -> list[tuple[str | None, Mixed, dict[str, Any]]]:
    """Criterion, value, and what is left, of the documented object, of a text as Bank X-Ray sends, or of neither."""
    if criteria is None or criteria == {}:
        return [(None, to_mixed(None), {})]
    if type(criteria) is dict:
        return [(name, *_value(name, value, place, notes)) for name, value in criteria.items()]
    notes.add(place.general("criteria"), "unknown_value", criteria)
    if type(criteria) is str:
        return [(criteria, to_mixed(None), {})]
    return [(None, to_mixed(None), {"criteria": criteria})]


def _value(name: str, value: Json, place: PayloadPlace, notes: DriftNotes) -> tuple[Mixed, dict[str, Any]]:
    if type(value) in (dict, list):
        notes.add(place.general("criteria.*"), "unknown_value", value)
        return to_mixed(None), {"criteria": {name: value}}
    return read_mixed(value, place.exact(f"criteria.{name}")), {}
