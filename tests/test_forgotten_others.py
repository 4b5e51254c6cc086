"""Who was not forgotten stays: an erasure takes nothing of another company, however alike its number or ids are."""

import json
import random
from datetime import UTC, datetime
from itertools import chain

import pandas as pd
import pytest
from test_forgotten import code, of_report, of_request, put
from test_upkeep import SIRENS

from xray_analytics import Store, attach, import_files
from xray_analytics.api.journal import Journal
from xray_analytics.errors import InputError
from xray_analytics.grammar.identity import code_fault
from xray_analytics.ingest.erasure import forget
from xray_analytics.store import tombstones

VALID = SIRENS[0]
# Numbers of the lender's own kind, many of which begin alike, and some that look like numbers of other kinds.
OWN = [
    "20240000100001", "20240000100002", "202400001", "AB12202400001", "FR12202400001", "2024000010000", "20240000",
    f"{VALID}00012", f"{VALID}00020", f"IT40{VALID}", f"X{VALID}", f"{VALID}1", VALID[:8], "1", "12", "123",
]  # fmt: skip
ALIKE = ["20240101120000", "20240101120001", "202401011", "20240101", f"{VALID}00012", f"{VALID}00013", "a", "ab"]


def payloads(number, kind, request_id, report_id):
    return [of_request(request_id, code=code(number, kind)), of_report(report_id, request_id)]


def owners(store):
    """The rows of every company: number -> rows of requests, reports, transactions and the lender's companies."""
    snapshot, found = store.snapshot(), {}
    reports = snapshot.read("reports")
    owner_of = dict(zip(reports["report_id"], reports["company_id"], strict=True))
    rows = snapshot.read("transactions")
    for name, owner in [
        *((table, of) for table in ("requests", "reports", "companies") for of in snapshot.read(table)["company_id"]),
        *(("transactions", owner_of[one]) for one in rows["report_id"]),
        *(("raw", one) for one in store.stored("raw", ["object_id"])[0].to_pylist()),
    ]:
        found[name, owner] = found.get((name, owner), 0) + 1
    return found


@pytest.mark.parametrize("gone", [OWN[n] for n in (0, 2, 3, 7, 8, 13)])
def test_own_numbers__that_begin_alike_are_others(tmp_path, gone):
    store = Store(tmp_path / "store")
    sent = {number: payloads(number, "own", f"{n:024x}", f"{n + 100:024x}") for n, number in enumerate(OWN)}
    import_files([put(tmp_path / "in", chain.from_iterable(sent.values()))], store)
    attach(store, pd.DataFrame({"company_id": OWN, "company_name": "x"}), table="companies", code_type="own")
    before, ids = owners(store), {p["request" if "request" in p else "report"]["id"] for p in sent[gone]}
    forget(store, gone)
    assert owners(store) == {key: n for key, n in before.items() if key[1] not in {gone, *ids}}
    later = [
        body for n, number in enumerate(OWN) for body in payloads(number, "own", f"{n + 200:024x}", f"{n + 300:024x}")
    ]
    again = import_files([put(tmp_path / "again", later)], store)
    assert (again.n_forgotten, again.n_published) == (2, len(later) - 2)
    rows = attach(store, pd.DataFrame({"company_id": OWN, "company_name": "y"}), table="companies", code_type="own")
    assert rows.n_replaced == len(OWN) - 1


@pytest.mark.parametrize("gone", [0, 2, 4, 6])
def test_ids__that_begin_alike_are_others(tmp_path, gone):
    """Ids are whatever the service says, such as a time of fourteen digits."""
    store = Store(tmp_path / "store")
    numbers = [f"N{n}" for n in range(len(ALIKE))]
    sent = [payloads(number, "own", f"q{i}" if n % 2 else i, i if n % 2 else f"r{i}")
            for n, (number, i) in enumerate(zip(numbers, ALIKE, strict=True))]  # fmt: skip
    import_files([put(tmp_path / "in", chain.from_iterable(sent))], store)
    before = owners(store)
    ids = {one["id"] for payload in sent[gone] for one in payload.values()}
    forget(store, numbers[gone])
    assert owners(store) == {key: n for key, n in before.items() if key[1] not in {numbers[gone], *ids}}
    again = import_files(
        [put(tmp_path / "again", [of_report(f"9{i}", f"8{i}", code=code(i, "own")) for i in ALIKE])], store
    )
    assert again.n_forgotten == 0 or ids & set(ALIKE)


@pytest.fixture(params=[300, pytest.param(20_000, marks=pytest.mark.long)], ids=["some", "many"])
def n_pairs(request):
    return request.param


