"""The notes of a request: a company's accounts as the service takes them, checked before they are sent.

Documented: the 17 members, of which 13 are mandatory for an accurate Financial X-Ray, their units and enumerations.
Money is in **cents**, as the Financial X-Ray guide says (another page of the vendor says euros); nothing is converted
unless asked for with `Notes.from_euros`. That amounts are whole numbers is *assumed*, and so is the currency, EUR.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Self

from ..errors import InputError
from ..grammar import identity

GENDER_LEVELS = ("0-20%", "21-40%", "41-60%", "61-80%", "81-100%")
JOB_LEVELS = ("0", "1", "2-5", "6-10", "10+")
LARGEST = 10**17  # cents; also the largest money the tables can hold
KEYS = ("request_id", "company_id")
_QUOTE = "'"
_MAX_SHOWN = 20


def _member(name: str, *, levels: tuple[str, ...] = (), lowest: int | None = None, **default: Any) -> Any:
    """A field that travels under `name`; `levels` are its only words, `lowest` its smallest number."""
    return field(metadata={"member": name, "levels": levels, "lowest": lowest}, **default)


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What the lender declares about one company, for the last closed year.

    Amounts are whole cents. Equity, net income and amortisation may be negative; what the balance sheet lists may not.

    Raises
    ------
    InputError
        On making one: all problems at once.

    Examples
    --------
    >>> accounts = dict(equity_cents=1, revenue_cents=2, amortization_depreciation_cents=0, net_income_cents=-1,
    ...     interest_expense_cents=0, cash_available_cents=0, total_fixed_assets_cents=9, total_assets_cents=5,
    ...     short_term_debt_cents=0, total_debt_cents=0, current_liabilities_cents=0)
    >>> notes = Notes(is_holding=False, workforce_number=3, **accounts)
    >>> notes.warnings
    ('fixed assets are above total assets',)
    >>> notes.to_payload()["netIncome"]
    -1
    >>> Notes(is_holding=False, workforce_number=0, **accounts | {"equity_cents": 1.5})
    Traceback (most recent call last):
    xray_analytics.errors.InputError: the notes have 2 problems: workforce_number must be at least 1, not 0; \
equity_cents must be a whole number of cents, not 1.5
    """

    is_holding: bool = _member("holding")
    workforce_number: int = _member("workforceNumber", lowest=1)
    equity_cents: int = _member("equity")
    revenue_cents: int = _member("revenue", lowest=0)
    amortization_depreciation_cents: int = _member("amortizationDepreciation")
    net_income_cents: int = _member("netIncome")
    interest_expense_cents: int = _member("interestExpense", lowest=0)
    cash_available_cents: int = _member("cashAvailable", lowest=0)
    total_fixed_assets_cents: int = _member("totalFixedAssets", lowest=0)
    total_assets_cents: int = _member("totalAssets", lowest=0)
    short_term_debt_cents: int = _member("shortTermDebt", lowest=0)
    total_debt_cents: int = _member("totalDebt", lowest=0)
    current_liabilities_cents: int = _member("currentLiabilities", lowest=0)
    esg_gender_diversity: str | None = _member("esgGenderDiversity", levels=GENDER_LEVELS, default=None)
    esg_labels: tuple[str, ...] | None = _member("esgLabels", default=None)
    esg_employee_protection: str | None = _member("esgEmployeeProtection", levels=JOB_LEVELS, default=None)
    esg_job_creation: str | None = _member("esgJobCreation", levels=JOB_LEVELS, default=None)

    def __post_init__(self) -> None:
        if isinstance(self.esg_labels, list):
            object.__setattr__(self, "esg_labels", tuple(self.esg_labels))
        _raise("the notes have", _problems({name: getattr(self, name) for name in _FIELDS}))

    @classmethod
    def from_euros(cls, *, is_holding: bool, workforce_number: int, **values: Any) -> Self:
        """Notes from amounts in euros, under the same names without ``_cents``: ``equity=1234.5``.

        An amount is a number or a text with at most two decimals; more is refused and not rounded.

        Examples
        --------
        >>> Notes.from_euros(is_holding=False, workforce_number=3, equity="0.10")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        xray_analytics.errors.InputError: the notes have 10 problems: revenue is missing; ...
        """
        rest = {"is_holding": is_holding, "workforce_number": workforce_number, **values}
        return cls.from_mapping(rest, in_euros=True)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, in_euros: bool = False) -> Self:
        """Notes from a row or an object, under the names of this class or the service's own (``totalAssets``).

        Text is read as a CSV file holds it: ``true``/``false``, whole numbers, labels separated by ``|``.
        With `in_euros` amounts are euros, and the ending ``_cents`` is not allowed.

        Raises
        ------
        InputError
            All problems at once, unknown names included.
        """
        read, problems = _understood(values, in_euros=in_euros)
        _raise("the notes have", problems + _problems(read))
        return cls(**read)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Contradictions that the service may accept, and a lender should look at."""
        checks = {
            "fixed assets are above total assets": self.total_fixed_assets_cents > self.total_assets_cents,
            "short-term debt is above total debt": self.short_term_debt_cents > self.total_debt_cents,
            "short-term debt is above current liabilities": self.short_term_debt_cents > self.current_liabilities_cents,
            "equity is above total assets": self.equity_cents > self.total_assets_cents,
            "cash and fixed assets together are above total assets": self.total_fixed_assets_cents
            <= self.total_assets_cents
            < self.cash_available_cents + self.total_fixed_assets_cents,
            "total assets are 0": self.total_assets_cents == 0,
        }
        return tuple(text for text, holds in checks.items() if holds)

    def to_payload(self) -> dict[str, Any]:
        """The documented `notes` object: camelCase, cents; optional members only where given."""
        found = {info["member"]: getattr(self, name) for name, info in _FIELDS.items()}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value is not None
        }


_FIELDS: Mapping[str, Mapping[str, Any]] = {f.name: f.metadata for f in fields(Notes)}
_REQUIRED = tuple(name for name in _FIELDS if not name.startswith("esg_"))


def read_notes(path: str | Path, *, in_euros: bool = False) -> dict[str, Notes]:
    """The notes of many companies by the ``request_id`` (else ``company_id``) of their row.

    Parameters
    ----------
    path
        A CSV file (comma or semicolon, UTF-8), or JSON: an object, or a list of objects. One row alone needs no id and
        gets the key ``""``.
    in_euros
        Whether amounts are euros, under names without ``_cents``.

    Raises
    ------
    InputError
        The file cannot be read, an id is missing or stands twice, or a row has problems: those of all rows at once.
    """
    rows, found, problems = _rows(Path(path)), dict[str, Notes](), list[str]()
    for number, row in enumerate(rows, start=1):
        key = next((str(row[name]).strip() for name in KEYS if row.get(name)), "")
        if key in found or (not key and len(rows) > 1):
            problems.append(f"row {number} " + (f"repeats {_id(key)}" if key else f"has no {' or '.join(KEYS)}"))
            continue
        try:
            found[key] = Notes.from_mapping({n: v for n, v in row.items() if n not in KEYS}, in_euros=in_euros)
        except InputError as error:
            problems.append(f"row {number}: {error}")
    _raise(f"{path} has", problems or ([] if rows else ["it holds no notes"]))
    return found


def addressed(companies: Mapping[str, Notes], requests: Mapping[str, str]) -> dict[str, Notes]:
    """The notes of many companies by the request they are for.

    Parameters
    ----------
    companies
        As `read_notes` gives them: by request, or by company.
    requests
        The company of each request there is.

    Raises
    ------
    InputError
        A row is for no request, or could be for several, or two are for the same: all such rows at once.
    """
    found, problems = dict[str, Notes](), list[str]()
    for key, notes in companies.items():
        company = identity.meant(key, set(requests.values()))
        ids = [key] if key in requests else [request_id for request_id, code in requests.items() if code == company]
        if len(ids) == 1 and ids[0] not in found:
            found[ids[0]] = notes
        elif len(ids) == 1:
            problems.append(f"{_id(key)} is for request {ids[0]}, as is another row")
        elif ids:
            problems.append(f"{_id(key)} has {len(ids)} requests ({', '.join(ids)}): give the request_id")
        else:
            problems.append(f"{_id(key)} has no request{identity.doubt(key)}")
    _raise("the file has", problems)
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise InputError(f"{path} cannot be read ({why}); give a CSV or JSON file in UTF-8") from None
    if path.suffix.lower() == ".json" or text.lstrip().startswith(("{", "[")):
        return _json_rows(path, text)
    head = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=";" if ";" in head else ",", restkey="", restval="")
    return [dict(row) for row in reader]


def _json_rows(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        content = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not valid JSON; give an object, or a list of objects") from None
    rows = content if isinstance(content, list) else [content]
    if not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path} holds something else than an object or a list of objects")
    return rows


def _understood(given: Mapping[str, Any], *, in_euros: bool) -> tuple[dict[str, Any], list[str]]:
    """The arguments of `Notes` that could be read, cents from euros where asked, and what is wrong with the others."""
    names = {_shown(name, in_euros): name for name in _FIELDS}
    names |= {str(info["member"]): name for name, info in _FIELDS.items()}
    present = {n: v for n, v in given.items() if v is not None and v != ""}
    values = {names[n]: _read(names[n], v) for n, v in present.items() if n in names}
    problems = [f"unknown name {str(n)[:40]!r}" for n in present if n not in names]
    problems += [f"{_shown(name, in_euros)} is missing" for name in _REQUIRED if name not in values]
    for name in [n for n in values if in_euros and n.endswith("_cents")]:
        cents = _cents(values.pop(name))
        if cents is None:
            problems.append(f"{_shown(name, True)} is no amount in euros with at most 2 decimals")
        else:
            values[name] = cents
    return values, problems


def _shown(name: str, in_euros: bool) -> str:
    return name.removesuffix("_cents") if in_euros else name


def _read(name: str, value: Any) -> Any:
    """What a text in a CSV file stands for; anything else as it is."""
    if name == "esg_labels" and isinstance(value, (str, list)):
        return tuple(label.strip() for label in value.split("|")) if isinstance(value, str) else tuple(value)
    if not isinstance(value, str) or name.startswith("esg_"):
        return value
    text = value.strip()
    if name == "is_holding":
        return {"true": True, "false": False}.get(text.lower(), value)
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,20}", text, re.ASCII) else value


def _cents(euros: Any) -> int | None:
    """Whole cents, or None where there are none: 0.1 + 0.2 has too many decimals, 0.3 has not."""
    if isinstance(euros, bool):
        return None
    try:
        cents = Decimal(str(euros).strip().replace(",", ".")) * 100
        return int(cents) if cents == cents.to_integral_value() else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _problems(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with values, one sentence each."""
    found = (_check_of(name)(name, values[name], _FIELDS[name]) for name in _FIELDS if name in values)
    return [problem for problem in found if problem]


