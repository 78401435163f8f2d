"""Layer lists of QNN-MO-PYNQ: what is read, bit by bit, and what is refused, with the file's name."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import struct
from pathlib import Path

import numpy as np
import oracle_conv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnn_pynq import Classifier
from qnn_pynq.catalogue import find_overlay
from qnn_pynq.convert.qnn_mo import import_qnn_mo, read_offloaded
from qnn_pynq.convert.qnn_mo_layers import read_layer_list
from qnn_pynq.engines import layers_on_logic
from qnn_pynq.errors import DescriptorError, QnnError, UnsupportedNetworkError
from qnn_pynq.networks import Conv, Linear, Pool, load_network, save_network
from qnn_pynq.networks.summary import describe_layers

PES = 32


def write_run(folder: Path, run: int, signs: np.ndarray, thresholds: np.ndarray, invert: np.ndarray) -> None:
    """Files of one run from weights of +1 and -1 (out, K, K, in), by the rules of the specs, bit by bit."""
    outputs, kernel, _, inputs = signs.shape
    rows, tiles, count = -(-outputs // PES), -(-inputs // 64), thresholds.shape[1]
    for pe in range(PES):
        words, entries = [], []
        for row in range(rows):
            channel = row * PES + pe
            for ky in range(kernel):
                for kx in range(kernel):
                    for tile in range(tiles):
                        word = 0
                        for bit in range(64):
                            place = 64 * tile + bit
                            if channel < outputs and place < inputs and signs[channel, ky, kx, place] < 0:
                                word |= 1 << bit
                        words.append(word)
            entry = 0x0001_FFFF_FFFF_FFFF if count == 3 else (1 << 113) - 1
            if channel < outputs:
                entry = sum((int(t) & 0xFFFF) << 16 * j for j, t in enumerate(thresholds[channel]))
                entry |= int(invert[channel]) << 16 * count
            entries += [entry] if count == 3 else [entry >> 64, entry & (1 << 64) - 1]
        (folder / f"{run}-{pe}-weights.bin").write_bytes(struct.pack(f"<{len(words)}Q", *words))
        (folder / f"{run}-{pe}-thres.bin").write_bytes(struct.pack(f"<{len(entries)}Q", *entries))


def random_run(rng: np.random.RandomState, inputs: int, outputs: int, kernel: int, count: int) -> tuple:
    return (
        rng.choice([-1, 1], (outputs, kernel, kernel, inputs)),
        rng.randint(-40, 40, (outputs, count)),
        rng.rand(outputs) < 0.2,
    )


def conv(name: str, bits: int, kernel: int, padding: float, into: list, out: list) -> dict:
    return {
        "name": name, "func": "conv_layer", "input_bits": bits, "output_bits": bits, "weight_bits": 1,
        "threshold_bits": 16, "kernel_shape": kernel, "kernel_stride": 1, "input": into, "output": out,
        "padding": padding,
    }


def pool(window: int, stride: int, into: list, out: list) -> dict:
    return {
        "name": "pool", "func": "maxpool_layer", "kernel_shape": window, "kernel_stride": stride, "input": into,
        "output": out, "padding": 0.5,
    }


LIST = {
    "network": "tiny", "input_image": "a", "binparam": "binparam-tiny", "use_binparams": True, "binparam_skip": 1,
    "layer_skip": 1,
    "layers": [
        {"name": "conv0", "func": "conv_layer", "input_bits": 8, "output_bits": 2, "weight_bits": 8, "kernel_shape": 4,
         "kernel_stride": 2, "input": [3, 12, 12], "output": [8, 5, 5], "padding": 0},
        {"name": "split1", "func": "split_layer", "split": 2, "input_channels": 8, "input_dim": 5},
        conv("conv1", 2, 3, 1, [4, 5, 5], [6, 5, 5]),
        pool(3, 2, [6, 6, 6], [6, 2, 2]),
        conv("conv2", 2, 2, 0.5, [6, 2, 2], [5, 2, 2]),
        {"name": "merge1", "func": "merge_layer", "merge": 2, "output_channels": 10, "output_dim": 2},
        conv("conv3", 2, 1, 0, [10, 2, 2], [40, 2, 2]),
        {"name": "fc0", "func": "fc_layer", "input": 160, "output": 9},
        {"name": "fc1", "func": "fc_layer", "input": 9, "output": 9},
        {"name": "fc2", "func": "fc_layer", "input": 9, "output": 5},
        {"func": "none"},
    ],
}
# Part-major: all layers of part 0, then all of part 1.
RUNS = {1: (4, 6, 3), 2: (6, 5, 2), 3: (4, 6, 3), 4: (6, 5, 2), 5: (10, 40, 1)}
FC = {"fc0/Wn": (160, 9), "fc0/bn": (9,), "fc1/Wn": (9, 9), "fc1/bn": (9,), "fct/W": (9, 5)}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple:
    """A complete small set, and what is in it."""
    place = tmp_path_factory.mktemp("tiny")
    rng = np.random.RandomState(5)
    (place / "binparam-tiny").mkdir()
    runs = {run: random_run(rng, *shape, 3) for run, shape in RUNS.items()}
    for run, arrays in runs.items():
        write_run(place / "binparam-tiny", run, *arrays)
    (place / "binparam-tiny" / "0-0-weights.bin").write_bytes(b"of a layer in software")
    (place / "tiny-layers.json").write_text(json.dumps(LIST))
    first = {
        "conv0/W": rng.normal(0, 0.2, (8, 3, 4, 4)).astype(np.float32),
        "conv0/T": np.array([5 / 6, 1 / 2, 1 / 6], np.float32),
    }
    np.save(str(place / "tiny-conv0.npy"), first, allow_pickle=True)
    np.save(str(place / "ilsvrc_pp_mean.npy"), rng.uniform(90, 130, (16, 16, 3)).astype(np.float32))
    dense = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in FC.items()}
    np.save(str(place / "fc.npy"), dense, allow_pickle=True)
    return place, runs, first, dense


@pytest.fixture
def copied(made, tmp_path) -> Path:
    """A set that a test may damage."""
    shutil.copytree(str(made[0]), str(tmp_path / "tiny"))
    return tmp_path / "tiny"


def relist(place: Path, change) -> Path:
    listed = copy.deepcopy(LIST)
    change(listed)
    path = place / "tiny-layers.json"
    path.write_text(json.dumps(listed))
    return path


# -- what is read ----------------------------------------------------------------------------------------


def test_every_bit_arrives(made):
    place, runs, first, _ = made
    network = import_qnn_mo(place)
    assert network.name == "tiny" and network.overlays == ("qnn-mo-w1a2",) and network.classes == ()
    assert [type(layer) for layer in network.layers] == [Conv, Conv, Pool, Conv, Conv]
    conv0, conv1, pooled, conv2, conv3 = network.layers
    assert np.array_equal(conv0.weights, first["conv0/W"].transpose(0, 2, 3, 1))
    assert (conv0.thresholds == first["conv0/T"]).all() and (conv0.stride, conv0.weight_bits) == (2, 32)
    assert (pooled.size, pooled.stride, pooled.padding) == (3, 2, (0, 1))
    for layer, parts, groups in ((conv1, (1, 3), 2), (conv2, (2, 4), 2), (conv3, (5,), 1)):
        assert layer.groups == groups
        assert np.array_equal(
            oracle_conv.signs(layer.weights, layer.inputs // groups), np.concatenate([runs[k][0] for k in parts])
        )
        assert np.array_equal(layer.thresholds, np.concatenate([runs[k][1] for k in parts]))
        assert np.array_equal(layer.invert, np.concatenate([runs[k][2] for k in parts]))
    assert conv2.padding == (0, 1)


def test_the_middle_of_the_mean_is_taken(made):
    mean = np.load(str(made[0] / "ilsvrc_pp_mean.npy"))
    spec = import_qnn_mo(made[0] / "tiny-layers.json").input
    assert spec.size == (12, 12) and np.array_equal(spec.encoding.mean, mean[2:14, 2:14])
    assert (spec.encoding.order, spec.encoding.divisor) == ("bgr", 255.0)
    assert (spec.crop.short_side, spec.crop.filter) == (256, "opencv-cubic")


def test_our_format_and_the_board_agree_with_the_oracle(made, tmp_path):
    network = load_network(save_network(import_qnn_mo(made[0], "mine"), tmp_path / "mine"))
    picture = np.random.RandomState(1).randint(0, 256, (1, 12, 12, 3)).astype(np.uint8)
    mean = network.input.encoding.mean.astype(np.float64)
    wanted = oracle_conv.forward(network.layers, (picture[..., ::-1] - mean) / 255)
    for options in ({"board": "cpu"}, {"board": "emulated"}, {"board": "emulated", "conservative": True}):
        with Classifier(network, **options) as classifier:
            assert np.array_equal(classifier.features(picture), wanted)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("saved", [False, True])
def test_dense_layers(made, tmp_path, plain, saved):
    place, _, _, dense = made
    source = place / "fc.npy"
    if plain:
        source = tmp_path / "fc"
        source.mkdir()
        for key, array in dense.items():
            np.save(str(source / (key.replace("/", "-") + ".npy")), array)
    network = import_qnn_mo(place, classes=list("abcde"), fc=source)
    if saved:
        network = load_network(save_network(network, tmp_path / "net"))
    assert network.classes == tuple("abcde") and all(isinstance(layer, Linear) for layer in network.layers[-3:])
    picture = np.random.RandomState(2).randint(0, 256, (1, 12, 12, 3)).astype(np.uint8)
    with Classifier(network, board="cpu") as classifier:
        codes = classifier.features(picture).reshape(1, -1)
        found = classifier.decision_function(picture)
        chances = classifier.predict_proba(picture)
    x = codes / 3
    x = np.round(3 * np.clip(x @ dense["fc0/Wn"] + dense["fc0/bn"], 0, 1)) / 3
    x = np.clip(x @ dense["fc1/Wn"] + dense["fc1/bn"], 0, 1)
    y = x @ dense["fct/W"]
    assert np.abs(found - y).max() < 1e-5
    assert np.abs(chances - np.exp(y) / np.exp(y).sum()).max() < 1e-6


def test_names_of_classes_are_numbers_by_default(made):
    assert import_qnn_mo(made[0], fc=made[0] / "fc.npy").classes == ("0", "1", "2", "3", "4")


def test_large_dense_layers_are_mapped_and_saved_without_a_copy(made, tmp_path):
    """19 MB of weights: mapped in the foreign file, and in ours."""
    place = tmp_path / "tiny"
    shutil.copytree(str(made[0]), str(place))
    listed = copy.deepcopy(LIST)
    listed["layers"][7:10] = [
        {"name": "fc0", "func": "fc_layer", "input": 160, "output": 2200},
        {"name": "fc1", "func": "fc_layer", "input": 2200, "output": 2200},
        {"name": "fc2", "func": "fc_layer", "input": 2200, "output": 2},
    ]
    (place / "tiny-layers.json").write_text(json.dumps(listed))
    shapes = [(160, 2200), (2200,), (2200, 2200), (2200,), (2200, 2)]
    arrays = {key: np.full(shape, 0.25, np.float32) for key, shape in zip(FC, shapes)}
    arrays["fc1/Wn"][3, 5] = 0.5
    np.save(str(place / "fc.npy"), arrays, allow_pickle=True)

    def mapped(array: np.ndarray) -> bool:
        while array is not None and not isinstance(array, np.memmap):
            array = array.base
        return array is not None

    network = import_qnn_mo(place, fc=place / "fc.npy")
    assert mapped(network.layers[-2].weights)
    weights = load_network(save_network(network, tmp_path / "net")).layers[-2].weights
    assert mapped(weights) and weights.flags.c_contiguous and weights.shape == (2200, 2200)
    assert weights[5, 3] == 0.5 and (weights == 0.25).sum() == 2200 * 2200 - 1
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def three_bits() -> tuple:
    """A list without a layer in software, 3-bit codes, two runs for one layer's outputs."""
    layers = [
        conv("conv1", 3, 3, 1, [16, 6, 6], [64, 6, 6]), pool(2, 1, [64, 7, 7], [64, 6, 6]),
        conv("conv2", 3, 1, 0, [64, 6, 6], [300, 6, 6]),
        conv("conv3", 3, 2, 0, [300, 6, 6], [20, 5, 5]),
    ]
    listed = {"network": "wide", "binparam": "bin", "binparam_skip": 1, "layer_skip": 0, "layers": layers}
    return listed, {1: (16, 64, 3), 2: (64, 150, 1), 3: (64, 150, 1), 4: (300, 20, 2)}


