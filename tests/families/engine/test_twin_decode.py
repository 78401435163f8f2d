"""Which words the twin's sequencer takes for instructions, and where they end a run."""

from __future__ import annotations

import numpy as np
import pytest
from engine_words import BAD_PROGRAM, Rig, end, layer, load, store
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq.families.engine.twin_decode import BadWord, End, Layer, Load, Program, Store

PLACEHOLDER = load(2, 1, 0, 0, 1)


def error_of(status):
    """(code, program word) of a run that ended with an error."""
    assert status & 0xF == 4
    return status >> 8 & 255, status >> 16


def refused(*instructions, **options):
    return error_of(Rig().run(*instructions, **options))


@pytest.mark.parametrize("op", [0, 6, 7, 15])
def test_an_operation_that_does_not_exist_is_a_bad_program(op):
    assert refused(PLACEHOLDER, [op], end()) == (BAD_PROGRAM, 2)


@pytest.mark.parametrize("bit", range(9, 16))
@pytest.mark.parametrize("instruction", [end(), load(2, 1, 0, 0, 1), store(2, 0, 0, 1), layer(), layer(True)])
def test_reserved_bits_of_the_first_word_must_be_0(instruction, bit):
    assert refused([instruction[0] | 1 << bit, *instruction[1:]], end()) == (BAD_PROGRAM, 0)


@pytest.mark.parametrize("word, bit", [(1, 31), (1, 63), (4, 58), (4, 63), (5, 34), (5, 63)])
@pytest.mark.parametrize("pool", [False, True])
def test_bits_of_a_layer_that_are_named_0_must_be_0(word, bit, pool):
    words = layer(pool)
    words[word] |= 1 << bit
    assert refused(PLACEHOLDER, words, end()) == (BAD_PROGRAM, 2)


@pytest.mark.parametrize("instruction", [end(), store(2, 0, 0, 1), layer(), layer(True)])
def test_only_a_load_can_be_for_the_next_group(instruction):
    assert refused([instruction[0] | 1 << 5, *instruction[1:]], end()) == (BAD_PROGRAM, 0)


def test_an_end_is_one_of_every_group():
    assert refused(PLACEHOLDER, end("f")) == (BAD_PROGRAM, 2)


def test_a_load_has_three_targets():
    assert refused(load(3, 0, 0, 0, 1), end()) == (BAD_PROGRAM, 0)


@pytest.mark.parametrize("instruction, word, bits", [
    (load(2, 1, 0, 0, 1), 1, range(36, 64)), (store(2, 0, 0, 1), 0, (16, 17)),
    (store(2, 0, 0, 1), 1, (*range(12, 20), *range(36, 64)))])
def test_bits_of_loads_and_stores_without_a_name_must_be_0(instruction, word, bits):
    for bit in bits:
        words = list(instruction)
        words[word] |= 1 << bit
        assert refused(words, end()) == (BAD_PROGRAM, 0)


def test_a_skipped_instruction_must_be_one_all_the_same():
    words = layer(flags="f")
    words[5] |= 1 << 40
    assert refused(load(2, 1, 0, 0, 1, flags="n"), words, end()) == (BAD_PROGRAM, 2)


@pytest.mark.parametrize("bits, words", [(1, 2), (2, 1), (4, 3), (3, 256)])
def test_a_pool_has_as_many_words_as_planes(bits, words):
    assert refused(layer(True, ob=bits, n0=words), end()) == (BAD_PROGRAM, 0)


@pytest.mark.parametrize("fields", [{"raw": 1}, {"ab": 2}, {"wb": 2}, {"rgs": 2}, {"nt": 16}])
def test_what_a_pool_does_not_have_must_not_be_set(fields):
    assert refused(layer(True, **fields), end()) == (BAD_PROGRAM, 0)


def test_there_are_at_most_fifteen_thresholds():
    assert refused(layer(nt=16), end()) == (BAD_PROGRAM, 0)
    assert Rig().run(layer(nt=15), end()) & 0xF == 2


def test_raw_sums_have_at_most_eight_nibbles():
    assert refused(layer(raw=1, nt=9), end()) == (BAD_PROGRAM, 0)
    assert Rig().run(layer(raw=1, nt=8), end()) & 0xF == 2


