"""What may be an argument: whole numbers, numbers within bounds, counts, and scales of classes. Never a NaN.

A comparison with NaN is false, so that a guard that asks for what is wrong lets it pass; these ask for what is right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import InputError
from ..tables import RISK_CLASSES

Classes = Sequence[int]


def is_number(value: object, low: float = -math.inf, high: float = math.inf) -> bool:
    """Whether it is a finite number from `low` to `high`.

    >>> is_number(0.5, 0, 1), is_number(float("nan")), is_number(float("inf")), is_number("1"), is_number(None)
    (True, False, False, False, False)
    """
    return isinstance(value, int | float | np.number) and math.isfinite(value) and bool(low <= value <= high)


def is_whole(value: object, low: float = -math.inf) -> bool:
    """Whether it is a whole number of at least `low`.

    >>> is_whole(12, 1), is_whole(12.5), is_whole(float("nan")), is_whole(float("inf")), is_whole(0, 1)
    (True, False, False, False, False)
    """
    return isinstance(value, int | float | np.number) and is_number(value, low) and value == math.floor(value)


def are_counts(values: npt.ArrayLike) -> bool:
    """Whether all are whole numbers from 0 on.

    >>> are_counts([0, 3.0]), are_counts([0.5]), are_counts([-1]), are_counts([np.nan]), are_counts([np.inf])
    (True, False, False, False, False)
    """
    numbers = np.asarray(values, np.float64)
    return bool(np.isfinite(numbers).all() and (numbers >= 0).all() and (numbers == np.floor(numbers)).all())


def scale(classes: Classes) -> tuple[int, ...]:
    """The classes from the best, 1, to the worst, n.

    Raises
    ------
    InputError
        They are not 1, 2 … n, or fewer than two.

    Examples
    --------
    >>> scale(range(1, 9))
    (1, 2, 3, 4, 5, 6, 7, 8)
    """
    given = tuple(classes)
    if len(given) < 2 or given != tuple(range(1, len(given) + 1)):
        raise InputError(f"classes are {given}; give them from the best to the worst, such as {RISK_CLASSES}")
    return tuple(int(risk_class) for risk_class in given)


def on_scale(values: pd.Series[Any], classes: Classes) -> pd.Series[Any]:
    """The values, once it is seen that those that are not null are on the scale.

    Raises
    ------
    InputError
        One is not; it is named.

    Examples
    --------
    >>> on_scale(pd.Series([1, 7], name="risk_class"), (1, 2, 3, 4, 5))
    Traceback (most recent call last):
    xray_analytics.errors.InputError: risk_class holds class 7, outside 1 to 5; in Python, give classes=(1, …, n)
    """
    outside = values[values.notna() & ~values.isin(list(classes))]
    if len(outside):
        found = outside.iloc[0]
        shown = f"{found:g}" if is_number(found) else repr(found)
        raise InputError(
            f"{values.name} holds class {shown}, outside 1 to {classes[-1]}; in Python, give classes=(1, …, n)"
        )
    return values
