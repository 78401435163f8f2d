"""The offload driver on the emulated board: the oracle's codes, counts, refusals, ownership, broken walks."""

from __future__ import annotations

import dataclasses
import gc
import math
import threading
import time
import weakref

import numpy as np
import offload
import oracle_conv
import pytest
import small_conv
from evicting import EvictingBoard
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.contracts.families import driver_class, twin_class
from qnn_pynq.errors import (
    BoardBusyError,
    BoardError,
    BoardTakenError,
    BusError,
    ClosedError,
    DeadlineError,
    InputError,
    NoDataError,
    UnsupportedNetworkError,
)
from qnn_pynq.families.qnn_mo import plan as plan_module
from qnn_pynq.families.qnn_mo.driver import QnnMoDriver
from qnn_pynq.families.qnn_mo.twin import QnnMoTwin
from qnn_pynq.families.qnn_mo.walk import Walk
from qnn_pynq.faults import Fault, FaultPlan
from qnn_pynq.kernels import ConvLayer
from qnn_pynq.networks import Conv, Pool

AGAIN = "load the network again"


def _net(seed=0):
    """Two layers in three runs, with a merge to gather between them."""
    rng = np.random.default_rng(seed)
    return offload.network([small_conv.binary_conv(rng, 20, 100, groups=2), Pool(3, 2, (0, 1)),
                            small_conv.binary_conv(rng, 100, 30)], 8, 20)


@pytest.fixture
def driver():
    return offload.driver(net=_net())


def _hang(twin, event, value):
    return math.inf if event == "duration" else value


def _hang_at(number):
    """A fault that lets the start of that number hang."""
    seen = []

    def fault(twin, event, value):
        seen.append(event)
        return math.inf if event == "duration" and seen.count("duration") == number else value

    return fault


def _right(made, images=3, seed=0):
    maps = offload.codes(made, images, seed)
    return np.array_equal(offload.run(made, maps), oracle_conv.forward(made.network.layers, maps))


def test_the_kind_has_this_driver_and_twin(driver):
    assert driver_class("qnn-mo") is QnnMoDriver and twin_class("qnn-mo") is QnnMoTwin is type(driver.board.twin)


# -- codes ------------------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(st.data(), st.sampled_from(offload.KINDS), st.booleans(), st.booleans(), st.integers(1, 4))
def test_random_networks_give_the_oracles_codes(data, kind, conservative, narrow, images):
    net = data.draw(offload.networks(kind, narrow))
    made = offload.driver(kind, net, conservative=conservative)
    # Garbage in fresh buffers must not matter.
    made.put(offload.codes(made, images, 1))
    for area in made.buffers.areas:
        area.array[:] = 0xAB
        area.flush()
    maps = offload.codes(made, images)
    found = offload.run(made, maps)
    assert found.dtype == np.uint8 == made.output.dtype and found.shape == (images, *made.output.shape)
    assert np.array_equal(found, oracle_conv.forward(net.layers, maps))


@pytest.mark.parametrize("conservative", [False, True])
def test_a_batch_of_the_dorefa_net_topology(conservative):
    net = offload.dorefa_net()
    made = offload.driver("w1a2", net, conservative=conservative)
    maps = offload.codes(made, 2)
    assert np.array_equal(offload.run(made, maps), oracle_conv.forward(net.layers, maps))


@pytest.mark.parametrize("channels", [90, 400])
@pytest.mark.parametrize("conservative", [False, True])
def test_parts_of_a_split_one_after_the_other(channels, conservative):
    net = offload.split(channels)
    made = offload.driver(net=net, board=EvictingBoard(), conservative=conservative)
    for images in (1, 3):
        assert _right(made, images)
    assert made.board.evicted == 0
    assert [layer.runs for layer in made.layers()] == [3, 3, 3, 3, 1]


def test_layers_of_two_bits_on_the_overlay_of_three_give_the_same_codes():
    rng = np.random.default_rng(3)
    layers = [small_conv.binary_conv(rng, 20, 40, code_bits=2), small_conv.binary_conv(rng, 40, 50, code_bits=2)]
    net = offload.network(layers, 7, 20)
    maps = offload.codes(offload.driver("w1a2", net), 2)
    two, three = (offload.run(offload.driver(kind, net), maps) for kind in offload.KINDS)
    assert np.array_equal(two, three) and np.array_equal(two, oracle_conv.forward(layers, maps))


def test_software_layers_before_and_behind_are_not_the_drivers():
    net = small_conv.small_network()
    made = offload.driver("w1a2", net)
    assert made.input == ("codes", (8, 8, 64), np.uint8) and made.output == ("codes", (4, 4, 40), np.uint8)
    maps = offload.codes(made, 3)
    assert np.array_equal(offload.run(made, maps), oracle_conv.forward(net.layers[1:4], maps))