def _check_of(name: str) -> Callable[[str, Any, Mapping[str, Any]], str | None]:
    special = {"is_holding": _check_bool, "esg_labels": _check_labels}
    return special.get(name) or (_check_word if name.startswith("esg_") else _check_number)


def _check_bool(name: str, value: Any, info: Mapping[str, Any]) -> str | None:
    return None if isinstance(value, bool) else f"{name} must be true or false, not {_told(value, _QUOTE)}"


def _check_number(name: str, value: Any, info: Mapping[str, Any]) -> str | None:
    unit = " of cents" if name.endswith("_cents") else ""
    if isinstance(value, bool) or not isinstance(value, int):
        return f"{name} must be a whole number{unit}, not {_told(value)}"
    if info["lowest"] is not None and value < info["lowest"]:
        return f"{name} must be at least {info['lowest']}, not {value}"
    return f"{name} is beyond any company: {value}" if abs(value) > LARGEST else None


def _check_word(name: str, value: Any, info: Mapping[str, Any]) -> str | None:
    if value is None or value in info["levels"]:
        return None
    return f"{name} must be one of {', '.join(info['levels'])}, not {_told(value, _QUOTE)}"


def _check_labels(name: str, value: Any, info: Mapping[str, Any]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, tuple) or not value or not all(isinstance(v, str) and v.strip() for v in value):
        return f'{name} must be labels such as lucie, ecovadis, b-corp; without any, ["none"]'
    return f"{name} cannot hold none beside other labels" if "none" in value and len(value) > 1 else None


def _id(key: str) -> str:
    """How an error names a row: by its id where that has the form of one."""
    return key if re.fullmatch(r"[A-Za-z0-9]{1,24}", key, re.ASCII) else "another row" if key else "a row without an id"


def _told(value: Any, quote: str = "") -> str:
    """What a value is, in an error: a number or a single word; other text of a file may be about a person."""
    word = str(value)
    return f"{quote}{word}{quote}" if re.fullmatch(r"[A-Za-z0-9_.,+%-]{1,20}", word, re.ASCII) else "another text"


def _raise(what: str, problems: list[str]) -> None:
    if problems:
        count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        shown = "; ".join(problems[:_MAX_SHOWN])
        rest = f"; and {len(problems) - _MAX_SHOWN} more" if len(problems) > _MAX_SHOWN else ""
        raise InputError(f"{what} {count}: {shown}{rest}")
