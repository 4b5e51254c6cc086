"""Candidates: lines of a layout that the values of samples allow, the likeliest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

from ...tidy.decode import Json
from ...tidy.drift import mask
from .samples import Group, Leaf, is_day, number_texts
from .words import SIDES, likeness, plain

Lines = dict[str, Any]
BALANCES = ("start_balance", "end_balance", "total_credit", "total_debit")
_LISTS, _IDENTIFIERS = ("alerts", "popovers"), ("account_id", "statement_id", "source_transaction_id", "bic", "iban")
_NUMBERS = ("balance_after", "page_count", "quantile_pct", "period_value", "annualised_value", *BALANCES)
_DATES = ("booked_date", "value_date", "start_date", "end_date")
_SIGNED, _PAIRS, _MOST = 4, 4, 24


@dataclass
class Roles:
    """Which group of the samples is which part of a report."""

    transactions: Group | None = None
    statements: Group | None = None
    criteria: Group | None = None
    metrics: Group | None = None


def roles_of(groups: Mapping[str, Group]) -> Roles:
    """The parts of a report among the lists and maps of the samples, by what their elements hold."""
    roles, leaves = Roles(), {path: group.leaves() for path, group in groups.items()}
    dated = {path: sum(leaf.is_date and not is_code(leaf) for leaf in found.values()) for path, found in leaves.items()}
    numbers = {
        path: sum(leaf.is_number and not leaf.is_date for leaf in found.values()) for path, found in leaves.items()
    }
    statements = [
        path for path in groups if dated[path] >= 2 and numbers[path] >= 2 and _has(leaves[path], "statement")
    ]
    statements.sort(key=lambda path: -sum(_likeness_of(leaves[path], "statement", column) > 0 for column in BALANCES))
    if statements:
        roles.statements = groups[statements[0]]
    entries = [p for p in groups if dated[p] >= 1 and numbers[p] >= 1 and groups[p] is not roles.statements]
    if entries:
        roles.transactions = groups[max(entries, key=lambda path: len(groups[path].elements))]
    rest = [p for p in groups if groups[p] not in (roles.statements, roles.transactions) and not dated[p]]
    for path in rest:
        found = leaves[path]
        if roles.criteria is None and path.endswith("[]") and _likeness_of(found, "criterion", "quantile_pct") >= 50:
            roles.criteria = groups[path]
    for path in rest:
        is_metric = any(_likeness_of(leaves[path], "metric", c) for c in ("period_value", "annualised_value"))
        all_numbers = set(leaves[path]) == {""} and leaves[path][""].is_number
        if roles.metrics is None and groups[path] is not roles.criteria and (is_metric or all_numbers):
            roles.metrics = groups[path]
    return roles


def is_code(leaf: Leaf) -> bool:
    """Whether numbers of eight digits are no dates, as far as names tell."""
    return leaf.date_forms() == ["YYYYMMDD"] and "dat" not in plain(leaf.path)


def _has(leaves: Mapping[str, Leaf], section: str) -> bool:
    return all(_likeness_of(leaves, section, column) for column in ("start_date", "end_date"))


def _likeness_of(leaves: Mapping[str, Leaf], section: str, column: str) -> int:
    return max((likeness(section, column, path) for path in leaves if path), default=0)


def assigned(leaves: Mapping[str, Leaf], section: str, columns: Sequence[str], taken: set[str]) -> dict[str, str]:
    """Column -> path, by names, for paths whose values the column could hold; the best names first."""
    scored = sorted(
        (-likeness(section, column, path), number, path, column)
        for number, column in enumerate(columns)
        for path, leaf in leaves.items()
        if path not in taken and likeness(section, column, path) and fits(column, leaf)
    )
    found: dict[str, str] = {}
    for _, _, path, column in scored:
        if column not in found and path not in found.values():
            found[column] = path
    return found


def fits(column: str, leaf: Leaf) -> bool:
    """Whether a column could hold these values."""
    kinds = ((_DATES, leaf.is_date), (_LISTS, leaf.is_list), (_NUMBERS, leaf.is_number))
    for columns, is_so in kinds:
        if column in columns:
            return is_so
    tests: dict[str, Any] = {
        "currency": lambda v: type(v) is str and len(v) == 3 and v.isupper(),
        "value": lambda v: type(v) in (int, float, str, bool),
        "bank_risk_class": lambda v: v in (0, 1, 2, 3, 4, 5) or v in tuple("ABCDE"),
        "bank_score": lambda v: type(v) in (int, float),
        "data_sanity_pct": lambda v: type(v) in (int, float) or (type(v) is str and v.rstrip().endswith("%")),
        **dict.fromkeys(_IDENTIFIERS, lambda v: type(v) in (str, int)),
        "created_at": lambda v: type(v) in (str, int),
    }
    return leaf.share(tests[column]) >= 0.99 if column in tests else leaf.is_text


# ------------------------------------------------------------------------------------------------ amounts


@dataclass
class Amount:
    """Lines that make amounts, and whether values are inverted."""

    lines: Lines
    members: tuple[str, ...]
    inverted: bool = False
    what: str = field(default="")


def amounts_of(group: Group, leaves: Mapping[str, Leaf], taken: set[str]) -> list[Amount]:
    """Every way in which the transactions may say their amounts."""
    numbers = [leaf for path, leaf in leaves.items() if path and leaf.is_number and path not in taken]
    numbers = [leaf for leaf in numbers if not leaf.is_date or likeness("transaction", "amount", leaf.path)]
    numbers.sort(key=lambda leaf: -likeness("transaction", "amount", leaf.path))
    found: list[Amount] = [*_pairs(group, numbers)]
    for leaf in [leaf for leaf in numbers if leaf.n and len(leaf.values) >= 0.9 * len(group.elements)][:_SIGNED]:
        signed = leaf.share(lambda v: _value(v) < 0)
        if signed:
            found.append(Amount({"amount": [leaf.path]}, (leaf.path,), what=f"{leaf.path} with its sign"))
            found.append(Amount({"amount": [leaf.path]}, (leaf.path,), True, f"{leaf.path}, debits above 0"))
        found += _sides(leaves, leaf, taken)
    return found[:_MOST]


def _value(value: Json) -> float:
    if type(value) is not str:
        return float(value)
    digits = "".join(c for c in value.replace("\u2212", "-") if c.isdigit() or c in "-,.")
    return float(digits.replace(",", "").replace(".", "") or 0)


def _pairs(group: Group, numbers: Sequence[Leaf]) -> Iterator[Amount]:
    """Two members of which nearly every transaction has one."""
    paths = [leaf.path for leaf in numbers if "." not in leaf.path]
    sample = [element for element in group.elements[:500] if type(element) is dict]
    tried = 0
    for first, second in permutations(paths, 2):
        apart = sum(bool(_of(e, first)) != bool(_of(e, second)) for e in sample)
        if sample and apart >= 0.97 * len(sample) and tried < _PAIRS and any(_of(e, second) for e in sample):
            tried += 1
            pair = {"credit": [first], "debit": [second]}
            yield Amount({"pair": pair}, (first, second), what=f"{first} as credit, {second} as debit")


def _of(element: Mapping[str, Json], path: str) -> float:
    value = element.get(path)
    return 0.0 if value is None else _value(value)


def _sides(leaves: Mapping[str, Leaf], amount: Leaf, taken: set[str]) -> Iterator[Amount]:
    """A member of two words, either of which may be that of a debit."""
    for path, leaf in leaves.items():
        words = Counter(v for v in leaf.values if type(v) in (str, int))
        if (
            len(words) != 2
            or path in taken
            or len(leaf.values) < 0.99 * leaf.n
            or (leaf.is_number is True and path == amount.path)
        ):
            continue
        first, second = sorted(words, key=lambda word: plain(str(word)) not in SIDES[1] and str(word) not in SIDES[1])
        for credit, debit in ((first, second), (second, first)):
            sign = {"member": path, "credit": [credit], "debit": [debit]}
            what = f"{amount.path} with {path}: {mask(str(credit))} credit, {mask(str(debit))} debit"
            yield Amount({"amount": [amount.path], "sign": sign}, (amount.path, path), what=what)


# ------------------------------------------------------------------------------------------------ statements


def statements_of(group: Group, leaves: Mapping[str, Leaf], columns: Sequence[str]) -> list[Lines]:
    """The lines of a statement: by names, then every order of numbers that adds up."""
    named = assigned(leaves, "statement", columns, set())
    lines = {column: [path] for column, path in named.items()}
    if all(column in named for column in BALANCES) or len(BALANCES) > len(leaves):
        return [lines]
    others = [p for c, p in named.items() if c not in BALANCES]
    numbers = [p for p, leaf in leaves.items() if leaf.is_number and p not in others and not leaf.is_date][:7]
    found = []
    for chosen in permutations(numbers, 4):
        if any(named.get(c, p) != p for c, p in zip(BALANCES, chosen, strict=True)) or not _adds_up(group, chosen):
            continue
        found.append({**lines, **{column: [path] for column, path in zip(BALANCES, chosen, strict=True)}})
    return found[: _MOST // 4] or [lines]


def _adds_up(group: Group, paths: Sequence[str]) -> bool:
    rows = [[e.get(path) for path in paths] for e in group.elements[:200] if type(e) is dict]
    whole = [[_value(v) for v in row] for row in rows if all(v is not None for v in row)]
    right = sum(abs(start + credit - debit - end) < 0.005 for start, end, credit, debit in whole)
    return bool(whole) and right >= 0.95 * len(whole)


# ------------------------------------------------------------------------------------------------ values


def decimals_of(leaves: Sequence[Leaf]) -> list[str | None]:
    """How numbers are written as text: None where they are not."""
    texts = [v for leaf in leaves for v in leaf.values if type(v) is str]
    if not texts:
        return [None]
    return [sign for sign in (".", ",") if sum(sign in number_texts(text) for text in texts) >= 0.99 * len(texts)]


def days_of(leaves: Sequence[Leaf]) -> list[list[str]]:
    """Lists of date forms that read all of these members."""
    choices: list[list[str]] = [[]]
    for leaf in leaves:
        if any(all(is_day(v, form) for v in leaf.values[:300]) for made in choices for form in made):
            continue
        forms = leaf.date_forms()
        choices = [[*made, form] for made in choices for form in forms]
    return [made or ["iso"] for made in choices][:8]