def test_three_bit_layers_without_a_first_one(tmp_path):
    listed, shapes = three_bits()
    rng = np.random.RandomState(7)
    runs = {run: random_run(rng, *shape, 7) for run, shape in shapes.items()}
    (tmp_path / "bin").mkdir()
    for run, arrays in runs.items():
        write_run(tmp_path / "bin", run, *arrays)
    (tmp_path / "wide-layers.json").write_text(json.dumps(listed))
    found = read_offloaded(tmp_path)
    assert found.overlay.name == "qnn-mo-w1a3" and (found.size, found.channels) == (6, 16)
    convs = [layer for layer in found.layers if isinstance(layer, Conv)]
    for layer, parts in zip(convs, ((1,), (2, 3), (4,))):
        assert layer.groups == 1 and layer.input_bits == layer.output_bits == 3
        signs = oracle_conv.signs(layer.weights, layer.inputs)
        assert np.array_equal(signs, np.concatenate([runs[k][0] for k in parts]))
        assert np.array_equal(layer.thresholds, np.concatenate([runs[k][1] for k in parts]))
        assert np.array_equal(layer.invert, np.concatenate([runs[k][2] for k in parts]))
    with pytest.raises(DescriptorError, match="wide-conv0-W.npy is not there; expected the weights .*--codes"):
        import_qnn_mo(tmp_path)
    network = load_network(save_network(import_qnn_mo(tmp_path, codes=True), tmp_path / "net"))
    assert (network.input.size, network.input.channels, network.input.encoding.bits) == ((6, 6), 16, 3)
    codes = rng.randint(0, 8, (2, 6, 6, 16)).astype(np.uint8)
    wanted = oracle_conv.forward(found.layers, codes)
    for board in ("cpu", "emulated"):
        with Classifier(network, board=board) as classifier:
            assert np.array_equal(classifier.features(codes), wanted)
    with pytest.raises(DescriptorError, match="qnn-mo-w1a2 has 2"):
        read_offloaded(tmp_path, "qnn-mo-w1a2")


