"""Circuits with streams end to end on the emulated board; expected values by plain integers."""
from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from bitfiles import bit_file, hwh_file
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_circuits import EXAMPLES, stream

from qnn_pynq import StreamOverlay
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.errors import (
    AnomalyError,
    BoardError,
    BoardTakenError,
    BusError,
    ClosedError,
    DeadlineError,
    DescriptorError,
    DmaError,
    InputError,
    NotFoundError,
    OverlayMissingError,
)
from qnn_pynq.faults import KINDS, Fault, FaultPlan
from qnn_pynq.kernels.fixed import fixed_container
from qnn_pynq.overlay import load_overlay
from qnn_pynq.streams import describe, parse_type
from qnn_pynq.streams.circuit import make_circuit


def same(x):
    return x


def opened(description, function=same, **more):
    more.setdefault("board", "emulated")
    return StreamOverlay(description, twin=function, **more)


# -- networks of a student --------------------------------------------------------------------------
def wrapped(values, width):
    """Low bits, with sign, as ap_fixed without a mode keeps them."""
    return (values + (1 << width - 1)) % (1 << width) - (1 << width - 1)


def integer_mlp(x, layers, width, fraction):
    """The network on integers: exact products and sums, ReLU but for the last, floor and wrap after each layer."""
    for number, (weights, biases) in enumerate(layers):
        x = x @ weights + (biases << fraction)
        if number + 1 < len(layers):
            x = np.maximum(x, 0)
        x = wrapped(x >> fraction, width)
    return x


def float_mlp(layers, kind, fraction):
    """The same as the author of a twin would write it: values, and the type after each layer."""
    step = 2.0**-fraction

    def function(x):
        for number, (weights, biases) in enumerate(layers):
            x = x.astype(np.float64) @ (weights * step) + biases * step
            x = kind.quantise(np.maximum(x, 0) if number + 1 < len(layers) else x)
        return x

    return function


def trained_iris(seed=3):
    """Three species of flowers, four measures (generated), and a 4-8-3 network trained in a few lines."""
    rng = np.random.RandomState(seed)
    centres = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
    labels = np.arange(150) % 3
    x = centres[labels] + rng.normal(0, [0.35, 0.3, 0.3, 0.2], (150, 4)) - centres.mean(0)
    w1, b1 = rng.normal(0, 0.5, (4, 8)), np.zeros(8)
    w2, b2 = rng.normal(0, 0.5, (8, 3)), np.zeros(3)
    for _ in range(600):
        hidden = np.maximum(x @ w1 + b1, 0)
        scores = hidden @ w2 + b2
        chances = np.exp(scores - scores.max(1, keepdims=True))
        slope = (chances / chances.sum(1, keepdims=True) - np.eye(3)[labels]) / len(x)
        back = (slope @ w2.T) * (hidden > 0)
        for part, down in ((w2, hidden.T @ slope), (b2, slope.sum(0)), (w1, x.T @ back), (b1, back.sum(0))):
            part -= 0.3 * down
    return x, labels, [(w1, b1), (w2, b2)]


@pytest.mark.parametrize("scatter_gather", [False, True])
def test_an_iris_network_is_exact_and_right(scatter_gather):
    x, labels, layers = trained_iris()
    whole = [tuple(np.floor(part * 1024 + 0.5).astype(np.int64) for part in layer) for layer in layers]
    description = describe("iris", [stream("x", shape=(4,))], [stream("y", shape=(3,))], clock_mhz=100,
                           dmas=[{"name": "axi_dma_0", "scatter_gather": scatter_gather}])
    expected = integer_mlp(np.rint(x * 1024).astype(np.int64), whole, 16, 10)
    with opened(description, float_mlp(whole, parse_type("ap_fixed<16,6>"), 10)) as iris:
        scores = iris(x)
        assert scores.dtype == np.float32 and np.array_equal(scores * 1024.0, expected)
        assert np.array_equal(iris(x[7]), scores[7]) and iris(x[7]).shape == (3,)
    assert (scores.argmax(1) == labels).mean() >= 0.95