@pytest.mark.parametrize("instruction, at", [(load(2, 1, 0, 0, 1), 1023), (store(2, 0, 0, 1), 1023),
                                             (layer(), 1019), (layer(), 1023), (layer(True), 1020)])
def test_an_instruction_that_the_end_of_the_memory_cuts_is_a_bad_program(instruction, at):
    """From a LOAD on every second word: an odd place is led up to by nothing, and is looked at directly."""
    words = [word for _ in range(512) for word in PLACEHOLDER][:at] + instruction[: 1024 - at]
    assert len(words) == 1024
    with pytest.raises(BadWord):
        Program(words).at(at)
    if at % 2 == 0:
        assert error_of(Rig().run(words)) == (BAD_PROGRAM, at)


def test_running_past_the_last_word_is_a_bad_program_at_word_0():
    words = [w for _ in range(512) for w in PLACEHOLDER]
    assert error_of(Rig().run(words)) == (BAD_PROGRAM, 0)


def test_an_empty_program_is_a_bad_program():
    assert error_of(Rig().run([0])) == (BAD_PROGRAM, 0)


def test_no_groups_are_a_bad_program():
    assert refused(end(), groups=0) == (BAD_PROGRAM, 0)


def test_a_program_may_fill_the_memory():
    words = [word for _ in range(508) for word in PLACEHOLDER] + layer() + 2 * end()
    assert len(words) == 1024
    status = Rig().run(words)
    assert status & 0xF == 2 and status >> 16 == 1022


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=12), st.sampled_from([0, 1, 2, 3, 4, 5]))
def test_any_words_are_instructions_or_refused(words, op):
    words[0] = words[0] & ~0xFE0F | op  # often near to an instruction
    program, at = Program(words), 0
    while at < len(words):
        try:
            instruction = program.at(at)
        except BadWord:
            return
        assert isinstance(instruction, (End, Load, Store, Layer)) and instruction.word == at
        assert instruction == program.at(at)
        at += program.length(instruction)
    with pytest.raises(BadWord):
        program.at(at)


MEANT = {  # bits of the words that mean something
    1: [0x1CF], 2: [2**64 - 1 - 0xFE00, 2**36 - 1], 3: [2**64 - 1 - 0x3FE20, 0xFFFF00FFF],
    4: [2**64 - 1 - 0xFE20, 2**64 - 1 - (1 << 31) - (1 << 63), 2**64 - 1, 2**64 - 1, 2**58 - 1, 2**34 - 1],
}


@st.composite
def programs(draw):
    """Instructions of random fields: small layers, transfers that often lie within the windows."""
    rng, found = np.random.default_rng(draw(st.integers(0, 2**32))), []
    for op in draw(st.lists(st.sampled_from([2, 2, 3, 3, 4, 4, 5]), min_size=1, max_size=12)):
        words = [int(rng.integers(0, 2**63)) * 2 + 1 & mask for mask in MEANT[min(op, 4)]]
        words[0] = words[0] & ~15 | op
        if op < 4 and rng.integers(2):
            words[0] = words[0] & 0xFFFFFFFF | int(rng.integers(0, 8)) << 39
            words[1] &= ~0xFFF00
        if op >= 4:
            words[3] &= 0x0101FFFFFFFFFFFF  # one pixel or two in each direction
            words[4] &= 2**43 - 1 | 1 << 50
            words[0] &= ~(0xFC << 56)
            if op == 5:
                words[0] = words[0] & ~(0xFF << 56 | 0x3F << 24 | 1 << 16) | (words[0] >> 22 & 3) << 56
                words[4] &= ~(0xFF << 42)
        found += words
    return found + end()


@settings(max_examples=150, deadline=None)
@given(programs(), st.integers(1, 3))
def test_random_programs_end_and_write_no_byte_outside_of_the_windows(words, groups):
    rig = Rig(nbytes=4096)
    rig.region(2, rig.bases[2] + 1024, 2048, 128)
    rig.region(3, rig.bases[3] + 128, 256)
    for block in rig.regions:
        block[:] = 0x1234567
    status = rig.run(words, groups=groups)
    assert status & 0xF in (2, 4) and bool(status >> 8 & 255) == bool(status & 4)
    inside = [np.zeros(512, bool) for _ in range(4)]
    inside[2][128:384] = True
    inside[3][16:48] = True
    for block, window in zip(rig.regions, inside):
        assert (block[~window] == 0x1234567).all()