def test_the_published_set(golden):
    network = import_qnn_mo(golden / "qnn-mo" / "params")
    layers = [layer for layer in network.layers if isinstance(layer, Conv)]
    assert [(layer.inputs, layer.outputs, layer.groups) for layer in layers] == [
        (3, 68, 1), (68, 180, 2), (180, 272, 1), (272, 384, 2), (384, 256, 2),
    ]
    # The one entry that is not in order is taken as it is, and its bit 49 is not the flag.
    assert layers[1].thresholds[90 + 62].tolist() == [19428, -7474, 31160]
    unsorted = [(np.diff(layer.thresholds.astype(int), axis=1) < 0).any(axis=1).sum() for layer in layers[1:]]
    assert unsorted == [1, 0, 0, 0] and all(layer.invert is None for layer in layers)


def test_runs_of_the_published_lists(golden, tmp_path):
    listed = read_layer_list(golden / "qnn-mo" / "params" / "dorefanet-layers.json", 384)
    assert [layer.runs for layer in listed.layers if not isinstance(layer, Pool)] == [[1, 2], [3], [4, 6], [5, 7]]
    assert [(layer.inputs, layer.outputs) for layer in listed.dense] == [(9216, 4096), (4096, 4096), (4096, 1000)]
    # Sizes and channels of the other published network, by its table of registers.
    layers = [
        conv("conv1", 3, 3, 1, [16, 208, 208], [64, 208, 208]), pool(2, 2, [64, 208, 208], [64, 104, 104]),
        conv("conv2", 3, 3, 1, [64, 104, 104], [64, 104, 104]), pool(2, 2, [64, 104, 104], [64, 52, 52]),
        conv("conv3", 3, 3, 1, [64, 52, 52], [128, 52, 52]), pool(2, 2, [128, 52, 52], [128, 26, 26]),
        conv("conv4", 3, 3, 1, [128, 26, 26], [256, 26, 26]), pool(2, 2, [256, 26, 26], [256, 13, 13]),
        conv("conv5", 3, 3, 1, [256, 13, 13], [512, 13, 13]), pool(2, 1, [512, 14, 14], [512, 13, 13]),
        conv("conv6", 3, 3, 1, [512, 13, 13], [512, 13, 13]), conv("conv7", 3, 3, 1, [512, 13, 13], [512, 13, 13]),
    ]
    path = tmp_path / "yolo.json"
    path.write_text(json.dumps({"network": "yolo", "binparam": "bin", "binparam_skip": 1, "layers": layers}))
    listed = read_layer_list(path, 256)
    runs = [layer.runs for layer in listed.layers if not isinstance(layer, Pool)]
    assert runs == [[1], [2], [3], [4], [5, 6], [7, 8], [9, 10]]
    assert [layer.padding for layer in listed.layers if isinstance(layer, Pool)] == [(0, 0)] * 4 + [(0, 1)]


