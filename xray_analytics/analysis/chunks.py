"""A large store part by part: kernels for independent companies or reports, fed with a range of them at a time.

A kernel needs its rows in pandas. Fed with everything its memory grows with the store; fed with ranges of companies or
reports it grows with the range. The engine does the cutting, so that no more than one range leaves it. How large the
ranges are changes no result: a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import pandas as pd

from ..schema import Table
from ..tables import REPORTS, TRANSACTIONS
from . import frames
from .frames import AsOf, Frame

Part: TypeAlias = tuple[str | None, str | None]

ROWS_AT_ONCE = 1_000_000  # transactions that a kernel has in pandas at a time, some 0.5 GB


def by_company(
    kernel: Callable[[Frame], pd.DataFrame], transactions: Frame, reports: Frame, as_of: AsOf | None
) -> pd.DataFrame:
    """What a kernel finds about the companies of `reports`, fed with some of these reports at a time.

    The kernel gives rows sorted by company, with ``used`` and ``excluded`` in their base. Transactions and
    reports that live in two engines are done at once: neither could be cut by the other.
    """
    result = together([kernel(part) for part in _company_parts(transactions, reports, as_of)])
    base = result.attrs["base"]
    seen = frames.newest_reports(reports, product="bank", as_of=as_of)
    result.attrs["base"] = frames.base(base["used"], seen, excluded=base["excluded"], as_of=as_of)
    return result


def by_report(kernel: Callable[..., pd.DataFrame], *given: tuple[Frame, Table] | None) -> pd.DataFrame:
    """What a kernel finds about reports, fed with some of them at a time.

    The kernel takes the frames in the order given, the transactions first, and gives rows sorted by report,
    with their base. A frame that is None is passed on as None.
    """
    lazies = [None if pair is None else frames.lazy(*pair, ("report_id",)) for pair in given]
    cuts = parts(lazies[0], "report_id", ROWS_AT_ONCE)
    if len(cuts) == 1:
        return kernel(*(None if pair is None else pair[0] for pair in given))
    return together(
        [kernel(*(lazy if lazy is None else within(lazy, "report_id", part) for lazy in lazies)) for part in cuts]
    )


def parts(rows: Any, key: str, n_rows: int) -> list[Part]:
    """A text key cut into ranges of about `n_rows` rows each: first value, and first value of the next; None is open.

    One value is never cut in two.
    """
    counts = frames.collect(rows.filter(~nw.col(key).is_null()).group_by(key).agg(nw.len().alias("n")), REPORTS)
    counts = counts.sort_values(key, ignore_index=True)
    part = (counts["n"].cumsum() - counts["n"]) // n_rows
    return list(pairwise([None, *counts.loc[part.diff() > 0, key].astype(str), None]))


def within(rows: Any, key: str, part: Part) -> Any:
    """The rows of one of the `parts`."""
    low, high = part
    rows = rows if low is None else rows.filter(nw.col(key) >= nw.lit(low))
    return rows if high is None else rows.filter(nw.col(key) < nw.lit(high))


def _company_parts(transactions: Frame, reports: Frame, as_of: AsOf | None) -> list[Any]:
    if not frames.same_kind(transactions, reports):
        return [reports]
    versions = frames.newest_versions(reports, product="bank", as_of=as_of)
    entries = frames.of_reports(transactions, TRANSACTIONS, (), versions, ("company_id",))
    cuts = parts(entries, "company_id", ROWS_AT_ONCE)
    everything = frames.lazy(reports, REPORTS, ("company_id",))
    return [within(everything, "company_id", part) for part in cuts] if len(cuts) > 1 else [reports]


def of_companies(reports: pd.DataFrame, n_companies: int) -> Iterator[pd.DataFrame]:
    """The reports of so many companies at a time, those without one first; at least one piece, which may be empty."""
    named = nw.from_native(reports.assign(company_id=reports["company_id"].fillna("")))
    companies = named.lazy().select("company_id").unique()
    for part in parts(companies, "company_id", n_companies):
        yield reports.loc[within(named, "company_id", part).to_native().index]


def together(found: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all parts one below the other, and the sums of what they rest on."""
    if len(found) == 1:
        return found[0]
    bases = [rows.attrs["base"] for rows in found]
    filled = [pd.DataFrame(rows) for rows in found if len(rows)] or [pd.DataFrame(found[0])]
    for rows in filled:
        rows.attrs = {}
    reasons = dict.fromkeys(reason for base in bases for reason in base["excluded"])
    result = pd.concat(filled, ignore_index=True)
    result.attrs["base"] = bases[0] | {
        "used": sum(base["used"] for base in bases),
        "excluded": {reason: sum(base["excluded"].get(reason, 0) for base in bases) for reason in reasons},
        "backfilled": None if bases[0].get("backfilled") is None else sum(base["backfilled"] for base in bases),
        "as_of": max((base["as_of"] for base in bases if base.get("as_of")), default=None),
    }
    return result