def test_thresholds_beyond_16_bits_keep_their_meaning():
    rng = np.random.default_rng(0)
    conv = small_conv.binary_conv(rng, 64, 40)
    wide = conv.thresholds.astype(np.int64) + rng.choice([0, 2**20, -(2**40), 32768 - 40], conv.thresholds.shape)
    net = offload.network([Conv(64, 40, 3, 1, (1, 1), conv.weights, wide)], 6, 64)
    assert _right(offload.driver("w1a2", net))


def test_results_are_arrays_of_their_own(driver):
    maps = offload.codes(driver, 2)
    first = offload.run(driver, maps[:1])
    kept = first.copy()
    offload.run(driver, maps[1:])
    assert np.array_equal(first, kept)


def test_networks_are_swapped_without_configuring_the_logic(driver):
    twin = driver.board.twin
    for seed in (5, 0, 5):
        driver.load(_net(seed))
        assert _right(driver)
    driver.load(offload.dorefa_net())
    assert _right(driver, 1) and driver.board.twin is twin


def test_a_batch_goes_in_chunks_of_the_capacity():
    net = _net()
    made = offload.driver("w1a2", net, dma_bytes=200_000)
    assert 2 <= made.capacity < 16
    assert _right(made, 2 * made.capacity + 1) and made.timing["pictures"] == 1
    assert made.dma_bytes <= 200_000


def test_a_put_replaces_what_was_put_while_the_buffers_grow_and_after(driver):
    maps = offload.codes(driver, 9)
    wanted = oracle_conv.forward(driver.network.layers, maps)
    for last in (slice(9), slice(3, 6), slice(5, 9)):
        driver.put(maps[::-1][:2])
        driver.put(maps[last])
        images = len(maps[last])
        driver.start(images)
        assert np.array_equal(driver.finish(), wanted[last])


def test_fewer_images_may_run_than_were_put(driver):
    """Inputs of several pieces: the buffers' layout does not depend on how many images run."""
    maps = offload.codes(driver, 4)
    driver.put(maps)
    driver.start(2)
    assert np.array_equal(driver.finish(), oracle_conv.forward(driver.network.layers, maps[:2]))


# -- the processor's cache ---------------------------------------------------------------------------------


def _wide():
    """Areas that are several times as large as the input."""
    rng, conv = np.random.default_rng(0), small_conv.binary_conv
    return offload.network([conv(rng, 64, 400, 1, (0, 0)), conv(rng, 400, 800, 1, (0, 0), groups=2),
                            conv(rng, 800, 96, 1, (0, 0), groups=4)], 4, 64)


@pytest.mark.parametrize("conservative", [False, True])
@pytest.mark.parametrize("make", [_net, _wide])
def test_no_dirty_line_is_left_to_be_written_over_a_result(make, conservative):
    net = make()
    made = offload.driver(net=net, board=EvictingBoard(), conservative=conservative)
    for images in (5, 2, 9):  # with growth, without, with growth again
        maps = offload.codes(made, images, images)
        if images == 9:
            made.put(maps[:3])  # before the areas that it went to are replaced
        assert np.array_equal(offload.run(made, maps), oracle_conv.forward(net.layers, maps))
        made.put(maps)  # of which not all run
        made.start(1)
        assert np.array_equal(made.finish(), oracle_conv.forward(net.layers, maps[:1]))
    assert made.board.evicted == 0