# -- what is refused -------------------------------------------------------------------------------------


def at(index: int, **values):
    return lambda listed: listed["layers"][index].update(values)


def top(**values):
    return lambda listed: listed.update(values)


def behind_split(listed: dict) -> None:
    """A pool that would fit the convolution before the split."""
    listed["layer_skip"] = 0
    listed["layers"][0] = conv("conv0", 2, 3, 1, [16, 5, 5], [8, 5, 5])
    listed["layers"].insert(2, pool(3, 2, [4, 6, 6], [4, 2, 2]))
    listed["layers"][3]["input"][1:] = listed["layers"][3]["output"][1:] = [2, 2]
    listed["layers"][4].update(input=[6, 3, 3], output=[6, 1, 1])


def behind_merge(listed: dict) -> None:
    """A pool that would fit the merged map."""
    listed["layers"].insert(6, pool(3, 2, [10, 3, 3], [10, 1, 1]))
    listed["layers"][7].update(input=[10, 1, 1], output=[40, 1, 1])
    listed["layers"][8]["input"] = 40


@pytest.mark.parametrize("change, words", [
    (at(2, input=[5, 5, 5]), ["layers[2].input", "5 channels", "4 that arrive"]),
    (at(2, input=[4, 6, 6], output=[6, 6, 6]), ["layers[2].input", "size 6"]),
    (at(2, output=[6, 4, 4]), ["layers[2].output", "6 x 5 x 5"]),
    (at(2, kernel_shape=6, padding=2), ["layers[2]", "5"]),
    (at(2, output=[6, 5, 4]), ["layers[2].output", "square"]),
    (at(2, output=[6, 5]), ["layers[2].output", "[channels, height, width]"]),
    (at(2, padding="one"), ["layers[2].padding", "number"]),
    (at(2, padding=7), ["layers[2].padding", "0 to 2"]),
    (at(2, weight_bits=2), ["layers[2].weight_bits", "2"]),
    (at(2, output_bits=3), ["layers[0].output_bits", "3 bits of overlay qnn-mo-w1a3"]),
    (at(4, output_bits=3), ["layers[4].output_bits", "qnn-mo-w1a2 has 2"]),
    (at(0, output_bits=3), ["layers[0].output_bits", "2 bits"]),
    (at(2, func="deconv_layer"), ["layers[2].func", "conv_layer"]),
    (at(3, kernel_shape=2), ["layers[3]"]),
    (at(3, input=[6, 11, 11]), ["layers[3].input", "6 x 5 x 5"]),
    (at(3, output=[6, 3, 3]), ["layers[3].output", "6 x 2 x 2"]),
    (at(1, split=3), ["layers[1].split", "8"]),
    (at(1, input_channels=10), ["layers[1].input_channels"]),
    (at(1, input_dim=4), ["layers[1].input_channels", "size 4"]),
    (at(5, merge=3), ["layers[5].merge", "2"]),
    (at(5, output_channels=12), ["layers[5].output_channels", "10"]),
    (at(5, output_dim=3), ["layers[5].output_channels", "size 3"]),
    (at(7, input=161), ["layers[7].input", "160"]),
    (at(8, input=8), ["layers[8].input", "9"]),
    (lambda listed: listed["layers"].pop(5), ["layers[5].input"]),
    (lambda listed: listed["layers"].pop(1), ["layers[1].input"]),
    (lambda listed: listed["layers"].insert(7, LIST["layers"][3]), ["layers[7]"]),
    (lambda listed: listed["layers"].insert(8, listed["layers"][6]), ["layers[8].func", "behind fc_layer"]),
    (lambda listed: listed["layers"].insert(2, listed["layers"][1]), ["layers[2].split", "inside"]),
    (lambda listed: listed["layers"].insert(1, LIST["layers"][3]), ["layers[1].func", "as the first layer"]),
    (lambda listed: listed["layers"].insert(4, listed["layers"][3]), ["layers[4].func", 'behind "maxpool_layer"']),
    (behind_split, ["layers[2].func", 'behind "split_layer"', "directly behind its conv_layer", "move it"]),
    (behind_merge, ["layers[6].func", 'behind "merge_layer"', "directly behind its conv_layer", "move it"]),
    (lambda listed: listed["layers"].__delitem__(slice(5, None)), ["layers", "no merge"]),
    (lambda listed: listed["layers"].__delitem__(slice(1, 7)), ["layers[1].input"]),
    (lambda listed: listed["layers"].__delitem__(slice(1, None)), ["layers", "no convolution"]),
    (top(layers=[]), ["layers", "empty"]),
    (top(layers=[7]), ["layers[0]"]),
    (top(layer_skip=2), ["layer_skip"]),
    (top(layer_skip=0), ["layers[0]"]),
    (top(use_binparams=False), ["use_binparams"]),
    (top(binparam="elsewhere"), ["elsewhere", "cannot be read"]),
    (top(binparam=3), ["binparam"]),
    (top(binparam_skip=2), ["2-0-weights.bin has 32 bytes: expected 72"]),
    (top(network=""), ["network"]),
    (top(binparam="a\0b"), ["a\\x00b", "cannot be read", "expected a folder of 1-0-weights.bin"]),
    (top(binparam="\ud800"), ["\\ud800", "cannot be read", "expected a folder of 1-0-weights.bin"]),
    (top(binparam="x" * 5000), ["cannot be read"]),
    (at(2, padding=0.3), ["layers[2].padding", "0.3", "multiple of 0.5"]),
    (at(2, padding=1.25), ["layers[2].padding", "1.25", "multiple of 0.5"]),
])
def test_lists_that_do_not_chain(copied, change, words):
    path = relist(copied, change)
    with pytest.raises(DescriptorError) as caught:
        import_qnn_mo(path)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_channels_over_the_limit(copied):
    def wide(listed):
        listed["layers"][0]["output"] = [1000, 5, 5]
        listed["layers"][1]["input_channels"] = 1000
        listed["layers"][2]["input"] = [500, 5, 5]

    with pytest.raises(DescriptorError, match=r"layers\[2\].input: 500 channels .* at most 384"):
        import_qnn_mo(relist(copied, wide))

    def many(listed):
        listed["layers"][2]["output"] = [400, 5, 5]

    with pytest.raises(DescriptorError, match=r"layers\[2\].output: 400 .* 384"):
        import_qnn_mo(relist(copied, many))


