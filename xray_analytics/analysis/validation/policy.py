"""The thresholds of a validation: policy, not statistics. A versioned TOML file, shipped and replaceable."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ...errors import InputError

SHIPPED = Path(__file__).with_name("validation.toml")


@dataclass(frozen=True)
class Policy:
    """What a validation report judges by; each field is a line of `validation.toml`, where its meaning stands."""

    name: str
    version: str
    min_companies: int
    min_defaults: int
    min_class_companies: int
    min_segment_companies: int
    level: float
    confidence: float
    auc_reference: float
    pd_horizon_months: int
    asset_correlation: float
    psi_floor: float
    max_data_age_days: int


def shipped_policy() -> Policy:
    """The policy that comes with the package.

    Examples
    --------
    >>> shipped_policy().min_companies
    2000
    """
    return parsed_policy(SHIPPED.read_text(encoding="utf-8"), str(SHIPPED.name))


def parsed_policy(text: str, source: str) -> Policy:
    """The policy that a TOML text says; every line of the shipped file has to be there, and no other.

    Raises
    ------
    InputError
        It is not TOML, a line is missing, unknown or of the wrong type, or a number is out of its range.
    """
    try:
        given: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is no TOML: {error}; start from the shipped validation.toml") from None
    names = {field.name: field.type for field in fields(Policy)}
    missing, unknown = (sorted(a - b) for a, b in ((set(names), set(given)), (set(given), set(names))))
    if missing or unknown:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has unknown {', '.join(unknown)}"] * bool(unknown)
        raise InputError(f"{source} {' and '.join(parts)}; start from the shipped validation.toml")
    kinds: dict[Any, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
    for name, kind in names.items():
        if not isinstance(given[name], kinds[kind]) or isinstance(given[name], bool):
            raise InputError(f"{source}: {name} is {given[name]!r}, where {kind} is needed")
    values: dict[str, Any] = {
        name: float(given[name]) if kind == "float" else given[name] for name, kind in names.items()
    }
    policy = Policy(**values)
    _check(policy, source)
    return policy


def _check(policy: Policy, source: str) -> None:
    ranges = {
        "min_companies": (1, None), "min_defaults": (1, None), "min_class_companies": (1, None),
        "min_segment_companies": (20, None), "level": (0.0001, 0.5), "confidence": (0.5, 0.9999),
        "auc_reference": (0.5, 1), "pd_horizon_months": (1, 120), "asset_correlation": (0, 0.99),
        "psi_floor": (1e-9, 0.1), "max_data_age_days": (1, None),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        value = getattr(policy, name)
        if value < low or (high is not None and value > high):
            allowed = f"{low} or more" if high is None else f"{low} to {high}"
            raise InputError(f"{source}: {name} is {value}; allowed is {allowed}")
