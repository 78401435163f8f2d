"""Cycles of the engine's twin: those that the circuit's own counters showed in simulation, and what follows from it."""

from __future__ import annotations

import pytest
from engine_words import (
    BUSY,
    CYCLES,
    EXPIRED,
    INPUT,
    OUTPUT,
    WAIT_DRAIN,
    WAIT_LOAD,
    WAIT_STORE,
    WATCHDOG,
    Rig,
    end,
    layer,
    load,
    store,
)

BANKS = 2


def fed(words, **fields):
    return layer(n0=words, safe=255, **fields)


def dense(vectors):
    """Three dense layers and raw sums, double buffers; each group waits for the input of the next one."""
    words = 13 * vectors
    return [load(BANKS, INPUT, 0, 0, words, flags="f"), load(BANKS, INPUT, 0, 0, words, alt=16, flags="n"),
            layer(n0=13, rgs=32, wrow=13, wsh=1, beta=1, in_alt=16, out_ptr=64, flags="l"),
            layer(n0=16, rgs=32, wrow=16, in_ptr=64, out_ptr=96), layer(n0=16, rgs=32, wrow=16, in_ptr=96, out_ptr=128),
            layer(n0=16, raw=1, nt=4, in_ptr=128, out_ptr=200, st_oplane=1), store(OUTPUT, 200, 0, 16), end()]


def programs(vectors):
    """By name: instructions, groups."""
    three, four = {"nt": 3, "ob": 2}, {"nt": 15, "ob": 4}
    window = {"ob": 2, "n0": 2, "kx": 2, "ky": 2}
    short = load(BANKS, INPUT, 0, 0, 40)
    return {
        "nothing": ([end()], 1), "nothing in ten groups": ([end()], 10),
        "a word": ([fed(1), end()], 1), "three layers": ([fed(100)] * 3 + [end()], 1),
        "row groups that wait for thresholds": ([fed(10, rgs=8, **four), end()], 1),
        "row groups of few words": ([fed(3, rgs=8), end()], 1), "row groups": ([fed(20, rgs=8), end()], 1),
        "raw sums": ([fed(10, raw=1, nt=8), end()], 1), "raw row groups": ([fed(10, raw=1, nt=6, rgs=3), end()], 1),
        "pool": ([layer(True, ox=4, oy=4, **window), end()], 1),
        "pool behind a layer": ([fed(20, **three), layer(True, **window), end()], 1),
        "nothing is safe": ([layer(n0=50, **three)] * 2 + [end()], 1),
        "twenty words are safe": ([layer(n0=50, **three), layer(n0=50, safe=20, **three), end()], 1),
        "the second row group waits": ([layer(n0=50, **four), layer(n0=50, rgs=2, safe=60, **three), end()], 1),
        "wait for the drain": ([layer(n0=50, **three), fed(50, flags="d", **three), end()], 1),
        "load": ([load(BANKS, INPUT, 0, 0, 100), end()], 1), "load weights": ([load(0, 0, 0, 0, 1000), end()], 1),
        "three loads": ([short] * 3 + [end()], 1), "five loads": ([load(0, 0, 0, 0, 200)] * 5 + [end()], 1),
        "wait for a load": ([load(BANKS, INPUT, 0, 0, 100), fed(10, flags="l"), end()], 1),
        "load while computing": ([load(0, 0, 0, 0, 1000)] + [fed(100)] * 3 + [end()], 1),
        "store a word": ([store(OUTPUT, 0, 0, 1), end()], 1), "store": ([store(OUTPUT, 0, 0, 100), end()], 1),
        "two stores": ([store(OUTPUT, 0, 0, 20)] * 2 + [end()], 1),
        "wait for a store": ([store(OUTPUT, 0, 0, 20), fed(10, flags="s"), end()], 1),
        "store results": ([fed(30, **three), store(OUTPUT, 0, 0, 3), end()], 1),
        "store while computing": ([store(OUTPUT, 0, 0, 50), fed(250), fed(250), end()], 1),
        "groups": ([layer(n0=20)] * 4 + [end()], 10),
        "instructions that are skipped": (
            [load(BANKS, INPUT, 0, 0, 16, flags="f"), layer(flags="f"), fed(20), end()], 5),
        "a dense network": (dense(vectors), 20),
        "no instruction": ([[0]], 1), "out of range": ([store(INPUT, 0, 0, 1), end()], 1),
    }


