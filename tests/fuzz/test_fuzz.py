"""Damaged input for every reader, thousands of cases; `tools/fuzz.py` does the same by the million."""

from __future__ import annotations

import random
import signal
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
pytest.importorskip("resource")  # Unix

import fuzz  # noqa: E402
from bombs import swell  # noqa: E402
from fuzz_targets import Target, make_targets  # noqa: E402

from qnn_pynq.errors import InputError  # noqa: E402

CASES = 150


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    return make_targets(tmp_path_factory.mktemp("fuzz"))


# Names that readers use to make one of our errors of what is wrong: without them that is a finding.
PLANTED = {
    "network.json, dense": "files.fields.DescriptorError", "streams.json": "files.fields.DescriptorError",
    "overlay.json": "files.fields.DescriptorError", "layer list": "files.fields.DescriptorError",
    "pynq's state file": "boards.zynq.state.ValueError", ".npy": "files.npyfile.Exception",
    "pickled .npy": "convert.pickled.Exception", "mean picture .npy": "convert.qnn_mo_software.BadArray",
    "finnthesizer .npz": "convert.finnthesizer.NPZ_ERRORS", "selftest.npz": "reliability.answers.NPZ_ERRORS",
    "test set .npz": "datasets.testsets.NPZ_ERRORS", "idx.gz": "datasets.public.EOFError",
    "classes.txt": "convert.bnn_pynq.UnicodeDecodeError",
    "CIFAR-10, batches.meta.txt": "datasets.colour.UnicodeDecodeError",
    ".hwh": "boards.zynq.state.XML_ERRORS", ".hwh of streams": "streams.hwh.XML_ERRORS",
    ".bit, opened": "files.bitfile.DescriptorError", ".hwh, opened": "files.hwhfile.XML_ERRORS",
    "recording": "diagnosis.recording_file.zlib.error", "PNG": "pictures.opening.Exception",
    "JPEG": "pictures.opening.Exception", "GIF, BMP, TIFF, PPM": "pictures.opening.Exception",
}


class Never(Exception):
    """Nobody raises it."""


@pytest.mark.parametrize("target", sorted(PLANTED))
def test_a_defect_planted_in_a_reader_is_found(target, targets, monkeypatch):
    name = PLANTED[target]
    monkeypatch.setattr("qnn_pynq." + name, () if name.endswith("_ERRORS") else Never, raising=False)
    first = next((n for n in range(0, 8000, 100) if fuzz.fuzz(targets[target], 100, 3, n).findings), None)
    assert first is not None


def test_every_seed_is_read(targets):
    for target in targets.values():
        for seed in target.seeds:
            target.run(seed)


def test_every_case_ends_in_a_result_or_in_one_of_our_errors(targets):
    refused = 0
    for target in targets.values():
        found = fuzz.fuzz(target, CASES, 5)
        assert not found.findings, target.name
        assert found.read + found.refused == CASES
        refused += found.refused
    assert refused > CASES * len(targets) / 2


def test_a_case_is_the_same_again(targets):
    target = targets["overlay.json"]
    cases = [fuzz.case(target, 1, number) for number in range(20)]
    assert cases == [fuzz.case(target, 1, number) for number in range(20)] != cases[::-1]
    assert cases != [fuzz.case(target, 2, number) for number in range(20)]


def test_what_is_wrong_is_found():
    def stumble(data: bytes) -> None:
        if len(data) % 3 == 0:
            raise KeyError("x")
        if len(data) % 3 == 1:
            raise InputError("no")

    found = fuzz.fuzz(Target("bad", [bytes(30)], stumble), 100, 1)
    assert found.findings[0][1] == "KeyError: 'x'" and 0 < found.read < 100 and 0 < found.refused < 100
    before = signal.signal(signal.SIGALRM, fuzz._ring)
    try:
        assert fuzz.try_case(lambda data: time.sleep(5), b"", 0.05) == "more than 0.05 s"
    finally:
        signal.signal(signal.SIGALRM, before)


def full(mebibytes: int, refuse: bool) -> None:
    held = bytearray(mebibytes << 20)
    held[::4096] = bytes(len(held[::4096]))  # so that there is memory behind it
    if refuse:
        raise InputError("no")


@pytest.mark.parametrize(
    ("mebibytes", "refuse", "most"), [(300, True, 200), (150, True, 0), (500, False, 400), (300, False, 0)])
def test_too_much_memory_is_found(mebibytes, refuse, most):
    found = fuzz.fuzz(Target("large", [b"x"], lambda data: full(mebibytes, refuse)), 2, 1).findings
    assert len(found) == (2 if most else 0)
    assert all(f"MB of memory: at most {most} are allowed" in what for _, what, _ in found)


def test_too_much_time_is_found(monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 0.05)

    def slow(data: bytes) -> None:
        begun = time.process_time()
        while time.process_time() - begun < 0.1:
            pass

    found = fuzz.fuzz(Target("slow", [b"x"], slow), 2, 1).findings
    assert [what for _, what, _ in found] == 2 * ["0.1 s of the processor: at most 0.05 are allowed"]


# As many cases as it takes to have some of each reader's that swell.
SWELLING = ("selftest.npz", "canary.npz", "finnthesizer .npz", "test set .npz", "idx.gz", "recording", "PNG", ".npy",
            "mean picture .npy", "pickled .npy")


@pytest.mark.parametrize("name", SWELLING)
def test_what_swells_is_refused_or_read_in_little_memory_and_time(name, targets):
    target, dice = targets[name], random.Random(name)
    for _ in range(25):
        data = swell(dice, dice.choice(target.seeds))
        if data is not None:
            assert fuzz.try_case(target.run, data, memory=fuzz.reset_peak()) in ("", "refused")
