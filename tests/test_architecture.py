"""The house keeps its order: who may import whom, what the public surface is, and how quickly it opens."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import xray_analytics

PACKAGE = Path(xray_analytics.__file__).parent
ROWS = [
    {"errors"},
    {"schema", "settings", "engine", "journal"},
    {"tables"},
    {"api", "tidy", "store", "charts", "sandbox", "analysis"},
    {"upkeep", "replays", "tidying"},
    {"archive", "forgetting", "intake", "lender"},
    {"deliveries"},
    {"fetch", "report", "export", "scale"},
    {"demo"},
    {"terminal"},
    {"cli", ""},
]
HEAVY_HOMES = {
    "requests": {"api.transport"},
    "urllib3": {"api.transport", "api.watchdog", "api.failure"},
    "duckdb": {"engine"},
    "pyspark": {"engine"},
    "sqlite3": {"journal"},
    "matplotlib": {"charts"},
    "starlette": {"sandbox", "api.webhooks", "api.signature"},
    "uvicorn": {"sandbox", "api.webhooks"},
}
MODULES = sorted(
    p.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix("__init__").rstrip(".")
    for p in PACKAGE.rglob("*.py")
)


def row(module):
    top = module.split(".")[0]
    return next(i for i, names in enumerate(ROWS) if top in names)


def imports(module):
    """(absolute or package-relative name, is it inside a function) of every import of the module."""
    path = PACKAGE / (module.replace(".", "/") or "__init__")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module, None
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            base = ".".join(parts[: len(parts) - node.level + 1])
            target = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                inner = f"{target}.{alias.name}".strip(".")
                yield None, inner if inner in MODULES else target


@pytest.mark.parametrize("module", MODULES)
def test_imports__point_downwards(module):
    for _, inner in imports(module):
        if not inner:
            continue
        same_folder = inner.split(".")[0] == module.split(".")[0]
        assert same_folder or row(inner) < row(module), f"{module} imports {inner}, which is not below it"


@pytest.mark.parametrize("module", MODULES)
def test_imports__the_outside_world_has_one_door(module):
    for outer, _ in imports(module):
        homes = HEAVY_HOMES.get((outer or "").split(".")[0])
        assert homes is None or any(f"{module}.".startswith(f"{home}.") for home in homes), f"{module} imports {outer}"


def test_sandbox_and_tidy__share_no_code():
    for module in MODULES:
        for _, inner in imports(module):
            if module.startswith("sandbox"):
                assert not (inner or "").startswith("tidy")
            if module.startswith("tidy"):
                assert not (inner or "").startswith("sandbox")


def test_public_surface__is_what_it_says():
    assert dir(xray_analytics) == sorted(xray_analytics.__all__)
    for name in xray_analytics.__all__:
        assert getattr(xray_analytics, name) is getattr(importlib.reload(xray_analytics), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = xray_analytics.nothing


def test_public_functions__are_not_hidden_by_modules():
    """Importing a submodule sets an attribute of its name on the package."""
    assert not set(xray_analytics._HOMES) & {module.split(".")[0] for module in MODULES}


@pytest.mark.parametrize(
    ("statement", "absent"), [("import xray_analytics", "pandas"), ("import xray_analytics.cli", "pandas")]
)
def test_import__is_light(statement, absent):
    code = f"import sys; {statement}; assert {absent!r} not in sys.modules, 'loaded eagerly'"
    subprocess.run([sys.executable, "-c", code], check=True)
