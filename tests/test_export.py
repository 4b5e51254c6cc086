"""An export is read back alike by everybody, says what it is, names nobody, and can be made again."""

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import openpyxl
import pandas as pd
import pytest
from scipy.optimize import minimize

import xray_analytics as xa
from xray_analytics import export
from xray_analytics.analysis import backtest
from xray_analytics.errors import InputError
from xray_analytics.export.formats import Content, inert, stata_names, to_csv, to_stata, to_xlsx
from xray_analytics.schema import Column

FORMATS = ("parquet", "csv", "feather", "stata", "xlsx")
TERMS = {
    "product": "bank", "as_of_dates": ["2024-09-30", "2024-12-31", "2025-12-31"], "horizon_months": 12,
    "outcomes_known_until": "2025-12-31", "sampling": "overlapping",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def store(home):
    found = xa.Store(home / "store")
    with xa.Sandbox(companies=24, seed=7, clean=True) as sandbox:
        xa.sync(xa.XRayClient(sandbox.settings()), found)
        xa.attach(found, sandbox.companies(), table="companies")
        xa.attach(found, sandbox.outcomes(), table="outcomes")
    return found


@pytest.fixture(scope="module")
def made(store):
    return export.make_backtest(store.snapshot(), **TERMS)


@pytest.fixture(scope="module")
def key(home):
    return home / "keys" / "model.key"


@pytest.fixture(scope="module")
def written(made, home, key):
    return export.write_backtest(made, home / "written", formats=FORMATS, key_file=key, command="xray backtest").parent


@pytest.fixture
def copy(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "copy"))


def described(folder):
    return json.loads((folder / "datapackage.json").read_bytes())


# Read back


def as_read(folder):
    """The same data by each reader, with the types of the first."""
    parquet = pd.read_parquet(folder / "data.parquet")
    short = stata_names(parquet.columns)
    frames = {
        "csv": pd.read_csv(folder / "data.csv.gz"),
        "feather": pd.read_feather(folder / "data.feather"),
        "stata": pd.read_stata(folder / "data.dta").rename(columns={v: k for k, v in short.items()}),
        "xlsx": pd.read_excel(folder / "data.xlsx"),
        "duckdb csv": duckdb.sql(f"FROM '{folder / 'data.csv.gz'}'").df(),
        "duckdb parquet": duckdb.sql(f"FROM '{folder / 'data.parquet'}'").df(),
    }
    return parquet, frames


def test_formats__hold_the_same_values(written):
    parquet, frames = as_read(written)
    assert len(parquet) == described(written)["xray"]["n_rows"] > 20
    for name, frame in frames.items():
        assert list(frame.columns) == list(parquet.columns), name
        for column in parquet:
            expected, found = parquet[column], frame[column]
            if pd.api.types.is_numeric_dtype(expected) or pd.api.types.is_bool_dtype(expected):
                values = [x.astype("Float64").to_numpy("float64", na_value=np.nan) for x in (expected, found)]
                digits = 2e-15 if name == "xlsx" else 0  # XLSX holds 15 to 16 digits
                np.testing.assert_allclose(*values, rtol=digits, atol=0, err_msg=f"{name} {column}")
            else:
                texts = [
                    x.astype("string").fillna("").str.removesuffix(" 00:00:00").tolist() for x in (expected, found)
                ]
                assert texts[0] == texts[1], f"{name} {column}"


def test_data__are_the_rows_that_a_model_may_use_and_the_exclusions_all_others(written, made):
    data, left = pd.read_parquet(written / "data.parquet"), pd.read_csv(written / "exclusions.csv.gz")
    rows = made.observations
    used = rows["excluded_because"].isna() & rows["is_mature"]
    assert (len(data), len(left)) == (used.sum(), (~used).sum())
    assert data["defaulted"].sum() == rows.loc[used, "defaulted"].sum() > 0
    assert set(left["excluded_because"]) >= {"immature", "closed"}
    assert left["excluded_because"].notna().all()
    xray = described(written)["xray"]
    shown = {rate["group"]: rate["default_rate_best_ratio"] for rate in xray["default_rates"]}
    assert shown["used"] == pytest.approx(data["defaulted"].mean(), rel=1e-12)


