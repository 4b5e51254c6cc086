"""What a validation looks at: the newest cohort whose horizon has passed, the ones before it, and parts of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...analysis import backtest, validation
from ...analysis.days import months_earlier
from ...analysis.guards import on_scale
from ...analysis.validation.one_factor import chance_of_defaults
from ...analysis.validation.policy import Policy
from ...errors import InputError
from ...tables import RISK_CLASSES

SCORES = {"bank": "risk_class", "financial": "default_probability"}
SEGMENTS = {"sector": "Sector (division)", "size_class": "Size", "region": "Region"}
NO_SUBJECT = ("closed", "in_default", "in_probation")  # no probability is of them
ALL_COHORTS = "all (clustered)"
_DIVISION = 2  # digits of a NACE code
_MOST_COHORTS = 10


@dataclass(frozen=True)
class ValidationTerms:
    """What is judged: the product's score or probability, over this horizon, with outcomes known until that day."""

    product: str
    horizon_months: int
    known_until: pd.Timestamp
    clock: str = "available"

    @property
    def score(self) -> str:
        """The column that ranks: the bank score's direction is not documented, so there it is the class."""
        return SCORES[self.product]


@dataclass(frozen=True)
class Cohorts:
    """The observations of every as-of date, and of the newest mature one what enters the tests."""

    observed: pd.DataFrame
    date: pd.Timestamp
    sample: pd.DataFrame
    earlier: tuple[pd.Timestamp, ...]  # mature dates before it, oldest first

    @property
    def n_defaults(self) -> int:
        """Companies of the sample that defaulted."""
        return int(self.sample["defaulted"].sum())


def cohorts(tables: Mapping[str, pd.DataFrame], terms: ValidationTerms, policy: Policy) -> Cohorts:
    """Observations at the ends of consecutive horizons, counted back from the last day on which outcomes are known.

    Raises
    ------
    InputError
        No company was observed a whole horizon before that day, or a class is none of the five.
    """
    if tables["outcomes"].empty:
        raise InputError("there are no outcomes to validate with; give a file of them, or attach one (xray attach)")
    dates = _dates(tables["reports"], terms)
    observed = backtest.observations(
        tables["reports"], tables["outcomes"], as_of_dates=dates, horizon_months=terms.horizon_months,
        outcomes_known_until=terms.known_until, product=terms.product, clock=terms.clock,  # type: ignore[arg-type]
        max_data_age_days=policy.max_data_age_days,
    )  # fmt: skip
    on_scale(observed["risk_class"], RISK_CLASSES)
    used = usable(observed)
    mature = sorted(used["as_of_date"].unique())
    if not mature:
        raise InputError(
            f"no company with a {terms.product} class and an outcome was observed {terms.horizon_months} months before "
            f"{terms.known_until:%Y-%m-%d}; attach outcomes (xray attach), or choose a shorter --horizon"
        )
    newest = pd.Timestamp(mature[-1])
    sample = with_segments(used[used["as_of_date"] == newest], tables["companies"]).reset_index(drop=True)
    return Cohorts(observed, newest, sample, tuple(pd.Timestamp(day) for day in mature[:-1]))


def usable(observed: pd.DataFrame) -> pd.DataFrame:
    """The observations that enter tests: mature, not excluded, with a known outcome."""
    held = observed["is_mature"].astype(bool) & observed["excluded_because"].isna() & observed["defaulted"].notna()
    return observed[held].astype({"defaulted": "bool"})


def with_segments(rows: pd.DataFrame, companies: pd.DataFrame) -> pd.DataFrame:
    """The rows with what the lender knows of their companies; null where it says nothing."""
    known = companies.drop_duplicates("company_id", keep="last").set_index("company_id")
    ids = rows["company_id"]
    found = {name: ids.map(known[name]).astype("string") for name in ("size_class", "region")}
    return rows.assign(sector=ids.map(known["sector_code"]).astype("string").str[:_DIVISION], **found)


def by_period(found: Cohorts, terms: ValidationTerms, policy: Policy) -> pd.DataFrame:
    """One row per mature cohort, oldest first, and with several a last one for all of them, clustered by company."""
    used = usable(found.observed)
    used = used.assign(cohort=used["as_of_date"].dt.strftime("%Y-%m-%d"))
    table = _figures(used, "cohort", terms, policy)
    if found.earlier:
        every = _figures(used.assign(cohort=ALL_COHORTS), "cohort", terms, policy, cluster="company_id")
        table = pd.concat([table, every], ignore_index=True)
    return table


def by_segment(found: Cohorts, terms: ValidationTerms, policy: Policy) -> dict[str, pd.DataFrame]:
    """Of each kind of segment one row per segment large enough, largest first; the p-values are Holm-adjusted."""
    tables = {}
    for kind in SEGMENTS:
        named = found.sample[kind].fillna("not known")
        large = found.sample[named.groupby(named).transform("size") >= policy.min_segment_companies]
        if large[kind].nunique(dropna=False) < 2:
            continue
        table = _figures(large.assign(**{kind: named}), kind, terms, policy)
        table = table.sort_values(["n", kind], ascending=[False, True], ignore_index=True)
        if "p_value" in table:
            table["p_value_holm"] = validation.holm(table.pop("p_value").to_numpy(np.float64))
        table.attrs["base"] = {
            "used": len(large),
            "excluded": {"in_smaller_segments": len(found.sample) - len(large)},
            "backfilled": None,
            "as_of": f"{found.date:%Y-%m-%d}",
            "filters": {},
        }
        tables[kind] = table
    return tables