def test_an_input_that_ctrl_c_broke_off_is_not_written_over_a_result(monkeypatch):
    net = _wide()
    made = offload.driver(net=net, board=EvictingBoard())
    maps = offload.codes(made, 5)
    made.put(maps)
    offload.run(made, maps[:1])
    real = made.buffers.put

    def interrupted(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(made.buffers, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.put(maps[:4])
    with pytest.raises(InputError, match="0 were put since the last run"):
        made.start(1)
    assert np.array_equal(offload.run(made, maps[:1]), oracle_conv.forward(net.layers, maps[:1]))
    assert made.board.evicted == 0


# -- counts -----------------------------------------------------------------------------------------------


class _Counter:
    """Register accesses, and bytes flushed and invalidated, of a driver."""

    def __init__(self, made, monkeypatch):
        self.writes = self.reads = self.flushed = self.invalidated = 0
        made.board.twin.inject(lambda twin, event, value: value)  # with a hook nothing is done at once
        registers = made.board.ip(made.overlay.ip.name)
        monkeypatch.setattr(registers, "write", self._count("writes", registers.write))
        monkeypatch.setattr(registers, "read", self._count("reads", registers.read))
        for buffer in made.buffers.all():
            monkeypatch.setattr(buffer, "flush", self._bytes("flushed", buffer.flush))
            monkeypatch.setattr(buffer, "invalidate", self._bytes("invalidated", buffer.invalidate))

    def _count(self, name, real):
        def call(*arguments):
            setattr(self, name, getattr(self, name) + 1)
            return real(*arguments)

        return call

    def _bytes(self, name, real):
        def call(nbytes):
            setattr(self, name, getattr(self, name) + nbytes)
            return real(nbytes)

        return call


def _counted(monkeypatch, images, conservative=False):
    made = offload.driver("w1a2", offload.dorefa_net(), conservative=conservative)
    maps = offload.codes(made, images)
    offload.run(made, maps)
    counter = _Counter(made, monkeypatch)
    offload.run(made, maps)
    return made, counter


def test_register_accesses_of_dorefa_net_an_image(monkeypatch):
    made, counter = _counted(monkeypatch, 1)
    loads, runs = 7, 7
    # 102 writes and, in modelled time, 29 reads; upstream's sequence writes all 8 and 17 registers each time.
    assert counter.writes == 102
    assert counter.reads == 1 + 2 * (loads + runs)
    _, published = _counted(monkeypatch, 1, conservative=True)
    assert published.writes == loads * 8 + runs * 17 == 175


def test_each_further_image_of_a_batch_costs_about_three_writes_a_run_and_no_load(monkeypatch):
    accesses = []
    for images in (1, 2, 10):
        made, counter = _counted(monkeypatch, images)
        assert made.board.twin.loads == 14
        accesses.append((counter.writes, counter.reads))
    # Input, output, start; an address now and then is by chance the one that stands.
    assert [writes for writes, _ in accesses] == [102, 124, 292]
    assert [reads - accesses[0][1] for _, reads in accesses] == [0, 7 * 2, 9 * 7 * 2]


def test_bytes_that_the_host_moves_for_an_image_of_dorefa_net(monkeypatch):
    made, counter = _counted(monkeypatch, 1)
    plan = made.plan
    # What the processor writes and reads itself: 154 kB, of 1.36 MB that the circuit reads and writes.
    assert plan.put_bytes + plan.gathered_bytes + plan.taken_bytes == 154_032
    # Cache maintenance covers whole maps: the input; the merged and the split map, and what they are made of; the end.
    assert counter.flushed == 2 * 54**2 * 96 + 27**2 * 96 + 2 * 14**2 * 96 == 667_488
    assert counter.invalidated == 2 * 27**2 * 96 + 14**2 * 96 + 2 * 6**2 * 96 == 165_696


def test_loads_of_dorefa_net_take_33600_cycles_instead_of_110784():
    for conservative, cycles in ((False, 33_600), (True, 110_784)):
        made = offload.driver("w1a2", offload.dorefa_net(), conservative=conservative)
        assert _right(made, 1)
        assert sum(layer.load_cycles for layer in made.layers()) == cycles
        assert made.expected_seconds(1) == pytest.approx((720_387 + cycles) * 1e-8)
        # 7.54 and 8.31 ms by the model, and some polls.
        assert made.timing["run"] == pytest.approx(made.expected_seconds(1), abs=5e-6)


def test_dma_buffers_of_dorefa_net_are_8_megabytes_at_most():
    made = offload.driver("w1a2", offload.dorefa_net())
    assert made.capacity == 10
    offload.run(made, offload.codes(made, 1))
    assert made.dma_bytes == made.board.memory.used == 1_245_184  # one image
    most = 0
    real = made.board.memory.allocate

    def allocate(nbytes, key):
        nonlocal most
        found = real(nbytes, key)
        most = max(most, made.board.memory.used)
        return found

    made.board.memory.allocate = allocate
    maps = offload.codes(made, 10)
    made.put(maps)
    assert made.dma_bytes == made.board.memory.used == most == 7_540_736 <= 8_000_000


def test_a_network_too_large_for_the_limit_gets_one_image():
    made = QnnMoDriver(EmulatedBoard(), offload.overlay("w1a3"))
    made.load(offload.tinier_yolo())
    assert made.capacity == 1
    offload.run(made, offload.codes(made, 1))
    assert made.dma_bytes == made.board.memory.used


def test_layers_tell_what_each_took():
    made = offload.driver("w1a2", offload.dorefa_net())
    assert made.layers() == ()
    offload.run(made, offload.codes(made, 2))
    layers = made.layers()
    assert [(each.layer, each.name, each.runs, each.pictures) for each in layers] == [
        (0, "conv0", 2, 2), (2, "conv1", 1, 2), (4, "conv2", 2, 2), (5, "conv3", 2, 2)]
    assert sum(each.macs for each in layers) == 946_201_824
    for each in layers:
        cycles = each.load_cycles + 2 * each.run_cycles
        assert each.seconds == pytest.approx(cycles * 1e-8, abs=3e-6)
    assert made.timing["run"] == pytest.approx(sum(each.seconds for each in layers))
    assert made.timing["pictures"] == 2 and made.timing["modelled"]
    made.load(_net())
    assert made.layers() == ()


def test_clock_and_address_come_from_the_descriptor():
    published = offload.overlay()
    fast = dataclasses.replace(published, clock_mhz=250.0, ip=dataclasses.replace(published.ip, address=0xA0000000))
    made = QnnMoDriver(EmulatedBoard(), fast)
    made.load(offload.dorefa_net())
    assert _right(made, 1)
    assert made.expected_seconds(1) == pytest.approx(7.53987e-3 / 2.5)
    assert made.timing["run"] == pytest.approx(7.53987e-3 / 2.5, rel=0.01)


def test_in_real_time_a_run_takes_the_modelled_time():
    made = offload.driver("w1a2", offload.dorefa_net(), EmulatedBoard(realtime=True))
    maps = offload.codes(made, 1)
    offload.run(made, maps)
    begun = time.perf_counter()
    offload.run(made, maps)
    assert time.perf_counter() - begun > 0.0075
    # Reads of the control register while it waits are modelled, too.
    assert made.timing["run"] == pytest.approx(made.expected_seconds(1), rel=0.05)


def test_another_thread_computes_while_finish_waits():
    net = _net()
    made = offload.driver(net=net, board=EmulatedBoard(realtime=True))
    made.board.twin.inject(lambda twin, event, value: 0.03 if event == "duration" else value)
    first = ConvLayer(small_conv.pixel_conv(np.random.default_rng(0), 64), 64, 64)
    pictures = np.zeros((1, 64, 64, 3), np.uint8)
    computed, done = [], threading.Event()

    def compute():
        while not done.is_set():
            first.run(pictures)
            computed.append(time.perf_counter())

    maps = offload.codes(made, 1)
    made.put(maps)
    made.start(1)
    worker = threading.Thread(target=compute)
    worker.start()
    begun = time.perf_counter()
    found = made.finish()
    ended = time.perf_counter()
    done.set()
    worker.join()
    assert np.array_equal(found, oracle_conv.forward(net.layers, maps))
    assert ended - begun > 0.15 and sum(begun < moment < ended for moment in computed) > 10


# -- the published sequence -------------------------------------------------------------------------------


def test_the_conservative_driver_loads_dorefa_net_in_the_order_of_the_published_files():
    """Files 1 to 7, told apart by the registers of the run behind each load."""
    made = offload.driver(net=offload.dorefa_net(), conservative=True)
    starts = []

    def start(twin, event, value):
        if event == "duration":
            r = twin.registers
            starts.append("load" if r[0x34] else (r[0x54], r[0x5C]))
        return value

    made.board.twin.inject(start)
    assert _right(made, 2)
    halves, whole = [(34, 90)] * 2, [(180, 272)]
    runs = halves + whole + [(136, 192), (192, 128)] * 2
    assert starts == [each for run in runs for each in ("load", run, run)]
    assert made.dma_bytes <= 8_000_000


def test_the_conservative_driver_writes_every_register_and_waits_for_done_alone(driver):
    slow = offload.driver(net=_net(), conservative=True)
    assert slow._done_mask == 2 and driver._done_mask == 6
    written = []
    registers = slow.board.ip(slow.overlay.ip.name)
    real = registers.write
    slow.board.twin.inject(lambda twin, event, value: value)  # with a hook nothing is done at once
    registers.write = lambda offset, value: written.append(offset) or real(offset, value)
    assert _right(slow, 2)
    assert written.count(0x3C) == 3 + 3 * 2  # layerType: loads too


@pytest.mark.parametrize("conservative", [False, True])
def test_a_done_that_somebody_read_away_matters_to_the_conservative_only(conservative):
    made = offload.driver(net=_net(), conservative=conservative)
    maps = offload.codes(made, 1)
    made.put(maps)
    made.start(1)
    made.board.clock.advance(1.0)
    made.board.ip(made.overlay.ip.name).read(0)
    if conservative:
        with pytest.raises(DeadlineError):
            made.finish(0.1)
    else:
        assert np.array_equal(made.finish(0.1), oracle_conv.forward(made.network.layers, maps))


def test_a_stale_done_does_not_end_a_load(driver):
    registers = driver.board.ip(driver.overlay.ip.name)
    weights = driver.buffers.weights.device_address
    for offset, value in ((0x10, weights), (0x1C, weights), (0x34, 1), (0x44, 1), (0, 1)):  # nobody waits for it
        registers.write(offset, value)
    driver.board.clock.advance(1e-3)
    assert _right(driver)


def test_somebody_elses_registers_do_not_stay(driver):
    assert _right(driver)
    registers = driver.board.ip(driver.overlay.ip.name)
    for offset in range(0x10, 0x90, 4):
        registers.write(offset, 3)
    assert _right(driver)


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codes", [
    np.zeros((1, 8, 8, 20), np.int8), np.zeros((1, 8, 8, 20)), np.zeros((1, 8, 8, 21), np.uint8),
    np.zeros((8, 8, 20), np.uint8), np.zeros((1, 1, 8, 8, 20), np.uint8), np.zeros(20, np.uint8), [[0]], None])
