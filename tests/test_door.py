"""The door is wide: whatever files, lists and streams hold reports, each is taken in once, with its own bytes."""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tracemalloc
import zipfile

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xray_analytics as xa
from xray_analytics.errors import InputError
from xray_analytics.ingest import elements as lists
from xray_analytics.ingest.erasure import forget
from xray_analytics.ingest.files import find, inspect_file


def report(number, source="bank_xray", **raw):
    summary = [{"startDate": "2025-01-31", "endDate": "2025-02-28", "iban": None, "statementId": 1, "bic": "",
                "pageCount": 1, "startBalance": 1.0, "endBalance": 2.5, "totalCreditAmount": 1.5,
                "totalDebitAmount": 0.0, "movements": "correct"}]  # fmt: skip
    entries = [{"date": "2025-02-03", "amount": 1.5, "label": 'a "quoted" ]} \\'}]
    body = {"summary": summary, "allTransactions": entries, "riskClass": 2, "bankFlag": {}, "movementReport": {}}
    return {"id": f"{number:024x}", "request": f"{7:024x}", "source": source, "raw": body | raw}


REPORTS = [report(n) for n in range(1, 5)]
BAD = {"id": "9" * 24, "source": "bank_xray", "raw": {"allTransactions": [], "summary": [{"pageCount": "x"}]}}


def spaced(value):
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def written(shape, reports):
    return {
        "array": reports,
        "enveloped": [{"report": one} for one in reports],
        "reports": {"page": 1, "reports": reports, "total": len(reports)},
        "data": {"status": "ok", "data": reports},
        "data of lists": {"data": {"reports": reports}},
        "lists of lists": [reports[:1], {"reports": reports[1:]}],
    }[shape]


SHAPES = ["array", "enveloped", "reports", "data", "data of lists", "lists of lists"]


@pytest.fixture
def store(tmp_path):
    return xa.Store(tmp_path / "store")


def imported(store, *paths, **options):
    result = xa.import_files(list(paths), store, **options)
    assert result.n_fetched == result.n_unchanged + result.n_published + result.n_quarantined
    return result


def ids(store):
    return store.snapshot().read("reports")["report_id"].tolist()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_list__is_taken_apart_and_each_element_has_its_own_bytes(shape, store, tmp_path):
    text = spaced(written(shape, REPORTS))
    (tmp_path / "all.json").write_bytes(text)
    assert imported(store, tmp_path / "all.json").n_published == 4
    assert ids(store) == [one["id"] for one in REPORTS]
    for row in store.stored("raw").to_pylist():
        assert row["body"] in text
        assert row["raw_sha256"] == hashlib.sha256(row["body"]).hexdigest()
        assert json.loads(row["body"]).get("report", json.loads(row["body"])) in REPORTS


def bundle(folder, name, text):
    """The same text in a file of this kind."""
    path = folder / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("in/all.json", text)
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(text))
    elif name.endswith(".zst"):
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(text)
    else:
        path.write_bytes(text)
    return path


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.json.zst", "a.zip", "a.ndjson", "a.jsonl.gz"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_list__in_every_kind_of_file(name, shape, store, tmp_path):
    text = json.dumps(written(shape, REPORTS)).encode()
    path = bundle(tmp_path, name, text + b"\n" + text if "json" in name.split(".")[1][2:] else text)
    assert imported(store, path).n_published == 4
    assert ids(store) == [one["id"] for one in REPORTS]


def test_quarantine__names_file_member_line_and_element(store, tmp_path):
    folder = tmp_path / "exports"
    (folder / "sub").mkdir(parents=True)
    lost = [json.dumps(BAD | {"id": f"{n:024x}"}) for n in range(100, 106)]
    (folder / "one.json").write_text(lost[0])
    (folder / "sub/lines.ndjson").write_text(json.dumps(REPORTS[0]) + "\n\n" + lost[1] + "\n")
    (folder / "list.json").write_text(f'{{"reports": [{json.dumps(REPORTS[1])}, {lost[2]}]}}')
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("a/b.json", f"[{lost[3]}]")
    (folder / "lists.jsonl").write_text(f"[{json.dumps(REPORTS[2])}, {lost[4]}]\n")
    imported(store, folder)
    rows = store.snapshot().read("quarantine")
    assert set(rows["origin"]) == {
        "one.json", "sub/lines.ndjson:3", "list.json:$.reports[1]", "z.zip:a/b.json:$[0]", "lists.jsonl:1:$[1]",
    }  # fmt: skip
    other = xa.Store(tmp_path / "two")
    imported(other, folder, folder / "sub")
    assert "exports/one.json" in set(other.snapshot().read("quarantine")["origin"])
    assert other.content_digest() == store.content_digest()


