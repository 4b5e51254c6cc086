"""What a report is an edition of: its day, its commit, who may read it and how much it may show."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ..analysis.days import months_later

MONTHS_BACK = 3


@dataclass(frozen=True)
class Edition:
    """What the reader is told about a report besides its figures, and how much of it the reader may see.

    Changes are counted from `since`, three months before `as_of` where it is not given. Counts below `min_n` are
    hidden; 0 shows all.
    """

    as_of: str
    commit: int | None = None
    title: str = "Portfolio report"
    command: str | None = None
    synthetic: bool = False
    show_persons: bool = False
    since: str = ""
    min_n: int = 0

    def __post_init__(self) -> None:
        if not self.since:
            day = months_later(pd.Timestamp(self.as_of), -MONTHS_BACK)
            object.__setattr__(self, "since", f"{day:%Y-%m-%d}")