def test_codes_of_another_shape_or_dtype_are_refused_and_the_former_ones_stay(driver, codes):
    maps = offload.codes(driver, 2)
    driver.put(maps)
    with pytest.raises(InputError, match=r"expected uint8 \(pictures, 8, 8, 20\)"):
        driver.put(codes)
    driver.start(2)
    assert np.array_equal(driver.finish(), oracle_conv.forward(driver.network.layers, maps))


def test_codes_out_of_range_are_refused():
    net = offload.network([small_conv.binary_conv(np.random.default_rng(0), 20, 8)], 8, 20)
    for kind in offload.KINDS:  # the layer's range, not the overlay's
        made = offload.driver(kind, net)
        maps = offload.codes(made, 2)
        maps[1, 7, 7, 19] = 4
        with pytest.raises(InputError, match=r"code 4: expected 0\.\.3"):
            made.put(maps)


def test_codes_need_not_be_contiguous(driver):
    maps = offload.codes(driver, 4)
    wanted = oracle_conv.forward(driver.network.layers, maps)
    for batch, those in ((np.asfortranarray(maps), slice(None)), (maps[::2], slice(None, None, 2))):
        driver.put(batch)
        driver.start(len(batch))
        assert np.array_equal(driver.finish(), wanted[those])


def test_batches_outside_the_capacity_are_refused(driver):
    one = np.zeros((1, *driver.input.shape), np.uint8)
    for images in (0, driver.capacity + 1):
        with pytest.raises(InputError, match=fr"expected 1\.\.{driver.capacity} in one run"):
            driver.put(np.broadcast_to(one, (images, *one.shape[1:])))
    for images in (-1, 0, driver.capacity + 1):
        with pytest.raises(InputError, match=fr"expected 1\.\.{driver.capacity} in one run"):
            driver.start(images)