def test_origin__is_not_in_the_digest_and_survives_a_rebuild(tmp_path):
    from xray_analytics.ingest.rebuild import rebuild

    digests = set()
    for name in ("one.json", "other.json"):
        (tmp_path / name).write_text(json.dumps(BAD))
        kept = xa.Store(tmp_path / name.removesuffix(".json"))
        imported(kept, tmp_path / name)
        digests.add(kept.content_digest())
        rebuild(kept)
        assert kept.snapshot().read("quarantine")["origin"].tolist() == [name]
    assert len(digests) == 1


def test_forget__takes_what_only_the_name_of_a_file_tells(store, tmp_path):
    (tmp_path / "552081317.json").write_text("{")
    (tmp_path / "plain.json").write_text("[1]")
    imported(store, tmp_path / "552081317.json", tmp_path / "plain.json")
    assert len(store.stored("quarantine")) == 2
    forget(store, "552081317")
    assert store.stored("quarantine")["origin"].to_pylist() == ["plain.json:$[0]"]


@pytest.mark.parametrize("lost", [1, "text", None, {}, [[]], {"reports": 3}], ids=str)
def test_an_element_that_is_no_report__is_quarantined_alone(lost, store, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([REPORTS[0], lost, REPORTS[1]]))
    result = imported(store, tmp_path / "a.json")
    assert (result.n_published, result.n_quarantined + result.n_failed) == (2, 0 if lost == [[]] else 1)


def test_an_element_that_is_broken__is_quarantined_alone(store, tmp_path):
    good = [json.dumps(one) for one in REPORTS]
    (tmp_path / "a.json").write_text(f'[{good[0]},{{"report": nul}},{good[1]} {good[2]},{good[3]}]')
    result = imported(store, tmp_path / "a.json")
    assert (result.n_published, result.n_quarantined) == (2, 2)
    assert store.snapshot().read("quarantine")["origin"].tolist() == ["a.json:$[1]", "a.json:$[2]"]


@pytest.mark.parametrize(("cut", "published"), [(0.5, 2), (0.999, 4)])
def test_a_list_that_ends_early__is_said_and_what_was_whole_is_kept(cut, published, store, tmp_path):
    text = json.dumps(REPORTS).encode()
    (tmp_path / "a.json").write_bytes(text[: int(len(text) * cut)])
    result = imported(store, tmp_path / "a.json")
    assert (result.n_published, result.n_failed) == (published - (cut > 0.9), 1)
    assert "it ends early" in result.issues[0].message


def test_a_list_and_a_payload_at_once__is_said(store, tmp_path):
    text = f'{{"reports": [{json.dumps(REPORTS[0])}]' + " " * lists.WINDOW + f', "id": "{"1" * 24}"}}'
    (tmp_path / "a.json").write_text(text)
    result = imported(store, tmp_path / "a.json")
    assert (result.n_published, result.n_failed) == (1, 1)
    assert "a list of payloads and a payload at once" in result.issues[0].message


