"""Identifiers of the invented economy: valid in form, deterministic, attached to nobody.

Same arguments, same identifier: nothing here draws from a shared generator.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b

SPREAD = 9_999_991  # a prime: multiples of a smaller number do not meet


def digest(*parts: object) -> int:
    """A 64-bit number that depends on `parts` only.

    >>> digest("a", 1) == digest("a", 1), digest("a", 1) == digest("a", 2)
    (True, False)
    """
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def object_id(created: datetime, *parts: object) -> str:
    """An id of 24 lower-case hexadecimal digits, the first eight being the Unix time of creation.

    >>> object_id(datetime(2022, 10, 20, 8, 14, 28, tzinfo=UTC), "request", 1)[:8]
    '63510364'
    """
    return f"{int(created.timestamp()):08x}{digest(*parts):016x}"


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as the service writes it.

    >>> timestamp(datetime(2021, 12, 16, 8, 15, 8, tzinfo=UTC))
    '2021-12-16T08:15:08.000Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def shuffled(no: int, seed: int) -> int:
    """A number below `SPREAD` for each `no` below it, never the same for two of one seed.

    >>> len({shuffled(no, 7) for no in range(10_000)})
    10000
    """
    return (digest(seed, "shuffled") + no * 7_654_321) % SPREAD


def siren(number: int) -> str:
    """Eight digits and their Luhn digit: a SIREN that is valid in form.

    >>> siren(51467398)
    '514673987'
    """
    digits = f"{number % 10**8:08d}"
    doubled = [int(d) * (2 - i % 2) for i, d in enumerate(reversed(digits))]
    total = sum(d - 9 if d > 9 else d for d in doubled)
    return f"{digits}{-total % 10}"


def french_iban(account: int) -> str:
    """An IBAN of the bank code 99999, which no bank bears, with valid RIB and IBAN keys.

    >>> french_iban(12345678901)
    'FR7699999000001234567890167'
    """
    number = account % 10**11
    rib_key = 97 - (89 * 99999 + 3 * number) % 97
    return _iban("FR", f"9999900000{number:011d}{rib_key:02d}")


def dutch_iban(account: int) -> str:
    """An IBAN of the invented bank ``SYNT``.

    >>> dutch_iban(123456789)[4:]
    'SYNT0123456789'
    """
    return _iban("NL", f"SYNT{account % 10**10:010d}")


def _iban(country: str, basic: str) -> str:
    digits = "".join(str(int(character, 36)) for character in f"{basic}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{basic}"
