"""What a bank label says: one spelling, the stem that its repetitions share, and the name of the other party.

Banks print labels in capitals, cut them, glue words together and add references. Nothing is looked up here: a stem
is the label without its references, a counterparty what is left without the bank's own words.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# Letters that Unicode does not decompose into a plain one and a mark.
_PLAIN = {"Ł": "L", "Ø": "O", "Đ": "D", "Æ": "AE", "Œ": "OE", "ẞ": "SS", "ß": "SS"}
_SPACES = r"[\t-\r\x1c-\x1f ]+"
# Patterns are for RE2, which takes time in proportion to the text; texts are capitals without accents.
_REFERENCE = r"[^ ]*[0-9][^ ]*[0-9][^ ]*[0-9][^ ]*|\b[0-9]+\b"  # a word with three digits, or a number
_CUT = r"(?:/MOTIF|/REF|\bREF\b|\bMANDAT\b|\bMDT\b|\bRUM\b|\bICS\b|\bMOTIF\b|\bECHEANCE\b).*$"
_BANK_WORDS = (
    r"^(?:(?:VIR ?SEPA ?(?:RECU|EMIS)?|VIREMENTS?|VIR|SEPA|SCT|INST(?:ANTANE)?|PERMANENT|RECU|EMIS|WEB|EN VOTRE FAVEUR"
    r"|PRLV ?SEPA|PRELEVEMENT|PRLV|REJET|REJ|REMBT|FRAIS|IMPAYES?|COM|PAIEMENT|PAR|CB|CARTE|FACTURES?|ACHAT|DE|VERS"
    r"|POUR|ECH|PRET|NO|N)\b[ /.:*-]*|/DE )+"
)
_LEGAL_FORM = r"\b(?:SARL|SASU|SAS|EURL|SELARL|SNC|SA|EARL|GAEC)\b"


def normalised(labels: pd.Series[str]) -> pd.Series[str]:
    """Capitals without accents, single spaces; missing labels stay missing.

    >>> normalised(pd.Series(["  Prélèvement   SEPA Électricité ", "ŁUNA"], dtype="string")).tolist()
    ['PRELEVEMENT SEPA ELECTRICITE', 'LUNA']
    """
    return _each(labels, _capitals)


def stems(labels: pd.Series[str]) -> pd.Series[str]:
    """The label without references: words with three digits or more, and bare numbers.

    >>> stems(pd.Series(["PRLV SEPA AG2R 27 MDT2777", "CB Café 12/03/25"], dtype="string")).tolist()
    ['PRLV SEPA AG2R', 'CB CAFE']
    """
    return _each(labels, _without_references)


def counterparties(names: pd.Series[str], labels: pd.Series[str]) -> pd.Series[str]:
    """The other party in one spelling: the name given, else what the label leaves without the bank's words.

    References, purposes, legal forms and punctuation go. Nothing left is the stem of the label; nothing at all is
    missing.

    >>> labels = pd.Series(["VIR SEPA RECU /DE Licorne SARL /MOTIF F12", "VIR SALAIRE"], dtype="string")
    >>> counterparties(pd.Series([None, "Salarié 1"], dtype="string"), labels).tolist()
    ['LICORNE', 'SALARIE 1']
    """
    named = _each(names, lambda texts: _bare(_capitals(texts)))
    found = named.fillna(_each(labels.where(named.isna()), _party))
    return found.fillna(stems(labels.where(found.isna())))


def _each(texts: pd.Series[str], change: Callable[[pa.Array], pa.Array]) -> pd.Series[str]:
    """Change every distinct text once; missing texts stay missing, and nothing left is missing."""
    codes, unique = pd.factorize(texts.astype("string"))
    changed = change(pa.array(unique, pa.string()))
    kept = pd.array(pc.if_else(pc.equal(changed, ""), pa.scalar(None, pa.string()), changed), dtype="string")
    return pd.Series(kept.take(codes, allow_fill=True), texts.index, dtype="string")


def _capitals(texts: pa.Array) -> pa.Array:
    upper = pc.utf8_upper(texts)
    if not pc.all(pc.string_is_ascii(upper)).as_py():
        for letter, plain in _PLAIN.items():
            upper = pc.replace_substring(upper, letter, plain)
        marked = pc.utf8_upper(pc.utf8_normalize(upper, "NFKD"))
        upper = pc.replace_substring_regex(marked, r"[^\x00-\x7f]", "")
    return _single_spaces(upper)


def _without_references(texts: pa.Array) -> pa.Array:
    return _single_spaces(pc.replace_substring_regex(_capitals(texts), _REFERENCE, " "))


def _party(texts: pa.Array) -> pa.Array:
    short = _single_spaces(pc.replace_substring_regex(_capitals(texts), _CUT, " "))
    short = pc.replace_substring_regex(short, _BANK_WORDS, "")
    return _bare(pc.replace_substring_regex(short, _REFERENCE, " "))


def _bare(names: pa.Array) -> pa.Array:
    without = pc.replace_substring_regex(names, _LEGAL_FORM, " ")
    return _single_spaces(pc.replace_substring_regex(without, "[^A-Z0-9&]+", " "))


def _single_spaces(texts: pa.Array) -> pa.Array:
    return pc.ascii_trim_whitespace(pc.replace_substring_regex(texts, _SPACES, " "))
