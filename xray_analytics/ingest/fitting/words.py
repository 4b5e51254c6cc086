"""Words: what members are called in English, French, German and Dutch; they only order what values allow."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_GENERIC = ("value", "name", "label", "text", "id", "amount", "code", "valeur", "nom", "wert")
_TEXT: Mapping[str, Mapping[str, str]] = {
    "transaction": {
        "booked_date": "date bookingdate bookeddate operationdate dateoperation transactiondate dateop dateecriture "
        "buchungstag buchungsdatum boekdatum datum postingdate jour day when bookedat executedat boekingsdatum",
        "value_date": "valuedate datevaleur valuta valutadatum wertstellung wertstellungsdatum rentedatum valuedat",
        "label": "label libelle description wording rawlabel text verwendungszweck buchungstext omschrijving narrative "
        "remittanceinformation motif designation intitule communication betreff details detail mededeling",
        "amount": "amount signedamount montant amt betrag bedrag value valeur umsatz sum somme",
        "balance_after": "balance balanceafter runningbalance solde saldo kontostand soldeapres newbalance "
        "soldecourant",
        "currency": "currency currencycode devise waehrung wahrung munt ccy munteenheid codedevise",
        "category": "category categoryname categorie kategorie rubrique rubriek",
        "counterparty": "counterparty counterpartyname thirdparty tiers contrepartie gegenpartei empfaenger empfanger "
        "beneficiary tegenpartij creditor payee partner auftraggeber beneficiaire",
        "transaction_type": "type transactiontype nature typeoperation art buchungsart soort kind operationtype",
        "alerts": "alerts alertcodes alertes warnungen waarschuwingen flags",
        "account_id": "iban accountiban accountid account compte konto rekening kontonummer",
        "statement_id": "statementid statement releve idreleve numeroreleve auszug auszugsnummer afschrift statementno "
        "statementnumber releveid",
        "source_transaction_id": "id transactionid identifiant reference ref uuid txid operationid",
    },
    "statement": {
        "statement_id": "statementid statement id number numero no releve idreleve auszugsnummer statementno nummer",
        "start_date": "startdate datedebut from debut periodstart startdatum von vanaf begindatum start dateouverture",
        "end_date": "enddate datefin to fin periodend enddatum bis tot einddatum end datecloture",
        "bic": "bic swift",
        "iban": "iban accountiban account compte",
        "page_count": "pagecount pages nombrepages nbpages seiten paginas nombredepages",
        "start_balance": "startbalance openingbalance soldedebut soldeinitial soldeouverture anfangssaldo beginsaldo "
        "opening",
        "end_balance": "endbalance closingbalance soldefin soldefinal soldecloture endsaldo eindsaldo closing "
        "schlusssaldo",
        "total_credit": "totalcreditamount totalcredit credits totalcredits totaldescredits summehaben creditamount "
        "totaalcredit credit",
        "total_debit": "totaldebitamount totaldebit debits totaldebits totaldesdebits summesoll debitamount "
        "totaaldebet debit",
        "movements": "movements mouvements status verdict bewegungen",
    },
    "criterion": {
        "criterion": "criteria criterion name critere key kriterium label criterium",
        "value": "value valeur wert waarde",
        "quantile_pct": "quantile percentile centile quantil quantilepct",
        "sentiment": "sentiment verdict opinion tendance",
        "popovers": "popovers comments tooltips hints commentaires",
    },
    "metric": {
        "metric": "name metric key label nom metrique",
        "period_value": "period periode value amount valeur montant",
        "annualised_value": "annualised annualized annuel annual annualise jahreswert annualisedvalue",
    },
    "report": {
        "report_id": "id reportid uuid identifiant",
        "request_id": "request requestid demande demandeid anfrage aanvraag",
        "source": "source product produit kind type",
        "created_at": "creation createdat created creationdate datecreation erstellt timestamp",
        "company_id": "siren companycode companyid code",
        "bank_risk_class": "riskclass class classe classerisque risikoklasse grade rating riskgrade",
        "bank_score": "score note punkte",
        "bank_flag_color": "color colour couleur farbe kleur",
        "data_sanity_pct": "datasanity sanity quality dataquality qualite sanitypct",
    },
}
WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    section: {column: tuple(words.split()) for column, words in columns.items()} for section, columns in _TEXT.items()
}
SIDES: Mapping[int, frozenset[str]] = {
    1: frozenset(
        [
            "c",
            "credit",
            "crdt",
            "cr",
            "haben",
            "h",
            "in",
            "incoming",
            "entree",
            "bij",
            "plus",
            "+",
            "creditor",
            "received",
        ]
    ),
    -1: frozenset(
        ["d", "debit", "dbit", "dr", "soll", "s", "out", "outgoing", "sortie", "af", "minus", "-", "debet", "spent"]
    ),
}


def plain(name: str) -> str:
    """A name without case, accents and signs.

    >>> plain("Date_Opération")
    'dateoperation'
    """
    letters = unicodedata.normalize("NFKD", name)
    return re.sub(r"[^a-z0-9]", "", letters.casefold())


def likeness(section: str, column: str, path: str) -> int:
    """How much a path sounds like a column: 0 is not at all, more is better, the first of the words is best."""
    steps = [plain(step) for step in path.split(".")]
    words = WORDS[section][column]
    named = [steps[-1], "".join(steps[-2:])] if len(steps) > 1 else [steps[-1]]
    if len(steps) > 1 and steps[-1] in _GENERIC:
        named = ["".join(steps[-2:]), steps[-2]]
    best = 0
    for name in named:
        if name in words:
            best = max(best, 200 - words.index(name))
        elif any(len(word) > 4 and word in name for word in words):
            best = max(best, 50)
    return best
