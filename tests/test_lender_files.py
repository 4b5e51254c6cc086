"""A lender's file is read cell by cell, by one rule in every form; every problem at once, by column, row and remedy."""

import contextlib
import json
import re
import zipfile
from datetime import date, datetime
from decimal import Decimal

import duckdb
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xray_analytics import Store, attach, tables
from xray_analytics.analysis.quality.findings import findings
from xray_analytics.errors import InputError, SchemaError
from xray_analytics.grammar.forms import encoded
from xray_analytics.ingest import lender_files

A, B = "005520135", "005520143"


def written(folder, rows, form, name="loans"):
    """The same cells as a file: text in CSV; in XLSX as they are."""
    path = folder / f"{name}.{form}"
    if form == "csv":
        lines = [",".join('"{}"'.format("" if v is None else str(v).replace('"', '""')) for v in row) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(list(row))
        book.save(path)
    return path


def read(path, name="loans", **more):
    return lender_files.read(path, tables.table(name), **more).table


def problems(source, name="loans", **more):
    with pytest.raises(InputError) as caught:
        read(source, name, **more)
    return str(caught.value)


# --- text is text, an empty cell is null


WORDS = ["NA", "N/A", "None", "NULL", "null", "nan", "NaN", "-", "TRUE", "1e5", "007", "'=1+1"]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_words_that_others_take_for_nothing__are_text(tmp_path, form):
    rows = [["loan_id", "company_id", "close_reason"], *([f"L{i}", A, word] for i, word in enumerate(WORDS))]
    rows.append(["L99", A, None])
    found = read(written(tmp_path, rows, form))
    assert found["close_reason"].to_pylist() == [*WORDS, None]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("word", ["#N/A", "#REF!", "#DIV/0!", "#VALEUR!", "#NOM?"])
def test_errors_of_a_spreadsheet__are_refused_by_cell(tmp_path, form, word):
    rows = [["loan_id", "company_id", "principal", "close_reason"], ["L1", A, 5, "x"], ["L2", A, word, word]]
    said = problems(written(tmp_path, rows, form))
    assert "principal: an error of the spreadsheet; correct the cell, or leave it empty (row 3)" in said
    assert "close_reason: an error of the spreadsheet" in said
    assert word not in said


def test_formulas_without_value__are_refused_by_cell(tmp_path):
    rows = [["loan_id", "company_id", "principal"], ["L1", A, "=1+1"], ["L2", A, 3]]
    assert "principal: a formula without its value" in problems(written(tmp_path, rows, "xlsx"))


# --- the same values, whatever the form


def test_days_and_amounts__are_the_same_in_every_form(tmp_path):
    head = ["loan_id", "company_id", "origination_date", "maturity_date", "principal"]
    texts = ["L1", A, "2024-02-29", "2025-12-31", "1234.56"]
    cells = ["L1", A, datetime(2024, 2, 29), date(2025, 12, 31), 1234.56]
    frame = pd.DataFrame([cells], columns=head).astype({"origination_date": "datetime64[ns]"})
    polars = pytest.importorskip("polars")
    sources = [
        written(tmp_path, [head, texts], "csv"), written(tmp_path, [head, texts], "xlsx", "loans_text"),
        written(tmp_path, [head, cells], "xlsx", "loans_cells"), frame, pd.DataFrame([texts], columns=head),
        pa.Table.from_pandas(frame), polars.from_pandas(frame), frame.astype({"company_id": "category"}),
    ]  # fmt: skip
    frame.to_parquet(tmp_path / "loans.parquet")
    expected = read(sources[0])
    assert expected["principal"].to_pylist() == [Decimal("1234.5600")]
    assert expected["origination_date"].to_pylist() == [date(2024, 2, 29)]
    for source in (*sources[1:], tmp_path / "loans.parquet"):
        assert read(source).equals(expected)


CELLS = st.one_of(
    st.none(), st.sampled_from(WORDS), st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8)
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(CELLS.filter(lambda t: t is None or not t.startswith(("#", "="))), min_size=1, max_size=5))
def test_csv_and_xlsx__give_the_same_texts(tmp_path, texts):
    rows = [["loan_id", "company_id", "close_reason"], *([f"L{i}", A, text] for i, text in enumerate(texts))]
    one, other = (read(written(tmp_path, rows, form))["close_reason"].to_pylist() for form in ("csv", "xlsx"))
    assert one == other == [text or None for text in texts]


