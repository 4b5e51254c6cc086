"""What a bank label says: one spelling, the stem that its repetitions share, and the name of the other party.

Banks print labels in capitals, cut them, glue words together and add references. Nothing is looked up here: a stem
is the label without its references, a counterparty what is left without the bank's own words.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

# Letters that Unicode does not decompose into a plain one and a mark.
_PLAIN = str.maketrans({"Ł": "L", "Ø": "O", "Đ": "D", "Æ": "AE", "Œ": "OE", "ẞ": "SS", "ß": "SS"})
_REFERENCE = r"\S*\d\S*\d\S*\d\S*|\b\d+\b"  # a word with three digits, or a number
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
    unnamed = labels.where(named.isna())
    return named.fillna(_each(unnamed, _party)).fillna(stems(unnamed))


def _each(texts: pd.Series[str], change: Callable[[pd.Series[str]], pd.Series[str]]) -> pd.Series[str]:
    """Change every distinct text once; missing texts stay missing, and nothing left is missing."""
    codes, unique = pd.factorize(texts.astype("string"))
    changed = change(pd.Series(unique, dtype="string"))
    changed = changed.mask(changed == "").astype("string")
    return pd.Series(changed.array.take(codes, allow_fill=True), texts.index, dtype="string")


def _capitals(texts: pd.Series[str]) -> pd.Series[str]:
    upper = texts.str.upper()
    foreign = ~upper.str.isascii().astype(bool)
    if foreign.any():
        plain = upper[foreign].str.translate(_PLAIN).str.normalize("NFKD").str.replace(r"[^\x00-\x7f]", "", regex=True)
        upper = upper.mask(foreign, plain.str.upper())
    return _single_spaces(upper)


def _without_references(texts: pd.Series[str]) -> pd.Series[str]:
    return _single_spaces(_capitals(texts).str.replace(_REFERENCE, " ", regex=True))


def _party(texts: pd.Series[str]) -> pd.Series[str]:
    short = _capitals(texts).str.replace(_CUT, " ", regex=True).str.replace(_BANK_WORDS, "", regex=True)
    return _bare(short.str.replace(_REFERENCE, " ", regex=True))


def _bare(names: pd.Series[str]) -> pd.Series[str]:
    without = names.str.replace(_LEGAL_FORM, " ", regex=True).str.replace(r"[^A-Z0-9&]+", " ", regex=True)
    return _single_spaces(without)


def _single_spaces(texts: pd.Series[str]) -> pd.Series[str]:
    return texts.str.replace(r"\s+", " ", regex=True).str.strip()
