"""Which types of layers there are, and the objects of "layers" in `network.json`."""

from __future__ import annotations

from typing import Any

from ..contracts.layer import ArrayWriter, Layer
from ..contracts.plugins import load_plugin, plugin_names
from ..errors import PluginError
from ..files.fields import Fields, show
from ..files.npyfile import ArrayFolder
from .dense import Dense
from .linear import Linear
from .maps import Conv, Pool

__all__ = ["LAYER_GROUP", "layer_class", "layer_types", "read_layer", "write_layer"]

LAYER_GROUP = "qnn_pynq.layers"
_BUILT_IN: dict[str, type[Layer]] = {layer.type: layer for layer in (Dense, Conv, Pool, Linear)}


def read_layer(fields: Fields, arrays: ArrayFolder) -> Layer:
    """The layer that one object of "layers" describes; its arrays are those of `arrays`."""
    name = fields.take("type", "string")
    found = layer_class(name)
    if found is None:
        known = ", ".join(f'"{known}"' for known in layer_types())
        fields.fail("type", f'{show(name)} is not allowed: expected one of {known}; a package can add types by the '
                            f'entry point group "{LAYER_GROUP}"')
    layer = found.read(fields, arrays)
    fields.done()
    return layer


def layer_class(name: str) -> type[Layer] | None:
    """The class of a layer type; None where nobody registered it.

    Raises
    ------
    PluginError
        It cannot be imported, is no `Layer`, or lacks a part of the contract; says which.
    """
    found = _BUILT_IN.get(name) or load_plugin(LAYER_GROUP, name)
    if found is None:
        return None
    if not (isinstance(found, type) and issubclass(found, Layer)):
        raise PluginError(f"layer type {name!r}: its entry point gives {found!r}, expected a subclass of Layer")
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise PluginError(f"layer type {name!r}: {found.__name__} lacks {', '.join(missing)}, which the contract of "
                          "Layer asks for")
    if found.type != name:
        raise PluginError(f"layer type {name!r}: {found.__name__}.type is {found.type!r}, under which it would be "
                          "saved: expected the name of its entry point")
    return found


def layer_types() -> tuple[str, ...]:
    """Names of every known type."""
    return tuple(dict.fromkeys((*_BUILT_IN, *plugin_names(LAYER_GROUP))))


def write_layer(layer: Layer, index: int, array: ArrayWriter) -> dict[str, Any]:
    """The object of "layers" for `layer`; `array` saves an array under a name and returns the name."""
    return {"type": layer.type, **layer.write(index, array)}
