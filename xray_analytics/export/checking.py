"""Is an export what it says, and does the store still say the same? It is made again and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, StoreError
from . import package
from .backtest import make_backtest, render
from .pseudonyms import Pseudonyms, default_key_file, read_key
from .saving import DESCRIPTOR

if TYPE_CHECKING:
    from ..store import Store
    from ..store.snapshot import Snapshot


def check_backtest(
    path: str | Path,
    store: Store,
    *,
    outcomes: str | Path | None = None,
    key_file: str | Path | None = None,
) -> list[str]:
    """Make an export again from the commit it names, and compare.

    Parameters
    ----------
    path
        Its folder, or the `datapackage.json` in it.
    store
        The store it was made of.
    outcomes
        The file of outcomes, where one was used.
    key_file
        The key of the pseudonyms; default `default_key_file`.

    Returns
    -------
    list of str
        One sentence per difference, none where the export is identical: files that are not what the description says,
        then what is otherwise in the export made anew. Where the versions of libraries differ, bytes are not compared,
        only the digests of the content.

    Raises
    ------
    InputError
        It is no export of this package, the file of outcomes or the key is missing or another one.
    StoreError
        The store is missing or damaged.
    """
    described, folder = _read(Path(path))
    ours = described["xray"]
    found = list(_files(described, folder))
    _check_outcomes(ours["source"]["outcomes"], outcomes)
    snapshot, note = _snapshot(store, ours)
    terms = {name: value for name, value in ours["terms"].items() if name != "clock"}
    code_type = ours["source"]["outcomes"].get("code_type")
    made = make_backtest(snapshot, outcomes=outcomes, code_type=code_type, **terms)
    formats = [r["format"] for r in described["resources"] if r["name"].startswith("data-")]
    again = json.loads(render(made, formats, _keys(ours["ids"], key_file, folder, snapshot), None)[DESCRIPTOR])
    differences = [*found, *_contents(ours, again["xray"]), *_bytes(described, again)]
    return [note, *differences] if differences and note else differences


def _read(path: Path) -> tuple[dict[str, Any], Path]:
    file = path / DESCRIPTOR if path.is_dir() else path
    try:
        described = json.loads(file.read_bytes())
        known = described["xray"]["format"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{file} is not the {DESCRIPTOR} of a backtest of this package") from None
    if known > package.FORMAT:
        raise InputError(f"{file} has format {known}, this package reads up to {package.FORMAT}: upgrade it")
    return described, file.parent


def _files(described: Mapping[str, Any], folder: Path) -> Iterator[str]:
    for resource in described["resources"]:
        name = Path(resource["path"]).name  # never outside the folder
        try:
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError:
            yield f"{name} is missing"
            continue
        if f"sha256:{digest}" != resource["hash"]:
            yield f"{name} was changed: its SHA-256 is not the one described"


def _check_outcomes(origin: Mapping[str, Any], outcomes: str | Path | None) -> None:
    if origin["from"] == "frame":
        raise InputError("the export was made with a frame of outcomes that is kept nowhere; it cannot be made again")
    if origin["from"] == "store" and outcomes is not None:
        raise InputError("the export was made with the outcomes attached to the store; leave --outcomes out")
    if origin["from"] == "file":
        if outcomes is None:
            raise InputError("the export was made with a file of outcomes; name it (--outcomes)")
        try:
            digest = hashlib.sha256(Path(outcomes).read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(f"{outcomes} cannot be read: {error.strerror}") from None
        if digest != origin["sha256"]:
            raise InputError(f"{outcomes} is not the file of outcomes that the export was made with: another SHA-256")


def _snapshot(store: Store, ours: Mapping[str, Any]) -> tuple[Snapshot, str]:
    """Of the commit named; of the newest where that one is no longer kept, with a sentence that says so."""
    commit, clock = ours["source"]["commit"], ours["terms"]["clock"]
    try:
        snapshot, note = store.snapshot(clock=clock, commit=commit), ""
    except StoreError as error:
        if "is not kept" not in str(error):
            raise
        snapshot = store.snapshot(clock=clock)
        note = f"commit {commit} is no longer kept; made again from commit {snapshot.commit}, which may know more"
    if not note and snapshot.manifest.digest != ours["source"]["manifest"]:
        note = f"commit {commit} of this store is not the one the export was made from"
    return snapshot, note


def _keys(ids: Mapping[str, str], key_file: str | Path | None, folder: Path, snapshot: Snapshot) -> Pseudonyms | None:
    if ids["form"] == "plain":
        return None
    keys = read_key(Path(key_file or default_key_file()), outside=(snapshot.root, folder), make=False)
    if keys.check != ids["key_check"]:
        raise InputError("the key is not the one that made the pseudonyms of the export; name that file (--key)")
    return keys


def _contents(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, what in (("n_rows", "rows"), ("n_excluded", "excluded rows")):
        if then[name] != now[name]:
            yield f"{then[name]:,} {what} in the export, {now[name]:,} now"
    before, after = then["control_sums"], now["control_sums"]
    yield from (f"column {name} is only in the export" for name in before if name not in after)
    yield from (f"column {name} is only in what is made now" for name in after if name not in before)
    for name in before:
        if name in after and before[name] != after[name]:
            sums = [f"{found['n']:,} values" + (f", sum {found['sum']}" if "sum" in found else "") for found in
                    (before[name], after[name])]  # fmt: skip
            yield f"column {name} differs: {sums[0]} in the export, {sums[1]} now"
    if then["exclusions_digest"] != now["exclusions_digest"]:
        yield "the exclusions differ"


def _bytes(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Only where the same versions made them."""
    if then["xray"]["versions"] != now["xray"]["versions"]:
        return
    hashes = {resource["path"]: resource["hash"] for resource in now["resources"]}
    for resource in then["resources"]:
        if hashes.get(resource["path"]) != resource["hash"]:
            yield f"{resource['path']} would have other bytes now"
