"""The content lines of the fault matrix, each against the whole of `sync`: odd values, odd lists, changed payloads."""

import json
import logging

import pytest

from xray_analytics import Store, import_files
from xray_analytics.errors import UnavailableError

from .server import Request, reply
from .service import BAD, BANKS, PATH, RATINGS, REQUESTS, RETRY, Service, bank, play, recovered, run, said


def written(literal, *path):
    """The bad report with a literal in place of a value of its raw."""
    tree = bank()
    place = tree["report"]["raw"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = "@@"
    return json.dumps(tree).replace('"@@"', literal).encode()


BALANCE = ("summary", 0, "startBalance")
BALANCE_PATH = "$.report.raw.summary[0].startBalance"
WHOLE = json.dumps(bank())
START, START_PATH = ("summary", 0, "startDate"), "$.report.raw.summary[0].startDate"
VALUES = {
    "n07 tail": (WHOLE.encode() + b"}", "invalid_json", "$"),
    "n07 two": (WHOLE.encode() * 2, "invalid_json", "$"),
    "n07 utf-16": (WHOLE.encode("utf-16"), "invalid_utf8", "$"),
    "n07 latin-1": (WHOLE.replace("VIR", "é").encode("latin-1"), "invalid_utf8", "$"),
    "n20 1e999": (written("1e999", *BALANCE), "number_out_of_range", BALANCE_PATH),
    "n20 5,000 digits": (written("9" * 5000, *BALANCE), "number_out_of_range", BALANCE_PATH),
    "n20 too much money": (written("100000000000000", *BALANCE), "money_out_of_range", BALANCE_PATH),
    "n20 depth 100,000": (written("[" * 100_000 + "]" * 100_000, "new"), "too_deep", "$"),
    "n20 depth 70": (written("[" * 70 + "]" * 70, "new"), "too_deep", "$.report.raw.new" + "[0]" * 61),
    "n21 NaN": (written("NaN", *BALANCE), "not_a_number", BALANCE_PATH),
    "n21 Infinity": (written("-Infinity", "score"), "not_a_number", "$.report.raw.score"),
    "n28 no source": (WHOLE.replace('"source"', '"sources"').encode(), "missing_member", "$.report.source"),
    "n29 null for an object": (
        json.dumps({"report": {**bank()["report"], "raw": None}}).encode(), "missing_member", "$.report.raw"
    ),
    "n29 a list for an object": (written("[]", "bankFlag"), "wrong_type", "$.report.raw.bankFlag"),
    "n29 an object for a list": (written("{}", "summary"), "wrong_type", "$.report.raw.summary"),
    "n29 null in a list": (written("[null]", "summary"), "wrong_type", "$.report.raw.summary[0]"),
    "n30 a number as text": (written('"1.5"', *BALANCE), "wrong_type", BALANCE_PATH),
    "n30 a text as number": (written("1", "bankFlag", "color"), "wrong_type", "$.report.raw.bankFlag.color"),
    "n30 a boolean as class": (written("true", "riskClass"), "wrong_type", "$.report.raw.riskClass"),
    "n32 national order": (written('"31/07/2021"', *START), "bad_date", START_PATH),
    "n32 epoch": (written("1627689600", *START), "bad_date", START_PATH),
    "n32 impossible day": (written('"2021-02-30"', *START), "bad_date", START_PATH),
}  # fmt: skip
VALUE_IDS = {name: f"61baf57{i:017x}" for i, name in enumerate(VALUES)}


@pytest.fixture(scope="module")
def odd_values(tmp_path_factory):
    """One sync of a report per value, then its quarantine, and one `--quarantined` after the service is mended."""
    honest = {i: bank(i, REQUESTS[3]) for i in VALUE_IDS.values()}
    own = {name: body.replace(BAD.encode(), VALUE_IDS[name].encode()) for name, (body, *_) in VALUES.items()}
    own["n07 utf-16"] = json.dumps(honest[VALUE_IDS["n07 utf-16"]]).encode("utf-16")
    faults = {f"/reports/{VALUE_IDS[name]}": reply(body) for name, body in own.items()}
    store = Store(tmp_path_factory.mktemp("values") / "store")
    first = run(Service(faults, Service().reports | honest), store)
    kept, counted = store.snapshot().read("quarantine"), store.status()["n_quarantined"]
    unasked = run(Service({}, Service().reports | honest), store)
    mended = run(Service({}, Service().reports | honest), store, command=RETRY)
    assert counted == len(VALUES)
    assert (unasked.result.n_published, unasked.issues) == (0, {})
    assert (mended.result.n_published, mended.issues) == (len(VALUES), {})
    assert (store.status()["n_quarantined"], store.verify()) == (0, [])
    return first, own, kept


@pytest.mark.parametrize("value", VALUES)
def test_n07_n20_to_n32__a_value_that_is_not_as_documented(odd_values, value):
    first, own, kept = odd_values
    identity, (_, code, path) = VALUE_IDS[value], VALUES[value]
    assert first.issues[identity] == code
    row = kept[kept["object_id"] == identity]
    assert row[["code", "json_path"]].to_numpy().tolist() == [[code, path]]
    assert row["body"].tolist() == [own[value]]


def test_n20_to_n32__neighbours_of_bad_values_are_published(odd_values):
    first, _, _ = odd_values
    assert (first.result.n_published, first.result.n_quarantined) == (12, len(VALUES))


def test_n22__listed_twice_is_fetched_once(tmp_path):
    service = Service()
    twice = lambda request: reply({"reports": [{"id": i} for i in service.listed(request.query)] * 2, "remaining": 0})  # noqa: E731
    played = play(tmp_path, {"/reports": twice})
    recovered(played, n_more=0)
    assert played.faulty.result.n_listed == 8


def test_n22__a_service_that_ignores_the_filters(tmp_path):
    ids = [{"id": i} for i in (*RATINGS, *BANKS)]
    played = play(tmp_path, {"/reports": reply({"reports": ids, "remaining": 0})})
    recovered(played, n_more=0)
    rows = played.store.snapshot().read("reports")
    assert dict(zip(rows["report_id"], rows["request_id"], strict=True)) == dict(
        zip((*BANKS, *RATINGS), REQUESTS * 2, strict=True)
    )


def paged(ids, query, *, jump=0):
    """A window of a list that has moved by `jump` places since its first page, and knows no end but an empty page."""
    offset, limit = int(query["offset"]), int(query["limit"])
    start = max(offset - jump, 0) if offset else 0
    elements = Service().honest(Request("GET", "/requests", {}, {}))["requests"]
    return reply([element for element in elements if element["id"] in ids[start : start + limit]])


@pytest.mark.parametrize("jump", [0, 1])
def test_n23__pages_that_overlap_because_the_list_grew(tmp_path, jump):
    played = play(tmp_path, {"/requests": lambda request: paged(REQUESTS, request.query, jump=jump)}, page_size=2)
    assert (played.faulty.result.n_published, played.faulty.issues) == (12, {})


def test_n23__the_same_page_for_ever_ends(tmp_path):
    service = Service()
    endless = lambda request: reply([{"id": i} for i in service.listed(request.query)])  # noqa: E731
    recovered(play(tmp_path, {"/reports": endless}), n_more=8)


def test_n23__a_page_that_fails_fails_its_list(tmp_path):
    def second_page_fails(request):
        return reply({}, 500) if request.query["offset"] != "0" else paged(REQUESTS, request.query)

    played = play(tmp_path, {"/requests": second_page_fails}, page_size=2)
    assert type(played.faulty.error) is UnavailableError
    assert not played.faulty.result


def test_n24__empty_lists_delete_nothing(tmp_path):
    store = Store(tmp_path / "store")
    run(Service(), store)
    digest, number = store.content_digest(), store.head.number
    for path in ("/reports", "/requests"):
        empty = run(Service({path: reply([])}), store, command={"full": True})
        assert (empty.result.n_published, empty.result.commits, empty.issues) == (0, (), {})
        assert (store.content_digest(), store.head.number) == (digest, number)


def test_n24__lists_empty_at_first_are_not_the_last_word(tmp_path):
    assert play(tmp_path, {"/requests": reply([])}).faulty.result.n_listed == 0


def test_n25__a_changed_payload_is_a_new_version(tmp_path):
    store = Store(tmp_path / "store")
    run(Service(), store)
    between = store.head.created_at
    changed = Service({PATH: reply(bank(riskClass=5))})
    unasked = run(changed, store)
    assert unasked.result.n_published == 0  # known reports are fetched again only when asked for
    done = run(changed, store, command={"full": True, "recheck": True})
    assert (done.result.n_published, done.result.n_unchanged) == (1, 11)
    where = f"report_id = '{BAD}'"
    columns = ["report_version", "bank_risk_class"]
    newest = store.snapshot().read("reports", columns=columns, where=where)
    before = store.snapshot(between, clock="fetched").read("reports", columns=columns, where=where)
    assert (newest.to_numpy().tolist(), before.to_numpy().tolist()) == ([[2, 5]], [[1, 4]])
    back = run(Service(), store, command={"full": True, "recheck": True})
    assert back.result.n_published == 1
    assert store.snapshot().read("reports", columns=columns, where=where).to_numpy().tolist() == [[3, 4]]


def test_n26__white_space_and_order_are_no_change(tmp_path):
    store = Store(tmp_path / "store")
    run(Service(), store)
    before = said(store), store.head.number
    respaced = reply(json.dumps(bank(), indent=3, sort_keys=True).encode())
    done = run(Service({PATH: respaced}), store, command={"full": True, "recheck": True})
    assert (done.result.n_unchanged, done.result.n_published) == (12, 0)
    assert (said(store), store.head.number) == before


def test_n27__unknown_members_and_words_are_kept_and_counted(tmp_path):
    tree = bank(newMember={"a": 1})
    tree["report"]["raw"]["bankFlag"]["color"] = "ultraviolet"
    store = Store(tmp_path / "store")
    done = run(Service({PATH: reply(tree)}), store)
    assert (done.result.n_published, done.issues) == (12, {})
    row = store.snapshot().read("reports", where=f"report_id = '{BAD}'")
    assert json.loads(row["extra"][0])["raw"]["newMember"] == {"a": 1}
    assert row["bank_flag_color"].tolist() == ["ultraviolet"]
    drift = store.snapshot().read("drift", where="json_path in ('$.raw.newMember', '$.raw.bankFlag.color')")
    assert sorted(drift["problem"]) == ["unknown_member", "unknown_value"]


def test_n28__a_missing_optional_member_is_null(tmp_path):
    tree = bank()
    del tree["report"]["raw"]["summary"][0]["pageCount"]
    store = Store(tmp_path / "store")
    assert run(Service({PATH: reply(tree)}), store).issues == {}
    assert store.snapshot().read("statement_summaries", where=f"report_id = '{BAD}'")["page_count"].isna().all()


@pytest.mark.parametrize("criteria", ['"a"', '{"a": 1}', "[[1]]"])
def test_n31__criteria_in_any_shape(tmp_path, criteria):
    store = Store(tmp_path / "store")
    done = run(Service({PATH: reply(written(criteria, "bankFlag", "reasons", 0, "criteria"))}), store)
    assert (done.result.n_published, done.issues) == (12, {})


def test_n33__hostile_labels_are_kept_as_they_are(tmp_path):
    label = "a\x1b[31m\u202eb\r\n\x00\u0301" + "x" * 1_000_000
    tree = bank(allTransactions=[{"date": "2021-08-02", "amount": 1, "label": label}])
    store = Store(tmp_path / "store")
    assert run(Service({PATH: reply(tree)}), store).issues == {}
    assert store.snapshot().read("transactions", where=f"report_id = '{BAD}'")["label"].tolist() == [label]


def test_n34__empty_identifiers_are_null_and_the_bytes_keep_them_apart(tmp_path):
    store = play(tmp_path, {}).store
    assert store.snapshot().read("statement_summaries")[["bic", "iban"]].isna().all().all()
    assert all(b'"bic": "", "iban": null' in raw.body for raw in store.bodies() if raw.object_id in BANKS)


def test_n35__a_clock_far_off_is_a_warning_and_orders_nothing(tmp_path, caplog):
    late = lambda request: reply(Service().honest(request), headers={"Date": "Wed, 21 Oct 2099 07:28:00 GMT"})  # noqa: E731
    with caplog.at_level(logging.WARNING):
        recovered(play(tmp_path, dict.fromkeys(("/requests", "/reports", PATH), late)), n_more=0)
    assert [record.getMessage()[:9] for record in caplog.records] == ["the clock"]


# --- what else a store must survive


def test_quarantine__a_later_payload_of_a_published_report(tmp_path):
    store, again = Store(tmp_path / "store"), {"full": True, "recheck": True}
    run(Service(), store)
    spoilt = Service({PATH: reply(bank(riskClass="D"))})
    for _ in range(2):  # the same bytes are in quarantine once
        assert run(spoilt, store, command=again).issues == {BAD: "wrong_type"}
        assert (store.status()["n_quarantined"], len(store.snapshot().read("quarantine"))) == (1, 1)
    assert store.snapshot().read("reports", where=f"report_id = '{BAD}'")["bank_risk_class"].tolist() == [4]
    mended = run(Service({PATH: reply(bank(riskClass=5))}), store, command=RETRY)
    assert (mended.result.n_listed, mended.result.n_known, mended.result.n_published) == (8, 7, 1)
    assert store.snapshot().read("reports", where=f"report_id = '{BAD}'")["bank_risk_class"].tolist() == [5]
    assert (store.status()["n_quarantined"], store.verify()) == (0, [])


def test_import__a_then_b_then_a_ends_with_a_every_time(tmp_path):
    store, folder = Store(tmp_path / "store"), tmp_path / "files"
    folder.mkdir()
    for name, risk_class in (("1", 4), ("2", 5), ("3", 4)):
        (folder / f"{name}.json").write_text(json.dumps(bank(riskClass=risk_class)))
    for n_new in (3, 0):
        result = import_files([folder], store)
        assert (result.n_fetched, result.n_published, result.n_unchanged) == (3, n_new, 3 - n_new)
        newest = store.snapshot().read("reports")[["report_version", "bank_risk_class"]]
        assert newest.to_numpy().tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("before", "imported", "after"),
    [
        ("", "AAB", "AB"),
        ("AB", "AAB", "AB"),  # the same again
        ("AB", "ABA", "ABA"),  # the rest of what was cut short
        ("ABA", "ABA", "ABA"),
        ("ABA", "A", "ABA"),
        ("ABCAB", "AB", "ABCAB"),
        ("ABCAB", "ABC", "ABCABC"),  # the last word is C, whether or not it was said before
        ("AB", "A", "ABA"),  # back to A
        ("ABC", "AB", "ABCB"),
        ("ABC", "ABD", "ABCD"),
        ("ABC", "BCA", "ABCA"),
        ("ABC", "AxB", "ABCB"),  # x cannot be read
        ("ABC", "AxC", "ABC"),
        ("A", "BA", "ABA"),
    ],
)
def test_import__what_repeats_the_versions_there_are_is_no_change(tmp_path, before, imported, after):
    store, classes = Store(tmp_path / "store"), {"A": 1, "B": 2, "C": 3, "D": 4, "x": "x"}
    for run_no, letters in enumerate(before[: n + 1][-1:] for n in range(len(before))):
        bring(store, tmp_path / f"before{run_no}", letters, classes)
    result = bring(store, tmp_path / "imported", imported, classes)
    rows = store.stored("reports", ["report_version", "bank_risk_class"]).to_pylist()
    found = [row["bank_risk_class"] for row in sorted(rows, key=lambda row: row["report_version"])]
    assert found == [classes[letter] for letter in after]
    assert result.n_fetched == len(imported) == result.n_published + result.n_unchanged + result.n_quarantined
    assert store.verify() == []
    runs = store.snapshot().read("runs")
    counted = runs.loc[runs["run_id"] == result.run_id, ["n_fetched", "n_published", "n_unchanged"]].sum().tolist()
    assert not result.commits or counted == [result.n_fetched, result.n_published, result.n_unchanged]


def bring(store, folder, letters, classes):
    """Import a folder of versions of one report, in their order."""
    folder.mkdir()
    for number, letter in enumerate(letters):
        (folder / f"{number}.json").write_text(json.dumps(bank(riskClass=classes[letter])))
    return import_files([folder], store)


def test_import__the_same_bad_bytes_twice_are_kept_once(tmp_path):
    store = Store(tmp_path / "store")
    for name in ("1", "2"):
        (tmp_path / f"{name}.json").write_text("{")
    result = import_files([tmp_path / "1.json", tmp_path / "2.json"], store)
    assert (result.n_quarantined, len(store.snapshot().read("quarantine")), store.verify()) == (2, 1, [])
