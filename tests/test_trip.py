"""The way through the package on the emulated board, as benchmarks/trip.py counts it, gets no longer."""
from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST = {
    "classify, LFC": {"files": 15, "changes": 60},
    "classify, DoReFa": {"files": 22, "changes": 300},
    "classify, LFC on the engine": {"files": 33, "changes": 1900},
    "StreamOverlay, three numbers": {"calls": 400},
}
CALLER = """
import threading

from .called import answer, fail


def outer():
    answer()
    answer()
    return inner()


def inner():
    return 1


def in_a_thread():
    thread = threading.Thread(target=answer)
    thread.start()
    thread.join()


def failing():
    fail()
"""
CALLED = """
def answer():
    return sorted([3, 1, 2])


def fail():
    raise ValueError("meant")
"""


@pytest.fixture()
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("trip")


@pytest.fixture()
def walked(tmp_path, monkeypatch):
    """A package of two files, and its folder."""
    folder = tmp_path / "walked_by_trip"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "caller.py").write_text(CALLER)
    (folder / "called.py").write_text(CALLED)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("walked_by_trip.caller"), folder
    for name in [name for name in sys.modules if name.startswith("walked_by_trip")]:
        del sys.modules[name]


def test_calls_files_and_changes_of_file_are_counted(script, walked):
    module, folder = walked
    trip = script.count(module.outer, folder)  # outer, answer twice, inner
    assert (trip.calls, trip.files, trip.changes) == (4, 2, 2)
    assert trip.by_file == {"caller.py": 2, "called.py": 2}
    assert max(trip.by_function.values()) == 2


def test_a_thread_has_its_own_way(script, walked):
    module, folder = walked
    trip = script.count(module.in_a_thread, folder)
    assert (trip.calls, trip.files, trip.changes) == (2, 2, 0)


def test_after_a_trip_that_failed_nothing_is_counted_any_more(script, walked):
    module, folder = walked
    before = sys.getprofile()
    with pytest.raises(ValueError, match="meant"):
        script.count(module.failing, folder)
    assert sys.getprofile() is before and threading._profile_hook is None


def test_calls_outside_of_the_folder_are_not_counted(script, walked):
    trip = script.count(lambda: sorted([2, 1], key=lambda number: -number), walked[1])
    assert (trip.calls, trip.files, trip.changes) == (0, 0, 0)


@pytest.mark.parametrize("name", sorted(MOST))
def test_no_trip_gets_longer(script, name):
    trip = script.measure(name)
    found = {what: getattr(trip, what) for what in MOST[name]}
    assert all(0 < found[what] <= most for what, most in MOST[name].items()), found


def test_every_trip_has_a_target_of_the_same_kind(script):
    assert {name: set(bounds) for name, bounds in script.BOUNDS.items()} == {
        name: set(most) for name, most in MOST.items()}
