"""A driver on a replayed recording: it gets what the board had answered, and no other traffic passes."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Callable

import lfc
import numpy as np
import pytest

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.contracts.program import WRITE, make_program
from qnn_pynq.diagnosis.recorder import RecordingBoard
from qnn_pynq.diagnosis.recording_file import BoardCall, Recording
from qnn_pynq.diagnosis.replay import ReplayBoard
from qnn_pynq.errors import BoardBusyError, BoardError, BusError, ClosedError, DeadlineError, RecordingError
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver

CIRCUIT = lfc.tiny()
NETWORK = lfc.network(CIRCUIT, seed=3)
BITS = lfc.bits(5, 64, seed=4)


def ten_words(board: Any, values: np.ndarray = BITS, network: Any = NETWORK, conservative: bool = False) -> np.ndarray:
    driver = BnnPynqDriver(board, CIRCUIT, conservative)
    driver.load(network)
    words = np.concatenate([lfc.run(driver, values[:1]), lfc.run(driver, values)])
    driver.close()
    return words


def recorded(use: Callable[[Any], Any], board: Any = None) -> tuple[Any, Recording]:
    recorder = RecordingBoard(board or EmulatedBoard())
    answer = use(recorder)
    header = {"board": "Pynq-Z1", "emulated": recorder.emulated, "windows": recorder.windows}
    return answer, Recording(header, b"", tuple(recorder.events))


@pytest.fixture(scope="module")
def tape() -> Recording:
    return recorded(ten_words)[1]


def test_a_recorder_changes_nothing_and_a_replay_gives_the_same() -> None:
    plain = ten_words(EmulatedBoard())
    words, tape = recorded(ten_words)
    board = ReplayBoard(tape)
    assert np.array_equal(plain, words) and np.array_equal(ten_words(board), plain)
    board.finish()
    assert {event.kind for event in tape.events} == {
        "load", "read", "play", "allocate", "flush", "wait", "invalidate", "free"
    }


def test_the_times_of_the_accelerator_are_the_recorded_ones() -> None:
    def use(board: Any) -> tuple[float, float]:
        driver = BnnPynqDriver(board, CIRCUIT)
        driver.load(NETWORK)
        lfc.run(driver, BITS)
        return driver.timing["configure"], driver.timing["run"]

    times, tape = recorded(use)
    assert min(times) > 0 and use(ReplayBoard(tape)) == pytest.approx(times, abs=5e-9)


def changed(tape: Recording, position: int, **changes: Any) -> Recording:
    events = list(tape.events)
    events[position] = events[position]._replace(**changes)
    return tape._replace(events=tuple(events))


def test_another_input_is_found_with_its_position_and_byte(tape: Recording) -> None:
    other = BITS.copy()
    other[3, 17] ^= 1
    with pytest.raises(RecordingError) as caught:
        ten_words(ReplayBoard(tape), other)
    position = [n for n, event in enumerate(tape.events) if event.kind == "flush"][1]
    assert str(caught.value).startswith(f"event {position} of {len(tape.events)}: ")
    assert re.search(r"they differ from byte \d+ on$", str(caught.value))


def test_other_weights_are_found_with_their_step(tape: Recording) -> None:
    other = lfc.network(CIRCUIT, seed=3)
    weights = other.layers[0].weights.copy()
    weights[0, 0] ^= 1
    other = dataclasses.replace(
        other, layers=(dataclasses.replace(other.layers[0], weights=weights), *other.layers[1:]))
    with pytest.raises(RecordingError, match=r"recorded play .*they differ from step \d+ on$"):
        ten_words(ReplayBoard(tape), network=other)


def test_a_driver_that_does_something_else_is_found(tape: Recording) -> None:
    with pytest.raises(RecordingError, match=r"event \d+ of"):
        ten_words(ReplayBoard(tape), conservative=True)
    board = ReplayBoard(tape)
    with pytest.raises(RecordingError, match="event 0 of .*recorded load .*the driver asks allocate 0x8"):
        board.allocate(8)
    board.configure(CIRCUIT)
    with pytest.raises(RecordingError, match="event 1 of .*recorded read .*the driver asks write"):
        board.ip(CIRCUIT.ip.name).write(0, 1)


def test_an_end_too_early_or_too_late_is_found(tape: Recording) -> None:
    board = ReplayBoard(tape)
    board.configure(CIRCUIT)
    with pytest.raises(RecordingError, match="the driver has ended, the recording goes on: read"):
        board.finish()
    board = ReplayBoard(tape)
    ten_words(board)
    with pytest.raises(RecordingError, match="the recording ends here, the driver goes on: reset"):
        board.reset()


def test_an_overlay_of_another_bitstream_is_found(tape: Recording) -> None:
    files = {key: dataclasses.replace(file, sha256="0" * 64) for key, file in CIRCUIT.files.items()}
    with pytest.raises(RecordingError, match="event 0"):
        ReplayBoard(tape).configure(dataclasses.replace(CIRCUIT, files=files))


def test_a_deadline_is_recorded_and_raised_again_and_so_is_what_follows() -> None:
    def use(board: Any) -> tuple[str, np.ndarray]:
        driver = BnnPynqDriver(board, CIRCUIT)
        driver.load(NETWORK)
        driver.room(2)[:] = 0
        driver.start(2)
        with pytest.raises(DeadlineError) as caught:
            driver.finish(timeout=1e-9)
        board.reset()
        driver.load(NETWORK)
        words = lfc.run(driver, BITS)
        return str(caught.value), words

    (text, words), tape = recorded(use)
    again, same = use(ReplayBoard(tape))
    assert again == text and np.array_equal(words, same)
    failed = [event.answer for event in tape.events if isinstance(event.answer, dict)]
    assert [one["error"][0] for one in failed] == ["DeadlineError"] and "no answer within" in failed[0]["error"][1]


def test_logic_that_somebody_else_configured_is_recorded() -> None:
    emulated = EmulatedBoard()

    def use(board: Any) -> int:
        driver = BnnPynqDriver(board, CIRCUIT)
        driver.load(NETWORK)
        if isinstance(board, RecordingBoard):
            emulated.forget()
        driver.room(1)[:] = 0
        with pytest.raises(BoardError, match="configured again|somebody else"):
            driver.start(1)
        return int(board.generation)

    generation, tape = recorded(use, emulated)
    assert "lost" in [event.kind for event in tape.events]
    assert use(ReplayBoard(tape)) == generation


@pytest.mark.parametrize(
    "name, kind", [("BusError", BusError), ("os.system", BoardError), ("Any", BoardError), ("__all__", BoardError)]
)
def test_only_our_errors_are_raised_from_a_file(tape: Recording, name: str, kind: type[Exception]) -> None:
    board = ReplayBoard(changed(tape, 1, answer={"error": [name, "text"]}))
    board.configure(CIRCUIT)
    with pytest.raises(BoardError, match="text") as caught:
        board.ip(CIRCUIT.ip.name).read(0)
    assert type(caught.value) is kind


def test_what_fails_on_loading_is_kept_without_its_text() -> None:
    class Refusing(EmulatedBoard):
        def configure(self, overlay: Any) -> None:
            raise BoardError("/home/somebody/.cache is private")

    def use(board: Any) -> None:
        with pytest.raises(BoardError):
            board.configure(CIRCUIT)

    _, tape = recorded(use, Refusing())
    assert tape.events[0].answer == {"error": ["BoardError", ""]} and "somebody" not in str(tape)


def test_a_result_of_another_length_is_an_error(tape: Recording) -> None:
    position = [n for n, event in enumerate(tape.events) if event.kind == "invalidate"][0]
    with pytest.raises(RecordingError, match="bytes recorded of"):
        ten_words(ReplayBoard(changed(tape, position, answer=b"")))


def test_a_board_that_invalidates_more_than_was_asked_for_is_replayed_so() -> None:
    """Its driver would otherwise flush other bytes there."""

    class Whole(EmulatedBoard):
        def allocate(self, shape: Any, dtype: Any = np.uint8) -> Any:
            buffer = super().allocate(shape, dtype)
            part, buffer.invalidate = buffer.invalidate, lambda nbytes=None: part(None)  # type: ignore
            return buffer

    board = Whole()

    def use(given: Any) -> bytes:
        buffer = given.allocate(8)
        if isinstance(given, RecordingBoard):
            board.memory.write(buffer.device_address, np.arange(8, dtype=np.uint8))
        buffer.invalidate(2)
        buffer.flush()
        return bytes(buffer.array)

    content, tape = recorded(use, board)
    assert content == use(ReplayBoard(tape)) == bytes(range(8))


def test_both_keep_the_contract_of_a_board() -> None:
    program = make_program([(WRITE, 0x10, 7)])

    def use(board: Any) -> None:
        board.configure(CIRCUIT)
        assert board.loaded == CIRCUIT
        board.in_flight = "somebody"
        board.configure(CIRCUIT)  # there already: nothing happens to the run
        with pytest.raises(BoardBusyError):
            board.claim("somebody else")
        board.reset()
        board.claim("somebody else")
        registers = board.ip(CIRCUIT.ip.name)
        assert registers.window == CIRCUIT.ip.range
        registers.run_program(program, 1.0)
        assert board.wait(CIRCUIT.ip.name, (0x00, 0x4), 1.0) == 4
        assert board.wait(CIRCUIT.ip.name, lambda registers: registers.read(0x00) == 4, 1.0) == 1  # kept look by look
        with pytest.raises(BusError):
            registers.read(0x10002)
        with board.allocate((2, 3), np.uint16) as buffer:
            assert buffer.array.shape == (2, 3) and buffer.nbytes == 12 and buffer.array.dtype == np.uint16
            buffer.flush(4)
            buffer.invalidate()
        buffer.close()
        with pytest.raises(ClosedError):
            buffer.array[:] = 0
        with pytest.raises(BoardError, match="nothing-of-the-kind"):
            board.ip("nothing-of-the-kind")
        late = board.allocate(4)
        board.close()
        late.close()
        with pytest.raises(ClosedError):
            board.configure(CIRCUIT)

    _, tape = recorded(use)
    board = ReplayBoard(tape)
    use(board)
    board.finish()
    assert [event.kind for event in tape.events] == [
        "load", "load", "reset", "play", "wait", "read", "read", "allocate", "flush", "invalidate", "free",
        "allocate",
    ]
    assert tape.events[8] == BoardCall("flush", *tape.events[8][1:3], (0, 4, b"\0\0\0\0"), None)
