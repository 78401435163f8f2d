"""Steps of the first hour that are not patterns: each passes on a sound board, and fails for its own reason."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import engine_networks
import pytest
from bringup_boards import PretendedBoard, board_of, hour_of, try_step
from faked_host import machine, z1

from qnn_pynq.catalogue import find_network, find_overlay
from qnn_pynq.diagnosis.bringup import circuit, load
from qnn_pynq.diagnosis.bringup.sensors import read_sensors
from qnn_pynq.diagnosis.host import Host
from qnn_pynq.diagnosis.recording import replay
from qnn_pynq.errors import BoardError, DeadlineError, ForeignBitstreamError, StatusError, WrongAnswerError
from qnn_pynq.faults import Fault, FaultPlan

LFC = "lfc-w1a1-mnist"
XADC = {
    "sys/bus/iio/devices/iio:device0/name": "xadc\n",
    "sys/bus/iio/devices/iio:device0/in_temp0_raw": "2600\n",
    "sys/bus/iio/devices/iio:device0/in_temp0_offset": "-2219\n",
    "sys/bus/iio/devices/iio:device0/in_temp0_scale": "123.040771484\n",
    "sys/bus/iio/devices/iio:device0/in_voltage0_vccint_raw": "1377\n",
    "sys/bus/iio/devices/iio:device0/in_voltage0_vccint_scale": "0.732421875\n",
}
INA = {
    "sys/class/hwmon/hwmon0/name": "ina226\n",
    "sys/class/hwmon/hwmon0/power1_input": "2150000\n",
    "sys/class/hwmon/hwmon0/curr1_input": "430\n",
    "sys/class/hwmon/hwmon0/in1_input": "5012\n",
    "sys/class/hwmon/hwmon0/in1_label": "supply\n",
    "sys/class/hwmon/hwmon0/fan1_input": "3\n",
}


# -- the circuit as a whole ---------------------------------------------------------------------------------


def test_the_machine_fails_where_the_doctor_does(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [check._replace(status="ok") for check in circuit.examine(Host().root)]
    monkeypatch.setattr(circuit, "examine", lambda *_: checks)
    assert try_step(circuit.examine_machine, board_of()).state == "ok"
    checks[3] = checks[3]._replace(status="fail", value="too old", advice="buy a new one")
    found = try_step(circuit.examine_machine, board_of())
    assert found.state == "failed" and "too old: buy a new one" in found.text
    assert len(found.details["checks"]) == len(checks)


def test_a_configured_fpga_says_its_clock_and_its_state(tmp_path: Path) -> None:
    board = PretendedBoard()
    found = circuit.configure(hour_of(board, find_overlay("engine-z7020"), host=z1(tmp_path)))
    assert found.state == "ok" and "at 100 MHz" in found.text and "operating" in found.text
    found = try_step(circuit.configure, board_of())
    assert found.state == "ok" and "no bitstream and no clock" in found.text


def test_a_bitstream_that_is_not_taken_ends_the_step() -> None:
    with pytest.raises(BoardError, match="FCLK0 stays"):
        circuit.configure(hour_of(PretendedBoard(refuses=100.0), find_overlay("engine-z7020")))


def test_an_engine_of_another_size_is_no_this_engine() -> None:
    board = board_of()
    assert "4 elements x 2 vectors" in try_step(circuit.identify, board).text
    with pytest.raises(ForeignBitstreamError, match="pe 4, its descriptor 32"):
        try_step(circuit.identify, board, overlay=find_overlay("engine-z7020"))


def lie(board: Any, offset: int, change: Any) -> None:
    """A register shows something else."""
    shown = board.twin._shown
    board.twin._shown = lambda place: change(shown(place)) if place == offset else shown(place)


@pytest.mark.parametrize("offset", [0x18, 0x50, 0x84])
@pytest.mark.parametrize("bit", [0, 31])
def test_a_data_line_of_the_registers_is_found(offset: int, bit: int) -> None:
    board = board_of()
    assert try_step(circuit.scratch, board).state == "ok"
    lie(board, offset, lambda value: value | 1 << bit)
    with pytest.raises(WrongAnswerError, match=f"register {offset:#x}: "):
        try_step(circuit.scratch, board)


def test_registers_that_are_one_are_found() -> None:
    board = board_of()
    take = board.twin._take
    board.twin._take = lambda offset, value, now: take(offset & ~0x20 if offset >= 0x50 else offset, value, now)
    with pytest.raises(WrongAnswerError, match="register 0x"):
        try_step(circuit.scratch, board)


def test_counters_that_count_something_else_are_found() -> None:
    board = board_of()
    found = try_step(circuit.count, board)
    assert found.state == "ok" and found.details["counters"]["busy"] == 20000
    lie(board, 0x3C, lambda value: value and value + 1)
    with pytest.raises(WrongAnswerError, match="20001 were counted"):
        try_step(circuit.count, board)


def test_an_error_that_the_circuit_does_not_notice_is_one() -> None:
    board = board_of()
    lie(board, 0x20, lambda value: 2 if value & 4 else value)  # done instead of error
    with pytest.raises(StatusError, match="no instruction: status 0x00000002 instead of error 1"):
        try_step(circuit.count, board)


def test_a_run_that_hangs_ends_the_step_in_time() -> None:
    board = board_of(faults=FaultPlan(faults=[Fault("hang", 0)]))
    with pytest.raises(DeadlineError, match="no answer within"):
        try_step(circuit.count, board)
    assert board.quarantined  # what it may still write to
    board.reset()
    assert not board.quarantined and try_step(circuit.count, board).state == "ok"


class Line:
    def __init__(self, answer: bool | None) -> None:
        self.answer = answer

    def wait(self, seconds: float) -> bool | None:
        return self.answer


@pytest.mark.parametrize("answer, state", [(True, "ok"), (False, "failed"), (None, "not here")])
def test_an_interrupt_comes_or_does_not(answer: bool | None, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    board = board_of()
    assert try_step(circuit.interrupt, board).state == "not here"

    def line(ip: str) -> Line:
        return Line(answer)

    def wait(self: Line, seconds: float) -> bool | None:
        board.clock.sleep(1e-3)
        return self.answer

    monkeypatch.setattr(Line, "wait", wait)
    monkeypatch.setattr(board, "interrupt_line", line)
    assert try_step(circuit.interrupt, board).state == state


@pytest.mark.parametrize(
    "kind, error, text",
    [
        ("done without data", WrongAnswerError, "nothing was written"),
        ("corrupt word", WrongAnswerError, "words in memory are wrong"),
        ("bus error", Exception, "of the memory"),
        ("lost done", DeadlineError, "no answer within"),
    ],
)
def test_a_first_word_that_does_not_come_back(kind: str, error: Any, text: str) -> None:
    assert try_step(circuit.move_word, board_of()).state == "ok"
    with pytest.raises(error, match=text):
        try_step(circuit.move_word, board_of(faults=FaultPlan(faults=[Fault(kind, 0, place=3)])))


def test_a_step_whose_time_is_over_ends() -> None:
    hour = hour_of(board_of())
    hour.allow(0.0)
    with pytest.raises(DeadlineError, match="the time of this step is over"):
        circuit.move_word(hour)


# -- networks -----------------------------------------------------------------------------------------------


def whole(board: Any) -> Any:
    board.configure(find_overlay("engine-z7020"))
    return board


def test_a_network_is_answered_and_its_recording_replayed(tmp_path: Path) -> None:
    hour = hour_of(whole(PretendedBoard()))
    found = load.answer(find_network(LFC), hour)
    assert found.state == "ok" and found.text == "32 known pictures right"
    path = tmp_path / "x.recording"
    path.write_bytes(hour.recordings[f"{LFC}.recording"])
    again = replay(path)
    assert again.ok and again.header["overlays"] == ["engine-z7020"]  # not the one that the network names first


@pytest.mark.parametrize("kind", ["corrupt word", "hang"])
def test_a_network_that_is_answered_wrongly_is_recorded_all_the_same(kind: str) -> None:
    faults = FaultPlan(faults=[Fault(kind, at, place=5) for at in range(30)])
    hour = hour_of(whole(PretendedBoard(faults=faults)))
    found = load.answer(find_network(LFC), hour)
    assert found.state == "failed" and LFC in found.text
    assert hour.recordings[f"{LFC}.recording"].startswith(b"qnn-pynq-recording")


def test_a_network_without_known_answers_is_no_proof() -> None:
    found = load.answer(engine_networks.dense_network(), hour_of(board_of()))
    assert found.state == "not here" and "nobody knows" in found.text


# -- clocks, sensors, soak ----------------------------------------------------------------------------------


@pytest.mark.parametrize("asked, made", [(50, 50.0), (75, 1000 / 13), (100, 100.0), (125, 125.0), (145, 1000 / 7)])
def test_the_nearest_clock_is_one_that_two_divisors_make(asked: float, made: float) -> None:
    assert load.nearest_clock(asked) == pytest.approx(made, rel=1e-12)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulation takes its time."""
    monkeypatch.setattr(load, "_WINDOW", 1e-3)


