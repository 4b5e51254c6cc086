"""Keeping the store whole, small and lawful, and sharing it: verify, compact, rebuild, forget, publish."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import progress
from .options import (
    DEFAULT_STORE,
    JsonOption,
    LayoutOption,
    StoreOption,
    app,
    echo,
    existing_store,
    journal_path,
    print_json,
)

if TYPE_CHECKING:
    from ..store import Finding

SettingsOption = Annotated[
    Path | None,
    typer.Option("--settings", envvar="XRAY_SETTINGS", help="Settings file with layouts, sources and aliases."),
]


@app.command()
def verify(
    store: StoreOption = DEFAULT_STORE,
    published: Annotated[str | None, typer.Option(help="Check what is published there instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check every digest, count and sum, the key, lock and journal; name what is wrong and the command that helps.

    Example: xray verify --store data/store
    """
    from ..store.remote.published import PublishedStore

    findings = all_findings(store) if published is None else PublishedStore(published).verify()
    if as_json:
        print_json([asdict(f) for f in findings])
    else:
        echo("\n".join(map(str, findings)) or "The store is whole.")
    if findings:
        raise typer.Exit(6)


def all_findings(store: Path) -> list[Finding]:
    """What is wrong with a store, and with the journal beside it."""
    from ..api.journal import Journal
    from ..store import Finding

    found, journal = existing_store(store).verify(), journal_path(store)
    fault = Journal.fault(journal)
    helps = "move it away: `xray sync --full` finds every report without it"
    return [*found, Finding(journal.name, fault, helps)] if fault else found


@app.command()
def compact(
    store: StoreOption = DEFAULT_STORE,
    max_parts: Annotated[int, typer.Option(min=1, help="Merge where a table has more files than this.")] = 64,
    grace: Annotated[int, typer.Option(min=0, help="Remove unused files older than this [days].")] = 7,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Merge small files and remove those that no kept commit names; no answer changes.

    Example: xray compact --dry-run
    """
    opened = existing_store(store)
    merged = opened.crowded(max_parts)
    if not dry_run:
        opened.compact(max_parts=max_parts)
    removed = opened.gc(grace=timedelta(days=grace), dry_run=dry_run)
    if as_json:
        print_json({"merged": merged, "removed": removed, "dry_run": dry_run})
        return
    would = "would be " if dry_run else ""
    for name, n_parts in merged.items():
        typer.echo(f"{name}: {n_parts:,} files {would}merged")
    echo("\n".join(removed) + f"\n{len(removed):,} files {would}removed" if removed else "Nothing to remove.")


@app.command()
def rebuild(
    store: StoreOption = DEFAULT_STORE,
    settings: SettingsOption = None,
    layout: LayoutOption = None,
    drop_damaged: Annotated[
        bool, typer.Option("--drop-damaged", help="Give up damaged files that nothing can restore; try a backup first.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the tables anew from the bytes kept: after an upgrade, another layout, or damage. Offline.

    Example: xray rebuild --layout layout.toml
    """
    from ..ingest.rebuild import rebuild as make_anew

    how = _mapping(settings)
    how |= {"layout": layout} if layout else {}
    with progress() as bars:
        done = make_anew(existing_store(store), **how, drop_damaged=drop_damaged, progress=bars)
    if as_json:
        print_json(asdict(done))
    else:
        typer.echo(f"{done.n_versions:,} versions read again, {done.n_recovered:,} recovered from quarantine.")
        if done.n_remembered:
            typer.echo(f"{done.n_remembered:,} of them with the layout that read them before, not with one given now.")
        for name in done.dropped:
            typer.echo(f"Given up: {name}; `xray sync` fetches what the service still has")
    if done.n_refused:
        typer.echo(f"{done.n_refused:,} are not understood any more: `xray read quarantine` names them.", err=True)
    if done.n_refused or done.dropped:
        raise typer.Exit(3)


@app.command()
def forget(
    company: Annotated[str, typer.Option("--company", help="The company's code, such as its SIREN.")],
    store: StoreOption = DEFAULT_STORE,
    settings: SettingsOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase a company from every table, document and old file, and keep it from coming back.

    Example: xray forget --company 514673987
    """
    from ..api.journal import Journal
    from ..ingest.erasure import forget as erase

    opened = existing_store(store)
    if not yes:
        typer.confirm("All that is known of this company is erased from the store for good. Go on?", abort=True)
    queue = journal_path(store)
    with Journal(queue) if queue.exists() else nullcontext() as journal:
        done = erase(opened, company, journal=journal, **_mapping(settings))
    if as_json:
        print_json(asdict(done))
        return
    for name, n_rows in done.rows.items():
        typer.echo(f"{name}: {n_rows:,} rows erased")
    typer.echo(
        f"{done.n_documents:,} documents, {done.n_journal:,} lines of the journal and {done.n_files:,} old files "
        "removed; 0 rows of the company are left."
    )
    if done.n_mentions:
        typer.echo(f"{done.n_mentions:,} payloads of other companies mention its code; they are theirs, and stay.")


@app.command()
def publish(
    url: Annotated[str, typer.Argument(help="s3://bucket/prefix, gs://…, hdfs://…, abfs://… or a folder.")],
    store: StoreOption = DEFAULT_STORE,
    raw: Annotated[bool, typer.Option("--raw", help="Publish the bytes as received too.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove files of earlier publications.")] = False,
    share: Annotated[
        bool, typer.Option("--share", help="Let the group of a folder read it; else only you can.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy the newest commit to a bucket or shared folder; readers there see the old one or the new one, complete.

    Keys come from the environment (AWS_ACCESS_KEY_ID, …) or the machine's role, never from the URL.

    Example: xray publish s3://risk-lake/xray
    """
    with progress() as bars:
        done = existing_store(store).publish(url, raw=raw, prune=prune, share=share, progress=bars)
    if as_json:
        print_json(asdict(done))
        return
    typer.echo(
        f"Commit {done.commit} is published at {done.url}: {done.n_files:,} files, {done.n_copied:,} of them copied "
        f"now ({done.n_bytes_copied:,} bytes), {done.n_removed:,} older ones removed."
    )


def _mapping(settings: Path | None) -> dict[str, Any]:
    """Layouts, sources and aliases of the settings file, as far as it names them."""
    from ..settings import read_settings_file

    values = read_settings_file(settings)
    named = {"sources": values.get("sources"), "aliases": values.get("transaction_aliases")}
    named["layout"] = values.get("layout")
    return {name: value for name, value in named.items() if value is not None}
