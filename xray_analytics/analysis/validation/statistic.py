"""What a validation statistic looks like: a number with its interval, its test, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from scipy import stats

from ...errors import InputError
from ..guards import is_number

CONFIDENCE = 0.95
LEVEL = 0.05  # at which `detectable` is stated
POWER = 0.80


@dataclass(frozen=True)
class Statistic:
    """One figure of a validation, with everything needed to believe it or not.

    ``value``; ``low`` and ``high`` bound it at ``confidence`` (null: no interval is offered, ``notes`` say why);
    ``p_value`` of the hypothesis ``null``; ``n`` observations, ``n_defaults`` of them defaulted; ``variance`` of the
    value; ``n_missing`` observations left out because they had no score or probability; ``n_clusters`` where the
    interval is clustered. ``detectable`` is the smallest ``detectable_is`` that a test at 5 % finds four times in five
    with this sample: who finds nothing has not shown that nothing smaller is there. ``parts`` are terms of the value.
    """

    name: str
    value: float
    n: int
    n_defaults: int | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    variance: float | None = None
    null: str = ""
    detectable: float | None = None
    detectable_is: str = ""
    confidence: float = CONFIDENCE
    n_missing: int = 0
    n_clusters: int | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def facts(self) -> dict[str, str]:
        """Name and text of everything that is known, in reading order."""
        facts = {self.name: f"{self.value:.4g}"}
        if self.low is not None and self.high is not None:
            facts[f"{self.confidence:.0%} interval"] = f"{self.low:.4g} … {self.high:.4g}"
        if self.p_value is not None:
            facts["p-value"] = f"{self.p_value:.4g}" + (f" ({self.null})" if self.null else "")
        facts["n"] = f"{self.n:,}" + ("" if self.n_defaults is None else f", {self.n_defaults:,} defaulted")
        if self.n_clusters is not None:
            facts["clusters"] = f"{self.n_clusters:,}"
        if self.n_missing:
            facts["without a value"] = f"{self.n_missing:,}"
        if self.detectable is not None:
            facts["detectable"] = f"{self.detectable_is} {self.detectable:.3g}"
        facts |= {name: f"{value:.4g}" for name, value in self.parts.items()}
        return facts | ({"note": "; ".join(self.notes)} if self.notes else {})

    def __repr__(self) -> str:
        first, *rest = self.facts().items()
        return f"{first[0]} {first[1]}" + "".join(f" · {name} {text}" for name, text in rest)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in self.facts().items()
        )
        return f"<table>{rows}</table>"


def reach(confidence: float) -> float:
    """Standard deviations from the middle to the end of a two-sided interval.

    Raises
    ------
    InputError
        The confidence is not between 0 and 1.

    Examples
    --------
    >>> round(reach(0.95), 3)
    1.96
    """
    if not is_number(confidence, 0, 1) or confidence in (0, 1):
        raise InputError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    return float(stats.norm.ppf((1 + confidence) / 2))


def detectable_shift(error: float, *, sides: int = 2) -> float:
    """The shift of a normal estimate with this standard error that a test at `LEVEL` finds with `POWER`."""
    return float((stats.norm.isf(LEVEL / sides) + stats.norm.ppf(POWER)) * error)
