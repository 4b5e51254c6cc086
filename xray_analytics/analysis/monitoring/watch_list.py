"""Whom should I look at today?

Rules are data (``rules.toml`` beside this module): thresholds of attention, chosen and not estimated, and no
statement about default. A rule that the data do not allow to judge gives no row; how many companies that were
is in ``attrs["base"]``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pandas as pd

from ...errors import InputError, no_such
from ...tables import SEVERITIES
from .. import frames
from ..frames import AsOf, Frame
from ..guards import is_whole
from .rules import RULES, WATCH, Rule, applicable, applied, book_of, unjudged


def shipped_rules() -> dict[str, dict[str, Any]]:
    """The rules of ``rules.toml``, fresh: change them and pass them as `rules`.

    >>> shipped_rules()["class_worse"]["high_from"]
    2
    """
    return tomllib.loads(resources.files(__package__).joinpath("rules.toml").read_text("utf-8"))


def watch_list(  # noqa: PLR0913 - four frames, the day, and the rules
    reports: Frame,
    flows: Frame,
    incidents: Frame | None = None,
    recurring: Frame | None = None,
    *,
    as_of: AsOf,
    rules: Mapping[str, Rule] | None = None,
) -> pd.DataFrame:
    """Companies that meet a rule, with the evidence.

    Only bank reports available by `as_of` are judged, each in its newest version by then, and only months taken
    from them.

    Parameters
    ----------
    reports
        The table `reports`.
    flows
        The result of `cashflow.monthly_flows`, made of the same snapshot; operating credits are compared where it
        has them.
    incidents, recurring
        The results of `cashflow.incidents`, and of `cashflow.recurring` with categories, of the same snapshot. A rule
        whose frame is not given is not applied.
    as_of
        The day of the list.
    rules
        By name, as `shipped_rules` gives them; a rule that is left out is not applied.

    Returns
    -------
    DataFrame
        `company_id`, `rule`, `severity` (high, medium, low), `before`, `after` (float64; classes, amounts or
        days as the rule has it; null where there is none), `evidence` (one sentence), `report_id` (the report
        behind it), `first_seen` (the first day on which the rule held, from the reports given). Sorted by
        severity, rule and company: a class worse by two leads. One row per company and rule; no row is no
        finding, not a clean bill. ``attrs["base"]``: companies used, and for the rules on months those with too
        few complete months; ``filters["rules"]`` names the rules applied.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, an unknown rule, or a rule without one of its settings.

    Examples
    --------
    >>> from xray_analytics import tables
    >>> day = pd.to_datetime(["2025-01-10", "2025-04-10"], utc=True)
    >>> reports = pd.DataFrame({
    ...     "report_id": ["a", "b"], "report_version": 1, "company_id": "732829320", "product": "bank",
    ...     "created_at": day, "available_at": day, "is_backfilled": False, "bank_risk_class": [2, 4],
    ...     "period_end_date": pd.to_datetime(["2024-12-31", "2025-03-31"]),
    ... })
    >>> from xray_analytics.analysis.cashflow import FLOWS
    >>> flows = FLOWS.empty()
    >>> print(*watch_list(reports, flows, as_of="2025-04-30")["evidence"])
    Bank class 4 on 2025-04-10, 2 on 2025-01-10.
    """
    chosen = shipped_rules() if rules is None else rules
    for name in chosen:
        if name not in RULES:
            raise no_such("rule", name, RULES)
    book, seen = book_of(reports, flows, as_of, incidents, recurring)
    chosen = {name: settings for name, settings in chosen.items() if applicable(name, book)}
    found = [applied(name, settings, book) for name, settings in chosen.items()]
    empty = frames.typed(pd.DataFrame(), WATCH)
    table = pd.concat([empty, *found], ignore_index=True)
    order = {name: position for position, name in enumerate(chosen)}
    ranks = pd.DataFrame({"s": table["severity"].map(SEVERITIES.index), "r": table["rule"].map(order)})
    ranks["c"] = table["company_id"]
    result = table.loc[ranks.sort_values(["s", "r", "c"]).index].reset_index(drop=True)
    result.attrs["base"] = frames.base(
        len(book.newest), seen, excluded=unjudged(book, chosen), as_of=as_of, filters={"rules": list(chosen)}
    )
    return result


def companies_to_review(watch: Frame, *, n: int = 10) -> pd.DataFrame:
    """The companies to look at first, one row each.

    Parameters
    ----------
    watch
        The result of `watch_list`.
    n
        At most so many companies.

    Returns
    -------
    DataFrame
        `company_id`, `n_rules` (int64), `severity` (the worst), `reasons` (the evidence, worst first). Sorted
        by severity, then by the number of rules, ties in the order of `watch`.

    Raises
    ------
    InputError
        A column is absent, a severity is unknown, or `n` is below 1.

    Examples
    --------
    >>> watch = pd.DataFrame({
    ...     "company_id": ["x", "y", "y"], "severity": ["medium", "medium", "low"],
    ...     "evidence": ["One.", "Two.", "Three."],
    ... })
    >>> companies_to_review(watch).values.tolist()
    [['y', 2, 'medium', 'Two. Three.'], ['x', 1, 'medium', 'One.']]
    """
    if not is_whole(n, 1):
        raise InputError(f"n is {n}; ask for at least one company")
    table = frames.collect(frames.scan(watch, WATCH, ("company_id", "severity", "evidence")), WATCH)
    unknown = sorted(set(table["severity"].dropna()) - set(SEVERITIES))
    if unknown:
        raise InputError(f"severity {unknown[0]!r} is not one of {', '.join(SEVERITIES)}")
    table["rank"] = table["severity"].map(SEVERITIES.index).astype("int64")
    ordered = table.sort_values("rank", kind="stable")
    companies = ordered.groupby("company_id", sort=False).agg(
        n_rules=("rank", "size"), severity=("severity", "first"), reasons=("evidence", " ".join), rank=("rank", "first")
    )
    first = companies.sort_values(["rank", "n_rules"], ascending=[True, False], kind="stable").head(n)
    kinds = {"n_rules": "int64", "reasons": "string"}
    return first.drop(columns="rank").reset_index().astype(kinds)
