"""Label families: French labels and their traps by hand, the true families of an economy, and what operations are."""

import importlib

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_frames import economy_frames, true_kinds

from xray_analytics.analysis import cashflow
from xray_analytics.analysis.cashflow import labels
from xray_analytics.errors import InputError
from xray_analytics.tables import TRANSACTIONS

FAMILIES = {  # the economy's kind of movement -> the family its label shows
    "customer": "transfer_in", "card_takings": "card_takings", "cheque_in": "cheque_deposit",
    "cash_in": "cash_deposit", "injection": "owner_injection", "drawdown": "loan_drawdown",
    "internal": "internal_transfer", "supplier_debit": "direct_debit", "supplier_transfer": "transfer_out",
    "card_payment": "card_payment", "cash_out": "cash_withdrawal", "payroll": "payroll", "social": "social_security",
    "pension": "social_funds", "tax": "tax", "rent": "rent", "utility": "utilities", "insurance": "insurance",
    "loan": "loan_repayment", "lease": "lease", "charges": "bank_charges", "card_fee": "card_fees",
    "dividend": "owner_withdrawal", "refund": "refund", "overdraft_fee": "overdraft_charges", "reject": "reject",
    "reject_fee": "reject_fee", "seizure": "seizure",
}  # fmt: skip
BY_HAND = [  # written from the label conventions of French banks, not from the sandbox
    ("VIR SEPA RECU /DE SARL DUPONT /MOTIF FACTURE 12", 1, "transfer_in"),
    ("VIRSEPARECU DUPONT", 1, "transfer_in"),
    ("VIREMENT EN VOTRE FAVEUR MARTIN", 1, "transfer_in"),
    ("VIR SEPA DUPONT", 1, "transfer_in"),  # neither RECU nor EMIS: the sign tells
    ("VIR SEPA DUPONT", -1, "transfer_out"),
    ("VIREMENT EMIS WEB DUPONT", -1, "transfer_out"),
    ("VIR SEPA EMIS VERS DUPONT ET ASSOCIES", -1, "transfer_out"),  # a law firm, not an owner
    ("VIR SEPA RECU /DE M. X /MOTIF APPORT EN COMPTE COURANT", 1, "owner_injection"),
    ("VIR SEPA RECU /DE LABO /MOTIF RAPPORT 12", 1, "transfer_in"),
    ("VIR SEPA DIVIDENDES 2024", -1, "owner_withdrawal"),
    ("VIR CPTE A CPTE EMIS", -1, "internal_transfer"),
    ("VIR CPTE A CPTE RECU", 1, "internal_transfer"),
    ("VIR SALAIRE MARTIN", -1, "payroll"),
    ("REM CB 1234567", 1, "card_takings"),
    ("STRIPE PAYOUT", 1, "card_takings"),
    ("SUMUP PID 12345", 1, "card_takings"),
    ("COMCB 1234567", -1, "card_fees"),
    ("COMMISSIONS SUR REMISE CB", -1, "card_fees"),
    ("REM CHQ 0001234", 1, "cheque_deposit"),
    ("REMISE CHEQUE IMPAYE 12", -1, "returned_cheque"),
    ("CHQ. 0001234", -1, "cheque_payment"),
    ("VRST ESPECES", 1, "cash_deposit"),
    ("RETRAIT DAB PARIS", -1, "cash_withdrawal"),
    ("PRLV SEPA URSSAF ILE DE FRANCE COTISATIONS T2", -1, "social_security"),
    ("PRLV SEPA AG2R LA MONDIALE", -1, "social_funds"),
    ("Prélèvement SEPA Malakoff Humanis", -1, "social_funds"),
    ("PRLV SEPA DIRECTION GENERALE FINANCES TVA", -1, "tax"),
    ("TAXE FONCIERE", -1, "tax"),
    ("PRLV SEPA PRIMEUR DU MARCHE", -1, "direct_debit"),  # PRIME is no insurance here
    ("CB RESTAURANT PARIS 12/03/25", -1, "card_payment"),  # IS is no tax here
    ("CB HOTEL ORANGE 12/03/25", -1, "card_payment"),  # a town
    ("PRLV SEPA ORANGE SA", -1, "utilities"),
    ("CREDIT BAIL LOYER 12", -1, "lease"),  # neither credit, loan nor rent
    ("PRLV SEPA LOYER SCI DES LILAS", -1, "rent"),
    ("ECH PRET 000123 DU 05/06", -1, "loan_repayment"),
    ("REMBOURSEMENT DE PRET 000123 ECHEANCE 05/06/25", -1, "loan_repayment"),
    ("DEBLOCAGE PRET 000123", 1, "loan_drawdown"),
    ("BNP PARIBAS FACTOR", 1, "factoring"),
    ("COTISATION MENSUELLE", -1, "bank_charges"),
    ("FRAIS TENUE DE COMPTE", -1, "bank_charges"),
    ("*COMMISSIONS COTISATION A UNE OFFRE", -1, "bank_charges"),
    ("INTERETS DEBITEURS", -1, "overdraft_charges"),
    ("RESULTAT ARRETE COMPTE", -1, "overdraft_charges"),
    ("F COMMISSION D INTERVENTION", -1, "overdraft_charges"),
    ("REJET PRLV EDF", 1, "reject"),
    ("REMBT PRLV EDF", 1, "refund"),  # no reject
    ("FRAIS PRLV IMPAYE SEPA EDF", -1, "reject_fee"),
    ("F FRAIS PRLV IMP 97 49EUR", -1, "reject_fee"),
    ("COM PRLV IMPAYE", -1, "reject_fee"),
    ("SAISIE ADMINISTRATIVE A TIERS DETENTEUR", -1, "seizure"),
    ("FRAIS SAISIE", -1, "seizure_fee"),
    ("TRUC INCONNU", -1, None),
]


