"""Until a report is there: wait, and the webhooks that make waiting unnecessary."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import progress
from .options import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    app,
    echo,
    file_settings,
    group,
    journal_path,
    open_store,
    print_json,
    service_settings,
    span,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from ..api.journal import Journal, Wait
    from ..api.waiting import Waited
    from ..settings import WebhookSettings
    from ..store import Store

webhook = group("webhook", "Be called when a report is new, instead of asking.")


@app.command()
def wait(
    request: Annotated[list[str] | None, typer.Argument(help="Requests; default every wait that is not over.")] = None,
    product: Annotated[str, typer.Option(help="bank, financial, esg, …")] = "bank",
    timeout: Annotated[str, typer.Option(help="How long: 90s, 30m, 2h, 2d.")] = "48h",
    store: StoreOption = DEFAULT_STORE,
    keep: Annotated[bool, typer.Option("--sync/--no-sync", help="Bring the report into the store.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Wait for the next report of a request; after Ctrl-C, `xray wait` alone takes all open waits up again.

    Exit code 3 where a report did not come in time, or where its request is gone.

    Example: xray wait 61b1aaa1015c69003931e945 --product bank --timeout 2h
    """
    from ..api.client import XRayClient
    from ..api.journal import Journal
    from ..api.waiting import wait_for_reports
    from ..ingest.media import keep_media
    from ..ingest.sync import sync

    settings, longest = service_settings(), span(timeout, "--timeout")
    for asked in request or ():  # before it is remembered: a wait that cannot be asked for would never end
        settings.source_of(product)
        settings.checked_id(asked)
    opened, ended = open_store(store), []
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(journal_path(store)))
        client = stack.enter_context(XRayClient(settings))
        bars = stack.enter_context(progress())
        waits = [_started(journal, opened, r, product, longest) for r in request] if request else journal.waits()
        stack.callback(_remind, journal)
        for waited in wait_for_reports(client, waits, journal=journal, progress=bars):
            ended.append(waited)
            if not as_json:
                typer.echo(_sentence(waited))
            if keep and waited.report is not None:
                sync(client, opened, products=[waited.product], request_ids=[waited.request_id])
                keep_media(opened, journal)
    if as_json:
        print_json([_plain(waited) for waited in ended])
    elif not ended:
        typer.echo("No wait is open.", err=True)
    if any(waited.report is None for waited in ended):
        raise typer.Exit(3)


@webhook.command()
def serve(
    store: StoreOption = DEFAULT_STORE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8750,
    expose: Annotated[bool, typer.Option("--expose", help="Allow an address other machines can reach.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Fetch the reports as well, every half minute.")] = False,
) -> None:
    """Receive deliveries until Ctrl-C: they are queued on disk, and `xray sync` fetches their reports.

    A proxy that ends HTTPS belongs in front. [webhook] in the settings file says how deliveries are signed.

    Example: xray webhook serve --sync
    """
    from ..api.client import XRayClient
    from ..api.journal import Journal
    from ..api.webhooks import PATH, receiver
    from ..api.webhooks import serve as run
    from ..ingest.deliveries import draining
    from ..settings import DEFAULT_ID_PATTERN, WebhookSettings

    settings = WebhookSettings.from_environment()
    id_pattern = file_settings().get("id_pattern", DEFAULT_ID_PATTERN)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(journal_path(store), max_pending=settings.max_pending))
        if sync:
            client = stack.enter_context(XRayClient(service_settings()))
            stack.enter_context(draining(client, open_store(store), journal))
        received = receiver(journal, settings, id_pattern=id_pattern)

        def announce(port: int) -> None:
            path = f"{PATH}/***" if settings.path_secret else PATH
            typer.echo(f"Listening on http://{host}:{port}{path}; {_proof(settings)}. Ctrl-C ends.")

        run(received, host=host, port=port, expose=expose, announce=announce)
        typer.echo(", ".join(f"{n:,} {word}" for word, n in sorted(received.state.counted.items())) or "No deliveries.")


@webhook.command("list")
def list_(
    show_key: Annotated[bool, typer.Option("--show-key", help="Print the keys that validate deliveries.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Which addresses the service calls.

    Example: xray webhook list
    """
    from ..api.client import XRayClient

    with XRayClient(service_settings()) as client:
        found = client.list_webhooks()
    keys = ["no key" if w.key is None else w.key.reveal() if show_key else "key hidden" for w in found]
    if as_json:
        print_json([{"url": w.url, "events": w.events, "key": key} for w, key in zip(found, keys, strict=True)])
    else:
        lines = [f"{w.url}  {', '.join(w.events)}  {key}" for w, key in zip(found, keys, strict=True)]
        echo("\n".join(lines) or "No webhook is set.")


@webhook.command()
def add(
    url: Annotated[str, typer.Argument(help="An https address that reaches `xray webhook serve`.")],
    event: Annotated[list[str] | None, typer.Option(help="Repeatable; default new_report.")] = None,
) -> None:
    """Have an address called; how the service takes this is assumed, so it is read back and compared.

    Example: xray webhook add https://hooks.example.org/webhook
    """
    from ..api.client import XRayClient

    with XRayClient(service_settings()) as client:
        added = client.add_webhook(url, events=event or ("new_report",))
    echo(f"{added.url} is called on {', '.join(added.events)}; `xray webhook list --show-key` prints its key.")


@webhook.command()
def remove(url: Annotated[str, typer.Argument(help="The address, as `xray webhook list` shows it.")]) -> None:
    """Have an address called no more.

    Example: xray webhook remove https://hooks.example.org/webhook
    """
    from ..api.client import XRayClient

    with XRayClient(service_settings()) as client:
        client.remove_webhook(url)
    echo(f"{url} is not called any more.")


def _started(journal: Journal, store: Store, request_id: str, product: str, longest: timedelta) -> Wait:
    """A wait for a report that the store does not hold; one that is open already keeps what it knew."""
    from datetime import UTC, datetime

    known: list[str] = []
    if store.exists:
        rows = store.snapshot().arrow("reports", columns=["report_id", "request_id", "product"]).to_pylist()
        known = [row["report_id"] for row in rows if (row["request_id"], row["product"]) == (request_id, product)]
    return journal.start_wait(request_id, product, datetime.now(UTC) + longest, known)


def _remind(journal: Journal) -> None:
    if still := len(journal.waits()):
        typer.echo(f"Waits still open: {still}; `xray wait` takes them up again.", err=True)


def _sentence(waited: Waited) -> str:
    if waited.report is None:
        return f"{waited.status}: {waited.error}"
    note = " (ready, but unrated)" if waited.status == "unrated" else ""
    return f"{waited.report.id}{note}"


def _plain(waited: Waited) -> dict[str, str | None]:
    return {
        "request_id": waited.request_id,
        "product": waited.product,
        "status": waited.status,
        "report_id": waited.report.id if waited.report else None,
        "error": str(waited.error) if waited.error else None,
    }


def _proof(settings: WebhookSettings) -> str:
    if settings.is_signed:
        return f"deliveries must be signed ({len(settings.keys)} keys)"
    return "deliveries need not be signed: each is a hint, and its report is fetched from the service"