def test_outputs_that_runs_cannot_share(copied):
    def odd(listed):
        listed["layers"][6]["output"] = [401, 2, 2]
        listed["layers"][7]["input"] = 1604

    with pytest.raises(DescriptorError, match="401 channels take 2 runs"):
        import_qnn_mo(relist(copied, odd))


def test_kernels_over_the_limit(copied):
    with pytest.raises(DescriptorError, match=r"layers\[2\].kernel_shape: 7 lines .* at most 5"):
        import_qnn_mo(relist(copied, at(2, kernel_shape=7, padding=3)))


def test_a_pool_that_the_overlay_has_not(copied):
    def window(listed):
        listed["layers"][3].update(kernel_shape=2, input=[6, 5, 5], output=[6, 2, 2])

    with pytest.raises(DescriptorError, match="2 x 2: the window of overlay qnn-mo-w1a2 is 3 x 3"):
        import_qnn_mo(relist(copied, window))

    def stride(listed):
        listed["layers"][3].update(kernel_stride=3, input=[6, 6, 6], output=[6, 2, 2])

    with pytest.raises(UnsupportedNetworkError, match="pool stride 3"):
        import_qnn_mo(relist(copied, stride))


def test_a_stride_that_the_overlay_computes_wrongly(copied):
    def change(listed):
        listed["layers"][2].update(kernel_stride=2, output=[6, 3, 3])
        listed["layers"][3].update(input=[6, 5, 5])

    with pytest.raises(UnsupportedNetworkError, match="stride 2"):
        import_qnn_mo(relist(copied, change))


@pytest.mark.parametrize("content, word", [
    (b"\xff\xfe{}", "UTF-8"), (b"{", "no JSON"), (b"", "no JSON"), (b"[]", "object"), (b"{}", "network"),
    (b"[" * 99999, "nested"), (b'{"network": "a", "network": "b"}', "twice"), (b'{"network": NaN}', "finite"),
])
def test_files_that_are_no_list(copied, content, word):
    (copied / "tiny-layers.json").write_bytes(content)
    with pytest.raises(DescriptorError, match=word) as caught:
        import_qnn_mo(copied)
    assert "tiny-layers.json" in str(caught.value)


def test_missing_lists_and_folders(tmp_path):
    with pytest.raises(DescriptorError, match="no such file"):
        import_qnn_mo(tmp_path / "a.json")
    with pytest.raises(DescriptorError, match="0 files"):
        import_qnn_mo(tmp_path)


@pytest.mark.parametrize("name", ["1-0-weights.bin", "4-31-thres.bin", "5-17-weights.bin"])
def test_too_few_files(copied, name):
    (copied / "binparam-tiny" / name).unlink()
    with pytest.raises(DescriptorError, match=name + " is not there"):
        import_qnn_mo(copied)


