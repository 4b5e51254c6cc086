"""Frames live in UTC, and nothing is fetched from anywhere."""

import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from xray_analytics import engine
from xray_analytics.errors import InputError, StoreError


@pytest.fixture
def paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("paris")
def test_duckdb__reckons_in_utc_on_every_cursor() -> None:
    connection = engine.connect_duckdb()
    question = "SELECT CAST(date_trunc('month', TIMESTAMPTZ '2024-12-31T23:30:00+00:00') AS DATE)"
    assert connection.sql(question).fetchall() == [(date(2024, 12, 1),)]
    assert connection.cursor().sql(question).fetchall() == [(date(2024, 12, 1),)]


def test_duckdb__limits_and_extensions() -> None:
    connection = engine.connect_duckdb(memory_limit="100MB", threads=1)
    settings = dict(connection.sql("SELECT name, value FROM duckdb_settings()").fetchall())
    names = ("threads", "autoinstall_known_extensions", "autoload_known_extensions", "temp_directory")
    assert [settings[name] for name in names] == ["1", "false", "false", ""]
    assert settings["memory_limit"] == "95.3 MiB"
    with pytest.raises(InputError, match="DuckDB did not start"):
        engine.connect_duckdb(memory_limit="plenty")


def test_duckdb__sees_one_folder_only(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out.csv"
    inside.mkdir()
    (inside / "a.csv").write_text("a\n1\n")
    outside.write_text("a\n2\n")
    connection = engine.connect_duckdb(directory=inside)
    assert connection.sql(f"SELECT * FROM read_csv({engine.sql_path(inside / 'a.csv')})").fetchall() == [(1,)]
    for refused in (f"SELECT * FROM read_csv('{outside}')", "SET threads = 1", "SET enable_external_access = true"):
        with pytest.raises(duckdb.Error):
            connection.cursor().execute(refused)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT nosuch", (InputError, "q cannot be asked: .*nosuch")),
        ("SELECT FROM WHERE", (InputError, "q cannot be asked: Parser Error")),
        (
            "SELECT CAST('private words' AS INTEGER)",
            (InputError, r"q fails on the rows it meets \(ConversionException\)"),
        ),
        ("SELECT * FROM read_parquet('/nowhere/x.parquet')", (StoreError, r"q could not be read \(IOException\)")),
    ],
)
def test_asking__errors_are_ours_and_quote_no_row(query: str, expected: tuple[type[Exception], str]) -> None:
    with pytest.raises(expected[0], match=expected[1]) as raised, engine.asking("q"):
        engine.connect_duckdb().sql(query).fetchall()
    assert "private words" not in str(raised.value)


def test_spark__absent_says_which_extra_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(InputError, match=r"pip install 'xray-analytics\[spark\]'"):
        engine.spark_session()
