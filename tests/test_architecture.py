"""The house keeps its order: who may import whom, what the public surface is, and how quickly it opens.

Every import counts, those inside functions and those for type hints alone too, and no folder is exempt: the children of
each folder stand on floors, and an arrow points down. Where children form a circle there are no floors, and the test
says who they are.
"""

import ast
import importlib
import re
import subprocess
import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import xray_analytics

PACKAGE = Path(xray_analytics.__file__).parent
CONTRIBUTING = PACKAGE.parent / "CONTRIBUTING.md"
DOOR = "__init__"
MOST_TOP_LEVEL_MODULES = 8
MOST_FILES = 20  # in a folder
MOST_LINES = 40  # in a function, without its docstring
HEAVY_HOMES = {
    "requests": {"api.http.transport"},
    "urllib3": {"api.http"},
    "duckdb": {"engine"},
    "pyspark": {"engine"},
    "sqlite3": {"api.journal"},
    "matplotlib": {"charts"},
    "starlette": {"sandbox", "api.webhooks"},
    "uvicorn": {"sandbox", "api.webhooks"},
    "typer": {"cli"},
}
FILES = {
    tuple(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
FOLDERS = sorted({file[:-1] for file in FILES})


def dotted(file):
    return ".".join(part for part in file if part != DOOR)


def file_of(parts):
    """The file of a module of this package, or None where there is no such module."""
    return next((file for file in (parts, (*parts, DOOR)) if file in FILES), None)


def outer_imports(tree):
    """Names of other packages' modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


def inner_imports(file):
    """The files of this package that a file imports: the submodule where one is named, else the module itself."""
    for node in ast.walk(FILES[file]):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file[: len(file) - node.level] + tuple((node.module or "").split(".") if node.module else ())
            for alias in node.names:
                yield file_of((*base, alias.name)) or file_of(base)


def arrows(folder):
    """Child -> the children of the same folder that it imports, files of subfolders included."""
    depth, children = len(folder), defaultdict(set)
    for file in FILES:
        if file[:depth] != folder:
            continue
        below = children[file[depth]]
        below |= {seen[depth] for seen in inner_imports(file) if seen[:depth] == folder} - {file[depth]}
    return children


def floors(children):
    """Child -> floor: 1 on the ground, every other one above all that it imports."""
    found = {}
    for child in TopologicalSorter(children).static_order():
        found[child] = 1 + max((found[below] for below in children[child]), default=0)
    return found


def rooms():
    """Direct children of the package: modules and folders."""
    return {file[0] for file in FILES} - {DOOR, "__main__"}


def functions():
    for file, tree in FILES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                yield f"{dotted(file)}.{node.name}", body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: dotted(folder) or "xray_analytics")
def test_floors__of_every_folder(folder):
    try:
        assert floors(arrows(folder))
    except CycleError as circle:
        pytest.fail(f"a circle in {dotted(folder) or 'the package'}: {' -> '.join(circle.args[1])}")


def test_floors__notices_a_circle():
    with pytest.raises(CycleError):
        floors({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert floors({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": 3, "b": 2, "c": 1}


def test_rooms__are_few(figure):
    found = {child: below - {DOOR, "__main__"} for child, below in arrows(()).items() if child in rooms()}
    figure("rooms", len(found))
    figure("floors", max(floors(found).values()))
    figure("arrows between rooms", sum(map(len, found.values())))
    assert len(found) <= 18
    assert max(floors(found).values()) <= 8
    modules = {file[0] for file in FILES if len(file) == 1} & rooms()
    assert len(modules) <= MOST_TOP_LEVEL_MODULES, modules


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: dotted(folder) or "xray_analytics")
def test_folders__stay_small(folder):
    files = [file for file in FILES if file[:-1] == folder and file[-1] != DOOR]
    assert len(files) <= MOST_FILES
    assert len(files) > 1 or not folder or any(len(file) > len(folder) + 1 for file in FILES if file[:-1] != folder)


def test_functions__stay_short():
    assert [name for name, lines in functions() if lines > MOST_LINES] == []


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_imports__the_outside_world_has_one_door(file):
    for outer in outer_imports(FILES[file]):
        homes = HEAVY_HOMES.get(outer.split(".")[0])
        assert homes is None or any(f"{dotted(file)}.".startswith(f"{home}.") for home in homes), f"it imports {outer}"


@pytest.mark.parametrize(("one", "other"), [("sandbox", "tidy"), ("tidy", "sandbox"), ("analysis", "store")])
def test_rooms__that_know_nothing_of_each_other(one, other):
    assert other not in arrows(())[one]


def test_map__names_every_room_and_only_what_is_there():
    """The package's docstring says where to go; so does the page for contributors."""
    lines = [line for line in xray_analytics.__doc__.splitlines() if "▸" in line]
    named = {place.strip() for line in lines for place in line.split("▸")[1].split(",")}
    assert len(lines) <= 12
    assert named == rooms()


def test_contributing__names_files_that_exist():
    text = CONTRIBUTING.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:xray_analytics|tests|notebooks|data)/[\w./]*)`", text))
    assert len(named) > 10
    assert sorted(name for name in named if not (PACKAGE.parent / name).exists()) == []
    for heading in ("Run", "Test", "table column", "analysis", "chart", "report chapter", "payload"):
        assert heading in text, f"it does not say how to: {heading}"
    assert "CONTRIBUTING.md" in (PACKAGE.parent / "README.md").read_text(encoding="utf-8")


def test_public_surface__is_what_it_says():
    assert dir(xray_analytics) == sorted(xray_analytics.__all__)
    for name in xray_analytics.__all__:
        assert getattr(xray_analytics, name) is getattr(importlib.reload(xray_analytics), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = xray_analytics.nothing


def test_public_functions__are_not_hidden_by_modules():
    """Importing a submodule sets an attribute of its name on the package."""
    assert not set(xray_analytics._HOMES) & rooms()


@pytest.mark.parametrize(
    ("statement", "absent"), [("import xray_analytics", "pandas"), ("import xray_analytics.cli", "pandas")]
)
def test_import__is_light(statement, absent):
    code = f"import sys; {statement}; assert {absent!r} not in sys.modules, 'loaded eagerly'"
    subprocess.run([sys.executable, "-c", code], check=True)
