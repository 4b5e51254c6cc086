"""Files are written in one place, whole or not at all."""

import ast
import os
import stat
from pathlib import Path

import pytest
from test_store import FailingOs, Killed

import xray_analytics
from xray_analytics import files
from xray_analytics.errors import InputError
from xray_analytics.export.pseudonyms import read_key

PACKAGE = Path(xray_analytics.__file__).parent
CHANGING = {"replace", "rename", "renames", "link", "symlink", "unlink", "remove", "truncate", "write"}


def writes(tree):
    """What in a module writes, names or replaces a file by itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (f"from os import {alias.name}" for alias in node.names if alias.name in CHANGING)
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        name = called.rpartition(".")[2]
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        modes = [a.value for a in arguments if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        is_mode = any(set(mode) <= set("rwxabt+") and set(mode) & set("wxa+") for mode in modes)
        if (name in {"open", "fdopen"} and is_mode) or name in {"write_text", "write_bytes", "mkstemp", "touch"}:
            yield called
        if called.startswith("os.") and (name in CHANGING or "O_CREAT" in ast.unparse(node)):
            yield called
        if name in {"NamedTemporaryFile", "copyfile", "copy2", "symlink_to", "hardlink_to"}:
            yield called


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files__are_written_in_one_module(path):
    found = list(writes(ast.parse(path.read_text(encoding="utf-8"))))
    assert (found == []) is (path != PACKAGE / "files.py"), f"{path.name} writes files by itself: {found}"


def test_writes__notices_each_way():
    code = """
open(p, "w"); p.open("xb"); open(p, mode="a"); p.write_text("a"); p.write_bytes(b"")
os.replace(a, b); os.link(a, b); tempfile.mkstemp(); os.fdopen(h, "w"); os.open(p, os.O_CREAT)
open(p); p.open("rb"); text.replace("w", "x"); frame.rename(columns=x)
"""
    assert len(list(writes(ast.parse(code)))) == 10


def test_save__is_private_whole_and_refuses(tmp_path):
    path = tmp_path / "a.txt"
    assert files.save("é", path) == path
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == ("é".encode(), 0o600)
    with pytest.raises(InputError, match="exists already; name another"):
        files.save("b", path, instead="name another")
    assert files.save(b"b", str(path), overwrite=True).read_bytes() == b"b"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists already"):
        files.save("c", link)
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "link"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_place__is_old_or_new_wherever_it_fails(tmp_path, overwrite):
    """Every call of `os` fails in turn: the name then holds what it held, or all of the new, and nothing lies about."""
    n_failed = 0
    for k in range(1, 20):
        folder = tmp_path / str(k)
        folder.mkdir()
        path = folder / "a.txt"
        if overwrite:
            path.write_bytes(b"old")
        with pytest.MonkeyPatch.context() as patch:
            failing = FailingOs(k, 5)
            patch.setattr(files, "os", failing)
            try:
                files.place(b"new", path, overwrite=overwrite)
            except OSError:
                n_failed += 1
        content = path.read_bytes() if path.exists() else None
        assert content in ((b"old" if overwrite else None), b"new")
        assert failing.calls < k or n_failed == k
    assert n_failed >= 5  # open, write, fsync, name, fsync of the folder


@pytest.mark.parametrize("make", [lambda path: files.save("a", path), lambda path: read_key(path, outside=[])])
def test_names__are_on_the_disk_as_well(tmp_path, monkeypatch, make):
    """A file whose folder was not synced may be gone after a power failure."""
    synced = []
    monkeypatch.setattr(files, "sync_directory", synced.append)
    make(tmp_path / "file")
    assert synced == [tmp_path]


def test_save__where_there_are_no_hard_links(tmp_path, monkeypatch):
    def link(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(files, "publish", link)
    files.save("a", tmp_path / "a.txt")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "a"}
    with pytest.raises(InputError, match="exists already"):
        files.save("b", tmp_path / "a.txt")


def test_place__killed_leaves_the_name_alone(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "os", FailingOs(3, Killed))
        with pytest.raises(Killed):
            files.place(b"new", tmp_path / "a.txt")
    assert not (tmp_path / "a.txt").exists()
