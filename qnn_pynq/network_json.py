"""Network directories: JSON and `.npy` into the types of `network_types`, and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable

import numpy as np

from .fields import Fields, check_format, fail, item_path, plain_name, read_json, write_json
from .network_types import Decode, Dense, Encoding, Framing, InputSpec, Layer, Network
from .npyfile import read_array

__all__ = ["NETWORK_FORMAT", "NETWORK_VERSION", "WORD_BITS", "read_network", "write_network"]

NETWORK_FORMAT = "qnn-pynq-network"
NETWORK_VERSION = 1
WORD_BITS = 64  # a result word of the published LFC overlays

_THRESHOLDS = {"binary": 1, "ternary": 2, "none": 0}  # per neuron, by output code
_MAX_SIDE = 4096
_MAX_WIDTH = 0x7FFF  # sums are 16-bit


def read_network(path: Path) -> Network:
    """The network that the file `path` describes; DescriptorError where it breaks the format."""
    source, folder = str(path), path.parent
    fields = Fields(read_json(path), source)
    check_format(fields, NETWORK_FORMAT, NETWORK_VERSION)
    name = fields.name("name")
    title, description = fields.text("title", name), fields.text("description", "")
    overlays = fields.strings("overlays", ())
    for index, overlay in enumerate(overlays):
        if not plain_name(overlay):
            fields.fail(item_path("overlays", index), '"{}" is no name of an overlay'.format(overlay))
    spec = _read_input(fields.inner("input"), folder)
    layers: list[Layer] = []
    for layer in fields.objects("layers"):
        layers.append(_READERS[layer.take("type", "string", allowed=tuple(_READERS))](layer, folder))
        layer.done()
    decode = _read_decode(fields.inner("decode"))
    classes = fields.strings("classes")
    selftest = fields.name("selftest", None)
    provenance = fields.take("provenance", "object", {})
    fields.done()
    network = Network(
        name, title, description, overlays, spec, tuple(layers), decode, classes, provenance, folder, selftest
    )
    _check_provenance(fields.inner_of("provenance", provenance))
    if selftest is not None and not (folder / selftest).is_file():
        fields.fail("selftest", "{} is not there: expected a file {}".format(selftest, folder / selftest))
    _check_whole(network, source)
    return network


def _read_input(fields: Fields, folder: Path) -> InputSpec:
    size = fields.pair("size", _MAX_SIDE)
    channels = fields.take("channels", "integer", 1, allowed=(1, 3))
    polarity = fields.take("polarity", "string", "as-is", allowed=("light-on-dark", "dark-on-light", "as-is"))
    framing = None
    frame = fields.take("framing", "object", None)
    if frame is not None:
        inner = fields.inner_of("framing", frame)
        centre = inner.take("centre", "string", allowed=("mass", "box"))
        framing = Framing(inner.pair("object", _MAX_SIDE), centre)
        inner.done()
        if framing.object[0] > size[0] or framing.object[1] > size[1]:
            inner.fail("object", "{} is larger than input.size {}".format(list(framing.object), list(size)))
    pixels = size[0] * size[1] * channels
    encoding = _read_encoding(fields.inner("encoding"), folder, pixels)
    fields.done()
    return InputSpec(size, channels, polarity, framing, encoding)


def _read_encoding(fields: Fields, folder: Path, pixels: int) -> Encoding:
    kind = fields.take("kind", "string", allowed=("threshold", "table"))
    if kind == "threshold":
        encoding = Encoding(kind, threshold=fields.integer("threshold", 0, 255))
        fields.done()
        return encoding
    where = item_path(fields.where, "pixels")
    table = read_array(folder, fields.name("pixels"), ("uint16",), (None,), fields.source, where)
    outside = np.flatnonzero(table >= pixels)
    if outside.size:
        fields.fail(
            "pixels",
            "entry {} is {}, outside the picture: expected 0 to {}".format(
                outside[0], table[outside[0]], pixels - 1
            ),
        )
    where = item_path(fields.where, "thresholds")
    levels = read_array(folder, fields.name("thresholds"), ("uint8",), table.shape, fields.source, where)
    fields.done()
    return Encoding(kind, pixels=table, thresholds=levels)


def _read_dense(fields: Fields, folder: Path) -> Dense:
    inputs = fields.integer("inputs", 1, _MAX_WIDTH)
    outputs = fields.integer("outputs", 1, _MAX_WIDTH)
    bits = fields.take("weight_bits", "integer", 1, allowed=(1,))
    code = fields.take("input", "string", allowed=("binary", "ternary"))
    accumulator = fields.take("accumulator", "string", allowed=("popcount", "sum"))
    output = fields.take("output", "string", allowed=tuple(_THRESHOLDS))
    if accumulator == "popcount" and code != "binary":
        fields.fail("accumulator", '"popcount" does not go with input "{}": expected "sum"'.format(code))
    count = (inputs + 7) // 8
    where = item_path(fields.where, "weights")
    weights = read_array(folder, fields.name("weights"), ("uint8",), (outputs, count), fields.source, where)
    pad = 8 * count - inputs
    if pad and np.any(weights[:, -1] >> (8 - pad)):
        neuron = int(np.flatnonzero(weights[:, -1] >> (8 - pad))[0])
        problem = "neuron {} has pad bits set: expected 0 in the last {} bits of a row"
        fields.fail("weights", problem.format(neuron, pad))
    thresholds = None
    name = fields.name("thresholds", None)
    if output == "none" and name is not None:
        fields.fail("thresholds", '"{}" does not go with output "none": expected no thresholds'.format(name))
    if output != "none":
        if name is None:
            fields.fail("thresholds", 'missing: output "{}" needs the name of a .npy file'.format(output))
        where = item_path(fields.where, "thresholds")
        shape = (outputs, _THRESHOLDS[output])
        thresholds = read_array(folder, name, ("int16", "int32", "int64"), shape, fields.source, where)
    return Dense(inputs, outputs, weights, thresholds, bits, code, accumulator, output)


def _read_decode(fields: Fields) -> Decode:
    rule = fields.take("rule", "string", allowed=("highest-bit",))
    decode = Decode(rule, fields.integer("levels", 1, WORD_BITS, 1), fields.number("scale", None))
    fields.done()
    return decode


def _check_provenance(fields: Fields) -> None:
    """Types of the fields that the tools print; more are allowed."""
    for key in ("dataset", "command", "date", "licence", "notes"):
        fields.take(key, "string", None)
    fields.take("seed", "integer", None)
    accuracy = fields.take("accuracy", "object", None)
    if accuracy is not None:
        inner = fields.inner_of("accuracy", accuracy)
        inner.take("images", "integer", None)
        for key in accuracy:
            inner.take(key, "number", None)


def _check_whole(network: Network, source: str) -> None:
    """What no field can say alone."""
    layers, last = network.layers, len(network.layers) - 1
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
    if not network.classes:
        fail(source, "classes", "[] is empty: expected at least one name")
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


def write_network(network: Network, folder: Path) -> None:
    """Write `network.json` and its arrays into `folder`."""

    def array(name: str, data: np.ndarray) -> str:
        try:
            np.save(str(folder / name), np.ascontiguousarray(data), allow_pickle=False)
        except ValueError as error:
            fail(network.name, name, str(error))
        return name

    spec, encoding = network.input, network.input.encoding
    coded: dict[str, Any] = {"kind": encoding.kind}
    if encoding.threshold is not None:
        coded["threshold"] = int(encoding.threshold)
    if encoding.pixels is not None:
        coded["pixels"] = array("input-pixels.npy", encoding.pixels)
    if encoding.thresholds is not None:
        coded["thresholds"] = array("input-thresholds.npy", encoding.thresholds)
    picture: dict[str, Any] = {"size": list(spec.size), "channels": spec.channels, "polarity": spec.polarity}
    if spec.framing is not None:
        picture["framing"] = {"object": list(spec.framing.object), "centre": spec.framing.centre}
    picture["encoding"] = coded
    decode: dict[str, Any] = {"rule": network.decode.rule, "levels": network.decode.levels}
    if network.decode.scale is not None:
        decode["scale"] = float(network.decode.scale)
    document: dict[str, Any] = {
        "format": NETWORK_FORMAT,
        "version": NETWORK_VERSION,
        "name": network.name,
        "title": network.title,
        "description": network.description,
        "overlays": list(network.overlays),
        "input": picture,
        "layers": [_WRITERS[type(layer)](layer, i, array) for i, layer in enumerate(network.layers)],
        "decode": decode,
        "classes": list(network.classes),
    }
    if network.selftest is not None:
        document["selftest"] = network.selftest
        if not plain_name(network.selftest):
            fail(network.name, "selftest", '"{}" is no plain file name'.format(network.selftest))
        if network.path is None or not (network.path / network.selftest).is_file():
            fail(network.name, "selftest", "no file {} in {}".format(network.selftest, network.path))
        shutil.copyfile(str(network.path / network.selftest), str(folder / network.selftest))
    document["provenance"] = network.provenance
    try:
        text = write_json(document) + "\n"
    except (TypeError, ValueError) as error:
        fail(network.name, "", "cannot be written as JSON: {}".format(str(error).lower()))
    (folder / "network.json").write_text(text, encoding="utf-8")


def _write_dense(layer: Dense, index: int, array: _ArrayWriter) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "dense", "inputs": layer.inputs, "outputs": layer.outputs}
    written["weights"] = array("layer{}-weights.npy".format(index), layer.weights)
    if layer.thresholds is not None:
        written["thresholds"] = array("layer{}-thresholds.npy".format(index), layer.thresholds)
    for key in ("weight_bits", "input", "accumulator", "output"):
        written[key] = getattr(layer, key)
    return written


_ArrayWriter = Callable[[str, np.ndarray], str]
_READERS: dict[str, Callable[[Fields, Path], Layer]] = {"dense": _read_dense}
_WRITERS: dict[type, Callable[[Any, int, _ArrayWriter], dict[str, Any]]] = {Dense: _write_dense}