@pytest.mark.parametrize(
    ("delimiter", "text", "amount"),
    [
        (";", "1234,56", "1234.56"), (";", "1234.56", "1234.56"), (";", "1 234,5", "1234.5"), (",", "4.56", "4.56"),
        ("\t", "1234,56", "1234.56"), ("\t", "1234.5", "1234.5"), (";", "-7", "-7"), (";", "1,234", "1.234"),
    ],
)  # fmt: skip
def test_amounts__of_both_decimal_marks(tmp_path, delimiter, text, amount):
    file = tmp_path / "exposures.csv"
    file.write_text(f"company_id{delimiter}exposure_date{delimiter}drawn\n{A}{delimiter}2024-06-30{delimiter}{text}\n")
    assert read(file, "exposures")["drawn"].to_pylist() == [Decimal(amount).quantize(Decimal("0.0001"))]


@pytest.mark.parametrize("text", ["1.234", "1.234,56", "12,5e3", "abc", "1'000"])
def test_amounts__that_may_be_two_are_refused(tmp_path, text):
    file = tmp_path / "exposures.csv"
    file.write_text(f"company_id;exposure_date;drawn\n{A};2024-06-30;{text}\n{B};2024-06-30;5\n")
    said = problems(file, "exposures")
    assert "write amounts as 1234.56 (row 2)" in said
    assert text not in said.removeprefix(str(file))


@pytest.mark.parametrize(
    "data",
    [
        "\ufeffcompany_id,company_name\n005520135,Défi\n".encode(),
        "company_id\tcompany_name\n005520135\tDéfi\n".encode("utf-16"),
        "company_id;company_name\r\n005520135;Défi\r\n".encode(),
        "company_id,company_name\n\n005520135,Défi\n,\n".encode(),
        "company_id,company_name,\n005520135,Défi,\n".encode(),
        ' company_id , company_name \n"005520135","Défi"'.encode(),
    ],
    ids=["utf-8 with its mark", "utf-16 and tabs", "semicolons", "empty rows", "an empty column", "blanks and quotes"],
)  # fmt: skip
def test_files__as_spreadsheets_write_them(tmp_path, data):
    (tmp_path / "companies.csv").write_bytes(data)
    found = read(tmp_path / "companies.csv", "companies")
    assert found.select(["company_id", "company_name"]).to_pylist() == [{"company_id": A, "company_name": "Défi"}]


# --- every problem at once, by column, row and remedy, and nothing of what stands in the cells


def test_csv__says_everything_at_once(tmp_path):
    file = tmp_path / "loans.csv"
    file.write_bytes(
        "loan_id;company_id;principal;origination_date;close_reason;surprise\n"
        "L1;005520135;1234,56;29/02/2024;ok;\n"
        "L2;5520135;12x4,56;2024-02-30;ok;\n"
        ";005520135;1;2024-01-31 13:45:00;caf\xe9;\n".encode("cp1252")
    )
    said = problems(file)
    for part in (
        "loans.csv cannot be read as loans: 8 problems",
        "close_reason: not UTF-8; save the file as CSV UTF-8 (row 4)",
        "surprise: unknown column; loans has loan_id,",
        "loan_id: null in a required column (row 4)",
        "company_id: not a SIREN: that has 9 digits, this 7 characters; if a spreadsheet dropped leading",
        "principal: not a number; write amounts as 1234.56 (row 3)",
        "origination_date: not a day; write days as YYYY-MM-DD (row 2)",
        "origination_date: not a day of the calendar; write days as YYYY-MM-DD (row 3)",
        "origination_date: calendar days expected, found times of day; write days as YYYY-MM-DD (row 4)",
    ):
        assert part in said
    for cell in ("29/02/2024", "12x4", "13:45", "5520135", "caf"):
        assert cell not in said.removeprefix(str(file))