@pytest.mark.parametrize("width, integer", [(18, 8), (24, 10), (12, 6)])
def test_a_network_of_the_shape_of_a_muon_regressor_is_exact(width, integer):
    """27-35-20-25-40-20-15-1; with 12 bits its sums wrap, here as in the circuit."""
    sizes, fraction = (27, 35, 20, 25, 40, 20, 15, 1), width - integer
    rng = np.random.RandomState(width)
    layers = [(rng.randint(-2**fraction, 2**fraction, (a, b)) // 2, rng.randint(-50, 50, b))
              for a, b in zip(sizes, sizes[1:])]
    kind = f"ap_fixed<{width},{integer}>"
    x = rng.uniform(-3, 3, (200, 27))
    expected = integer_mlp(np.rint(x * 2**fraction).astype(np.int64), layers, width, fraction)
    assert len(np.unique(expected)) > 100
    description = describe("muon", [stream("features", kind, (27,))], [stream("momentum", kind, (1,))],
                           dmas=[{"name": "axi_dma_0", "length_bits": 12}])
    with opened(description, float_mlp(layers, parse_type(kind), fraction)) as muon:
        assert muon._longest < 200  # several transfers
        got = muon.run(features=x)
        assert got.dtype == parse_type(kind).result and np.array_equal(got * 2.0**fraction, expected)


# -- types and rules --------------------------------------------------------------------------------
KINDS_OF_NUMBERS = st.one_of(
    st.builds("ap_{}fixed<{},{}>".format, st.sampled_from(["", "u"]), st.integers(1, 53), st.integers(-10, 60)),
    st.builds("ap_{}int<{}>".format, st.sampled_from(["", "u"]), st.integers(1, 64)),
)


@settings(max_examples=60, deadline=None)
@given(kind=KINDS_OF_NUMBERS, shape=st.lists(st.integers(1, 4), max_size=3), samples=st.integers(0, 5),
       rule=st.sampled_from(["batch", "sample"]), scatter_gather=st.booleans(), data=st.data())
def test_every_integer_of_a_type_goes_round_a_loop(kind, shape, samples, rule, scatter_gather, data):
    parsed = parse_type(kind)
    lowest, highest = ((-(1 << parsed.width - 1), (1 << parsed.width - 1) - 1) if parsed.signed
                       else (0, (1 << parsed.width) - 1))
    count = samples * int(np.prod(shape, dtype=int))
    raw = data.draw(st.lists(st.integers(lowest, highest), min_size=count, max_size=count))
    ends = stream("x", kind, shape, tlast=rule)
    description = describe("loopback", [ends], [dict(ends, name="y")],
                           dmas=[{"name": "axi_dma_0", "scatter_gather": scatter_gather}])
    if parsed.kind == "fixed":
        values = np.array([q * 2.0**-parsed.fraction for q in raw], np.float64)
    else:
        values = np.array(raw, fixed_container(parsed.width, parsed.signed))
    values = values.reshape([samples, *shape])
    with opened(description) as loop:
        got = loop(values)
        assert got.shape == values.shape and np.array_equal(got, values) and not np.shares_memory(got, values)
        if samples:
            assert np.array_equal(loop(values[-1]), values[-1])


def test_raw_streams_take_and_give_the_integers():
    ends = stream("x", "ap_fixed<64,3>", (2,), raw=True)
    with opened(describe("loopback", [ends], [dict(ends, name="y")])) as loop:
        x = np.array([[-2**63, 2**63 - 1], [0, -1]])
        assert loop(x).dtype == np.int64 and np.array_equal(loop(x), x)
        with pytest.raises(InputError, match="dtype float64, expected integers for ap_fixed<64,3> as raw bits"):
            loop(x.astype(float))


@pytest.mark.parametrize("rule, value, expected", [
    ({}, 0.3, 0.25), ({}, 0.375, 0.5), ({"rounding": "type"}, 0.49, 0.25), ({"rounding": "type"}, -0.01, -0.25),
    ({"overflow": "saturate"}, 9.0, 7.75), ({"overflow": "saturate"}, -9e9, -8.0), ({"overflow": "type"}, 9.0, -7.0),
])
def test_what_python_does_with_other_numbers_is_as_described(rule, value, expected):
    kind = "ap_fixed<6,4>"
    with opened(describe("loopback", [stream("x", kind, (), **rule)], [stream("y", kind, ())])) as loop:
        assert loop(value) == expected


def test_the_circuits_type_rounds_and_wraps_what_the_function_returns():
    outputs = [stream("y", kind, (), dma=f"axi_dma_{number}") for number, kind in enumerate(
        ["ap_fixed<6,4>", "ap_fixed<6,4,AP_RND,AP_SAT>"])]
    outputs[1]["name"] = "z"
    with opened(describe("loopback", [stream("x", "float", ())], outputs), lambda x: (x, x)) as loop:
        assert loop(0.49) == {"y": 0.25, "z": 0.5} and loop(9.0) == {"y": -7.0, "z": 7.75}


def test_several_streams_and_dmas_in_step():
    description = describe("sums", [stream("a", "int16", (3,), lanes=1), stream("b", "float", (2,), dma="axi_dma_1")],
                           [stream("c", "int32", (), dma="axi_dma_1"), stream("d", "double", (2, 3))])
    a = np.arange(30, dtype=np.int16).reshape(10, 3)
    b = np.arange(20, dtype=np.float32).reshape(10, 2) / 8
    with opened(description, lambda a, b: {"d": np.outer(b, a), "c": a.sum()}) as sums:
        for got in (sums(a, b), sums(a, b=b), sums.run(b=b, a=a)):
            assert got["c"].dtype == np.int32 and np.array_equal(got["c"], a.sum(1))
            assert np.array_equal(got["d"], b[:, :, None] * a[:, None].astype(float))


@pytest.mark.parametrize("example", ["started", "masters"])
def test_a_circuit_that_is_started_gets_addresses_and_the_number_of_samples(example):
    description = EXAMPLES[example]
    if example == "masters":
        assert description.arguments == {"a": 0x10, "b": 0x1C, "samples": 0x28}
        x = np.arange(60).reshape(10, 6)
        with opened(description, lambda a: a[::-1]) as circuit:
            assert np.array_equal(circuit(x), x[:, ::-1]) and np.array_equal(circuit(x[3]), x[3, ::-1])
            assert circuit.board.twin.circuit.registers.values["samples"] == 1
        return
    x, w = np.arange(6).reshape(2, 3) / 2, np.arange(20).reshape(2, 2, 5) / 64
    with opened(description, lambda x, w: (2 * x, w.sum(1).repeat(2))) as circuit:
        got = circuit(x, w)
        assert np.array_equal(got["y"], 2 * x) and np.array_equal(got["m"], w.sum(2).repeat(2, axis=1))


# -- refused before a byte moves --------------------------------------------------------------------
@pytest.mark.parametrize("arguments, named, message", [
    ((), {}, "loopback: got 0 arrays, expected each of its inputs once: x"),
    (([1, 2, 3], [1, 2, 3]), {}, "loopback: got 2 arrays"),
    (([1, 2, 3],), {"x": [1, 2, 3]}, "loopback: got x twice"),
    ((), {"z": [1, 2, 3]}, "loopback: got an unknown z"),
    (([1, 2],), {}, r"x: shape \(2,\), expected \(3,\) for one sample, \(n, 3\) for n"),
    (([[[1, 2, 3]]],), {}, r"x: shape \(1, 1, 3\)"),
    (([1, 2, 3j],), {}, "x: dtype complex128, expected real numbers of up to 64 bits for ap_fixed<16,6>"),
    ((["1", "2", "3"],), {}, "x: dtype <U1"),
    (([None, 1, 2],), {}, "x: dtype object"),
    (([[1, 2, 3], [1]],), {}, "x: (no array|dtype object)"),
    (([[1, 2, 3], [0, 32, 0]],), {}, r"x\[1, 1\] is 32: ap_fixed<16,6> holds -32.0 to 31.9990234375; scale the data"),
    (([0, -32.001, 0],), {}, r"x\[0, 1\] is -32.001"),
    (([0, float("nan"), 0],), {}, r"x\[0, 1\] is nan: ap_fixed<16,6> has no such value"),
    (([0, 0, float("inf")],), {}, r"x\[0, 2\] is inf"),
    ((np.ma.masked_array([1, 2, 3], [0, 1, 0]),), {}, "x: has masked values"),
    (([1, 2, 3],), {"timeout": 0}, "timeout 0: expected seconds above 0"),
    (([1, 2, 3],), {"timeout": "1"}, "timeout '1'"),
])
def test_a_wrong_call_is_refused_and_nothing_moves(arguments, named, message):
    with opened(EXAMPLES["loopback"]) as loop:
        loop([1, 2, 3])
        before = (loop.board.clock.now(), loop.board.memory.used, loop.board.modelled_seconds)
        with pytest.raises(InputError, match=message):
            loop(*arguments, **named)
        assert (loop.board.clock.now(), loop.board.memory.used, loop.board.modelled_seconds) == before
        assert loop([1, 2, 3]).tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind, value, message", [
    ("ap_int<7>", 64, r"x is 64: ap_int<7> holds -64 to 63"),
    ("ap_int<7>", 1.0, "dtype float64, expected integers for ap_int<7>; numpy.rint"),
    ("ap_uint<64>", -1, r"x is -1: ap_uint<64> holds 0 to 18446744073709551615"),
    ("ap_ufixed<8,0>", 1.0, r"x is 1.0: ap_ufixed<8,0> holds 0.0 to 0.99609375"),
    ("float", 1e39, r"x is 1e\+39: float holds"),
])
def test_the_range_of_every_kind_is_kept(kind, value, message):
    with opened(describe("loopback", [stream("x", kind, ())], [stream("y", kind, ())])) as loop:
        with pytest.raises(InputError, match=message.replace("x is", r"x\[0\] is")):
            loop(value)


