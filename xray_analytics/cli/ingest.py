"""Bringing data in: demo, sandbox, sync, import, attach, inspect."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import progress
from .options import (
    DEFAULT_STORE,
    CodeTypeOption,
    JsonOption,
    LayoutOption,
    StoreOption,
    app,
    day,
    echo,
    file_settings,
    journal_path,
    open_store,
    print_json,
    service_settings,
)

if TYPE_CHECKING:
    from ..ingest.lender import Attached
    from ..ingest.run import IntakeResult
    from ..sandbox import Sandbox


ProcessesOption = Annotated[
    int, typer.Option(min=1, max=64, help="Tidy in so many processes beside this one; worth it from 1,000 reports.")
]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the store and the report.")] = Path("data/demo"),
    companies: Annotated[int, typer.Option(min=1, max=100_000, help="How many fictitious companies.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Which economy: the same seed gives the same bytes.")] = 7,
) -> None:
    """Sync the sandbox's fictitious portfolio over real HTTP and look at it.

    Example: xray demo --companies 500
    """
    from . import terminal
    from .demo import run, show_portfolio

    with progress() as bars:
        result = run(out, companies=companies, seed=seed, progress=bars)
    terminal.show_totals(result.intake)
    show_portfolio(result.portfolio)
    terminal.say(f"Written: {result.report}, {result.workbook} and {result.sheet}")
    terminal.say(f"Next: open the first in a browser, or try  xray read reports --store {result.store.path} --limit 5")


@app.command()
def sandbox(
    companies: Annotated[int, typer.Option(min=1, max=100_000, help="How many fictitious companies.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Which economy.")] = 7,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
    faults: Annotated[str, typer.Option(help="none, slow, flaky, limited, confused, hostile or down.")] = "none",
    manner: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="How it plays what is undocumented: report_delay=172800; repeatable."),
    ] = None,
) -> None:
    """Serve a fictitious risk service on this machine until Ctrl-C.

    Example: xray sandbox --companies 50 --manner report_delay=60 --manner deliveries=twice
    """
    from ..sandbox import Sandbox
    from ..sandbox.service.behaviour import Manners

    def announce(served: Sandbox) -> None:
        settings = served.settings()
        typer.echo("# All companies are fictitious. Set these in another terminal, then run: xray sync")
        typer.echo(f"export XRAY_BASE_URL={settings.base_url}")
        typer.echo(f"export XRAY_USER_ID={settings.user_id.reveal()}")
        typer.echo(f"export XRAY_SESSION_TOKEN={settings.session_token.reveal()}")
        typer.echo(f"export XRAY_BUSINESS_ID={settings.business_id}")

    manners = {"faults": faults} | Manners.parsed(manner or ())
    Sandbox(companies=companies, seed=seed, port=port, **manners).serve_forever(announce)


@app.command()
def sync(
    store: StoreOption = DEFAULT_STORE,
    product: Annotated[
        list[str] | None, typer.Option(help="Only this product (repeatable): bank, financial, …")
    ] = None,
    request: Annotated[list[str] | None, typer.Option(help="Only this request (repeatable).")] = None,
    since: Annotated[str | None, typer.Option(help="Only requests created on this day or later.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Calls under way at once.")] = None,
    processes: ProcessesOption = 1,
    layout: LayoutOption = None,
    full: Annotated[bool, typer.Option("--full", help="List settled requests too.")] = False,
    recheck: Annotated[bool, typer.Option("--recheck", help="Fetch known reports again.")] = False,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Fetch quarantined reports again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch everything new from the service; a killed sync goes on where it was.

    Example: xray sync --product bank --store data/store
    """
    from ..api.client import XRayClient
    from ..api.journal import Journal
    from ..ingest.sync import sync as fetch

    settings = service_settings(workers, layout)
    with ExitStack() as stack:
        queue = journal_path(store)
        journal = stack.enter_context(Journal(queue)) if queue.exists() else None
        client, bars = stack.enter_context(XRayClient(settings)), stack.enter_context(progress())
        result = fetch(
            client,
            open_store(store),
            products=product or None,
            request_ids=request or None,
            since=day(since, "--since"),
            full=full,
            recheck=recheck,
            quarantined=quarantined,
            journal=journal,
            processes=processes,
            progress=bars,
        )
    _finish(result, as_json)


