"""Layouts: where the parts of a report stand and how their values are written, as data.

`tables` keeps what a column is; a layout keeps where it comes from. The shipped one, ``layout.toml`` beside this file,
is one of them. Another layout replaces lines of it: a member that one of its lines takes feeds no inherited column any
more, so that two meanings of a member never meet. What a layout does not allow is refused, never guessed.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal, Never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ...errors import InputError, listed
from ...tables import (
    BANK_FLAG_CRITERIA,
    MOVEMENT_METRICS,
    PRODUCTS,
    SHIPPED_LAYOUT,
    STATEMENT_SUMMARIES,
    TRANSACTIONS,
)
from ..decode import content_sha256

Document = Mapping[str, Any]
PARTS = ("report", "transactions", "statements", "criteria", "metrics")
UNITS = ("major", "cents")
DATE_FORMS = (
    "iso", "epoch_s", "epoch_ms", "DD/MM/YYYY", "DD.MM.YYYY", "DD-MM-YYYY", "MM/DD/YYYY", "YYYY/MM/DD", "YYYYMMDD",
)  # fmt: skip
REPORT_COLUMNS = (
    "report_id", "request_id", "source", "created_at", "company_id",
    "bank_risk_class", "bank_score", "bank_flag_color", "data_sanity_pct",
)  # fmt: skip
_OF_REPORT = ("report_id", "report_version", "account_no", "statement_no", "transaction_no", "criterion_no")
_MADE = (*_OF_REPORT, "value_text", "has_basis", "extra")  # columns that no member feeds by itself
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "report": REPORT_COLUMNS,
    "transaction": tuple(c.name for c in TRANSACTIONS.columns if c.name not in _MADE),
    "statement": tuple(c.name for c in STATEMENT_SUMMARIES.columns if c.name not in _MADE),
    "criterion": tuple(c.name for c in BANK_FLAG_CRITERIA.columns if c.name not in _MADE),
    "metric": tuple(c.name for c in MOVEMENT_METRICS.columns if c.name not in _MADE),
}
_PAIR = ("credit", "debit", "unsigned")
_SIGN = ("member", "credit", "debit")
_VALUES = (
    "unit", "unit_of_metrics", "decimal", "dates", "zone", "inverted", "classes", "percent_text",
)  # fmt: skip
_KNOWN: Mapping[str, tuple[str, ...]] = {
    **SECTIONS,
    "transaction": (*SECTIONS["transaction"], "pair", "sign"),
    "parts": PARTS,
    "values": _VALUES,
    "sources": PRODUCTS,
}
Word = str | int


class Pair(msgspec.Struct, forbid_unknown_fields=True):
    """An amount as two members, one for each side."""

    credit: list[str]
    debit: list[str]
    unsigned: bool = False


class Sign(msgspec.Struct, forbid_unknown_fields=True):
    """The member that says the side of an unsigned amount, and its words."""

    member: str
    credit: list[Word]
    debit: list[Word]


class Values(msgspec.Struct, forbid_unknown_fields=True):
    """How values are written."""

    unit: Literal["major", "cents"] = "major"
    unit_of_metrics: Literal["major", "cents"] = "major"
    decimal: Literal[".", ","] | None = None
    dates: list[str] = msgspec.field(default_factory=lambda: ["iso"])
    zone: str | None = None
    inverted: bool = False
    classes: dict[str, int] = msgspec.field(default_factory=dict)
    percent_text: bool = False


@dataclass(frozen=True)
class Layout:
    """How payloads are read; compared, kept and compiled by `body`, its complete form as canonical JSON.

    `sha256` is that of the layout as it was written, without its name and without the lines it inherits.

    Examples
    --------
    >>> layout = Layout.of({"name": "theirs", "transaction": {"amount": ["montant"]}, "values": {"unit": "cents"}})
    >>> layout.complete["transaction"]["amount"], layout.complete["transaction"]["label"][0]
    (['montant'], 'label')
    >>> Layout.of({"transaction": {"amuont": ["montant"]}})
    Traceback (most recent call last):
    xray_analytics.errors.InputError: layout 'unnamed': [transaction] has no column 'amuont'; did you mean 'amount'?
    """

    body: str
    name: str
    sha256: str

    @classmethod
    def of(cls, document: Document, *, where: str | None = None) -> Layout:
        """The layout in a parsed TOML file.

        Raises
        ------
        InputError
            An unknown or doubled line, or one whose value cannot be meant; the message names it.
        """
        name = where or f"layout {str(document.get('name', 'unnamed'))!r}"
        _check(document, name)
        complete = _over_shipped(document)
        _check_members(complete, name)
        return cls._made(complete, str(document.get("name", "unnamed")), _digest(document))

    @classmethod
    def stored(cls, name: str, sha256: str, body: str) -> Layout:
        """One that a store remembers: complete, so that no later shipped line changes what it means."""
        return cls(body, name, sha256)

    @classmethod
    def _made(cls, complete: Document, name: str, sha256: str) -> Layout:
        body = json.dumps({k: v for k, v in complete.items() if k != "name"}, sort_keys=True, ensure_ascii=False)
        return cls(body, name, sha256)

    @property
    def complete(self) -> dict[str, Any]:
        """Every line, the inherited ones included."""
        complete: dict[str, Any] = json.loads(self.body)
        return complete

    @property
    def products(self) -> dict[str, str]:
        """The service's word -> product."""
        return {word: product for product, word in self.complete["sources"].items()}

    def with_lines(self, *, sources: Mapping[str, str] | None, aliases: Mapping[str, Sequence[str]] | None) -> Layout:
        """With sources and transaction lines in the place of its own: as settings had them before there were layouts.

        Raises
        ------
        InputError
            A column does not exist, or a member feeds two columns.
        """
        complete = self.complete
        words = {p: word for p, word in (sources or {}).items() if word != SHIPPED_LAYOUT["sources"].get(p)}
        lines = {column: list(listed(names, f"the aliases of {column}")) for column, names in (aliases or {}).items()}
        given = complete["transaction"]
        if not {p: w for p, w in words.items() if complete["sources"].get(p) != w} and all(
            given.get(column) == names for column, names in lines.items()
        ):
            return self
        where = "the alias map of transactions ([transaction_aliases] in the settings file)"
        document = {"name": self.name, "transaction": lines} | ({"sources": words} if words else {})
        _check(document, where)
        changed = _over(complete, document)
        _check_members(changed, where)
        return self._made(changed, self.name, _digest(changed))


