"""A soak of seconds; and that it notices what grows, what is lost and what is wrong."""

from __future__ import annotations

import gc
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
pytest.importorskip("resource")
if not Path("/proc/self/statm").exists():
    pytest.skip("memory is read from /proc", allow_module_level=True)

import soak as soaks  # noqa: E402

from qnn_pynq import Classifier  # noqa: E402

TINY = (("tiny dense",),)


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(soaks, "_EVERY", 0.0)
    gc.freeze()  # what other tests left behind is not looked through at every look at the memory
    yield
    gc.unfreeze()


def soak(rounds, cases=TINY, **options):
    made = soaks.Soak(cases=cases, **options)
    made.run(1000.0, rounds=rounds)
    return made


def test_it_is_flat_and_right():
    made = soak(30, (("tiny dense",), ("small convolutional", "dorefa-w1a2-cifar10")), rate=0.02)
    assert made.verdict(64.0) == []
    total = made.total
    assert total["results"] > 100 and total["errors"] > 0 and total["wrong"] == 0
    assert "pictures answered" in made.table(8.0) and len(made.samples) >= 4


class Grows(Classifier):
    kept: list = []

    def stream(self, *arguments, **options):
        self.kept.append(np.ones(1 << 21))
        return super().stream(*arguments, **options)


class Threads(Classifier):
    over = threading.Event()

    def stream(self, *arguments, **options):
        threading.Thread(target=self.over.wait, daemon=True).start()
        return super().stream(*arguments, **options)


class Files(Classifier):
    kept: list = []

    def stream(self, *arguments, **options):
        self.kept.append(open("/dev/null"))  # noqa: SIM115
        return super().stream(*arguments, **options)


class Drops(Classifier):
    def stream(self, pictures, **options):
        return super().stream(iter(list(pictures)[1:]), **options)


class Turns(Classifier):
    def stream(self, pictures, **options):
        return super().stream(iter(list(pictures)[::-1]), **options)


class Leaks(Classifier):
    def close(self):
        super().close()
        Grows.kept.append(self.board.allocate(10))


@pytest.mark.slow
@pytest.mark.parametrize("broken, what", [
    (Grows, "memory grew"), (Threads, "threads"), (Files, "files"), (Drops, "lost"), (Turns, "wrong under strict"),
    (Turns, "unexplained"), (Leaks, "leaks"),
])
def test_what_is_broken_is_found(broken, what):
    Threads.over = threading.Event()
    try:
        made = soak(24, make=broken, rate=0.0)
    finally:
        Threads.over.set()
        for file in Files.kept:
            file.close()
    assert any(what in text for text in made.verdict(4.0))
    Grows.kept.clear()


def test_a_network_that_never_loads_ends_it(monkeypatch):
    monkeypatch.setattr(soaks, "_LOADS", 3)
    made = soaks.Soak(cases=TINY, rate=1.0, kinds=["hang"])
    with pytest.raises(soaks.Stuck):
        made.run(5.0)