def test_numbers_of_samples_must_agree():
    description = describe("sums", [stream("a"), stream("b", dma="axi_dma_1")], [stream("c")])
    with opened(description, lambda a, b: a + b) as sums:
        for a, b in (((4, 3), (5, 3)), ((3,), (1, 3))):
            with pytest.raises(InputError, match="numbers of samples a .*: expected the same for every input"):
                sums(np.zeros(a), np.zeros(b))


def test_a_batch_is_cut_where_a_transfer_ends_or_refused():
    description = describe("loopback", [stream("x")], [stream("y")], dmas=[{"name": "axi_dma_0", "length_bits": 8}])
    x = np.arange(300).reshape(100, 3) / 16
    with opened(description) as loop:
        assert np.array_equal(loop(x), x)
        assert loop._buffers["x"].nbytes <= 255
    with opened(description, split=False) as loop:
        with pytest.raises(InputError, match="loopback: 100 samples: expected at most 42, what one transfer holds"):
            loop(x)
        assert np.array_equal(loop(x[:42]), x[:42])
    with pytest.raises(DescriptorError, match="a sample of x has 512 bytes: expected at most the 255 of one transfer"):
        opened(describe("loopback", [stream("x", shape=(256,))], [stream("y")],
                        dmas=[{"name": "axi_dma_0", "length_bits": 8}]))