NETWORKS = (find_network(LFC),)


@pytest.mark.usefixtures("short")
def test_a_clock_is_counted_and_the_overlays_own_comes_back() -> None:
    board = whole(PretendedBoard())
    found = try_step(partial(load.clock, 75.0), board, networks=NETWORKS)
    assert found.state == "ok" and "76.92 MHz, the nearest to 75 that there is" in found.text
    assert found.details["counted_mhz"] == pytest.approx(76.92, rel=0.01) and found.details["pictures"] > 0
    assert board.clocks == [100.0, 1000 / 13, 100.0]


@pytest.mark.usefixtures("short")
def test_a_clock_that_is_not_what_it_says_is_found() -> None:
    found = try_step(partial(load.clock, 50.0), whole(PretendedBoard(factor=1.1)), networks=NETWORKS)
    assert found.state == "failed" and "50 MHz were set, and the circuit counts 55 MHz" in found.text


@pytest.mark.usefixtures("short")
def test_a_clock_that_is_too_fast_gives_wrong_answers() -> None:
    board = whole(PretendedBoard(limit=110.0))
    with pytest.raises(WrongAnswerError, match="known inputs"):
        try_step(partial(load.clock, 125.0), board, networks=NETWORKS)
    assert board.clocks[-1] == 100.0


