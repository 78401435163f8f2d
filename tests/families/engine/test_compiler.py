"""Programs of the compiler, carried out word by word by an oracle that fails where one uses what is not there yet."""

from __future__ import annotations

import dataclasses

import engine_networks as nets
import numpy as np
import program_oracle
import pytest
import small_conv
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq.errors import UnsupportedNetworkError
from qnn_pynq.families.engine import packing
from qnn_pynq.families.engine.compiler import compile_network, split_network
from qnn_pynq.families.engine.plan import plan_rows
from qnn_pynq.families.engine.program import THRESHOLDS, WEIGHTS, End, Layer, Load
from qnn_pynq.families.engine.stages import make_strips
from qnn_pynq.networks import Pool


def execute(compiled, geometry, packed, groups):
    """Words that the last program leaves, uint64 (groups, words, vectors)."""
    machine = program_oracle.Machine(geometry, {})
    maps = [bytearray(nbytes * groups) for nbytes in compiled.maps]
    maps[0][:] = packed.tobytes()
    images = [bytearray(image.tobytes()) for image in compiled.images]
    if compiled.setup is not None:
        machine.memory = {0: images[0]}
        machine.run(compiled.setup.words, 1)
    for part in compiled.parts:
        image = images[part.image] if part.image is not None else b""
        machine.memory = {0: image, 1: maps[part.source], 2: maps[part.target], 3: bytearray(part.scratch)}
        machine.strides = (0, compiled.maps[part.source], compiled.maps[part.target], 0)
        machine.run(part.words, groups)
    return np.frombuffer(bytes(maps[-1]), "<u8").reshape(groups, -1, geometry["vectors"])


