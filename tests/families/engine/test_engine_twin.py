"""The engine's twin by its registers: programs over groups, transfers, errors, abort, resets, interrupts, faults."""

from __future__ import annotations

import numpy as np
import pytest
from engine_words import (
    ABORT,
    AXI_READ,
    AXI_WRITE,
    BUSY,
    CAPS0,
    CAPS1,
    CAPS2,
    CONTROL,
    CYCLES,
    EXPIRED,
    GROUPS,
    IMAGE,
    INPUT,
    IRQ_ENABLE,
    IRQ_STATUS,
    MAGIC,
    OUT_OF_RANGE,
    OUTPUT,
    PICTURES,
    RESET,
    SCRATCH,
    SCRATCH_REGION,
    START,
    STATUS,
    VERSION,
    WAIT_DRAIN,
    WAIT_LOAD,
    WAIT_STORE,
    WATCHDOG,
    Circuit,
    Rig,
    end,
    layer,
    load,
    store,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq.faults import Fault, FaultPlan

LONG = layer(n0=200, rgs=8, safe=255)  # 1,600 cycles


def words(rng, count):
    return rng.integers(0, 1 << 63, count, np.uint64) * np.uint64(2) + np.uint64(1)


# -- registers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pe, vectors, depth", [(4, 2, 2048), (16, 4, 2048), (32, 6, 1536), (32, 8, 1024)])
def test_the_circuit_says_what_it_is(pe, vectors, depth):
    read = Rig(pe, vectors).twin.read
    assert read(MAGIC) == 0x514E4E45 and read(VERSION) == 0x00010000
    assert read(CAPS0) == pe | vectors << 8 | 64 << 16 | 24 << 24
    assert read(CAPS1) == 1536 | depth << 16 and read(CAPS2) == 512 | 1024 << 16


def test_registers_hold_what_is_written_while_idle_and_lose_it_by_a_soft_reset():
    rig = Rig()
    held = [SCRATCH, WATCHDOG, *(0x50 + 16 * r + 4 * k for r in range(4) for k in range(3))]
    for number, offset in enumerate(held):
        rig.twin.write(offset, 0xF0000000 + number)
    assert [rig.twin.read(offset) for offset in held] == [0xF0000000 + number for number in range(len(held))]
    rig.twin.write(GROUPS, 0x10003)
    assert rig.twin.read(GROUPS) == 3
    rig.twin.write(IRQ_ENABLE, 0xFF)
    assert rig.twin.read(IRQ_ENABLE) == 3
    rig.twin.write(CONTROL, RESET)
    assert [rig.twin.read(offset) for offset in held] == [0, 0x00FFFFFF] + 12 * [0]
    assert rig.twin.read(IRQ_ENABLE) == rig.twin.read(GROUPS) == rig.twin.read(STATUS) == 0


@pytest.mark.parametrize("offset", [0x1C, 0x2000, 0x4000, 0x4004, 0x5FFC, 0x6000, 0x5C, 0x90, 0x4C])
def test_what_is_not_mapped_or_written_only_reads_0(offset):
    rig = Rig()
    rig.write_program(LONG)
    if offset != CONTROL:
        rig.twin.write(offset, 0xFFFFFFFF)
    assert rig.twin.read(offset) == 0


def test_constants_cannot_be_written():
    rig = Rig()
    for offset in (MAGIC, VERSION, 0x08, CAPS0, CAPS1, CAPS2, STATUS, PICTURES, CYCLES, BUSY):
        before = rig.twin.read(offset)
        rig.twin.write(offset, 0xFFFFFFFF)
        assert rig.twin.read(offset) == before


def test_the_upper_half_commits_a_program_word():
    rig = Rig()
    rig.twin.write(0x4000, end()[0])
    assert rig.run() & 4  # word 0 is still 0
    rig.twin.write(0x4004, 0)
    assert rig.run() & 2


def test_writes_while_busy_are_ignored_but_for_control_and_interrupts():
    rig = Rig()
    rig.start(LONG, end())
    for offset in (SCRATCH, GROUPS, WATCHDOG, 0x50, 0x78):
        before = rig.twin.read(offset)
        rig.twin.write(offset, 77)
        assert rig.twin.read(offset) == before
    rig.write_program([0])
    rig.twin.write(IRQ_ENABLE, 1)
    assert rig.twin.read(STATUS) & 0xF == 1
    assert rig.finish() & 2 and rig.twin.interrupt
    assert rig.run(groups=1) & 2  # the program is what it was


def test_a_start_while_busy_is_lost_and_one_with_other_bits_is_none():
    rig = Rig()
    rig.write_program(LONG, end())
    rig.twin.write(GROUPS, 1)
    for value in (START | ABORT, 0, 8):
        rig.twin.write(CONTROL, value)
        assert not rig.twin.read(STATUS) & 1
    rig.start()
    until = rig.twin.busy_until
    rig.twin.write(CONTROL, START)
    assert rig.twin.busy_until == until and rig.finish() & 2 and rig.twin.runs == 1


def test_interrupts_of_done_and_error():
    rig = Rig()
    rig.twin.write(IRQ_ENABLE, 2)
    rig.run(end())
    assert rig.twin.read(IRQ_STATUS) == 1 and not rig.twin.interrupt
    rig.twin.write(IRQ_ENABLE, 1)
    assert rig.twin.interrupt
    rig.twin.write(IRQ_STATUS, 2)
    assert rig.twin.interrupt
    rig.twin.write(IRQ_STATUS, 1)
    assert not rig.twin.interrupt and rig.twin.read(IRQ_STATUS) == 0
    rig.run([0])
    assert rig.twin.read(IRQ_STATUS) == 2 and not rig.twin.interrupt
    rig.twin.write(IRQ_ENABLE, 2)
    assert rig.twin.interrupt


def test_counters_say_what_the_array_did():
    rig = Rig()
    rig.run(LONG, LONG, end(), groups=3)
    read = rig.twin.read
    assert read(BUSY) == 3 * 2 * 1600 and read(PICTURES) == 3 * 2
    assert read(BUSY) < read(CYCLES) < 1.02 * read(BUSY)
    assert read(WAIT_LOAD) == read(WAIT_STORE) == 0
    rig.run(load(2, 1, 0, 0, 100), layer(flags="l"), end())
    assert 100 < read(WAIT_LOAD) < read(CYCLES) and read(BUSY) == 1 and read(PICTURES) == 2
    rig.run(layer(nt=15, ob=4), layer(), end())
    assert 60 < read(WAIT_DRAIN) < read(CYCLES)
    rig.run(store(2, 0, 0, 20), layer(flags="s"), end())
    assert 100 < read(WAIT_STORE) < read(CYCLES)


def test_a_run_takes_the_time_of_its_cycles_and_pictures_come_group_by_group():
    rig = Rig()
    rig.start(LONG, end(), groups=4)
    begun = rig.clock.now()
    seen = set()
    while rig.twin.read(STATUS) & 1:
        seen.add(rig.twin.read(PICTURES))
        rig.clock.advance(1e-6)
    assert seen >= {0, 2, 4, 6} and rig.twin.read(PICTURES) == 8
    assert rig.clock.now() - begun == pytest.approx(rig.twin.read(CYCLES) * 1e-8, abs=3e-6)


# -- transfers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pe, vectors", [(4, 2), (16, 4), (32, 6)])
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_load_deals_words_out_in_turn(pe, vectors, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    target, count = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 700))
    to, ring = data.draw(st.integers(0, 4095)), data.draw(st.integers(0, 15))
    circuit, rig = Circuit(pe, vectors, 1), Rig(pe, vectors)
    circuit.give_to(rig.twin)
    source = words(rng, count)
    rig.regions[IMAGE][16 : 16 + count] = source
    assert rig.run(load(target, IMAGE, to, 128, count, ring=ring), end()) & 2
    circuit.load(target, to, source, ring=ring)
    assert circuit.agrees_with(rig.twin)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 4095), st.integers(1, 300), st.integers(0, 15), st.sampled_from([2, 6, 8]))