def test_failures__have_a_row_for_each_problem_and_no_cell(tmp_path):
    file = tmp_path / "loans.csv"
    file.write_text("loan_id,company_id,origination_date\n" + "".join(f"L{i},{A},SECRET\n" for i in range(9)))
    with pytest.raises(
        SchemaError, match=r"origination_date: not a day; .* \(rows 2, 3, 4, 5, 6 and 4 more\)"
    ) as caught:
        read(file)
    assert caught.value.failures[["column", "n_rows", "example"]].values.tolist() == [["origination_date", 9, "row 2"]]
    assert "SECRET" not in str(caught.value.failures.values.tolist())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("company_id,company_name,company_name\n005520135,A,B\n", "company_name: the header names it 2 times"),
        ("company_id,company_name\n005520135,A,B\n005520143,C\n", "3 cells where the header has 2; check separators"),
        ("company_name\nA\n", "company_id: absent; such as company_id,company_name"),
        ("company_id,company_name\n005520135,A\n005520143,B\n005 520 135,C\n", "company_id: repeated key (row 4"),
        ('company_id,company_name\n005520135,"A\n', "after row 1: unexpected end of data; check the"),
        ("company_id,company_name\n005520135,A\n005520143,\"B\"x\n", "after row 2: ',' expected after"),
        ("", "the file is empty"),
    ],
)  # fmt: skip
def test_broken_files__in_one_sentence(tmp_path, text, said):
    file = tmp_path / "companies.csv"
    file.write_text(text)
    assert said in problems(file, "companies")


@pytest.mark.parametrize("form", ["csv", "xlsx", "pandas", "arrow", "polars"])
def test_doubled_names__of_any_form(tmp_path, form):
    rows = [["company_id", "company_name", "company_name"], [A, "x", "y"]]
    if form in ("csv", "xlsx"):
        source = written(tmp_path, rows, form, "companies")
    else:
        source = pd.DataFrame(rows[1:], columns=rows[0])
        if form == "arrow":
            source = pa.Table.from_arrays([pa.array([v]) for v in rows[1]], rows[0])
        if form == "polars":
            source = pytest.importorskip("polars").DataFrame({"company_id": [A], "company_name": [1]})
            assert "company_name: expected text, found int64" in problems(source, "companies")
            return
    assert "company_name: the header names it 2 times" in problems(source, "companies")


def test_workbook__mixed_types_are_named_by_row(tmp_path):
    rows = [["company_id", "company_name", "valid_from"], [A, "x", datetime(2024, 1, 1)], [5520143, 12, 45000],
            [B, "y", datetime(2024, 1, 1, 13, 45)]]  # fmt: skip
    said = problems(written(tmp_path, rows, "xlsx", "companies"), "companies")
    for part in (
        "company_id: expected text, found a number; format the column as text (row 3)",
        "company_name: expected text, found a number; format the column as text (row 3)",
        "valid_from: expected date, found a number; write days as YYYY-MM-DD (row 3)",
        "valid_from: calendar days expected, found times of day; write days as YYYY-MM-DD (row 4)",
    ):
        assert part in said
    frame = pd.DataFrame(rows[1:], columns=rows[0])
    assert "company_id: expected text, found a number; format the column as text (row 2)" in problems(
        frame, "companies"
    )


SHEET = "xl/worksheets/sheet1.xml"


def rewritten(path, old, new, part=SHEET):
    """A workbook with another text in one of its parts."""
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    changed = re.sub(old, new, parts[part], flags=re.DOTALL)
    assert changed != parts[part]
    with zipfile.ZipFile(path, "w") as book:
        for name, data in (parts | {part: changed}).items():
            book.writestr(name, data)
    return path


@pytest.mark.parametrize("size", [b'<dimension ref="A1"/>', b'<dimension ref="A1:B2"/>', b""])
def test_workbook__whose_stated_size_is_wrong_loses_no_row_and_no_column(tmp_path, size):
    rows = [["loan_id", "company_id", "principal"], ["L1", A, 5], ["L2", B, 6]]
    file = rewritten(written(tmp_path, rows, "xlsx"), rb"<dimension [^>]*>", size)
    assert read(file)["principal"].to_pylist() == [Decimal(5), Decimal(6)]


@pytest.mark.parametrize(
    "formula",
    [b"<f>1+1</f>", b'<f t="array" ref="C2">SUM(1,2)</f>', b'<f t="dataTable" ref="C2" dt2D="0" dtr="0" r1="A1"/>',
     b'<f t="shared" ref="C2" si="0">1+1</f>', b"<f>1+1</f><v></v>"],
)  # fmt: skip
def test_workbook__a_formula_of_any_kind_without_value_is_refused(tmp_path, formula):
    file = written(tmp_path, [["loan_id", "company_id", "principal"], ["L1", A, 5]], "xlsx")
    rewritten(file, rb'<c r="C2"[^>]*>.*?</c>', b'<c r="C2">' + formula + b"</c>")
    assert "principal: a formula without its value" in problems(file)


