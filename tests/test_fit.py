"""Fitting: a layout is found and proved, asked for, or refused by name, and never guessed."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from layout_variants import VARIANTS, varied
from test_layout import read, same_tables

import xray_analytics as xa
from xray_analytics.errors import InputError
from xray_analytics.ingest.fitting import Fit, fit_layout
from xray_analytics.sandbox.payloads.reports import Economy
from xray_analytics.tidy.layout import Layout

AT = datetime(2026, 1, 1, tzinfo=UTC)
FITTED = ("french", "nested_amount", "pair", "side", "french_text", "paris_midnight", "in_statements", "data")


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    economy = Economy(20, seed=7, clean=True)
    found = [economy.report_body(i) for i in economy.report_ids(source="bank_xray")]
    return sorted((body for body in found if b'"allTransactions":[{' in body), key=len)[:8]


def samples(folder: Path, bodies: list[bytes], *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number, body in enumerate(bodies):
        (folder / f"{number}.json").write_bytes(varied(body, *names))
    return folder


@pytest.mark.parametrize("name", FITTED)
def test_fit__the_layout_found_gives_the_tables_of_the_house(name, bodies, tmp_path):
    found = fit_layout(samples(tmp_path, bodies, name))
    assert found.layout is not None, (found.questions, found.failures)
    assert found.proof.share == 1
    for body in bodies[:3]:
        same_tables(read(varied(body, name), found.layout), read(body), VARIANTS[name].lost)


def test_fit__the_file_says_the_same_layout_with_its_evidence(bodies, tmp_path):
    found = fit_layout(samples(tmp_path, bodies, "french", "slashes"))
    assert Layout.of(tomllib.loads(found.toml())) == found.layout
    assert "# balance: " in found.toml()


def test_fit__what_nothing_inside_decides_is_asked_and_the_answer_is_a_line(bodies, tmp_path):
    folder = samples(tmp_path, bodies, "cents")
    found = fit_layout(folder)
    assert [question.name for question in found.questions] == ["unit"]
    assert found.layout is None
    right = fit_layout(folder, answers={"unit": "cents"}).layout
    same_tables(read(varied(bodies[0], "cents"), right), read(bodies[0]))
    other = fit_layout(folder, answers={"unit": "major"}).layout
    assert other is not None
    assert other != right


def test_fit__metrics_may_be_in_another_unit_than_amounts(bodies, tmp_path):
    for number, body in enumerate(bodies):
        tree = json.loads(body)
        for metric in tree["report"]["raw"]["movementReport"].values():
            metric |= {name: round(value * 100) for name, value in metric.items()}
        (tmp_path / f"{number}.json").write_text(json.dumps(tree))
    found = fit_layout(tmp_path).layout
    same_tables(read((tmp_path / "0.json").read_bytes(), found), read(bodies[0]))


def shifted(body: bytes) -> bytes:
    """Every day of a report as midnight in Paris, statements as well."""
    from layout_variants import paris

    tree = json.loads(varied(body, "paris_midnight"))
    for statement in tree["report"]["raw"]["summary"]:
        statement |= {name: paris(statement[name]) for name in ("startDate", "endDate")}
    return json.dumps(tree).encode()


def test_fit__days_that_are_all_shifted_are_asked_for(bodies, tmp_path):
    for number, body in enumerate(bodies):
        (tmp_path / f"{number}.json").write_bytes(shifted(body))
    found = fit_layout(tmp_path)
    assert [(q.name, set(q.options)) for q in found.questions] == [("zone", {"UTC", "Europe/Paris"})]
    right = fit_layout(tmp_path, answers={"zone": "Europe/Paris"}).layout
    same_tables(read(shifted(bodies[0]), right), read(bodies[0]))


def test_fit__two_texts_that_could_be_the_label_are_asked_for_masked(bodies, tmp_path):
    for number, body in enumerate(bodies):
        tree = json.loads(body)
        for entry in tree["report"]["raw"]["allTransactions"]:
            entry["f1"] = entry.pop("label")
            entry["f2"] = f"{entry['f1']} of customer {entry['amount']}"
        (tmp_path / f"{number}.json").write_text(json.dumps(tree))
    found = fit_layout(tmp_path)
    assert [(q.name, set(q.options)) for q in found.questions] == [("label", {"f1", "f2"})]
    assert json.loads(bodies[0])["report"]["raw"]["allTransactions"][0]["label"] not in str(found.questions[0])
    answered = fit_layout(tmp_path, answers={"label": "f1"}).layout
    assert answered is not None
    assert answered.complete["transaction"]["label"] == ["f1"]


def hopeless(body: bytes) -> bytes:
    """Amounts that are no longer those of the statements."""
    tree = json.loads(body)
    for number, entry in enumerate(tree["report"]["raw"]["allTransactions"]):
        entry["amount"] = round(entry["amount"] * (1.3 + number % 7), 2)
        entry.pop("balance", None)
    return json.dumps(tree).encode()


def test_fit__nothing_fits_is_said_with_what_fails_by_how_much(bodies, tmp_path):
    for number, body in enumerate(bodies):
        (tmp_path / f"{number}.json").write_bytes(hopeless(body))
    found = fit_layout(tmp_path)
    assert found.layout is None
    assert any("balance:" in line and "fail, the first by" in line for line in found.failures)


def test_fit__too_few_statements_ask_for_more_and_damaged_samples_are_left_out(bodies, tmp_path):
    few = json.loads(bodies[0])
    raw = few["report"]["raw"]
    raw["summary"] = raw["summary"][:2]
    kept = {s["statementId"] for s in raw["summary"]}
    raw["allTransactions"] = [e for e in raw["allTransactions"] if e.get("statementId") in kept]
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "one.json").write_text(json.dumps(few))
    found = fit_layout(tmp_path / "few")
    assert found.layout is None
    assert "give more reports" in " ".join(found.failures)
    folder = samples(tmp_path / "many", bodies, "french")
    (folder / "damaged.json").write_bytes(bodies[0][: len(bodies[0]) // 2])
    with_damage = fit_layout(folder)
    assert with_damage.layout is not None
    assert with_damage.n_unread == 1


def test_fit__an_answer_to_no_question_is_refused(bodies, tmp_path):
    folder = samples(tmp_path, bodies[:3])
    with pytest.raises(InputError, match="no such question"):
        fit_layout(folder, answers={"colour": "red"})
    with pytest.raises(InputError, match="no transaction has that member"):
        fit_layout(folder, answers={"label": "nothing"})


def test_command__writes_asks_or_says_and_ends_with_0_3_or_1(bodies, tmp_path, xray):
    folder, out = samples(tmp_path / "in", bodies, "french", "data"), tmp_path / "layout.toml"
    code, said, _ = xray("fit", folder, "--out", out)
    assert (code, out.exists()) == (0, True)
    assert f"xray import … --layout {out}" in said.replace("\n", "")
    code, _, _ = xray("import", folder, "--layout", out, "--store", tmp_path / "store")
    assert code == 0
    assert xa.Store(tmp_path / "store").snapshot().read("transactions")["amount"].notna().all()
    in_cents = samples(tmp_path / "cents", bodies, "cents")
    code, said, _ = xray("fit", in_cents, "--out", tmp_path / "none.toml")
    assert (code, (tmp_path / "none.toml").exists()) == (3, False)
    assert "--set unit=cents or major" in said
    assert xray("fit", in_cents, "--out", tmp_path / "none.toml", "--set", "unit=cents")[0] == 0
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "one.json").write_bytes(hopeless(bodies[0]))
    assert xray("fit", tmp_path / "bad", "--out", tmp_path / "nothing.toml")[0] == 1
    assert not (tmp_path / "nothing.toml").exists()


def test_diagnostic__holds_no_amount_name_or_text(bodies, tmp_path, xray):
    folder, out = samples(tmp_path / "in", bodies[:3]), tmp_path / "shapes.json"
    xray("fit", folder, "--out", tmp_path / "l.toml", "--diagnostic", out)
    shapes = out.read_text()
    assert json.loads(shapes)["lists"]["raw.allTransactions[]"]["members"]["amount"]["below_zero"] is True
    for body in bodies[:3]:
        for entry in json.loads(body)["report"]["raw"]["allTransactions"]:
            for name in ("label", "counterparty", "amount", "balance"):
                value: Any = entry.get(name)
                assert value is None or len(str(value)) < 5 or str(value) not in shapes


def test_public_name():
    assert xa.fit_layout is fit_layout
    assert Fit.__doc__