@pytest.mark.parametrize("name", ["6-0-weights.bin", "1-32-thres.bin", "700-3-thres.bin"])
def test_too_many_files(copied, name):
    (copied / "binparam-tiny" / name).write_bytes(bytes(8))
    with pytest.raises(DescriptorError, match=name + " is one too many"):
        import_qnn_mo(copied)


def test_other_files_and_those_of_the_first_layer_do_not_matter(copied):
    for name in ("0-31-thres.bin", "notes.txt", "1-0-weights.bin.bak"):
        (copied / "binparam-tiny" / name).write_bytes(b"x")
    import_qnn_mo(copied)


@pytest.mark.parametrize("change", [lambda b: b[:-8], lambda b: b[:-1], lambda b: b + bytes(8), lambda b: b""])
def test_files_of_another_size(copied, change):
    path = copied / "binparam-tiny" / "2-9-weights.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DescriptorError, match=r"2-9-weights.bin has \d+ bytes: expected 32"):
        import_qnn_mo(copied)


def test_thresholds_of_the_other_overlay(copied):
    for path in (copied / "binparam-tiny").glob("*-thres.bin"):
        path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(DescriptorError, match="W1A3"):
        import_qnn_mo(copied)
    with pytest.raises(DescriptorError, match="qnn-mo-w1a3 has 3|does not match the 3 bits"):
        import_qnn_mo(copied, overlay="qnn-mo-w1a3")
    with pytest.raises(DescriptorError, match="kind bnn-pynq"):
        import_qnn_mo(copied, overlay="bnn-pynq-lfc-w1a1")


def test_bad_first_layers(copied, made):
    path, first = copied / "tiny-conv0.npy", made[2]
    for arrays, word in (
        ({"conv0/T": first["conv0/T"]}, "conv0/W"),
        (dict(first, **{"conv0/T": first["conv0/T"][:2]}), r"\(3,\)"),
        (dict(first, **{"conv0/W": first["conv0/W"].astype(np.float64)}), "float64"),
        (dict(first, **{"conv0/W": first["conv0/W"][:, :, :3]}), r"\(8, 3, 4, 4\)"),
        (dict(first, **{"conv0/W": first["conv0/W"] * np.float32(np.inf)}), "finite"),
    ):
        np.save(str(path), arrays, allow_pickle=True)
        with pytest.raises(DescriptorError, match=word) as caught:
            import_qnn_mo(copied)
        assert "tiny-conv0.npy" in str(caught.value)
    path.unlink()
    with pytest.raises(DescriptorError, match="tiny-conv0.npy is not there"):
        import_qnn_mo(copied)
    assert import_qnn_mo(copied, first=made[0] / "tiny-conv0.npy").name == "tiny"


def test_bad_means(copied):
    path = copied / "ilsvrc_pp_mean.npy"
    for array, word in (
        (np.zeros((10, 16, 3), np.float32), "12 x 12"),
        (np.zeros((15, 15, 3), np.float32), "each side"),
        (np.zeros((16, 16, 3)), "f8"),
        (np.zeros((16, 16), np.float32), "shape"),
        (np.full((16, 16, 3), np.nan, np.float32), "finite"),
    ):
        np.save(str(path), array)
        with pytest.raises(DescriptorError, match=word) as caught:
            import_qnn_mo(copied)
        assert "ilsvrc_pp_mean.npy" in str(caught.value)
    path.unlink()
    with pytest.raises(DescriptorError, match="mean picture"):
        import_qnn_mo(copied)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", [
    "tiny-layers.json", "tiny-conv0.npy", "ilsvrc_pp_mean.npy", "binparam-tiny/1-0-weights.bin",
    "binparam-tiny/1-31-thres.bin",
])
def test_pipes_are_refused_instead_of_waited_for(copied, made, name):
    (copied / name).unlink()
    os.mkfifo(str(copied / name))
    with pytest.raises(DescriptorError, match=name + ".* (no regular file|has 0 bytes)"):
        import_qnn_mo(copied)
    os.mkfifo(str(copied / "pipe"))
    files = {"first": made[0] / "tiny-conv0.npy", "mean": made[0] / "ilsvrc_pp_mean.npy", "fc": made[0] / "fc.npy"}
    for key in files:
        with pytest.raises(DescriptorError, match="pipe.* no regular file"):
            import_qnn_mo(made[0], **dict(files, **{key: copied / "pipe"}))


@pytest.mark.parametrize("key", ["source", "first", "mean", "fc"])
def test_what_can_be_no_path(made, key):
    files = {"source": made[0], "fc": made[0] / "fc.npy"}
    for path in ("x" * 5000, "a\0b", "\ud800"):
        with pytest.raises(DescriptorError):
            import_qnn_mo(**dict(files, **{key: path}))
    for path in (5, object(), b"a"):
        with pytest.raises(DescriptorError, match=key + " .*: expected the path of a file or folder"):
            import_qnn_mo(**dict(files, **{key: path}))
    with pytest.raises(DescriptorError, match="source None: expected the path"):
        import_qnn_mo(None)
    with pytest.raises(DescriptorError, match="source None: expected the path"):
        read_offloaded(None)


