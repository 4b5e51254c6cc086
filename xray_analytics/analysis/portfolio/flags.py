"""Why is the flag what it is? The criteria of the Bank X-Ray across companies.

The service grades each company against its own benchmark of sector and country. What a high quantile means is not
documented, so no direction is built in here: `criterion_profile` learns it from the sentiments that the service gives
with the quantiles.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import InputError
from ...tables import BANK_FLAG_CRITERIA, COMPANIES, REPORTS
from .. import frames
from ..frames import Frame
from .counting import with_companies

__all__ = [
    "GRADE_LIMITS", "GRADE_SHARES", "SENTIMENTS", "criterion_conflicts", "criterion_cooccurrence",
    "criterion_prevalence", "criterion_profile",
]  # fmt: skip
__dir__ = __all__.copy

SENTIMENTS = ("good", "neutral", "bad")
# Documented: A is better than 90 % of the benchmark, B than 70 %, C than 50 %, D than 20 %, E less. Which side an
# exact limit falls on is not documented; assumed: the better grade.
GRADE_LIMITS = (20, 50, 70, 90)
GRADE_SHARES = {"a": 0.10, "b": 0.20, "c": 0.20, "d": 0.30, "e": 0.20}

Counts = npt.NDArray[np.int64]


def criterion_prevalence(
    criteria: Frame, reports: Frame, *, by: str = "bank_risk_class", companies: Frame | None = None
) -> pd.DataFrame:
    """How often each criterion is good, neutral or bad, by risk class; from the newest bank report of each company.

    Parameters
    ----------
    criteria
        The table `bank_flag_criteria`. Where a report names a criterion twice, the first entry counts.
    reports
        The table `reports`, of the same snapshot and engine.
    by
        A column of `reports`, or of `companies`, to split by; null is a group of its own (by class: the unrated).
    companies
        The table `companies`, needed where `by` is one of its columns.

    Returns
    -------
    DataFrame
        `criterion`, `by`, `sentiment` (good, neutral, bad, then whatever else the service says; null is not said),
        `n_companies`, `n_assessed` (companies of the group that have the criterion), `share_ratio` (0–1, of
        `n_assessed`). The three sentiments are always there. Sorted by criterion, group and sentiment.
        ``attrs["base"]``: companies with at least one criterion; those without any are excluded and counted.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or the frames are of different kinds.

    Examples
    --------
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b"], company_id=["732829320", "356000000"], created_at=["2025-01-10", "2025-01-11"],
    ...     bank_risk_class=[4, 4],
    ... )
    >>> criteria = BANK_FLAG_CRITERIA.example(report_id=["a", "b"], criterion="overdraft", sentiment=["bad", "good"])
    >>> criterion_prevalence(criteria, reports)[["sentiment", "n_companies", "share_ratio"]].values.tolist()
    [['good', 1, 0.5], ['neutral', 0, 0.0], ['bad', 1, 0.5]]
    """
    reports = with_companies(reports, companies, [by])
    versions = frames.newest_versions(reports, [by], product="bank")
    rows = _newest(criteria, versions, ["sentiment"], [by])
    found = rows.groupby(["criterion", by, "sentiment"], dropna=False).size().rename("n_companies").reset_index()
    assessed = found.groupby(["criterion", by], dropna=False)["n_companies"].sum().rename("n_assessed").reset_index()
    said = [*SENTIMENTS, *sorted(set(found["sentiment"].dropna()) - set(SENTIMENTS)), None]
    table = assessed.merge(pd.DataFrame({"sentiment": pd.array(said, "string"), "rank": range(len(said))}), how="cross")
    table = table.merge(found, how="left", on=["criterion", by, "sentiment"]).fillna({"n_companies": 0})
    kept = table[(table["rank"] < len(SENTIMENTS)) | (table["n_companies"] > 0)].sort_values(["criterion", by, "rank"])
    result = kept[["criterion", by, "sentiment", "n_companies", "n_assessed"]].reset_index(drop=True)
    result = result.astype({"n_companies": "int64", "n_assessed": "int64"})
    result["share_ratio"] = result["n_companies"] / result["n_assessed"]
    result.attrs["base"] = _base(rows["company_id"].nunique(), versions, {"by": by})
    return result


def criterion_cooccurrence(criteria: Frame, reports: Frame, *, sentiment: str = "bad") -> pd.DataFrame:
    """Which criteria are bad together more often than by chance; from the newest bank report of each company.

    Parameters
    ----------
    criteria, reports
        As in `criterion_prevalence`.
    sentiment
        What is counted: ``"bad"``, ``"neutral"`` or ``"good"``.

    Returns
    -------
    DataFrame
        `criterion`, `other_criterion` (each pair once, in alphabetical order), `n_companies` (those that have both
        criteria), `n_criterion`, `n_other`, `n_both` (of these, with that sentiment), `lift` = n_both · n_companies /
        (n_criterion · n_other): 1 is chance, above 1 together more often; null where one of them never is. With few
        companies a lift is noise: read `n_both` first. The base is that of `criterion_prevalence`.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, the frames are of different kinds, or the sentiment is unknown.

    Examples
    --------
    Of four companies two are bad in `a` and two in `b`, both the same: lift 2·4 / (2·2).

    >>> reports = REPORTS.example(report_id=list("wxyz"), company_id=list("wxyz"), created_at="2025-01-10")
    >>> criteria = BANK_FLAG_CRITERIA.example(
    ...     report_id=list("wxyz") * 2, criterion_no=[0] * 4 + [1] * 4, criterion=["a"] * 4 + ["b"] * 4,
    ...     sentiment=["bad", "bad", "good", "good"] * 2,
    ... )
    >>> criterion_cooccurrence(criteria, reports)["lift"].tolist()
    [2.0]
    """
    if sentiment not in SENTIMENTS:
        raise InputError(f"sentiment is {sentiment!r}; choose {', '.join(SENTIMENTS)}")
    versions = frames.newest_versions(reports, product="bank")
    table = _newest(criteria, versions, ["sentiment"])
    names = np.array(sorted(table["criterion"].unique()), dtype=object)
    company, _ = pd.factorize(table["company_id"])
    place = company, np.searchsorted(names, table["criterion"].to_numpy(object))
    has, hit = np.zeros((2, company.max(initial=-1) + 1, len(names)), np.int64)
    has[place], hit[place] = 1, (table["sentiment"] == sentiment).fillna(False)
    n, single, both = has.T @ has, hit.T @ has, hit.T @ hit
    a, b = np.triu_indices(len(names), 1)
    counts = {"n_companies": n[a, b], "n_criterion": single[a, b], "n_other": single[b, a], "n_both": both[a, b]}
    pairs = pd.DataFrame(list(combinations(names, 2)), columns=["criterion", "other_criterion"], dtype="string")
    result = pairs.assign(**counts).astype(dict.fromkeys(counts, "int64"))
    chance = (result["n_criterion"] * result["n_other"]).where(lambda product: product > 0)
    result["lift"] = (result["n_both"] * result["n_companies"] / chance).astype("float64")
    result.attrs["base"] = _base(table["company_id"].nunique(), versions, {"sentiment": sentiment})
    return result


def criterion_profile(criteria: Frame, reports: Frame) -> pd.DataFrame:
    """How the service reads each criterion: which quantiles it calls good or bad, and how its grades are spread.

    The direction is the one in which a monotone map from quantile to sentiment explains more entries; what it does
    not explain are the conflicts, listed by `criterion_conflicts`.

    Parameters
    ----------
    criteria, reports
        As in `criterion_prevalence`; the map is learnt from the newest version of every bank report.

    Returns
    -------
    DataFrame
        One row per criterion, sorted by it: `criterion`; `n_reports` (entries with quantile and a known sentiment);
        `direction` (``"higher_is_worse"``, ``"higher_is_better"``, null where the data do not tell); `n_conflicts`;
        `monotony_ratio` (0–1, 1 - conflicts / entries); `good_low_pct`, `good_high_pct`, and the same for neutral and
        bad: the smallest and largest quantile seen with that sentiment [0–100]; `n_graded` (companies, newest report
        each); `grade_a_ratio` … `grade_e_ratio`, their shares in the documented bands of "better than 90 / 70 / 50 /
        20 %"; `grade_deviation_ratio`, half the sum of the distances from 10/20/20/30/20 %: 0 as in the service's
        benchmark, 1 nothing in common. It says how these companies differ from the benchmark of their own sectors: a
        deviation, not a drift. Grades are null without a direction. ``attrs["base"]``: entries used; those without
        quantile or known sentiment, and second entries of a criterion in a report, are excluded and counted.

    Raises
    ------
    InputError
        As `criterion_prevalence`.

    Examples
    --------
    >>> reports = REPORTS.example(report_id=list("xyz"), company_id=list("xyz"), created_at="2025-01-10")
    >>> criteria = BANK_FLAG_CRITERIA.example(
    ...     report_id=list("xyz"), criterion="overdraft", quantile_pct=[5.0, 50.0, 95.0],
    ...     sentiment=["good", "neutral", "bad"],
    ... )
    >>> criterion_profile(criteria, reports)[["direction", "n_conflicts", "grade_a_ratio"]].round(3).values.tolist()
    [['higher_is_worse', 0, 0.333]]
    """
    versions = frames.newest_versions(reports, product="bank")
    rows, base = _mapped(criteria, versions)
    newest = _newest(criteria, versions, ["quantile_pct"]).dropna(subset=["criterion", "quantile_pct"])
    found = [_profile(str(name), part, newest) for name, part in rows.groupby("criterion")]
    result = pd.DataFrame(found, columns=list(_PROFILE)).astype(_PROFILE)
    result.attrs["base"] = base
    return result


def criterion_conflicts(criteria: Frame, reports: Frame) -> pd.DataFrame:
    """The entries that the learnt map of `criterion_profile` does not explain.

    Parameters
    ----------
    criteria, reports
        As in `criterion_profile`.

    Returns
    -------
    DataFrame
        `criterion`, `report_id`, `company_id`, `quantile_pct`, `sentiment` (what the service said),
        `expected_sentiment` (what the best monotone map says of that quantile; of maps that explain as much, the
        better sentiment). Sorted by criterion and report. No row for a criterion without direction. The base is that
        of `criterion_profile`.

    Raises
    ------
    InputError
        As `criterion_prevalence`.

    Examples
    --------
    A high quantile is bad for three companies and good for a fourth: the one that does not fit.

    >>> reports = REPORTS.example(report_id=list("vwxyz"), company_id=list("vwxyz"), created_at="2025-01-10")
    >>> criteria = BANK_FLAG_CRITERIA.example(
    ...     report_id=list("vwxyz"), criterion="overdraft", quantile_pct=[5.0, 70.0, 80.0, 90.0, 95.0],
    ...     sentiment=["good", "bad", "bad", "good", "bad"],
    ... )
    >>> odd = criterion_conflicts(criteria, reports)
    >>> odd[["report_id", "sentiment", "expected_sentiment"]].values.tolist()
    [['y', 'good', 'bad']]
    """
    rows, base = _mapped(criteria, frames.newest_versions(reports, product="bank"))
    columns = ["criterion", "report_id", "company_id", "quantile_pct", "sentiment", "expected_sentiment"]
    parts = [rows.assign(expected_sentiment="")[columns].head(0)]
    for _, part in rows.groupby("criterion"):
        direction, expected = _learnt(part)
        if direction is not None:
            odd = part.assign(expected_sentiment=np.array(SENTIMENTS, dtype=object)[expected])
            parts.append(odd[odd["sentiment"] != odd["expected_sentiment"]][columns])
    result = pd.concat(parts).sort_values(["criterion", "report_id"], ignore_index=True)
    result = result.astype({"expected_sentiment": "string"})
    result.attrs["base"] = base
    return result


_PROFILE = {
    "criterion": "string", "n_reports": "int64", "direction": "string", "n_conflicts": "int64",
    "monotony_ratio": "float64",
    **{f"{sentiment}_{end}_pct": "float64" for sentiment in SENTIMENTS for end in ("low", "high")}, "n_graded": "int64",
    **{f"grade_{grade}_ratio": "float64" for grade in GRADE_SHARES}, "grade_deviation_ratio": "float64",
}  # fmt: skip


def _newest(
    criteria: Frame, versions: frames.Versions, columns: list[str], carried: list[str] | None = None
) -> pd.DataFrame:
    """One entry per company and criterion: the first in the newest bank report."""
    names, newest = ["criterion", "criterion_no", *columns], frames.newest_of_companies(versions)
    rows = frames.of_reports(criteria, BANK_FLAG_CRITERIA, names, newest, ["company_id", *(carried or ())])
    table = frames.collect(rows, BANK_FLAG_CRITERIA, REPORTS, COMPANIES)
    one_each = ["company_id", "criterion"]
    if table.duplicated(one_each).any():
        table = table.sort_values("criterion_no").drop_duplicates(one_each)
    return table


def _base(used: int, versions: frames.Versions, filters: dict[str, Any]) -> dict[str, Any]:
    n_companies = len(frames.newest_of_each_company(versions.seen))
    return frames.base(used, versions.seen, excluded={"no_criterion": n_companies - used}, filters=filters)


def _mapped(criteria: Frame, versions: frames.Versions) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The entries that say something of the map from quantile to sentiment, and the base."""
    columns = ["criterion", "criterion_no", "quantile_pct", "sentiment"]
    rows = frames.of_reports(criteria, BANK_FLAG_CRITERIA, columns, versions, ["company_id"])
    table = frames.collect(rows, BANK_FLAG_CRITERIA, REPORTS).sort_values(["report_id", "criterion", "criterion_no"])
    first = table[~table.duplicated(["report_id", "criterion"])]
    known = first[first["quantile_pct"].notna()]
    kept = known[known["sentiment"].isin(list(SENTIMENTS))]
    excluded = {
        "repeated": len(table) - len(first),
        "no_quantile": len(first) - len(known),
        "unknown_sentiment": len(known) - len(kept),
    }
    return kept, frames.base(len(kept), versions.seen, excluded=excluded)