def test_workbook__a_formula_whose_text_is_empty_is_null(tmp_path):
    file = written(tmp_path, [["loan_id", "company_id", "close_reason"], ["L1", A, "x"]], "xlsx")
    rewritten(file, rb'<c r="C2"[^>]*>.*?</c>', b'<c r="C2" t="str"><f>IF(1,"","")</f><v></v></c>')
    assert read(file)["close_reason"].to_pylist() == [None]


def test_workbook__a_carriage_return_is_one(tmp_path):
    path = tmp_path / "companies.xlsx"
    path.write_bytes(encoded(pd.DataFrame({"company_id": [A], "company_name": ["a\r\nb\x01"]}), "xlsx"))
    assert read(path, "companies")["company_name"].to_pylist() == ["a\r\nb\x01"]


@pytest.mark.parametrize("value", [0.1 + 0.2, 1234.56 * 3, -0.1 * 3, 8193.7 * 1.2, 4.35 * 100])
def test_amounts__computed_by_a_spreadsheet_are_what_it_shows(tmp_path, value):
    file = written(tmp_path, [["loan_id", "company_id", "principal"], ["L1", A, 7]], "xlsx")
    rewritten(file, rb"<v>7</v>", f"<v>{value!r}</v>".encode())
    assert read(file)["principal"].to_pylist() == [Decimal(f"{value:.4f}")]


@pytest.mark.parametrize("value", [0.12345, 123456789012.12345, 1e14, float("inf")])
def test_amounts__with_more_than_four_decimals_are_refused_as_before(value):
    assert "principal: " in problems(pd.DataFrame({"loan_id": ["L1"], "company_id": [A], "principal": [value]}))


@pytest.mark.parametrize(
    "word", ["#SPILL!", "#CALC!", "#¡DIV/0!", "#RIF!", "#ÜBERLAUF!", "#DEEL/0!", "#N/D", "Err:502"]
)
def test_errors__of_any_language_and_version_are_refused(tmp_path, word):
    rows = [["loan_id", "company_id", "close_reason"], ["L1", A, word]]
    for form in ("csv", "xlsx"):
        assert "close_reason: an error of the spreadsheet" in problems(written(tmp_path, rows, form))


@pytest.mark.parametrize("word", ["#", "#1", "#1 priority!", "# Urgent!", "#Urgent!", "!?", "N/A", "Err: 502 seen"])
def test_texts__that_only_look_like_errors_are_text(tmp_path, word):
    rows = [["loan_id", "company_id", "close_reason"], ["L1", A, word]]
    for form in ("csv", "xlsx"):
        assert read(written(tmp_path, rows, form))["close_reason"].to_pylist() == [word]


@pytest.mark.parametrize(
    "head", ["005520135,SECRET", "Our SECRET list", "loan_id|SECRET", "sep=;SECRET", "LOAN_ID,SECRET"]
)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_first_row__without_a_known_name_is_said_once_and_not_repeated(tmp_path, head, form):
    file = tmp_path / "loans.csv"
    file.write_text(f"{head}\nloan_id,company_id\nL1,{A}\n")
    rows = [head.split(","), ["loan_id", "company_id"], ["L1", A]]
    said = problems(written(tmp_path, rows, form) if form == "xlsx" else file)
    assert "no name of a column in row 1; loans has loan_id, company_id" in said
    assert "SECRET" not in said


