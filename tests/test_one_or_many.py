"""Where several texts may be given, one is one: nothing takes a text letter by letter. A misspelt name is answered."""

import inspect
import re
import subprocess
import sys
import types
from datetime import timedelta
from importlib.metadata import version

import backtest_rows as rows
import pandas as pd
import pytest

import xray_analytics as xa
from xray_analytics.analysis import cashflow
from xray_analytics.analysis.portfolio.counting import columns_of
from xray_analytics.errors import InputError, listed, no_such
from xray_analytics.settings import WebhookSettings, read_settings_file
from xray_analytics.store import Store

TEXTS = re.compile(r"(Sequence|Iterable|Collection|tuple|list)\[(str\b|AsOf|K\b)|\bBy\b|Mapping\[str, tuple\[str")
# Tested below, or in the test named; the rest are results and declarations, which nobody gives as a text.
TESTED = {
    "Sandbox.without", "Settings.transaction_aliases", "Settings.upload_hosts", "Store.stored.columns",
    "XRayClient.add_webhook.events", "XRayClient.fan_out.items", "XRayClient.get_reports.report_ids",
    "XRayClient.wait_for_report.known", "backtest.check_no_look_ahead.as_of_dates",
    "backtest.observations.as_of_dates", "backtest.observations.repaid_reasons", "export.write_backtest.formats",
    "fit_layout.paths",
    "import_files.aliases", "import_files.paths", "migration.migration_matrix.by", "monitoring.debt_service.categories",
    "portfolio.class_distribution.by", "portfolio.class_over_time.by", "portfolio.value_distribution.by",
    "scale.tidy_archive.aliases", "sync.products", "sync.request_ids", "validation.characteristic_stability.features",
    "validation.information_value.features",
}  # fmt: skip
NOT_GIVEN = {
    "Notes.esg_labels", "errors.choices.known", "errors.listed.given", "errors.no_such.known",
    "scale.Layout.with_lines.aliases", "scale.Manifest.parts", "scale.Memory.new.used",
    "scale.Scaled.failed", "scale.Versions.histories", "scale.each_refusal_once.columns", "scale.layouts_of.aliases",
    "tables.Column.choices", "tables.Column.known", "tables.Table.key", "tables.no_such.known",
    "validation.Statistic.notes",
}  # fmt: skip


def public():
    """Every public function, and the methods of public classes, by name."""
    for name in xa.__all__:
        found = getattr(xa, name)
        inside = getattr(found, "__all__", None) or [one for one in vars(found) if not one.startswith("_")]
        is_module = isinstance(found, types.ModuleType)
        for called, one in [(f"{name}.{i}", getattr(found, i)) for i in inside] if is_module else [(name, found)]:
            if not getattr(one, "__module__", "").startswith("xray_analytics"):
                continue
            if isinstance(one, type):
                yield called, one.__init__
                yield from ((f"{called}.{k}", m) for k, m in vars(one).items() if k[0] != "_" and inspect.isfunction(m))
            elif callable(one):
                yield called, one


def taking_texts():
    for name, function in public():
        for parameter in inspect.signature(function).parameters.values():
            if TEXTS.search(str(parameter.annotation)):
                yield f"{name}.{parameter.name}"


def test_every_parameter_that_takes_texts__is_known_here():
    """A new one is added to the tests below, or to those that are never given as a text."""
    assert set(taking_texts()) - NOT_GIVEN <= TESTED
    assert len(TESTED & set(taking_texts())) > 15


def test_listed__one_and_several():
    assert listed("bank", "products") == ["bank"]
    assert listed(("bank", "esg"), "products") == ["bank", "esg"]
    for wrong in (b"bank", 7, None):
        with pytest.raises(InputError, match="products must be one or a list of them"):
            listed(wrong, "products")


def test_sandbox__without_one():
    assert "groups" not in xa.Sandbox(companies=1, without="groups").planted()


def test_service__one_product_request_and_report(tmp_path):
    with xa.Sandbox(companies=3, seed=3) as sandbox, xa.XRayClient(sandbox.settings()) as client:
        request = client.list_requests()[0].id
        store = xa.Store(tmp_path / "s")
        xa.sync(client, store, products="bank", request_ids=request)
        reports = store.snapshot().read("reports")
        assert set(reports["product"]) == {"bank"}
        assert set(reports["request_id"]) == {request}
        report_id = reports["report_id"][0]
        assert [found for found, _ in client.get_reports(report_id)] == [report_id]
        assert list(client.fan_out(str.upper, "abc")) == [("abc", "ABC")]
        newest = client.wait_for_report(request, product="bank", timeout=timedelta(seconds=5), known="other")
        assert newest.id in set(reports["report_id"])
        assert store.stored("reports", "report_id").column_names == ["report_id"]
        with pytest.raises(InputError, match=r"columns must be a list of names; write \['report_id'\]"):
            store.snapshot().read("reports", columns="report_id")


def test_validation__one_feature():
    rows = pd.DataFrame(
        {"month": [1] * 60 + [2] * 60, "sector": ["a", "b"] * 60, "n": 300, "n_defaults": [10, 30] * 60}
    )
    for one, several in (
        (xa.validation.information_value(rows, "sector"), xa.validation.information_value(rows, ["sector"])),
        *([xa.validation.characteristic_stability(rows, given, period="month") for given in ("sector", ["sector"])],),
    ):
        pd.testing.assert_frame_equal(one, several)