def test_a_store_interleaves_the_banks(source, count, ring, vectors):
    circuit, rig = Circuit(4, vectors, 2), Rig(4, vectors)
    circuit.give_to(rig.twin)
    for region in rig.regions:
        region[:] = 7
    assert rig.run(store(OUTPUT, source, 256, count, ring=ring), end()) & 2
    expected = np.full(8192, 7, np.uint64)
    expected[32 : 32 + count * vectors] = circuit.stored(source, count, ring=ring)
    assert np.array_equal(rig.regions[OUTPUT], expected)
    assert all((region == 7).all() for number, region in enumerate(rig.regions) if number != OUTPUT)


def test_what_was_stored_can_be_loaded_again():
    rng = np.random.default_rng(0)
    circuit, rig = Circuit(4, 2, 3), Rig()
    circuit.give_to(rig.twin)
    data = words(rng, 40)
    rig.regions[INPUT][:40] = data
    program = [load(2, INPUT, 100, 0, 40), store(SCRATCH_REGION, 100, 1024, 20, flags="l"),
               load(2, SCRATCH_REGION, 500, 1024, 40, flags="s"), store(OUTPUT, 500, 0, 20, flags="l"), end()]
    assert rig.run(*program) & 2
    assert np.array_equal(rig.regions[OUTPUT][:40], data)


