from datetime import UTC, date, datetime

import pandas as pd
import pytest

from xray_analytics import Store, attach
from xray_analytics.errors import InputError, SchemaError

LOANS = (
    "loan_id,company_id,application_date,decision,principal,currency\nL1,012345674,2024-03-01,accepted,10000.50,EUR\n"
)


def test_attach__csv_is_read_exactly_and_once(tmp_path):
    file = tmp_path / "loans_2025.csv"
    file.write_text(LOANS)
    store = Store(tmp_path / "store")
    first = attach(store, file)
    assert (first.table, first.n_rows, first.n_new, first.commit) == ("loans", 1, 1, 1)
    row = store.snapshot().read("loans", money="decimal").iloc[0]
    assert (row["company_id"], str(row["principal"])) == ("012345674", "10000.5000")
    assert row["valid_from"] == pd.Timestamp("2024-03-01")
    assert attach(store, file).n_new == 0
    file.write_text(LOANS.replace("accepted", "declined"))
    assert attach(store, file).n_new == 1
    assert store.snapshot().read("loans")["decision"].tolist() == ["declined"]


def test_attach__semicolons_and_decimal_commas(tmp_path):
    file = tmp_path / "exposures.csv"
    file.write_text("company_id;exposure_date;drawn;currency\n012345674;2024-06-30;1234,56;EUR\n")
    store = Store(tmp_path / "store")
    attach(store, file)
    assert store.snapshot().read("exposures")["drawn"].tolist() == [1234.56]
    assert len(store.snapshot("2024-06-29").read("exposures")) == 0


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_attach__workbooks_and_parquet(tmp_path, kind):
    frame = pd.DataFrame({"company_id": ["012345674"], "company_name": ["SYNTHETIC A"], "sector_code": ["4399C"]})
    file = tmp_path / f"data.{kind}"
    frame.to_excel(file, index=False) if kind == "xlsx" else frame.to_parquet(file)
    store = Store(tmp_path / "store")
    with pytest.raises(InputError, match="say which table it is"):
        attach(store, file)
    attach(store, file, table="companies", recorded_at=datetime(2025, 1, 1, tzinfo=UTC))
    row = store.snapshot().read("companies").iloc[0]
    assert row["sector_code"] == "43.99C"
    assert len(store.snapshot(date(2024, 1, 1), clock="fetched").read("companies")) == 0


def test_attach__wrong_input_is_refused_and_nothing_is_written(tmp_path):
    store = Store(tmp_path / "store")
    with pytest.raises(SchemaError, match="company_id: expected text, found int64"):
        attach(store, pd.DataFrame({"company_id": [12345678]}), table="companies")
    with pytest.raises(InputError, match="reports is not a lender's table"):
        attach(store, pd.DataFrame(), table="reports")
    with pytest.raises(InputError, match=r"expected a \.csv, \.xlsx or \.parquet file"):
        attach(store, tmp_path / "loans.txt")
    bad = tmp_path / "loans.csv"
    bad.write_text(LOANS.replace("2024-03-01", "01/03/2024"))
    with pytest.raises(InputError, match=r"loans\.csv cannot be read as loans"):
        attach(store, bad)
    bad.write_text(LOANS.replace("L1", ""))
    with pytest.raises(SchemaError, match="loan_id: null in a required column"):
        attach(store, bad)
    assert not store.exists
