"""Every public room shows its public names and nothing else, and each of them says what it is."""

import inspect
import types

import pytest

import xray_analytics
from xray_analytics import errors, tables
from xray_analytics.schema import Column, Table

SUBJECTS = ("portfolio", "cashflow", "monitoring", "quality", "validation", "backtest", "charts", "export")
DOORS = (*SUBJECTS, "flags", "ratios", "migration", "errors", "tables")


def names(door):
    room = getattr(xray_analytics, door)
    return [(name, getattr(room, name)) for name in dir(room)]


@pytest.mark.parametrize("door", DOORS)
def test_door__shows_what_it_says_and_nothing_else(door):
    room = getattr(xray_analytics, door)
    assert room.__doc__.strip()
    assert dir(room) == sorted(set(room.__all__))
    assert len(room.__all__) == len(set(room.__all__))
    for name, value in names(door):
        assert not name.startswith("_")
        assert not isinstance(value, types.ModuleType), f"{door}.{name} is a module"
        home = getattr(value, "__module__", None) or room.__name__
        assert home.startswith("xray_analytics.") or not callable(value), f"{door}.{name} comes from {home}"


@pytest.mark.parametrize("door", DOORS)
def test_door__every_name_is_documented(door):
    for name, value in names(door):
        if isinstance(value, Table | Column):
            assert value.doc.strip(), f"{door}.{name}"
        elif callable(value):
            own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
            assert own, f"{door}.{name} has no docstring"
            assert not own.startswith(f"{name}("), f"{door}.{name} has the docstring of a dataclass"


def test_tables_and_errors__name_each_of_theirs():
    """A table or an error that is added is public from its first day."""
    assert {n for n, v in vars(tables).items() if isinstance(v, Table)} <= set(tables.__all__)
    assert {n for n, v in vars(errors).items() if inspect.isclass(v) and issubclass(v, Exception)} == set(
        errors.__all__
    )


@pytest.mark.parametrize("door", SUBJECTS)
def test_subject__is_a_door_and_no_room(door):
    """What stands in the `__init__` is imported: no function or class is written there."""
    source = inspect.getsource(getattr(xray_analytics, door))
    assert [line for line in source.splitlines() if line.startswith(("def ", "class ", "@"))] == []
