"""Reports and outcomes of a few companies, from the values that matter, for the tests of the backtest."""

from __future__ import annotations

import pandas as pd

DAY = pd.Timestamp("2024-06-30")
TERMS = {
    "as_of_dates": ["2024-06-30"], "horizon_months": 12, "outcomes_known_until": "2025-12-31", "product": "bank",
}  # fmt: skip


def instant(text):
    return pd.Timestamp(text, tz="UTC")


def report(company, created, *, version=1, fetched=None, period_end=None, **more):
    """A row of reports: its id is company and day of creation; a later version is available when fetched."""
    created, fetched = instant(created), instant(fetched or created)
    return {
        "report_id": more.pop("report_id", f"{company}-{created:%Y%m%d}"), "report_version": version,
        "company_id": company, "product": "bank", "created_at": created, "fetched_at": fetched,
        "available_at": created if version == 1 else fetched, "is_backfilled": False, "is_rated": True,
        "period_end_date": pd.Timestamp(period_end or created.tz_localize(None).normalize()), "bank_risk_class": 3,
        "bank_score": 0.5, "data_sanity_pct": 90.0, "default_probability": None, "financial_risk_class": None,
    } | more  # fmt: skip


def reports(*rows):
    frame = pd.DataFrame(list(rows))
    kinds = {"bank_risk_class": "Int64", "financial_risk_class": "Int64", "default_probability": "float64"}
    return frame.astype({"company_id": "string", **kinds})


def outcome(  # noqa: PLR0913
    company, default=None, cured=None, *, until="2025-12-31", exit=None, reason=None, recorded=None
):
    return {
        "company_id": company, "default_date": pd.Timestamp(default), "default_end_date": pd.Timestamp(cured),
        "observed_until": pd.Timestamp(until), "exit_date": pd.Timestamp(exit), "exit_reason": reason,
        "recorded_at": instant(recorded) if recorded else pd.NaT,
    }  # fmt: skip


def outcomes(*rows):
    frame = pd.DataFrame(list(rows)).astype({"company_id": "string", "exit_reason": "string"})
    for name in ("default_date", "default_end_date", "observed_until", "exit_date"):
        frame[name] = pd.to_datetime(frame[name])
    return frame.assign(recorded_at=pd.to_datetime(frame["recorded_at"], utc=True))
