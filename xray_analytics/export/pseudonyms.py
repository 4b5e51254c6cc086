"""Ids that cannot be read back: HMAC-SHA256 under a key that stays with its owner.

The key is a file of 32 random bytes in hexadecimal, readable by its owner only; never in the store, never in an
export, never printed. Who has it can tell which company a pseudonym is; the same key gives the same pseudonyms again.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from .. import files
from ..errors import InputError

_KEY_BYTES = 32
_HEX_DIGITS = 24  # 96 bits: two of a million companies meet with a chance of 1e-17


def default_key_file() -> Path:
    """Where the key stands unless another file is named: in the user's configuration folder."""
    from platformdirs import user_config_path  # noqa: PLC0415

    return user_config_path("xray_analytics") / "pseudonyms.key"


@dataclass(frozen=True)
class Pseudonyms:
    """Ids under a key; `check` tells one key from another and gives nothing away."""

    key: bytes = field(repr=False)

    def of(self, kind: str, ids: pd.Series[str]) -> pd.Series[str]:
        """The pseudonym of each id, a letter and 24 hexadecimal digits, so that nothing takes it for a number.

        >>> Pseudonyms(b"0" * 32).of("company", pd.Series(["732829320"])).tolist()
        ['c6229b694d930d1326c4dc6f9']
        """
        names = {i: f"{kind[0]}{self._digest(f'{kind}:{i}')[:_HEX_DIGITS]}" for i in ids.dropna().unique()}
        if len(set(names.values())) < len(names):
            raise InputError("two ids have the same pseudonym under this key; use another key")
        return ids.map(names).astype("string")

    @property
    def check(self) -> str:
        """The first digits of the HMAC of a fixed text."""
        return self._digest("check:xray_analytics")[:16]

    def _digest(self, text: str) -> str:
        return hmac.digest(self.key, text.encode(), "sha256").hex()


def read_key(path: Path, *, outside: Sequence[Path], make: bool = True) -> Pseudonyms:
    """The key in a file, which is made where there is none.

    Raises
    ------
    InputError
        The file is inside one of the folders `outside`, others can read it, it is not a key, or it is missing and
        must not be made.
    """
    real = Path(os.path.realpath(path))
    for folder in outside:
        if real.is_relative_to(os.path.realpath(folder)):
            raise InputError(f"the key {path} is inside {folder}, with what it protects; name a file elsewhere (--key)")
    if make and not real.exists():
        _make(real)
    try:
        mode, text = os.stat(real).st_mode, real.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except FileNotFoundError:
        raise InputError(f"there is no key at {path}; name the file of the key that made the pseudonyms") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a key ({type(error).__name__}); name another file") from None
    if len(key) < _KEY_BYTES:
        raise InputError(f"{path} is no key of {_KEY_BYTES} bytes in hexadecimal; name another file")
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise InputError(f"others can read the key {path}; run chmod 600 on it")
    return Pseudonyms(key)


def _make(path: Path) -> None:
    """Whole or not at all: a half-written key would be another one."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):  # a key that another process made meanwhile
            files.place(f"{os.urandom(_KEY_BYTES).hex()}\n".encode(), path)
    except OSError as error:
        raise InputError(f"the key {path} cannot be written ({error.strerror}); name another file (--key)") from None
