"""What is written is what is stored: every kind of value comes back from every form exactly as it was."""

import base64
import csv
import io
import json
import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xray_analytics import Sandbox, Store, XRayClient, cli, export, portfolio, sync
from xray_analytics.analysis.validation import psi
from xray_analytics.errors import InputError
from xray_analytics.grammar import forms
from xray_analytics.schema import ARROW
from xray_analytics.tables import TABLES

# What JSON, CSV and XLSX can hold of text: half a character is none, and XML has no control characters.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=12)
DANGEROUS = st.sampled_from(
    ("=1+1", "+33 1", "-x", "@SUM(A1)", "\tx", " =x", "'x", "＝x", "''", "", " ", ",", '"', "0012")
)
BLANKS = " \t\r\n\xa0\u1680\u2007\u200b\u200e\u202e\u2060\u3000\ufeff"
VALUES = {
    "id": TEXT | DANGEROUS,
    "text": TEXT | DANGEROUS,
    "json": st.dictionaries(TEXT, TEXT, max_size=2).map(json.dumps),
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "money": st.integers(-(10**18) + 1, 10**18 - 1).map(lambda n: Decimal(n).scaleb(-4)),
    "date": st.dates(date(1, 1, 1), date(9999, 12, 31)),
    "instant": st.datetimes(datetime(1900, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)),
    "list<text>": st.lists(TEXT | DANGEROUS, max_size=3),
    "bytes": st.binary(max_size=8),
}  # fmt: skip


@st.composite
def rows_of(draw, table):
    n = draw(st.integers(1, 3))
    columns = {c.name: draw(st.lists(VALUES[c.kind] | st.none(), min_size=n, max_size=n)) for c in table.columns}
    return pa.table({c.name: pa.array(columns[c.name], ARROW[c.kind]) for c in table.columns})


def from_text(text, kind):
    """The value that a text in a file means."""
    if kind in ("id", "text", "json"):
        return text
    if kind == "bytes":
        return base64.b64decode(text)
    if kind == "list<text>":
        return json.loads(text)
    readers = {
        "int": int, "float": float, "money": Decimal, "date": date.fromisoformat, "instant": datetime.fromisoformat,
        "bool": {"True": True, "False": False}.get,
    }  # fmt: skip
    return readers[kind](text)


def assert_csv(rows, table, *, raw_text):
    text = forms.encoded(rows, "csv", raw_text=raw_text).decode()
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read[0] == rows.column_names
    for at, column in enumerate(table.columns):
        found, wanted = [line[at] for line in read[1:]], rows.column(at).to_pylist()
        for cell, value in zip(found, wanted, strict=True):
            if value is None:
                assert cell == ""
                continue
            stripped = cell.removeprefix("'") if column.kind in ("id", "text", "json") and not raw_text else cell
            assert from_text(stripped, column.kind) == value, (column.name, cell)
            if not raw_text and column.kind in ("id", "text", "json"):
                assert not re.match(r" *[=+\-@\t\r\n]", cell)
                assert cell.strip(BLANKS)[:1] not in tuple("=+-@＝＋－＠")


def assert_json(rows, table):
    read = json.loads(forms.encoded(rows, "json"))
    for line, wanted in zip(read, rows.to_pylist(), strict=True):
        for column in table.columns:
            cell, value = line[column.name], wanted[column.name]
            read_back = from_text(cell, column.kind) if isinstance(cell, str) else cell
            assert read_back == value, column.name


def from_cell(cell, kind):
    """The value that a cell of Excel means."""
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=UTC) if kind == "instant" else cell.date()
    if isinstance(cell, str) and kind not in ("id", "text", "json"):
        return from_text(cell, kind)
    return Decimal(repr(cell)) if kind == "money" else cell


def assert_xlsx(rows, table):
    sheet = openpyxl.load_workbook(io.BytesIO(forms.encoded(rows, "xlsx"))).active
    read = list(sheet.iter_rows(min_row=2, max_row=rows.num_rows + 1, max_col=rows.num_columns, values_only=True))
    read += [(None,) * rows.num_columns] * (rows.num_rows - len(read))
    for line, wanted in zip(read, rows.to_pylist(), strict=True):
        for column, cell in zip(table.columns, line, strict=True):
            value, kind = wanted[column.name], column.kind
            if value in (None, "", b""):
                assert cell in (None, "")
                continue
            assert from_cell(cell, kind) == value, (column.name, cell)


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_forms__every_table_comes_back_from_every_form(table):
    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows_of(table))
    def check(rows):
        assert_csv(rows, table, raw_text=False)
        assert_csv(rows, table, raw_text=True)
        assert_json(rows, table)
        assert_xlsx(rows, table)
        assert pa.parquet.read_table(io.BytesIO(forms.encoded(rows, "parquet"))).equals(rows)

    check()


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("mark", "=+-@＝＋－＠")
def test_csv__a_formula_behind_any_blank_is_text(blank, mark):
    rows = pa.table({"label": [f"{blank}{mark}1", f" {blank} {mark}1"]})
    for cell in list(csv.reader(io.StringIO(forms.encoded(rows, "csv").decode(), newline="")))[1:]:
        assert cell[0].startswith("'")