def answers(net, overlay, pictures=5, seed=0):
    """What the programs give for random inputs, and what plain numpy says; the compiled network."""
    split, compiled = split_network(net, overlay)
    first = len(split.before)
    values = nets.inputs_of(net, split.logic, first, pictures, seed)
    vectors = overlay.geometry["vectors"]
    groups = -(-pictures // vectors)
    packed = np.zeros((groups, compiled.maps[0] // (8 * vectors), vectors), np.uint64)
    if values.ndim == 2:
        rows = np.zeros((pictures, 8 * compiled.arrives.words), np.uint8)
        rows[:, : values.shape[1]] = values
        packing.pack_bits(compiled, rows, packed)
    else:
        gathered = compiled.steps[0].gathered
        packing.pack_maps(compiled, values if gathered is None else packing.windows_of(gathered, values), packed)
    words = packing.result_words(compiled, execute(compiled, overlay.geometry, packed, groups), pictures)
    wanted = nets.expected(net, split.logic, values)
    coding = net.signals[first + len(split.logic)].coding
    if coding == "binary":
        return words[:, 0], wanted, compiled
    if coding == "codes":
        return packing.unpack_codes(compiled, words).reshape(wanted.shape), wanted, compiled
    sums = packing.unpack_sums(compiled, words)
    if coding == "scores":
        last = split.logic[-1]
        sums = sums.astype(np.float64) * last.scale + (0 if last.bias is None else last.bias)
    return sums, wanted, compiled


def check(net, overlay, pictures=5, seed=0):
    found, wanted, compiled = answers(net, overlay, pictures, seed)
    assert np.array_equal(found, wanted)
    return compiled


# -- dense layers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("sums", [False, True])
@pytest.mark.parametrize("sizes", [(64, 64, 64), (70, 40, 33, 20), (1, 1, 1), (129, 8, 64), (64, 65, 7)])
def test_dense_layers_of_odd_sizes(sizes, sums, ternary):
    check(nets.dense_network(1, sizes, ternary, sums), nets.small_engine())


def test_counted_bits_without_thresholds_are_the_sums():
    net = nets.dense_network(2, (70, 40, 12), sums=True)
    last = dataclasses.replace(net.layers[-1], accumulator="popcount")
    check(dataclasses.replace(net, layers=(*net.layers[:-1], last)), nets.small_engine())


def test_thresholds_beyond_16_bits_wrap_as_in_the_layer():
    net = nets.dense_network(3)
    far = dataclasses.replace(net.layers[0], thresholds=net.layers[0].thresholds + 65536)
    check(dataclasses.replace(net, layers=(far, *net.layers[1:])), nets.small_engine())


@pytest.mark.parametrize("pe, vectors, bank_words", [(4, 2, 512), (16, 4, 2048), (32, 4, 2048), (32, 6, 1536),
                                                     (32, 8, 1024), (16, 3, 1536)])
def test_every_build(pe, vectors, bank_words):
    engine = nets.overlay(pe=pe, vectors=vectors, bank_words=bank_words)
    check(nets.dense_network(4, ternary=True), engine, 2 * vectors + 1)
    check(nets.whole_network(4), engine, vectors + 1)


# -- maps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel, stride, padding", [
    (1, 1, (0, 0)), (3, 1, (1, 1)), (5, 2, (2, 2)), (7, 3, (3, 3)), (4, 4, (0, 0)), (2, 1, (0, 1)), (3, 2, (1, 0))])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions(kernel, stride, padding, groups):
    rng = np.random.default_rng(kernel)
    first = small_conv.binary_conv(rng, 36, 24, kernel, padding, groups=groups)
    first = dataclasses.replace(first, stride=stride)
    second = small_conv.binary_conv(rng, 24, 20, 1, (0, 0))
    check(nets.network((first, second), (7, 9), 36), nets.small_engine(), 3)


@pytest.mark.parametrize("size, stride, padding", [(2, 2, (0, 0)), (3, 2, (0, 1)), (3, 1, (1, 1)), (2, 1, (0, 1)),
                                                    (3, 3, (1, 0))])
def test_pools_behind_a_convolution_and_alone(size, stride, padding):
    rng = np.random.default_rng(size)
    layers = (small_conv.binary_conv(rng, 70, 24), Pool(size, stride, padding), Pool(2, 1), Pool(2, 2, (1, 1)))
    check(nets.network(layers, (9, 7), 70), nets.small_engine(), 3)


@pytest.mark.parametrize("bits", [2, 3])
@pytest.mark.parametrize("invert", [False, True])
def test_codes_of_2_and_3_bits_and_levels_that_fall(bits, invert):
    rng = np.random.default_rng(bits)
    layers = [small_conv.binary_conv(rng, 40, 40, code_bits=bits, invert=invert) for _ in range(2)]
    check(nets.network(layers, (7, 5), 40, bits), nets.small_engine())


def test_codes_of_1_and_4_bits():
    rng = np.random.default_rng(5)
    first = nets.with_steps(small_conv.binary_conv(rng, 40, 40), 4)
    second = dataclasses.replace(small_conv.binary_conv(rng, 40, 30), input_bits=4)
    third = dataclasses.replace(small_conv.binary_conv(rng, 30, 20), input_bits=1)
    net = nets.network((first, nets.with_steps(second, 1), third), (6, 6), 40)
    assert [signal.bits for signal in net.signals] == [2, 4, 1, 2]
    check(net, nets.small_engine())


@pytest.mark.parametrize("weight_bits", [2, 3, 4, 8])
def test_a_first_layer_on_pixels(weight_bits):
    rng = np.random.default_rng(weight_bits)
    layers = (nets.pixel_layer(rng, 24, weight_bits=weight_bits), small_conv.binary_conv(rng, 24, 12))
    compiled = check(nets.network(layers, (12, 10), 3, pixels=True), nets.small_engine(), 3)
    assert compiled.steps[0].weight_bits == weight_bits and compiled.arrives.words == 2


def test_odd_weights_take_a_plane_less():
    rng = np.random.default_rng(6)
    layer = nets.pixel_layer(rng, 24)
    odd = dataclasses.replace(layer, weights=(2 * rng.integers(-8, 8, layer.weights.shape) + 1).astype(np.int16))
    odd.weights.reshape(-1)[:2] = -15, 15
    compiled = check(nets.network((odd,), (16, 16), 3, pixels=True), nets.small_engine())
    assert (compiled.steps[0].weight_bits, compiled.steps[0].shift, compiled.steps[0].beta) == (4, 1, 15)


def test_a_whole_network():
    compiled = check(nets.whole_network(), nets.overlay())
    assert [step.layer for step in compiled.steps] == [0, 2, 4, 5]


def test_a_tail_of_codes_between():
    rng = np.random.default_rng(7)
    net = nets.whole_network()
    tail = small_conv.linear(rng, 160, 30)
    tail = dataclasses.replace(tail, thresholds=rng.integers(-900, 900, (30, 3)).astype(np.int32), output_bits=2,
                               bias=None, scale=1.0)
    check(dataclasses.replace(net, layers=(*net.layers[:-1], tail, small_conv.linear(rng, 30, 5))), nets.small_engine())


def test_a_tail_whose_window_is_wider_than_a_kernel():
    rng = np.random.default_rng(8)
    layers = (small_conv.binary_conv(rng, 64, 20), small_conv.linear(rng, 12 * 11 * 20, 5))
    check(nets.network(layers, (12, 11), 64, classes="abcde"), nets.small_engine(weight_words=1536))


# -- what does not fit at once ----------------------------------------------------------------------------


@pytest.mark.parametrize("bank_words, groups", [(768, 1), (768, 2), (1024, 2), (2048, 1)])
def test_maps_in_strips(bank_words, groups):
    """Rings, halves of words, maps in memory between two layers."""
    rng = np.random.default_rng(groups)
    conv = small_conv.binary_conv
    layers = (conv(rng, 68, 36, 5, (2, 2), groups=groups), Pool(3, 2, (0, 1)), conv(rng, 36, 72), Pool(3, 2, (1, 1)),
              conv(rng, 72, 48, groups=2), conv(rng, 48, 40, groups=groups), Pool(3, 2))
    compiled = check(nets.network(layers, (22, 22), 68), nets.small_engine(bank_words=bank_words), 3)
    strips = sum(isinstance(one, Layer) and not one.pool for part in compiled.parts for _, one in part.instructions)
    assert strips > 8 or bank_words == 2048


def test_words_that_two_groups_share_are_computed_from_both():
    """The first layer's groups end in the middle of a word, and one map is too large for the banks."""
    rng = np.random.default_rng(9)
    conv = small_conv.binary_conv
    layers = (conv(rng, 34, 44, 5, (2, 2), groups=2), Pool(3, 2, (0, 1)), conv(rng, 44, 24))
    net = nets.network(layers, (30, 30), 34)
    compiled = check(net, nets.small_engine(pe=16, bank_words=1024), 2)
    loads = [one for layer, one in compiled.parts[0].instructions if layer == 0 and isinstance(one, Load)]
    assert compiled.arrives.words == 2 and len(loads) >= 60  # of the two in turn, row by row


# -- weights that do not fit --------------------------------------------------------------------------------


def layers_ahead(part, units):
    """For each load of weights into words that the next group needs, too: layers between it and the first use."""
    body = [one for _, one in part.instructions if not isinstance(one, End) and not one.flags.first]
    found = []
    for place, load in enumerate(body):
        if not isinstance(load, Load) or load.target != WEIGHTS:
            continue
        words = range(load.to.pointer, load.to.pointer + load.words // units)
        behind = [one for one in body[place + 1 :] + body[:place] if isinstance(one, Layer) and not one.pool]
        found.append(next(count for count, one in enumerate(behind)
                          if one.w_base < words.stop and words.start < one.w_base + one.row_groups * one.w_row))
    return found


def test_weights_that_do_not_fit_are_loaded_a_layer_ahead():
    rng = np.random.default_rng(10)
    layers = [small_conv.binary_conv(rng, 64, 64) for _ in range(3)]
    net = nets.network(layers, (5, 5), 64)
    overlay = nets.small_engine(weight_words=512, pe=4)
    compiled = check(net, overlay)
    assert compiled.setup is not None and compiled.parts[0].image is None
    layers += [small_conv.binary_conv(rng, 64, 64) for _ in range(3)]
    net = dataclasses.replace(net, layers=tuple(layers))
    compiled = check(net, overlay, 3)
    assert compiled.setup is not None and len(compiled.parts) == len(compiled.images) == 1
    ahead = layers_ahead(compiled.parts[0], 4)
    assert len(ahead) >= 3 and min(ahead) >= 1
    rows = plan_rows(compiled, overlay.geometry)
    assert [row.weight_words for row in rows] == [144] * 6
    # 25 places, 16 row groups, 9 taps, 2 planes, of 2 pictures: nothing is waited for, though much is loaded.
    assert sum(row.cycles for row in rows) == pytest.approx(6 * 3600, rel=0.01)
    loaded = sum(row.load_bytes for row in rows[1:])
    assert 144 * 4 * 8 / 2 * 2 <= loaded <= 144 * 4 * 8 / 2 * 6


def test_layers_that_are_over_sooner_than_their_weights_come_take_turns_for_a_whole_batch():
    """Loaded once for all groups, program by program: dense layers use each word once for a group."""
    compiled = check(nets.dense_network(3, (256, 256, 256, 256, 64)), nets.overlay(weight_words=64), 9)
    assert compiled.setup is None and len(compiled.parts) == 2 and len(compiled.images) == 2
    for part in compiled.parts:
        assert any(isinstance(one, Load) and one.flags.first for _, one in part.instructions)


@pytest.mark.parametrize("pe, weight_words", [(4, 60), (8, 64), (32, 20)])
@pytest.mark.parametrize("pictures", [1, 3, 7])
def test_a_layer_that_is_larger_than_the_memory_is_split_by_its_row_groups(pe, weight_words, pictures):
    overlay = nets.small_engine(pe=pe, weight_words=weight_words)
    compiled = check(nets.dense_network(4, (260, 200, 64)), overlay, pictures)
    first = [one for layer, one in compiled.parts[0].instructions if layer == 0 and isinstance(one, Layer)]
    rows = -(-200 // pe)
    assert len(first) > 1 and sum(one.row_groups for one in first) == rows
    assert all(one.w_base + one.row_groups * one.w_row <= weight_words for one in first)
    assert compiled.held[0] == rows * 5 > weight_words
    rng = np.random.default_rng(pictures)
    layers = [small_conv.binary_conv(rng, 40, 200), Pool(2, 2), small_conv.binary_conv(rng, 200, 36, groups=2)]
    check(nets.network(layers, (6, 5), 40), overlay, pictures)


def test_the_plan_counts_the_cycles_that_the_array_waits_for_weights():
    overlay = nets.overlay(pe=4, vectors=2)
    _, compiled = split_network(nets.dense_network(5, (1024, 512, 64)), overlay)
    first = plan_rows(compiled, overlay.geometry)[0]
    loaded = first.load_bytes * 2 / 8  # a group's, a word in a cycle; the pictures are among them
    assert loaded > 128 * 16 and 2 * first.cycles >= loaded and first.bound == "memory"
    assert 2 * first.cycles <= 1.5 * loaded and first.weight_words == 2048


@pytest.mark.parametrize("pictures", [1, 5])
def test_thresholds_that_do_not_fit_are_loaded_ahead_too(pictures):
    rng = np.random.default_rng(11)
    layers = [nets.with_steps(small_conv.binary_conv(rng, 64, 640, 1, (0, 0)), 4)]
    compiled = check(nets.network(layers, (2, 2)), nets.overlay(threshold_words=128), pictures)
    loads = [one for _, one in compiled.parts[0].instructions if isinstance(one, Load) and one.target == THRESHOLDS]
    assert len(loads) > 3
    check(nets.network(layers, (2, 2)), nets.overlay(threshold_words=128, weight_words=10), pictures)


def test_maps_in_strips_with_weights_in_pieces():
    rng = np.random.default_rng(12)
    conv = small_conv.binary_conv
    layers = (conv(rng, 68, 40, 3), Pool(3, 2, (0, 1)), conv(rng, 40, 24, groups=2))
    check(nets.network(layers, (19, 13), 68), nets.small_engine(weight_words=50), 3)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_network_that_is_taken_is_computed(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), "seed"))
    side = data.draw(st.tuples(st.integers(3, 16), st.integers(3, 16)), "size")
    channels = first = 2 * data.draw(st.integers(1, 60), "channels")
    size, layers = side, []
    for _ in range(data.draw(st.integers(1, 3), "layers")):
        kernel = data.draw(st.integers(1, min(5, *size)), "kernel")
        groups = data.draw(st.sampled_from([1, 2]), "groups")
        outputs = 2 * data.draw(st.integers(1, 60), "outputs")
        padding = (data.draw(st.integers(0, min(3, kernel - 1))), data.draw(st.integers(0, min(3, kernel - 1))))
        made = small_conv.binary_conv(rng, channels, outputs, kernel, padding, groups=groups,
                                      invert=data.draw(st.booleans()))
        layers.append(dataclasses.replace(made, stride=data.draw(st.integers(1, 4), "stride")))
        size = tuple(layers[-1].output_size(length) for length in size)
        channels = outputs
        window = data.draw(st.integers(1, 3), "pool")
        if window > 1 and min(size) >= window:
            layers.append(Pool(window, data.draw(st.integers(1, window)), (0, data.draw(st.integers(0, 1)))))
            size = tuple(layers[-1].output_size(length) for length in size)
    overlay = nets.small_engine(pe=data.draw(st.sampled_from([4, 16, 32]), "pe"),
                                weight_words=data.draw(st.sampled_from([40, 100, 300, 1536]), "weights"),
                                threshold_words=data.draw(st.sampled_from([30, 100, 512]), "thresholds"))
    try:
        check(nets.network(layers, side, first), overlay, data.draw(st.sampled_from([1, 3, 5]), "pictures"))
    except UnsupportedNetworkError as error:
        assert "expected" in str(error) or "fit" in str(error)


# -- what it costs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, most", [
    ("lfc-w1a1-mnist", 385), ("lfc-w1a2-mnist", 766), ("dorefa-w1a2-imagenette", 43_000)])
