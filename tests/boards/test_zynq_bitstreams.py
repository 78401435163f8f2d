"""A bitstream is opened before the board is touched, whoever brings it: the device under pynq sees no wrong one."""
from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, Callable

import pytest
from bitfiles import bit_file, hwh_file
from stream_circuits import EXAMPLES

pytest.importorskip("pynq", reason="needs the real pynq package (tools/pynq_env.sh)")

from qnn_pynq import StreamOverlay  # noqa: E402
from qnn_pynq.errors import DescriptorError  # noqa: E402
from qnn_pynq.overlay import OverlayFile  # noqa: E402

pytestmark = pytest.mark.pynq

WRONG = {
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:9ea7\nsize 4045\n", "a Git LFS pointer"),
    "page": (b"<!DOCTYPE html>\n<html>", "an HTML page"),
    "xsa": (b"PK\x03\x04" + bytes(100), "a zip archive"),
    "bin": (bit_file()[111:], "a configuration stream without a header"),
    "cut off": (bit_file()[:-1], "was cut off"),
    "partial": (bit_file("region;PARTIAL=TRUE;Version=2018.2"), "a partial bitstream"),
    "another part": (bit_file(part="7z010clg400", idcode=0x03722093), "Pynq-Z1 has xc7z020clg400"),
    "another stream": (bit_file(idcode=0x03722093), "its stream is for another chip"),
    "another build": (bit_file("top;Version=2021.1"), "by Vivado 2021.1, design.hwh beside it by Vivado 2018.2"),
}


@pytest.fixture
def touched(device: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the device; its registers of clocks and resets included."""
    seen: list[str] = []

    def watch(name: str) -> Callable[..., Any]:
        real = getattr(device, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            seen.append(name)
            return real(*arguments, **options)

        return watched

    for name in ("mmap", "download", "program", "get_bitfile_metadata"):
        monkeypatch.setattr(device, name, watch(name))
    return seen


def with_files(circuit: Any, folder: Path, **contents: bytes) -> Any:
    """The overlay with these files beside its descriptor, and their digests in it."""
    files = {}
    for key, end in (("bitstream", ".bit"), ("hwh", ".hwh")):
        data = contents[key]
        (folder / ("design" + end)).write_bytes(data)
        files[key] = OverlayFile("design" + end, hashlib.sha256(data).hexdigest(), len(data), ())
    return dataclasses.replace(circuit, files=files, path=folder)


@pytest.mark.parametrize("kind", sorted(WRONG))
def test_a_wrong_file_of_an_overlay_is_refused_before_the_device_is_asked_for_anything(
        board: Any, circuit: Any, touched: list[str], tmp_path: Path, kind: str) -> None:
    data, expected = WRONG[kind]
    with pytest.raises(DescriptorError, match=expected):
        board.configure(with_files(circuit, tmp_path, bitstream=data, hwh=hwh_file()))
    assert touched == [] and board.loaded is None


@pytest.mark.parametrize("kind", sorted(WRONG))
def test_a_wrong_file_of_a_circuit_with_streams_is_refused_too(
        board: Any, touched: list[str], tmp_path: Path, kind: str) -> None:
    data, expected = WRONG[kind]
    (tmp_path / "design.bit").write_bytes(data)
    (tmp_path / "design.hwh").write_bytes(hwh_file())
    with pytest.raises(DescriptorError, match=expected):
        StreamOverlay(EXAMPLES["loopback"], tmp_path / "design.bit", board=board)
    assert touched == [] and board.loaded is None


def test_a_design_that_runs_stays_when_a_wrong_one_is_asked_for(
        board: Any, circuit: Any, fetched: Path, touched: list[str], tmp_path: Path) -> None:
    board.configure(circuit)
    assert "download" in touched
    touched.clear()
    data, expected = WRONG["partial"]
    with pytest.raises(DescriptorError, match=expected):
        board.configure(with_files(circuit, tmp_path, bitstream=data, hwh=hwh_file()))
    assert touched == [] and board.loaded == circuit and board.ip("BlackBoxJam_0").read(0) == 4


def test_the_published_pair_of_two_vivados_is_loaded_because_its_descriptor_says_so(
        board: Any, circuit: Any, fetched: Path, touched: list[str]) -> None:
    unsaid = dataclasses.replace(circuit, files={
        key: dataclasses.replace(file, tool=None) for key, file in circuit.files.items()})
    with pytest.raises(DescriptorError, match="by Vivado 2018.2, lfcW1A1-pynqZ1-Z2.hwh beside it by Vivado 2019.2"):
        board.configure(unsaid)
    assert touched == []
    board.configure(circuit)
    assert board.loaded == circuit
