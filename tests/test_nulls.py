"""Nothing but nulls is no wrong type: every column of every table, from every engine, however it came."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from xray_analytics.analysis import frames
from xray_analytics.tables import TABLES

DTYPES = dict.fromkeys(("id", "text", "json"), "string") | dict.fromkeys(("date", "instant"), "datetime64[us]")
DTYPES |= {"int": "Int64", "bool": "boolean", "float": "float64", "money": "float64"}
FORMS = {
    "object": lambda n: pd.DataFrame({n: pd.Series([None, None], dtype="object")}),
    "float": lambda n: pd.DataFrame({n: [np.nan, np.nan]}),
    "text": lambda n: pd.DataFrame({n: pd.Series([None, None], dtype="string")}),
    "objects without rows": lambda n: pd.DataFrame({n: pd.Series([], dtype="object")}),
    "Arrow null": lambda n: pa.table({n: pa.nulls(2)}),
    "Arrow text": lambda n: pa.table({n: pa.nulls(2, pa.string())}),
    "Polars null": lambda n: pl.DataFrame({n: [None, None]}),
    "Polars NaN": lambda n: pl.DataFrame({n: [np.nan, np.nan]}).lazy(),
    "DuckDB": lambda n: duckdb.sql(f'SELECT NULL AS "{n}" FROM range(2)'),
    "DuckDB text": lambda n: duckdb.sql(f'SELECT NULL::VARCHAR AS "{n}" FROM range(2)'),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_scan__nothing_but_nulls_has_the_type_it_should_have(table, form):
    for column in table.columns:
        found = frames.collect(frames.scan(FORMS[form](column.name), table, [column.name]), table)[column.name]
        assert (column.name, found.isna().all(), len(found)) == (column.name, True, 0 if "without" in form else 2)
        wanted = DTYPES.get(column.kind, "object")
        assert (column.name, str(found.dtype)) == (column.name, wanted)