@app.command("import")
def import_(
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders of report and request JSON; - is standard input.")
    ],
    store: StoreOption = DEFAULT_STORE,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Try quarantined payloads again.")] = False,
    processes: ProcessesOption = 1,
    layout: LayoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring in report files (.json, .ndjson, .gz, .zst, .zip): no API needed.

    A list of reports in a file is taken apart. Example: xray import exports/ march.ndjson.gz --processes 4
    """
    from ..ingest.files import import_files

    settings = file_settings()
    with progress() as bars:
        result = import_files(
            paths,
            open_store(store),
            sources=settings.get("sources"),
            aliases=settings.get("transaction_aliases"),
            layout=layout or settings.get("layout"),
            quarantined=quarantined,
            processes=processes,
            progress=bars,
        )
    _finish(result, as_json)


@app.command()
def attach(
    file: Annotated[Path, typer.Argument(help="CSV, XLSX or Parquet file.")],
    table: Annotated[str | None, typer.Option("--as", help="companies, loans, exposures or outcomes.")] = None,
    code_type: CodeTypeOption = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="The file is all there is: what it leaves out is withdrawn.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Withdraw more than a tenth without being asked.")] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Bring in the lender's own companies, loans, exposures or outcomes; a correction replaces.

    Example: xray attach loans_2025.csv --as loans
    """
    from dataclasses import asdict

    from ..ingest.lender import attach as bring_in

    ask = typer.confirm if sys.stdin.isatty() and not as_json else False
    done = bring_in(open_store(store), file, table=table, code_type=code_type, complete=complete, yes=yes or ask)
    if as_json:
        print_json(asdict(done))
    else:
        echo("\n".join(_said(done)))


def _said(done: Attached) -> Iterator[str]:
    yield (
        f"{done.table}: {done.n_rows:,} rows, {done.n_new:,} of them new, {done.n_replaced:,} corrected, "
        f"{done.n_withdrawn:,} withdrawn, {done.n_forgotten:,} of companies that were erased."
    )
    yield f"{done.n_unknown:,} of its {done.n_companies:,} company codes are known to no report or request."
    if done.n_sirets:
        yield f"{done.n_sirets:,} rows have a SIRET and count for its first nine digits, the SIREN."


@app.command()
def fit(
    samples: Annotated[list[Path], typer.Argument(help="Files or folders of bank reports; about 20 are best.")],
    out: Annotated[Path, typer.Option(help="The layout file to write.")] = Path("layout.toml"),
    answer: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="An answer, such as unit=cents or zone=Europe/Paris; repeatable."
        ),
    ] = None,
    diagnostic: Annotated[
        Path | None, typer.Option(help="Write the shapes of the samples, without amounts, names or texts, for support.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find how reports of an unknown shape are read, and prove it on their statements, to the cent.

    Ends with 3 where something must be answered with --set, and with 1 where nothing fits; then no file is written.

    Example: xray fit samples/ --out layout.toml --set unit=cents
    """
    from ..files import save
    from ..ingest.fitting import fit_layout
    from ..ingest.fitting.fit import parsed_answers
    from ..ingest.fitting.samples import described
    from . import terminal

    if diagnostic is not None:
        save(described(samples), diagnostic, overwrite=force)
    found = fit_layout(samples, answers=parsed_answers(answer or ()))
    if found.layout is not None:
        save(found.toml(), out, overwrite=force)
    if as_json:
        print_json(found.to_dict())
    else:
        terminal.show_fit(found, out)
    if found.layout is None:
        raise typer.Exit(3 if found.questions and not found.failures else 1)


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A file with one report.")],
    layout: LayoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """What of one report is recognised, what is not, and the settings line that would map it.

    Example: xray inspect report.json
    """
    from dataclasses import asdict

    from ..ingest.files import inspect_file
    from . import terminal

    settings = file_settings()
    how = layout or settings.get("layout")
    inspection = inspect_file(file, aliases=settings.get("transaction_aliases"), layout=how)
    if as_json:
        print_json(asdict(inspection))
    else:
        terminal.show_inspection(inspection, file)


def _finish(result: IntakeResult, as_json: bool) -> None:
    from . import terminal

    if as_json:
        print_json(result.to_dict())
    else:
        terminal.show_totals(result)
    if result.is_partial:
        raise typer.Exit(3)