def test_xlsx__infinity_is_a_text_and_what_is_no_number_is_no_cell():
    rows = pa.table({"ratio": [math.inf, -math.inf, math.nan, 0.5]})
    sheet = openpyxl.load_workbook(io.BytesIO(forms.encoded(rows, "xlsx"))).active
    assert [sheet.cell(row, 1).value for row in range(2, 6)] == ["inf", "-inf", None, 0.5]


def test_csv__null_and_an_empty_text_differ_and_no_row_is_lost():
    two = pa.table({"a": ["x", None, ""], "b": [None, None, None]})
    assert forms.encoded(two, "csv") == b'a,b\nx,\n,\n"",\n'
    one = forms.encoded(pa.table({"a": ["x", None, "z"]}), "csv").decode()
    assert len(pd.read_csv(io.StringIO(one))) == 3


def test_forms__a_frame_of_pandas_is_written_as_its_table_is():
    at = datetime(2025, 6, 30, 12, 0, 0, 123456, UTC)
    rows = TABLES["reports"].example(created_at=at, bank_score=0.039524826661933084, total_credit=Decimal("1234.5000"))
    rows = TABLES["reports"].conform(rows)
    frame = TABLES["reports"].to_pandas(rows, money="decimal")
    for form in ("csv", "json"):
        assert forms.encoded(frame, form) == forms.encoded(rows, form)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    place = tmp_path_factory.mktemp("forms") / "store"
    with Sandbox(4) as sandbox, XRayClient(sandbox.settings()) as client:
        sync(client, Store(place))
    return Store(place)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("form", ["csv", "json", "parquet", "xlsx"])
def test_write_frame__any_frame_we_return(store, tmp_path, name, form):
    if name == "raw" and form == "xlsx":  # bodies are longer than a cell holds, and that is said
        with pytest.raises(InputError, match="longer than a cell"):
            export.write_frame(store.snapshot().read(name), tmp_path / f"x.{form}")
        return
    path = export.write_frame(store.snapshot().read(name), tmp_path / f"x.{form}")
    assert path.stat().st_size > 0
    with pytest.raises(InputError, match="exists already"):
        export.write_frame(store.snapshot().read(name), path)


def test_write_frame__the_results_of_analyses(store, tmp_path):
    snapshot = store.snapshot()
    reports = snapshot.read("reports")
    results = [
        portfolio.class_over_time(reports, product="bank"), portfolio.summary(reports), snapshot.latest("bank"),
        portfolio.class_agreement(reports).counts, psi([5, 5], [6, 4]).bins, reports.astype({"product": "category"}),
    ]  # fmt: skip
    for number, frame in enumerate(results):
        for form in forms.FORMS:
            export.write_frame(frame, tmp_path / f"{number}.{form}")
    mixed = pd.DataFrame({"a": [1, "x", date(2025, 1, 1)]})
    with pytest.raises(InputError, match="several types"):
        export.write_frame(mixed, tmp_path / "mixed.csv")
    with pytest.raises(InputError, match="no format 'sav'"):
        export.write_frame(reports, tmp_path / "x.sav")


@pytest.mark.parametrize("name", ["reports", "transactions", "bank_flag_criteria"])
def test_read__prints_what_is_stored(store, tmp_path, capsys, monkeypatch, name):
    def xray(*arguments):
        monkeypatch.setattr("sys.argv", ["xray", "read", name, "--store", str(store.path), *map(str, arguments)])
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr()

    rows = store.snapshot().arrow(name)
    assert xray("--format", "json").out.encode() == forms.encoded(rows, "json")
    assert xray("--format", "csv").out.encode() == forms.encoded(rows, "csv")
    assert xray("--format", "csv", "--raw-text").out.encode() == forms.encoded(rows, "csv", raw_text=True)
    xray("--out", tmp_path / "x.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx").active
    assert (sheet.title, sheet.max_row, sheet.max_column) == (name, rows.num_rows + 1, rows.num_columns)
    assert "needs a file: --out rows.xlsx" in xray("--format", "xlsx").err
    assert "table, csv, json, parquet, xlsx" in xray("--format", "html").err


def test_scan__offers_exact_money(store):
    exact = store.snapshot().scan("transactions", money="decimal")
    types = dict(zip(exact.columns, map(str, exact.types), strict=True))
    assert types["amount"] == "DECIMAL(18,4)"
    wanted = sum(store.snapshot().arrow("transactions")["amount"].drop_null().to_pylist())
    assert exact.aggregate("sum(amount)").fetchall()[0][0] == wanted
    assert (
        dict(zip(exact.columns, map(str, store.snapshot().scan("transactions").types), strict=True))["amount"]
        == "DOUBLE"
    )
    with pytest.raises(InputError, match="no money 'cents'"):
        store.snapshot().scan("transactions", money="cents")