@given(
    st.lists(st.recursive(st.none() | st.integers() | st.text() | st.booleans(),
             lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)), max_size=5),
    st.integers(1, 9), st.sampled_from([None, 1]), st.booleans(),
    st.sampled_from(["reports", "requests", "data", None]),
)  # fmt: skip
def test_elements__are_the_slices_of_what_was_sent(values, size, indent, ascii_only, name):
    values = [{"report": value} for value in values]  # no list by itself
    text = json.dumps(values if name is None else {"é": {"id": [1]}, name: values, "n": 1}, indent=indent,
                      ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")  # fmt: skip
    assert lists.is_list(text)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found = list(lists.elements(pieces, limit=10**6))
    assert [json.loads(body.decode("utf-8", "surrogatepass")) for _, body in found] == values
    assert all(body in text for _, body in found)
    assert [place for place, _ in found] == [f"${'.' + name if name else ''}[{n}]" for n in range(len(values))]


def test_a_list_larger_than_a_report_may_be__needs_little_memory(tmp_path):
    from datetime import UTC, datetime

    from xray_analytics.ingest.files import payloads

    one = json.dumps({"report": {"id": "1", "label": "x" * 100_000}}).encode()
    with (tmp_path / "a.json").open("wb") as file:
        file.write(b"[" + one)
        for _ in range(600):
            file.write(b"," + one)
        file.write(b"]")
    tracemalloc.start()
    found = payloads(find(tmp_path / "a.json"), fetched_at=datetime.now(UTC), max_bytes=5_000_000)
    assert sum(payload.body == one for payload in found) == 601
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"report": REPORTS[0]}),
        json.dumps([REPORTS[0]]),
        "\n".join(map(json.dumps, REPORTS[:1] * 2)),
        spaced([REPORTS[0]]).decode(),
        "\n\n" + json.dumps(REPORTS[0]),
    ],
    ids=["document", "list", "lines", "pretty", "blank"],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input__document_list_and_lines(text, compress, store, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(compress(text.encode()))))
    assert imported(store, "-").n_published == 1
    assert ids(store) == [REPORTS[0]["id"]]


def test_standard_input__of_the_command(tmp_path):
    text = json.dumps([BAD, *REPORTS]).encode()
    command = [sys.executable, "-m", "xray_analytics", "import", "-", "--store", str(tmp_path / "s"), "--json"]
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["n_published"] == 4
    assert xa.Store(tmp_path / "s").snapshot().read("quarantine")["origin"].tolist() == ["-:1:$[0]"]


def test_what_macos_adds__is_left_out(store, tmp_path):
    folder = tmp_path / "in"
    (folder / "__MACOSX").mkdir(parents=True)
    for name in ("a.json", "._a.json", "__MACOSX/b.json"):
        (folder / name).write_bytes(b"\x00\x05\x16\x07" if name != "a.json" else json.dumps(REPORTS[0]).encode())
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("b.json", json.dumps(REPORTS[1]))
        archive.writestr("__MACOSX/._b.json", b"\x00\x05\x16\x07")
        archive.writestr("x/._c.ndjson", b"\x00\x05\x16\x07")
    result = imported(store, folder)
    assert (result.n_published, result.n_quarantined, result.n_failed) == (2, 0, 0)


def test_a_single_path__is_one_path(store, tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text(json.dumps(REPORTS[0]))
    monkeypatch.chdir(tmp_path)
    for path in ("a.json", str(tmp_path / "a.json"), tmp_path / "a.json"):
        assert list(find(path).values()) == ["a.json"]
        assert xa.import_files(path, store).n_listed == 1
    with pytest.raises(InputError, match="paths must be one or a list"):
        find(b"a.json")
    with pytest.raises(InputError, match="paths must be one or a list"):
        find(None)


@pytest.mark.parametrize("source", ["esg", "magpie", "new_product", "doc_xray"])
def test_a_bank_shaped_body__under_another_word(source, store, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"report": report(1, source=source)}))
    result = imported(store, tmp_path / "a.json")
    snapshot = store.snapshot()
    assert result.issues == ()
    (row,) = snapshot.read("reports").to_dict("records")
    assert (row["source"], row["request_id"]) == (source, f"{7:024x}")
    assert snapshot.read("transactions").empty
    if source != "magpie":
        facts = snapshot.read("other_facts").set_index("path")["value"]
        assert facts["allTransactions[0].amount"] == 1.5


def test_a_bank_shaped_body__under_the_word_that_is_set_for_banks(store, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"report": report(1, source="banque")}))
    imported(store, tmp_path / "a.json", sources={"bank": "banque"})
    assert store.snapshot().read("transactions")["amount"].tolist() == [1.5]


def test_inspect_and_read_report__take_a_list_of_one(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([REPORTS[0]]))
    (tmp_path / "b.json").write_text(json.dumps(REPORTS))
    assert inspect_file(tmp_path / "a.json").n_transactions == 1
    assert xa.read_report(tmp_path / "a.json")["transactions"]["amount"].tolist() == [1.5]
    with pytest.raises(InputError, match="holds 4 payloads"):
        xa.read_report(tmp_path / "b.json")
