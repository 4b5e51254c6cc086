import re
from pathlib import Path

import pytest

from xray_analytics import tables
from xray_analytics.errors import InputError

ROOT = Path(__file__).parents[1]
ENDINGS = {
    "_cents": ("int", "cents"),
    "_pct": ("float", "0–100"),
    "_days": ("int", "days"),
    "_date": ("date", None),
    "_at": ("instant", "UTC"),
}


def columns():
    return [(table, column) for table in tables.TABLES.values() for column in table.columns]


def test_dictionary__is_current():
    current = (ROOT / "data/README.md").read_text(encoding="utf-8")
    assert current == tables.to_markdown(), "run: xray tables --write data/README.md"


def test_names__follow_the_house():
    for table, column in columns():
        where = f"{table.name}.{column.name}"
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", column.name), where
        if column.name.startswith(("is_", "has_")):
            assert column.kind == "bool", where
        if column.name.startswith("n_"):
            assert column.kind == "int", where
        for ending, (kind, unit) in ENDINGS.items():
            if column.name.endswith(ending):
                assert (column.kind, column.unit) == (kind, unit), where


def test_names__same_name_means_same_kind_and_unit():
    seen = {}
    for table, column in columns():
        known = seen.setdefault(column.name, (column.kind, column.unit, table.name))
        assert known[:2] == (column.kind, column.unit), f"{column.name} in {table.name} and {known[2]}"


def test_tables__every_column_is_documented_and_money_has_a_unit():
    for table, column in columns():
        assert column.doc.endswith("."), (table.name, column.name)
        assert column.kind != "money" or column.unit
        assert set(table.key) <= set(table.names)


def test_tables__arrow_metadata_carries_the_contract():
    field = tables.REPORTS.arrow_schema.field("data_sanity_pct")
    assert field.metadata[b"unit"] == "0–100".encode()
    assert field.metadata[b"source"] == b"raw.bankFlag.dataSanity"
    assert tables.TRANSACTIONS.arrow_schema.field("label").metadata[b"assumed"] == b"yes"
    said = str(tables.SCHEMA_VERSION).encode()
    assert tables.REPORTS.arrow_schema.metadata == {b"table": b"reports", b"schema_version": said}


def test_table__unknown_name_is_refused():
    with pytest.raises(InputError, match="no table 'report'; there are requests, request_notes, reports"):
        tables.table("report")


def test_aliases__map_only_columns_of_transactions():
    assert set(tables.TRANSACTION_ALIASES) <= set(tables.TRANSACTIONS.names)
    members = [m for names in tables.TRANSACTION_ALIASES.values() for m in names]
    assert len(members) == len(set(members))
