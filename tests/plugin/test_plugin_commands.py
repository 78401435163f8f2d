"""Self-test, recordings, doctor and the command line with a family that the library does not know."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import mirror_oracle
import numpy as np
import pytest
from make_mirror_data import NAMES, OVERLAY
from PIL import Image

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_network
from qnn_pynq.cli import main
from qnn_pynq.diagnosis import doctor, selftest
from qnn_pynq.diagnosis.recording import record, replay
from qnn_pynq.errors import RecordingError
from qnn_pynq.faults import Fault, FaultPlan

NETWORKS = ("mirror-marks", "plain-marks")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`run("networks")`: what the command says; its exit code must be `code`."""
    def call(*arguments: Any, code: int = 0) -> str:
        capsys.readouterr()
        found = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert found == code, out + err
        return out + err

    return call


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A wedge."""
    file = tmp_path / "wedge.png"
    Image.fromarray(mirror_oracle.glyphs()[3]).save(str(file))
    return file


# -- self-test --------------------------------------------------------------------------------------------


def test_the_known_answers_come_from_every_board_in_every_mode() -> None:
    outcomes = selftest.run(NETWORKS, ["cpu", "emulated"])
    assert [(one.network, one.mode) for one in outcomes] == [
        ("mirror-marks", "kernels"), ("plain-marks", "kernels"),
        ("mirror-marks", "conservative"), ("mirror-marks", "fast"),
        ("plain-marks", "conservative"), ("plain-marks", "fast")]
    for one in outcomes:
        assert one.ok and one.result == "ok" and one.pictures == 32, one.details


def test_a_wrong_template_is_named(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "spoilt"
    folder.mkdir()
    for file in (data / "mirror-marks").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    templates = np.load(str(folder / "layer1-templates.npy"))
    templates[1, 4, 4] ^= 8
    np.save(str(folder / "layer1-templates.npy"), templates)
    for one in selftest.run([str(folder)], ["cpu", "emulated"]):
        assert one.wrong and "sum" in one.details[0] and "output 1" in one.details[0], one.details


# -- recordings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("conservative", [False, True])
def test_a_run_is_recorded_and_replayed(name: str, conservative: bool, tmp_path: Path) -> None:
    network = find_network(name)
    with EmulatedBoard() as board:
        made = record(network, board, tmp_path / "x", 6, conservative)
    assert made.error is None and made.pictures == 6
    found = replay(tmp_path / "x")
    assert found.ok and found.pictures == 6 and found.events == made.events
    assert found.seconds["batch"] > found.seconds["single"] > 0


def test_a_recorded_wrong_answer_is_found(tmp_path: Path) -> None:
    # Templates, one picture, six pictures: the third operation's results are wrong.
    with EmulatedBoard(faults=FaultPlan(faults=[Fault("corrupt word", 2, place=21)])) as board:
        record(find_network("plain-marks"), board, tmp_path / "x", 6)
    found = replay(tmp_path / "x")
    assert not found.ok and [wrong["picture"] for wrong in found.mismatches] == [1] and len(found.twin) == 1


def test_a_recorded_hang_is_replayed_as_one(tmp_path: Path) -> None:
    with EmulatedBoard(faults=FaultPlan(faults=[Fault("hang", 1)])) as board:
        made = record(find_network("plain-marks"), board, tmp_path / "x", 2)
    assert made.error is not None
    with pytest.raises(type(made.error)):
        replay(tmp_path / "x")


def test_a_driver_that_asks_something_else_is_told_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatedBoard() as board:
        record(find_network("plain-marks"), board, tmp_path / "x", 2)
    import qnn_pynq_mirror.driver

    monkeypatch.setattr(qnn_pynq_mirror.driver, "_TARGET", 0x18)
    with pytest.raises(RecordingError, match="write comparator_0 0x18"):
        replay(tmp_path / "x")


# -- doctor -----------------------------------------------------------------------------------------------


def test_the_doctor_knows_family_layers_networks_and_files() -> None:
    checks = {check.name: check for check in doctor.examine()}
    families = checks["families"]
    assert families.status == "ok"
    assert "mirror" in families.value.split("; layers: ")[0] and "absdiff" in families.value.split("; layers: ")[1]
    assert all(name in checks["networks"].value for name in NETWORKS)
    assert OVERLAY in checks["overlay files"].value.split("not fetched")[0]
    assert OVERLAY in checks[".hwh files"].value


def test_the_doctor_names_an_overlay_without_its_family(uninstalled: Callable[[], None]) -> None:
    uninstalled()
    check = next(check for check in doctor.examine() if check.name == "families")
    assert check.status == "warn" and "install" in check.advice
    assert "overlay mirror-8x8 is of kind 'mirror', which nobody has registered" in check.value


# -- the command line -------------------------------------------------------------------------------------


def test_networks_and_overlays_are_listed_and_shown(run: Callable[..., str]) -> None:
    listed = run("networks")
    assert all(name in listed for name in NETWORKS) and "BROKEN" not in listed
    row = next(one for one in json.loads(run("networks", "--json"))["networks"] if one["name"] == "mirror-marks")
    assert (row["layers"], row["weights"], row["macs"], row["overlay_macs"]) == (2, 325, 325, 320)
    shown = run("networks", "show", "mirror-marks")
    assert "absdiff" in shown and "weigh" in shown
    layers = json.loads(run("networks", "show", "mirror-marks", "--json"))["layers"]
    assert [layer["runs_on"] for layer in layers] == ["processor", "overlay", "processor"]
    assert [layer["output"] for layer in layers] == [[8, 8, 1], [5], [5]]
    assert "fetched" in run("overlays") and "mirror" in run("overlays", "show", OVERLAY)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("board", ["emulated", "cpu"])
def test_pictures_are_classified(run: Callable[..., str], picture: Path, name: str, board: str) -> None:
    said = run("classify", picture, "-n", name, "--board", board, "--top", "2")
    assert NAMES[3] in said and "probability" in said
    answer = json.loads(run("classify", picture, "-n", name, "--board", board, "--json"))["pictures"][0]
    assert answer["label"] == NAMES[3] and answer["scores"] and 0 < answer["probability"] <= 1


def test_a_test_set_is_evaluated(run: Callable[..., str], tmp_path: Path) -> None:
    pictures, labels = mirror_oracle.noisy(mirror_oracle.glyphs(), 50, 8)
    np.savez(str(tmp_path / "set.npz"), x_test=pictures, y_test=labels)
    said = run("evaluate", "mirror-marks", "--data", tmp_path / "set.npz", "--compare", "--confusion")
    assert "50" in said and "stripes" in said
    found = json.loads(run("evaluate", "mirror-marks", "--data", tmp_path / "set.npz", "--compare", "--json"))
    assert found["images"] == 50 and found["accuracy"] > 0.9


def test_it_is_measured(run: Callable[..., str]) -> None:
    said = run("benchmark", "plain-marks", "--images", "50", "--repeat", "1")
    assert "cycle model, not measured" in said
    said = run("profile", "mirror-marks", "--images", "3", "--repeats", "1")
    assert "absdiff0" in said and "overlay" in said
    rows = json.loads(run("profile", "mirror-marks", "--repeats", "1", "--json"))["layers"]
    assert [row["where"] for row in rows] == ["software", "overlay", "software tail"]


def test_it_is_tested_recorded_and_replayed(run: Callable[..., str], tmp_path: Path) -> None:
    said = run("selftest", *NETWORKS)
    assert "ok" in said and "wrong" not in said
    file = tmp_path / "mirror.recording"
    assert "2 pictures" in run("record", "mirror-marks", "-o", file, "--images", "2", "--board", "emulated")
    assert "all answers are right" in run("replay", file)


def test_the_doctor_answers(run: Callable[..., str]) -> None:
    assert "absdiff" in run("doctor")


def test_a_process_of_its_own_finds_what_was_installed(environment: dict[str, str], picture: Path) -> None:
    command = [sys.executable, "-m", "qnn_pynq", "classify", str(picture), "-n", "mirror-marks", "--board", "emulated"]
    done = subprocess.run(command, env=environment, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0 and NAMES[3] in done.stdout, done.stderr


def test_its_driver_and_twin_need_no_pytest(environment: dict[str, str], picture: Path) -> None:
    code = ("import sys; from qnn_pynq import Classifier; "
            "Classifier('mirror-marks', 'emulated').classify(sys.argv[1]); print('pytest' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code, str(picture)], env=environment, timeout=120,
                          capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