def test_a_clock_that_cannot_be_made_is_said_so() -> None:
    with pytest.raises(BoardError, match="FCLK0 stays at 100 MHz after setting 50 MHz"):
        try_step(partial(load.clock, 50.0), whole(PretendedBoard(refuses=50.0)), networks=NETWORKS)


def test_boards_without_a_clock_pretend_none() -> None:
    found = try_step(partial(load.clock, 50.0), board_of())
    assert found.state == "not here" and "has no clock" in found.text
    assert try_step(load.sense, board_of()).state == "not here"


def test_sensors_are_read_in_their_units(tmp_path: Path) -> None:
    found = {name: (round(value, 3), unit) for name, value, unit in read_sensors(z1(tmp_path, {**XADC, **INA}))}
    assert found == {
        "ina226 power1": (2.15, "W"),
        "ina226 curr1": (0.43, "A"),
        "ina226 supply": (5.012, "V"),
        "xadc temp0": (46.879, "C"),
        "xadc voltage0_vccint": (1.009, "V"),
    }


def test_power_is_said_where_it_is_measured(tmp_path: Path) -> None:
    board = whole(PretendedBoard())
    assert "no sensors" in try_step(load.sense, board, host=z1(tmp_path)).text
    found = try_step(load.sense, board, host=z1(tmp_path, XADC))
    assert found.state == "not here" and "no sensor of power" in found.text and "temp0 46.9 C" in found.text
    machine(tmp_path, INA)
    found = try_step(load.sense, board, host=z1(tmp_path))
    assert found.state == "ok" and "power1 2.15 W" in found.text


def test_a_sensor_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    host = z1(tmp_path, {**INA, "sys/class/hwmon/hwmon0/power1_input": "busy\n"})
    assert [name for name, _, _ in read_sensors(host)] == ["ina226 curr1", "ina226 supply"]


def test_a_soak_counts_pictures_and_keeps_the_highest_readings(tmp_path: Path) -> None:
    networks = (find_network(LFC), find_network("lfc-w1a2-mnist"))
    board = whole(PretendedBoard())
    found = try_step(load.soak, board, networks=networks, soak=0.3, host=z1(tmp_path, {**XADC, **INA}))
    assert found.state == "ok" and "of 2 networks" in found.text and "power1 2.15 W" in found.text
    assert found.details["runs"] >= 2 and found.details["sensors"]


@pytest.mark.parametrize("kind, error", [("corrupt word", "WrongAnswerError"), ("hang", "DeadlineError")])
def test_a_soak_goes_on_behind_an_anomaly_and_ends_at_the_third(
    kind: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count(0.0, 0.1)
    monkeypatch.setattr(load, "monotonic", lambda: next(ticks))  # of a busy machine's clock nothing is known
    # Loads of weights are opportunities, too: those of later ones are spared.
    once = FaultPlan(faults=[Fault(kind, 1, place=5)])
    found = try_step(load.soak, whole(PretendedBoard(faults=once)), networks=NETWORKS, soak=2.0)
    assert found.state == "failed" and error in found.text and len(found.details["anomalies"]) == 1
    assert found.details["runs"] >= 1
    always = FaultPlan(faults=[Fault(kind, at, place=5) for at in range(1, 200, 2)])
    found = try_step(load.soak, whole(PretendedBoard(faults=always)), networks=NETWORKS, soak=60.0)
    assert len(found.details["anomalies"]) == 3 and found.details["seconds"] < 30
