"""`qnn-pynq record` on a ZynqBoard, through the real pynq package: the file is replayed where no pynq is asked."""
from __future__ import annotations

import os
from dataclasses import replace

import pytest

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

from emulated_device import EmulatedZynq, active  # noqa: E402

from qnn_pynq.boards import open_board  # noqa: E402
from qnn_pynq.catalogue import find_network  # noqa: E402
from qnn_pynq.diagnosis.recording import record, replay  # noqa: E402
from qnn_pynq.diagnosis.recording_file import load_recording  # noqa: E402

pytestmark = pytest.mark.pynq

# on the published overlays, whose circuits are in the device
LFC, OFFLOAD = (replace(network, overlays=network.overlays[1:])
                for network in map(find_network, ("lfc-w1a1-mnist", "dorefa-w1a2-cifar10")))


def check(path, made):
    assert made.error is None
    found = replay(path)
    assert found.ok and found.pictures == 2 and found.header["board"] == "Pynq-Z1"
    assert found.header["kind"] == "zynq" and found.header["emulated"] is False and found.header["pynq"]
    assert all(seconds > 0 for seconds in found.seconds.values()), "measured, by the board's clock"
    assert os.path.expanduser("~") not in str(load_recording(path).header)


def test_a_dense_network_is_recorded_and_replayed(board, fetched, tmp_path):
    check(tmp_path / "x", record(LFC, board, tmp_path / "x", count=2))
    assert board.loaded is not None and not board.closed


def test_an_offloaded_network_is_recorded_and_replayed(fetched_offload, tmp_path):
    with active(EmulatedZynq(fetched_offload)) as device, open_board("zynq", device=device) as board:
        made = record(OFFLOAD, board, tmp_path / "x", count=2)
    check(tmp_path / "x", made)


def test_a_board_without_the_overlay_s_files_says_so_and_names_no_folder_in_the_file(board, tmp_path):
    made = record(LFC, board, tmp_path / "x", count=1)
    assert type(made.error).__name__ == "OverlayMissingError"
    found = load_recording(tmp_path / "x")
    assert found.events[0].answer == {"error": ["OverlayMissingError", ""]} and found.header["error"]
