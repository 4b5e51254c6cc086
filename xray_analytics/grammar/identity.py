"""The number of a company, read in one way at every door: requests, payloads, files of the lender, erasure.

Documented: the number types ``siren`` (France) and ``kvk`` (Netherlands); others exist and are passed on as they are.
A number is never repaired: what a spreadsheet has rounded or shortened cannot be told from another company's.
"""

from __future__ import annotations

import re
from collections.abc import Container

from ..errors import InputError

SIREN_DIGITS, SIRET_DIGITS = 9, 14
_LENGTHS = {"siren": SIREN_DIGITS, "kvk": 8}
DOCUMENTED_TYPES = tuple(_LENGTHS)
_LA_POSTE = "356000000"  # its establishments have numbers whose digits add up to a multiple of 5 (INSEE)
_INVISIBLE = dict.fromkeys(
    map(ord, "\u180e\u200b\u200c\u200d\u2060\ufeff")
)  # no spaces to Unicode, but nothing is seen
_TYPE = re.compile(r"[a-z][a-z_]{0,31}", re.ASCII)
_NUMBER = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_ROUNDED = re.compile(r"\d+[.,]\d*([eE][+-]?\d+)?|\d+[eE]\+?\d+", re.ASCII)
_AS_TEXT = "format the column as text in the spreadsheet and export it again"
_MISTYPED = "its check digit does not fit, so one digit is mistyped"


def without_blanks(text: str) -> str:
    """The text without spaces of any kind, line ends and invisible characters.

    >>> without_blanks(" 514\\u202f673\\xa0987\\u200b ")
    '514673987'
    """
    return "".join(text.translate(_INVISIBLE).split())


def company_code(text: str, code_type: str = "siren") -> str:
    """The number of a company, checked: without blanks, and of a SIRET the SIREN that it begins with.

    Parameters
    ----------
    text
        As it was typed or sent.
    code_type
        ``"siren"`` (9 digits with a check digit), ``"kvk"`` (8 digits), or another of the service's words, of whose
        numbers is known only that they are up to 32 digits and letters.

    Raises
    ------
    InputError
        It cannot be the number of a company: wrong length, other characters, a wrong check digit, or what a
        spreadsheet makes of a number (``5,52E+08``, lost zeros).

    Notes
    -----
    SIREN and SIRET: Luhn (ISO/IEC 7812-1, annex B), but for the establishments of La Poste.

    Examples
    --------
    >>> company_code("514 673 987"), company_code("514 673 987 00012"), company_code("24288945", "kvk")
    ('514673987', '514673987', '24288945')
    >>> company_code("514673986")
    Traceback (most recent call last):
    xray_analytics.errors.InputError: 514673986 is not a SIREN: its check digit does not fit, so one digit is mistyped
    """
    code = without_blanks(str(text))
    fault = code_fault(code, code_type)
    if fault:
        raise InputError(f"{code} is {fault}" if _NUMBER.fullmatch(code) else f"that is {fault}")
    return code[:SIREN_DIGITS] if code_type == "siren" else code


def code_fault(text: str, code_type: str = "siren") -> str | None:
    """What is wrong with a number, without repeating it; None where `company_code` takes it. Errors as there.

    >>> code_fault("51467398A"), code_fault("514673987")
    ('not a SIREN: that has 9 digits, this 9 characters', None)
    """
    if not is_code_type(code_type):
        raise InputError(f"code_type {code_type!r} is not a word such as siren or kvk")
    code = without_blanks(text)
    if code_type in _LENGTHS and _ROUNDED.fullmatch(code):
        return f"not a {code_type.upper()} but a number that a spreadsheet rounded: {_AS_TEXT}"
    if not _NUMBER.fullmatch(code):
        return f"not a number of a company: a {code_type} number has digits and letters only, at most 32; check it"
    if code_type == "siren" and len(code) == SIRET_DIGITS and code.isdigit():
        return None if _is_siret(code) else f"not a SIRET: {_MISTYPED}"
    return _fault_of_digits(code, code_type) if code_type in _LENGTHS else None


def meant(text: str, known: Container[str]) -> str:
    """The number among those known that somebody typed: as it stands, without blanks, or by the SIRET of it.

    What is known by no spelling comes back without blanks.

    >>> meant("732 829 320 00074", {"732829320"}), meant("5520135", {"732829320", "5520135"}), meant(" 1 2", ())
    ('732829320', '5520135', '12')
    """
    code = without_blanks(text)
    siren = [code[:SIREN_DIGITS]] if code_fault(code) is None else []
    return next((spelling for spelling in (text, code, *siren) if spelling in known), code)


def doubt(text: str) -> str:
    """What is wrong with a number that is found nowhere and no documented kind takes, after a colon; else nothing.

    >>> doubt("514673986")
    ': not a SIREN: its check digit does not fit, so one digit is mistyped'
    >>> doubt("514673987"), doubt("24288945")
    ('', '')
    """
    faults = [code_fault(text, kind) for kind in DOCUMENTED_TYPES]
    return f": {faults[0]}" if all(faults) else ""


def is_code_type(text: str) -> bool:
    """Whether a word can be a kind of company number.

    >>> is_code_type("siren"), is_code_type("SIREN")
    (True, False)
    """
    return _TYPE.fullmatch(text) is not None


def _fault_of_digits(code: str, code_type: str) -> str | None:
    length, name = _LENGTHS[code_type], code_type.upper()
    if len(code) != length or not code.isdigit():
        lost = f"; if a spreadsheet dropped leading zeros, {_AS_TEXT}" if code.isdigit() and len(code) < length else ""
        return f"not a {name}: that has {length} digits, this {len(code)} characters{lost}"
    return None if code_type != "siren" or _fits_luhn(code) else f"not a {name}: {_MISTYPED}"


def _is_siret(code: str) -> bool:
    fits = _fits_luhn(code) or (code.startswith(_LA_POSTE) and sum(map(int, code)) % 5 == 0)
    return fits and _fits_luhn(code[:SIREN_DIGITS])


def _fits_luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + position % 2) for position, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
