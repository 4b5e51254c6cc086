"""What changes something at the service, or fetches a single thing: request, upload, pdf."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import progress
from ..errors import InputError
from ..grammar import identity
from .options import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    app,
    echo,
    group,
    journal_path,
    open_store,
    print_json,
    service_settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..api.client import XRayClient
    from ..api.notes import Notes
    from ..store import Store

_OTHERWISE = "--force replaces it, --out names another file"
request = group("request", "Requests for an analysis, and the notes that go with them.")


@request.command("create")
def request_create(
    siren: Annotated[str | None, typer.Option(help="French company number, 9 digits.")] = None,
    kvk: Annotated[str | None, typer.Option(help="Dutch company number, 8 digits.")] = None,
    creator: Annotated[str | None, typer.Option(help="Id of the user responsible; default yourself.")] = None,
    business_name: Annotated[str | None, typer.Option(help="A name for the request.")] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Open a request for a company; never a second one where the fate of an earlier attempt is unknown.

    Example: xray request create --siren 514673987
    """
    if (siren is None) == (kvk is None):
        raise InputError("give one company number: --siren or --kvk")
    number, code_type = siren or kvk or "", "siren" if siren else "kvk"
    with _service(store) as client:
        made = client.create_request(
            number,
            code_type=code_type,
            creator=creator,
            business_name=business_name,
        )
    typed, code = identity.without_blanks(number), identity.company_code(number, code_type)
    siret = f" of company {code}, the first nine digits of the SIRET" if typed != code else ""
    _say(made.data, as_json, f"Request {made.id}{siret}")


@request.command("show")
def request_show(
    request_id: Annotated[str, typer.Argument(help="Id of the request.")], as_json: JsonOption = False
) -> None:
    """One request as the service has it now, its notes included.

    Example: xray request show 635107e452436f15d3b39d87
    """
    from ..api.client import XRayClient

    with XRayClient(service_settings()) as client:
        found = client.get_request(request_id).data
    if as_json:
        print_json(found)
    else:
        _table([{"member": name, "value": value} for name, value in _flat(found)], f"Request {request_id}")


@request.command("list")
def request_list(as_json: JsonOption = False) -> None:
    """All requests you may see.

    Example: xray request list --json
    """
    from ..api.client import XRayClient
    from ..api.requests import created_at

    with XRayClient(service_settings()) as client:
        found = client.list_requests()
    if as_json:
        print_json([one.data for one in found])
        return
    shown = ("businessName", "status", "stage")
    rows = [
        {"id": one.id, "company": _code(one.data), "created": created_at(one)} | {name: one.get(name) for name in shown}
        for one in found
    ]
    _table(rows, f"{len(rows):,} requests")