def test_a_run_needs_all_its_images_anew(driver):
    """Later maps lie where the input was."""
    maps = offload.codes(driver, 3)
    driver.put(maps[:2])
    with pytest.raises(InputError, match="3 pictures, but 2 were put since the last run"):
        driver.start(3)
    driver.put(maps)
    driver.start(3)
    assert np.array_equal(driver.finish(), oracle_conv.forward(driver.network.layers, maps))
    with pytest.raises(InputError, match="1 pictures, but 0 were put since the last run"):
        driver.start(1)


def test_nothing_runs_before_configure_nor_finishes_before_start(driver):
    fresh = offload.driver()
    for call in (lambda: fresh.put(None), lambda: fresh.start(1), lambda: fresh.input, lambda: fresh.output,
                 lambda: fresh.expected_seconds(1)):
        with pytest.raises(BoardError, match="no network is configured"):
            call()
    for made in (fresh, driver):
        with pytest.raises(BoardError, match="call start"):
            made.finish()


def test_too_little_contiguous_memory_is_said_and_leaves_nothing_behind():
    board = EmulatedBoard(memory_limit=65536)
    with pytest.raises(BoardError, match="contiguous memory"):
        offload.driver(net=offload.dorefa_net(), board=board)
    assert board.memory.used == 0
    made = offload.driver(net=_net(), board=board)
    with pytest.raises(BoardError, match="contiguous memory"):
        made.put(offload.codes(made, made.capacity))
    with pytest.raises(InputError, match="0 were put since the last run"):
        made.start(1)


# -- one run, one owner -----------------------------------------------------------------------------------


def test_a_second_start_an_input_and_a_new_network_wait_for_finish(driver):
    maps = offload.codes(driver, 2)
    driver.put(maps)
    driver.start(2)
    for call in (lambda: driver.start(1), lambda: driver.put(maps), lambda: driver.load(_net())):
        with pytest.raises(BoardBusyError, match="2 pictures is in flight"):
            call()
    assert np.array_equal(driver.finish(), oracle_conv.forward(driver.network.layers, maps))


def test_two_drivers_on_one_board_never_answer_with_the_wrong_network(driver):
    other = offload.driver(net=_net(7), board=driver.board)
    for call in (lambda: driver.start(1), lambda: driver.put(offload.codes(other, 1))):
        with pytest.raises(BoardTakenError, match="another classifier"):
            call()
    assert _right(other)
    driver.load(driver.network)
    assert _right(driver)
    with pytest.raises(BoardTakenError):
        other.start(1)