def entries(*rows):
    """From (label, amount, day, account)."""
    rows = [(*row, "2025-01-06", 0)[:4] if len(row) < 4 else row for row in rows]
    frame = pd.DataFrame(rows, columns=["label", "amount", "booked_date", "account_no"])
    frame["booked_date"] = pd.to_datetime(frame["booked_date"]).astype("datetime64[us]")
    frame = frame.astype({"label": "string", "amount": "float64", "account_no": "Int64"})
    return TRANSACTIONS.conform(frame.assign(report_id="r", report_version=1, transaction_no=range(len(rows))))


@pytest.mark.parametrize(("label", "sign", "family"), BY_HAND)
def test_labels_of_french_banks_and_their_traps(label, sign, family):
    found = cashflow.categories(entries((label, 10.0 * sign)))["category"][0]
    assert (None if pd.isna(found) else found) == family


def test_true_families_of_an_economy():
    economy, frames = economy_frames(40, 11)
    found = cashflow.categories(frames["transactions"])
    truth = pd.Series(true_kinds(economy, frames["transactions"]))
    family = frames["transactions"][["report_id", "report_version", "transaction_no"]].merge(found)["category"]
    confusion = pd.crosstab(truth.map(FAMILIES), family.fillna("none"))
    right = truth.map(FAMILIES) == family.where(family != "seizure_fee", "seizure")
    assert right.mean() >= 0.95, confusion
    by_kind = right.groupby(truth).mean()
    assert (by_kind >= 0.95).all(), by_kind  # no family is given up for the sake of the others
    assert truth.nunique() >= 26
    assert found.attrs["base"]["used"] + found.attrs["base"]["excluded"]["unmatched"] == len(found) > 20_000


def test_a_missing_sign_or_label_decides_nothing_that_needs_it():
    found = cashflow.categories(entries(("PRLV SEPA X", None), (None, 5.0), ("VIR CPTE A CPTE", None)))
    assert found["category"].isna().tolist() == [True, True, False]
    assert found.attrs["base"] == {
        "used": 1, "excluded": {"unmatched": 2}, "backfilled": None, "as_of": None, "filters": {},
    }  # fmt: skip


