"""Handing a backtest to the model team: write one, or check one."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import InputError
from .options import (
    DEFAULT_STORE,
    ClockOption,
    CodeTypeOption,
    JsonOption,
    StoreOption,
    app,
    day,
    echo,
    existing_store,
    print_json,
)

if TYPE_CHECKING:
    from ..export import Backtest

_PURPOSE = "give --check FILE, or --product, --from and --to (or --dates) and --out"


@app.command()
def backtest(
    store: StoreOption = DEFAULT_STORE,
    outcomes: Annotated[
        Path | None, typer.Option(help="File of outcomes; default those attached to the store.")
    ] = None,
    code_type: CodeTypeOption = None,
    product: Annotated[Literal["bank", "financial"] | None, typer.Option(help="Whose reports are tested.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First as-of date, a day.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last as-of date, a day.")] = None,
    every: Annotated[
        Literal["month", "quarter", "year"], typer.Option(help="As-of dates are ends of these.")
    ] = "quarter",
    dates: Annotated[str | None, typer.Option(help="Instead: as-of dates, separated by commas.")] = None,
    horizon: Annotated[int, typer.Option(min=1, help="Months in which a default counts.")] = 12,
    known_until: Annotated[
        str | None, typer.Option("--known-until", help="Day up to which outcomes are known; default the last observed.")
    ] = None,
    sampling: Annotated[
        Literal["non_overlapping", "overlapping", "report"], typer.Option(help="Which as-of dates and reports count.")
    ] = "non_overlapping",
    clock: ClockOption = "available",
    lag: Annotated[float, typer.Option("--lag-hours", min=0, help="Hours until a report counts as available.")] = 48,
    max_age: Annotated[int, typer.Option("--max-age-days", min=0, help="Older data are stale.")] = 365,
    probation: Annotated[int, typer.Option(min=0, help="Months of probation after a default.")] = 3,
    late: Annotated[int, typer.Option("--reporting-lag-days", min=0, help="Days by which defaults come late.")] = 0,
    test_share: Annotated[float, typer.Option(min=0, max=1, help="Share of companies that test.")] = 0.3,
    test_from: Annotated[str | None, typer.Option(help="Instead: as-of dates from this day on test.")] = None,
    split_key: Annotated[str, typer.Option(help="Which companies test follows from this text.")] = "xray_analytics",
    out: Annotated[Path | None, typer.Option(help="Folder to write, with datapackage.json.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="Of parquet, csv, feather, stata, xlsx, separated by commas.")
    ] = ("parquet,csv,feather,stata"),
    ids: Annotated[
        Literal["pseudonym", "plain"], typer.Option(help="How companies and reports are named.")
    ] = "pseudonym",
    key: Annotated[Path | None, typer.Option(help="File of the key of the pseudonyms; made where missing.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export in the folder.")] = False,
    commit: Annotated[int | None, typer.Option(help="Commit of the store to read; default the newest.")] = None,
    check: Annotated[
        Path | None,
        typer.Option(help="Make the export with this datapackage.json again and compare; exit 1 if it differs."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What was known of each company on each as-of date, and whether it defaulted: files for the model team.

    Example: xray backtest --product bank --from 2023-01-01 --to 2024-12-31 --outcomes outcomes.csv --out backtest
    """
    from .. import export

    opened = existing_store(store)
    if check is not None:
        _report_check(check, export.check_backtest(check, opened, outcomes=outcomes, key_file=key), as_json)
        return
    if product is None or out is None:
        raise InputError(f"nothing to do; {_PURPOSE}")
    snapshot = opened.snapshot(clock=clock, commit=commit)
    made = export.make_backtest(
        snapshot, outcomes=outcomes, code_type=code_type, product=product,
        as_of_dates=_dates(first, last, every, dates, sampling), horizon_months=horizon,
        outcomes_known_until=day(known_until, "--known-until"), sampling=sampling,
        availability_lag_hours=lag, max_data_age_days=max_age, probation_months=probation, reporting_lag_days=late,
        test_share=test_share, test_from=day(test_from, "--test-from"), split_key=split_key,
    )  # fmt: skip
    formats = [name.strip() for name in form.split(",")]
    command = shlex.join(["xray", *sys.argv[1:], *(() if commit else ("--commit", str(snapshot.commit)))])
    export.write_backtest(made, out, formats=formats, ids=ids, key_file=key, command=command, overwrite=force)
    _report_export(made, out, as_json)


def _dates(first: str | None, last: str | None, every: Any, dates: str | None, sampling: str) -> list[Any]:
    from ..analysis.backtest import as_of_grid

    if dates is not None and (first, last) == (None, None):
        return [day(text.strip(), "--dates") for text in dates.split(",")]
    if dates is not None or first is None or last is None:
        raise InputError(f"the as-of dates are not clear; {_PURPOSE}")
    if sampling == "report":  # every day between them
        return [day(first, "--from"), day(last, "--to")]
    return as_of_grid(day(first, "--from"), day(last, "--to"), every=every)


def _report_export(made: Backtest, out: Path, as_json: bool) -> None:
    from ..analysis.backtest import default_rates
    from . import terminal

    rates = default_rates(made.observations)
    rates["excluded_because"] = rates["excluded_because"].fillna("(used)")
    terms, n_used = made.observations.attrs["terms"], made.observations.attrs["base"]["used"]
    if as_json:
        plain = rates.astype(object).where(rates.notna(), None).to_dict("records")
        print_json(
            {"folder": str(out), "n_rows": n_used, "terms": terms, "source": made.source, "default_rates": plain}
        )
        return
    note = (
        f"Default within {terms['horizon_months']} months, outcomes known until {terms['outcomes_known_until']}; only "
        "mature rows have a rate. Best: none of those lost to follow-up defaulted; worst: all."
    )
    terminal.show(rates, title=f"Observations of {terms['product']} reports", note=note)
    echo(f"Written: {out} ({n_used:,} rows in data; datapackage.json describes them)")


def _report_check(path: Path, differences: list[str], as_json: bool) -> None:
    if as_json:
        print_json({"export": str(path), "identical": not differences, "differences": differences})
    else:
        echo("\n".join(differences) or "identical")
    if differences:
        raise typer.Exit(1)