def test_nobody_takes_the_board_during_a_run(driver):
    maps = offload.codes(driver, 1)
    driver.put(maps)
    driver.start(1)
    other = QnnMoDriver(driver.board, driver.overlay)
    with pytest.raises(BoardBusyError, match="in flight"):
        other.load(_net())
    assert np.array_equal(driver.finish(), oracle_conv.forward(driver.network.layers, maps))
    other.load(_net())


def test_logic_that_somebody_reprogrammed_is_noticed(driver):
    net = driver.network
    for happens in (driver.board.forget, driver.board.reset, lambda: driver.board.configure(offload.overlay("w1a3"))):
        happens()
        with pytest.raises(BoardError, match=AGAIN):
            driver.start(1)
        driver.load(net)
        assert _right(driver)


def test_a_reset_during_a_run_says_to_load_again(driver):
    net, maps = driver.network, offload.codes(driver, 1)
    driver.put(maps)
    driver.start(1)
    driver.board.reset()
    with pytest.raises(BoardError, match=AGAIN):
        driver.finish()
    driver.load(net)
    assert _right(driver)


# -- broken walks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number, what", [
    (1, r"run 1 of 3 \(conv0\), load"), (2, r"run 1 of 3 \(conv0\), picture 0"),
    (3, r"run 1 of 3 \(conv0\), picture 1"), (4, r"run 2 of 3 \(conv0\), load"),
    (7, r"run 3 of 3 \(conv1\), load"), (9, r"run 3 of 3 \(conv1\), picture 1")])
def test_a_hang_anywhere_ends_at_the_deadline_and_a_reset_helps(driver, number, what):
    net, maps = driver.network, offload.codes(driver, 2)
    driver.board.twin.inject(_hang_at(number))
    driver.put(maps)
    driver.start(2)
    before = driver.board.clock.now()
    with pytest.raises(DeadlineError, match="qnn-mo-w1a2, " + what + r" \(the cycle model says.*within"):
        driver.finish(0.5)
    assert driver.board.clock.now() - before == pytest.approx(0.5, rel=1e-2)
    assert driver.network is None
    for call in (lambda: driver.start(1), lambda: driver.put(maps)):
        with pytest.raises(BoardError, match=AGAIN):
            call()
    for call in (driver.finish, lambda: driver.load(net)):
        with pytest.raises(BoardBusyError, match="reset.*" + AGAIN):
            call()
    other = QnnMoDriver(driver.board, driver.overlay)
    with pytest.raises(BoardBusyError, match="in flight"):
        other.load(net)
    driver.board.reset()
    with pytest.raises(BoardError, match=AGAIN):
        driver.start(1)
    driver.load(net)
    assert _right(driver)


def test_without_a_timeout_each_wait_has_what_the_model_allows(driver):
    driver.board.twin.inject(_hang)
    driver.put(offload.codes(driver, 1))
    driver.start(1)
    before = driver.board.clock.now()
    with pytest.raises(DeadlineError, match="within 1"):
        driver.finish()
    assert 1.0 <= driver.board.clock.now() - before < 1.1


def test_a_timeout_is_for_each_wait_and_the_message_names_it(driver):
    seconds = [0.1]
    driver.board.twin.inject(lambda twin, event, value: seconds[0] if event == "duration" else value)
    driver.put(offload.codes(driver, 1))
    driver.start(1)
    assert len(driver.finish(0.15)) == 1  # six waits of 0.1 s
    for _ in range(2):
        driver.put(offload.codes(driver, 1))
        driver.start(1)
        seconds[0] = 0.2
        with pytest.raises(DeadlineError, match=r"no answer within 0\.15 s"):
            driver.finish(0.15)
        driver.board.clock.advance(1.0)  # the slow one ends after all
        seconds[0] = 0.1
        driver.load(_net())


def test_host_work_between_the_runs_is_not_part_of_a_timeout(driver, monkeypatch):
    real = driver.buffers.gather
    monkeypatch.setattr(driver.buffers, "gather", lambda *call: driver.board.clock.advance(5.0) or real(*call))
    maps = offload.codes(driver, 1)
    driver.put(maps)
    driver.start(1)
    assert np.array_equal(driver.finish(0.1), oracle_conv.forward(driver.network.layers, maps))


@pytest.mark.parametrize("event", ["duration", "result", "done"])
def test_ctrl_c_says_to_load_again_and_loading_helps(driver, event):
    net, maps = driver.network, offload.codes(driver, 1)

    def interrupt(twin, name, value):
        if name == event and (event != "duration" or twin.loads > 1):
            raise KeyboardInterrupt
        return value

    driver.board.twin.inject(interrupt)
    driver.put(maps)
    driver.start(1)
    with pytest.raises(KeyboardInterrupt):
        driver.finish()
    driver.board.twin.clear_injected()
    for call in (lambda: driver.start(1), driver.finish):
        with pytest.raises(BoardError, match=AGAIN):
            call()
    driver.board.clock.advance(1.0)
    driver.load(net)  # the circuit is idle: no reset needed
    assert _right(driver)


