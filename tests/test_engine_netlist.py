"""What yosys makes of the engine, in cells of the chip, does what the oracle says (registers: with the others)."""

from __future__ import annotations

import re

import numpy as np
import pytest
from engine_bench.cases import Config, make_case
from engine_bench.disturb import KINDS, disturb
from engine_bench.hostile import make_hostile
from engine_bench.play import Player
from engine_boards import engine_board, need_simulator

pytestmark = pytest.mark.slow

SMALL = Config(4, 2, 4)
CASES = {"steady": (30, 20, 2), "rough": (10, 10, 1)}  # right, wrong, broken off in each way; by how memory answers


@pytest.fixture(scope="module", params=CASES)
def player(request, engine_netlist):
    """A player, and how much it plays."""
    need_simulator()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(engine_netlist.parent))
        with engine_board("rtl", SMALL, netlist=engine_netlist, stalls=request.param) as board:
            yield Player(board), CASES[request.param]


def test_it_is_made_of_cells(engine_netlist):
    text = (engine_netlist / "engine.v").read_text()
    assert text.count("RAMB36E1 #(") >= 16
    assert text.count("LUT6 #(") >= 1000
    assert "always" not in text


def test_no_lut_has_one_net_at_several_inputs(engine_netlist):
    # nextpnr (7c0c1c4) writes a wrong table for those that the router brings to one pin
    text = (engine_netlist / "engine.v").read_text()
    luts = re.findall(r"\bLUT([1-6]) #\(.*?\) \S.*?\((.*?)\);", text, flags=re.DOTALL)
    assert len(luts) > 4000
    for size, pins in luts:
        nets = re.findall(r"\.I\d\((.*?)\)", pins)
        assert len(nets) == len(set(nets)) == int(size), pins


def test_right_programs_give_in_the_netlist_what_the_oracle_says(player):
    board, (right, _, _) = player
    for seed in range(right):
        assert board.play(make_case(seed, SMALL)).differences == [], seed


def test_wrong_programs_end_in_the_netlist_with_the_error_of_the_oracle(player):
    board, (_, wrong, _) = player
    for seed in range(wrong):
        assert board.play(*make_hostile(seed, SMALL)).differences == [], seed


@pytest.mark.parametrize("kind", KINDS)
def test_a_netlist_that_was_broken_off_gives_the_right_thing_afterwards(player, kind):
    board, (_, _, broken) = player
    for seed in range(broken):
        found = disturb(board, make_case(seed, SMALL), kind, np.random.default_rng(seed))
        assert found.differences == [], seed
