from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xray_analytics import tables
from xray_analytics.errors import InputError, SchemaError
from xray_analytics.schema import ARROW, MONEY, Column, Table, money_floats, money_units

KINDS = Table(
    "kinds",
    "One column of each kind.",
    (Column("key", "id", "Key.", required=True), *(Column(f"c{i}", kind, "A kind.") for i, kind in enumerate(ARROW))),
    ("key",),
)
VALUES = {
    "id": st.text(max_size=5),
    "text": st.text(max_size=5),
    "json": st.just("{}"),
    "date": st.dates(),
    "instant": st.datetimes(timezones=st.just(__import__("datetime").UTC)),
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "money": st.decimals(min_value=-(10**11), max_value=10**11, places=4),
    "list<text>": st.lists(st.text(max_size=3), max_size=3),
    "bytes": st.binary(max_size=5),
}


@st.composite
def filled(draw, table, max_rows=4):
    """An Arrow table of that schema with any allowed values."""
    n = draw(st.integers(0, max_rows))
    arrays = []
    for column in table.columns:
        values = VALUES[column.kind]
        if column.choices:
            values = st.sampled_from(column.choices)
        elif column.lo is not None:
            high = column.hi if column.hi is not None else column.lo + 100
            values = st.integers(int(column.lo), int(high)) if column.kind == "int" else st.floats(column.lo, high)
        if column.name in table.key:
            texts = [f"k{i}" for i in range(n)]
            cells = texts if column.kind in ("id", "text") and not column.choices else [draw(values) for _ in range(n)]
        else:
            cells = [draw(values if column.required else st.none() | values) for _ in range(n)]
        arrays.append(pa.array(cells, ARROW[column.kind]))
    return pa.Table.from_arrays(arrays, schema=table.arrow_schema)


@pytest.mark.parametrize("table", [*tables.TABLES.values(), KINDS], ids=lambda t: t.name)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_conform__is_a_fixed_point_of_reading(table, data):
    frame = data.draw(filled(table))
    for money in ("float", "decimal"):
        again = table.conform(table.to_pandas(frame, money=money))
        assert again.equals(frame)
        assert again.schema.equals(table.arrow_schema, check_metadata=True)


@given(st.lists(st.integers(-(10**15) + 1, 10**15 - 1), max_size=50))
def test_money__floats_are_the_nearest_to_the_decimal(units):
    array = pa.array([Decimal(u).scaleb(-4) for u in units], MONEY)
    assert money_units(array).tolist() == units
    assert money_floats(array).tolist() == [float(Decimal(u).scaleb(-4)) for u in units]


def test_money__slices_and_nulls():
    array = pa.array([Decimal("1.25"), None, Decimal("-3.5"), Decimal("99999999999999.9999")], MONEY)
    assert money_units(array[1:]).tolist() == [0, -35000, 999999999999999999]
    assert money_units(pa.chunked_array([array[:2], array[2:3]])).tolist() == [12500, 0, -35000]
    assert np.isnan(money_floats(array)[1])


def test_conform__lists_every_problem_at_once():
    table = Table(
        "t",
        "d",
        (
            Column("key", "id", "k", required=True),
            Column("n", "int", "n", lo=1, hi=5),
            Column("m", "money", "m"),
            Column("day", "date", "d"),
            Column("at", "instant", "i"),
            Column("word", "text", "w", choices=("a", "b")),
            Column("f", "float", "f"),
        ),
        ("key",),
    )
    frame = pd.DataFrame(
        {
            "key": ["1", None],
            "n": [0, 6],
            "m": [1.00001, 2],
            "day": pd.to_datetime(["2024-01-01 10:00", "2024-01-02 00:00"]),
            "at": pd.to_datetime(["2024-01-01", "2024-01-02"]),
            "word": ["a", "c"],
            "f": [1.0, float("inf")],
            "more": [1, 2],
        }
    )
    with pytest.raises(SchemaError, match=r"^t: 9 problems: more: unknown column") as caught:
        table.conform(frame)
    found = caught.value.failures[["column", "problem", "n_rows"]].to_records(index=False).tolist()
    assert found == [
        ("more", "unknown column", 2),
        ("key", "null in a required column", 1),
        ("n", "below 1", 1),
        ("n", "above 5", 1),
        ("m", "1 values have more than four decimals, such as 1.00001", 2),
        ("day", "calendar days expected, found times of day", 2),
        ("at", "expected an instant with a time zone, found timestamp[us]", 2),
        ("word", "not one of a, b", 1),
        ("f", "infinite", 1),
    ]


