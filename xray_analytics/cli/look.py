"""Looking at what is there: status, tables, read, and the reports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import (
    DEFAULT_STORE,
    AsOfOption,
    ClockOption,
    JsonOption,
    StoreOption,
    app,
    existing_store,
    group,
    print_json,
)

report = group("report", "Reports to look at and to mail.")


@app.command()
def status(
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    clock: ClockOption = "available",
    as_json: JsonOption = False,
) -> None:
    """What is in the store: rows per table, the last run, and what is in quarantine.

    Example: xray status --store data/demo/store
    """
    from .. import terminal

    opened = existing_store(store)
    facts = opened.status(as_of, clock=clock)
    if as_json:
        print_json(facts)
    else:
        terminal.show_status(facts)


@app.command()
def tables(
    name: Annotated[str | None, typer.Argument(help="One table; default all.")] = None,
    write: Annotated[Path | None, typer.Option(help="Write the whole dictionary to this file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """The data dictionary: tables, or the columns of one.

    Example: xray tables transactions
    """
    from .. import tables as declared
    from .. import terminal

    if write is not None:
        write.write_text(declared.to_markdown(), encoding="utf-8")
        typer.echo(f"Written: {write}")
    elif as_json:
        chosen = [declared.table(name)] if name else list(declared.TABLES.values())
        print_json([t.to_dict() for t in chosen])
    else:
        terminal.show_tables(declared.table(name) if name else None)


@app.command()
def read(
    table: Annotated[str, typer.Argument(help="Name of the table; `xray tables` lists them.")],
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    clock: ClockOption = "available",
    where: Annotated[str | None, typer.Option(help='A condition, as in SQL: "bank_risk_class >= 4".')] = None,
    columns: Annotated[str | None, typer.Option(help="Columns, separated by commas.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="At most so many rows.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="table, csv, json or parquet.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file; needed for parquet.")] = None,
) -> None:
    """Rows of a table: on a terminal as a table, in a pipe as CSV.

    Example: xray read reports --where "bank_risk_class = 5" --columns report_id,company_id
    """
    from .. import terminal

    form = form or (out.suffix.lstrip(".") if out else "table" if sys.stdout.isatty() else "csv")
    snapshot = existing_store(store).snapshot(as_of, clock=clock)
    names = [n.strip() for n in columns.split(",")] if columns else None
    if form == "parquet":
        terminal.write_parquet(_limited(snapshot.arrow(table, columns=names, where=where), limit), out)
        return
    frame = snapshot.read(table, columns=names, where=where, money="decimal")
    terminal.write_rows(_limited(frame, limit), form, out, title=table)


@report.command("portfolio")
def report_portfolio(
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    clock: ClockOption = "available",
    out: Annotated[Path, typer.Option(help="Where to write the HTML file.")] = Path("portfolio.html"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """The portfolio on one self-contained HTML page.

    Example: xray report portfolio --as-of 2025-06-30 --out june.html
    """
    from ..report import portfolio

    moment = f" --as-of {as_of} --clock {clock}" if as_of else ""
    command = f"xray report portfolio --store {store}{moment} --out {out}"
    found = portfolio.analyse(existing_store(store).snapshot(as_of, clock=clock), command=command)
    portfolio.write_portfolio_report(found, out, overwrite=force)
    typer.echo(f"Written: {out}")


def _limited(rows: Any, limit: int | None) -> Any:
    return rows if limit is None else rows[:limit]
