"""The first hour as a whole: order, dependencies, the file, what ends it."""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import socket
import zipfile
from pathlib import Path
from typing import Any

import engine_networks
import pytest
from bringup_boards import SIZES, PretendedBoard, board_of, hour_of, stick
from engine_boards import engine_board, need_simulator

from qnn_pynq.catalogue import find_network, find_overlay
from qnn_pynq.diagnosis.bringup import circuit, load, memories
from qnn_pynq.diagnosis.bringup.hour import Finding
from qnn_pynq.diagnosis.bringup.report import Report, Result
from qnn_pynq.diagnosis.bringup.run import Watcher, bring_up, networks_for
from qnn_pynq.diagnosis.bringup.steps import CLOCKS, list_steps
from qnn_pynq.diagnosis.recording import replay
from qnn_pynq.diagnosis.recording_file import load_recording
from qnn_pynq.errors import InputError, NotFoundError, RecordingError, UnsupportedNetworkError
from qnn_pynq.families.engine.program import Layer, Place
from qnn_pynq.faults import Fault, FaultPlan

LFC = "lfc-w1a1-mnist"
NETWORK = engine_networks.dense_network()
PATTERNS = ["banks", "banks of the array", "weights", "thresholds", "program memory"]


def run(board: Any, path: Path, **options: Any) -> Report:
    return bring_up(board, board.loaded, path, **{"networks": [NETWORK], "soak": 0.0, **options})


def read(path: Path) -> Any:
    with zipfile.ZipFile(str(path)) as archive:
        assert archive.testzip() is None
        return json.loads(archive.read("report.json"))


def states(report: Report) -> dict[str, str]:
    return {result.name: result.state for result in report.results}


def test_a_sound_board_passes_and_the_file_has_it_all(tmp_path: Path) -> None:
    path = tmp_path / "hour.zip"
    report = run(board_of(), path)
    assert report.ok
    found = states(report)
    assert {found[name] for name in ("configure", "identity", "registers", "counters", "one word", *PATTERNS)} == {"ok"}
    assert found["soak"] == "ok" and {found[f"clock {mhz:g} MHz"] for mhz in CLOCKS} == {"not here"}
    document = read(path)
    assert document["ok"] and document["format"] == "qnn-pynq-bringup" and document["networks"] == ["dense"]
    assert [step["name"] for step in document["steps"]] == list(found)
    assert all(step["proves"] and step["remedy"] and step["text"] for step in document["steps"])
    assert document["steps"][0]["details"]["checks"]  # what the doctor says
    with zipfile.ZipFile(str(path)) as archive:
        names = archive.namelist()
        assert "all is well" in archive.read("report.txt").decode()
        for name in names[2:]:
            assert load_recording(archive.extract(name, str(tmp_path))).header["board"] == "emulated board"
    with pytest.raises(RecordingError, match="names no network; it is of a step of bringup"):
        replay(tmp_path / "recordings" / "banks.recording")
    assert {f"recordings/{name}.recording" for name in ("identity", "banks", "program-memory", "dense")} <= set(names)
    assert sorted(os.listdir(str(tmp_path))) == ["hour.zip", "recordings"]


def test_it_says_nothing_of_who_made_it_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(circuit, "scratch", failing(f"no file {tmp_path}/cache/x"))
    run(board_of(), tmp_path / "hour.zip")
    with zipfile.ZipFile(str(tmp_path / "hour.zip")) as archive:
        text = archive.read("report.json").decode() + archive.read("report.txt").decode()
    assert "no file ~/cache/x" in text
    for private in (str(tmp_path), socket.gethostname(), f"/{getpass.getuser()}/"):
        assert private not in text


def failing(text: str, error: Any = InputError) -> Any:
    def step(hour: Any) -> Finding:
        raise error(text)

    return step


def test_what_depends_on_a_failed_step_is_not_tried_and_the_rest_is(tmp_path: Path) -> None:
    board = board_of()
    stick(board, "banks", (1, 77), 5, 1)
    report = run(board, tmp_path / "hour.zip")
    found = states(report)
    assert not report.ok and [result.name for result in report.failed] == ["banks"]
    assert {found[name] for name in PATTERNS[1:]} == {"skipped"}
    assert found["network dense"] == "not here" and found["soak"] in ("ok", "failed")
    step = next(step for step in read(tmp_path / "hour.zip")["steps"] if step["name"] == "banks")
    assert "bank 1, word 77, bit 5" in step["text"]
    with zipfile.ZipFile(str(tmp_path / "hour.zip")) as archive:
        assert "recordings/banks.recording" in archive.namelist()
        assert "to do: a block RAM" in archive.read("report.txt").decode()


def test_another_circuit_stops_all_but_the_machine_and_the_sensors(tmp_path: Path) -> None:
    board = board_of()
    other = find_overlay("engine-z7020")
    twin = board.twin
    board.configure(other)
    board.twin.read = twin.read  # type: ignore[method-assign, union-attr]
    report = bring_up(board, other, tmp_path / "hour.zip", [find_network(LFC)], 0.0)
    found = states(report)
    assert found["identity"] == "failed" and not report.ok
    assert {name for name, state in found.items() if state not in ("skipped", "failed")} == {
        "machine", "configure", "sensors"}


def test_a_run_that_hangs_does_not_stop_the_steps_behind_it(tmp_path: Path) -> None:
    report = run(board_of(faults=FaultPlan(faults=[Fault("hang", 7)])), tmp_path / "hour.zip")
    found = states(report)
    assert [name for name, state in found.items() if state == "failed"] == ["banks"]
    assert found["network dense"] == "not here" and found["soak"] == "ok"


