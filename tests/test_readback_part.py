"""Bitstreams of the real part, read back with its database: a published one, and the engine's, which is simulated.

The database is no part of the project: $QNN_PYNQ_PART_DATABASE, or an archive in the folder of shared data. The
engine's bitstream is the shipped one, or that of $QNN_PYNQ_READBACK: `engine.bit:4x2x4` for 4 elements, 2 vectors and
banks of 4 blocks.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from engine_bench.cases import Config, make_case
from engine_bench.disturb import KINDS, disturb
from engine_bench.hostile import make_hostile
from engine_bench.play import Player
from engine_boards import engine_board, need_simulator

from qnn_pynq.catalogue import find_overlay

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from readback import cli  # noqa: E402

pytestmark = pytest.mark.slow

PUBLISHED = "lfcW1A1-pynqZ1-Z2.bit"
# What top.v gives to the PS7 for good: widths of words, increasing bursts, cacheable, all bytes.
ALWAYS = ("BURST0", "CACHE0", "CACHE1", "SIZE0", "SIZE1")
ONES = ["FPGAIDLEN", *(f"SAXIHP0A{way}{name}" for way in "RW" for name in ALWAYS),
        *(f"SAXIHP0WSTRB{byte}" for byte in range(8))]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The part's database."""
    if os.environ.get(cli.VARIABLE):
        return Path(os.environ[cli.VARIABLE])
    archive = ROOT.parent / "shared" / "fpga" / "xc7z020-db.tar.xz"
    if not archive.exists():
        pytest.skip(f"no database of the part: set {cli.VARIABLE}")
    folder = tmp_path_factory.mktemp("part")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return next(folder.glob("**/zynq7"))


def read_back(database, bitstream, report, *options):
    """Status and report of the command."""
    status = cli.main([str(bitstream), "--database", str(database), "--report", str(report), *map(str, options)])
    return status, json.loads(report.read_text())


@pytest.fixture(scope="module")
def engine(database, tmp_path_factory):
    """The engine's bitstream, read back: size, report, and a folder of Verilog."""
    if os.environ.get("QNN_PYNQ_READBACK"):
        name, size = os.environ["QNN_PYNQ_READBACK"].rsplit(":", 1)
        bitstream, config = Path(name), Config(*map(int, size.split("x")))
    else:
        overlay = find_overlay("engine-z7020-32x2")
        bitstream = overlay.path / overlay.files["bitstream"].name
        sizes = overlay.geometry
        config = Config(sizes["pe"], sizes["vectors"], sizes["bank_words"] // 512)
    folder = tmp_path_factory.mktemp("readback")
    sources = folder / "sources"
    shutil.copytree(str(ROOT / "tests" / "engine_bench" / "cells"), str(sources))
    status, report = read_back(database, bitstream, folder / "report.json", "--verilog", sources / "engine.v")
    assert status == 0, report["faults"]
    return config, report, sources


def test_a_published_bitstream_is_explained_but_for_five_bits(database, golden, tmp_path):
    path = golden / "bnn-pynq" / "bitstreams" / PUBLISHED
    if not path.exists():
        pytest.skip(f"{PUBLISHED} is not among the data")
    status, report = read_back(database, path, tmp_path / "report.json")
    assert status == 1  # cascades of block RAMs, and wires at the edges, are not in the database
    assert report["bits"] == {"set": 2_054_964, "unexplained": 5}
    assert report["switches"]["contested"] == 0
    assert report["switches"]["driven"] > 0.995 * report["switches"]["switches"]


def test_the_engine_s_packets_are_those_of_a_published_bitstream(database, engine, golden):
    _, report, _ = engine
    theirs = cli.sequence(cli.parse((golden / "bnn-pynq" / "bitstreams" / PUBLISHED).read_bytes()))
    ours = ["CRC" if line == "CMD RCRC" and other.startswith("CRC ") else line
            for line, other in zip(report["packets"], theirs)]
    assert ours == [line.split()[0] if line.startswith("CRC") else line for line in theirs]


def test_every_bit_every_switch_and_every_cell_of_the_engine_is_accounted_for(engine):
    _, report, _ = engine
    assert report["bits"]["unexplained"] == 0
    assert report["switches"]["driven"] == report["switches"]["switches"] > 100_000
    assert report["switches"]["contested"] == report["switches"]["undriven"] == 0
    assert report["cells"]["flip-flops that nothing reads"] == 0
    assert report["cells"]["halves of block RAMs that nothing reads"] == 0
    assert report["PS7"]["clocked"] == ["MAXIGP0ACLK", "SAXIHP0ACLK"]
    assert report["PS7"]["constant one"] == sorted(ONES)


@pytest.fixture(scope="module")
def player(engine):
    """The read-back netlist on the simulated board."""
    need_simulator()
    config, _, sources = engine
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(sources.parent))
        with engine_board("rtl", config, netlist=sources) as board:
            yield Player(board), config


def test_the_bitstream_does_what_the_oracle_says(player):
    board, config = player
    for seed in range(10):
        assert board.play(make_case(seed, config)).differences == [], seed


def test_wrong_programs_end_in_the_bitstream_with_the_error_of_the_oracle(player):
    board, config = player
    for seed in range(10):
        assert board.play(*make_hostile(seed, config)).differences == [], seed


@pytest.mark.parametrize("kind", KINDS)
def test_a_bitstream_that_was_broken_off_gives_the_right_thing_afterwards(player, kind):
    board, config = player
    assert disturb(board, make_case(0, config), kind, np.random.default_rng(0)).differences == []
