"""What no field of `network.json` can say alone: layers that chain, and an end that the decode rule reads."""

from __future__ import annotations

import numpy as np

from .fields import fail
from .network_types import Conv, Dense, Linear, Network, Pool

__all__ = ["WORD_BITS", "check_chain", "check_reach"]

WORD_BITS = 64  # a result word of the published LFC overlays
_LARGEST = 1e38  # that float32 sums may reach


def check_chain(network: Network, source: str) -> None:
    """Raise DescriptorError unless the layers fit one another, the input and the decode rule.

    No array is looked into.
    """
    if network.decode.rule != "features" and not network.classes:
        fail(source, "classes", "[] is empty: expected at least one name")
    if isinstance(network.layers[0], Dense):
        _check_dense(network, source)
    else:
        _check_convolutions(network, source)
    _check_segments(network, source)


def _check_segments(network: Network, source: str) -> None:
    """Each begins with a convolution of 1-bit weights behind the first one of them."""
    places = [i for i, layer in enumerate(network.layers) if isinstance(layer, Conv) and layer.weight_bits == 1]
    least = places[0] if places else len(network.layers)
    for index, segment in enumerate(network.segments):
        if segment.first not in places or segment.first <= least:
            later = [place for place in places if place > least]
            problem = "{}: expected a later convolution with 1-bit weights, one of {}"
            fail(source, "segments[{}].first".format(index), problem.format(segment.first, later))
        least = segment.first


def _check_dense(network: Network, source: str) -> None:
    layers: list[Dense] = []
    for index, layer in enumerate(network.layers):
        if not isinstance(layer, Dense):
            fail(source, "layers[{}].type".format(index), "a dense network has dense layers only")
        layers.append(layer)
    rule = network.decode.rule
    if rule != "highest-bit":
        fail(source, "decode.rule", '"{}" does not go with dense layers: expected "highest-bit"'.format(rule))
    if network.input.encoding.kind not in ("threshold", "table"):
        problem = '"{}" gives no bits: expected "threshold" or "table" before a dense layer'
        fail(source, "input.encoding.kind", problem.format(network.input.encoding.kind))
    last = len(layers) - 1
    bits = network.input.pixels
    if network.input.encoding.pixels is not None:
        bits = len(network.input.encoding.pixels)
    if bits > layers[0].inputs:
        problem = "{} are too few for the {} bits of input.encoding"
        fail(source, "layers[0].inputs", problem.format(layers[0].inputs, bits))
    if layers[0].input != "binary":
        problem = '"{}" is not allowed: expected "binary", as input.encoding gives it'
        fail(source, "layers[0].input", problem.format(layers[0].input))
    for index in range(last):
        here, following = layers[index], layers[index + 1]
        where = "layers[{}]".format(index + 1)
        if here.outputs != following.inputs:
            problem = "{} does not match layers[{}].outputs {}"
            fail(source, where + ".inputs", problem.format(following.inputs, index, here.outputs))
        if here.output != following.input:
            problem = '"{}" does not match layers[{}].output "{}"'
            fail(source, where + ".input", problem.format(following.input, index, here.output))
    if layers[last].output != "binary":
        problem = '"{}" does not go with decode.rule "{}": expected "binary"'.format(
            layers[last].output, network.decode.rule
        )
        fail(source, "layers[{}].output".format(last), problem)
    room = min(WORD_BITS, layers[last].outputs)
    if network.output_neurons > room:
        problem = "{} names x {} levels need {} neurons: expected at most {} ({})".format(
            len(network.classes),
            network.decode.levels,
            network.output_neurons,
            room,
            "the overlay's result word" if room == WORD_BITS else "layers[{}].outputs".format(last),
        )
        fail(source, "decode.levels" if len(network.classes) <= room else "classes", problem)


_FIRST = {"pixels": 16, "mean": 32}  # weight bits of the first convolution, by encoding


