"""`xray`: the commands. Parsing, printing and exit codes; what is done stands in the modules they call."""

from __future__ import annotations

import sys

import typer

from ..errors import XRayError
from . import backtest, ingest, report, service, store, validate, webhooks  # noqa: F401 - they register
from .options import app


def main() -> None:
    """Run `xray`. Exit codes: 0 done, 1 failed, 2 usage, 3 partial, 4 authentication, 5 unavailable, 6 store."""
    try:
        app(prog_name="xray")
    except XRayError as error:
        sentence = "".join(c if c.isprintable() else "·" for c in str(error))  # it may name a member of a report
        typer.echo(f"xray: {sentence}", err=True)
        sys.exit(error.exit_code)