def class_mix(found: Cohorts) -> pd.DataFrame:
    """Shares of the classes on every as-of date, the present one included, and how concentrated they are."""
    rated = found.observed[found.observed["excluded_because"].isna()]
    rows = []
    for day, group in rated.groupby("as_of_date"):
        shares = group["risk_class"].value_counts(normalize=True).reindex(list(RISK_CLASSES), fill_value=0.0)
        herfindahl = float((shares**2).sum())
        rows.append(
            {
                "as_of_date": day,
                "n_companies": len(group),
                **{f"class_{c}_ratio": float(shares[c]) for c in RISK_CLASSES},
                "herfindahl": herfindahl,
                "effective_classes": 1 / herfindahl,
            }
        )
    return pd.DataFrame(rows)


def same_companies(found: Cohorts, now: pd.Timestamp) -> pd.DataFrame | None:
    """Companies by class on the cohort's date (rows) and now (columns); null where none is rated at both."""
    rated = found.observed[found.observed["excluded_because"].isna()]
    sides = [rated[rated["as_of_date"] == day].set_index("company_id")["risk_class"] for day in (found.date, now)]
    both = pd.DataFrame({"before": sides[0], "after": sides[1]}).dropna().astype("int64")
    if both.empty:
        return None
    classes = list(RISK_CLASSES)
    return pd.crosstab(both["before"], both["after"]).reindex(index=classes, columns=classes, fill_value=0)


def intake(reports: pd.DataFrame, terms: ValidationTerms, day: pd.Timestamp) -> tuple[pd.Series[int], pd.Series[int]]:
    """Companies by class in their first rated report, up to a day and after it: no company is in both."""
    column = f"{terms.product}_risk_class"
    rated = reports[(reports["product"] == terms.product) & reports[column].notna() & reports["company_id"].notna()]
    first = rated.sort_values(["created_at", "report_id", "report_version"]).drop_duplicates("company_id")
    made = first["created_at"].dt.tz_localize(None).dt.normalize()
    on_scale(first[column], RISK_CLASSES)
    first, made = first[made <= terms.known_until], made[made <= terms.known_until]
    sides = (first.loc[made <= day, column], first.loc[made > day, column])
    before, after = (s.value_counts().reindex(list(RISK_CLASSES), fill_value=0) for s in sides)
    return before, after


def _figures(
    sample: pd.DataFrame, by: str, terms: ValidationTerms, policy: Policy, cluster: str | None = None
) -> pd.DataFrame:
    """Per group n, default rate and AUC; with probabilities their mean, over the declared horizon, and its test."""
    rows = sample if cluster else sample.drop(columns="company_id")  # a company is in a group once
    table = validation.default_rate_table(rows, by=by, cluster=cluster, confidence=policy.confidence)
    table = table.drop(columns="p_value_inversion")
    groups = dict(list(sample.groupby(by)))
    judged = (table["n_defaults"] >= policy.min_defaults) & (table["n_defaults"] < table["n"])
    areas = [
        validation.auc(groups[name], score=terms.score, confidence=policy.confidence, cluster=cluster)
        if enough
        else None
        for name, enough in zip(table[by], judged, strict=True)
    ]
    for column, attribute in (("auc", "value"), ("auc_low", "low"), ("auc_high", "high")):
        table[column] = [np.nan if area is None else getattr(area, attribute) for area in areas]
    if judges_probabilities(terms, policy):
        table["mean_probability"] = table[by].map(sample.groupby(by)["default_probability"].mean())
        complete = table[by].map(sample["default_probability"].notna().groupby(sample[by]).all())
        table["p_value"] = [
            chance_of_defaults(n, bad, mean, policy.asset_correlation) if whole and cluster is None else np.nan
            for n, bad, mean, whole in zip(
                table["n"], table["n_defaults"], table["mean_probability"], complete, strict=True
            )
        ]
    return table


def judges_probabilities(terms: ValidationTerms, policy: Policy) -> bool:
    """Whether there are probabilities, over the horizon on which the outcomes are seen."""
    return terms.product == "financial" and terms.horizon_months == policy.pd_horizon_months


def _dates(reports: pd.DataFrame, terms: ValidationTerms) -> Iterable[pd.Timestamp]:
    """Ends of consecutive horizons, back to the first report."""
    made = reports.loc[reports["product"] == terms.product, "created_at"]
    first = made.min()
    if pd.isna(first):
        raise InputError(f"there is no {terms.product} report to validate; run xray sync or xray import first")
    dates = [terms.known_until]
    for _ in range(_MOST_COHORTS):
        day = months_earlier(dates[-1], terms.horizon_months)
        if day < pd.Timestamp(first).tz_localize(None).normalize():
            break
        dates.append(day)
    return dates[::-1]