def test_groups_move_input_and_output_and_alternate_their_buffers():
    """Double buffers: the next group's input is loaded while one is computed."""
    rng = np.random.default_rng(1)
    groups, rig, model = 5, Rig(), Circuit(4, 2, 4)
    model.thresholds[:] = rng.integers(0, 40, model.thresholds.shape)
    model.give_to(rig.twin)
    fields = {"n0": 2, "rgs": 4, "wrow": 2, "in_ptr": 0, "in_alt": 64, "out_ptr": 8, "out_alt": 32}
    program = [load(2, INPUT, 0, 0, 4, flags="f"), load(2, INPUT, 0, 0, 4, alt=64, flags="nl"),
               layer(flags="s", **fields), store(OUTPUT, 8, 128, 1, alt=32), end()]
    rig.region(INPUT, rig.bases[INPUT], 128 * groups, 128)
    rig.region(OUTPUT, rig.bases[OUTPUT], 256 * groups, 256)
    rig.regions[INPUT][:] = source = words(rng, 8192)
    expected = np.zeros(8192, np.uint64)
    model.load(2, 0, source[:4])
    for group in range(groups):
        if group + 1 < groups:
            model.load(2, 0, source[16 * group + 16 : 16 * group + 20], alt=64, odd=not group & 1)
        model.run(odd=bool(group & 1), **fields)
        expected[32 * group + 16 : 32 * group + 18] = model.stored(8, 1, alt=32, odd=bool(group & 1))
    assert rig.run(*program, groups=groups) & 2
    assert np.array_equal(rig.regions[OUTPUT], expected) and model.agrees_with(rig.twin)
    assert rig.twin.read(PICTURES) == 2 * groups


def test_only_input_and_output_move_with_the_groups():
    rig = Rig()
    for number in range(4):
        rig.region(number, rig.bases[number], 4096, 128)
        rig.regions[number][:] = np.arange(8192) + (number << 32)
    program = [load(2, IMAGE, 0, 0, 2), load(2, INPUT, 1, 0, 2), store(SCRATCH_REGION, 0, 0, 2, flags="l"),
               store(OUTPUT, 0, 0, 2), end("s")]
    assert rig.run(*program, groups=3) & 2
    assert rig.regions[SCRATCH_REGION][:4].tolist() == [0, 1, (1 << 32) + 32, (1 << 32) + 33]
    assert rig.regions[SCRATCH_REGION][4:20].tolist() == [(3 << 32) + k for k in range(4, 20)]
    for group in range(3):
        moved = (1 << 32) + 16 * group
        assert rig.regions[OUTPUT][16 * group : 16 * group + 4].tolist() == [0, 1, moved, moved + 1]


