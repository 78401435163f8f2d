"""What an offload overlay does not compute is refused, with the limit, before any register is written."""

from __future__ import annotations

import dataclasses

import numpy as np
import offload
import pytest
import small_conv

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.errors import DescriptorError, UnsupportedNetworkError
from qnn_pynq.families.qnn_mo.driver import QnnMoDriver
from qnn_pynq.families.qnn_mo.plan_check import check_steps
from qnn_pynq.networks import Pool

_RNG = np.random.default_rng(0)


def _conv(inputs=8, outputs=8, kernel=3, padding=(1, 1), code_bits=2, groups=1, invert=False):
    return small_conv.binary_conv(_RNG, inputs, outputs, kernel, padding, code_bits, groups, invert)


def _net(*layers, size=8, channels=None, height=None):
    net = offload.network(layers, size, layers[0].inputs if channels is None else channels)
    if height is not None:
        net = dataclasses.replace(net, input=dataclasses.replace(net.input, size=(height, size)))
    return net


def _but(**changes):
    return dataclasses.replace(_conv(), **changes)


REFUSED = {
    # the circuit computes convolutions of stride 1 with the pool behind them
    "no 1-bit layer": (_net(small_conv.pixel_conv(_RNG, 8)), "no convolution with 1-bit weights.*board=\"cpu\""),
    "16-bit layer behind": (_net(_conv(8, 3), small_conv.pixel_conv(_RNG, 8)), "layer 1: weight_bits 16 behind"),
    "stride": (_net(_but(stride=2)), "layer 0: stride 2, the circuit computes stride 1 only"),
    "stride 0": (_net(_but(stride=0)), "layer 0: stride 0, the circuit computes stride 1 only"),
    "kernel 6": (_net(_conv(kernel=6, padding=(2, 2))), "layer 0: kernel 6, the overlay has 1 to 5"),
    "kernel 0": (_net(_but(kernel=0)), "layer 0: kernel 0, the overlay has 1 to 5"),
    "two pools": (_net(_conv(), Pool(3, 2), Pool(3, 1)), "layer 2: a pool that follows no convolution directly"),
    # channels
    "inputs": (_net(_conv(385)), "layer 0: 385 input channels a group, the overlay takes 1 to 384"),
    "inputs of a group": (_net(_conv(770, 8, groups=2)), "layer 0: 385 input channels a group"),
    "no inputs": (_net(_but(inputs=0)), "layer 0: 0 input channels a group"),
    "no outputs": (_net(_but(outputs=0)), "layer 0: outputs 0: expected at least 1"),
    "groups that do not divide": (_net(_but(groups=3)), "layer 0: groups 3 do not divide 8 inputs and 8 outputs"),
    "no groups": (_net(_but(groups=0)), "layer 0: groups 0 do not divide"),
    "channels that do not chain": (_net(_conv(8, 9), _conv(8, 8)), "layer 1: inputs 8, 9 channels arrive"),
    "channels of the input": (_net(_conv(8, 8), channels=7), "layer 0: inputs 8, 7 channels arrive"),
    # sizes
    "not square": (_net(_conv(), height=9), "layer 0: input of 9 x 8, the circuit takes square maps only"),
    "input size": (_net(_conv(), size=65), "layer 0: input size 65, the overlay has 1 to 64"),
    "padded size": (_net(_conv(), size=63), "layer 0: padded input size 65, the overlay has 1 to 64"),
    "output size": (_net(_conv(kernel=5, padding=(0, 0)), size=4), "layer 0: output size 0, the overlay has 1 to 64"),
    "kernel 1 on size 1": (_net(_conv(kernel=1, padding=(0, 0)), size=1), "kernel 1 on a map of size 1"),
    "padding on one side": (_net(_conv(padding=(1, 0))), r"padding \(1, 0\), the circuit puts 1 lines as \(0, 1\)"),
    "padding behind only": (_net(_conv(padding=(0, 2))), r"padding \(0, 2\), the circuit puts 2 lines as \(1, 1\)"),
    "negative padding": (_net(_conv(padding=(-1, -1))), r"padding \(-1, -1\): expected lines >= 0"),
    # pools
    "pool size": (_net(_conv(), Pool(2, 2)), "layer 1: pool size 2, the overlay has the window 3 only"),
    "pool stride 3": (_net(_conv(), Pool(3, 3)), "layer 1: pool stride 3, the overlay has 1 and 2"),
    "pool stride 0": (_net(_conv(), Pool(3, 0)), "layer 1: pool stride 0, the overlay has 1 and 2"),
    "pool stride 4": (_net(_conv(), Pool(3, 4)), "layer 1: pool stride 4, the overlay has 1 and 2"),
    "pool padding": (_net(_conv(), Pool(3, 2, (1, 0))), r"layer 1: padding \(1, 0\), the circuit puts 1 lines as"),
    "pool of less than a window": (_net(_conv(), Pool(3, 1), size=2),
                                   "layer 1: padded pool input size 2, the overlay has 3 to 64"),
    "pool of too many lines": (_net(_conv(), Pool(3, 2, (28, 29))),
                               "layer 1: padded pool input size 65, the overlay has 3 to 64"),
    # bits
    "3 bits in": (_net(_conv(code_bits=3)), "layer 0: input_bits 3, the overlay computes activations of 1 to 2 bits"),
    "3 bits out": (_net(dataclasses.replace(_conv(code_bits=3), input_bits=2)),
                   "layer 0: output_bits 3.*take an overlay for 3"),
    "bits that do not chain": (_net(_conv(code_bits=1), _conv()), "layer 1: input_bits 2, 1 bits arrive"),
    "bits of a first layer": (_net(small_conv.pixel_conv(_RNG, 8, code_bits=1), _conv()), "input_bits 2, 1 bits"),
    "invert of fewer bits": (_net(_conv(code_bits=1, invert=True)), "invert with output_bits 1, the overlay inverts"),
    # arrays
    "weights' shape": (_net(_but(weights=np.zeros((8, 3, 3, 2), np.uint8))), r"weights of shape \(8, 3, 3, 2\)"),
    "weights' dtype": (_net(_but(weights=np.zeros((8, 3, 3, 1), np.int8))), "weights.*takes.*of uint8"),
    "thresholds' shape": (_net(_but(thresholds=np.zeros((8, 7), np.int16))), r"thresholds of shape \(8, 7\)"),
    "thresholds' dtype": (_net(_but(thresholds=np.zeros((8, 3)))), "thresholds.*of integers"),
    "invert's shape": (_net(_but(invert=np.zeros(9, bool))), r"invert of shape \(9,\)"),
    "invert's dtype": (_net(_but(invert=np.zeros(8, np.uint8))), "invert.*takes.*of bool"),
}
TAKEN = {
    "1 bit": _net(_conv(code_bits=1)),
    "padded size at the limit": _net(_conv(padding=(0, 1)), size=63),
    "kernel 1 on size 1 with a line": _net(_conv(kernel=1, padding=(0, 1)), size=1),
    "pool input size at the limit": _net(_conv(), Pool(3, 2, (28, 28))),
    "as many lines as a window": _net(_conv(), Pool(3, 1, (0, 1)), size=2),
    "groups, folds, inverted": _net(_conv(96, 800, groups=2, invert=True), Pool(3, 2), _conv(800, 4, groups=4)),
    "int64 thresholds": _net(_but(thresholds=np.full((8, 3), 2**40))),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_any_register_is_written(name):
    net, message = REFUSED[name]
    board = EmulatedBoard()
    driver = QnnMoDriver(board, offload.overlay())
    for call in (lambda net: QnnMoDriver.split(net, driver.overlay), driver.load):
        with pytest.raises(UnsupportedNetworkError, match=message) as refusal:
            call(net)
        assert str(refusal.value).startswith("network net on overlay qnn-mo-w1a2: ")
    assert board.loaded is None and board.owner is None and board.memory.used == 0 and driver.network is None


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name):
    net = TAKEN[name]
    for conservative in (False, True):
        assert QnnMoDriver.split(net, offload.overlay(), conservative) == ((), net.layers, ())


