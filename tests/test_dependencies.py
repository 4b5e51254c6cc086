"""What is installed with the package: no version with a published weakness that matters here, and no lock file."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = [Requirement(text) for text in PROJECT["dependencies"]]
FIRST_SOUND = {
    "pyarrow": "14.0.1",  # CVE-2023-47248: a hostile file runs code
    "urllib3": "2.7.0",  # GHSA-2xpw-w6gg-jr37 and three more: decompression bombs, redirects through a proxy
    "requests": "2.32.4",  # CVE-2024-47081: .netrc credentials to another host
    "starlette": "1.3.1",  # CVE-2026-54283: forms of any size; CVE-2026-48710: a false host; and older ones
    "jinja2": "3.1.6",  # CVE-2025-27516: the sandbox is left through a filter
}


def floor(requirement):
    """The lowest version that may be installed."""
    (lowest,) = (Version(s.version) for s in requirement.specifier if s.operator in (">=", "~=", "=="))
    return lowest


@pytest.mark.parametrize("name", FIRST_SOUND)
def test_floors__exclude_versions_with_known_weaknesses(name):
    (requirement,) = (r for r in DECLARED if r.name == name)
    assert floor(requirement) >= Version(FIRST_SOUND[name])


@pytest.mark.parametrize("requirement", DECLARED, ids=lambda r: r.name)
def test_declared__each_with_a_floor_that_what_is_installed_keeps(requirement):
    assert floor(requirement) <= Version(version(requirement.name))
    assert requirement.specifier.contains(version(requirement.name), prereleases=True)
    assert requirement.url is None


def test_no_lock_file_names_a_registry():
    names = [path.name for path in ROOT.iterdir()]
    found = [name for name in names if name.endswith(".lock") or name.startswith(("requirements", "constraints"))]
    assert found == []
