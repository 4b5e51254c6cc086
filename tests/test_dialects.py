"""The sandbox in other dialects, read with their layouts, says what it says in the house's, cell by cell."""

from __future__ import annotations

from typing import Any

import pytest
from layout_variants import VARIANTS
from test_layout import rows

import xray_analytics as xa
from xray_analytics.errors import InputError
from xray_analytics.sandbox.payloads.dialects import DIALECTS

LAYOUTS: dict[str, Any] = {
    "snake_case": {
        "transaction": {
            "booked_date": ["booking_date"], "value_date": ["value_date"], "label": ["raw_label"], "amount": ["amt"],
            "balance_after": ["running_balance"],
        }
    },
    "french": {**VARIANTS["french"].layout, **VARIANTS["statements_in_french"].layout},
    "french_texts": {"values": {"decimal": ",", "dates": ["iso", "DD/MM/YYYY"]}},
    "german": {
        "transaction": {
            "booked_date": ["Buchungstag"], "value_date": ["Wertstellung"], "label": ["Verwendungszweck"],
            "amount": ["Betrag"], "balance_after": ["Saldo"], "currency": ["Währung"], "category": ["Kategorie"],
            "counterparty": ["Gegenpartei"], "transaction_type": ["Buchungsart"],
        }
    },
    "pair": VARIANTS["pair"].layout,
    "sides": {"transaction": {"sign": {"member": "direction", "credit": ["CRDT"], "debit": ["DBIT"]}}},
    "inverted": VARIANTS["inverted"].layout,
    "nested": {
        "transaction": {
            "amount": ["amount.value"], "currency": ["amount.currency"], "counterparty": ["counterparty.name"],
        }
    },
    "cents": VARIANTS["cents"].layout,
    "paris_midnight": VARIANTS["paris_midnight"].layout,
    "milliseconds": VARIANTS["epoch_ms"].layout,
    "digits": VARIANTS["digits"].layout,
    "items": VARIANTS["items"].layout,
    "in_statements": {"parts": {"transactions": ["raw.summary[].transactions[]"]}},
    "words": {"values": {**VARIANTS["letter"].layout["values"], "percent_text": True}},
    "listed_metrics": VARIANTS["listed_metrics"].layout,
}  # fmt: skip


def said(tmp_path, dialect: str, layout: Any = None) -> dict[str, list[str]]:
    with xa.Sandbox(companies=3, seed=7, clean=True, dialect=dialect) as sandbox:
        store = xa.Store(tmp_path / dialect)
        result = xa.sync(xa.XRayClient(sandbox.settings(layout=layout)), store)
    assert (result.n_quarantined, result.doubts) == (0, {})
    left_out = ("created_at", "content_sha256")
    return {t.name: rows(store.stored(t.name), left_out) for t in xa.tables.REPORT_TABLES}


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> dict[str, list[str]]:
    return said(tmp_path_factory.mktemp("house"), "house")


def test_dialects__all_but_the_house_have_a_layout():
    assert {*LAYOUTS, "house"} == {*DIALECTS}
    assert len(LAYOUTS) >= 12


@pytest.mark.parametrize("dialect", LAYOUTS)
def test_dialect__synced_with_its_layout_is_what_the_house_says(dialect, house, tmp_path):
    found = said(tmp_path, dialect, LAYOUTS[dialect])
    for name, expected in house.items():
        assert found[name] == expected, name


def test_dialect__an_unknown_one_is_refused():
    with pytest.raises(InputError, match="dialect 'klingon' is unknown"):
        xa.Sandbox(companies=1, dialect="klingon")