def _profile(name: str, rows: pd.DataFrame, newest: pd.DataFrame) -> dict[str, Any]:
    direction, expected = _learnt(rows)
    rank = rows["sentiment"].map(SENTIMENTS.index).to_numpy("int64")
    n_conflicts = int((rank != expected).sum())
    ends = rows.groupby("sentiment")["quantile_pct"].agg(["min", "max"]).reindex(list(SENTIMENTS))
    seen = {f"{s}_{end}_pct": ends.loc[s, f] for s in SENTIMENTS for end, f in (("low", "min"), ("high", "max"))}
    profile = {"criterion": name, "n_reports": len(rows), "direction": direction, "n_conflicts": n_conflicts}
    grades = _grades(newest.loc[newest["criterion"] == name, "quantile_pct"].to_numpy(), direction)
    return profile | {"monotony_ratio": 1 - n_conflicts / len(rows)} | seen | grades


def _learnt(rows: pd.DataFrame) -> tuple[str | None, npt.NDArray[np.intp]]:
    """The direction in which fewer entries conflict, null if neither, and the sentiment it expects of each entry."""
    values, place = np.unique(rows["quantile_pct"].to_numpy(), return_inverse=True)
    rank = rows["sentiment"].map(SENTIMENTS.index).to_numpy("int64")
    counts = np.zeros((len(values), len(SENTIMENTS)), np.int64)
    np.add.at(counts, (place, rank), 1)
    up, down = best_map(counts), best_map(counts[::-1])[::-1]
    explained = [counts[np.arange(len(values)), chosen].sum() for chosen in (up, down)]
    if explained[0] == explained[1]:
        return None, up[place]
    return ("higher_is_worse", up[place]) if explained[0] > explained[1] else ("higher_is_better", down[place])


