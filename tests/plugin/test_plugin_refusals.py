"""A part of the contract that is missing is named, wherever it is missed."""
from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from qnn_pynq import Classifier
from qnn_pynq.catalogue import find_network, find_overlay
from qnn_pynq.contracts import families
from qnn_pynq.diagnosis import doctor
from qnn_pynq.errors import DescriptorError, NotFoundError, PluginError
from qnn_pynq.networks.layers import layer_class
from qnn_pynq.testing import Driver, Layer, Twin

PARTS = [(base, name) for base in (Driver, Twin, Layer) for name in sorted(base.__abstractmethods__)]
HOMES = {Driver: ("driver", "MirrorDriver"), Twin: ("twin", "MirrorTwin"), Layer: ("layers", "AbsDiff")}


def test_the_contracts_ask_for_something() -> None:
    assert len(PARTS) > 20
    assert {name for base, name in PARTS if base is Driver} == {
        "cancel", "capacity", "close", "expected_seconds", "finish", "free", "input", "load", "output", "put",
        "split", "start"}


@pytest.mark.parametrize("base, name", PARTS, ids=[f"{base.__name__}-{name}" for base, name in PARTS])
def test_a_method_that_is_missing_is_named(base: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, attribute = HOMES[base]
    home = importlib.import_module("qnn_pynq_mirror." + module)
    whole: Any = getattr(home, attribute)
    rest = {key: value for key, value in vars(whole).items() if key != name and key not in ("__dict__", "__weakref__")}
    assert name in vars(whole)
    monkeypatch.setattr(home, attribute, type(whole)(attribute, whole.__bases__, rest))
    families._part.cache_clear()
    try:
        with pytest.raises(PluginError, match=rf"{attribute} lacks {name}, which the contract of {base.__name__} asks "
                                              r"for"):
            if base is Layer:
                find_network("mirror-marks")
            else:
                Classifier("mirror-marks", board="emulated").close()
    finally:
        families._part.cache_clear()


def test_the_command_and_the_doctor_name_it_too(
    target: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """In the text of the installed package, as an author would have left it out."""
    shutil.copytree(str(target), str(tmp_path / "installed"))
    file = tmp_path / "installed" / "qnn_pynq_mirror" / "driver.py"
    text = file.read_text(encoding="utf-8")
    assert text.count("    def cancel(self)") == 1
    file.write_text(text.replace("    def cancel(self)", "    def stop(self)"), encoding="utf-8")
    environment["PYTHONPATH"] = environment["PYTHONPATH"].replace(str(target), str(tmp_path / "installed"))
    command = [sys.executable, "-m", "qnn_pynq"]
    done = subprocess.run([*command, "selftest", "mirror-marks", "--board", "emulated"], env=environment, timeout=120,
                          capture_output=True, text=True)
    assert done.returncode != 0 and "MirrorDriver lacks cancel" in done.stdout + done.stderr
    done = subprocess.run([*command, "doctor"], env=environment, timeout=120, capture_output=True, text=True)
    assert "MirrorDriver lacks cancel" in done.stdout


@pytest.mark.parametrize("part, base", [("driver", "Driver"), ("twin", "Twin")])
def test_a_part_that_is_something_else_is_refused(part: str, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import qnn_pynq_mirror

    monkeypatch.setattr(qnn_pynq_mirror, "FAMILY", qnn_pynq_mirror.FAMILY._replace(**{part: dict}))
    families._family.cache_clear()
    families._part.cache_clear()
    with pytest.raises(PluginError, match=f"its {part} is <class 'dict'>, expected a subclass of {base}"):
        Classifier("mirror-marks", board="emulated")
    families._family.cache_clear()
    families._part.cache_clear()


def test_a_part_that_cannot_be_imported_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import qnn_pynq_mirror

    monkeypatch.setattr(qnn_pynq_mirror, "FAMILY", qnn_pynq_mirror.FAMILY._replace(twin="qnn_pynq_mirror.no:Twin"))
    families._family.cache_clear()
    families._part.cache_clear()
    with pytest.raises(PluginError, match="twin cannot be imported from 'qnn_pynq_mirror.no:Twin'"):
        Classifier("mirror-marks", board="emulated")
    families._family.cache_clear()
    families._part.cache_clear()


def test_a_layer_type_under_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import qnn_pynq_mirror.layers

    monkeypatch.setattr(qnn_pynq_mirror.layers.Weigh, "type", "weight")
    with pytest.raises(PluginError, match="layer type 'weigh': Weigh.type is 'weight'"):
        layer_class("weigh")


@pytest.mark.parametrize("change, problem", [
    ('"templates": 16', "geometry.templates"),
    ('"setup_cycles": 200', "timing.setup_cycles"),
])
def test_the_familys_own_check_refuses_a_wrong_descriptor(
    data: Path, tmp_path: Path, change: str, problem: str
) -> None:
    text = (data / "mirror-8x8" / "overlay.json").read_text(encoding="utf-8")
    assert change in text
    (tmp_path / "overlay.json").write_text(text.replace(change, change.split(":")[0] + ": -1"), encoding="utf-8")
    with pytest.raises(DescriptorError, match=problem):
        find_overlay(tmp_path)


def test_without_the_plug_in_its_names_are_unknown(uninstalled: Callable[[], None]) -> None:
    network = find_network("mirror-marks")
    uninstalled()
    with pytest.raises(DescriptorError, match='layers.0..type: "mirror" is not allowed.*qnn_pynq.layers'):
        find_network("mirror-marks")
    assert find_overlay("mirror-8x8").kind == "mirror"  # nobody to ask
    with pytest.raises(NotFoundError, match="overlay kind 'mirror'.*qnn_pynq.families"):
        Classifier(network, board="emulated")
    assert [check for check in doctor.examine() if check.name == "networks"][0].status == "warn"
