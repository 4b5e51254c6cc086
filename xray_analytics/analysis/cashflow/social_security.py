"""When are social charges due, and which were missed? The URSSAF calendar, seen from the debits alone.

Contributions of a month are due on the 15th of the next, on the 5th from 50 employees; small employers may pay by
the quarter (15 January, April, July, October). A due day on a weekend or a public holiday moves to the next working
day. How many people a company employs is not in its statements: what it pays tells its calendar.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

GRACE_DAYS = 10  # no debit from the due day to this long after it is a missed one
EARLY_DAYS = 3  # a transfer sent so long before the due day pays it
RETURN_DAYS = 15  # a debit that comes back within so many days of the due day was not paid
_QUARTERS = (1, 4, 7, 10)
_DUE_DAYS = (15, 5)  # the first is the usual one
_PUNCTUAL_DAYS = 4
_FEWEST_BETWEEN = 2  # debits in months that a quarterly payer skips, to call a company a monthly payer

Ints = np.ndarray[Any, np.dtype[np.int64]]


def missed_months(paid: Ints, returned: Ints, covered: Ints) -> pd.DataFrame | None:
    """The due days of one company without a debit, or with one that came back.

    Only due days count whose whole window, from `EARLY_DAYS` before to `GRACE_DAYS` after, is covered.

    Parameters
    ----------
    paid, returned
        Days (since 1970) of debits to URSSAF, and of debits that came back.
    covered
        Days that the statements cover, sorted.

    Returns
    -------
    DataFrame or None
        `due` (day since 1970), `due_month` (months since 1970), `how` (``no_debit`` or ``returned``), in order; None
        where no debit was ever seen: no employees, or paid from elsewhere.

    Examples
    --------
    A monthly payer misses March 2025, whose 15th was a Saturday: what is paid on 7 April comes too late.

    >>> days = lambda *texts: np.array(texts, dtype="datetime64[D]").astype("int64")
    >>> covered = np.arange(*days("2025-01-01", "2025-06-01"))
    >>> paid = days("2025-01-15", "2025-02-17", "2025-04-07", "2025-04-15", "2025-05-15")
    >>> missed = missed_months(paid, days(), covered)
    >>> missed["due"].to_numpy("datetime64[D]").tolist(), missed["how"].tolist()
    ([datetime.date(2025, 3, 17)], ['no_debit'])
    """
    if not len(paid) or not len(covered):
        return None
    first, last = (int(day) for day in covered[[0, -1]].astype("datetime64[D]").astype("datetime64[M]").astype("int64"))
    months = np.arange(first, last + 1)
    due = _due(months, _usual_day(months, paid))
    hit = _within(paid, due - EARLY_DAYS, EARLY_DAYS + GRACE_DAYS)
    quarterly = np.isin(months % 12 + 1, _QUARTERS)
    if hit[~quarterly].sum() < _FEWEST_BETWEEN:
        months, due, hit = months[quarterly], due[quarterly], hit[quarterly]
    seen = np.isin(due[:, None] + np.arange(-EARLY_DAYS, GRACE_DAYS + 1), covered).all(axis=1)
    back = _within(returned, due, RETURN_DAYS)
    missed = pd.DataFrame({"due": due, "due_month": months, "how": np.where(hit, "returned", "no_debit")})
    found: pd.DataFrame = missed[seen & (~hit | back)].reset_index(drop=True)
    return found


def _usual_day(months: Ints, paid: Ints) -> int:
    """The day of the month around which most debits are booked."""
    punctual = [int(_within(paid, _due(months, day), _PUNCTUAL_DAYS).sum()) for day in _DUE_DAYS]
    return _DUE_DAYS[int(np.argmax(punctual))]


def _due(months: Ints, day: int) -> Ints:
    days = months.astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    moved: Ints = np.busday_offset(days, 0, roll="forward", holidays=_holidays(days)).astype("int64")
    return moved


def _within(days: Ints, start: Ints, length: int) -> np.ndarray:
    """Whether some day lies from each start to `length` days later."""
    if not len(days):
        return np.zeros(len(start), bool)
    ordered = np.sort(days)
    place = np.searchsorted(ordered, start)
    return (place < len(ordered)) & (ordered[np.minimum(place, len(ordered) - 1)] <= start + length)


def _holidays(days: np.ndarray) -> list[np.datetime64]:
    """The public holidays of metropolitan France in the years of these days."""
    years = np.unique(days.astype("datetime64[Y]").astype("int64") + 1970)
    return [day for year in years for day in _holidays_of(int(year))]


@cache
def _holidays_of(year: int) -> tuple[np.datetime64, ...]:
    fixed = ("01-01", "05-01", "05-08", "07-14", "08-15", "11-01", "11-11", "12-25")
    easter = np.datetime64(_easter(year), "D")
    return (*(np.datetime64(f"{year}-{day}", "D") for day in fixed), *(easter + shift for shift in (1, 39, 50)))


def _easter(year: int) -> date:
    """Easter Sunday (the anonymous Gregorian rule; Meeus, Astronomical Algorithms, chapter 8)."""
    century, rest = divmod(year, 100)
    fourth, left = divmod(century, 4)
    moon = (19 * (year % 19) + century - fourth - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    i, k = divmod(rest, 4)
    shift = (32 + 2 * left + 2 * i - moon - k) % 7
    month, day = divmod(moon + shift - 7 * ((year % 19 + 11 * moon + 22 * shift) // 451) + 114, 31)
    return date(year, month, day + 1)
