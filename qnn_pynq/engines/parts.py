"""Which part of a network each overlay computes: checked before any board is opened."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, Sequence

from ..contracts.driver import Driver, Split
from ..contracts.families import driver_class
from ..contracts.network import Encoding, InputSpec, Network
from ..contracts.overlay import Overlay
from ..errors import UnsupportedNetworkError
from .stages import as_kind

__all__ = ["Part", "cut_segments", "layers_on_logic", "plan_parts"]


class Part(NamedTuple):
    """One overlay's part of a network.

    Attributes
    ----------
    overlay : Overlay
    driver : type of Driver
    network : Network
        The layers of this part alone; all but the first part begin with codes.
    split : Split
    first : int
        Index of its first layer in the whole network.
    whole : Network
    """

    overlay: Overlay
    driver: type[Driver]
    network: Network
    split: Split
    first: int
    whole: Network


def cut_segments(network: Network) -> tuple[Network, ...]:
    """The network in parts, one a segment; all but the first begin with codes instead of pictures."""
    starts = [0] + [segment.first for segment in network.segments]
    parts = []
    for start, end in zip(starts, starts[1:] + [len(network.layers)]):
        spec = network.input
        if start:
            height, width, channels = network.signals[start].shape
            bits = network.signals[start].bits
            spec = InputSpec((height, width), channels, "as-is", None, Encoding("codes", bits=bits))
        parts.append(dataclasses.replace(network, layers=network.layers[start:end], input=spec, segments=()))
    return tuple(parts) if network.segments else (network,)


def plan_parts(network: Network, overlays: Sequence[Overlay], conservative: bool = False) -> tuple[Part, ...]:
    """What each overlay computes; one overlay a segment, in their order.

    Raises
    ------
    UnsupportedNetworkError
        An overlay does not compute its part.
    NotFoundError, PluginError
        Nobody knows the kind of an overlay.
    """
    networks = cut_segments(network)
    if len(networks) != len(overlays):
        raise UnsupportedNetworkError(f"network {network.name!r} has {len(networks)} segments, here are "
                                      f"{len(overlays)} overlays: expected one each")
    parts: list[Part] = []
    first = 0
    for part, overlay in zip(networks, overlays):
        driver = driver_class(overlay.kind)
        try:
            split = driver.split(part, overlay, conservative)
        except UnsupportedNetworkError as error:
            where = f"segment {len(parts)} (layers counted from {first} on): " if parts else ""
            raise UnsupportedNetworkError(where + str(error)) from None
        if sum(map(len, split)) != len(part.layers) or not split.logic:
            raise UnsupportedNetworkError(f"overlay {overlay.name} takes {len(split.logic)} layers of network "
                                          f"{network.name!r}, and leaves {len(split.before)} before and "
                                          f"{len(split.after)} behind: expected {len(part.layers)} in all")
        if split.after and part is not networks[-1] or split.before and parts:
            raise UnsupportedNetworkError(f"overlay {overlay.name} leaves layers of segment {len(parts)} to the "
                                          "processor: expected them before the first and behind the last segment only")
        parts.append(Part(overlay, driver, part, split, first, network))
        first += len(part.layers)
    as_kind(network.signals[first - len(parts[-1].split.after)])  # refuses what cannot be an answer
    return tuple(parts)


def layers_on_logic(network: Network, overlays: Sequence[Overlay]) -> frozenset[int]:
    """Indices of the layers that run on overlays, as their families say; errors as `plan_parts`."""
    found: set[int] = set()
    for part in plan_parts(network, overlays):
        first = part.first + len(part.split.before)
        found.update(range(first, first + len(part.split.logic)))
    return frozenset(found)
