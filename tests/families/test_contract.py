"""Every family of this package keeps the contract; expected answers are those of the oracles."""
from __future__ import annotations

import dataclasses

import engine_networks
import lfc
import numpy as np
import offload
import oracle
import oracle_conv
import pytest
import small
import small_conv

from qnn_pynq.networks import Decode, Encoding, InputSpec, Network, Pool
from qnn_pynq.streams.circuit import make_circuit
from qnn_pynq.testing import FamilyContract


class TestBnnPynq(FamilyContract):
    batches = (1, 2, 7, 70)

    @pytest.fixture(params=["tiny", "w1a1"])
    def overlay(self, request):
        return lfc.tiny() if request.param == "tiny" else lfc.overlay(request.param)

    @pytest.fixture
    def network(self, overlay):
        return small.network(overlay, 1)

    @pytest.fixture
    def other(self, overlay):
        """Smaller than the circuit: padded."""
        sizes = [geometry["outputs"] for geometry in overlay.geometry["layers"][:-1]]
        return small.network(overlay, 2, sizes=[57, *[size - 3 for size in sizes], 40], size=(7, 7))

    @pytest.fixture
    def refused(self, network):
        return dataclasses.replace(network, layers=network.layers[1:])

    def reference(self, network, values):
        bits = np.unpackbits(values, axis=1, bitorder="little")[:, : network.layers[0].inputs]
        return oracle.lfc_words(network.layers, bits)


def offloaded(seed: int, bits: int, window: int) -> Network:
    """Codes in, codes out: two convolutions and a pool, all on the logic."""
    rng = np.random.default_rng(seed)
    layers = (small_conv.binary_conv(rng, 64, 128, code_bits=bits, groups=2), Pool(window, 2),
              small_conv.binary_conv(rng, 128, 64, code_bits=bits))
    spec = InputSpec((9, 9), 64, "as-is", None, Encoding("codes", bits=bits))
    return Network(f"codes-{seed}", "", "", (), spec, layers, Decode("features"), ())


class TestQnnMo(FamilyContract):
    batches = (1, 2, 5)

    @pytest.fixture(params=offload.KINDS)
    def flavour(self, request):
        return request.param

    @pytest.fixture
    def overlay(self, flavour):
        return offload.overlay(flavour)

    @pytest.fixture
    def network(self, flavour):
        """A first layer and a last one on the processor."""
        return small_conv.small_network(1, offload.BITS[flavour], pool=offload.WINDOW[flavour])

    @pytest.fixture
    def other(self, flavour):
        return offloaded(3, offload.BITS[flavour], offload.WINDOW[flavour])

    @pytest.fixture
    def refused(self, network):
        return dataclasses.replace(network, layers=network.layers[:1])

    def reference(self, network, values):
        layers = [layer for layer in network.layers if getattr(layer, "weight_bits", 1) == 1 and not layer.tail]
        return oracle_conv.forward(layers, values)


class TestEngine(FamilyContract):
    batches = (1, 2, 7, 33)

    @pytest.fixture(params=["bits", "sums", "maps"])
    def flavour(self, request):
        return request.param

    @pytest.fixture
    def overlay(self):
        return engine_networks.small_engine()

    @pytest.fixture
    def network(self, flavour):
        """Words or sums of dense layers, or scores behind maps whose first layer is the processor's."""
        if flavour == "maps":
            return small_conv.small_network(1)
        return engine_networks.dense_network(1, sums=flavour == "sums", ternary=flavour == "bits", size=(7, 8))

    @pytest.fixture
    def other(self, flavour):
        return engine_networks.whole_network(2) if flavour == "maps" else engine_networks.dense_network(2, (90, 70, 64))

    @pytest.fixture
    def refused(self, network):
        if network.layers[0].type == "dense":
            return engine_networks.dense_network(0, (70, 65))
        floats = small_conv.in_letterbox()
        return dataclasses.replace(floats, layers=floats.layers[:1])

    def reference(self, network, values):
        first = next(i for i, layer in enumerate(network.layers) if np.abs(layer.weights).max() < 256)
        return engine_networks.expected(network, network.layers[first:], values)


class TestStream(FamilyContract):
    batches = (1, 2, 5)

    @pytest.fixture
    def overlay(self):
        """A circuit that has the layers of a network up to its tail in itself."""
        return make_circuit({
            "format": "qnn-pynq-streams", "version": 1, "name": "foreign",
            "inputs": [{"name": "pixels", "type": "ap_uint<8>", "shape": [16, 16, 3]}],
            "outputs": [{"name": "codes", "type": "ap_uint<2>", "shape": [4, 4, 40]}],
        })

    @pytest.fixture
    def network(self):
        return dataclasses.replace(small_conv.small_network(1), overlays=("foreign",))

    @pytest.fixture
    def other(self):
        return dataclasses.replace(small_conv.small_network(2), overlays=("foreign",))

    @pytest.fixture
    def refused(self, network):
        return dataclasses.replace(network, overlays=("another",))

    def reference(self, network, values):
        return oracle_conv.forward(list(network.layers[:-1]), values)
