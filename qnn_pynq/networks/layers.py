"""Which types of layers there are, and the objects of "layers" in `network.json`."""

from __future__ import annotations

from typing import Any

from ..contracts.layer import ArrayWriter, Layer
from ..contracts.plugins import load_plugin, plugin_names
from ..files.fields import Fields
from ..files.npyfile import ArrayFolder
from .dense import Dense
from .linear import Linear
from .maps import Conv, Pool

__all__ = ["LAYER_GROUP", "read_layer", "write_layer"]

LAYER_GROUP = "qnn_pynq.layers"
_BUILT_IN: dict[str, type[Layer]] = {layer.type: layer for layer in (Dense, Conv, Pool, Linear)}


def read_layer(fields: Fields, arrays: ArrayFolder) -> Layer:
    """The layer that one object of "layers" describes; its arrays are those of `arrays`."""
    name = fields.take("type", "string")
    found = _BUILT_IN.get(name) or load_plugin(LAYER_GROUP, name)
    if not (isinstance(found, type) and issubclass(found, Layer)):
        known = ", ".join(f'"{known}"' for known in (*_BUILT_IN, *plugin_names(LAYER_GROUP)))
        fields.fail("type", f'"{name}" is not allowed: expected one of {known}; a package can add types by the entry '
                            f'point group "{LAYER_GROUP}"')
    layer = found.read(fields, arrays)
    fields.done()
    return layer


def write_layer(layer: Layer, index: int, array: ArrayWriter) -> dict[str, Any]:
    """The object of "layers" for `layer`; `array` saves an array under a name and returns the name."""
    return {"type": layer.type, **layer.write(index, array)}