def test_datapackage__describes_every_file_and_column(written):
    package = described(written)
    assert {r["path"] for r in package["resources"]} | {"datapackage.json"} == {p.name for p in written.iterdir()}
    for resource in package["resources"]:
        data = (written / resource["path"]).read_bytes()
        assert resource["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert resource["bytes"] == len(data)
        assert all(f["description"] and f["type"] for f in resource["schema"]["fields"])
    fields = {f["name"]: f for f in package["resources"][0]["schema"]["fields"]}
    assert fields["bank_data_age_days"]["unit"] == "days"
    data, xray = pd.read_parquet(written / "data.parquet"), package["xray"]
    assert list(fields) == list(data.columns) == list(xray["control_sums"])
    sums = xray["control_sums"]["cash_mean_credit"]
    assert sums["n"] == data["cash_mean_credit"].notna().sum()
    assert sums["sum"] == pytest.approx(data["cash_mean_credit"].sum(), rel=1e-12)
    assert xray["terms"]["horizon_months"] == 12
    assert xray["source"]["commit"] == 3
    assert set(xray["versions"]) >= {"xray-analytics", "python", "pandas", "pyarrow"}
    dictionary = pd.read_csv(written / "dictionary.csv.gz").set_index("column")
    assert set(data.columns) <= set(dictionary.index)
    assert dictionary["stata_name"].dropna().str.len().max() <= 32
    assert (
        dictionary.loc["criterion_missedSocialSecurity_sentiment", "stata_name"] == "criterion_missedSocialSecurity_s"
    )


def test_stata__labels_carry_the_meaning(written):
    with pd.read_stata(written / "data.dta", iterator=True) as reader:
        labels = reader.variable_labels()
    assert labels["bank_data_age_days"] == "As-of date less the data's day, bank report. [days]"


def test_parquet__fields_carry_the_meaning(written):
    import pyarrow.parquet as pq

    field = pq.read_schema(written / "data.parquet").field("score")
    assert field.metadata[b"doc"].startswith(b"Of a bank report")


# R


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_r__reads_the_csv_and_fits_the_same_model(written):
    """Base R alone: types as meant, and the coefficients of glm."""
    script = """
    d <- read.csv(gzfile("data.csv.gz"), na.strings = "")
    stopifnot(is.logical(d$defaulted), is.numeric(d$bank_score), !is.numeric(d$company_id))
    d$as_of_date <- as.Date(d$as_of_date)
    f <- glm(defaulted ~ bank_score, family = binomial, data = d)
    cat(nrow(d), sum(d$defaulted, na.rm = TRUE), sprintf("%.10f", coef(f)))
    """
    done = subprocess.run(["Rscript", "-e", script], cwd=written, capture_output=True, text=True, check=True)
    n, n_defaulted, *coefficients = map(float, done.stdout.split())
    data = pd.read_parquet(written / "data.parquet").dropna(subset=["defaulted", "bank_score"])
    assert (n, n_defaulted) == (len(pd.read_parquet(written / "data.parquet")), data["defaulted"].sum())
    assert coefficients == pytest.approx(logistic(data[["bank_score"]], data["defaulted"]), abs=1e-4)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_r__reads_the_stata_file_with_its_labels(written):
    script = """
    if (!requireNamespace("haven", quietly = TRUE)) quit(status = 77)
    d <- haven::read_dta("data.dta")
    cat(nrow(d), sum(d$defaulted, na.rm = TRUE), class(d$as_of_date), attr(d$bank_data_age_days, "label"), sep = "|")
    """
    done = subprocess.run(["Rscript", "-e", script], cwd=written, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("haven is not installed in R")
    data = pd.read_parquet(written / "data.parquet")
    label = "As-of date less the data's day, bank report. [days]"
    assert done.stdout.split("|") == [str(len(data)), str(int(data["defaulted"].sum())), "Date", label]


# Fitted


def logistic(x, y):
    """Maximum likelihood of a logistic regression, intercept first."""
    design = np.column_stack([np.ones(len(x)), x.astype("float64")])
    target = y.astype("float64").to_numpy()

    def loss(weights):
        z = design @ weights
        return np.logaddexp(0, z).sum() - target @ z, design.T @ (1 / (1 + np.exp(-z)) - target)

    return minimize(loss, np.zeros(design.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-8}).x


def test_model__fits_on_the_export_and_is_calibrated_where_it_was_fitted(written):
    data = pd.read_parquet(written / "data.parquet")
    train = data[data["split"] == "train"].dropna(subset=["defaulted", "bank_score"])
    assert set(data["split"]) == {"train", "test"}
    assert not set(data.loc[data["split"] == "test", "company_id"]) & set(train["company_id"])
    weights = logistic(train[["bank_score"]], train["defaulted"])
    pd_ = 1 / (1 + np.exp(-(weights[0] + weights[1] * train["bank_score"].astype("float64"))))
    assert pd_.mean() == pytest.approx(train["defaulted"].mean(), abs=1e-6)  # the score equation of the intercept
    assert pd_[train["defaulted"]].mean() > pd_[~train["defaulted"]].mean()


# Nobody is named


def test_ids__are_pseudonyms_in_every_file(written, made):
    names = {*made.observations["company_id"], *made.observations["report_id"].dropna()}
    for path in written.iterdir():
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        assert not [name for name in names if name.encode() in text], path.name
    cells = pd.read_excel(written / "data.xlsx")["company_id"]
    assert cells.str.fullmatch(r"c[0-9a-f]{24}").all()
    parquet = pd.read_parquet(written / "data.parquet")
    assert not set(parquet["company_id"]) & names
    assert not set(parquet["report_id"]) & names
    assert (
        parquet["company_id"].is_monotonic_increasing
        or parquet.groupby("as_of_date")["company_id"].is_monotonic_increasing.all()
    )


def test_pseudonyms__are_those_of_the_key(made, home, key, tmp_path):
    ids = {}
    for name, file in (("again", key), ("other", tmp_path / "other.key")):
        folder = export.write_backtest(made, tmp_path / name, formats=["parquet"], key_file=file).parent
        ids[name] = set(pd.read_parquet(folder / "data.parquet")["company_id"])
    assert ids["again"] == set(pd.read_parquet(home / "written" / "data.parquet")["company_id"])
    assert not ids["again"] & ids["other"]
    plain = export.write_backtest(made, tmp_path / "plain", formats=["parquet"], ids="plain").parent
    assert set(pd.read_parquet(plain / "data.parquet")["company_id"]) <= set(made.observations["company_id"])


def test_key__is_private_and_never_shown(written, key, made):
    secret = key.read_text().strip()
    assert (stat.S_IMODE(key.stat().st_mode), len(bytes.fromhex(secret))) == (0o600, 32)
    assert not [p for p in written.iterdir() if secret.encode() in p.read_bytes()]
    assert secret not in repr(export.pseudonyms.read_key(key, outside=()))
    assert stat.S_IMODE(written.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in written.iterdir()} == {0o600}


def test_key__refused(made, store, tmp_path, key):
    linked = tmp_path / "link"
    linked.symlink_to(store.path)
    for inside in (store.path / "k", linked / "k", tmp_path / "out" / "k"):
        with pytest.raises(InputError, match="with what it protects"):
            export.write_backtest(made, tmp_path / "out", key_file=inside)
        assert not inside.exists()
    for name, text, mode, words in (
        ("open", "00" * 32, 0o644, "others can read"), ("short", "00" * 8, 0o600, "no key of 32 bytes"),
        ("words", "swordfish", 0o600, "cannot be read as a key"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
        with pytest.raises(InputError, match=words) as raised:
            export.write_backtest(made, tmp_path / "out", key_file=tmp_path / name)
        assert text not in str(raised.value)
    assert not (tmp_path / "out").exists()


# Spreadsheets

NASTY = ["=1+1", "+33 1", "-2", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "'quoted", 'a"b,c\nd', "SARL A-B", ""]
PLAIN = (Column("text", "text", "Some text."), Column("number", "float", "A number."))


def nasty():
    return Content(pd.DataFrame({"text": NASTY, "number": [-1.5] * len(NASTY)}), PLAIN, datetime(2025, 1, 1), "t")


def test_csv__text_is_inert_and_numbers_are_numbers():
    frame = pd.read_csv(io.BytesIO(gzip.decompress(to_csv(nasty()))), keep_default_na=False)
    dangerous = len(NASTY) - 3
    assert frame["text"].tolist() == [f"'{text}" for text in NASTY[:dangerous]] + NASTY[dangerous:]
    assert (frame["number"] == -1.5).all()
    assert [inert(text) for text in NASTY] == frame["text"].tolist()


def test_xlsx__text_is_text_and_numbers_are_numbers(tmp_path):
    (tmp_path / "x.xlsx").write_bytes(to_xlsx(nasty()))
    page = openpyxl.load_workbook(tmp_path / "x.xlsx")["data"]
    cells = [(row[0].data_type, row[1].data_type, row[1].value) for row in page.iter_rows(min_row=2, max_row=10)]
    assert set(cells) == {("s", "n", -1.5)}
    assert page["A2"].value == "=1+1"


def test_stata__takes_any_name_and_long_text(tmp_path):
    columns = tuple(Column(n, "text", "x" * 100) for n in ("if", "1st", "é-à", "a" * 40, "a" * 39 + "b", "str5", ""))
    content = Content(pd.DataFrame({c.name: ["é" * 1500, None] for c in columns}), columns, datetime(2025, 1, 1), "t")
    (tmp_path / "x.dta").write_bytes(to_stata(content))
    found = pd.read_stata(tmp_path / "x.dta")
    assert list(found.columns) == ["_if", "_1st", "___", "a" * 32, "a" * 30 + "_2", "_str5", "_"]
    assert found.iloc[0].tolist() == ["é" * 1500] * 7


# The same bytes


def test_bytes__are_the_same_in_any_zone_locale_and_hash_seed(written, store, key, tmp_path):
    place = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1", "COLUMNS": "40"}
    code = (
        "import sys, json, xray_analytics as xa\n"
        "made = xa.export.make_backtest(xa.Store(sys.argv[1]).snapshot(), **json.loads(sys.argv[2]))\n"
        "xa.export.write_backtest(made, sys.argv[3], formats=sys.argv[4].split(','), key_file=sys.argv[5], "
        "command='xray backtest')\n"
    )
    arguments = [store.path, json.dumps(TERMS), tmp_path / "out", ",".join(FORMATS), key]
    command = [sys.executable, "-c", code, *map(str, arguments)]
    subprocess.run(command, env=os.environ | place, cwd=tmp_path, check=True)
    for path in written.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name


# Whole or not at all


def test_folder__is_never_replaced_by_accident(made, copy, key):
    before = {p.name: p.read_bytes() for p in copy.iterdir()}
    with pytest.raises(InputError, match="--force"):
        export.write_backtest(made, copy, formats=["csv"], key_file=key)
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds notes\.txt, which no export wrote"):
        export.write_backtest(made, copy, formats=["csv"], key_file=key, overwrite=True)
    (copy / "notes.txt").unlink()
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == before
    export.write_backtest(made, copy, formats=["csv"], key_file=key, overwrite=True)
    assert sorted(p.name for p in copy.iterdir()) == [
        "data.csv.gz",
        "datapackage.json",
        "dictionary.csv.gz",
        "exclusions.csv.gz",
    ]
    assert [p.name for p in copy.parent.iterdir()] == ["copy"]


@pytest.mark.parametrize("call", ["open", "fsync", "rename"])
def test_folder__stays_as_it_was_where_writing_fails(made, copy, key, monkeypatch, call):
    before = {p.name: p.read_bytes() for p in copy.iterdir()}
    real = getattr(os, call)
    for fails_at in range(1, 4):
        calls = 0

        def failing(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == fails_at:  # noqa: B023 - called within the loop
                raise OSError(28, "No space left on device")
            return real(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            if call == "rename" and fails_at == 3:
                continue  # two renames replace a folder
            with pytest.raises(InputError, match="No space left on device"):
                export.write_backtest(made, copy, formats=["csv"], key_file=key, overwrite=True)
        assert {p.name: p.read_bytes() for p in copy.iterdir()} == before
        assert [p.name for p in copy.parent.iterdir()] == ["copy"]


# Made again


def test_check__identical(written, store, key):
    assert export.check_backtest(written, store, key_file=key) == []
    assert export.check_backtest(written / "datapackage.json", store, key_file=key) == []


def test_check__names_what_was_tampered_with(copy, store, key):
    (copy / "data.dta").write_bytes(b"x")
    (copy / "exclusions.csv.gz").unlink()
    assert export.check_backtest(copy, store, key_file=key) == [
        "data.dta was changed: its SHA-256 is not the one described", "exclusions.csv.gz is missing",
    ]  # fmt: skip


def test_check__names_columns_that_differ(copy, store, key):
    package = described(copy)
    package["xray"]["control_sums"]["score"]["sum"] += 1
    package["xray"]["control_sums"]["mine"] = {"n": 1, "sha256": ""}
    package["xray"]["n_rows"] += 1
    package["xray"]["versions"]["pandas"] = "1.0"
    package["resources"][0]["hash"] = "sha256:of another version of pandas"
    (copy / "data.parquet").unlink()
    (copy / "datapackage.json").write_text(json.dumps(package))
    found = export.check_backtest(copy, store, key_file=key)
    n = package["xray"]["n_rows"]
    assert found[:3] == [
        "data.parquet is missing",
        f"{n:,} rows in the export, {n - 1:,} now",
        "column mine is only in the export",
    ]
    assert found[3].startswith("column score differs: ")
    assert len(found) == 4


def test_check__reads_the_commit_of_the_export_whatever_came_since(home, store, key, tmp_path):
    moved = xa.Store(shutil.copytree(store.path, tmp_path / "store"))
    late = pd.DataFrame(
        {"company_id": moved.snapshot().read("outcomes")["company_id"], "default_date": pd.Timestamp("2025-02-01")}
    )
    xa.attach(moved, late, table="outcomes")
    assert export.check_backtest(home / "written", moved, key_file=key) == []
    (moved.path / "commits" / "000000000003.json").unlink()
    found = export.check_backtest(home / "written", moved, key_file=key)
    assert found[0] == "commit 3 is no longer kept; made again from commit 4, which may know more"
    assert any(sentence.startswith("column defaulted differs") for sentence in found)


def test_check__refuses_another_key_and_other_outcomes(written, store, home, key, tmp_path):
    with pytest.raises(InputError, match="there is no key"):
        export.check_backtest(written, store, key_file=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "other").write_text("11" * 32)
    (tmp_path / "other").chmod(0o600)
    with pytest.raises(InputError, match="not the one that made the pseudonyms"):
        export.check_backtest(written, store, key_file=tmp_path / "other")
    with pytest.raises(InputError, match="leave --outcomes out"):
        export.check_backtest(written, store, key_file=key, outcomes=tmp_path / "o.csv")
    with pytest.raises(InputError, match=r"is not the datapackage\.json of a backtest"):
        export.check_backtest(tmp_path, store, key_file=key)


# Frames and files


def test_outcomes__of_a_file_are_pinned_by_their_digest(xray, store, key, tmp_path):
    frame = store.snapshot().read("outcomes").drop(columns=["recorded_at", "valid_from"])
    frame.to_csv(tmp_path / "o.csv", index=False)
    out = tmp_path / "out"
    options = ["--store", store.path, "--key", key]
    terms = ["--product", "bank", "--from", "2024-07-01", "--to", "2024-12-31", "--sampling", "overlapping"]
    code, text, err = xray(
        "backtest", *options, *terms, "--outcomes", tmp_path / "o.csv", "--out", out, "--format", "csv", "--json"
    )
    assert (code, err) == (0, "")
    shown, package = json.loads(text), described(out)
    assert shown["n_rows"] == package["xray"]["n_rows"] == len(pd.read_csv(out / "data.csv.gz"))
    assert package["xray"]["command"].endswith("--format csv --json --commit 3")
    assert shown["terms"]["outcomes_known_until"] == "2025-12-31"
    check = ["backtest", *options, "--check", out]
    assert xray(*check, "--outcomes", tmp_path / "o.csv")[:2] == (0, "identical\n")
    code, _, err = xray(*check)
    assert (code, "name it (--outcomes)" in err) == (2, True)
    frame.head(3).to_csv(tmp_path / "o.csv", index=False)
    assert "another SHA-256" in xray(*check, "--outcomes", tmp_path / "o.csv")[2]


def test_command__checks_and_says_no_by_its_exit_code(xray, copy, store, key):
    options = ["--store", store.path, "--key", key, "--check", copy / "datapackage.json"]
    assert json.loads(xray("backtest", *options, "--json")[1])["identical"] is True
    (copy / "data.dta").write_bytes(b"x")
    code, out, _ = xray("backtest", *options)
    assert (code, out) == (1, "data.dta was changed: its SHA-256 is not the one described\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--product", "bank"], "nothing to do"),
        (["--product", "bank", "--out", "x", "--from", "2024-01-01"], "as-of dates are not clear"),
        (["--product", "bank", "--out", "x", "--dates", "soon"], "--dates 'soon' is not a day"),
        (["--product", "bank", "--out", "x", "--dates", "2024-12-31", "--format", "sas"], "give some of parquet"),
        (["--product", "bank", "--out", "x", "--dates", "2021-12-31"], "no observation can be used"),
        (["--product", "bank", "--out", "x", "--dates", "2024-12-31", "--commit", "1"], "holds no outcomes"),
    ],
)
def test_command__refuses(xray, store, options, words, tmp_path):
    options = [tmp_path / "x" if option == "x" else option for option in options]
    code, _, err = xray("backtest", "--store", store.path, "--ids", "plain", *options)
    assert (code, words in err, err.count("\n")) == (2, True, 1)
    assert list(tmp_path.iterdir()) == []


def test_own_features__need_a_meaning_and_are_exported(made, key, tmp_path):
    more = made.features.assign(twice=made.features["bank_score"] * 2)
    with pytest.raises(InputError, match="nobody says what the feature twice means"):
        export.write_backtest(replace(made, features=more), tmp_path / "x", formats=["parquet"], key_file=key)
    more.attrs["columns"] = {**made.features.attrs["columns"], "twice": {"kind": "float", "doc": "Twice the score."}}
    folder = export.write_backtest(
        replace(made, features=more), tmp_path / "x", formats=["parquet"], key_file=key
    ).parent
    data = pd.read_parquet(folder / "data.parquet")
    pd.testing.assert_series_equal(data["twice"], data["bank_score"] * 2, check_names=False)
    with pytest.raises(InputError, match="not of the same rows"):
        export.write_backtest(replace(made, features=more.head(3)), tmp_path / "y", key_file=key)
    with pytest.raises(InputError, match="ids is 'hashed'"):
        export.write_backtest(made, tmp_path / "y", ids="hashed")


def test_make__looks_back_by_itself(store):
    with pytest.raises(InputError, match="looks back by itself"):
        export.make_backtest(store.snapshot("2025-06-30"), **TERMS)


def test_make__of_financial_reports_with_each_report_on_its_day(xray, store, key, tmp_path):
    terms = ["--product", "financial", "--from", "2024-02-01", "--to", "2025-12-31", "--sampling", "report"]
    assert (
        xray("backtest", "--store", store.path, "--key", key, *terms, "--out", tmp_path / "x", "--format", "parquet")[0]
        == 0
    )
    data = pd.read_parquet(tmp_path / "x" / "data.parquet")
    assert data["as_of_date"].nunique() > 5
    np.testing.assert_array_equal(data["default_probability"], data["financial_default_probability"])
    assert data["default_probability"].notna().all()


def test_make__needs_to_know_until_when(store):
    frame = store.snapshot().read("outcomes").drop(columns=["recorded_at", "observed_until"])
    terms = {name: value for name, value in TERMS.items() if name != "outcomes_known_until"}
    with pytest.raises(InputError, match="up to which day they are known"):
        export.make_backtest(store.snapshot(), outcomes=frame, **terms)
    assert (
        backtest.default_rates(export.make_backtest(store.snapshot(), outcomes=frame, **TERMS).observations)[
            "n_mature"
        ].sum()
        > 0
    )