def test_own_transfers_are_found_by_amount_between_accounts_only():
    rows = entries(
        ("VIR SEPA EMIS VERS MOI", -500.0, "2025-01-03", 0),
        ("VIR SEPA RECU /DE MOI", 500.0, "2025-01-06", 1),  # over a weekend
        ("VIR SEPA EMIS VERS X", -70.0, "2025-01-03", 0),
        ("VIR SEPA RECU /DE Y", 70.0, "2025-01-07", 1),  # four days: by chance
        ("VIR SEPA EMIS VERS Z", -90.0, "2025-01-03", 0),
        ("VIR SEPA RECU /DE Z", 90.0, "2025-01-03", 0),  # the same account
    )
    found = cashflow.categories(rows)
    assert found["rule"].tolist() == [
        "paired_accounts", "paired_accounts", "transfer_out", "transfer_in", "transfer_out", "transfer_in",
    ]  # fmt: skip


def test_equal_amounts_that_are_all_far_apart_are_no_own_transfers():
    rows = entries(("VIR SEPA EMIS VERS X", -70.0, "2025-01-03", 0), ("VIR SEPA RECU /DE Y", 70.0, "2025-03-03", 1))
    assert cashflow.categories(rows)["rule"].tolist() == ["transfer_out", "transfer_in"]


def test_operating__each_reject_takes_one_debit():
    rows = entries(
        ("PRLV SEPA A", -80.0, "2025-01-03", 0),
        ("PRLV SEPA A", -80.0, "2025-01-06", 0),
        ("REJET PRLV A", 80.0, "2025-01-07", 0),
        ("REJET PRLV B", 30.0, "2025-01-20", 0),
        ("PRLV SEPA B", -30.0, "2025-01-10", 0),  # ten days: another one
        ("VIR SEPA RECU /DE BANQUE /MOTIF MISE A DISPOSITION", 9000.0, "2025-01-08", 0),
        ("???", -1.0, "2025-01-08", 0),
    )
    found = cashflow.operating(rows, cashflow.categories(rows))
    assert found["transaction_no"].tolist() == [0, 4, 6]
    assert found.attrs["base"]["excluded"] == {"loan_drawdown": 1, "reject": 2, "rejected_debit": 1}
    assert list(found.columns) == list(cashflow.OPERATING.names)


def test_operating__of_an_economy_is_its_operations():
    economy, frames = economy_frames(40, 11)
    transactions = frames["transactions"]
    kept = cashflow.operating(transactions, cashflow.categories(transactions))
    kinds = pd.Series(true_kinds(economy, transactions))
    n_rejected = int((kinds == "reject").sum())
    outside = kinds.isin(["internal", "drawdown", "injection", "dividend", "refund", "reject"]).sum()
    assert kept.attrs["base"]["excluded"]["rejected_debit"] == n_rejected > 20
    assert len(kept) == len(transactions) - outside - n_rejected


def test_rules_are_data_and_are_checked():
    rules = cashflow.shipped_categories()
    rules["rule"].insert(0, {"id": "mine", "category": "x", "pattern": "TRUC"})
    assert cashflow.categories(entries(("TRUC INCONNU", -1.0)), rules)["rule"].tolist() == ["mine"]
    assert cashflow.shipped_categories()["rule"][0]["id"] != "mine"
    for wrong, message in (
        ({}, "a list named 'rule'"),
        ({"rule": [{"id": "a", "category": "b"}]}, "'a' lacks pattern"),
        ({"rule": [{"id": "a", "category": "b", "pattern": "x", "side": "up"}]}, "side 'up'"),
        ({"rule": [{"id": "a", "category": "b", "pattern": "("}]}, "pattern of the category rule 'a'"),
    ):
        with pytest.raises(InputError, match=message):
            cashflow.categories(entries(), wrong)
    ids = [rule["id"] for rule in rules["rule"]]
    assert len(ids) == len(set(ids))
    assert set(rules["operating"]["excluded"]) - {"internal_transfer"} <= {rule["category"] for rule in rules["rule"]}


