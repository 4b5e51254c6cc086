"""The thresholds of a validation: policy, not statistics. A versioned TOML file, shipped and replaceable."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from ...errors import InputError

SHIPPED = Path(__file__).with_name("validation.toml")


@dataclass(frozen=True)
class Policy:
    """What a validation report judges by; each field is a line of `validation.toml`, where its meaning stands."""

    name: str
    version: str
    min_companies: Annotated[int, Meta(ge=1)]
    min_defaults: Annotated[int, Meta(ge=1)]
    min_class_companies: Annotated[int, Meta(ge=1)]
    min_segment_companies: Annotated[int, Meta(ge=20)]
    level: Annotated[float, Meta(ge=0.0001, le=0.5)]
    confidence: Annotated[float, Meta(ge=0.5, le=0.9999)]
    pd_horizon_months: Annotated[int, Meta(ge=1, le=120)]
    asset_correlation: Annotated[float, Meta(ge=0, le=0.99)]
    psi_floor: Annotated[float, Meta(ge=1e-9, le=0.1)]
    max_data_age_days: Annotated[int, Meta(ge=1)]
    judge_too_high: bool
    max_left_out_ratio: Annotated[float, Meta(ge=0, le=1)]
    auc_reference: Annotated[float, Meta(ge=0.5, le=1)] | None = None


def shipped_policy() -> Policy:
    """The policy that comes with the package.

    Examples
    --------
    >>> shipped_policy().min_companies
    2000
    """
    return parsed_policy(SHIPPED.read_text(encoding="utf-8"), str(SHIPPED.name))


def parsed_policy(text: str, source: str) -> Policy:
    """The policy that a TOML text says; every line of the shipped file has to be there, `auc_reference` may, no other.

    Raises
    ------
    InputError
        It is not TOML, a line is missing, unknown or of the wrong type, or a number is out of its range.
    """
    try:
        given: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is no TOML: {error}; start from the shipped validation.toml") from None
    kinds = get_type_hints(Policy, include_extras=True)
    needed = set(kinds) - {"auc_reference"}
    missing, unknown = (sorted(a - b) for a, b in ((needed, set(given)), (set(given), set(kinds))))
    if missing or unknown:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has unknown {', '.join(unknown)}"] * bool(unknown)
        raise InputError(f"{source} {' and '.join(parts)}; start from the shipped validation.toml")
    return Policy(
        **{name: _fitting(given[name], kind, f"{source}: {name}") for name, kind in kinds.items() if name in given}
    )


def _fitting(value: Any, kind: Any, line: str) -> Any:
    """The value as its kind and within the limits beside it."""
    kind = get_args(kind)[0] if isinstance(kind, UnionType) or get_origin(kind) is Union else kind
    plain, limits = get_args(kind) or (kind, Meta())
    try:
        value = msgspec.convert(value, plain)
    except msgspec.ValidationError:
        raise InputError(f"{line} is {value!r}, where {plain.__name__} is needed") from None
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        allowed = f"{limits.ge} or more" if limits.le is None else f"{limits.ge} to {limits.le}"
        raise InputError(f"{line} is {value}; allowed is {allowed}") from None