def test_nothing_at_all_gives_nothing_and_touches_nothing():
    with opened(EXAMPLES["loopback"]) as loop:
        before = loop.board.clock.now()
        got = loop(np.zeros((0, 3)))
        assert got.shape == (0, 3) and got.dtype == np.float32 and loop.board.clock.now() == before


def test_an_fpga_needs_the_bitstream():
    board = EmulatedBoard()
    board.emulated = False
    with pytest.raises(OverlayMissingError, match="loopback: emulated board needs the bitstream; give it as bits"):
        StreamOverlay(EXAMPLES["loopback"], board=board)
    assert board.owner is None


@pytest.mark.parametrize("more, message", [
    ({"engine": "xilinx"}, "engine 'xilinx': expected 'own' or 'pynq'"),
    ({"timeout": -1}, "timeout -1"),
    ({"timeout": float("inf")}, "timeout inf: expected seconds above 0 and below 1e9"),
    ({"function": 5}, "twin 5: expected a function"),
    ({"bitstream": 5}, "bitstream 5: expected the path of a .bit"),
    ({"board": "cpu"}, "board 'cpu'"),
])
def test_wrong_arguments_are_refused_at_once(more, message):
    with pytest.raises(InputError, match=message):
        opened(EXAMPLES["loopback"], **more)


# -- what goes wrong on the way ---------------------------------------------------------------------
def test_a_circuit_that_sends_another_number_of_words_is_found_out():
    """The circuit as it was built gives 2 numbers, the description says 3: TLAST is at the wrong place."""
    built = describe("loopback", [stream("x")], [stream("y", shape=(2,))])
    with opened(EXAMPLES["loopback"], lambda x: x[:2]) as loop:
        twin = loop.board.twin
        twin.circuit.description = built
        with pytest.raises(DmaError, match="S2MM of axi_dma_0: TLAST after 4 bytes, expected after 6; compare"):
            loop([1, 2, 3])
        with pytest.raises(InputError, match="gave y of shape"):  # the logic is configured anew, and sound again
            loop([1, 2, 3])