@cache
def shipped() -> Layout:
    """The layout that reads what the service documents."""
    _check(SHIPPED_LAYOUT, "the shipped layout")
    _check_members(SHIPPED_LAYOUT, "the shipped layout")
    return Layout._made(SHIPPED_LAYOUT, "shipped", _digest(SHIPPED_LAYOUT))


def read_layout(path: str | Path) -> Layout:
    """The layout in a TOML file.

    Raises
    ------
    InputError
        The file cannot be read, is not TOML, or holds a line that cannot be meant.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"layout file {path} cannot be read ({why}); `xray fit` writes one") from None
    return Layout.of({"name": Path(path).stem} | document, where=f"layout file {path}")


Given = Layout | str | Path | Document | Sequence[Any] | None


def layouts_of(
    given: Given = None, *, sources: Mapping[str, str] | None = None, aliases: Mapping[str, Sequence[str]] | None = None
) -> tuple[Layout, ...]:
    """The layouts to try, in order: one or several, each a `Layout`, a file, or a parsed one; none is the shipped one.

    Raises
    ------
    InputError
        As `read_layout` and `Layout.with_lines`.
    """
    one = isinstance(given, Layout | str | Path | Mapping)
    several: Iterable[Any] = (given,) if one else (given or (shipped(),))  # type: ignore[assignment]
    return tuple(_one(each).with_lines(sources=sources, aliases=aliases) for each in several)


def _one(given: Any) -> Layout:
    if isinstance(given, Layout):
        return given
    if isinstance(given, str | Path):
        return read_layout(given)
    if isinstance(given, Mapping):
        return Layout.of(given)
    raise InputError(f"a layout is a TOML file, a table of its lines, or a Layout, not {type(given).__name__}")


def _digest(document: Document) -> str:
    """SHA-256 of the parsed TOML as canonical JSON without `name`."""
    return content_sha256({key: value for key, value in document.items() if key != "name"})


# ------------------------------------------------------------------------------------------------ overlaying


def _over_shipped(document: Document) -> dict[str, Any]:
    return _over(SHIPPED_LAYOUT, document)


def _over(base: Document, document: Document) -> dict[str, Any]:
    """The lines of the document in the place of those of the base; a member named here leaves the lines of the base."""
    made: dict[str, Any] = {}
    for section, inherited in base.items():
        own = document.get(section, {})
        if section == "name" or not isinstance(inherited, Mapping):
            continue
        if section in SECTIONS:
            taken = _members(own)
            kept = {column: _without(value, taken) for column, value in inherited.items() if column not in own}
            if "pair" in own and "amount" not in own:
                kept["amount"] = []
            made[section] = {**kept, **own}
        else:
            made[section] = {**inherited, **own}
    return made


def _members(section: Mapping[str, Any]) -> set[str]:
    """Every path that a section's lines name."""
    found: set[str] = set()
    for column, value in section.items():
        if column == "pair":
            found |= {*value["credit"], *value["debit"]}
        elif column == "sign":
            found.add(value["member"])
        else:
            found |= set(value)
    return found


def _without(value: Any, taken: set[str]) -> Any:
    if isinstance(value, Mapping):
        sides = zip(value.get("credit", ()), value.get("debit", ()), strict=False)
        pairs = [pair for pair in sides if not taken & set(pair)]
        if "member" in value:
            return value
        return {**value, "credit": [credit for credit, _ in pairs], "debit": [debit for _, debit in pairs]}
    return [path for path in value if path not in taken]


# ------------------------------------------------------------------------------------------------ checking