def best_map(counts: Counts) -> npt.NDArray[np.intp]:
    """The column of each row, never falling from row to row, that gathers the most counts; ties go to the first.

    >>> best_map(np.array([[5, 0], [1, 2], [4, 3], [0, 6]])).tolist()
    [0, 0, 0, 1]
    """
    total = np.zeros(counts.shape[1], np.int64)
    came_from = np.zeros(counts.shape, np.intp)
    for row, count in enumerate(counts):
        came_from[row] = [int(total[: column + 1].argmax()) for column in range(len(total))]
        total = total[came_from[row]] + count
    chosen = np.zeros(len(counts), np.intp)
    column = int(total.argmax())
    for row in range(len(counts) - 1, -1, -1):
        chosen[row] = column
        column = int(came_from[row, column])
    return chosen


def _grades(quantiles: npt.NDArray[np.float64], direction: str | None) -> dict[str, Any]:
    """The shares of the five grades, best first, and how far they are from those of the benchmark."""
    none: dict[str, Any] = {f"grade_{grade}_ratio": None for grade in GRADE_SHARES} | {"grade_deviation_ratio": None}
    if direction is None or not len(quantiles):
        return {"n_graded": 0} | none
    better_than = 100 - quantiles if direction == "higher_is_worse" else quantiles
    step = len(GRADE_LIMITS) - np.searchsorted(GRADE_LIMITS, better_than, side="right")
    shares = np.bincount(step, minlength=len(GRADE_SHARES)) / len(quantiles)
    away = np.abs(shares - list(GRADE_SHARES.values())).sum() / 2
    named = {f"grade_{grade}_ratio": share for grade, share in zip(GRADE_SHARES, shares, strict=True)}
    return {"n_graded": len(quantiles)} | named | {"grade_deviation_ratio": away}
