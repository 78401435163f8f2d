"""Dense layers: every instruction set against plain numpy that was written from the arithmetic."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq import kernels
from qnn_pynq.errors import KernelError
from qnn_pynq.kernels import DenseStack, Encoder

FAST = [name for name in kernels.isa_supported() if name != "scalar"]


@pytest.fixture(autouse=True)
def _restore_isa():
    before = kernels.isa_active()
    yield
    kernels.set_isa(before)


def bit_rows(signs):
    """+-1 (rows, n) -> little-endian bit strings, by numpy alone."""
    return np.packbits(signs > 0, axis=1, bitorder="little")


def layer(signs, thresholds, kind="binary", rule="popcount", output="binary"):
    return SimpleNamespace(
        inputs=signs.shape[1],
        outputs=signs.shape[0],
        weights=bit_rows(signs),
        thresholds=thresholds,
        weight_bits=1,
        input=kind,
        accumulator=rule,
        output=output,
        signs=signs,
    )


def random_layer(rng, inputs, outputs, kind="binary", rule="popcount", output="binary", thresholds="near"):
    signs = rng.choice([-1, 1], size=(outputs, inputs)).astype(np.int64)
    levels = {"none": 0, "binary": 1, "ternary": 2}[output]
    middle, spread = (inputs // 2 if rule == "popcount" else 0), max(2, int(inputs**0.5))
    if thresholds == "near":
        t = middle + rng.integers(-spread, spread + 1, size=(outputs, levels))
    elif thresholds == "extreme":
        t = rng.choice([-32768, 32767, -1, 0, 1, inputs, -inputs, inputs - 1], size=(outputs, levels))
    else:  # stored outside int16: the low 16 bits count
        t = middle + rng.integers(-spread, spread + 1, size=(outputs, levels))
        t = t + 65536 * rng.integers(-3, 4, size=(outputs, levels))
    return layer(signs, t.astype(np.int32) if levels else None, kind, rule, output)


def oracle(layers, bits):
    """The arithmetic of the overlay, in 64-bit numpy: (bits of the last layer or None, its accumulators)."""
    value = bits.astype(np.int64) * 2 - 1  # -1/+1
    for item in layers:
        acc = (value.astype(float) @ item.signs.T.astype(float)).astype(np.int64)  # exact, and much faster
        if item.accumulator == "popcount":
            assert not ((acc + item.inputs) & 1).any()
            acc = (acc + item.inputs) // 2
        if item.output == "none":
            return None, acc
        threshold = ((item.thresholds.astype(np.int64) + 32768) & 0xFFFF) - 32768
        fired = (threshold[None] < (((acc + 32768) & 0xFFFF) - 32768)[:, :, None]).sum(axis=2)
        value = fired * 2 - 1 if item.output == "binary" else fired - 1
    return fired, acc


def agrees(layers, bits, isa):
    kernels.set_isa(isa)
    stack = DenseStack(layers)
    assert stack.isa == isa
    sums = np.full((len(bits), stack.outputs), 77, np.int32)
    fired, acc = oracle(layers, bits)
    given_bits = np.packbits(bits, axis=1, bitorder="little")
    if fired is None:
        assert stack.run(given_bits, sums=sums) is sums
    else:
        words = stack.run(given_bits, sums=sums)
        np.testing.assert_array_equal(words, np.packbits(fired.astype(bool), axis=1, bitorder="little"))
        np.testing.assert_array_equal(stack.run(given_bits), words)  # other code where no sums are wanted
    np.testing.assert_array_equal(sums, acc)


def chain(rng, sizes, mode, last, thresholds):
    """binary: popcount everywhere; ternary: W1A2's; mixed: kinds drawn at random."""
    layers = []
    kind = "binary"
    for number, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        final = number == len(sizes) - 2
        if final:
            output = last
        elif mode == "mixed":
            output = str(rng.choice(["binary", "ternary"]))
        else:
            output = mode
        rule = "sum" if kind == "ternary" or mode == "ternary" else "popcount"
        if mode == "mixed" and kind == "binary":
            rule = str(rng.choice(["sum", "popcount"]))
        layers.append(random_layer(rng, inputs, outputs, kind, rule, output, thresholds))
        kind = output
    return layers


