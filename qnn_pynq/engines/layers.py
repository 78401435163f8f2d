"""A convolutional network cut into its three parts: first layers in software, the middle, the tail."""

from __future__ import annotations

from typing import NamedTuple, Union

import numpy as np

from ..networks.types import Conv, Linear, Network, Pool
from ..pictures.prepare import first_layer_input

__all__ = ["MapLayer", "Parts", "is_convolutional", "map_shapes", "pictures_to_maps", "split_layers"]

MapLayer = Union[Conv, Pool]


class Parts(NamedTuple):
    """The layers of a network by where they run, and the (height, width, channels) between them."""

    first: tuple[MapLayer, ...]
    middle: tuple[MapLayer, ...]
    tail: tuple[Linear, ...]
    picture_shape: tuple[int, int, int]
    middle_shape: tuple[int, int, int]
    codes_shape: tuple[int, int, int]


def is_convolutional(network: Network) -> bool:
    """Whether the network takes pixels and gives maps of codes, not words of bits."""
    return isinstance(network.layers[0], Conv)


def split_layers(network: Network) -> Parts:
    """First: up to the first convolution with 1-bit weights; tail: from the first linear layer."""
    maps = tuple(layer for layer in network.layers if isinstance(layer, (Conv, Pool)))
    tail = tuple(layer for layer in network.layers if isinstance(layer, Linear))
    cut = next((i for i, layer in enumerate(maps) if isinstance(layer, Conv) and layer.weight_bits == 1), len(maps))
    shapes = map_shapes(network)
    return Parts(maps[:cut], maps[cut:], tail, shapes[0], shapes[cut], shapes[-1])


def map_shapes(network: Network) -> list[tuple[int, int, int]]:
    """(height, width, channels) that arrive at each convolution and pool, and behind the last."""
    shape = (network.input.size[0], network.input.size[1], network.input.channels)
    shapes = [shape]
    for layer in network.layers:
        if not isinstance(layer, (Conv, Pool)):
            break
        channels = layer.outputs if isinstance(layer, Conv) else shape[2]
        shape = (layer.output_size(shape[0]), layer.output_size(shape[1]), channels)
        shapes.append(shape)
    return shapes


def pictures_to_maps(network: Network, pictures: np.ndarray) -> np.ndarray:
    """What the first convolution takes: uint8 or float32 (N, H, W, C) of prepared pictures (N, pixels)."""
    height, width = network.input.size
    maps = pictures.reshape(len(pictures), height, width, network.input.channels)
    return first_layer_input(maps, network.input.encoding)