def test_engines_agree_order_never_matters_and_inputs_stay():
    rows = entries(*[(label, 10.0 * sign, "2025-01-06", n % 2) for n, (label, sign, _) in enumerate(BY_HAND)])
    frame = TRANSACTIONS.to_pandas(rows)
    kept, want = frame.copy(), cashflow.categories(frame)
    for other in (rows, duckdb.connect().from_arrow(rows), frame.sample(frac=1, random_state=1)):
        pd.testing.assert_frame_equal(cashflow.categories(other), want)
        pd.testing.assert_frame_equal(cashflow.operating(other, want), cashflow.operating(frame, want))
    pd.testing.assert_frame_equal(frame, kept)


def test_empty_and_wrong_frames():
    empty = cashflow.categories(TRANSACTIONS.empty())
    assert (empty.shape, str(empty.dtypes["category"])) == ((0, 5), "string")
    assert cashflow.operating(TRANSACTIONS.empty(), empty).shape == (0, 10)
    with pytest.raises(InputError, match="frame of transactions lacks label"):
        cashflow.categories(TRANSACTIONS.empty().drop_columns("label"))
    with pytest.raises(InputError, match="frame of categories lacks category"):
        cashflow.operating(TRANSACTIONS.empty(), empty.drop(columns="category"))
    one = entries(("X", 1.0))
    doubled = pd.concat([cashflow.categories(one)] * 2)
    with pytest.raises(InputError, match="names a transaction twice"):
        cashflow.operating(one, doubled)


def test_many_labels_are_judged_once_each(monkeypatch):
    """Counted: ten times the transactions bring not one pattern search more."""
    module = importlib.import_module("xray_analytics.analysis.cashflow.categories")
    judge, n_judged = module._first_rule, []
    monkeypatch.setattr(module, "_first_rule", lambda each, rules: n_judged.append(len(each)) or judge(each, rules))
    _, frames = economy_frames(40, 11)
    part = frames["transactions"][["report_id", "report_version", "account_no", "label", "amount", "booked_date"]]
    many = pd.concat([part] * 10, ignore_index=True).assign(transaction_no=range(10 * len(part)))
    cashflow.categories(many)
    cashflow.categories(many.head(len(part)))
    assert n_judged[0] == n_judged[1] < len(part) / 4


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=8))
def test_any_text_has_a_stem_that_is_its_own(texts):
    stem = labels.stems(pd.Series(texts, dtype="string"))
    pd.testing.assert_series_equal(labels.normalised(stem), stem)
    pd.testing.assert_series_equal(labels.stems(stem), stem)


@pytest.mark.parametrize(
    ("name", "label", "party"),
    [
        (None, "PRLV SEPA BRIQUE 27 MDT2777", "BRIQUE"),
        (None, "VIR SEPA RECU /DE Société Lune SAS /MOTIF F12", "SOCIETE LUNE"),
        (None, "VIREMENT RECU MIRAGE 10 REF 2004", "MIRAGE"),
        (None, "REJET PRLV EDF", "EDF"),
        (None, "VIR SEPA EMIS VERS DUPONT SARL", "DUPONT"),
        ("Dupont s.a.r.l", "VIR SEPA X", "DUPONT S A R L"),
        (None, "VIR SEPA RECU", "VIR SEPA RECU"),  # nothing but the bank's words: the stem
        (None, None, None),
    ],
)
def test_counterparties(name, label, party):
    found = labels.counterparties(pd.Series([name], dtype="string"), pd.Series([label], dtype="string"))[0]
    assert (None if pd.isna(found) else found) == party
