"""A company's accounts, day by day, in whole cents: how movements are written down, dated and summed.

What moves is decided in `cashflow`; this module keeps the calendar and the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import numpy.typing as npt

from .companies import MONTHS, Floats, Timeline

Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]
INTEREST_PER_DAY = 0.11 / 365


@dataclass(frozen=True)
class CompanyLedger:
    """All movements, by account and day; `balances` holds the account's balance after each, all money in cents."""

    days: Ints
    accounts: Ints
    cents: Ints
    balances: Ints
    kinds: Texts
    parties: Texts
    labels: Texts
    opening: Ints


class Movements:
    """Movements while they are being written; `add` takes one stream at a time."""

    def __init__(self, last_day: int) -> None:
        self.last_day = last_day
        self.days: list[Ints] = []
        self.cents: list[Ints] = []
        self.accounts: list[int] = []
        self.texts: list[tuple[str, str, str]] = []

    def add(self, days: Ints, cents: Ints, texts: list[tuple[str, str, str]], *, account: int = 0) -> None:
        """Add one stream: days, signed cents, and (kind, party, label) of each movement."""
        self.days.append(days)
        self.cents.append(cents)
        self.accounts.extend([account] * len(days))
        self.texts.extend(texts)

    def columns(self) -> tuple[Ints, Ints, Ints, Texts]:
        """Days, accounts, cents and texts so far, without what falls after the last day or is nothing."""
        days, cents = np.concatenate(self.days), np.concatenate(self.cents)
        texts = np.empty(len(days), dtype=object)
        texts[:] = self.texts
        keep = (days <= self.last_day) & (cents != 0)
        return days[keep], np.array(self.accounts, dtype=np.int64)[keep], cents[keep], texts[keep]


@cache
def working_days(first_year: int, last_year: int) -> np.busdaycalendar:
    """Monday to Friday without French public holidays."""
    years = range(first_year, last_year + 1)
    fixed = [
        f"{y}-{day}" for y in years for day in ("01-01", "05-01", "05-08", "07-14", "08-15", "11-01", "11-11", "12-25")
    ]
    movable = [np.datetime64(_easter(y)) + shift for y in years for shift in (1, 39, 50)]
    return np.busdaycalendar(holidays=[*(np.datetime64(day) for day in fixed), *movable])


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Gauss, as corrected by Lichtenberg)."""
    century = year // 100
    moon = (15 + (3 * century + 3) // 4 - (8 * century + 13) // 25 + 19 * (year % 19)) % 30
    late = moon // 29 + (moon // 28 - moon // 29) * ((year % 19) // 11)
    full_moon = 21 + moon - late
    first_sunday = 7 - (year + year // 4 + 2 - (3 * century + 3) // 4) % 7
    easter = full_moon + 7 - (full_moon - first_sunday) % 7
    return date(year, 3, easter) if easter <= 31 else date(year, 4, easter - 31)


class Calendar:
    """The months of the history as arrays of day numbers (days since 1970)."""

    def __init__(self, timeline: Timeline) -> None:
        starts = [timeline.month_start(month) for month in range(MONTHS + 1)]
        self.starts = np.array(starts, dtype="datetime64[D]")
        self.first = self.starts.astype(np.int64)
        self.number = np.array([start.month for start in starts[:MONTHS]])
        self.calendar = working_days(starts[0].year - 1, starts[-1].year + 1)

    def due(self, months: Ints, day: Ints | int) -> Ints:
        """The `day` of each month, moved to the next working day."""
        return self.working(self.first[months] + np.asarray(day) - 1)

    def working(self, days: Ints) -> Ints:
        """Each day, or the next working day."""
        dates = np.asarray(days).astype("datetime64[D]")
        return np.busday_offset(dates, 0, roll="forward", busdaycal=self.calendar).astype(np.int64)


def social_due_months(employees: int, number: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Months with a social-security due date: all, or the first of each quarter under 4 employees."""
    return np.isin(number, (1, 4, 7, 10)) if employees < 4 else np.ones(len(number), dtype=bool)


def social_due_day(employees: int) -> int:
    """The 15th of the month; the 5th with 50 employees and more."""
    return 5 if employees >= 50 else 15


def cents(amount: Floats) -> Ints:
    """EUR to whole cents."""
    return np.rint(np.asarray(amount) * 100).astype(np.int64)


def settle(book: Movements, n_accounts: int, opening: int) -> CompanyLedger:
    """Sort the movements and run the balances; accounts beyond the first open at a tenth of the first."""
    days, accounts, amounts, texts = book.columns()
    order = np.lexsort((np.arange(len(days)), days, accounts))
    days, accounts, amounts, texts = days[order], accounts[order], amounts[order], texts[order]
    openings = np.array([opening] + [abs(opening) // 10] * (n_accounts - 1), dtype=np.int64)
    balances = np.empty_like(amounts)
    for account in range(n_accounts):
        mine = accounts == account
        balances[mine] = openings[account] + np.cumsum(amounts[mine])
    kinds, parties, labels = _unzip(texts)
    return CompanyLedger(days, accounts, amounts, balances, kinds, parties, labels, openings)


def _unzip(texts: Texts) -> tuple[Texts, Texts, Texts]:
    columns = np.array(list(texts), dtype=object).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def daily_balance(book: Movements, first_day: int, opening: int) -> Ints:
    """Closing balance of the first account on every day from `first_day` to the last."""
    days, accounts, amounts, _ = book.columns()
    mine = accounts == 0
    flow = np.zeros(book.last_day - first_day + 1, dtype=np.int64)
    np.add.at(flow, np.maximum(days[mine] - first_day, 0), amounts[mine])
    return np.asarray(opening + np.cumsum(flow))


def overdraft_fees(book: Movements, months: Calendar, opening: int) -> None:
    """Quarterly interest on negative days, and a commission for each month that had some."""
    first_day = int(months.first[0])
    overdrawn = np.maximum(-daily_balance(book, first_day, opening), 0)
    month_of_day = np.searchsorted(months.first, first_day + np.arange(len(overdrawn)), side="right") - 1
    owed = np.bincount(month_of_day, weights=overdrawn, minlength=MONTHS)
    n_days = np.bincount(month_of_day, weights=overdrawn > 0, minlength=MONTHS)
    quarter_ends = np.flatnonzero(months.number % 3 == 0)
    quarter = np.array([owed[max(0, m - 2) : m + 1].sum() for m in quarter_ends]) * INTEREST_PER_DAY
    quarter_text = ("overdraft_fee", "BANQUE", "RESULTAT ARRETE COMPTE AGIOS")
    book.add(months.due(quarter_ends + 1, 4), -np.rint(quarter).astype(np.int64), [quarter_text] * len(quarter))
    hit = np.flatnonzero(n_days > 0)
    commission = -800 * np.minimum(n_days[hit], 10).astype(np.int64)
    month_text = ("overdraft_fee", "BANQUE", "F COMMISSION D INTERVENTION")
    book.add(months.due(hit + 1, 2), commission, [month_text] * len(hit))