@pytest.mark.parametrize("isa", kernels.isa_supported())
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 200), min_size=2, max_size=5),
    mode=st.sampled_from(["binary", "ternary", "mixed"]),
    last=st.sampled_from(["binary", "none"]),
    thresholds=st.sampled_from(["near", "extreme", "wrapped"]),
    n=st.sampled_from([0, 1, 2, 3, 4, 5, 63, 64, 65, 130]),
)
def test_any_chain_of_layers_equals_numpy(isa, seed, sizes, mode, last, thresholds, n):
    rng = np.random.default_rng(seed)
    layers = chain(rng, sizes, mode, last, thresholds)
    agrees(layers, rng.integers(0, 2, size=(n, sizes[0])), isa)


@pytest.mark.parametrize("isa", kernels.isa_supported())
@pytest.mark.parametrize("mode", ["binary", "ternary"])
@pytest.mark.parametrize("n", [1, 2, 3, 64, 67])
def test_published_shape_equals_numpy(isa, mode, n):
    rng = np.random.default_rng(n)
    layers = chain(rng, [832, 1024, 1024, 1024, 64], mode, "binary", "near")
    agrees(layers, rng.integers(0, 2, size=(n, 832)), isa)


@pytest.mark.parametrize("isa", kernels.isa_supported())
@pytest.mark.parametrize("inputs", [1, 63, 64, 65, 129, 832, 833, 1023, 1024, 1025, 1985, 4097])
@pytest.mark.parametrize("mode", ["binary", "ternary"])
def test_words_at_the_edges(isa, inputs, mode):
    rng = np.random.default_rng(inputs)
    layers = chain(rng, [inputs, 9], mode, "binary", "near")
    agrees(layers, rng.integers(0, 2, size=(5, inputs)), isa)
    layers = chain(rng, [5, inputs, 17], mode, "binary", "near")
    agrees(layers, rng.integers(0, 2, size=(5, 5)), isa)


@pytest.mark.parametrize("isa", kernels.isa_supported())
@pytest.mark.parametrize("inputs", [1, 832, 1024, 32767])
@pytest.mark.parametrize("rule", ["popcount", "sum"])
def test_largest_and_smallest_sums_against_every_kind_of_threshold(isa, inputs, rule):
    thresholds = np.array(
        [
            -32768,
            -32767,
            -inputs - 1,
            -inputs,
            -inputs + 1,
            -1,
            0,
            1,
            inputs - 1,
            inputs,
            32767,
            32768,
            65535,
            -65536 + inputs - 1,
        ]
    )
    signs = np.repeat([[1], [-1]], len(thresholds), axis=0) * np.ones((1, inputs), np.int64)
    item = layer(signs, np.tile(thresholds, 2)[:, None], rule=rule)
    bits = np.stack([np.zeros(inputs, int), np.ones(inputs, int), np.arange(inputs) % 2])
    agrees([item], bits, isa)


@pytest.mark.parametrize("isa", kernels.isa_supported())
def test_ternary_values_at_their_limits(isa):
    """All +1, all -1, all 0 reach the second layer; thresholds in either order."""
    inputs = 1024
    for low, high in [(-32768, -32768), (32767, 32767), (-32768, 32767), (32767, -32768)]:
        first = layer(
            np.ones((inputs, 4), np.int64), np.tile([low, high], (inputs, 1)), rule="sum", output="ternary"
        )
        signs = np.random.default_rng(3).choice([-1, 1], size=(70, inputs)).astype(np.int64)
        signs[0], signs[1] = 1, -1
        for threshold in (-1024, -1, 0, 1, 1023, 1024, 32767, -32768):
            second = layer(signs, np.full((70, 1), threshold), "ternary", "sum")
            agrees([first, second], np.random.default_rng(4).integers(0, 2, size=(6, 4)), isa)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint16, np.uint64])