def _check(document: Document, where: str) -> None:
    """Refuse what is no line of a layout, or has a value that cannot be meant."""
    for key, value in document.items():
        if key == "name":
            continue
        if key not in _KNOWN:
            _unknown(where, f"there is no table [{key}]", key, _KNOWN)
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: [{key}] must be a table of lines, not {value!r:.40}")
        for line in value:
            if line not in _KNOWN[key] and key != "sources":
                what = "column" if key in SECTIONS else "line"
                _unknown(where, f"[{key}] has no {what} {line!r}", line, _KNOWN[key])
    for key in (*SECTIONS, "parts"):
        for line, value in document.get(key, {}).items():
            if line not in ("pair", "sign"):
                _checked(value, list[str], f"{where}: {key}.{line}", 'a list of member paths such as ["amount.value"]')
    _checked(document.get("sources", {}), dict[str, str], f"{where}: [sources]", 'lines such as bank = "bank_xray"')
    _check_amounts(document.get("transaction", {}), where)
    _check_values(document.get("values", {}), where)


def _unknown(where: str, problem: str, found: str, known: Iterable[str]) -> Never:
    close = get_close_matches(found, list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
    raise InputError(f"{where}: {problem}; {hint}")


def _checked(value: Any, kind: Any, what: str, form: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{what} must be {form} ({error})") from None


def _check_amounts(section: Mapping[str, Any], where: str) -> None:
    known: Mapping[str, tuple[Any, tuple[str, ...]]] = {"pair": (Pair, _PAIR), "sign": (Sign, _SIGN)}
    for name, (kind, lines) in known.items():
        if name not in section:
            continue
        value = section[name]
        for line in value if isinstance(value, Mapping) else ():
            if line not in lines:
                _unknown(where, f"[transaction.{name}] has no line {line!r}", line, lines)
        form = "a table with the lines " + ", ".join(lines[:3] if name == "sign" else lines[:2])
        found = _checked(value, kind, f"{where}: [transaction.{name}]", form)
        if name == "pair" and len(found.credit) != len(found.debit):
            raise InputError(f"{where}: [transaction.pair] needs as many members for credit as for debit, in one order")
        if name == "sign" and set(map(str, found.credit)) & set(map(str, found.debit)):
            raise InputError(f"{where}: [transaction.sign] gives one word both sides; a word is credit or debit")


def _check_values(section: Mapping[str, Any], where: str) -> None:
    forms: Mapping[str, Callable[[Any], str | None]] = {
        "unit": lambda v: None if v in UNITS else 'unit is "major" or "cents"',
        "unit_of_metrics": lambda v: None if v in UNITS else 'unit_of_metrics is "major" or "cents"',
        "decimal": lambda v: None if v in (".", ",") else 'decimal is "." or ","',
        "dates": _wrong_forms,
        "zone": lambda v: (
            None if _is_zone(v) else f'zone {v!r:.40} is no time zone such as "Europe/Paris", "UTC" or "written"'
        ),
        "classes": lambda v: None if _are_classes(v) else "classes is a table such as { A = 1, B = 2 }, from 1 to 5",
        "inverted": lambda v: None if isinstance(v, bool) else "inverted is true or false",
        "percent_text": lambda v: None if isinstance(v, bool) else "percent_text is true or false",
    }
    for line, value in section.items():
        problem = forms[line](value)
        if problem:
            raise InputError(f"{where}: [values] {problem}")


def _wrong_forms(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return f'dates is a list such as ["iso", "DD/MM/YYYY"], of {", ".join(DATE_FORMS)}'
    unknown = [form for form in value if form not in DATE_FORMS]
    if not unknown:
        return None
    close = get_close_matches(str(unknown[0]), DATE_FORMS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(DATE_FORMS)}"
    return f"dates knows no form {unknown[0]!r:.40}; {hint}"


def _is_zone(value: Any) -> bool:
    if value in ("written", "UTC"):
        return True
    try:
        return isinstance(value, str) and ZoneInfo(value) is not None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _are_classes(value: Any) -> bool:
    return isinstance(value, Mapping) and all(type(n) is int and 1 <= n <= 5 for n in value.values())


def _check_members(complete: Document, where: str) -> None:
    """No member feeds two columns, and no path is malformed."""
    for key in SECTIONS:
        section = complete[key]
        named = [path for column, value in section.items() for path in _members({column: value})]
        doubled = sorted({path for path in named if named.count(path) > 1})
        if doubled:
            raise InputError(f"{where}: [{key}] maps member {doubled[0]!r} twice; give it one column")
        for path in named:
            _check_path(path, f"{where}: [{key}]", is_part=False)
    for line in PARTS[1:]:
        for path in complete["parts"][line]:
            _check_path(path, f"{where}: parts.{line}", is_part=True)


def _check_path(path: str, what: str, *, is_part: bool) -> None:
    bare = path.removeprefix("^.")
    if not is_part and path in ("", "{}"):
        return
    steps = bare.split(".")
    ends = bool(bare) and bare.endswith(("[]", "{}"))
    if not all(step.strip("[]{}") for step in steps) or ends != is_part:
        form = "ends in [] or {}, such as raw.items[]" if is_part else "is members joined by dots, such as amount.value"
        raise InputError(f"{what}: {path!r} is no path; one {form}")