def test_fit_layout__one_path(tmp_path):
    (tmp_path / "none.json").write_text("{}")
    for given in (tmp_path / "none.json", str(tmp_path / "none.json")):
        with pytest.raises(InputError, match="no sample holds a report"):
            xa.fit_layout(given)


def test_add_webhook__one_event():
    with xa.Sandbox(companies=1) as sandbox, xa.XRayClient(sandbox.settings()) as client:
        assert client.add_webhook("http://127.0.0.1:9/hook", events="new_report").events == ("new_report",)


def test_settings__one_host_and_one_alias():
    given = {"base_url": "http://127.0.0.1:1", "user_id": "u", "session_token": "t"}
    assert xa.Settings(**given, upload_hosts=".storage.example").upload_hosts == (".storage.example",)
    assert len(WebhookSettings(keys="secret-key", signature_header="X").keys) == 1


def test_aliases__one_member(tmp_path):
    (tmp_path / "r.json").write_text(
        '{"report": {"id": "r", "source": "bank_xray", "raw": {"summary": [], '
        '"allTransactions": [{"betrag": 2.5, "date": "2025-01-02"}]}}}'
    )
    store = Store(tmp_path / "s")
    xa.import_files(tmp_path / "r.json", store, aliases={"amount": "betrag"})
    assert store.snapshot().read("transactions")["amount"].tolist() == [2.5]


def test_backtest__one_day_reason_and_format(tmp_path):
    seen = rows.reports(rows.report("a", "2024-01-10"), rows.report("b", "2024-02-10"), rows.report("a", "2024-08-10"))
    ends = rows.outcomes(
        rows.outcome("a", until="2024-09-01", exit="2024-09-01", reason="repaid early"), rows.outcome("b")
    )

    def observed(**given):
        return xa.backtest.observations(
            seen, ends, product="bank", horizon_months=12, outcomes_known_until="2025-12-31", **given
        )

    one = observed(as_of_dates="2024-06-30", repaid_reasons="repaid early")
    pd.testing.assert_frame_equal(one, observed(as_of_dates=["2024-06-30"], repaid_reasons=["repaid early"]))
    assert (
        one["is_censored"].tolist()
        != observed(as_of_dates="2024-06-30", repaid_reasons="other")["is_censored"].tolist()
    )

    def feature(tables, observations):
        return observations[["company_id", "as_of_date"]].assign(one=1.0)

    checked = xa.backtest.check_no_look_ahead(feature, {"reports": seen}, one, as_of_dates="2024-06-30")
    assert checked.attrs["base"]["as_of_dates"] == ["2024-06-30"]
    with pytest.raises(InputError, match="formats are \\['xls'\\]"):
        xa.export.write_backtest(None, tmp_path / "out", formats="xls")


def test_debt_service__one_family():
    flows, streams = cashflow.FLOWS.empty(), cashflow.STREAMS.empty()
    found = xa.monitoring.debt_service(flows, streams, categories="loan_repayment")
    assert found.attrs["base"]["filters"]["categories"] == ["loan_repayment"]


def test_by__one_column():
    assert columns_of("region") == columns_of(["region"]) == ["region"]


# ------------------------------------------------------------------------------------------------ did you mean


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named")
    (folder / "r.json").write_text('{"report": {"id": "r", "source": "esg", "raw": {}}}')
    made = xa.Store(folder / "s")
    xa.import_files(folder / "r.json", made)
    return made


def test_no_such__nearest_and_all():
    assert str(no_such("table", "Reprots", ["reports", "media"])) == (
        "no table 'Reprots'; there are reports, media; did you mean reports?"
    )
    assert str(no_such("table", "x", ["reports", "media"])) == "no table 'x'; there are reports, media"


def test_did_you_mean__tables_columns_and_products(store):
    snapshot = store.snapshot()
    for read in (snapshot.read, snapshot.arrow, snapshot.scan, snapshot.history, store.stored, xa.tables.table):
        with pytest.raises(InputError, match=r"no table 'transaction'; there are .*; did you mean transactions\?"):
            read("transaction")
    with pytest.raises(InputError, match=r"no column 'amout'; there are .*; did you mean amount\?"):
        snapshot.read("transactions", columns=["amout"])
    with pytest.raises(InputError, match=r"no product 'banks'; there are .*; did you mean bank\?"):
        snapshot.latest("banks")


def test_did_you_mean__settings(tmp_path):
    (tmp_path / "a.toml").write_text("worker = 3\n")
    with pytest.raises(InputError, match=r"unknown names \['worker'\]; there are .*; did you mean workers\?"):
        read_settings_file(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text("[webhook]\nwindow_second = 3\n")
    with pytest.raises(InputError, match=r"did you mean window_seconds\?"):
        WebhookSettings.from_environment({}, file=tmp_path / "b.toml")
    with pytest.raises(InputError, match=r"unknown product 'finance'; .*did you mean financial\?"):
        xa.Settings(base_url="http://127.0.0.1:1", user_id="u", session_token="t").source_of("finance")


def xray(*arguments):
    command = [sys.executable, "-m", "xray_analytics", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_commands__did_you_mean_and_version(store):
    found = xray("read", "transaction", "--store", store.path)
    assert (found.returncode, "did you mean transactions?" in found.stderr) == (2, True)
    found = xray("read", "reports", "--columns", "report_ids", "--store", store.path)
    assert (found.returncode, "did you mean report_id?" in found.stderr) == (2, True)
    found = xray("--version")
    assert (found.returncode, found.stdout) == (0, f"xray {version('xray-analytics')}\n")
    assert xray("--help").stdout.startswith("Usage: xray") or "Usage: xray" in xray("--help").stdout
