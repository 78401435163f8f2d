"""Networks as data: layer types, descriptors, and how layers follow one another."""

from __future__ import annotations

from ..contracts.network import Crop, Decode, Encoding, Framing, InputSpec, Letterbox, Network, Segment
from .dense import Dense
from .linear import Linear
from .maps import Conv, Pool
from .store import load_network, save_network

__all__ = ["Conv", "Crop", "Decode", "Dense", "Encoding", "Framing", "InputSpec", "Letterbox", "Linear", "Network",
           "Pool", "Segment", "load_network", "save_network"]
