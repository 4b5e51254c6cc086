"""X-Ray credit-risk reports as tidy, point-in-time tables, and the portfolio analyses built on them.

The way of the data::

    API ──get──▶ bytes ──┐
    files ──import──▶────┴─▶ raw ──tidy──▶ Arrow tables ──▶ commit ──▶ Parquet parts + manifest
                                      └─ bad report ─▶ quarantine (kept, named, counted)
    lender's files ──attach──▶ companies · loans · exposures · outcomes
    snapshot(as_of) ──read──▶ frames ──analysis──▶ small frame ──chart──▶ Axes

To change what is on the left, open what is on the right::

    a table or column, its unit, meaning or check   ▸ tables, schema
    an address, a company number, a value in a file ▸ grammar
    what can be set, what is said when it fails     ▸ settings, errors
    how the service is talked to                    ▸ api
    how a payload becomes rows                      ▸ tidy
    how data come in, again, and go                 ▸ ingest
    how they are kept, seen as of a day, written    ▸ store, engine, files
    a figure, and its picture                       ▸ analysis, charts
    what a committee or a model team is handed      ▸ report, export
    the fictitious service                          ▸ sandbox
    a command, its options, what it prints          ▸ cli, console

Names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import charts, errors, export, tables
    from .analysis import backtest, cashflow, monitoring, portfolio, quality, validation
    from .analysis.portfolio import flags, migration, ratios
    from .api.client import XRayClient
    from .api.notes import Notes
    from .console import progress
    from .errors import XRayError
    from .ingest import spark as scale
    from .ingest.files import import_files, read_report
    from .ingest.fitting import fit_layout
    from .ingest.lender import attach
    from .ingest.sync import sync
    from .sandbox import Sandbox
    from .settings import Settings
    from .store import Store
    from .store.remote.published import PublishedStore

_HOMES = {
    "Notes": "api.notes",
    "PublishedStore": "store.remote.published",
    "Sandbox": "sandbox",
    "Settings": "settings",
    "Store": "store",
    "XRayClient": "api.client",
    "XRayError": "errors",
    "attach": "ingest.lender",
    "fit_layout": "ingest.fitting",
    "import_files": "ingest.files",
    "progress": "console",
    "read_report": "ingest.files",
    "sync": "ingest.sync",
}
_MODULES = {
    "backtest": "analysis.backtest",
    "cashflow": "analysis.cashflow",
    "charts": "charts",
    "errors": "errors",
    "export": "export",
    "flags": "analysis.portfolio.flags",
    "migration": "analysis.portfolio.migration",
    "monitoring": "analysis.monitoring",
    "portfolio": "analysis.portfolio",
    "quality": "analysis.quality",
    "ratios": "analysis.portfolio.ratios",
    "scale": "ingest.spark",
    "tables": "tables",
    "validation": "analysis.validation",
}

__all__ = [
    "Notes",
    "PublishedStore",
    "Sandbox",
    "Settings",
    "Store",
    "XRayClient",
    "XRayError",
    "attach",
    "backtest",
    "cashflow",
    "charts",
    "errors",
    "export",
    "fit_layout",
    "flags",
    "import_files",
    "migration",
    "monitoring",
    "portfolio",
    "progress",
    "quality",
    "ratios",
    "read_report",
    "scale",
    "sync",
    "tables",
    "validation",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
