"""Each thing that can be wrong with networks and overlays is named, with its remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from faked_host import machine, pc, z1

from qnn_pynq import catalogue
from qnn_pynq.diagnosis.host import Host
from qnn_pynq.diagnosis.overlays import check_hwh, check_networks, check_overlay_boards, check_overlays

NAME = "bnn-pynq-lfc-w1a1"


def into_cache(key: str, text: str = "x") -> Path:
    overlay = catalogue.find_overlay(NAME)
    path = catalogue.cached_path(overlay, overlay.files[key])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "cache"))


def test_an_overlay_that_was_not_fetched(tmp_path: Path) -> None:
    found = check_overlays(z1(tmp_path))
    assert found.status == "warn" and NAME in found.value and "overlays fetch " + NAME in found.advice
    assert check_overlays(pc(tmp_path / "pc")).status == "info", "the emulated board needs none"


def test_an_overlay_that_another_user_of_the_board_fetched(tmp_path: Path) -> None:
    machine(tmp_path, {f"home/xilinx/.cache/qnn-pynq/overlays/{NAME}/x.bit": ""})
    place = "/home/xilinx/.cache/qnn-pynq/overlays/" + NAME
    assert f"fetch {NAME} --from {place}" in check_overlays(z1(tmp_path)).advice


def test_an_overlay_with_another_digest(tmp_path: Path) -> None:
    path = into_cache("bitstream", "not the bitstream")
    found = check_overlays(z1(tmp_path))
    assert found.status == "warn" and "sha256" in found.value and str(path) in found.value


def test_a_bitstream_without_its_hwh_beside_it(tmp_path: Path) -> None:
    path = into_cache("bitstream")
    found = check_hwh(z1(tmp_path))
    assert found.status == "warn" and str(path) in found.value and "overlays fetch " + NAME in found.advice
    into_cache("hwh")
    assert NAME not in check_hwh(z1(tmp_path)).value, "both are there; that neither is right is check_overlays' matter"


@pytest.mark.parametrize(
    "text, words",
    [
        ("<EDKSYSTEM><MODULES><MODULE INSTANCE='other'/></MODULES></EDKSYSTEM>", "no module"),
        ("<EDKSYSTEM>", "cannot be parsed"),
        ('<?xml version="1.0" encoding="UUTF-8"?><a/>', "cannot be parsed"),
    ],
)
def test_a_wrong_hwh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str) -> None:
    path = tmp_path / "x.hwh"
    path.write_text(text)
    monkeypatch.setattr(catalogue, "overlay_files", lambda overlay: {"hwh": path})
    check = check_hwh(Host())
    assert check.status == "warn" and words in check.value and "overlays fetch" in check.advice


def test_overlays_for_another_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_overlay_boards(z1(tmp_path)).status == "ok"
    found = check_overlay_boards(z1(tmp_path, {"proc/device-tree/chosen/pynq_board": "ZCU104\0"}))
    assert found.status == "warn" and "ZCU104: none" in found.value and "emulated" in found.advice
    described = json.loads((catalogue.overlays()[NAME] / "overlay.json").read_text(encoding="utf-8"))
    described.update(name="mine", boards=["ZCU104"])
    machine(tmp_path / "mine", {"overlay.json": json.dumps(described)})
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path / "mine"))
    found = check_overlay_boards(z1(tmp_path, {"proc/device-tree/chosen/pynq_board": "ZCU104\0"}))
    assert found.status == "ok" and "ZCU104: mine" in found.value and NAME + " (Pynq-Z1" in found.value


def test_networks_are_named_with_their_accuracy_and_broken_ones_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = check_networks(Host("/", {}))
    assert check.status == "ok" and "dorefa-w1a2-imagenette (85.38 %)" in check.value
    machine(tmp_path, {"mine/network.json": "{"})
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path))
    check = check_networks(Host("/", {}))
    assert check.status == "warn" and check.advice and check.value.startswith("mine: ")
    assert "lfc-w1a1-mnist (99.09 %)" in check.value


def test_no_networks_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: dict[str, Any] = {}
    monkeypatch.setattr(catalogue, "networks", lambda: nothing)
    assert check_networks(Host("/", {})).status == "fail"
