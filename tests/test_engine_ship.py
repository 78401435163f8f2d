"""What the build made is put beside the overlay's descriptor; the Verilog is that of the bitstream which lies there."""
from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from engine_handoff import DESCRIPTOR, FOLDER, bitstream, ship

from qnn_pynq.boards import open_board
from qnn_pynq.catalogue import overlays
from qnn_pynq.errors import ForeignBitstreamError
from qnn_pynq.families.engine.control import Engine
from qnn_pynq.overlay import load_overlay

OURS = [name for name, path in overlays().items() if load_overlay(path).kind == "engine"]


@pytest.mark.parametrize("name", OURS)
def test_the_verilog_is_that_of_the_bitstream(name):
    overlay = load_overlay(overlays()[name])
    if not overlay.files:
        assert not (overlay.rtl.sha256 or overlay.rtl.built or "BUILD" in overlay.rtl.parameters)
        return
    text = b"".join(path.read_bytes() for path in sorted(overlay.rtl.sources.glob("*.v")))
    digest = hashlib.sha256(text).hexdigest()
    assert overlay.rtl.sha256 == digest, "the Verilog was changed: build the bitstream again (docs/build-an-overlay.md)"
    assert overlay.rtl.parameters["BUILD"] == int(digest[:7], 16)
    for file in overlay.files.values():
        assert hashlib.sha256((overlay.path / file.name).read_bytes()).hexdigest() == file.sha256


@pytest.fixture
def build(tmp_path):
    """A folder as the Makefile leaves it, with two seeds."""
    folder = tmp_path / "build"
    folder.mkdir()
    ends = [("$flatten\\e.\\s.$auto$ff.cc:337:slice$1", 4.5), ("$flatten\\e.\\s.$auto$ff.cc:337:slice$2", 8.251),
            ("e.a.chain[0].n.pe[1].m.m.rest.second.slice[0].words.0.0", 3.0), ("$auto$x", 1.0), ("ps", 2.0)]
    report = {
        "fmax": {"clk": {"achieved": 101.504, "constraint": 100}},
        "utilization": {"SLICE_LUTX": {"available": 106400, "used": 22103}, "PAD": {"available": 294, "used": 0}},
        "critical_paths": [{"path": [
            {"delay": 0.354, "type": "clk-to-q", "from": {"cell": "a", "port": "CK"}, "to": {"cell": "a", "port": "Q"}},
            {"delay": 8.1, "type": "routing", "from": {"cell": "a", "port": "Q"}, "to": {"cell": "b", "port": "D"}}]}],
        "detailed_net_timings": [{"endpoints": [{"cell": cell, "delay": [0.1, delay]}]} for cell, delay in ends],
    }
    (folder / "seed-2.json").write_text(json.dumps(report))
    (folder / "seed").write_text("2\n")
    (folder / "engine.bit").write_bytes(bitstream())
    return folder


@pytest.fixture
def shipped(build, tmp_path):
    root = tmp_path / "overlays"
    (root / "engine").mkdir(parents=True)
    shutil.copytree(FOLDER / "rtl", root / "engine" / "rtl")
    folder = root / "mine"
    folder.mkdir()
    document = json.loads(DESCRIPTOR.read_text())
    for key in ("sha256", "built"):
        document["rtl"].pop(key, None)
    (folder / "overlay.json").write_text(json.dumps({**document, "files": {}}))
    ship.ship(build, folder, {"synthesis": "Yosys 0.70"})
    return folder


def test_what_was_built_lies_beside_the_descriptor_which_has_its_digests(shipped, build):
    overlay = load_overlay(shipped)
    assert (shipped / "engine.bit").read_bytes() == (build / "engine.bit").read_bytes()
    assert set(overlay.files) == {"bitstream", "hwh"}
    for file in overlay.files.values():
        contents = (shipped / file.name).read_bytes()
        assert (file.size, file.sha256) == (len(contents), hashlib.sha256(contents).hexdigest())
    assert overlay.rtl.built == {"synthesis": "Yosys 0.70", "seed": "2"}
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((FOLDER / "rtl").glob("*.v")))).hexdigest()
    assert (overlay.rtl.sha256, overlay.rtl.parameters["BUILD"]) == (digest, int(digest[:7], 16))


def test_the_report_has_the_slowest_endpoint_of_each_part(shipped):
    report = json.loads((shipped / "report.json").read_text())
    assert report["mhz"] == 101.5 and report["cells"] == {"SLICE_LUTX": 22103}
    assert report["endpoints"] == {
        "array": {"endpoints": 1, "slowest_ns": 3.0}, "processor's ports": {"endpoints": 1, "slowest_ns": 2.0},
        "rest": {"endpoints": 1, "slowest_ns": 1.0}, "sequencer": {"endpoints": 2, "slowest_ns": 8.25}}
    assert report["critical_path"][1].split() == ["8.10", "ns", "routing", "a", "->", "b"]


def test_a_circuit_of_another_build_is_refused(shipped):
    overlay = load_overlay(shipped)
    with open_board("emulated") as board:
        board.configure(overlay)
        Engine(board, overlay).check_identity()
        other = load_overlay(shipped)
        other.rtl.parameters["BUILD"] += 1
        with pytest.raises(ForeignBitstreamError, match="the circuit is of build .* its descriptor of .*configure"):
            Engine(board, other).check_identity()