def test_the_array_is_fed_for_no_more_cycles_than_wanted(name, most):
    from qnn_pynq.catalogue import find_network

    _, compiled = compile_network(find_network(name), nets.overlay())
    assert compiled.cycles / 4 < most and len(compiled.parts) == 1


def test_strips_have_every_row_once():
    rng = np.random.default_rng(0)
    net = nets.network((small_conv.binary_conv(rng, 64, 24), Pool(3, 2, (1, 1))), (13, 9))
    _, compiled = split_network(net, nets.small_engine())
    step = compiled.steps[0]
    for count in range(1, 14):
        strips = make_strips(step, count)
        assert [row for strip in strips for row in range(*strip.sums)] == list(range(13))
        assert [row for strip in strips for row in range(*strip.results)] == list(range(7))
        for strip in strips:
            for row in range(*strip.results):  # all of its window is there
                assert strip.held <= max(0, 2 * row - 1) and min(13, 2 * row + 2) <= strip.sums[1]


# -- what is refused --------------------------------------------------------------------------------------


def refused(net, overlay, *texts):
    with pytest.raises(UnsupportedNetworkError) as caught:
        split_network(net, overlay)
    for text in texts:
        assert text in str(caught.value)


def test_a_window_that_an_instruction_has_no_room_for_is_refused():
    rng = np.random.default_rng(0)
    conv = small_conv.binary_conv
    one = conv(rng, 64, 8)
    for layers, text in (
        ([conv(rng, 64, 8, 8, (0, 0))], "kernel size 8"),
        ([dataclasses.replace(one, stride=5)], "kernel stride 5"),
        ([dataclasses.replace(conv(rng, 64, 8, 7, (0, 0)), padding=(4, 4))], "kernel padding 4"),
        ([one, Pool(8, 1)], "pool size 8"), ([one, Pool(5, 5)], "pool stride 5"),
        ([one, Pool(5, 1, (4, 4))], "pool padding 4"),
    ):
        refused(nets.network(layers, (9, 9)), nets.small_engine(), text, "layer")