def test_thresholds_of_any_integer_type(dtype):
    rng = np.random.default_rng(10)
    item = random_layer(rng, 50, 20)
    item.thresholds = item.thresholds.astype(dtype)
    agrees([item], rng.integers(0, 2, size=(9, 50)), "scalar")
    item.thresholds = np.asfortranarray(np.repeat(item.thresholds, 2, axis=1))[:, 1:]
    agrees([item], rng.integers(0, 2, size=(9, 50)), "scalar")


@pytest.mark.parametrize("isa", FAST)
def test_pad_bits_of_inputs_and_weights_change_nothing(isa):
    rng = np.random.default_rng(9)
    item = random_layer(rng, 13, 11)
    bits = np.packbits(rng.integers(0, 2, size=(9, 13)), axis=1, bitorder="little")
    kernels.set_isa("scalar")
    expected = DenseStack([item]).run(bits)
    bits[:, -1] |= 0xE0
    item.weights = item.weights | np.array([0, 0xE0], np.uint8)
    kernels.set_isa(isa)
    np.testing.assert_array_equal(DenseStack([item]).run(bits), expected)


@pytest.mark.parametrize("isa", kernels.isa_supported())
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_pictures_threads_and_caller_buffers(isa, threads):
    rng = np.random.default_rng(5)
    kernels.set_isa(isa)
    layers = chain(rng, [832, 128, 100], "ternary", "binary", "near")
    encoder = Encoder(784, 832, threshold=128)
    stack = DenseStack(layers, encoder)
    pictures = rng.integers(0, 256, size=(300, 784)).astype(np.uint8)
    bits = np.zeros((300, 832), int)
    bits[:, :784] = pictures >= 128
    fired, acc = oracle(layers, bits)
    out, sums = np.empty((300, 13), np.uint8), np.empty((300, 100), np.int32)
    assert stack.run_pictures(pictures, out=out, sums=sums, threads=threads) is out
    np.testing.assert_array_equal(out, np.packbits(fired.astype(bool), axis=1, bitorder="little"))
    np.testing.assert_array_equal(sums, acc)
    np.testing.assert_array_equal(stack.run(encoder.encode(pictures), threads=threads), out)


@pytest.mark.parametrize("index", [None, np.arange(784)[::-1].astype(np.uint16)])
def test_pictures_leave_nothing_of_the_bits_that_were_run_before(index):
    rng = np.random.default_rng(6)
    levels = {"threshold": 128} if index is None else {"index": index, "thresholds": np.full(784, 128, np.uint8)}
    stack = DenseStack(chain(rng, [832, 64], "binary", "binary", "near"), Encoder(784, 832, **levels))
    pictures = rng.integers(0, 256, size=(70, 784)).astype(np.uint8)
    expected = stack.run_pictures(pictures).copy()
    stack.run(np.full((70, 104), 0xFF, np.uint8))  # the 48 pad bits too
    np.testing.assert_array_equal(stack.run_pictures(pictures), expected)


def test_a_bound_stack_takes_one_picture_of_any_shape():
    rng = np.random.default_rng(11)
    stack = DenseStack(chain(rng, [832, 64, 60], "binary", "binary", "near"), Encoder(784, 832, threshold=9))
    pictures = rng.integers(0, 20, size=(5, 784)).astype(np.uint8)
    sums = np.empty((5, 60), np.int32)
    words = stack.run_pictures(pictures, sums=sums)
    out, raw = np.zeros((1, 8), np.uint8), np.zeros((1, 60), np.int32)
    single = stack.bind(out, raw)
    del stack
    for number, shape in enumerate([(784,), (28, 28), (1, 784), (28, 28, 1), (784,)]):
        assert single(pictures[number].reshape(shape)) is None
        np.testing.assert_array_equal(out[0], words[number])
        np.testing.assert_array_equal(raw[0], sums[number])
    for picture, wanted in [
        (pictures[:2], "shape .2, 784., expected 784 pixels"),
        (pictures[0, :783], "expected 784 pixels"),
        (pictures[0].astype(np.int8), "dtype int8"),
        (np.repeat(pictures[0], 2)[::2], "strides"),
        (pictures[0].tolist(), "list"),
        (7, "int"),
    ]:
        with pytest.raises(KernelError, match=wanted):
            single(picture)


