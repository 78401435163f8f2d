"""Network directories: JSON and `.npy` into a `Network`, and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..contracts.network import Decode, Network, Segment
from ..files.fields import (
    Fields,
    check_format,
    fail,
    item_path,
    plain_name,
    read_json,
    show,
    unprintable,
    write_json,
)
from ..files.npyfile import ArrayFolder
from ..files.paths import shortened
from .chain import WORD_BITS, check_chain
from .input import read_input, write_input
from .layers import read_layer, write_layer
from .linear import MAX_SCALE

__all__ = ["NETWORK_FORMAT", "NETWORK_VERSION", "read_network", "write_network"]

NETWORK_FORMAT = "qnn-pynq-network"
NETWORK_VERSION = 1
_MOST_LAYERS = 1024
_MOST_CLASSES = 1 << 14  # outputs of the last layer
_MAPPED = 16 << 20


def read_network(path: Path) -> Network:
    """The network that the file `path` describes; DescriptorError where it breaks the format."""
    document, arrays = read_json(path), ArrayFolder(path.parent, str(path))
    _read(document, path, arrays)  # whatever needs no contents of arrays is refused before these are read
    arrays.reading = True
    return _read(document, path, arrays)


def _read(document: Any, path: Path, arrays: ArrayFolder) -> Network:
    source, folder = str(path), path.parent
    fields = Fields(document, source)
    check_format(fields, NETWORK_FORMAT, NETWORK_VERSION)
    name = fields.name("name")
    title, description = fields.text("title", name), fields.text("description", "")
    overlays = fields.strings("overlays", ())
    for index, overlay in enumerate(overlays):
        if not plain_name(overlay):
            fields.fail(item_path("overlays", index), f"{show(overlay)} is no name of an overlay")
    spec = read_input(fields.inner("input"), arrays)
    layers = tuple(read_layer(layer, arrays) for layer in fields.objects("layers", _MOST_LAYERS))
    decode = _read_decode(fields.inner("decode"))
    classes = fields.strings("classes", most=_MOST_CLASSES)
    _check_classes(classes, source)
    selftest = fields.name("selftest", None)
    provenance = fields.take("provenance", "object", {})
    segments = tuple(map(_read_segment, fields.objects("segments"))) if fields.has("segments") else ()
    fields.done()
    network = Network(
        name, title, description, overlays, spec, layers, decode, classes, provenance, folder, selftest, segments
    )
    _check_provenance(fields.inner_of("provenance", provenance))
    if selftest is not None and not (folder / selftest).is_file():
        fields.fail("selftest", f"{selftest} is not there: expected a file {folder / selftest}")
    check_chain(network, source)
    return network


def _check_classes(classes: tuple[str, ...], source: str) -> None:
    """Names go to terminals and files as they are."""
    for index, name in enumerate(classes):
        if unprintable(str(name)):
            problem = "{} has control characters or is no text: expected letters, signs and spaces"
            fail(source, item_path("classes", index), problem.format(shortened(ascii(name))))


def _read_decode(fields: Fields) -> Decode:
    rule = fields.take("rule", "string", allowed=("highest-bit", "largest-sum", "features"))
    levels = fields.integer("levels", 1, WORD_BITS if rule == "highest-bit" else 1, 1)
    decode = Decode(rule, levels, fields.number("scale", None, MAX_SCALE))
    fields.done()
    return decode


def _read_segment(fields: Fields) -> Segment:
    segment = Segment(fields.integer("first", 1, 1 << 20), fields.name("overlay"))
    fields.done()
    return segment


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


def write_network(network: Network, folder: Path) -> None:
    """Write `network.json` and its arrays into `folder`."""
    _check_classes(network.classes, network.name)

    def array(name: str, data: np.ndarray) -> str:
        try:
            if data.flags.c_contiguous or data.nbytes < _MAPPED:
                np.save(str(folder / name), np.ascontiguousarray(data), allow_pickle=False)
            else:  # hundreds of megabytes, in the order of a foreign file: no second copy in memory
                np.lib.format.open_memmap(str(folder / name), "w+", data.dtype, data.shape)[...] = data
        except ValueError as error:
            fail(network.name, name, str(error))
        return name

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
        "input": write_input(network.input, array),
        "layers": [write_layer(layer, i, array) for i, layer in enumerate(network.layers)],
        "decode": decode,
        "classes": list(network.classes),
    }
    if network.segments:
        document["segments"] = [{"first": segment.first, "overlay": segment.overlay} for segment in network.segments]
    if network.selftest is not None:
        document["selftest"] = network.selftest
        if not plain_name(network.selftest):
            fail(network.name, "selftest", f'"{network.selftest}" is no plain file name')
        if network.path is None or not (network.path / network.selftest).is_file():
            fail(network.name, "selftest", f"no file {network.selftest} in {network.path}")
        shutil.copyfile(str(network.path / network.selftest), str(folder / network.selftest))
    document["provenance"] = network.provenance
    try:
        text = (write_json(document) + "\n").encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        fail(network.name, "", f"cannot be written as JSON: {str(error).lower()}")
    (folder / "network.json").write_bytes(text)
