"""The registers of the engine: the same from both boards and from the netlist, and what the description says."""
from __future__ import annotations

import pytest
from engine_bench.cases import Config, Run
from engine_bench.fields import END, LAYER, encode
from engine_bench.oracle import Region
from engine_bench.play import Player, Registers
from engine_boards import engine_board, need_simulator

R = Registers
SMALL = Config(4, 2, 4)
# 20,000 words that are fed, and as many results.
LONG = encode(LAYER, out_ptr=100, ox=200, oy=100, in_ring=12, out_ring=12, in_w=1, in_h=1) + encode(END)
NOWHERE = (Region(),) * 4


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("rtl", "netlist")]


@pytest.fixture(scope="module", params=["emulated", *SLOW])
def board(request, tmp_path_factory):
    kind, netlist, cache = request.param, None, None
    if kind != "emulated":
        need_simulator()
        cache = tmp_path_factory.mktemp("circuit")
    if kind == "netlist":
        kind, netlist = "rtl", request.getfixturevalue("engine_netlist")
        cache = netlist.parent
    with pytest.MonkeyPatch.context() as patch:
        if cache:
            patch.setenv("XDG_CACHE_HOME", str(cache))
        with engine_board(kind, SMALL, netlist=netlist) as board:
            yield board


@pytest.fixture
def player(board):
    player = Player(board)
    player.write(R.CONTROL, R.RESET)
    while player.read(R.STATUS) & R.IS_BUSY:
        board.clock.sleep(1e-6)
    return player


def begin(player, words=LONG, groups=1, **more):
    player.start(Run("run", words, groups, NOWHERE, **more), 0)


def line(board):
    """The interrupt line, a few cycles later: it comes from a flip-flop."""
    board.clock.sleep(1e-7)
    return board.twin.interrupt


def test_what_the_circuit_says_of_itself(player):
    assert player.read(R.MAGIC) == 0x514E4E45
    assert player.read(R.VERSION) == 0x00010000
    assert player.read(R.CAPS0) == 4 | 2 << 8 | 64 << 16 | 24 << 24
    assert player.read(R.CAPS1) == 1536 | 2048 << 16
    assert player.read(R.CAPS2) == 512 | 1024 << 16


@pytest.mark.parametrize("offset", [R.MAGIC, R.VERSION, R.CAPS0, R.CAPS1, R.CAPS2, R.STATUS, R.PICTURES, R.CYCLES])
def test_what_is_only_read_stays_what_it_is(player, offset):
    before = player.read(offset)
    player.write(offset, ~before & 0xFFFFFFFF)
    assert player.read(offset) == before


@pytest.mark.parametrize("offset", [R.SCRATCH, R.WATCHDOG, *range(R.REGIONS, R.REGIONS + 64, 16)])
def test_registers_hold_all_of_their_bits(player, offset):
    for value in (0xFFFFFFFF, 0x80000001, 0x12345678, 0):
        player.write(offset, value)
        assert player.read(offset) == value


@pytest.mark.parametrize("offset", [0x04C, 0x05C, 0x090, 0x100, 0x3FFC, R.PROGRAM, R.PROGRAM + 8, 0x5FFC, 0x6000])
def test_what_is_not_there_reads_0(player, offset):
    if offset >= R.PROGRAM:
        player.write(offset, 0xFFFFFFFF)
    assert player.read(offset) == 0


def test_a_run_ends_with_done_and_an_interrupt_where_it_is_enabled(player, board):
    player.start(Run("run", encode(END), 3, NOWHERE), 0)
    assert player.wait() & 0xFFFF == R.IS_DONE
    assert player.read(R.PICTURES) == 3 * SMALL.V
    assert player.read(R.IRQ_STATUS) == 1
    assert line(board)
    player.write(R.IRQ_ENABLE, 2)
    assert not line(board)
    player.write(R.IRQ_ENABLE, 1)
    assert line(board)
    player.write(R.IRQ_STATUS, 2)
    assert player.read(R.IRQ_STATUS) == 1
    player.write(R.IRQ_STATUS, 1)
    assert player.read(R.IRQ_STATUS) == 0
    assert not line(board)


def test_an_error_stays_until_the_next_start(player, board):
    begin(player, [0])
    assert player.wait() & 0xFFFF == R.IS_ERROR | 1 << 8
    assert player.read(R.IRQ_STATUS) == 2
    assert line(board)
    player.start(Run("run", encode(END), 1, NOWHERE), 0)
    assert player.wait() & 0xFFFF == R.IS_DONE


def test_a_run_counts_its_cycles_and_the_words_that_it_feeds(player):
    begin(player)
    assert player.wait() & 0xFFFF == R.IS_DONE
    assert player.read(R.BUSY) == 20000
    assert player.read(R.CYCLES) >= 20000
    counted = [player.read(offset) for offset in (R.CYCLES, R.BUSY, R.WAIT_LOAD, R.WAIT_STORE, R.WAIT_DRAIN)]
    assert counted == [player.read(offset) for offset in (R.CYCLES, R.BUSY, R.WAIT_LOAD, R.WAIT_STORE, R.WAIT_DRAIN)]


def test_while_busy_writes_are_ignored_but_for_control_and_interrupts(player):
    begin(player)
    for offset in (R.SCRATCH, R.GROUPS, R.WATCHDOG, *range(R.REGIONS, R.REGIONS + 64, 4)):
        player.write(offset, 0x55)
    player.write(R.PROGRAM, 0)
    player.write(R.PROGRAM + 4, 0)
    player.write(R.CONTROL, R.START)
    player.write(R.IRQ_ENABLE, 2)
    assert player.read(R.STATUS) & 0xF == R.IS_BUSY
    assert player.wait() & 0xFFFF == R.IS_DONE
    assert player.read(R.IRQ_ENABLE) == 2
    assert [player.read(offset) for offset in (R.SCRATCH, R.GROUPS, R.WATCHDOG)] == [0, 1, R.PATIENCE]
    assert [player.read(offset) for offset in range(R.REGIONS, R.REGIONS + 64, 4) if offset % 16 != 12] == [0] * 12
    player.write(R.CONTROL, R.START)
    assert player.wait() & 0xFFFF == R.IS_DONE
    assert player.read(R.BUSY) == 20000


def test_an_abort_shows_as_one_and_leaves_done_and_error_alone(player):
    begin(player)
    player.write(R.CONTROL, R.ABORT)
    status = player.wait()
    assert status & 0xF == R.IS_ABORTED
    assert player.read(R.IRQ_STATUS) == 0
    begin(player, encode(END))
    assert player.wait() & 0xFFFF == R.IS_DONE


def test_an_abort_of_nothing_does_nothing(player):
    begin(player, encode(END))
    before = player.wait()
    player.write(R.CONTROL, R.ABORT)
    assert player.read(R.STATUS) == before


@pytest.mark.parametrize("limit", [0, 1, 100])
def test_the_watchdog_bites(player, limit):
    begin(player, watchdog=limit)
    assert player.wait() & 0xFFFF == R.IS_ERROR | 5 << 8


def test_no_groups_are_no_program(player):
    begin(player, encode(END), groups=0)
    assert player.wait() & 0xFFFF == R.IS_ERROR | 1 << 8
    assert player.read(R.PICTURES) == 0


def test_groups_go_up_to_65535(player):
    begin(player, encode(END), groups=65535)
    assert player.wait() & 0xFFFF == R.IS_DONE
    assert player.read(R.PICTURES) == 65535 * SMALL.V