def test_layers_before_the_first_of_1_bit_weights_and_behind_the_last_map_are_the_processors():
    net = small_conv.small_network()
    assert QnnMoDriver.split(net, offload.overlay()) == (net.layers[:1], net.layers[1:4], net.layers[4:])


@pytest.mark.parametrize("kind, size, inputs, kernel, outputs", [
    ("w1a2", 64, 384, 5, 384), ("w1a3", 210, 512, 3, 256)])
def test_the_largest_layer_of_each_overlay_is_taken(kind, size, inputs, kernel, outputs):
    conv = _conv(inputs, outputs, kernel, (0, 0), offload.BITS[kind])
    steps = check_steps(_net(conv, size=size), offload.overlay(kind))
    assert steps[0].conv_size == size - kernel + 1


@pytest.mark.parametrize("kind, wrong", [("w1a3", {"kernel": 4}), ("w1a3", {"inputs": 513}), ("w1a2", {"kernel": 6})])
def test_limits_are_those_of_the_overlay(kind, wrong):
    with pytest.raises(UnsupportedNetworkError, match="the overlay (has|takes)"):
        check_steps(_net(_conv(code_bits=2, **wrong)), offload.overlay(kind))


def test_layers_of_two_bits_are_taken_by_the_overlay_of_three():
    steps = check_steps(_net(_conv(), Pool(2, 2), _conv()), offload.overlay("w1a3"))
    assert [step.name for step in steps] == ["conv0", "conv1"]


def test_a_geometry_of_the_other_bitstream_is_refused_by_the_digest():
    right, other = offload.overlay("w1a2"), offload.overlay("w1a3")
    for files, geometry in ((right.files, other.geometry), (other.files, right.geometry)):
        mixed = dataclasses.replace(right, files=files, geometry=geometry)
        with pytest.raises(DescriptorError, match="geometry.activation_bits is ., but its bitstream, by the digest"):
            QnnMoDriver.split(_net(_conv()), mixed)
    own = offload.overlay(max_inputs=192, max_outputs=192)  # not a published bitstream
    net = _net(_conv())
    assert QnnMoDriver.split(net, own).logic == net.layers