def test_a_circuit_without_tlast_meets_the_deadline_with_a_hint():
    with opened(EXAMPLES["loopback"], timeout=0.5) as loop:
        loop.board.twin.circuit._hook = lambda event, value: value[:0]  # swallows its results
        with pytest.raises(DeadlineError, match="not done within 0.5 s; S2MM: packet 1 of 1 .6 bytes. is not through.*"
                           "every input is in, so the circuit wants more"):
            loop([1, 2, 3])
        assert loop([1, 2, 3]).tolist() == [1, 2, 3]


def test_a_broken_run_leaves_nothing_behind():
    """A DMA reset does not empty the circuit; the configuration before the next call does."""
    plan = FaultPlan(faults=[Fault("lost done", 1)])
    with opened(EXAMPLES["loopback"], board=EmulatedBoard(faults=plan), timeout=0.1) as loop:
        assert loop([1, 1, 1]).tolist() == [1, 1, 1]
        generation = loop.board.generation
        with pytest.raises(DeadlineError):
            loop([2, 2, 2])
        assert loop.board.twin.circuit.queues["y"].size == 6
        assert loop([3, 3, 3]).tolist() == [3, 3, 3] and loop.board.generation == generation + 1


def test_configuring_again_does_not_count_as_time_of_the_run(monkeypatch):
    board = EmulatedBoard(faults=FaultPlan(faults=[Fault("hang", 0)]))
    plain = board.reset
    monkeypatch.setattr(board, "reset", lambda: (board.clock.sleep(0.5), plain()))
    slow = describe("loopback", [stream("x")], [stream("y")], timing={"latency_cycles": 1e6})
    with opened(slow, board=board, timeout=0.1) as loop:
        with pytest.raises(DeadlineError):
            loop([1, 2, 3])
        assert loop([1, 2, 3]).tolist() == [1, 2, 3]


def test_after_a_deadline_the_dma_stands_still_at_once():
    """Before the next call: what comes late must not be written into memory that is somebody else's by then."""
    plan = FaultPlan(faults=[Fault("slow", 0, amount=1.0)])
    with opened(EXAMPLES["loopback"], board=EmulatedBoard(faults=plan), timeout=0.1) as loop:
        with pytest.raises(DeadlineError):
            loop([1, 2, 3])
        target = loop._buffers["y"]
        before = target.array.copy()
        loop.board.clock.advance(100.0)  # it would have come meanwhile
        target.invalidate()
        assert np.array_equal(target.array, before)
        for channel in (0x00, 0x30):
            assert loop.board.ip("axi_dma_0").read(channel + 4) & 1  # halted
        assert loop([1, 2, 3]).tolist() == [1, 2, 3]


