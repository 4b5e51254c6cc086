"""Words of the invented economy: sectors, names, and the label shapes of French bank statements.

Label shapes follow what open-source statement parsers recognise; every company and counterparty is made up and says so.
"""

from __future__ import annotations

from typing import NamedTuple


class Sector(NamedTuple):
    """What companies of one trade have in common; money in EUR, shares of revenue, `peak` a month number."""

    code: str
    trade: str
    weight: float
    revenue_per_head: int
    payroll_share: float
    card_share: float
    peak: int
    swing: float
    fragility: float


SECTORS = (
    Sector("56.10A", "Restaurant", 0.12, 75_000, 0.30, 0.75, 7, 0.25, 0.30),
    Sector("10.71C", "Boulangerie", 0.09, 80_000, 0.28, 0.70, 12, 0.12, 0.00),
    Sector("43.21A", "Électricité", 0.10, 110_000, 0.28, 0.00, 10, 0.15, 0.25),
    Sector("43.99C", "Maçonnerie", 0.10, 115_000, 0.28, 0.00, 6, 0.25, 0.35),
    Sector("47.11B", "Épicerie", 0.08, 160_000, 0.13, 0.80, 12, 0.15, 0.10),
    Sector("45.20A", "Garage", 0.07, 130_000, 0.22, 0.45, 6, 0.08, 0.05),
    Sector("46.39B", "Négoce", 0.09, 320_000, 0.10, 0.05, 11, 0.12, 0.05),
    Sector("49.41A", "Transports", 0.07, 120_000, 0.30, 0.00, 11, 0.08, 0.30),
    Sector("62.01Z", "Logiciels", 0.08, 105_000, 0.45, 0.05, 12, 0.06, -0.30),
    Sector("70.22Z", "Conseil", 0.07, 120_000, 0.42, 0.00, 12, 0.08, -0.25),
    Sector("25.62B", "Mécanique", 0.06, 140_000, 0.27, 0.00, 5, 0.06, -0.10),
    Sector("81.30Z", "Paysages", 0.04, 85_000, 0.32, 0.02, 5, 0.35, 0.10),
    Sector("68.20B", "Foncière", 0.03, 240_000, 0.08, 0.00, 1, 0.02, -0.35),
)

REGIONS = (
    "Île-de-France", "Auvergne-Rhône-Alpes", "Nouvelle-Aquitaine", "Occitanie", "Hauts-de-France", "Grand Est",
    "Bretagne", "Normandie", "Pays de la Loire", "Provence-Alpes-Côte d'Azur", "Centre-Val de Loire",
)  # fmt: skip

FANCIES = (
    "des Nuages Carrés", "du Dragon Poli", "de la Lune à Ressort", "des Trois Licornes", "du Phare Souterrain",
    "de l'Océan Pliable", "des Chats Diplômés", "du Volcan Tiède", "de la Neige d'Août", "des Horloges Molles",
    "du Cactus Bavard", "de l'Île en Papier", "des Baleines Volantes", "du Pont sans Rive", "de la Girafe Naine",
    "Łódź Imaginaire", "Ğök Kuşağı Hayali", "Straße ohne Häuser", "Øst for Ingenting", "Ñandú de Nube",
    "des Escaliers Plats", "du Sable Mouillable", "de la Boussole Têtue", "des Œufs Carrés", "du Train Immobile",
)  # fmt: skip

CUSTOMER_WORDS = (
    "NUAGERIE", "LICORNE", "CHIMERE", "ILLUSION", "MIRAGE", "FANTAISIE", "UTOPIE", "PARIS-SUR-LUNE", "REVERIE",
    "LABYRINTHE", "PRIMEVERE", "CREDITOR FABLE", "ATLANTIDE", "ŁUNA", "MÜNZE", "SØLV", "DRAGONNE", "ECLIPSE",
)  # fmt: skip

SUPPLIER_WORDS = (
    "GRANULOX", "PAPIERVENT", "BRIQUABULLE", "FARINELLE", "TUYAUFLOU", "CARTONEIGE", "HUILOMAGIE", "PRIMEUR LUNAIRE",
    "BOISFICTIF", "VISSANTE", "ENCREVIDE", "CABLOFABLE", "SABLOREVE", "TOLE DE REVE", "LOCAMIRAGE", "OUTILUBIE",
)  # fmt: skip


LENDERS = ("PRETEUR CHIMERE", "PRETEUR MIRAGE", "PRETEUR SOUDAIN", "PRETEUR LUNAIRE")


class Kind(NamedTuple):
    """How one kind of movement appears in `allTransactions`; members and words are assumed."""

    category: str
    type: str
    alerts: tuple[str, ...] = ()


KINDS = {
    "customer": Kind("customer_payment", "transfer_in"),
    "card_takings": Kind("card_takings", "card_in"),
    "cheque_in": Kind("cheque_deposit", "cheque_in"),
    "cash_in": Kind("cash_deposit", "cash_in"),
    "injection": Kind("funding", "transfer_in"),
    "drawdown": Kind("funding", "transfer_in"),
    "internal": Kind("internal_transfer", "internal_transfer"),
    "supplier_debit": Kind("supplier", "direct_debit"),
    "supplier_transfer": Kind("supplier", "transfer_out"),
    "card_payment": Kind("purchase", "card_out"),
    "cash_out": Kind("cash_withdrawal", "cash_out"),
    "payroll": Kind("payroll", "transfer_out"),
    "social": Kind("social_security", "direct_debit"),
    "pension": Kind("social_security", "direct_debit"),
    "tax": Kind("tax", "direct_debit"),
    "rent": Kind("rent", "direct_debit"),
    "utility": Kind("utilities", "direct_debit"),
    "insurance": Kind("insurance", "direct_debit"),
    "loan": Kind("loan_repayment", "direct_debit"),
    "lease": Kind("lease", "direct_debit"),
    "charges": Kind("bank_charges", "fee"),
    "card_fee": Kind("card_fees", "fee"),
    "dividend": Kind("shareholder", "transfer_out"),
    "refund": Kind("refund", "direct_debit"),
    "overdraft_fee": Kind("bank_charges", "fee", ("overdraft",)),
    "reject": Kind("rejected_payment", "direct_debit", ("rejected_payment",)),
    "reject_fee": Kind("bank_charges", "fee", ("rejected_payment",)),
    "seizure": Kind("seizure", "seizure", ("seizure",)),
}
