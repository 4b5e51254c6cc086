"""What the economy plants on purpose, so that an analyst has something true to find: every constant, in one place.

Each phenomenon can be left out, which gives the same companies in a world without it. What is drawn for one never
shifts what is drawn for another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

from ...errors import InputError


@dataclass(frozen=True)
class CommonShock:
    """A dated downturn that every company feels: classes, receipts and defaults move together."""

    found_by: ClassVar[tuple[str, ...]] = ("portfolio.class_over_time", "cashflow.portfolio_months", "outcomes")
    first_month: int = 24  # of the 36 of history: January 2025 where it ends with 2025
    n_months: int = 6  # at full depth
    fade_months: int = 4  # until it is over
    quality_loss: float = 0.45  # standard deviations of latent quality
    receipts_loss: float = 0.12  # share of a month's receipts


@dataclass(frozen=True)
class SelectiveAcceptance:
    """The lender declines the worst financial classes and what its own analyst dislikes: its loans default less."""

    found_by: ClassVar[tuple[str, ...]] = ("portfolio.class_distribution", "migration.endings")
    declined_class: int = 5  # financial class from which on an application is declined
    analyst_noise: float = 1.0  # standard deviation of the analyst's error about latent quality
    analyst_limit: float = -1.4  # latent quality, as the analyst sees it, below which an application is declined


@dataclass(frozen=True)
class EarlyRepayments:
    """Some loans are repaid before they mature: exposure ends early without a default."""

    found_by: ClassVar[tuple[str, ...]] = ("loans", "migration.endings", "validation.vintage_curves")
    share: float = 0.25  # of the loans of companies that do not default
    first_day: int = 150  # earliest and latest day after origination
    last_day: int = 1500


@dataclass(frozen=True)
class Renewals:
    """Some companies refinance: a second, larger loan closes the first and names it."""

    found_by: ClassVar[tuple[str, ...]] = ("loans", "migration.endings")
    share: float = 0.15  # of the companies with a loan
    growth: int = 2  # new principal / old principal
    first_day: int = 200  # earliest and latest day after the first application
    last_day: int = 420


@dataclass(frozen=True)
class Groups:
    """Some companies belong to one group: the book rests on fewer names than it seems."""

    found_by: ClassVar[tuple[str, ...]] = ("portfolio.concentration", "portfolio.group_reports")
    size: int = 5  # neighbours that may form a group
    share: float = 0.15  # of such neighbourhoods are one
    member_share: float = 0.8  # of the companies of such a neighbourhood are in it


@dataclass(frozen=True)
class Cures:
    """Some defaulters perform again, and some of those default a second time."""

    found_by: ClassVar[tuple[str, ...]] = ("outcomes", "migration.endings", "migration.transition_table")
    share: float = 0.35  # of the defaults
    first_day: int = 120  # earliest and latest day of the cure after the default
    last_day: int = 270
    relapse_share: float = 0.35  # of the cures
    relapse_first_day: int = 60  # earliest and latest day of the second default after the cure
    relapse_last_day: int = 240


@dataclass(frozen=True)
class StoppedUploads:
    """Many companies stop uploading months before they default: missing news is bad news."""

    found_by: ClassVar[tuple[str, ...]] = ("migration.transition_table", "outcomes")
    share: float = 0.6  # of the companies that default
    first_months: int = 3  # fewest and most months before the default
    last_months: int = 7


@dataclass(frozen=True)
class SeveralAccounts:
    """Some companies show no IBAN, some have several accounts: accounts must be told apart by their balances."""

    found_by: ClassVar[tuple[str, ...]] = ("accounts", "quality.reconciliation")
    without_iban_share: float = 0.35  # of the companies
    several_share: float = 0.15  # of the companies have two accounts, or three
    third_share: float = 0.13  # of those have three


@dataclass(frozen=True)
class ValueAddedTax:
    """Customers pay with VAT, accounts show revenue without; what is owed goes to the State every month or quarter."""

    found_by: ClassVar[tuple[str, ...]] = ("ratios.declared_vs_banked", "cashflow.recurring")
    rate: float = 0.20  # of revenue, on top of it
    paid_share: float = 0.05  # of receipts: what is left after the VAT on purchases
    quarterly_below: int = 4  # employees: who has fewer pays by quarter


@dataclass(frozen=True)
class LoanStacking:
    """Many companies draw on a new lender in the months before they default."""

    found_by: ClassVar[tuple[str, ...]] = ("monitoring.watch_list", "monitoring.precision", "cashflow.recurring")
    share: float = 0.7  # of the companies that default
    share_of_others: float = 0.02  # of those that do not, over the whole history
    first_months: int = 10  # fewest and most months before the default
    last_months: int = 14
    instalment_ratio: float = 0.05  # of a month's turnover
    n_instalments: int = 24


@dataclass(frozen=True)
class RewrittenReports:
    """Some reports are rewritten under their id once a statement that came late is in: served when asked for."""

    found_by: ClassVar[tuple[str, ...]] = ("snapshot.diff",)
    one_in: int = 60  # bank reports


@dataclass(frozen=True)
class UselessCriterion:
    """One criterion of the flag says nothing: the share of even amounts, with no weight in the score."""

    found_by: ClassVar[tuple[str, ...]] = ("flags.criterion_prevalence",)
    criterion: str = "evenAmounts"


@dataclass(frozen=True)
class UnderstatedProbability:
    """The probability of default of the Financial X-Ray is too low by one factor, as of a year before the end.

    Counted from the day of each report it seems less: more of those years lie before the downturn.
    """

    found_by: ClassVar[tuple[str, ...]] = ("backtest.observations", "validation.calibration_table")
    factor: float = 1.5  # defaults within twelve months / sum of the probabilities


@dataclass(frozen=True)
class Truths:
    """Everything planted; None is left out."""

    common_shock: CommonShock | None = CommonShock()
    selective_acceptance: SelectiveAcceptance | None = SelectiveAcceptance()
    early_repayments: EarlyRepayments | None = EarlyRepayments()
    renewals: Renewals | None = Renewals()
    groups: Groups | None = Groups()
    cures: Cures | None = Cures()
    stopped_uploads: StoppedUploads | None = StoppedUploads()
    accounts: SeveralAccounts | None = SeveralAccounts()
    value_added_tax: ValueAddedTax | None = ValueAddedTax()
    loan_stacking: LoanStacking | None = LoanStacking()
    rewritten_reports: RewrittenReports | None = RewrittenReports()
    useless_criterion: UselessCriterion | None = UselessCriterion()
    understated_probability: UnderstatedProbability | None = UnderstatedProbability()

    def without(self, names: Iterable[str]) -> Truths:
        """These, less those of `names`.

        Raises
        ------
        InputError
            A name is none of them.
        """
        left_out = tuple(names)
        for name in left_out:
            if name not in PHENOMENA:
                raise InputError(f"the sandbox plants no {name!r}; there are {', '.join(PHENOMENA)}")
        return replace(self, **dict.fromkeys(left_out))

    def described(self) -> dict[str, dict[str, Any]]:
        """By name of each one planted: `what` it is, its `parameters`, and what it is `found_by`."""
        planted = {name: getattr(self, name) for name in PHENOMENA}
        return {
            name: {"what": one.__doc__, "parameters": asdict(one), "found_by": one.found_by}
            for name, one in planted.items()
            if one is not None
        }


PHENOMENA = tuple(one.name for one in fields(Truths))