def test_random_numbers__only_the_spellings_of_the_one_that_was_forgotten_lead_to_it(n_pairs, figure):
    rng, n_hit = random.Random(13), 0
    for _ in range(n_pairs):
        one, is_siren = drawn(rng), rng.random() < 0.5
        stone = tombstones.Tombstones(bytes(32), frozenset()).with_texts(tombstones.remembered(one, is_siren=is_siren))
        assert one in stone
        assert f" {one[:3]}\u202f{one[3:]} " in stone
        siren = tombstones.siren_in(one) if is_siren else None
        for other in (drawn(rng), one[:-1], one + "0", one[:9], one[:9] + "00012", f"FR40{one[:9]}", one[::-1]):
            is_spelling = siren is not None and tombstones.siren_in(other) == siren
            is_same = other == one
            assert (other in stone) == (is_same or is_spelling), (one, other, is_siren)
            n_hit += other in stone
    figure(
        "numbers that only look like a forgotten one", f"{n_pairs * 7} tried, {n_hit} of them its spellings, 0 others"
    )
    assert n_hit > 0


def drawn(rng):
    """A number of some kind, every second one near the valid one."""
    length = rng.choice((8, 9, 11, 13, 14, 24))
    stem = VALID if rng.random() < 0.5 else ""
    return (stem + "".join(rng.choice("0123456789") for _ in range(length)))[:length]


def test_spellings__of_a_number_whose_check_digit_fits_only():
    assert code_fault("202400001") is not None
    assert "202400001" not in tombstones.spellings("20240000100001")
    assert VALID in tombstones.spellings(f"{VALID}00012")


@pytest.mark.parametrize("gone", ["1", "12", VALID, f"{VALID}00012"])
def test_journal__lines_that_only_contain_its_digits_are_others(tmp_path, gone):
    numbers = ["1", "12", "123", VALID, f"{VALID}1", f"{VALID}00012", f"{VALID}00020"]
    with Journal(tmp_path / "journal.sqlite3") as journal:
        for number in numbers:
            journal.settle(journal.intend("request", f"own:{number}", {"code": number}), {"id": f"q-{number}x"})
            journal.start_wait(f"{number}-x", "bank", datetime(2025, 1, 1, tzinfo=UTC))
        assert journal.forget({gone}) == 1
        assert len(journal.outcomes("request")) == len(numbers) - 1
        assert len(journal.waits()) == len(numbers)


def test_journal__spellings_with_blanks_and_escapes_are_its(tmp_path):
    spaced = "514\u202f673\u202f987"
    with Journal(tmp_path / "journal.sqlite3") as journal:
        for key, payload in [
            (f"siren:{spaced}", {}),
            ("a", {"id": spaced}),
            ("b", {"id": int(VALID)}),
            ("c", {"of": [f"x {VALID}"]}),
        ]:
            journal.intend("request", key, payload)
        journal.intend("request", "d", {"id": "another"})
        assert journal.forget({VALID}) == 4
        assert [intent.key for intent in journal.open_intents("request")] == ["d"]


def test_forget__a_number_that_is_no_text_is_of_nobody(tmp_path):
    store = Store(tmp_path / "store")
    import_files([put(tmp_path / "in", payloads(VALID, "siren", "d" * 24, "e" * 24))], store)
    with pytest.raises(InputError, match=r"nothing in .* belongs to company"):
        forget(store, "\udcff")


def test_others__in_quarantine_stay(tmp_path):
    """Bytes that nobody understands, of a number that only begins like it."""
    store = Store(tmp_path / "store")
    sent = [*payloads("20240000100001", "own", "a" * 24, "b" * 24), json.dumps({"of": "20240000100002"})[:-1]]
    assert import_files([put(tmp_path / "in", sent)], store).n_quarantined == 1
    assert "quarantine" not in forget(store, "20240000100001").rows
    assert len(store.stored("quarantine", ["body"])[0]) == 1


def mentioning(text, **wrong):
    """A report of another company with a fault in it, one of whose entries goes to the forgotten one."""
    report = of_report("c" * 24, "a" * 24)["report"] | wrong
    report["raw"]["allTransactions"][0]["label"] = f"VIR {text}"
    return {"report": report}


@pytest.mark.parametrize("request_comes", ["before", "with it", "not, but its code"])
def test_refused__of_another_that_only_mentions_it_is_quarantined_and_not_dropped(tmp_path, request_comes):
    other, store = of_request("a" * 24, code=code("552100554")), Store(tmp_path / "store")
    refused = mentioning(VALID, source=1, **({} if "code" not in request_comes else {"code": code("552100554")}))
    first = payloads(VALID, "siren", "d" * 24, "e" * 24) + ([other] if request_comes == "before" else [])
    import_files([put(tmp_path / "in", [*first, refused, json.dumps(mentioning(VALID))[:-1]])], store)
    if request_comes == "before":
        assert forget(store, VALID).rows["quarantine"] == 1
        assert store.stored("quarantine", ["stage"]).to_pylist() == [{"stage": "tidy"}]
    else:
        forget(store, VALID)
        assert len(store.stored("quarantine", ["body"])[0]) == (request_comes == "not, but its code")
    again = [
        *([other] if request_comes == "with it" else []),
        mentioning("514 673 987", **refused["report"], creation=1),
    ]
    result = import_files([put(tmp_path / "again", again)], store)
    assert (result.n_quarantined, result.n_forgotten) == (1, 0)
