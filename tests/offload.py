"""Networks and overlays of multi-layer offload for tests, and moves of a caller."""

from __future__ import annotations

import dataclasses

import numpy as np
import small_conv
from hypothesis import strategies as st

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_overlay
from qnn_pynq.families.qnn_mo.driver import QnnMoDriver
from qnn_pynq.networks import Conv, Decode, Encoding, InputSpec, Network, Pool

KINDS = ("w1a2", "w1a3")
BITS = {"w1a2": 2, "w1a3": 3}
MAX_KERNEL = {"w1a2": 5, "w1a3": 3}
WINDOW = {"w1a2": 3, "w1a3": 2}


def overlay(kind="w1a2", **changes):
    """One of the two published overlays; `changes` of its geometry make it another bitstream's."""
    found = find_overlay("qnn-mo-" + kind)
    if not changes:
        return found
    files = {key: dataclasses.replace(file, sha256="0" * 64) for key, file in found.files.items()}
    return dataclasses.replace(found, geometry=dict(found.geometry, **changes), files=files)


def network(layers, size, channels, name="net"):
    """A network that takes codes: its first layer is offloaded."""
    spec = InputSpec((size, size), channels, "as-is", None, Encoding("pixels"))
    return Network(name, name, "", ("qnn-mo-w1a2",), spec, tuple(layers), Decode("features"), (), {})


def dorefa_net(seed=0):
    """The topology of the published DoReFa-Net behind its first layer, random weights."""
    rng, conv = np.random.default_rng(seed), small_conv.binary_conv
    return network([
        conv(rng, 68, 180, 5, (2, 2), groups=2), Pool(3, 2, (0, 1)), conv(rng, 180, 272), Pool(3, 2, (1, 1)),
        conv(rng, 272, 384, groups=2), conv(rng, 384, 256, groups=2), Pool(3, 2, (0, 0)),
    ], 54, 68, "dorefa-net")


def tinier_yolo(seed=0):
    """The topology of the published Tinier-YOLO behind its first layer, random weights."""
    rng = np.random.default_rng(seed)

    def conv(inputs, outputs):
        return small_conv.binary_conv(rng, inputs, outputs, code_bits=3)

    halved = Pool(2, 2)
    return network([
        conv(16, 64), halved, conv(64, 64), halved, conv(64, 128), halved, conv(128, 256), halved,
        conv(256, 512), Pool(2, 1, (0, 1)), conv(512, 512), conv(512, 512),
    ], 208, 16, "tinier-yolo")


def split(channels):
    """Four layers of three parts each, one with larger maps, and one behind them; 400 channels arrive in pieces."""
    rng, conv = np.random.default_rng(0), small_conv.binary_conv
    each = channels // 3 * 3
    return network([
        conv(rng, each, 96, groups=3), conv(rng, 96, 120, 3, (2, 2), groups=3), conv(rng, 120, 60, groups=3),
        Pool(3, 1, (1, 1)), conv(rng, 60, 96, groups=3), conv(rng, 96, 40),
    ], 5, each, "split")


def driver(kind="w1a2", net=None, board=None, **options):
    """A driver on an emulated board, configured where a network is given."""
    made = QnnMoDriver(board or EmulatedBoard(), overlay(kind), **options)
    if net is not None:
        made.load(net)
    return made


def codes(made, images, seed=0):
    """Random input codes of a configured driver's network."""
    first = next(layer for layer in made.network.layers if isinstance(layer, Conv) and layer.weight_bits == 1)
    return np.random.default_rng(seed).integers(0, 2**first.input_bits, (images,) + made.input.shape).astype(np.uint8)


def run(made, maps):
    """Codes of maps, in chunks of the driver's capacity."""
    found = []
    for begin in range(0, len(maps), made.capacity):
        chunk = maps[begin : begin + made.capacity]
        made.put(chunk)
        made.start(len(chunk))
        found.append(made.finish())
    return np.concatenate(found)


@st.composite
def networks(draw, kind, narrow=False):
    """Up to three convolutions with random sizes, groups and pools that the overlay computes."""
    most = BITS[kind]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = start = draw(st.integers(2, 9))
    channels = inputs = draw(st.sampled_from([1, 3, 34, 48, 64, 68, 96, 130, 192, 272]))
    bits = draw(st.integers(1, most)) if narrow else most
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        groups = draw(st.sampled_from([g for g in (1, 1, 2, 3, 4) if channels % g == 0]))
        if channels // groups > 384:
            break
        pad = draw(st.integers(size == 1, 4))
        kernel = draw(st.integers(1, min(MAX_KERNEL[kind], size + pad)))
        outputs = groups * draw(st.sampled_from([1, 5, 32, 45, 64, 90, 97]) if groups > 1
                                else st.sampled_from([1, 31, 40, 64, 128, 260, 400]))
        to = draw(st.integers(1, most)) if narrow else most
        conv = small_conv.binary_conv(rng, channels, outputs, kernel, (pad // 2, pad - pad // 2), to, groups,
                                      to == most and draw(st.booleans()))
        layers.append(dataclasses.replace(conv, input_bits=bits))
        size, channels, bits = size + pad - kernel + 1, outputs, to
        window = WINDOW[kind]
        lines = draw(st.integers(max(0, window - size), max(0, window - size) + 3))
        if draw(st.booleans()) and size + lines >= window:
            pool = Pool(window, draw(st.sampled_from([1, 2])), (lines // 2, lines - lines // 2))
            layers.append(pool)
            size = pool.output_size(size)
    return network(layers, start, inputs)