def test_binding_checks_its_arrays():
    stack = small_stack()
    with pytest.raises(KernelError, match="out has shape"):
        stack.bind(np.zeros((2, 1), np.uint8))
    with pytest.raises(KernelError, match="sums has dtype"):
        stack.bind(np.zeros((1, 1), np.uint8), np.zeros((1, 8), np.int64))
    rng = np.random.default_rng(2)
    with pytest.raises(KernelError, match="no encoder"):
        DenseStack([random_layer(rng, 16, 8)]).bind(np.zeros((1, 1), np.uint8))
    with pytest.raises(KernelError, match="no thresholds"):
        DenseStack([random_layer(rng, 16, 8, output="none")], Encoder(16, 16, threshold=1)).bind(
            np.zeros((1, 1), np.uint8)
        )


def test_one_stack_serves_several_threads_at_once():
    rng = np.random.default_rng(6)
    stack = DenseStack(chain(rng, [832, 256, 64], "binary", "binary", "near"))
    bits = rng.integers(0, 256, size=(500, 104)).astype(np.uint8)
    expected = stack.run(bits)
    wrong = []

    def work():
        for _ in range(10):
            if not np.array_equal(stack.run(bits), expected):
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_memory_of_a_stack_is_known_and_given_back():
    rng = np.random.default_rng(7)
    layers = chain(rng, [832, 1024, 1024, 1024, 64], "binary", "binary", "near")
    assert 360_000 < DenseStack(layers).nbytes < 600_000
    for _ in range(20):
        DenseStack(layers)


def small_stack():
    rng = np.random.default_rng(8)
    return DenseStack(chain(rng, [16, 8, 8], "binary", "binary", "near"), Encoder(10, 16, threshold=1))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda s: s.run([[0, 0]]), "numpy array"),
        (lambda s: s.run(np.zeros((1, 2), np.int8)), "dtype int8, expected uint8"),
        (lambda s: s.run(np.zeros((1, 2), bool)), "dtype bool"),
        (lambda s: s.run(np.zeros((1, 3), np.uint8)), "shape .1, 3., expected .any, 2."),
        (lambda s: s.run(np.zeros(2, np.uint8)), "shape"),
        (lambda s: s.run(np.zeros((4, 2), np.uint8)[::2]), "strides"),
        (lambda s: s.run(np.zeros((4, 4), np.uint8)[:, ::2]), "strides"),
        (lambda s: s.run(np.zeros((2, 4), np.uint8).T[:, :2]), "strides"),
        (lambda s: s.run(np.zeros((2, 2), np.uint8, order="F")), "strides"),
        (lambda s: s.run(np.zeros((1, 2), np.uint8), out=np.zeros((1, 2), np.uint8)), "out has shape"),
        (lambda s: s.run(np.zeros((1, 2), np.uint8), out=np.zeros((2, 1), np.uint8)[::2]), None),
        (lambda s: s.run(np.zeros((3, 2), np.uint8), out=np.zeros((6, 1), np.uint8)[::2]), "out has strides"),
        (lambda s: s.run(np.zeros((1, 2), np.uint8), out=np.zeros((1, 1), np.int16)), "out has dtype"),
        (lambda s: s.run(np.zeros((1, 2), np.uint8), out=np.broadcast_to(np.uint8(0), (1, 1))), "read-only"),
        (lambda s: s.run(np.zeros((1, 2), np.uint8), sums=np.zeros((1, 8), np.int64)), "sums has dtype"),
        (lambda s: s.run(np.zeros((1, 2), np.uint8), sums=np.zeros((1, 9), np.int32)), "sums has shape"),
        (
            lambda s: s.run(
                np.zeros((1, 2), np.uint8), sums=np.zeros(33, np.uint8)[1:].view(np.int32).reshape(1, 8)
            ),
            "aligned",
        ),
        (lambda s: s.run(np.zeros((1, 2), np.uint8), threads=0), "threads"),
        (lambda s: s.run(np.zeros((1, 2), np.uint8), threads=1.5), "threads"),
        (lambda s: s.run_pictures(np.zeros((1, 9), np.uint8)), "pictures has shape"),
        (lambda s: s.run_pictures(np.zeros((2, 10), np.float32)), "pictures has dtype float32"),
        (lambda s: s.run_pictures(np.zeros((4, 10), np.uint8)[::2]), "strides"),
    ],
)
def test_bad_arrays_are_refused(call, words):
    stack = small_stack()
    if words is None:
        call(stack)
        return
    with pytest.raises(KernelError, match=words):
        call(stack)