def test_bad_dense_layers(copied, made):
    path, dense = copied / "fc.npy", made[3]
    for arrays, word in (
        ({key: dense[key] for key in dense if key != "fct/W"}, "fct/W"),
        (dict(dense, **{"fc0/Wn": dense["fc0/Wn"].T}), r"\(160, 9\)"),
        (dict(dense, **{"fc1/bn": dense["fc1/bn"].astype(np.float64)}), "float64"),
        (dict(dense, **{"fct/W": dense["fct/W"] * np.float32(np.nan)}), "finite"),
    ):
        np.save(str(path), arrays, allow_pickle=True)
        with pytest.raises(DescriptorError, match=word):
            import_qnn_mo(copied, fc=path)
    with pytest.raises(DescriptorError, match="3 names"):
        import_qnn_mo(copied, fc=made[0] / "fc.npy", classes=["a", "b", "c"])
    with pytest.raises(DescriptorError, match="give fc"):
        import_qnn_mo(copied, classes=["a", "b", "c"])
    with pytest.raises(DescriptorError, match="fc0-Wn.npy"):
        import_qnn_mo(copied, fc=copied)
    path = relist(copied, lambda listed: listed["layers"].pop(9))
    with pytest.raises(DescriptorError, match="2 entries"):
        import_qnn_mo(path, fc=made[0] / "fc.npy")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 70), st.sampled_from([10**9, -1, 0.5, 1e300, "", "conv_layer", "none"]),
    st.lists(st.integers(-1, 70), max_size=4),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), VALUES), min_size=1, max_size=3), st.randoms())
def test_changed_lists_give_only_our_errors(made, tmp_path, changes, chance: random.Random):
    listed = copy.deepcopy(LIST)
    for where, which, value in changes:
        places = [listed] + listed["layers"]
        place = places[where % len(places)]
        if not place:
            continue
        key = sorted(place)[which % len(place)]
        if chance.random() < 0.2:
            del place[key]
        else:
            place[key] = value
        if not isinstance(listed.get("layers"), list) or not all(isinstance(layer, dict) for layer in listed["layers"]):
            break
    path = tmp_path / "tiny-layers.json"
    path.write_text(json.dumps(listed))
    if not (tmp_path / "binparam-tiny").exists():
        (tmp_path / "binparam-tiny").symlink_to(made[0] / "binparam-tiny", target_is_directory=True)
    first, mean, fc = (made[0] / name for name in ("tiny-conv0.npy", "ilsvrc_pp_mean.npy", "fc.npy"))
    try:
        import_qnn_mo(path, first=first, mean=mean, fc=fc)
    except QnnError:
        pass


# -- folders with several lists --------------------------------------------------------------------------


def test_one_of_several_lists_is_chosen_by_the_networks_name(copied):
    """The published folder has two."""
    (copied / "other-layers.json").write_text("{}")
    with pytest.raises(DescriptorError) as caught:
        import_qnn_mo(copied)
    assert "has 2 layer lists: choose one with network='other' or 'tiny' (such as --network other)" in str(caught.value)
    assert import_qnn_mo(copied, network="tiny").name == "tiny"
    assert read_offloaded(copied, network="tiny").channels == 8
    with pytest.raises(DescriptorError, match="has no third-layers.json: expected other or tiny"):
        import_qnn_mo(copied, network="third")
    with pytest.raises(DescriptorError, match="no ../tiny-layers.json: expected"):
        import_qnn_mo(copied, network="../tiny")
    assert import_qnn_mo(copied / "tiny-layers.json", network="tiny").name == "tiny"
    with pytest.raises(DescriptorError, match="tiny-layers.json is not the layer list of other"):
        import_qnn_mo(copied / "tiny-layers.json", network="other")


# -- a first and a last layer that are not in the list -----------------------------------------------------


@pytest.fixture
def unlisted(tmp_path) -> Path:
    """A set as the published Tinier-YOLO's: four plain .npy beside a list without first layer."""
    listed, shapes = three_bits()
    rng = np.random.RandomState(11)
    place = tmp_path / "params"
    (place / "bin").mkdir(parents=True)
    for run, shape in shapes.items():
        write_run(place / "bin", run, *random_run(rng, *shape, 7))
    (place / "wide-layers.json").write_text(json.dumps(listed))
    np.save(str(place / "wide-conv0-W.npy"), rng.normal(0, 1, (3, 3, 3, 16)).astype(np.float32))
    np.save(str(place / "wide-conv0-bias.npy"), rng.normal(1, 1, 16).astype(np.float32))
    # As the published file, in Fortran order.
    last = np.asfortranarray(rng.normal(0, 0.1, (1, 1, 20, 25)).astype(np.float32))
    np.save(str(place / "wide-conv4-W.npy"), last)
    np.save(str(place / "wide-conv4-bias.npy"), rng.normal(0, 1, 25).astype(np.float32))
    return place


def as_published(place: Path, picture: np.ndarray) -> tuple:
    """(codes of the last map, outputs) of one picture (H, W, 3), the published way: x before y in every map."""
    weights, bias = np.load(str(place / "wide-conv0-W.npy")), np.load(str(place / "wide-conv0-bias.npy"))
    kernel = weights.transpose(3, 2, 1, 0)  # (out, in, along x, along y)
    turned = np.pad(picture.transpose(1, 0, 2) / 255, ((1, 1), (1, 1), (0, 0)), mode="constant")
    side = picture.shape[0] // 2
    sums = np.zeros((side, side, 16))
    for x in range(side):
        for y in range(side):
            sums[x, y] = np.einsum("oixy,xyi->o", kernel, turned[2 * x : 2 * x + 3, 2 * y : 2 * y + 3]) + bias
    codes = np.round(np.clip(sums, 0, 4) / 4 * 7).astype(np.uint8)
    found = oracle_conv.forward(read_offloaded(place).layers, codes[None])[0].transpose(1, 0, 2)
    last = np.load(str(place / "wide-conv4-W.npy"))[0, 0]
    return found, found.astype(np.float64) @ last + np.load(str(place / "wide-conv4-bias.npy"))