def _check_convolutions(network: Network, source: str) -> None:
    first = network.layers[0]
    kind = network.input.encoding.kind
    if not isinstance(first, Conv) or kind not in _FIRST:
        problem = '"{}" expected "pixels" or "mean" before a convolution as the first layer'
        fail(source, "input.encoding.kind", problem.format(kind))
    if first.weight_bits != _FIRST[kind]:
        problem = '{} bits do not go with encoding "{}": expected {}'
        fail(source, "layers[0].weight_bits", problem.format(first.weight_bits, kind, _FIRST[kind]))
    shape = (network.input.size[0], network.input.size[1], network.input.channels)
    bits, flat = first.input_bits, False
    for index, layer in enumerate(network.layers):
        where = "layers[{}]".format(index)
        if isinstance(layer, Dense) or (flat and not isinstance(layer, Linear)):
            name = type(layer).__name__.lower()
            fail(source, where + ".type", '"{}" cannot stand here: expected convolutions, then linear'.format(name))
        if isinstance(layer, (Conv, Linear)) and layer.input_bits != bits:
            problem = "{} does not match the {} bits that arrive".format(layer.input_bits, bits)
            fail(source, where + ".input_bits", problem)
        if isinstance(layer, Linear):
            arriving = shape[0] * shape[1] * shape[2]
            if layer.inputs != arriving:
                problem = "{} does not match the {} values that arrive ({} x {} x {})"
                fail(source, where + ".inputs", problem.format(layer.inputs, arriving, *shape))
            bits = layer.output_bits if layer.thresholds is not None else 32
            shape, flat = (1, 1, layer.outputs), True
            continue
        if isinstance(layer, Conv):
            if layer.inputs != shape[2]:
                problem = "{} does not match the {} channels that arrive".format(layer.inputs, shape[2])
                fail(source, where + ".inputs", problem)
            bits, channels = layer.output_bits, layer.outputs
        else:
            assert isinstance(layer, Pool)
            channels = shape[2]
        high, wide = layer.output_size(shape[0]), layer.output_size(shape[1])
        if high < 1 or wide < 1:
            what = layer.kernel if isinstance(layer, Conv) else layer.size
            key = "kernel" if isinstance(layer, Conv) else "size"
            problem = "{} is larger than the padded map of {} x {}".format(what, *shape[:2])
            fail(source, "{}.{}".format(where, key), problem)
        shape = (high, wide, channels)
    _check_end(network, source)


def _largest(values: np.ndarray) -> float:
    """Largest absolute value; no copy is made of large arrays."""
    return max(abs(float(values.max())), abs(float(values.min())))


def check_reach(network: Network, source: str) -> None:
    """Raise DescriptorError unless sums and outputs of floats stay numbers, whatever arrives."""
    first, mean = network.layers[0], network.input.encoding.mean
    if isinstance(first, Conv) and mean is not None:
        arriving = (255.0 + _largest(mean)) / network.input.encoding.divisor
        sums = first.inputs // first.groups * first.kernel**2 * _largest(first.weights) * arriving
        if not sums <= _LARGEST:
            problem = "sums of pixels less mean, by divisor, may reach {:.3g}: expected at most {:g}"
            fail(source, "layers[0].weights", problem.format(sums, _LARGEST))
    largest = 0.0  # of what the layer before gives, where that is no code
    for index, layer in enumerate(network.layers):
        if not isinstance(layer, Linear):
            continue
        arriving = largest if layer.input_bits == 32 else 2.0**layer.input_bits - 1
        sums = layer.inputs * (1.0 if layer.weight_bits == 1 else _largest(layer.weights)) * arriving
        largest = sums * layer.scale
        if layer.bias is not None:
            largest += _largest(layer.bias)
        if not max(sums, largest) <= _LARGEST:
            problem = "{:g} with these weights and bias lets outputs reach {:.3g}: expected at most {:g}"
            fail(source, "layers[{}].scale".format(index), problem.format(layer.scale, max(sums, largest), _LARGEST))
        if layer.activation != "none":
            largest = min(largest, 1.0)


def _check_end(network: Network, source: str) -> None:
    last, rule = network.layers[-1], network.decode.rule
    where = "layers[{}]".format(len(network.layers) - 1)
    if rule == "highest-bit":
        fail(source, "decode.rule", '"highest-bit" needs dense layers: expected "largest-sum" or "features"')
    if rule == "features":
        if network.classes:
            problem = "{} names do not go with decode.rule \"features\": expected []".format(len(network.classes))
            fail(source, "classes", problem)
        if isinstance(last, Linear):
            fail(source, where + ".type", '"linear" does not go with decode.rule "features": expected codes at the end')
        return
    if not isinstance(last, Linear) or last.thresholds is not None:
        fail(source, where + ".type", 'decode.rule "largest-sum" needs a linear last layer without thresholds')
    if last.outputs != len(network.classes):
        problem = "{} does not match the {} names of classes".format(last.outputs, len(network.classes))
        fail(source, where + ".outputs", problem)