# CYCLES, BUSY, WAIT_LOAD, WAIT_STORE, WAIT_DRAIN of the Verilog, simulated with memory that answers after 24 cycles:
# 32 elements with 4 vectors, 4 with 2.
MEASURED = {
    "nothing": ((7, 0, 0, 0, 0), (7, 0, 0, 0, 0)),
    "nothing in ten groups": ((34, 0, 0, 0, 0), (34, 0, 0, 0, 0)),
    "a word": ((41, 1, 0, 0, 0), (34, 1, 0, 0, 0)),
    "three layers": ((350, 300, 0, 0, 0), (343, 300, 0, 0, 0)),
    "row groups that wait for thresholds": ((529, 80, 0, 0, 350), (522, 80, 0, 0, 350)),
    "row groups of few words": ((106, 24, 0, 0, 42), (92, 24, 0, 0, 35)),
    "row groups": ((200, 160, 0, 0, 0), (193, 160, 0, 0, 0)),
    "raw sums": ((165, 10, 0, 0, 0), (158, 10, 0, 0, 0)),
    "raw row groups": ((325, 30, 0, 0, 172), (318, 30, 0, 0, 172)),
    "pool": ((150, 128, 0, 0, 0), (150, 128, 0, 0, 0)),
    "pool behind a layer": ((88, 28, 0, 0, 33), (81, 28, 0, 0, 26)),
    "nothing is safe": ((183, 100, 0, 0, 29), (169, 100, 0, 0, 22)),
    "twenty words are safe": ((163, 100, 0, 0, 9), (149, 100, 0, 0, 2)),
    "the second row group waits": ((223, 150, 0, 0, 19), (209, 150, 0, 0, 12)),
    "wait for the drain": ((187, 100, 0, 0, 33), (173, 100, 0, 0, 26)),
    "load": ((143, 0, 0, 0, 0), (143, 0, 0, 0, 0)),
    "load weights": ((1043, 0, 0, 0, 0), (1043, 0, 0, 0, 0)),
    "three loads": ((223, 0, 57, 0, 0), (223, 0, 57, 0, 0)),
    "five loads": ((1163, 0, 661, 0, 0), (1163, 0, 661, 0, 0)),
    "wait for a load": ((182, 10, 124, 0, 0), (175, 10, 124, 0, 0)),
    "load while computing": ((1043, 300, 0, 0, 0), (1043, 300, 0, 0, 0)),
    "store a word": ((56, 0, 0, 1, 0), (52, 0, 0, 1, 0)),
    "store": ((662, 0, 0, 100, 0), (652, 0, 0, 100, 0)),
    "two stores": ((353, 0, 0, 184, 0), (333, 0, 0, 174, 0)),
    "wait for a store": ((221, 10, 0, 164, 0), (204, 10, 0, 154, 0)),
    "store results": ((143, 30, 0, 3, 0), (128, 30, 0, 3, 0)),
    "store while computing": ((601, 500, 0, 50, 0), (594, 500, 0, 50, 0)),
    "groups": ((1815, 800, 0, 0, 708), (1535, 800, 0, 0, 435)),
    "instructions that are skipped": ((268, 101, 0, 0, 0), (261, 101, 0, 0, 0)),
    "a dense network": ((33347, 29120, 1662, 320, 1246), (32445, 29120, 1124, 320, 819)),
    "no instruction": ((7, 0, 0, 0, 0), (7, 0, 0, 0, 0)),
    "out of range": ((12, 0, 0, 0, 0), (12, 0, 0, 0, 0)),
}


@pytest.mark.parametrize("name", sorted(MEASURED))
@pytest.mark.parametrize("size", [0, 1])
def test_counters_are_those_of_the_simulated_circuit(name, size):
    pe, vectors = ((32, 4), (4, 2))[size]
    rig = Rig(pe, vectors, 1 << 20)
    for number, base in enumerate(rig.bases):
        rig.region(number, base, 1 << 20, 1024)
    instructions, groups = programs(vectors)[name]
    rig.run(*instructions, groups=groups)
    found = tuple(rig.twin.read(offset) for offset in (CYCLES, BUSY, WAIT_LOAD, WAIT_STORE, WAIT_DRAIN))
    assert found == MEASURED[name][size]


def test_every_program_was_measured():
    assert set(programs(2)) == set(MEASURED)


def cycles(*instructions, groups=1, pe=4, vectors=2):
    rig = Rig(pe, vectors, 1 << 18)
    assert rig.run(*instructions, groups=groups) & 2
    return rig.twin.read(CYCLES)


@pytest.mark.parametrize("vectors", [2, 4, 6, 8])
def test_a_store_takes_a_read_of_the_banks_a_word_from_the_array(vectors):
    computing = [fed(250)] * 8
    alone, both = cycles(*computing, end(), vectors=vectors), cycles(store(OUTPUT, 0, 0, 50), *computing, end(),
                                                                      vectors=vectors)
    assert 50 <= both - alone <= 60


@pytest.mark.parametrize("target, late", [(0, 0), (1, 0), (2, 80)])
def test_a_load_into_the_banks_waits_for_results_that_are_written(target, late):
    """Ten row groups of 8 nibbles write 32 planes each; those that come while words are handed out are in its way."""
    words = 3000
    alone = cycles(load(target, 0, 0, 0, words), end())
    both = cycles(load(target, 0, 0, 0, words), fed(4, raw=1, nt=8, rgs=10), end())
    assert late <= both - alone <= 320 if late else both == alone


def test_a_load_that_waits_in_the_queue_comes_behind_one_that_is_late():
    first, second = load(2, 0, 0, 0, 1500), load(0, 0, 0, 0, 1500)
    alone = cycles(first, second, end())
    late = cycles(first, second, fed(4, raw=1, nt=8, rgs=10), end())
    assert 80 <= late - alone <= 320


def test_programs_are_read_ahead_while_a_layer_runs():
    """Ten instructions more cost ten starts of a layer, and not their words."""
    assert cycles(*[fed(50)] * 12, end()) - cycles(*[fed(50)] * 2, end()) == 10 * 55


def test_the_cycles_of_a_group_repeat():
    program = dense(4)
    rig = Rig(16, 4, 1 << 20)
    for number, base in enumerate(rig.bases):
        rig.region(number, base, 1 << 20, 1024)
    found = []
    for groups in (10, 11, 12, 40):
        assert rig.run(*program, groups=groups) & 2
        found.append(rig.twin.read(CYCLES))
    assert found[1] - found[0] == found[2] - found[1] == (found[3] - found[2]) / 28


@pytest.mark.parametrize("limit, good", [(2000, True), (1000, False)])
def test_the_watchdog_counts_from_what_was_finished_last(limit, good):
    rig = Rig()
    rig.twin.write(WATCHDOG, limit)
    status = rig.run(fed(250, rgs=6), fed(250, rgs=6), end())
    assert bool(status & 2) == good and (good or status >> 8 & 255 == EXPIRED)