@pytest.mark.parametrize("encoding", ["utf-32", "utf-16"])
def test_encodings__with_their_mark(tmp_path, encoding):
    data = "company_id,company_name\n005520135,Défi\n".encode(encoding)
    (tmp_path / "companies.csv").write_bytes(data)
    assert read(tmp_path / "companies.csv", "companies")["company_name"].to_pylist() == ["Défi"]
    (tmp_path / "companies.csv").write_bytes(data[:-1])
    assert f"it is {encoding.upper()} and cut off or damaged" in problems(tmp_path / "companies.csv", "companies")


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files__are_read_or_refused_and_nothing_else(tmp_path, form, data):
    rows = [["loan_id", "company_id", "principal"], ["L1", A, 5.25]]
    path = tmp_path / f"loans.{form}"
    if form == "parquet":
        pd.DataFrame(rows[1:], columns=rows[0]).to_parquet(path)
    else:
        written(tmp_path, rows, form)
    content = bytearray(path.read_bytes())
    if form == "xlsx":  # damage the sheet itself: that of the archive is noticed by its check sums
        with zipfile.ZipFile(path) as book:
            content = bytearray(book.read(SHEET))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    if form == "xlsx":
        rewritten(path, rb"\A.*\Z", lambda _: bytes(content) + b" ")
    else:
        path.write_bytes(bytes(content))
    with contextlib.suppress(InputError):
        read(path)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_damaged_files__repeat_no_cell(tmp_path, form):
    path = written(tmp_path, [["loan_id", "company_id", "principal"], ["L1", A, 5]], form)
    if form == "csv":
        path.write_text('loan_id,company_id\nL1,"SECRET"SECRET\n')
    else:
        rewritten(path, rb"<v>5</v>", b"<v>SECRET</v>")
    said = problems(path)
    assert "SECRET" not in said
    assert "check the quotation marks there" in said or "it is damaged, or not what its name says" in said


def test_every_problem__also_a_repeated_key_beside_a_wrong_day(tmp_path):
    rows = [["loan_id", "company_id", "origination_date"], ["L1", A, "29/02/2024"], ["L1", B, "2024-01-01"]]
    said = problems(written(tmp_path, rows, "csv"))
    assert "origination_date: not a day" in said
    assert "loan_id: repeated key (row 3 repeats 2)" in said


FRAMES = {
    "categories of Polars": lambda pl: pl.DataFrame({"loan_id": ["L1"], "company_id": [A]}).cast(pl.Categorical),
    "enumerations of Polars": lambda pl: pl.DataFrame(
        {"loan_id": ["L1"], "company_id": [A]}, {"loan_id": pl.String, "company_id": pl.Enum([A])}
    ),
    "values of NumPy": lambda _: pd.DataFrame(
        {"loan_id": ["L1"], "company_id": [A], "principal": [np.float64(5)], "closed_date": [np.datetime64("NaT")]},
        dtype=object,
    ),
    "whole numbers of NumPy": lambda _: pd.DataFrame(
        {"loan_id": ["L1"], "company_id": [A], "principal": [np.int64(5)]}, dtype=object
    ),
    "sparse": lambda _: pd.DataFrame(
        {"loan_id": ["L1"], "company_id": [A], "principal": pd.arrays.SparseArray([5.0])}
    ),
    "a text column without a value": lambda _: pd.DataFrame(
        {"loan_id": ["L1"], "company_id": [A], "close_reason": [np.nan]}
    ),
    "a relation of DuckDB": lambda _: duckdb.sql(
        f"SELECT 'L1' AS loan_id, '{A}' AS company_id, 5::HUGEINT AS principal"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_frames__with_columns_of_any_make(name):
    found = read(FRAMES[name](pytest.importorskip("polars")))
    assert found.select(["loan_id", "company_id"]).to_pylist() == [{"loan_id": "L1", "company_id": A}]
    assert found["principal"].to_pylist() in ([Decimal(5)], [None])


@pytest.mark.parametrize(
    "values",
    [
        [[1]], pd.PeriodIndex(["2024-01"], freq="M"), pd.arrays.IntervalArray.from_tuples([(0, 1)]), [1j], [{"a": 1}],
        pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array([[1]])])), pd.to_timedelta(["3 days"]), [object()],
        pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array([2**62], pa.timestamp("s"))])),
    ],
)  # fmt: skip
@pytest.mark.parametrize("column", ["principal", "closed_date", "close_reason"])
def test_frames__with_values_that_are_none_are_refused_by_column(column, values):
    assert f"{column}: expected " in problems(pd.DataFrame({"loan_id": ["L1"], "company_id": [A], column: values}))


def test_workbook__that_is_none(tmp_path):
    (tmp_path / "loans.xlsx").write_bytes(b"not a workbook")
    assert "loans.xlsx cannot be read as loans" in problems(tmp_path / "loans.xlsx")
    assert "No such file" in problems(tmp_path / "missing_loans.csv")


