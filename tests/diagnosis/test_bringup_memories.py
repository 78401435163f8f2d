"""Patterns through every block RAM: a stuck bit anywhere is found and named, a sound memory passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bringup_boards import SIZES, board_of, hour_of, stick, stick_program, try_step

from qnn_pynq.diagnosis.bringup import memories, program_memory
from qnn_pynq.diagnosis.bringup.patterns import PATTERNS, compare, fill
from qnn_pynq.diagnosis.recorder import RecordingBoard
from qnn_pynq.diagnosis.recording_file import Recording
from qnn_pynq.diagnosis.replay import ReplayBoard
from qnn_pynq.errors import StatusError

STEPS = [memories.banks, memories.banks_of_the_array, memories.weights, memories.thresholds, program_memory.program]


@pytest.mark.parametrize("config", SIZES, ids=str)
@pytest.mark.parametrize("step", STEPS)
def test_sound_memories_of_every_size_pass(step: Any, config: Any) -> None:
    found = try_step(step, board_of(config))
    assert found.state == "ok", found.text


def test_each_bit_is_0_and_1_in_the_patterns_and_words_differ() -> None:
    every = np.stack([fill(name, 8, 1536) for name in PATTERNS])
    assert not np.bitwise_and.reduce(every, axis=0).any()
    assert (np.bitwise_or.reduce(every, axis=0) == np.uint64(0xFFFFFFFFFFFFFFFF)).all()
    for name in ("address", "random"):
        assert len(np.unique(fill(name, 8, 1536))) == 8 * 1536
    board, inverse = fill("checkerboard", 2, 512), fill("inverse checkerboard", 2, 512)
    assert (board[:, 1:] == ~board[:, :-1]).all() and (board == ~inverse).all()


def test_what_differs_is_named_by_memory_word_and_bit() -> None:
    wanted = fill("zeros", 3, 10)
    found = wanted.copy()
    found[2, 7] = 0x8000000000000010
    wrong = compare("bank", "zeros", wanted, found)
    assert wrong is not None and (wrong.bits, wrong.words) == (2, 1)
    assert wrong.first == ["zeros: bank 2, word 7, bit 4, 63: 0x8000000000000010 instead of 0x0000000000000000"]
    assert compare("bank", "zeros", wanted, wanted) is None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "memory, step, what, shown",
    [
        ("banks", memories.banks, "bank", 1),
        ("banks", memories.banks_of_the_array, "bank", 2),  # where it is read and where it is written
        ("weights", memories.weights, "element", 1),
    ],
)
def test_a_stuck_bit_is_found_where_it_is(memory: str, step: Any, what: str, shown: int, seed: int) -> None:
    random = np.random.RandomState(seed)
    board = board_of(SIZES[seed % len(SIZES)])
    shape = getattr(board.twin.memories, memory).shape
    which, word, bit, value = (int(random.randint(0, most)) for most in (*shape, 64, 2))
    stick(board, memory, (which, word), bit, value)
    found = try_step(step, board)
    assert found.state == "failed"
    assert f"{what} {which}, word {word}, bit {bit}:" in found.text
    assert found.details["zeros" if value else "ones"]["bits"] == shown


# Bits of the three fields of a word, their signs, and the direction.
@pytest.mark.parametrize("bit", [0, 7, 20, 21, 30, 41, 42, 50, 62, 63])
@pytest.mark.parametrize("value", [0, 1])
def test_a_stuck_bit_of_a_threshold_is_found_in_its_word(bit: int, value: int) -> None:
    config = SIZES[bit % len(SIZES)]
    board = board_of(config)
    place = (config.P // 4 - 1, 13 * bit % 512)
    stick(board, "thresholds", place, bit, value)
    found = try_step(memories.thresholds, board)
    assert found.state == "failed" and f"cluster {place[0]}, word {place[1]}," in found.text


def test_two_words_that_are_one_are_found() -> None:
    board = board_of()
    banks = board.twin.memories.banks

    class Aliased(np.ndarray):
        def __setitem__(self, key: Any, content: Any) -> None:
            super().__setitem__(key, content)
            plain = np.asarray(self)
            plain[:, 1024:] = plain[:, :1024]  # an address line that hangs

    board.twin.memories.banks = banks.view(Aliased)
    found = try_step(memories.banks, board)
    assert found.state == "failed" and set(found.details) == {"address", "random"}


# -- the program memory -------------------------------------------------------------------------------------


def broken(board: Any) -> bool:
    """Whether the step says so, by its result or by an error of the circuit."""
    try:
        return try_step(program_memory.program, board).state == "failed"
    except StatusError:
        return True


@pytest.mark.parametrize("most", [12, pytest.param(128, marks=pytest.mark.slow)])
@pytest.mark.parametrize("value", [0, 1])
def test_every_bit_that_is_said_to_be_seen_is_seen(value: int, most: int) -> None:
    config = SIZES[0]
    seen = program_memory.covered(board_of(config).loaded.geometry)[1 - value]
    places = np.argwhere(np.unpackbits(seen.astype("<u8").view(np.uint8), bitorder="little").reshape(-1, 64))
    random = np.random.RandomState(value)
    # One of each bit that a half of an instruction has, at a word by chance.
    chosen = {(int(word) % 2, int(bit)): (int(word), int(bit)) for word, bit in random.permutation(places)}
    assert len(chosen) > (90 if value else 30)
    for word, bit in list(chosen.values())[:most]:
        board = board_of(config)

        def change(place: int, content: int, word: int = word, bit: int = bit) -> tuple[int, int]:
            if place == word:
                content = content | 1 << bit if value else content & ~(1 << bit)
            return place, content

        stick_program(board, change)
        assert broken(board), (word, bit)


def test_most_pointer_and_offset_bits_are_seen_as_both() -> None:
    zeros, ones = program_memory.covered(board_of(SIZES[2]).loaded.geometry)
    both = zeros & ones
    for half, bits in ((0, [*range(20, 32), *range(39, 48)]), (1, range(20, 32))):
        for bit in bits:
            share = float((both[half::2] >> np.uint64(bit) & np.uint64(1)).mean())
            assert share > 0.8, (half, bit)


@pytest.mark.parametrize("line", [0, 1, 5, 9])
def test_an_address_line_of_the_program_memory_that_hangs_is_found(line: int) -> None:
    board = board_of()
    stick_program(board, lambda place, content: (place & ~(1 << line), content))
    assert broken(board)


# -- recordings ---------------------------------------------------------------------------------------------


def test_a_recording_of_a_broken_memory_shows_the_same_again() -> None:
    board = board_of()
    stick(board, "weights", (3, 100), 17, 0)
    recorder = RecordingBoard(board)
    found = try_step(memories.weights, recorder, overlay=board.loaded)
    tape = Recording({"windows": recorder.windows, "emulated": True}, b"", recorder.events)
    again = hour_of(ReplayBoard(tape), board.loaded)
    assert memories.weights(again) == found and found.state == "failed"
