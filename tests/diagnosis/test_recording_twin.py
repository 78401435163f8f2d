"""A recording beside the twin: hostile ones end in our error, before they cost memory or time."""

from __future__ import annotations

import time
from typing import Any

import lfc
import pytest

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.contracts.program import WAIT, WRITE, make_program
from qnn_pynq.diagnosis.recorder import RecordingBoard
from qnn_pynq.diagnosis.recording_file import BoardCall, Recording
from qnn_pynq.diagnosis.recording_twin import differences_of_twin
from qnn_pynq.errors import RecordingError
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver, Reg

CIRCUIT = lfc.overlay("w1a1")
IP = CIRCUIT.ip.name
LOAD = ("load", (CIRCUIT.name, CIRCUIT.files["bitstream"].sha256), 1)
BUFFER = ("allocate", (64,), 0x1000)


def compared(*events: tuple[str, tuple[Any, ...], Any]) -> list[str]:
    calls = [BoardCall(kind, 0, 0, given, answer) for kind, given, answer in events]
    return differences_of_twin(Recording({}, b"", calls))


@pytest.mark.parametrize(
    "events, words",
    [
        ([LOAD, ("allocate", (1 << 40,), 0)], "more than 256 MiB"),
        ([LOAD, *[("allocate", (100 << 20,), n << 32) for n in range(3)]], "more than 256 MiB"),
        ([LOAD, BUFFER, ("allocate", (1,), 0x103F)], "another buffer is there"),
        ([LOAD, BUFFER, ("allocate", (2,), 0xFFF)], "another buffer is there"),
        ([("load", ("nothing-of-the-kind", ""), 1)], "not found"),
        ([("load", (CIRCUIT.name, ""), 1)], "another bitstream"),
        ([("read", (IP, 0), 4)], "empty logic"),
        ([LOAD, ("lost", (), 2), ("read", (IP, 0), 4)], "empty logic"),
        ([LOAD, ("read", ("other", 0), 4)], "has no ip other"),
        ([LOAD, ("read", (IP, 2), 4)], "expected a multiple of 4"),
        ([LOAD, ("write", (IP, 1 << 40, 0), None)], "expected a multiple of 4"),
        ([LOAD, ("write", (IP, 0, 1 << 32), None)], "expected 0..2"),
        ([LOAD, ("play", (IP, b"12345"), None)], "event 1"),
        ([LOAD, ("play", (IP, make_program([(WAIT, 0, 0)]).tobytes()), None)], "waits for no bit"),
        ([LOAD, ("play", (IP, make_program([(WAIT, 0, 0x100)]).tobytes()), None)], "showed none of the bits"),
        ([LOAD, ("wait", (IP, 0, 0x100), 0x100)], "never shows bits 0x100"),
        ([BUFFER, ("free", (0,), None), ("free", (0,), None)], "event 2"),
        ([("flush", (0, 1, b"x"), None)], "event 0"),
        ([BUFFER, ("flush", (0, 65, 65 * b"x"), None)], "65 bytes of a buffer of 64"),
        ([BUFFER, ("invalidate", (0, 65), 65 * b"x")], "65 bytes of a buffer of 64"),
        ([BUFFER, ("free", (0,), None), ("flush", (0, 1, b"x"), None)], "outside every live buffer"),
    ],
)
def test_what_no_board_does_is_refused_with_its_position(events: list[Any], words: str) -> None:
    with pytest.raises(RecordingError, match=words) as caught:
        compared(*events)
    assert str(caught.value).startswith(f"event {len(events) - 1} (")


def test_what_failed_on_the_board_is_not_played() -> None:
    assert compared(LOAD, ("read", (IP, 2), {"error": ["BusError", "x"]}), BUFFER) == []


def test_bytes_that_differ_are_counted_once_and_many_are_cut_short() -> None:
    wrong = ("invalidate", (0, 4), b"\0a\0b")
    assert compared(BUFFER, wrong, wrong) == [
        "event 1, buffer 0: 2 of 4 bytes differ; byte 1 is 0x61 on the board, 0x00 of the twin"
    ]
    many = [("allocate", (64,), n << 12) for n in range(20)] + [("invalidate", (n, 1), b"x") for n in range(20)]
    assert len(compared(*many)) == 10


def test_logic_that_was_configured_again_has_lost_its_weights() -> None:
    """Or the twin would agree where no board could."""
    network, values = lfc.network(CIRCUIT, seed=1), lfc.bits(3, 832)
    recorder = RecordingBoard(EmulatedBoard())
    driver = BnnPynqDriver(recorder, CIRCUIT)
    driver.load(network)
    lfc.run(driver, values)
    events = [(event.kind, event.arguments, event.answer) for event in recorder.events]
    assert compared(*events) == []
    start = [n for n, (kind, given, _) in enumerate(events)
             if kind == "play" and given[1].endswith(make_program([(WRITE, int(Reg.CTRL), 1)]).tobytes())][0]
    assert len(compared(*events[:start], ("reset", (), 2), *events[start:])) == 1
    assert compared(*events[:start], LOAD, *events[start:]) == [], "loading what is there already changes nothing"
    # A condition of the driver's own: what it looked at is not known, and the run is over all the same.
    own = [("wait", (IP, 0, 0), 1) if kind == "wait" else (kind, given, answer) for kind, given, answer in events]
    assert compared(*own) == []


def test_a_circuit_that_restarts_itself_for_ever_is_given_up_soon() -> None:
    program = make_program([(WRITE, int(Reg.CTRL), 0x81), (WAIT, 0, 0x100)])
    begun = time.perf_counter()
    with pytest.raises(RecordingError, match="showed none of the bits"):
        compared(LOAD, ("play", (IP, program.tobytes()), None))
    assert time.perf_counter() - begun < 5


def test_runs_read_and_write_only_recorded_buffers() -> None:
    given = [(Reg.IN_LOW, 0x9000), (Reg.OUT_LOW, 0x9000), (Reg.NUM_REPS, 1), (Reg.CTRL, 1)]
    writes = [("write", (IP, int(reg), value), None) for reg, value in given]
    with pytest.raises(RecordingError, match="outside every live buffer|never shows"):
        compared(LOAD, BUFFER, *writes, ("wait", (IP, 0, 2), 2), ("invalidate", (0, 64), bytes(64)))
    low = [(kind, (ip, reg, 0x800 if value == 0x9000 else value), answer) for kind, (ip, reg, value), answer in writes]
    with pytest.raises(RecordingError, match="outside every live buffer|never shows"):
        compared(LOAD, BUFFER, *low, ("wait", (IP, 0, 2), 2))
