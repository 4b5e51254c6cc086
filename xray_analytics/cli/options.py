"""What the commands share: options, the store, settings, output."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..settings import Settings
    from ..store import Store

app = typer.Typer(
    name="xray",
    help="X-Ray credit-risk reports as tidy, point-in-time tables, and the portfolio analyses built on them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
DEFAULT_STORE = Path("data/store")
StoreOption = Annotated[Path, typer.Option("--store", envvar="XRAY_STORE", help="Folder of the store.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
AsOfOption = Annotated[str | None, typer.Option("--as-of", help="What was known then: a day or an instant (ISO).")]
CodeTypeOption = Annotated[
    str | None, typer.Option(help="Kind of company numbers in the file, siren or kvk; default that of the requests.")
]
LayoutOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--layout", metavar="FILE", help="How reports are read, as `xray fit` writes it (repeatable, in order)."
    ),
]
ClockOption = Annotated[
    Literal["available", "fetched"], typer.Option(help="available (known to the service) or fetched (known here).")
]


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"xray {version('xray-analytics')}")
        raise typer.Exit


@app.callback()
def whole(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """X-Ray credit-risk reports as tidy, point-in-time tables, and the portfolio analyses built on them."""


def group(name: str, purpose: str) -> typer.Typer:
    """A family of commands, such as ``xray report …``."""
    family = typer.Typer(help=purpose, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(family, name=name)
    return family


def open_store(path: Path) -> Store:
    """The store at a path, which need not exist yet."""
    from ..store import Store

    return Store(path)


def existing_store(path: Path) -> Store:
    """The store at a path, which must hold a commit."""
    opened = open_store(path)
    if not opened.exists:
        raise InputError(f"there is no store at {path}; `xray demo` or `xray sync` makes one, --store names another")
    return opened


def service_settings(workers: int | None = None, layout: list[Path] | None = None) -> Settings:
    """Settings from the environment and the settings file; credentials are needed."""
    from dataclasses import replace

    from ..settings import Settings

    settings = Settings.from_environment()
    settings = replace(settings, layout=layout) if layout else settings
    return replace(settings, workers=workers) if workers else settings


def file_settings() -> dict[str, Any]:
    """What the settings file says; credentials are not needed."""
    import os

    from ..settings import read_settings_file

    return read_settings_file(os.environ.get("XRAY_SETTINGS"))


def day(text: str | None, option: str) -> Any:
    """An ISO day of an option, or None."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date() if text else None
    except ValueError:
        raise InputError(f"{option} {text!r} is not a day such as 2025-06-30") from None


def span(text: str, option: str) -> timedelta:
    """A length of time of an option: 90s, 30m, 2h or 2d."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]+)?)([smhd])", text.strip())
    if not found:
        raise InputError(f"{option} {text!r} is not a length of time such as 90s, 30m, 2h or 2d")
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[found[2]]: float(found[1])})


def journal_path(store: Path) -> Path:
    """Where the journal of a store stands."""
    from ..store.strays import JOURNAL_FILE

    return store / JOURNAL_FILE


def print_json(value: Any) -> None:
    """Plain values as JSON on standard output."""
    # On a terminal, what could steer it stays an escape sequence of JSON.
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=sys.stdout.isatty()))


def echo(text: str) -> None:
    """Print lines that repeat names from outside, of files for instance: nothing in them steers the terminal."""
    from . import terminal

    typer.echo(terminal.visible(text, keep="\n"))
