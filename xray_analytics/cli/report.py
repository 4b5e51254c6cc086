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
    echo,
    existing_store,
    group,
    print_json,
)

OutOption = Annotated[list[Path], typer.Option("--out", help="Where to write; give it once for each form.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
PersonsOption = Annotated[bool, typer.Option("--show-persons", help="Show natural persons; they are masked otherwise.")]
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
    from . import terminal

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
    from .. import files
    from .. import tables as declared
    from . import terminal

    if write is not None:
        files.save(declared.to_markdown(), write, overwrite=True)
        echo(f"Written: {write}")
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
    form: Annotated[str | None, typer.Option("--format", help="table, csv, json, parquet or xlsx.")] = None,
    raw_text: Annotated[bool, typer.Option("--raw-text", help="CSV: texts as they are, for no spreadsheet.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file; needed for parquet and xlsx.")] = None,
) -> None:
    """Rows of a table: on a terminal as a table, in a pipe as CSV.

    In CSV an apostrophe stands before a text that a spreadsheet could take for a formula; --raw-text leaves it out.

    Example: xray read reports --where "bank_risk_class = 5" --columns report_id,company_id
    """
    from . import terminal

    form = form or (out.suffix.lstrip(".") if out else "table" if sys.stdout.isatty() else "csv")
    snapshot = existing_store(store).snapshot(as_of, clock=clock)
    names = [n.strip() for n in columns.split(",")] if columns else None
    if form == "table":
        frame = snapshot.read(table, columns=names, where=where, money="decimal")
        terminal.show(_limited(frame, limit), title=table)
        return
    rows = _limited(snapshot.arrow(table, columns=names, where=where), limit)
    terminal.write_rows(rows, form, out, title=table, raw_text=raw_text)


@report.command("portfolio")
def report_portfolio(
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    clock: ClockOption = "available",
    since: Annotated[str | None, typer.Option(help="Count changes from this day; default three months before.")] = None,
    min_n: Annotated[int, typer.Option("--min-n", min=0, help="Hide counts of fewer companies; 0 shows all.")] = 0,
    show_persons: PersonsOption = False,
    out: OutOption = [Path("portfolio.html")],  # noqa: B006 - typer copies it
    force: ForceOption = False,
) -> None:
    """The portfolio as one HTML page, workbook or PDF, by the ending of each --out.

    Example: xray report portfolio --as-of 2025-06-30 --out june.html --out june.xlsx --out june.pdf
    """
    from ..report import portfolio
    from ..report.document import write

    told = {"--as-of": as_of, "--clock": clock if as_of else None, "--since": since, "--min-n": min_n or None}
    command = _again("portfolio", store, told, out, show_persons)
    write.check_places(out, portfolio.FORMS, overwrite=force)
    snapshot = existing_store(store).snapshot(as_of, clock=clock)
    found = portfolio.analyse(snapshot, command=command, since=since, min_n=min_n, show_persons=show_persons)
    for path in out:
        echo(f"Written: {portfolio.write_portfolio_report(found, path, overwrite=force)}")


@report.command("company")
def report_company(
    company: Annotated[str, typer.Argument(help="Code of the company, such as a SIREN.")],
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    clock: ClockOption = "available",
    shareable: Annotated[bool, typer.Option("--shareable", help="Name no counterparty, repeat no label.")] = False,
    show_persons: PersonsOption = False,
    out: OutOption = [Path("company.html")],  # noqa: B006 - typer copies it
    force: ForceOption = False,
) -> None:
    """One company on two A4 pages: HTML or PDF, by the ending of each --out.

    Example: xray report company 928672385 --out sheet.pdf --shareable
    """
    from ..report import company as sheet
    from ..report.document import write

    told = {"--as-of": as_of, "--clock": clock if as_of else None}
    flag = " --shareable" if shareable else ""
    command = _again(f"company {company}{flag}", store, told, out, show_persons)
    write.check_places(out, sheet.FORMS, overwrite=force)
    snapshot = existing_store(store).snapshot(as_of, clock=clock)
    found = sheet.analyse(snapshot, company, command=command, shareable=shareable, show_persons=show_persons)
    for path in out:
        echo(f"Written: {sheet.write_company_report(found, path, overwrite=force)}")


@app.command()
def watch(
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    clock: ClockOption = "available",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many rows; default 40 on screen.")] = None,
    show_persons: PersonsOption = False,
    as_json: JsonOption = False,
) -> None:
    """The watch list: which company meets which rule, what was before and is now, and since when.

    Example: xray watch --as-of 2025-06-30 --limit 20
    """
    from ..report.watch_list import watched
    from . import terminal

    rows = watched(existing_store(store).snapshot(as_of, clock=clock), show_persons=show_persons)
    if as_json:
        terminal.write_rows(rows.head(limit or len(rows)), "json", None, title="watch")
    else:
        terminal.show_watch(rows, limit)


def _again(what: str, store: Path, told: dict[str, Any], out: list[Path], show_persons: bool) -> str:
    """The command that makes a report again."""
    import shlex

    words = ["xray", "report", *what.split(" "), "--store", str(store)]
    for name, value in told.items():
        words += [] if value is None else [name, str(value)]
    words += ["--show-persons"] if show_persons else []
    return shlex.join([*words, *(word for path in out for word in ("--out", str(path)))])


def _limited(rows: Any, limit: int | None) -> Any:
    return rows if limit is None else rows[:limit]
