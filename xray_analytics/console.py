"""How far is it? Progress while something long runs, and the terminal that shows it.

The module cannot be called ``progress``: importing it would put it in the place of the public `progress`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

# Called with a stage, how many of it are done, and how many there are, as far as that is known.
Progress = Callable[[str, int, int | None], None]


def in_silence(stage: str, done: int, total: int | None) -> None:
    """No progress is shown."""


def console() -> Console:
    """Standard output; no colour and full width when it is piped."""
    from rich.console import Console  # noqa: PLC0415 - whoever shows nothing need not load it

    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress bar per stage, on stderr or in the notebook; silent where nobody watches.

    ``with xa.progress() as bars: xa.sync(client, store, progress=bars)``
    """
    from rich import progress as rich_progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    columns = (
        rich_progress.TextColumn("{task.description:<9}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
    )
    out = Console(stderr=True)
    is_watched = out.is_jupyter or sys.stderr.isatty()
    with rich_progress.Progress(*columns, console=out, disable=not is_watched) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report