@pytest.mark.parametrize("error", [BoardError("no"), OSError("no")])
def test_memory_that_logic_may_still_write_into_is_freed_when_it_is_configured_again(error, monkeypatch, caplog):
    def fails(*_):
        raise error

    chain = describe("loopback", [stream("x")], [stream("y")], dmas=[{"name": "axi_dma_0", "scatter_gather": True}])
    board = EmulatedBoard(faults=FaultPlan(faults=[Fault("hang", 0)]))
    loop = opened(chain, board=board, timeout=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(loop._transfers, "reset", fails)
        patch.setattr(board, "reset", fails)
        with pytest.raises(DeadlineError):
            loop([1, 2, 3])
        held = board.memory.used
        assert held == 4 * 4096 and board.quarantined > 0  # of both streams the data and the descriptors
        loop.close()
    assert loop.closed and board.owner is None and board.memory.used == held
    assert "may still write to are kept" in caplog.text
    with opened(chain, board=board) as other:  # configures the logic, although its overlay is in it
        assert board.memory.used == 0 == board.quarantined and other([1, 2, 3]).tolist() == [1, 2, 3]
    assert board.memory.used == 0


@pytest.mark.parametrize("error", [MemoryError, OSError, KeyboardInterrupt])
@pytest.mark.parametrize("example", ["loopback", "started", "masters"])
@pytest.mark.parametrize("lasting", [False, True])
def test_an_error_inside_of_any_board_call_leaves_nothing_behind(example, error, lasting):
    class Touched(FaultPlan):
        touches, at = 0, None

        def touch(self):
            self.touches += 1
            if self.at is not None and (self.touches == self.at or lasting and self.touches > self.at):
                raise error("injected")

    def use(board):
        circuit = None
        try:
            circuit = opened(EXAMPLES[example], lambda *x: x[0] if example != "started" else (x[0], x[1][0, :4]),
                             board=board, timeout=0.2)
            values = [np.zeros((2, *each.shape), int if example == "masters" else float)
                      for each in circuit.description.inputs]
            circuit(*values)
            circuit(*values)
        except (error, BoardError):
            pass
        for _ in range(3 if circuit is not None else 0):
            try:
                circuit.close()
                break
            except KeyboardInterrupt:
                pass

    plan = Touched()
    use(EmulatedBoard(faults=plan))
    assert plan.touches > 20
    for at in range(1, plan.touches + 1):
        touched = Touched()
        touched.at, board = at, EmulatedBoard(faults=touched)
        use(board)
        assert board.owner is None and board.in_flight is None, at
        assert bool(board.memory.used) == bool(board.quarantined), at
        touched.at = None
        use(board)
        assert board.memory.used == 0 == board.quarantined and board.owner is None, at


def test_a_dma_that_somebody_left_broken_is_reset_before_the_first_run():
    circuit = make_circuit(EXAMPLES["loopback"], function=same)
    with EmulatedBoard() as board:
        board.configure(circuit)
        registers = board.ip("axi_dma_0")
        registers.write(0x30, 1)
        registers.write(0x48, 0x3000_0000)
        registers.write(0x58, 64)
        board.twin.circuit.queues["y"].put(np.zeros(2, np.uint8), False, 0.0)
        assert registers.read(0x34) & 0x41 == 0x41  # halted by a decode error
        with opened(circuit, same, board=board) as loop:
            assert board.twin.ip("axi_dma_0").read(0x34) & 0x41 == 0x41  # the same configuration
            assert loop([1, 2, 3]).tolist() == [1, 2, 3]


@pytest.mark.parametrize("example, function", [
    ("loopback", same), ("masters", same), ("started", lambda x, w: (x, w[0, :4]))])
@pytest.mark.parametrize("kind", KINDS)
def test_after_any_fault_the_next_call_is_right(kind, example, function):
    description = EXAMPLES[example]
    values = [np.arange(2 * each.elements).reshape(2, *each.shape) % 4 for each in description.inputs]
    if example != "masters":  # whose type has integers only
        values = [array / 4 for array in values]
    plan = FaultPlan(faults=[Fault(kind, at) for at in (0, 2, 3)])
    board = EmulatedBoard(faults=plan)
    wanted = None
    with StreamOverlay(description, board=EmulatedBoard(), twin=function) as sound:
        wanted = sound(*values)
    with opened(description, function, board=board, timeout=0.2) as circuit:
        outcomes = []
        for _ in range(8):
            try:
                got = circuit(*values)
                right = all(np.array_equal(got[key], wanted[key]) for key in got) if isinstance(got, dict) \
                    else np.array_equal(got, wanted)
                outcomes.append("right" if right else "wrong")
            except (AnomalyError, BoardError, KeyboardInterrupt) as error:
                outcomes.append(type(error).__name__)
    assert outcomes[-1] == "right" and board.memory.used == 0, outcomes
    # What no length, TLAST or error bit can show is wrong data in the right place.
    assert "wrong" not in outcomes or kind == "corrupt word", outcomes
    assert kind != "reprogrammed" or "ForeignBitstreamError" in outcomes, outcomes
    assert (kind, example) != ("done without data", "loopback") or outcomes.count("NoDataError") == 3


@pytest.mark.parametrize("example, function", [
    ("loopback", same), ("masters", same), ("started", lambda x, w: (x, w[0, :4]))])
def test_under_many_faults_every_answer_is_right_and_nothing_leaks(example, function):
    """But for corrupted data, which nothing here can notice."""
    description = EXAMPLES[example]
    noticed = [kind for kind in KINDS if kind != "corrupt word"]
    plan = FaultPlan(seed=7, rate=0.15, kinds=noticed)
    plan.active = False
    board = EmulatedBoard(faults=plan)
    right = 0
    with opened(description, function, board=board, timeout=0.2) as circuit:
        for call in range(120):
            values = [(np.arange(2 * each.elements).reshape(2, *each.shape) + call) % 4 for each in description.inputs]
            if example != "masters":
                values = [array / 4 for array in values]
            plan.active = call < 119
            try:
                got = circuit(*values)
            except (AnomalyError, BoardError, KeyboardInterrupt):
                continue
            first = got["y"] if isinstance(got, dict) else got
            assert np.array_equal(first, values[0])
            right += 1
    assert right >= 80 and sum(plan.counts.values()) >= 10 and call == 119 and board.memory.used == 0


def test_a_function_that_raises_or_gives_nonsense_is_named():
    def broken(x):
        raise KeyError("no")

    class Tensor:
        def __array__(self, *_, **__):
            raise RuntimeError("it requires grad")

    for function, message in ((broken, "the twin's function of loopback raised KeyError: 'no'"),
                              (lambda x: x[:2], r"gave y of shape \(2,\): expected \(3,\)"),
                              (lambda x: (x, x), r"gave y of shape \(2, 3\)|gave tuple: expected one array"),
                              (lambda x: {"q": x}, "gave q: expected one array"),
                              (lambda x: {"q": x, 1: x}, "gave q, 1: expected one array"),
                              (lambda x: Tensor(), "gave no array in y: it requires grad"),
                              (lambda x: x * np.nan, "gave nan in y: expected finite numbers"),
                              (lambda x: ["a"] * 3, "gave y of dtype"),
                              (None, "the emulated board knows no function for this circuit; give it one")):
        with opened(EXAMPLES["loopback"], function) as loop:
            for _ in range(2):
                with pytest.raises(InputError, match=message):
                    loop([1, 2, 3])
        assert loop.closed


# -- ownership, threads, end ------------------------------------------------------------------------
def test_results_of_a_call_stay_when_the_next_one_comes():
    with opened(EXAMPLES["loopback"]) as loop:
        first = loop([1, 2, 3])
        loop([4, 5, 6])
        assert first.tolist() == [1, 2, 3]
        assert sorted(loop.seconds) == ["cast", "results", "run"]


def test_closing_gives_everything_back_and_is_final():
    board = EmulatedBoard()
    loop = opened(EXAMPLES["loopback"], board=board)
    loop(np.zeros((50, 3)))
    assert board.owner is loop and board.memory.used and "emulated board" in repr(loop)
    loop.close()
    loop.close()
    assert board.owner is None and not board.memory.used and not board.closed and "closed" in repr(loop)
    with pytest.raises(ClosedError, match="loopback: closed; open another StreamOverlay"):
        loop([1, 2, 3])
    with pytest.raises(ClosedError, match="loopback: closed; open another StreamOverlay"):
        loop.reset()
    own = opened(EXAMPLES["loopback"])
    own.close()
    assert own.board.closed


def test_another_owner_of_the_board_is_respected():
    with EmulatedBoard() as board:
        first = opened(EXAMPLES["loopback"], board=board)
        first([1, 2, 3])
        with opened(EXAMPLES["loopback"], lambda x: -x, board=board) as second:
            assert second([1, 2, 3]).tolist() == [-1, -2, -3]
            for use in (lambda: first([1, 2, 3]), first.reset):
                with pytest.raises(BoardTakenError, match="taken by another owner; open another StreamOverlay"):
                    use()
        first.close()


def test_logic_that_somebody_else_configured_is_loaded_again():
    with opened(EXAMPLES["loopback"]) as loop:
        loop([1, 2, 3])
        loop.board.forget()
        assert loop([1, 2, 3]).tolist() == [1, 2, 3]
        loop.reset()
        assert loop([1, 2, 3]).tolist() == [1, 2, 3]


def test_threads_share_a_circuit():
    wrong = []

    def work(loop, number):
        for step in range(20):
            x = np.full((5, 3), number + step / 64)
            if not np.array_equal(loop(x), x):
                wrong.append(number)

    with opened(EXAMPLES["loopback"]) as loop:
        threads = [threading.Thread(target=work, args=(loop, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_time_passes_as_described():
    description = describe("slow", [stream("x")], [stream("y")],
                           timing={"cycles_per_sample": 1000, "latency_cycles": 5000})
    with opened(description) as slow:
        slow(np.zeros((1, 3)))
        begun = slow.board.clock.now()
        slow(np.zeros((100, 3)))
        took = slow.board.clock.now() - begun
        assert 100_000e-8 < took < 2.5 * 105_000e-8  # at least the cycles; a poll may come as much later again


# -- overlays of the catalogue ----------------------------------------------------------------------
def overlay_folder(folder, description, **changes):
    """An overlay.json of kind "stream", as a user would publish one."""
    folder.mkdir(parents=True)
    document = {
        "format": "qnn-pynq-overlay", "version": 1, "name": folder.name, "kind": "stream", "boards": ["Pynq-Z1"],
        "clock_mhz": 100, "geometry": {"description": description.to_json()},
        "ips": [{"name": ip.name, "vlnv": ip.vlnv, "address": hex(ip.address), "range": hex(ip.range)}
                for ip in make_circuit(description).ips],
        "files": {"bitstream": {"name": "loopback.bit", "sha256": "0" * 64, "size": 1}}, **changes}
    (folder / "overlay.json").write_text(json.dumps(document))
    return folder


def test_an_overlay_folder_or_name_works_as_its_description(tmp_path, monkeypatch):
    folder = overlay_folder(tmp_path / "my-loop", EXAMPLES["started"])
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path))
    for source in (folder, str(folder / "overlay.json"), "my-loop", load_overlay(folder)):
        with opened(source, lambda x, w: (x, w[0, :4])) as circuit:
            assert circuit.description == EXAMPLES["started"] and circuit.overlay.name == "my-loop"
            got = circuit(np.ones(3), np.ones((2, 5)))
            assert got["y"].tolist() == [1] * 3 and got["m"].tolist() == [1] * 4
    with pytest.raises(InputError, match="overlay my-loop names its own"):
        opened("my-loop", bitstream=folder / "loopback.bit")


def test_overlays_of_other_kinds_or_other_ips_are_refused(tmp_path):
    with pytest.raises(DescriptorError, match='kind "bnn-pynq", expected "stream"; Classifier is for the others'):
        opened("bnn-pynq-lfc-w1a1")
    with pytest.raises(NotFoundError, match="no-such-overlay"):
        opened("no-such-overlay")
    other = [{"name": "axi_dma_7", "vlnv": "a:b:c:1", "address": "0x40400000", "range": "0x10000"}]
    with pytest.raises(DescriptorError, match=r"ips \['axi_dma_7'\] are not those of its description, \['axi_dma_0'\]"):
        opened(overlay_folder(tmp_path / "other", EXAMPLES["loopback"], ips=other))
    with pytest.raises(DescriptorError, match=r"geometry.description.inputs\[0\].type: missing"):
        wrong = EXAMPLES["loopback"].to_json()
        del wrong["inputs"][0]["type"]
        load_overlay(overlay_folder(tmp_path / "wrong", EXAMPLES["loopback"], geometry={"description": wrong}))


def test_an_emulated_stream_overlay_without_a_function_says_so(tmp_path):
    with EmulatedBoard() as board:
        board.configure(load_overlay(overlay_folder(tmp_path / "plain", EXAMPLES["started"])))
        assert board.ip("started_0").read(0) == 4 and board.ip("axi_dma_0").read(4) == 0x10001
        with pytest.raises(BoardError, match="ip 'other': the logic has axi_dma_0, started_0"):
            board.ip("other")
        registers = board.ip("axi_dma_0")
        board.reset()
        with pytest.raises(BusError, match="take the registers from board.ip"):
            registers.read(4)


# -- files of a design ------------------------------------------------------------------------------
@pytest.mark.parametrize("bit, hwh, message", [
    (b"version https://git-lfs.github.com/spec/v1\n", hwh_file(), "design.bit is a Git LFS pointer"),
    (b"PK\3\4", hwh_file(), "design.bit is a zip archive, such as an .xsa"),
    (bit_file(part="7z010clg400", idcode=0x03722093), hwh_file(), "design.bit is for another part"),
    (bit_file(), b"<html><body>not found", "design.hwh is an HTML page, and no .hwh"),
    (bit_file(), hwh_file("2019.2"), "design.bit is by Vivado 2018.2, design.hwh beside it by Vivado 2019.2"),
    (bit_file(), hwh_file(), "no AXI DMA named axi_dma_0"),
])
def test_files_are_opened_before_a_board_is_whatever_computes(tmp_path, bit, hwh, message):
    (tmp_path / "design.bit").write_bytes(bit)
    (tmp_path / "design.hwh").write_bytes(hwh)
    board = EmulatedBoard()
    with pytest.raises(DescriptorError, match=message):
        StreamOverlay(EXAMPLES["loopback"], tmp_path / "design.bit", board=board, twin=lambda x: x)
    assert board.owner is None and board.loaded is None