def changed(**changes):
    item = random_layer(np.random.default_rng(1), 16, 8)
    for name, value in changes.items():
        setattr(item, name, value)
    return [item]


@pytest.mark.parametrize(
    "layers, words",
    [
        ([], "0 layers"),
        (changed(inputs=0), "inputs is 0"),
        (changed(inputs=32768), "expected 1 to 32767"),
        (changed(inputs=True), "inputs"),
        (changed(outputs=0), "outputs is 0"),
        (changed(outputs=9), "weights has shape .8, 2., expected .9, 2."),
        (changed(weights=np.zeros((8, 2), np.int8)), "weights has dtype"),
        (changed(weights=np.zeros((8, 4), np.uint8)[:, ::2]), "weights has strides"),
        (changed(weight_bits=2), "weight_bits is 2"),
        (changed(input="ternary"), "takes ternary inputs, but the pictures are binary"),
        (changed(input="float"), "input is 'float'"),
        (changed(accumulator="max"), "accumulator"),
        (changed(output="ternary"), "output is 'ternary', expected one of binary, none"),
        (changed(output="none"), "expected None"),
        (changed(thresholds=None), "needs thresholds"),
        (changed(thresholds=np.zeros((8, 2), np.int16)), "thresholds have shape"),
        (changed(thresholds=np.zeros((8, 1), np.float32)), "integer array"),
    ],
)
def test_bad_layers_are_refused(layers, words):
    with pytest.raises(KernelError, match=words):
        DenseStack(layers)


def test_layers_that_do_not_follow_each_other_are_refused():
    rng = np.random.default_rng(2)
    a, b = random_layer(rng, 16, 8), random_layer(rng, 9, 4)
    with pytest.raises(KernelError, match="layer 1 has 9 inputs, expected the 8 outputs"):
        DenseStack([a, b])
    b = random_layer(rng, 8, 4, "ternary", "sum")
    with pytest.raises(KernelError, match="layer 1 takes ternary inputs, but layer 0 gives binary"):
        DenseStack([a, b])
    b = random_layer(rng, 8, 4, "ternary", "popcount")
    a = random_layer(rng, 16, 8, "binary", "sum", "ternary")
    with pytest.raises(KernelError, match="accumulator 'sum'"):
        DenseStack([a, b])


def test_an_encoder_must_fit_and_must_be_there():
    rng = np.random.default_rng(2)
    layers = [random_layer(rng, 16, 8)]
    with pytest.raises(KernelError, match="makes 17 bits, expected the first layer's 16"):
        DenseStack(layers, Encoder(10, 17, threshold=1))
    with pytest.raises(KernelError, match="no encoder"):
        DenseStack(layers).run_pictures(np.zeros((1, 10), np.uint8))
    with pytest.raises(KernelError, match="out is given"):
        stack = DenseStack([random_layer(rng, 16, 8, output="none")])
        stack.run(np.zeros((1, 2), np.uint8), np.zeros((1, 1), np.uint8))