def test_ctrl_c_between_the_runs_needs_no_reset(driver, monkeypatch):
    net = driver.network

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(driver.buffers, "gather", interrupt)
        driver.put(offload.codes(driver, 1))
        driver.start(1)
        with pytest.raises(KeyboardInterrupt):
            driver.finish()
    with pytest.raises(BoardError, match=AGAIN):
        driver.start(1)
    driver.load(net)
    assert _right(driver)


def test_ctrl_c_in_start_breaks_off_too(driver, monkeypatch):
    net = driver.network
    driver.put(offload.codes(driver, 1))
    with monkeypatch.context() as patch:
        patch.setattr(Walk, "_start", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            driver.start(1)
    with pytest.raises(BoardError, match=AGAIN):
        driver.start(1)
    driver.load(net)
    assert _right(driver)


def test_a_bus_error_breaks_off(driver):
    net = driver.network
    driver.put(offload.codes(driver, 1))
    driver.start(1)
    driver.buffers.areas[1].close()
    with pytest.raises(BusError):
        driver.finish()
    with pytest.raises(BoardError, match=AGAIN):
        driver.start(1)
    driver.load(net)
    assert _right(driver)


def test_a_failed_configure_leaves_no_network(driver, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(driver.board, "allocate", lambda *_: (_ for _ in ()).throw(BoardError("no memory")))
        with pytest.raises(BoardError, match="no memory"):
            driver.load(_net(3))
    with pytest.raises(BoardError, match="no network is configured"):
        driver.start(1)
    driver.load(_net(3))
    assert _right(driver)


# -- freeing ----------------------------------------------------------------------------------------------


def test_free_gives_the_buffers_back_until_the_next_configure(driver):
    net = driver.network
    assert _right(driver)
    driver.put(offload.codes(driver, 1))
    for _ in range(2):
        driver.free()
        assert driver.board.memory.used == driver.dma_bytes == 0
        assert driver.network is None and driver.board.owner is driver
    for call in (lambda: driver.start(1), lambda: driver.put(np.zeros((1, *driver.input.shape), np.uint8))):
        with pytest.raises(BoardError, match=AGAIN):
            call()
    driver.load(net)
    with pytest.raises(InputError, match="0 were put since the last run"):
        driver.start(1)
    assert _right(driver)


def test_free_refuses_while_the_circuit_may_write(driver):
    net, maps = driver.network, offload.codes(driver, 1)
    driver.put(maps)
    driver.start(1)
    with pytest.raises(BoardBusyError, match="in flight"):
        driver.free()
    assert np.array_equal(driver.finish(), oracle_conv.forward(net.layers, maps))
    driver.board.twin.inject(_hang_at(3))
    driver.put(maps)
    driver.start(1)
    with pytest.raises(DeadlineError):
        driver.finish()
    with pytest.raises(BoardBusyError, match="reset"):
        driver.free()
    assert driver.dma_bytes > 0
    driver.board.reset()
    driver.free()
    assert driver.board.memory.used == 0
    driver.load(net)
    assert _right(driver)


def test_free_of_a_driver_whose_logic_is_gone_and_of_a_closed_one(driver):
    other = QnnMoDriver(driver.board, offload.overlay("w1a3"))
    other.load(offload.network([small_conv.binary_conv(np.random.default_rng(0), 64, 32, code_bits=3)], 6, 64))
    driver.free()
    assert driver.board.memory.used == other.dma_bytes
    assert _right(other, 2)
    driver.close()
    driver.free()


# -- closing ----------------------------------------------------------------------------------------------


def test_close_gives_buffers_and_board_back(driver):
    assert _right(driver)
    driver.close()
    driver.close()
    assert driver.board.memory.used == 0 and driver.board.owner is None
    for call in (lambda: driver.put(None), lambda: driver.start(1), driver.finish,
                 lambda: driver.load(_net())):
        with pytest.raises(ClosedError, match="closed"):
            call()


def test_close_waits_for_a_run_and_ends_one_that_hangs_by_a_reset(driver, monkeypatch):
    maps = offload.codes(driver, 1)
    driver.put(maps)
    driver.start(1)
    driver.close()
    board = driver.board
    assert board.memory.used == 0
    for works in (True, False):
        other = offload.driver(net=_net(), board=board)
        assert board.quarantined == 0
        board.twin.inject(_hang_at(3))
        other.put(maps)
        other.start(1)
        held = other.dma_bytes
        with monkeypatch.context() as patch:
            if not works:
                patch.setattr(board, "reset", lambda: 1 // 0)
            other.close()
        assert board.owner is None and board.in_flight is None and other.dma_bytes == 0
        assert board.memory.used == (0 if works else held) and bool(board.quarantined) != works
    board.configure(other.overlay)
    assert board.memory.used == 0 == board.quarantined


def test_close_after_a_broken_walk_gives_everything_back_once_the_circuit_is_idle(driver):
    driver.board.twin.inject(lambda twin, event, value: 0.3 if event == "duration" else value)
    driver.put(offload.codes(driver, 1))
    driver.start(1)
    with pytest.raises(DeadlineError):
        driver.finish(0.1)
    driver.board.clock.advance(1.0)
    driver.close()
    assert driver.board.memory.used == 0 and driver.board.owner is None


def test_closing_the_board_first_is_fine(driver):
    assert _right(driver)
    driver.board.close()
    with pytest.raises(ClosedError):
        driver.start(1)
    driver.close()



# -- maps that were never written ------------------------------------------------------------------------


@pytest.mark.parametrize("conservative", [False, True])
@pytest.mark.parametrize("images", [1, 3])
def test_marked_maps_give_the_oracles_codes_with_a_cache_that_writes_back_late(conservative, images):
    net = _net(4)
    made = offload.driver(net=net, board=EvictingBoard(), conservative=conservative)
    made.limits = made.limits._replace(sentinels=True)
    for seed in (1, 2):
        codes = offload.codes(made, images, seed)
        assert np.array_equal(offload.run(made, codes), oracle_conv.forward(net.layers, codes))


@pytest.mark.parametrize("sentinels", [False, True])
def test_each_run_that_was_done_without_data_is_noticed_where_the_limits_say_so(sentinels):
    noticed, runs = [], 0
    for at in range(100):
        plan = FaultPlan(faults=[Fault("done without data", at)])
        made = offload.driver(net=_net(), board=EmulatedBoard(faults=plan))
        made.limits = made.limits._replace(sentinels=sentinels)
        codes = offload.codes(made, 2)
        try:
            offload.run(made, codes)
        except NoDataError as error:
            assert "1 of 2 maps" in str(error)
            noticed.append(at)
            with pytest.raises(BoardError, match=AGAIN):
                offload.run(made, codes)
        runs = made.board.twin.runs
        if not plan.injected:
            break
    assert runs == 6 and len(noticed) == (6 if sentinels else 0)


# -- one plan a load --------------------------------------------------------------------------------------


@pytest.fixture
def planned(monkeypatch):
    """Networks and modes of all plans that are made."""
    made = []
    real = plan_module.make_plan
    monkeypatch.setattr(plan_module, "make_plan", lambda network, overlay, conservative=False: (
        made.append((network, overlay.name, conservative)) or real(network, overlay, conservative)))
    return made


@pytest.mark.parametrize("conservative", [False, True])
def test_a_load_plans_once_and_so_does_the_way_back_after_a_reset(planned, conservative):
    net, other = small_conv.small_network(1), small_conv.small_network(2)
    wanted = [(net, "qnn-mo-w1a2", conservative)]
    with Classifier(net, board="emulated", conservative=conservative) as classifier:
        assert planned == wanted
        rows = np.zeros((2, net.input.pixels), np.uint8)
        before = classifier.decision_function(rows)
        classifier.load(other)
        assert planned == wanted + [(other, "qnn-mo-w1a2", conservative)]
        classifier.load(net)
        assert np.array_equal(classifier.decision_function(rows), before)
        assert len(planned) == 2


def test_another_overlay_mode_or_network_is_planned_anew(planned):
    net, own = _net(), offload.overlay(max_inputs=192, max_outputs=192)
    for circuit, conservative in ((offload.overlay(), False), (own, False), (own, True), (offload.overlay(), True)):
        for _ in range(2):
            made = QnnMoDriver(EmulatedBoard(), circuit, conservative)
            QnnMoDriver.split(net, dataclasses.replace(circuit), conservative)
            made.load(net)
            assert made.plan.pixel_bytes == 2 * circuit.geometry["max_inputs"] // 8 and _right(made)
    assert len(planned) == 4
    same = dataclasses.replace(net)
    QnnMoDriver.split(same, offload.overlay(), True)
    assert planned[4:] == [(same, "qnn-mo-w1a2", True)]


def test_a_network_that_is_refused_is_refused_again(planned):
    net = offload.network([small_conv.binary_conv(np.random.default_rng(0), 8, 8, 6, (2, 2))], 8, 8)
    for _ in range(2):
        with pytest.raises(UnsupportedNetworkError, match="kernel 6"):
            QnnMoDriver.split(net, offload.overlay())
    assert len(planned) == 2


def test_plans_do_not_keep_networks():
    net = _net()
    QnnMoDriver.split(net, offload.overlay())
    left = weakref.ref(net)
    del net
    gc.collect()
    assert left() is None
