"""Sharing the store: publish."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from .options import DEFAULT_STORE, JsonOption, StoreOption, app, existing_store, print_json


@app.command()
def publish(
    url: Annotated[str, typer.Argument(help="s3://bucket/prefix, gs://…, hdfs://…, abfs://… or a folder.")],
    store: StoreOption = DEFAULT_STORE,
    raw: Annotated[bool, typer.Option("--raw", help="Publish the bytes as received too.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove files of earlier publications.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy the newest commit to a bucket or shared folder; readers there see the old one or the new one, complete.

    Keys come from the environment (AWS_ACCESS_KEY_ID, …) or the machine's role, never from the URL.

    Example: xray publish s3://risk-lake/xray
    """
    from . import terminal

    with terminal.progress() as progress:
        done = existing_store(store).publish(url, raw=raw, prune=prune, progress=progress)
    if as_json:
        print_json(asdict(done))
        return
    typer.echo(
        f"Commit {done.commit} is published at {done.url}: {done.n_files:,} files, {done.n_copied:,} of them copied "
        f"now ({done.n_bytes_copied:,} bytes), {done.n_removed:,} older ones removed."
    )