def test_outcomes__as_model_teams_keep_them_name_the_columns_needed(tmp_path):
    (tmp_path / "outcomes.csv").write_text(f"company_id,outcome_date,defaulted\n{A},2024-03-15,1\n")
    said = problems(tmp_path / "outcomes.csv", "outcomes")
    assert "outcome_date: unknown column; defaulted: unknown column; outcomes has company_id, default_date" in said
    assert "such as company_id,default_date,observed_until / 732829320,2024-03-15,2025-12-31" in said


def test_history__in_one_file_is_read_as_of_each_day(tmp_path):
    file, store = tmp_path / "companies.csv", Store(tmp_path / "store")
    file.write_text("company_id,sector_code,valid_from\n514673987,47.11,2020-01-01\n514673987,62.01Z,2023-06-01\n")
    assert attach(store, file).n_new == 2
    sectors = [store.snapshot(day).read("companies")["sector_code"].tolist() for day in ("2022-01-01", None)]
    assert sectors == [["47.11"], ["62.01Z"]]
    assert len(store.snapshot("2019-01-01").read("companies")) == 0


def test_contradictions__are_stored_and_an_empty_key_is_not(tmp_path):
    store = Store(tmp_path / "store")
    odd = pd.DataFrame({
        "company_id": [A], "default_date": pd.to_datetime(["2099-01-01"]),
        "default_end_date": pd.to_datetime(["2024-01-01"]),
    })  # fmt: skip
    assert attach(store, odd, table="outcomes").n_new == 1
    found = findings(outcomes=store.snapshot().read("outcomes"))
    assert found[["severity", "check", "company_id", "n"]].values.tolist() == [["high", "contradiction", A, 1]] * 2
    assert found["finding"].tolist() == [
        "A default ends before it begins.",
        "outcomes: default_date is after the day on which the row was recorded.",
    ]
    group = pd.DataFrame({"company_id": [A, B], "group_id": ["", "g"]})
    attach(store, group, table="companies")
    assert "group_id is an empty text" in findings(companies=store.snapshot().read("companies"))["finding"].item()
    empty = pd.DataFrame({"loan_id": [" "], "company_id": [A]})
    with pytest.raises(SchemaError, match=r"loan_id: an empty key \(row 1\)"):
        attach(store, empty, table="loans")


# --- whose numbers they are


def with_requests(tmp_path, *types):
    store = Store(tmp_path / "store")
    rows = [
        {"request_id": f"{i:024x}", "request_version": 1, "company_code_type": kind, "company_id": number,
         "fetched_at": datetime(2025, 1, 1), "raw_sha256": "0" * 64}
        for i, (kind, number) in enumerate(types)
    ]  # fmt: skip
    frame = pd.DataFrame(rows).assign(fetched_at=pd.Timestamp("2025-01-01", tz="UTC"))
    with store.writer() as writer:
        writer.append("requests", tables.REQUESTS.conform(frame))
        writer.commit()
    return store


def test_code_type__is_that_of_the_requests_and_given_where_there_are_two(tmp_path, xray):
    store = with_requests(tmp_path, ("kvk", "24288945"))
    frame = pd.DataFrame({"company_id": ["2428 8945"], "company_name": ["x"]})
    done = attach(store, frame, table="companies")
    assert (done.n_new, done.n_unknown, done.n_companies) == (1, 0, 1)
    with pytest.raises(SchemaError, match=r"company_id: not a KVK: that has 8 digits, this 9 characters \(row 1\)"):
        attach(store, pd.DataFrame({"company_id": [A]}), table="companies")
    both = with_requests(tmp_path / "two", ("kvk", "24288945"), ("siren", A))
    mixed = pd.DataFrame({"company_id": ["2428 8945", f"{A} 00012"]})  # each number as its request says
    assert attach(both, mixed[:1], table="companies").n_unknown == 0
    with pytest.raises(SchemaError, match=r"numbers of kvk and siren: say which the file has \(--code-type\)"):
        attach(both, pd.DataFrame({"company_id": [A, B]}), table="companies")
    (tmp_path / "companies.csv").write_text(f"company_id\n{A}\n{B}\n")
    code, out, _ = xray(
        "attach", tmp_path / "companies.csv", "--code-type", "siren", "--store", both.path, "--json"
    )  # fmt: skip
    facts = json.loads(out)
    assert (code, facts["n_new"], facts["n_unknown"]) == (0, 2, 1)
