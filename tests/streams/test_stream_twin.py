"""The twin of a foreign circuit: its registers, what it takes and gives, and when."""
from __future__ import annotations

import math

import numpy as np
import pytest
from stream_circuits import EXAMPLES, stream

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.errors import BusError, InputError
from qnn_pynq.streams import describe
from qnn_pynq.streams.circuit import make_circuit
from qnn_pynq.streams.twin_registers import StartRegisters


def loaded(description, function=lambda *arrays: arrays[0]):
    board = EmulatedBoard()
    board.configure(make_circuit(description, function=function))
    return board


def send(board, words, last=True, name="x"):
    """Words that arrive at the circuit as from a DMA."""
    board.twin.circuit.queues[name].put(np.asarray(words).view(np.uint8), last, board.clock.now())
    board.settle()


def test_start_registers_are_those_of_hls():
    registers = StartRegisters({"a": 0x10, "samples": 0x1C})
    assert registers.read(0) == 4 and not registers.busy
    registers.write(0x10, 0x89ABCDEF)
    registers.write(0x14, 0x01234567)
    registers.write(0x1C, 7)
    assert registers.values == {"a": 0x0123456789ABCDEF, "samples": 7}
    assert [registers.read(offset) for offset in (0x10, 0x14, 0x18, 0x1C, 0x20)] == [0x89ABCDEF, 0x01234567, 0, 7, 0]
    registers.write(4, 1)
    registers.write(8, 3)
    assert registers.write(0, 1) and registers.busy and registers.read(0) == 1
    assert not registers.write(0, 1)  # a start while it runs is lost
    registers.finish()
    assert registers.interrupt and registers.read(0) == 0b1110 and registers.read(0) == 4  # done clears on read
    registers.write(0x0C, registers.read(0x0C))
    assert not registers.interrupt


def test_a_free_running_circuit_works_whenever_a_sample_is_there():
    board = loaded(EXAMPLES["loopback"], lambda x: -x)
    output = board.twin.circuit.queues["y"]
    send(board, np.array([1024, 2048], np.int16), last=False)
    assert not output.size and board.twin.busy_until is None
    send(board, np.array([512], np.int16))
    data, last = output.take(100)
    assert data.view(np.int16).tolist() == [-1024, -2048, -512] and last


def test_tlast_inside_a_sample_is_not_seen():
    board = loaded(EXAMPLES["loopback"])
    send(board, np.array([1, 2], np.int16), last=True)
    send(board, np.array([3], np.int16), last=False)
    assert board.twin.circuit.queues["y"].take(100)[1] is False


def test_a_circuit_stops_taking_data_while_nobody_takes_its_own():
    calls = []
    board = loaded(describe("loopback", [stream("x", "double", (4,))], [stream("y", "double", (4,))]),
                   lambda x: calls.append(1) or x)
    for number in range(5):
        send(board, np.full(4, float(number)))
    assert len(calls) == 1 and board.twin.circuit.queues["x"].size == 4 * 32
    board.twin.circuit.queues["y"].take(32)
    board.settle()
    assert len(calls) == 2


def test_samples_come_out_when_the_description_says():
    description = describe("loopback", [stream("x", shape=())], [stream("y", shape=())], clock_mhz=50,
                           timing={"cycles_per_sample": 10, "latency_cycles": 100})
    board = loaded(description)
    board.twin.circuit.queues["y"].capacity = math.inf
    send(board, np.arange(3, dtype=np.int16))
    moments = [part.moment for part in board.twin.circuit.queues["y"]._parts]
    assert moments == pytest.approx([110 * 20e-9, 120 * 20e-9, 130 * 20e-9])


def test_windows_are_those_of_the_description():
    board = loaded(EXAMPLES["started"])
    assert sorted(board._registers) == ["axi_dma_0", "started_0"]
    assert board.ip("started_0").read(0) == 4
    assert list(loaded(EXAMPLES["integers"])._registers) == ["axi_dma_0", "axi_dma_1"]
    for call in (lambda: board.twin.ip("other"), lambda: board.twin.read(0), lambda: board.twin.write(0, 0)):
        with pytest.raises(BusError, match="the logic has"):
            call()


def test_an_axi_master_at_a_wrong_address_is_a_bus_error_at_the_next_access():
    board = loaded(EXAMPLES["masters"])
    registers = board.ip("masters_0")
    registers.write(0x28, 1)
    with pytest.raises(BusError, match="outside every live buffer"):
        registers.write(0, 1)
    assert registers.read(0) == 1  # it hangs: busy for ever


def test_an_error_of_the_function_comes_once_at_the_next_access():
    board = loaded(EXAMPLES["loopback"], lambda x: x[:1])
    send(board, np.zeros(3, np.int16))
    registers = board.ip("axi_dma_0")
    with pytest.raises(InputError, match="gave y of shape"):
        registers.read(4)
    assert registers.read(4) == 0x10001


def test_a_reset_line_empties_everything():
    board = loaded(EXAMPLES["started"])
    board.ip("axi_dma_0").write(0, 1)
    board.ip("started_0").write(0x10, 5)
    send(board, np.zeros(2, np.int16))
    board.twin.reset()
    assert board.ip("axi_dma_0").read(0) == 0x10002 and board.ip("started_0").read(0x10) == 0
    assert not board.twin.circuit.queues["x"].size