@pytest.mark.parametrize("board", ["cpu", "emulated"])
def test_first_and_last_layer_come_from_files_of_their_own(unlisted, tmp_path, board):
    network = load_network(save_network(import_qnn_mo(unlisted), tmp_path / "net"))
    assert network.overlays == ("qnn-mo-w1a3",) and network.input.size == (12, 12) and network.decode.rule == "features"
    picture = np.random.RandomState(3).randint(0, 256, (12, 12, 3)).astype(np.uint8)
    codes, outputs = as_published(unlisted, picture)
    with Classifier(network, board=board) as classifier:
        found = classifier.features(picture[None])
        assert found.shape == (1, 5, 5, 25) and found.dtype == np.float64
        assert np.abs(found[0] - outputs).max() < 1e-4
        rows = describe_layers(network, layers_on_logic(network, [find_overlay("qnn-mo-w1a3")]))
        assert rows[-1]["output"] == (5, 5, 25) and rows[-1]["macs"] == 5 * 5 * 20 * 25
        assert rows[-1]["runs_on"] == "processor" and rows[-2]["runs_on"] == "overlay"
        row = classifier.profile([picture]).rows[-1]
        assert row.where == "software tail" and row.macs == 5 * 5 * 20 * 25
    # Without the files of the last layer the network ends in the overlay's codes.
    (unlisted / "wide-conv4-W.npy").rename(tmp_path / "other-W.npy")
    network = import_qnn_mo(unlisted)
    with Classifier(network, board=board) as classifier:
        assert np.array_equal(classifier.features(picture[None])[0], codes)
    (unlisted / "wide-conv4-bias.npy").rename(tmp_path / "other-bias.npy")
    network = import_qnn_mo(unlisted, last=tmp_path / "other-W.npy")
    with Classifier(network, board=board) as classifier:
        assert np.abs(classifier.features(picture[None])[0] - outputs).max() < 1e-4


def test_what_is_wrong_with_unlisted_layers_is_said(unlisted, tmp_path):
    for name, array, said in (
        ("wide-conv0-W.npy", np.zeros((3, 3, 3, 17), np.float32), "expected (3, 3, 3, 16)"),
        ("wide-conv0-W.npy", np.zeros((5, 5, 3, 16), np.float32), "expected (3, 3, 3, 16)"),
        ("wide-conv0-W.npy", np.full((3, 3, 3, 16), np.nan, np.float32), "a value is not finite"),
        ("wide-conv0-bias.npy", np.zeros(15, np.float32), "expected (16,)"),
        ("wide-conv0-bias.npy", np.zeros(16), "has dtype <f8: expected float32"),
        ("wide-conv0-bias.npy", None, "is not there; expected the bias"),
        ("wide-conv4-W.npy", np.zeros((1, 1, 21, 25), np.float32), "expected (1, 1, 20, n)"),
        ("wide-conv4-bias.npy", None, "is not there; expected the bias"),
    ):
        path = unlisted / name
        kept = path.read_bytes()
        path.unlink()
        if array is not None:
            np.save(str(path), array)
        with pytest.raises(DescriptorError) as caught:
            import_qnn_mo(unlisted)
        assert name in str(caught.value) and said in str(caught.value)
        path.write_bytes(kept)
    for options, said in (
        ({"mean": unlisted / "x.npy"}, "subtracts no mean picture"),
        ({"first": unlisted / "x.npy"}, r"expected a file \.\.\.-W.npy"),
        ({"codes": True, "first": unlisted / "wide-conv0-W.npy"}, "neither first nor mean"),
        ({"fc": unlisted, "last": unlisted / "wide-conv4-W.npy"}, "fc and last: expected one"),
        ({"fc": unlisted}, "fc does not go with a first layer that is not in the list"),
        ({"classes": ["a"]}, "without the dense layers"),
    ):
        with pytest.raises(DescriptorError, match=said):
            import_qnn_mo(unlisted, **options)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pickles_and_pipes_are_no_unlisted_layers(unlisted):
    path = unlisted / "wide-conv0-W.npy"
    path.unlink()
    os.mkfifo(str(path))
    with pytest.raises(DescriptorError, match="is no regular file; expected the weights"):
        import_qnn_mo(unlisted)
    path.unlink()
    np.save(str(path), {"W": np.zeros(3)}, allow_pickle=True)
    with pytest.raises(DescriptorError, match="has Python objects inside"):
        import_qnn_mo(unlisted)


def test_plain_arrays_that_are_too_large_are_not_read(unlisted):
    path = unlisted / "wide-conv4-W.npy"
    with path.open("r+b") as stream:
        stream.truncate(1 << 40)  # sparse
    with pytest.raises(DescriptorError, match="has 1099511627776 bytes: expected the weights .*at most 67108864"):
        import_qnn_mo(unlisted)