def test_the_file_names_the_step_that_runs(tmp_path: Path) -> None:
    path, seen = tmp_path / "hour.zip", []

    class Reader(Watcher):
        def progress(self, step: Any, done: int, total: int) -> None:
            begun = [one["name"] for one in read(path)["steps"] if one["state"] == "begun"]
            seen.append((begun, step.name, done <= total))

    run(board_of(), path, watcher=Reader())
    assert seen and all(begun == [name] and fine for begun, name, fine in seen)
    assert {name for _, name, _ in seen} >= set(PATTERNS)


def test_ctrl_c_ends_with_the_file_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memories, "weights", failing("", KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(board_of(), tmp_path / "hour.zip")
    document = read(tmp_path / "hour.zip")
    found = {step["name"]: step["state"] for step in document["steps"]}
    assert not document["ok"] and found["banks"] == "ok" and found["weights"] == "interrupted"
    assert found["thresholds"] == found["soak"] == "not run"


def test_a_signal_within_a_run_leaves_the_board_usable(tmp_path: Path) -> None:
    board = board_of(faults=FaultPlan(faults=[Fault("signal", 9, place=2)]))
    with pytest.raises(KeyboardInterrupt):
        run(board, tmp_path / "hour.zip")
    assert run(board, tmp_path / "again.zip").ok


def test_a_defect_is_said_to_be_one_and_does_not_end_the_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memories, "weights", failing("/home/me/secret", ValueError))
    report = run(board_of(), tmp_path / "hour.zip")
    (failed,) = report.failed
    assert failed.name == "weights" and "a defect of this program: ValueError" in failed.text
    assert "secret" not in failed.text and states(report)["soak"] == "ok"


def test_beyond_what_the_overlay_is_made_for_a_failure_is_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_WINDOW", 1e-3)
    overlay = find_overlay("engine-z7020")
    board = PretendedBoard(limit=110.0, refuses=50.0)
    report = bring_up(board, overlay, tmp_path / "hour.zip", [find_network(LFC)], 0.0)
    found = states(report)
    assert found["clock 125 MHz"] == "limit" and list(found)[-1] == "clock 125 MHz"
    assert found["clock 75 MHz"] == found["clock 100 MHz"] == "ok"
    assert [result.name for result in report.failed] == ["clock 50 MHz"] and not report.ok
    with zipfile.ZipFile(str(tmp_path / "hour.zip")) as archive:
        assert "beyond its limits: clock 125 MHz" in archive.read("report.txt").decode()


@pytest.mark.parametrize("state", ["ok", "not here", "limit", "failed", "skipped", "begun", "interrupted", "not run"])
def test_all_is_well_where_nothing_failed_and_nothing_was_left_out(state: str) -> None:
    report = Report({}, [Result("a", "", "", "ok"), Result("b", "", "", state)])
    assert report.ok is (state in ("ok", "not here", "limit"))


def test_clocks_above_the_overlays_come_last() -> None:
    slow = dataclasses.replace(find_overlay("engine-z7020"), clock_mhz=50.0)
    names = [step.name for step in list_steps(slow, [NETWORK], 1.0)]
    assert names[-3:] == ["clock 75 MHz", "clock 100 MHz", "clock 125 MHz"]
    assert names.index("clock 50 MHz") < names.index("soak")


def test_every_step_needs_only_steps_before_it() -> None:
    known: set[str] = set()
    for step in list_steps(find_overlay("engine-z7020"), [NETWORK], 1.0):
        assert set(step.needs) <= known and step.name not in known and step.limit > 0
        assert step.proves and step.remedy
        known.add(step.name)


@pytest.mark.parametrize("soak", [-1.0, 1e6, float("nan")])
def test_a_soak_of_no_length_is_refused(tmp_path: Path, soak: float) -> None:
    with pytest.raises(InputError, match="soak of"):
        run(board_of(), tmp_path / "hour.zip", soak=soak)


def test_what_cannot_be_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    board = board_of()
    (tmp_path / "there.zip").write_text("an earlier result")
    for path in (tmp_path / "there.zip", tmp_path, tmp_path / "no" / "folder.zip"):
        with pytest.raises(InputError, match="is there already|cannot be written"):
            run(board, path)
    with pytest.raises(InputError, match="expected an engine's"):
        bring_up(board, find_overlay("bnn-pynq-lfc-w1a1"), tmp_path / "x.zip")
    assert (tmp_path / "there.zip").read_text() == "an earlier result" and board.twin.runs == 0


def test_networks_are_those_that_the_overlay_computes() -> None:
    names = [network.name for network in networks_for(find_overlay("engine-z7020"))]
    assert LFC in names and "dorefa-w1a2-ends4-imagenette" in names and names == sorted(names)
    assert [network.name for network in networks_for(find_overlay("engine-z7020"), [LFC, LFC])] == [LFC]
    with pytest.raises(NotFoundError):
        networks_for(find_overlay("engine-z7020"), ["nothing-of-the-kind"])
    with pytest.raises(UnsupportedNetworkError):
        networks_for(find_overlay("bnn-pynq-lfc-w1a2"), [LFC])


@pytest.mark.slow
def test_the_circuits_own_verilog_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_simulator()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with engine_board("rtl", SIZES[0], interrupt=True, stalls="rough") as board:
        report = run(board, tmp_path / "hour.zip")
        layer = Layer(Place(0), Place(0), out_size=(200, 250), words=200, safe=255)
        counted = hour_of(board).bench().measure_clock([layer], 1e-3)  # in time that is its own cycles
    assert counted == pytest.approx(100.0, rel=1e-3)
    found = states(report)
    assert report.ok, [result.text for result in report.failed]
    assert {found[name] for name in ("interrupt", "registers", "counters", "one word", *PATTERNS, "soak")} == {"ok"}
    assert read(tmp_path / "hour.zip")["kind"] == "rtl"
