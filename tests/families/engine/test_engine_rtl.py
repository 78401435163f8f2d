"""All shipped networks, and the published ones, on the simulated circuit of full size."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterator

import engine_networks as nets
import numpy as np
import pytest
import small
import small_conv
from engine_boards import need_simulator
from test_golden_dorefa import OUTPUT, digest, unpack

from qnn_pynq import open_board
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_network, networks
from qnn_pynq.convert.qnn_mo import import_qnn_mo
from qnn_pynq.engines import BoardEngine
from qnn_pynq.families.engine import driver as driver_module
from qnn_pynq.families.engine.driver import EngineDriver
from qnn_pynq.reliability.answers import Answers, differences, known_answers

pytestmark = pytest.mark.slow  # minutes of compiling


@pytest.fixture(scope="module")
def board() -> Iterator[Any]:
    """One board for all: the circuit is compiled once."""
    need_simulator()
    with open_board("rtl", seed=5, stalls="rough") as opened:
        yield opened


@pytest.mark.parametrize("name", sorted(networks()))
def test_shipped_networks_give_their_known_answers(board, name):
    net = find_network(name)
    known = known_answers(net).part(slice(0, 5))
    engine = BoardEngine(board, [nets.overlay()])
    engine.load(net)
    found = engine.run(known.pictures)
    assert not differences(net, known, Answers.of(known.pictures, found))


def test_published_dense_parameters_give_the_published_words(board, golden, shared_data):
    rows, _ = small.test_set(shared_data, "mnist")
    wanted = np.fromfile(str(golden / "bnn-pynq" / "results" / "t10k_lfcW1A1_gold.bin"), "<u8")[:200]
    engine = BoardEngine(board, [nets.overlay()])
    engine.load(small.published(golden, "lfcW1A1"))
    assert np.array_equal(engine.run(rows[:200]).values, wanted)


def test_the_published_convolutional_network_gives_the_published_codes(board, golden):
    folder = golden / "qnn-mo"
    driver = EngineDriver(board, nets.overlay())
    driver.load(import_qnn_mo(folder / "params" / "dorefanet-layers.json"))
    driver.put(unpack(folder / "test" / "input.bin", 54, 68)[None])
    driver.start(1)
    assert digest(driver.finish()[0]) == OUTPUT
    driver.close()


STREAMED = {
    "one layer": lambda rng: nets.dense_network(1, (1024, 512, 64)),
    "thresholds, too": lambda rng: nets.dense_network(2, (512, 512, 300, 40), True, True),
    "maps": lambda rng: nets.network([small_conv.binary_conv(rng, 128, 128), small_conv.binary_conv(rng, 128, 128),
                                      small_conv.binary_conv(rng, 128, 64)], (5, 4), 128),
}


@pytest.mark.parametrize("stalls", ["steady", "rough"])
@pytest.mark.parametrize("name", STREAMED)
@pytest.mark.parametrize("chunk", [1 << 20, 1])
def test_weights_that_do_not_fit_come_in_time(monkeypatch, name, stalls, chunk):
    need_simulator()
    monkeypatch.setattr(driver_module, "_CHUNK", chunk)
    monkeypatch.setattr(driver_module, "_OVERHEAD", 0)
    monkeypatch.setattr(driver_module, "_LEAST", 1)
    net = STREAMED[name](np.random.default_rng(5))
    shipped = nets.overlay(pe=4, vectors=2, bank_words=512)
    rtl = dataclasses.replace(shipped.rtl, parameters={"P": 4, "V": 2, "BLOCKS": 1})
    overlay = dataclasses.replace(shipped, rtl=rtl)
    cycles = []
    for board in (open_board("rtl", seed=5, stalls=stalls), EmulatedBoard()):
        with board:
            driver = EngineDriver(board, overlay)
            driver.load(net)
            for pictures in (1, 5, 3):
                values = nets.inputs_of(net, net.layers, 0, pictures)
                rows = np.zeros((pictures, *driver.input.shape), np.uint8)
                rows[:, : values.shape[1]] = values
                driver.put(rows)
                driver.start(pictures)
                assert np.array_equal(driver.finish(), nets.expected(net, net.layers, values))
                assert len(driver._counted) == (1 if chunk > 1 else -(-pictures // 2)) * len(driver._compiled.parts)
            assert driver.counters.wait_load > 0
            cycles.append(driver.counters.cycles)
            driver.close()
    assert stalls == "rough" or cycles[1] == pytest.approx(cycles[0], rel=0.01)


@pytest.mark.parametrize("name", sorted(networks()))
def test_the_model_has_the_cycles_of_the_circuit_within_a_hundredth(name):
    need_simulator()
    cycles = []
    for board in (open_board("rtl", stalls="steady"), EmulatedBoard()):
        with board:
            driver = EngineDriver(board, nets.overlay())
            driver.load(find_network(name))
            port = driver.input
            highest = 4 if port.kind == "codes" else 256
            driver.put(np.random.RandomState(2).randint(0, highest, (9, *port.shape)).astype(port.dtype))
            driver.start(9)
            driver.finish()
            cycles.append(driver.counters.cycles)
            driver.close()
    assert cycles[1] == pytest.approx(cycles[0], rel=0.01)