def test_maps_and_memories_that_are_a_bit_too_large_are_refused_with_the_limit():
    rng = np.random.default_rng(0)
    conv = small_conv.binary_conv
    refused(nets.network([conv(rng, 64, 8, 1, (0, 0))], (256, 1)), nets.overlay(), "256 x 1", "at most 255")
    refused(nets.network([conv(rng, 64, 8)], (3, 200)), nets.small_engine(bank_words=512), "do not fit", "512 words")
    wide = nets.network([conv(rng, 64, 256, 7, (3, 3))], (7, 7))
    check(wide, nets.small_engine(weight_words=50), 1)
    refused(wide, nets.small_engine(weight_words=49), "weights of a row group", "at most 48")
    many = nets.network([nets.with_steps(conv(rng, 64, 640, 1, (0, 0)), 4)], (2, 2))
    check(many, nets.overlay(threshold_words=21), 1)
    refused(many, nets.overlay(threshold_words=20), "thresholds of a row group", "at most 19")
    refused(nets.network([nets.with_steps(conv(rng, 64, 8), 5)], (9, 9)), nets.small_engine(), "31 thresholds",
            "1 to 15")


def test_sums_beyond_the_accumulator_and_thresholds_beyond_21_bits_are_refused():
    rng = np.random.default_rng(0)
    layer = nets.pixel_layer(rng, 8, weight_bits=8)
    net = nets.network([layer], (16, 16), 3, pixels=True)
    full = dataclasses.replace(layer, weights=np.full_like(layer.weights, -128))
    far = dataclasses.replace(full, thresholds=np.full((8, 3), -(1 << 20) - 1, np.int32))
    refused(dataclasses.replace(net, layers=(far,)), nets.small_engine(), "21 bits")
    check(dataclasses.replace(net, layers=(dataclasses.replace(full, thresholds=far.thresholds + 1),)),
          nets.small_engine())
    large = dataclasses.replace(full, kernel=7, padding=(3, 3), inputs=6,
                                weights=np.full((8, 7, 7, 6), -128, np.int16), thresholds=np.zeros((8, 3), np.int32))
    spec = dataclasses.replace(net.input, channels=6)
    refused(dataclasses.replace(net, layers=(large,), input=spec), nets.small_engine(), "24 bits")


def test_weights_of_more_than_8_bits_leave_a_first_layer_to_the_processor():
    net = small_conv.small_network()
    split, _ = split_network(net, nets.small_engine())
    assert [len(part) for part in split] == [1, 4, 0]
    alone = dataclasses.replace(net, layers=net.layers[:1])
    refused(alone, nets.small_engine(), "layer 0", "8")


def test_floats_are_left_to_the_processor():
    net = small_conv.in_letterbox()
    split, _ = split_network(net, nets.small_engine())
    assert [len(part) for part in split] == [1, 3, 1]
    refused(dataclasses.replace(net, layers=net.layers[:1]), nets.small_engine(), "no dense layer or convolution")


def test_a_tail_that_does_not_fit_is_left_to_the_processor():
    rng = np.random.default_rng(1)
    net = nets.whole_network()
    wide = dataclasses.replace(net, layers=(*net.layers[:-1], small_conv.linear(rng, 160, 100)))
    split, _ = split_network(wide, nets.small_engine(weight_words=32 + 1))  # 4 places of 8 bits, and an odd place
    assert [len(part) for part in split] == [0, 6, 0]
    split, _ = split_network(wide, nets.small_engine(weight_words=32))
    assert [len(part) for part in split] == [0, 5, 1]
