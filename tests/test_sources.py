"""Doc, ESG, Manager and sources nobody has heard of: listed, fetched, stored, and read through `other_facts`."""

import sys
from datetime import UTC, datetime

import pytest
from small_service import SmallService

from xray_analytics import Store, XRayClient, cli, sync
from xray_analytics.api.journal import Journal
from xray_analytics.errors import InputError
from xray_analytics.settings import Settings

REQUEST = "61b1aaa1015c69003931e945"
DOC, ESG, MANAGER, OTHER = (f"61baf58cb92353003b888c3{n}" for n in "abcd")
# The words of Doc and Manager X-Ray are not documented: these are a user's, from the settings.
WORDS = '[sources]\ndoc = "doc_word"\nmanager = "manager_word"\n'


@pytest.fixture
def service():
    served = SmallService()
    served.add_request(REQUEST)
    served.add_report(DOC, REQUEST, "doc_word", {"score": 3.25, "alerts": [{"level": "high", "page": 2}], "ok": False})
    served.add_report(ESG, REQUEST, "esg", {"score": "B", "social": {"jobs": 0.5}, "missing": []})
    served.add_report(MANAGER, REQUEST, "manager_word", {"managers": [{"confidence": 100}], "note": None})
    served.add_report(OTHER, REQUEST, "never_heard_of", {"value": 1})
    return served


@pytest.fixture
def words(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(WORDS)
    return Settings.from_environment({"XRAY_USER_ID": "u", "XRAY_SESSION_TOKEN": "t"}, file=file).sources


def facts(store, report_id):
    rows = store.snapshot().arrow("other_facts", where=f"report_id = '{report_id}'").to_pylist()
    return {row["path"]: row["value_text"] if row["value"] is None else row["value"] for row in rows}


def test_words_of_the_settings__join_the_documented_ones(words):
    assert words == {
        "bank": "bank_xray",
        "financial": "magpie",
        "esg": "esg",
        "doc": "doc_word",
        "manager": "manager_word",
    }


def test_sync__brings_every_configured_source(service, words, tmp_path):
    store = Store(tmp_path / "store")
    with service.running(sources=words) as settings, XRayClient(settings) as client:
        result = sync(client, store)
        assert [r.id for r in client.list_reports(product="doc", request_id=REQUEST)] == [DOC]
        assert client.get_report(MANAGER)["source"] == "manager_word"
    reports = store.snapshot().read("reports").set_index("report_id")
    assert (result.n_published, result.issues) == (4, ())
    assert reports["product"].to_dict() == {DOC: "doc", ESG: "esg", MANAGER: "manager"}
    assert reports["source"].to_dict() == {DOC: "doc_word", ESG: "esg", MANAGER: "manager_word"}
    assert not reports["is_rated"].any()
    assert facts(store, DOC) == {"score": 3.25, "alerts[0].level": "high", "alerts[0].page": 2.0, "ok": "false"}
    assert facts(store, ESG) == {"score": "B", "social.jobs": 0.5}
    assert set(facts(store, MANAGER)) == {"managers[0].confidence", "note"}


def test_sync__keeps_a_source_nobody_has_heard_of(service, tmp_path):
    """No list is asked for it; a delivery brings it."""
    store = Store(tmp_path / "store")
    with Journal(tmp_path / "j") as journal, service.running() as settings, XRayClient(settings) as client:
        journal.enqueue("new_report", REQUEST, OTHER, datetime.now(UTC))
        assert sync(client, store, journal=journal).issues == ()
    row = store.snapshot().read("reports").set_index("report_id").loc[OTHER]
    assert row["source"] == "never_heard_of"
    assert facts(store, OTHER) == {"value": 1.0}
    (raw,) = [b.body for b in store.bodies() if b.object_id == OTHER]
    assert b"never_heard_of" in raw


def test_sync__says_which_setting_names_a_source(service, tmp_path, monkeypatch, capsys):
    expected = (
        "no source is configured for doc; there are bank, financial, esg: add a line such as "
        'doc = "the service\'s word for it" under [sources] in the settings file'
    )
    with service.running() as settings:
        with XRayClient(settings) as client, pytest.raises(InputError) as caught:
            sync(client, Store(tmp_path / "store"), products=["doc"])
        for name, value in {"BASE_URL": settings.base_url, "USER_ID": "u", "SESSION_TOKEN": "t"}.items():
            monkeypatch.setenv(f"XRAY_{name}", value)
        monkeypatch.setattr(sys, "argv", ["xray", "sync", "--product", "doc", "--store", str(tmp_path / "store")])
        with pytest.raises(SystemExit) as stop:
            cli.main()
    assert str(caught.value) == expected
    assert (stop.value.code, capsys.readouterr().err) == (2, f"xray: {expected}\n")
    assert service.calls == {}