def test_a_map_goes_through_rings_in_strips():
    """Rows come into a ring of input rows, convolved rows go into a ring that a pool reads; against the whole map."""
    rng = np.random.default_rng(5)
    size, pe, vectors = 12, 4, 2
    rig, model = Rig(pe, vectors), Circuit(pe, vectors, 9)
    model.thresholds[:] = rng.integers(150, 900, model.thresholds.shape)
    model.give_to(rig.twin)
    picture = words(rng, size * size * vectors)
    rig.regions[INPUT][: picture.size] = picture
    conv = {"kx": 3, "ky": 3, "st_kx": 1, "st_ky": size, "st_ox": 1, "st_oy": size, "ox": size - 2, "nt": 3, "ob": 2,
            "rgs": 2, "wrow": 9, "st_oplane": 1, "st_out": 2}
    width, row = size - 2, 2 * (size - 2)
    pool = {"ob": 2, "n0": 2, "st_0": 4095, "kx": 2, "ky": 2, "st_kx": 2, "st_ky": row, "st_ox": 4, "stride": 2,
            "ox": width // 2, "st_out": 2, "st_oplane": 1}
    # whole, in one piece, in the model
    model.load(2, 1024, picture)
    model.run(in_ptr=1024, out_ptr=1200, oy=size - 2, **conv)
    model.run(True, in_ptr=1201, out_ptr=1500, oy=width // 2, st_oy=2 * row, **pool)
    expected = model.stored(1500, width * width // 2)
    # in strips of two rows: rings of 64 words for the input (four rows of 12), of 64 for two rows of 20 words
    rig.regions[INPUT][:] = 0
    for line in range(size):  # in memory, rows begin with a burst
        rig.regions[INPUT][32 * line :][: size * vectors] = picture[size * vectors * line :][: size * vectors]
    program, loaded, place = [], 0, 0
    for strip in range(width // 2):
        for _ in range(4 if not strip else 2):
            program.append(load(2, INPUT, 512 | loaded * size % 64, 256 * loaded, size * vectors, ring=6))
            loaded += 1
        base = 512 | strip * 2 * size % 64
        program.append(layer(in_ptr=base, in_ring=6, out_ptr=640 | place, out_ring=6, oy=2, flags="l", **conv))
        program.append(layer(True, in_ptr=640 | (place + 1) % 64, in_ring=6, out_ptr=800 + strip * width, **pool))
        place = (place + 2 * row) % 64
    program += [store(OUTPUT, 800, 0, width * width // 2), end()]
    assert rig.run(*program) & 2
    assert rig.regions[OUTPUT][: len(expected)].tolist() == expected


# -- errors -------------------------------------------------------------------------------------------------


def failed(status):
    assert status & 0xF == 4
    return status >> 8 & 255, status >> 16


@pytest.mark.parametrize("instruction", [
    load(2, INPUT, 0, 64, 1), load(2, INPUT, 0, 8, 1), store(OUTPUT, 0, 8, 1), load(2, INPUT, 0, 128, 497),
    load(2, INPUT, 0, 4096, 1), load(2, INPUT, 0, 0xFFFFFF80, 1), store(OUTPUT, 0, 0, 257), store(OUTPUT, 0, 4096, 1),
    store(IMAGE, 0, 0, 1), store(INPUT, 0, 0, 1)])
def test_what_leaves_its_region_is_out_of_range(instruction):
    rig = Rig()
    for number in range(4):
        rig.region(number, rig.bases[number], 4096)
    before = [region.copy() for region in rig.regions]
    rig.twin.memories.banks[:] = 5
    assert failed(rig.run(LONG, instruction, end())) == (OUT_OF_RANGE, 6)
    assert all(map(np.array_equal, rig.regions, before))


def test_a_region_may_be_used_to_its_last_word():
    rig = Rig()
    for number in range(4):
        rig.region(number, rig.bases[number], 4096)
    assert rig.run(load(2, INPUT, 0, 128, 496), load(2, IMAGE, 0, 0, 512), store(OUTPUT, 0, 0, 256),
                   store(SCRATCH_REGION, 0, 3968, 8), end()) & 2


@pytest.mark.parametrize("region, base, stride, groups", [
    (INPUT, 64, 0, 1), (INPUT, 0, 64, 2), (INPUT, 0, 4096, 2), (INPUT, 0, 0xFFFFFF80, 2), (IMAGE, 8, 0, 1)])
def test_bases_and_strides_are_looked_at_too(region, base, stride, groups):
    rig = Rig()
    rig.region(region, rig.bases[region] + base, 4096, stride)
    assert failed(rig.run(load(2, region, 0, 0, 1), end(), groups=groups)) == (OUT_OF_RANGE, 0)


def test_a_load_for_the_next_group_is_looked_at_there():
    rig = Rig()
    rig.region(INPUT, rig.bases[INPUT], 256, 128)
    program = load(2, INPUT, 0, 0, 16, flags="n"), end()
    assert rig.run(*program, groups=2) & 2
    assert failed(rig.run(*program, groups=3)) == (OUT_OF_RANGE, 0)


@pytest.mark.parametrize("instruction, code", [
    (load(2, INPUT, 0, 0, 16), AXI_READ), (store(OUTPUT, 0, 0, 8), AXI_WRITE)])
def test_memory_that_is_not_there_is_an_error_of_the_port(instruction, code):
    rig = Rig()
    rig.region(INPUT, 0x08000000, 4096)
    rig.region(OUTPUT, 0x08000000, 4096)
    rig.twin.write(IRQ_ENABLE, 2)
    status = rig.run(instruction, LONG, end())
    assert failed(status)[0] == code and rig.twin.interrupt and rig.twin.read(CYCLES) < 200
    assert rig.run(LONG, end()) & 0xFF0E == 2  # and the next run is right


def test_the_first_error_wins():
    rig = Rig()
    rig.region(INPUT, 0x08000000, 4096)
    rig.region(OUTPUT, 0x08000000, 4096)
    assert failed(rig.run(load(2, INPUT, 0, 0, 16), layer(flags="l"), [0]))[0] == AXI_READ
    assert failed(rig.run(store(OUTPUT, 0, 0, 200), [0])) == (1, 2)


@pytest.mark.parametrize("limit", [0, 1, 100, 1599])
def test_the_watchdog_bites_where_nothing_is_finished(limit):
    rig = Rig()
    rig.twin.write(WATCHDOG, limit)
    code, word = failed(rig.run(LONG, end()))
    assert code == EXPIRED and rig.twin.read(CYCLES) < limit + 40 and (word == 6 or limit < 12)


def test_the_watchdog_is_content_with_bursts_and_instructions():
    rig = Rig()
    rig.twin.write(WATCHDOG, 300)
    assert rig.run(load(0, IMAGE, 0, 0, 8000), layer(n0=200, flags="l", safe=255), layer(n0=200, safe=255), end()) & 2
    assert rig.run(store(OUTPUT, 0, 0, 2000), end()) & 2


def test_status_is_cleared_by_the_next_start():
    rig = Rig()
    assert rig.run([0]) & 4
    rig.start(LONG, end())
    assert rig.twin.read(STATUS) & 0xFFFF == 1
    assert rig.finish() & 0xFFFF == 2


# -- abort and resets ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 60e-6), st.sampled_from([ABORT, RESET]))
def test_abort_and_soft_reset_end_a_run_soon_whenever_they_come(moment, how):
    rng = np.random.default_rng(8)
    circuit, rig = Circuit(4, 2, 6), Rig()
    circuit.give_to(rig.twin)
    rig.regions[INPUT][:1024] = words(rng, 1024)
    program = [load(2, INPUT, 0, 0, 1024), LONG, store(OUTPUT, 0, 0, 500, flags="l"), LONG, end()]
    rig.start(*program, groups=2)
    rig.clock.advance(moment)
    rig.twin.write(CONTROL, how)
    asked = rig.clock.now()
    status = rig.finish()
    assert rig.clock.now() - asked < 20e-6
    assert status == 0 if how == RESET else status & 0xFF0E in (8, 2)
    if how == RESET:
        for number, base in enumerate(rig.bases):
            rig.region(number, base, 1 << 16)
        assert rig.twin.read(CYCLES) == rig.twin.read(PICTURES) == 0
    # whole bursts, from the first on, and nothing else
    out = rig.regions[OUTPUT]
    count = int((out != 0).sum())
    assert out[:count].all() and (count % 16 == 0 or count == 1000)
    # the next run is right
    out[:] = 0
    circuit.give_to(rig.twin)
    assert rig.run(load(2, INPUT, 0, 0, 1024), store(OUTPUT, 0, 0, 512, flags="l"), end()) & 0xFF0E == 2
    assert np.array_equal(out[:1024], rig.regions[INPUT][:1024])


def test_an_abort_shows_at_once_and_gives_no_interrupt():
    rig = Rig()
    rig.twin.write(IRQ_ENABLE, 3)
    rig.start(LONG, end())
    rig.twin.write(CONTROL, ABORT)
    assert rig.finish() & 0xFF0E == 8
    assert not rig.twin.interrupt and rig.twin.read(IRQ_STATUS) == 0
    rig.twin.write(CONTROL, ABORT)
    assert rig.twin.read(STATUS) & 0xF == 8


def test_memories_and_program_survive_a_soft_reset():
    rig, circuit = Rig(), Circuit(4, 2, 3)
    circuit.give_to(rig.twin)
    rig.write_program(end())
    rig.twin.write(CONTROL, RESET)
    assert circuit.agrees_with(rig.twin)
    assert rig.run(groups=1) & 2
    rig.twin.reset()
    assert circuit.agrees_with(rig.twin) and rig.twin.read(STATUS) == 0


# -- faults -------------------------------------------------------------------------------------------------


def afflicted(kind, amount=0.5, place=3):
    """A rig whose first run goes wrong; it loads weights and writes two words."""
    plan = FaultPlan(faults=[Fault(kind, 0, amount, place)])
    rig = Rig(faults=plan)
    rig.regions[IMAGE][:] = 3
    rig.program = [load(0, IMAGE, 0, 0, 64), load(2, INPUT, 0, 0, 64, flags="l"),
                   store(OUTPUT, 0, 0, 16, flags="l"), end()]
    rig.regions[INPUT][:64] = 9
    return rig


def test_a_hang_needs_a_new_configuration():
    rig = afflicted("hang")
    rig.start(*rig.program)
    for value in (ABORT, RESET, START):
        rig.twin.write(CONTROL, value)
        rig.clock.advance(10)
        assert rig.twin.read(STATUS) & 0xF == 1
    assert not rig.regions[OUTPUT].any()


def test_a_lost_done_leaves_the_data():
    rig = afflicted("lost done")
    rig.start(*rig.program)
    rig.clock.advance(1)
    assert rig.twin.read(STATUS) & 0xF == 0 and rig.twin.read(IRQ_STATUS) == 0
    assert (rig.regions[OUTPUT][:32] == 9).all()
    assert rig.run(*rig.program) & 2


def test_an_early_done_comes_before_the_data():
    rig = afflicted("early done", amount=0.2)
    rig.start(*rig.program)
    assert rig.finish() & 2 and not rig.regions[OUTPUT].any()
    rig.clock.advance(1e-3)
    rig.twin.settle()
    assert (rig.regions[OUTPUT][:32] == 9).all()


def test_done_without_data_writes_nothing():
    rig = afflicted("done without data")
    assert rig.run(*rig.program) & 2 and not rig.regions[OUTPUT].any()
    assert rig.run() & 2 and rig.regions[OUTPUT][:32].all()


def test_a_corrupt_word_is_one_word():
    rig = afflicted("corrupt word")
    assert rig.run(*rig.program) & 2 and (rig.regions[OUTPUT][:32] != 9).sum() == 1


def test_a_flipped_weight_stays_until_the_next_load():
    rig = afflicted("flip weight", place=77)
    assert rig.run(*rig.program) & 2
    flipped = np.unpackbits((rig.twin.memories.weights[:, :16] ^ np.uint64(3)).view(np.uint8))
    assert flipped.sum() == 1
    circuit, rig = Circuit(4, 2, 1), Rig(faults=FaultPlan(faults=[Fault("flip weight", 0, 0.5, 77)]))
    circuit.give_to(rig.twin)
    assert rig.run(end()) & 2
    assert np.unpackbits((rig.twin.memories.weights ^ circuit.weights).view(np.uint8)).sum() == 1


@pytest.mark.parametrize("place, code", [(0, AXI_READ), (1, AXI_READ), (2, AXI_WRITE)])
def test_a_bus_error_is_one_of_the_port(place, code):
    rig = afflicted("bus error", place=place)
    assert failed(rig.run(*rig.program))[0] == code
    assert not rig.regions[OUTPUT].any() and rig.run() & 2


def test_slow_is_later():
    rig = afflicted("slow", amount=0.2)
    rig.start(*rig.program)
    begun = rig.clock.now()
    assert rig.finish() & 2 and rig.clock.now() - begun > Fault("slow", 0, 0.2).extra_seconds
    assert (rig.regions[OUTPUT][:32] == 9).all()


def test_whoever_reprograms_the_logic_leaves_registers_that_read_0():
    rig = afflicted("reprogrammed")
    told = []
    rig.twin.reprogrammed = lambda: told.append(True)
    rig.start(*rig.program)
    assert told and rig.twin.read(STATUS) == rig.twin.read(MAGIC) == 0 and rig.twin.busy_until is None
    rig.twin.write(CONTROL, START)
    assert not rig.regions[OUTPUT].any()


def test_the_duration_can_be_changed():
    rig = Rig()
    rig.twin.inject(lambda twin, event, value: value + 5 if event == "duration" else value)
    rig.start(LONG, end())
    begun = rig.clock.now()
    assert rig.finish() & 2 and rig.clock.now() - begun > 5
