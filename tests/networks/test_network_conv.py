"""Descriptors of convolutional networks: what is read, written and refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from small_conv import binary_conv, small_network

from qnn_pynq import Classifier
from qnn_pynq.errors import DescriptorError
from qnn_pynq.networks import Conv, Crop, Encoding, Pool, load_network, save_network


def same(one, other):
    """Whether two layers have equal fields."""
    if type(one) is not type(other):
        return False
    for entry in dataclasses.fields(one):
        a, b = getattr(one, entry.name), getattr(other, entry.name)
        if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
            if a is None or b is None or a.dtype != b.dtype or not np.array_equal(a, b):
                return False
        elif a != b:
            return False
    return True


@pytest.mark.parametrize("bits,pool", [(2, 3), (3, 2)])
def test_a_written_network_is_read_back_equal(tmp_path, bits, pool):
    network = small_network(code_bits=bits, pool=pool)
    found = load_network(save_network(network, tmp_path / "small"))
    assert all(same(a, b) for a, b in zip(network.layers, found.layers))
    assert (found.input.size, found.input.channels, found.input.crop) == ((16, 16), 3, Crop(18))
    assert found.input.encoding.kind == "pixels" and found.decode == network.decode


def test_inverted_channels_and_mean_pictures_are_kept(tmp_path):
    network = small_network()
    first, second, *rest = network.layers
    float_first = dataclasses.replace(
        first, weights=first.weights.astype(np.float32), thresholds=first.thresholds.astype(np.float32),
        weight_bits=32, input_bits=32,
    )
    second = dataclasses.replace(second, invert=np.arange(128) % 3 == 0)
    mean = np.random.default_rng(1).normal(size=(16, 16, 3)).astype(np.float32)
    spec = dataclasses.replace(
        network.input, encoding=Encoding("mean", mean=mean, divisor=255.0, order="bgr"), crop=Crop(20, "opencv-cubic")
    )
    network = dataclasses.replace(network, layers=(float_first, second, *rest), input=spec)
    found = load_network(save_network(network, tmp_path / "small"))
    assert all(same(a, b) for a, b in zip(network.layers, found.layers))
    assert np.array_equal(found.input.encoding.mean, mean)
    assert (found.input.encoding.divisor, found.input.encoding.order) == (255.0, "bgr")
    assert found.input.crop == Crop(20, "opencv-cubic")


def changed(tmp_path, **fields):
    """The message that a changed descriptor is refused with."""
    path = save_network(small_network(), tmp_path / "small") / "network.json"
    document = json.loads(path.read_text())
    for key, value in fields.items():
        place = document
        *way, last = [int(part) if part.isdigit() else part for part in key.split("__")]
        for part in way:
            place = place[part]
        place[last] = value
    path.write_text(json.dumps(document))
    with pytest.raises(DescriptorError) as caught:
        load_network(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "fields,said",
    [
        ({"input__framing": {"object": [9, 9], "centre": "box"}}, "channels 1, or a crop"),
        ({"layers__1__inputs": 62}, "layers[1].inputs: 62 does not match the 64 channels"),
        ({"layers__1__groups": 3}, "groups: 3 does not divide 64 inputs"),
        ({"layers__1__kernel": 0}, "expected 1 to 64"),
        ({"layers__1__padding": [3, 0]}, "each 0 to 2"),
        ({"layers__1__padding": [1]}, "[before, after]"),
        ({"layers__1__weight_bits": 2}, "1 or 16 or 32"),
        ({"layers__1__input_bits": 3}, "does not match the 2 bits"),
        ({"layers__1__output_bits": 4}, "2 or 3"),
        ({"layers__2__stride": 4}, "expected 1 to 3"),
        ({"layers__4__inputs": 641}, "layers[4].weights"),
        ({"layers__4__activation": "relu"}, "clip"),
        ({"layers__4__output_bits": 2}, "output_bits"),
        ({"layers__2__type": "unpool"}, "dense"),
        ({"input__encoding": {"kind": "threshold", "threshold": 3}}, "pixels"),
        ({"input__size": [20, 20], "input__crop": None}, "layers[4].inputs"),
        ({"input__crop": {"short_side": 15}}, "short_side"),
        ({"input__crop": {"short_side": 20, "filter": "opencv-cubic"}}, "go together"),
        ({"layers__4__scale": 1e308}, "layers[4].scale: 1e+308 is out of range: expected a number above 0"),
        ({"layers__4__scale": 1e40}, "layers[4].scale"),
        ({"decode__scale": 1e308}, "decode.scale: 1e+308 is out of range: expected a number above 0 and at most 1e+30"),
        ({"decode__rule": "highest-bit"}, "largest-sum"),
        ({"decode__rule": "features", "classes": []}, "linear"),
        ({"classes": ["a", "b"]}, "does not match the 2 names"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(tmp_path, fields, said):
    assert said in changed(tmp_path, **fields)


@pytest.mark.parametrize("padding", [0, [0, 0], None])
def test_a_kernel_of_one_takes_no_padding_in_either_writing(tmp_path, padding):
    network = small_network()
    one = binary_conv(np.random.default_rng(3), 64, 128, kernel=1, padding=(0, 0))
    layers = (network.layers[0], one, *network.layers[2:])
    path = save_network(dataclasses.replace(network, layers=layers), tmp_path / "one") / "network.json"
    document = json.loads(path.read_text())
    document["layers"][1]["padding"] = padding
    path.write_text(json.dumps(document))
    found = load_network(path).layers[1]
    assert (found.kernel, found.padding) == (1, (0, 0)) and found.output_size(7) == 7
    for wrong, said in (([0, 1], "[before, after], each 0 to 0"), (1, "1 is out of range: expected 0 to 0")):
        document["layers"][1]["padding"] = wrong
        path.write_text(json.dumps(document))
        with pytest.raises(DescriptorError) as caught:
            load_network(path)
        assert "layers[1].padding: " in str(caught.value) and said in str(caught.value)


def test_layers_that_do_not_chain_are_refused(tmp_path):
    network = small_network()
    layers = network.layers
    for wrong in (layers[1:], layers[:3] + layers[4:], layers[:4], (Pool(2, 2),) + layers, layers + layers[3:4]):
        with pytest.raises(DescriptorError):
            save_network(dataclasses.replace(network, layers=wrong), tmp_path / "wrong")


def test_pictures_that_could_overflow_the_first_sums_are_refused(tmp_path):
    network = small_network()
    first = network.layers[0]
    mean = np.full((16, 16, 3), 100, np.float32)
    spec = dataclasses.replace(
        network.input, encoding=Encoding("mean", mean=mean, divisor=1e-300), crop=Crop(20, "opencv-cubic")
    )
    first = dataclasses.replace(
        first, weights=first.weights.astype(np.float32), thresholds=first.thresholds.astype(np.float32),
        weight_bits=32, input_bits=32,
    )
    with pytest.raises(DescriptorError, match=r"layers\[0\].weights: sums .* reach .*: expected at most 1e\+38"):
        save_network(dataclasses.replace(network, layers=(first, *network.layers[1:]), input=spec), tmp_path / "loud")


@pytest.mark.parametrize("value", [1e37, 3e38])
def test_float_outputs_that_could_overflow_are_refused(tmp_path, value):
    network = small_network()
    last = network.layers[-1]
    loud = dataclasses.replace(last, weights=np.full(last.weights.shape, value, np.float32), weight_bits=32)
    with pytest.raises(DescriptorError, match=r"layers\[4\].scale: 0.01 .* outputs reach .*: expected at most 1e\+38"):
        save_network(dataclasses.replace(network, layers=(*network.layers[:-1], loud)), tmp_path / "loud")


def test_the_largest_scales_give_numbers(tmp_path):
    network = small_network()
    last, decode = network.layers[-1], dataclasses.replace(network.decode, scale=1e30)
    loud = dataclasses.replace(last, scale=1e30)
    layers = (*network.layers[:-1], loud)
    found = save_network(dataclasses.replace(network, layers=layers, decode=decode), tmp_path / "loud")
    pictures = np.random.default_rng(1).integers(0, 256, (20, 16, 16, 3)).astype(np.uint8)
    with Classifier(network, board="cpu") as quiet, Classifier(found, board="cpu") as classifier:
        assert np.isfinite(classifier.predict_proba(pictures)).all()
        no_bias = dataclasses.replace(last, bias=None)
        quiet.load(dataclasses.replace(network, layers=(*network.layers[:-1], no_bias)))
        np.testing.assert_array_equal(classifier.predict(pictures), quiet.predict(pictures))


def test_sums_that_could_overflow_are_refused(tmp_path):
    network = small_network()
    first = network.layers[0]
    assert isinstance(first, Conv)
    loud = dataclasses.replace(
        first, kernel=16, padding=(7, 8), weights=np.full((64, 16, 16, 3), 32767, np.int16)
    )
    with pytest.raises(DescriptorError, match="overflow 32 bits"):
        save_network(dataclasses.replace(network, layers=(loud, *network.layers[1:])), tmp_path / "loud")