def test_conform__refuses_repeated_keys_and_numbers_as_ids():
    with pytest.raises(SchemaError, match="key: repeated key") as caught:
        KINDS.conform(pd.DataFrame({"key": ["b", "a", "a"]}))
    assert caught.value.failures["example"].tolist() == ["a"]
    with pytest.raises(SchemaError, match="key: expected text, found int64"):
        KINDS.conform(pd.DataFrame({"key": [514673987]}))
    with pytest.raises(InputError, match="expected a pandas frame or an Arrow table, found int"):
        KINDS.conform(3)


def test_to_pandas__types_do_not_depend_on_the_rows():
    def types(frame):
        return {name: str(kind) for name, kind in frame.dtypes.items()}

    one = KINDS.conform(pd.DataFrame({"key": ["a"]}))
    empty = KINDS.to_pandas(KINDS.empty())
    assert types(KINDS.to_pandas(one)) == types(empty)
    assert str(empty["c7"].dtype) == "boolean"
    assert empty["c5"].dtype == pd.Int64Dtype()


def test_to_pandas__cents():
    table = Table("t", "d", (Column("m", "money", "m"),), ())
    cents = table.to_pandas(table.conform(pd.DataFrame({"m": [12.34, None, -0.01]})), money="cents")["m"]
    assert cents.tolist() == [1234, pd.NA, -1]
    with pytest.raises(InputError, match="m holds 1 values that are not whole cents"):
        table.to_pandas(table.conform(pd.DataFrame({"m": [0.005]})), money="cents")


def test_conform__money_from_integers():
    table = Table("t", "d", (Column("m", "money", "m"),), ())
    frame = table.conform(pd.DataFrame({"m": [10_000, -1]}))
    assert money_units(frame["m"]).tolist() == [100_000_000, -10_000]
    with pytest.raises(SchemaError, match="not money of 18 digits"):
        table.conform(pd.DataFrame({"m": [10**15]}))


def test_table__refuses_a_column_twice():
    with pytest.raises(InputError, match="'a'"):
        Table("t", "d", (Column("a", "id", "x"), Column("a", "id", "x")), ())


@pytest.mark.parametrize("declared", tables.TABLES.values(), ids=lambda declared: declared.name)
@pytest.mark.parametrize("n", [1, 3])
def test_example__of_every_table_is_valid_and_typed(declared, n):
    free = next(c.name for c in declared.columns if c.kind in ("text", "id", "json") and not c.choices)
    frame = declared.example(**{free: [str(number) for number in range(n)]})
    assert declared.conform(frame).num_rows == n
    assert frame.dtypes.equals(declared.to_pandas(declared.empty()).dtypes)


def test_example__fills_what_is_required_and_leaves_the_rest_null():
    frame = tables.REPORTS.example(company_id=["a", None], created_at=["2025-01-10", "2025-02-11"], bank_risk_class=4)
    assert frame["report_id"].tolist() == ["1", "2"]
    assert frame["available_at"].equals(frame["created_at"])
    assert frame["created_at"].dt.day.tolist() == [10, 11]
    assert frame[["report_version", "product", "is_backfilled", "bank_risk_class"]].values.tolist() == [
        [1, "bank", False, 4], [1, "bank", False, 4],
    ]  # fmt: skip
    assert frame["bank_score"].isna().all()


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"company_id": ["a", "b"], "bank_score": [0.1, 0.2, 0.3]}, InputError, "no example of reports"),
        ({"created_at": "soon"}, InputError, "no example of reports"),
        ({"height": 2}, SchemaError, "height: unknown column"),
        ({"bank_risk_class": 9}, SchemaError, "above 5"),
        ({"report_id": ["a", "a"]}, SchemaError, "repeated key"),
    ],
)
def test_example__is_valid_or_refused(columns, error, message):
    with pytest.raises(error, match=message):
        tables.REPORTS.example(**columns)
