"""The workbook: typed cells, formats, a frozen header, Excel's own charts, inert text, and the same bytes again."""

import io
import zipfile

import openpyxl
import pandas as pd
import pytest

from xray_analytics.errors import InputError
from xray_analytics.report.document.workbook import Sheet, SheetChart, workbook, write_workbook

HOSTILE = ["=cmd|' /C calc'!A0", "+1", "@SUM(A1)", "https://evil.example/", "0123", "a\x00\x1b[31m\u202eb", "<b>&"]
ABOUT = [("As of", "2025-06-30"), ("Command", "xray report portfolio --out '=1'")]


def frame():
    return pd.DataFrame({
        "company_id": pd.array(["000123456", "732829320", None], "string"),
        "month": pd.to_datetime(["2025-04-01", "2025-05-01", None]),
        "available_at": pd.to_datetime(["2025-04-01 12:30"] * 3, utc=True),
        "n_companies": pd.array([1200, None, 3], "Int64"), "share_ratio": [0.125, None, 1.0],
        "total_credit": [1234567.891, -5.0, None], "auc": [0.823678861788618, 0.5, None],
        "risk_class": pd.array([1, 5, None], "Int64"), "is_rated": pd.array([True, None, False], "boolean"),
    })  # fmt: skip


def book(*sheets):
    return openpyxl.load_workbook(io.BytesIO(workbook(sheets, ABOUT, title="T", as_of="2025-06-30")))


def test_cells_are_typed_formatted_and_null_is_empty():
    page = book(Sheet("One", frame()))["One"]
    assert [cell.value for cell in page[1]] == list(frame().columns)
    values = [cell.value for cell in page[2]]
    assert values[0] == "000123456"
    assert values[1:3] == [pd.Timestamp("2025-04-01"), pd.Timestamp("2025-04-01 12:30")]
    assert values[3:] == [1200, 0.125, 1234567.891, 0.823678861788618, "1 (A)", "yes"]
    assert [cell.value for cell in page[4]] == [
        None, None, pd.Timestamp("2025-04-01 12:30"), 3, 1, None, None, "unrated", "no",
    ]  # fmt: skip
    formats = {head.value: cell.number_format for head, cell in zip(page[1], page[2], strict=True)}
    assert formats["month"] == "yyyy-mm"
    assert formats["share_ratio"] == "0.0%"
    assert (formats["n_companies"], formats["total_credit"], formats["auc"]) == ("#,##0", "#,##0.00", "General")
    assert (page.freeze_panes, page.auto_filter.ref) == ("A2", "A1:I4")


def test_heads_choose_order_and_name_the_columns():
    heads = {"share_ratio": "Share", "company_id": "Company"}
    page = book(Sheet("One", frame(), heads))["One"]
    assert [cell.value for cell in page[1]] == ["Share", "Company"]
    assert [cell.value for cell in page[2]] == [0.125, "000123456"]


def test_text_from_outside_is_inert():
    page = book(Sheet("One", pd.DataFrame({"label": HOSTILE, "=HEAD()": HOSTILE})))["One"]
    cells = [cell for row in page.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} == {"s"}
    assert all(cell.hyperlink is None for cell in cells)
    assert [cell.value for cell in page["A"][1:6]] == HOSTILE[:5]
    assert page["A7"].value == "a  [31m b"
    data = workbook([Sheet("One", pd.DataFrame({"label": HOSTILE}))], ABOUT, title="=1", as_of="2025-06-30")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = b"".join(archive.read(name) for name in archive.namelist()).decode()
    assert "<f>" not in text
    assert "TargetMode" not in text


def test_read_me_comes_first_with_what_is_known_and_the_sheets():
    made = book(Sheet("One", frame(), note="What it is."), Sheet("Two", frame()))
    assert made.sheetnames == ["Read me", "One", "Two"]
    rows = [tuple(cell.value or "" for cell in row) for row in made["Read me"].iter_rows()]
    assert rows[0][0] == "T"
    assert [row[:2] for row in rows[2:4]] == ABOUT
    assert ("One", "What it is.") in rows


@pytest.mark.parametrize("kind", ["column", "bar", "line"])
def test_chart_is_excels_own_and_names_its_cells(kind):
    drawn = SheetChart(kind, "month", ("total_credit", "n_companies"), "Credits <&>", stacked=kind == "column")
    data = workbook([Sheet("It's", frame(), chart=drawn)], ABOUT, title="T", as_of="2025-06-30")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        xml = archive.read("xl/charts/chart1.xml").decode()
    assert "<c:f>'It''s'!$F$2:$F$4</c:f>" in xml
    assert "Credits &lt;&amp;&gt;" in xml


def test_same_sheets_same_bytes_and_the_frame_unchanged():
    given = frame()
    made = [workbook([Sheet("One", given)], ABOUT, title="T", as_of="2025-06-30") for _ in range(2)]
    assert made[0] == made[1]
    pd.testing.assert_frame_equal(given, frame())


def test_without_rows_a_sheet_has_its_header():
    page = book(Sheet("One", frame().head(0), chart=SheetChart("line", "month", ("auc",), "T")))["One"]
    assert [cell.value for cell in page[1]] == list(frame().columns)


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        (Sheet("a/b", frame()), "no sheet can be called 'a/b'"),
        (Sheet("x" * 32, frame()), "1 to 31 characters"),
        (Sheet("read ME", frame()), "no sheet can be called"),
        (Sheet("One", frame(), {"nothing": "N"}), "the sheet One lacks nothing"),
        (Sheet("One", frame(), chart=SheetChart("line", "day", ("auc",), "T")), "the sheet One lacks day"),
        (Sheet("One", pd.DataFrame(index=range(1_048_576))), "more than Excel holds"),
    ],
)
def test_what_excel_cannot_hold_is_refused(sheet, message):
    with pytest.raises(InputError, match=message):
        workbook([sheet], ABOUT, title="T", as_of="2025-06-30")


def test_written_whole_private_and_never_over_another_file(tmp_path):
    path = tmp_path / "b.xlsx"
    write_workbook(path, [Sheet("One", frame())], ABOUT, title="T", as_of="2025-06-30")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="--force"):
        write_workbook(path, [], ABOUT, title="T", as_of="2025-06-30")
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.xlsx"]