@request.command("notes")
def request_notes(
    request_id: Annotated[
        list[str] | None, typer.Argument(metavar="REQUEST", help="Ids of requests; default every row of the file.")
    ] = None,
    *,
    file: Annotated[Path, typer.Argument(help="CSV or JSON: one company, or many by request_id or company_id.")],
    euros: Annotated[bool, typer.Option("--euros", help="Amounts are euros, not cents.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the notes of companies and send them: all problems are named before anything is sent.

    Exit code 3 where the service took those of some requests only.

    Example: xray request notes 635107e452436f15d3b39d87 accounts.csv --euros
    """
    from ..api.client import XRayClient
    from ..api.notes import read_notes
    from ..errors import ApiError

    companies = read_notes(file, in_euros=euros)
    with XRayClient(service_settings()) as client:
        wanted = _notes_of(client, request_id, companies)
        for one, notes in wanted.items():
            for warning in notes.warnings:
                typer.echo(f"warning: {warning}" + f" (request {one})" * (len(wanted) > 1), err=True)
        sent = dict(client.fan_out(lambda one: client.update_notes(one, wanted[one]), wanted))
    refused = {one: error for one, error in sent.items() if isinstance(error, ApiError)}
    if len(sent) == len(refused) == 1:
        raise next(iter(refused.values()))
    taken = [answer.data for answer in sent.values() if not isinstance(answer, ApiError)]
    _say(taken[0] if len(wanted) == 1 else taken, as_json, _sent(wanted.keys() - refused.keys()))
    for error in refused.values():
        typer.echo(f"xray: {error}", err=True)
    if refused:
        raise typer.Exit(3)


@app.command()
def upload(
    request_id: Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request.")],
    file: Annotated[Path, typer.Argument(help="A PDF of at most 20 MB with digital text, no scan.")],
    name: Annotated[str, typer.Option(help="bank_statement, certified_financial_statement, … or other.")],
    period: Annotated[str | None, typer.Option(help="month, quarter, semester or year.")] = None,
    date: Annotated[str | None, typer.Option(help="Day of the document, such as 2022-02-28.")] = None,
    media_type: Annotated[str, typer.Option("--type", help="What the file is, if no PDF.")] = "application/pdf",
    again: Annotated[bool, typer.Option("--again", help="Even if this very file is online already.")] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Upload a file to a request in the service's three steps; run it again where it was interrupted.

    Example: xray upload 635107e452436f15d3b39d87 february.pdf --name bank_statement --period month --date 2022-02-28
    """
    from dataclasses import asdict

    with _service(store) as client, progress() as bars:
        done = client.upload(
            request_id,
            file,
            name=name,
            period=period,
            date=date,
            media_type=media_type,
            again=again,
            progress=lambda sent, total: bars("upload", sent, total),
        )
    _keep(open_store(store), store, done.id, file)
    words = "is online" if done.is_new else "was online already; --again uploads it anew"
    _say(asdict(done), as_json, f"Medium {done.id} {words}.")


@app.command()
def pdf(
    report_id: Annotated[str, typer.Argument(metavar="REPORT", help="Id of a Bank X-Ray report.")],
    out: Annotated[Path | None, typer.Option(help="Where to; default REPORT.pdf.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Fetch it even if the store has it.")] = False,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """The PDF of a Bank X-Ray report, checked; kept in the store if there is one.

    Example: xray pdf 61baf58cb92353003b888c3d --out february.pdf
    """
    from .. import files
    from ..api.client import XRayClient

    target = out or Path(f"{report_id}.pdf")
    if target.exists() and not force:
        raise InputError(f"{target} exists already; {_OTHERWISE}")
    opened = open_store(store)
    data = kept = None if refresh else opened.document(report_id)
    if data is None:
        with XRayClient(service_settings()) as client:
            data = client.download_pdf(report_id)
    files.save(data, target, overwrite=force, instead=_OTHERWISE)
    echo(f"Written: {target}")
    if kept is None and opened.exists:  # after the copy, which does not depend on the store
        if report_id in opened.tombstones():
            typer.echo("It is of a company that was forgotten, and is not kept in the store.", err=True)
            return
        opened.add_document(report_id, data)


def _keep(opened: Store, store: Path, medium_id: str, file: Path) -> None:
    """The row of an uploaded document into the store, if there is one; where it is locked, the next sync writes it."""
    from ..api.journal import Journal
    from ..errors import StoreError
    from ..ingest.media import keep_media

    if not opened.exists:
        return
    try:
        with Journal(journal_path(store)) as journal:
            keep_media(opened, journal, {medium_id: file.name})
    except StoreError as error:
        typer.echo(f"The document is online; the next xray sync notes it in the store ({error})", err=True)


@contextmanager
def _service(store: Path) -> Iterator[XRayClient]:
    """A client that remembers in the store's journal what it was about to create."""
    from ..api.client import XRayClient
    from ..api.journal import Journal

    settings = service_settings()
    with Journal(journal_path(store)) as journal, XRayClient(settings, journal=journal) as client:
        yield client


def _notes_of(client: XRayClient, asked: list[str] | None, companies: Mapping[str, Notes]) -> dict[str, Notes]:
    """Every row by its request; of a request asked for: its row, else that of its company, else one without ids."""
    from ..api.notes import addressed

    if not asked:
        return addressed(companies, {one.id: _company(one) for one in client.list_requests()})
    found = {}
    for request_id in asked:
        keys = (request_id, _company(client.get_request(request_id)), "")
        row = next((companies[key] for key in keys if key in companies), None)
        if row is None:
            raise InputError(f"the file has no row for request {request_id}, neither by request_id nor by company_id")
        found[request_id] = row
    return found


def _sent(request_ids: Collection[str]) -> str:
    what = f"request {min(request_ids)}" if len(request_ids) == 1 else f"{len(request_ids):,} requests"
    return f"Notes of {what} sent."


def _company(found: Mapping[str, Any]) -> str:
    return str((found.get("code") or {}).get("id"))


def _code(found: Mapping[str, Any]) -> str:
    code = found.get("code") or {}
    return f"{code.get('type')} {code.get('id')}"


def _flat(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", one) for inner, one in _flat(value))
        else:
            yield name, value if isinstance(value, list) else str(value)


def _table(rows: list[dict[str, Any]], title: str) -> None:
    import pandas as pd

    from . import terminal

    terminal.show(pd.DataFrame(rows), title=title, max_rows=1000)


def _say(facts: Any, as_json: bool, text: str) -> None:
    if as_json:
        print_json(facts)
    else:
        typer.echo(text)
