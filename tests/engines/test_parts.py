"""Which part of a network each overlay computes, and the parts of a network with segments."""

from __future__ import annotations

import dataclasses

import lfc
import numpy as np
import pytest
import small
from small_conv import mixed_network, pixel_conv, small_network

from qnn_pynq.catalogue import find_overlay
from qnn_pynq.contracts.driver import Split
from qnn_pynq.engines import plan_parts
from qnn_pynq.engines.parts import cut_segments
from qnn_pynq.errors import UnsupportedNetworkError
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver
from qnn_pynq.families.qnn_mo.driver import QnnMoDriver

W1A2, W1A3 = find_overlay("qnn-mo-w1a2"), find_overlay("qnn-mo-w1a3")


def test_a_network_is_cut_where_the_weights_get_one_bit():
    network = small_network()
    (part,) = plan_parts(network, [W1A2])
    assert tuple(part.split) == (network.layers[:1], network.layers[1:4], network.layers[4:])
    assert part.driver is QnnMoDriver and part.overlay is W1A2 and part.network is network and part.first == 0
    shapes = [network.signals[index].shape for index in (0, 1, 4)]
    assert shapes == [(16, 16, 3), (8, 8, 64), (4, 4, 40)]
    two = dataclasses.replace(network, layers=(pixel_conv(np.random.default_rng(0), 64), *network.layers[1:]))
    assert two.signals[1].shape == (8, 8, 64)


def test_dense_networks_are_the_logics_as_a_whole():
    network = small.network()
    (part,) = plan_parts(network, [lfc.tiny()])
    assert part.split == ((), network.layers, ())


def test_segments_but_the_first_begin_with_codes():
    network = mixed_network()
    first, second = cut_segments(network)
    assert first.layers == network.layers[:3] and second.layers == network.layers[3:]
    assert not first.segments and not second.segments and first.input is network.input
    assert (second.input.encoding.kind, second.input.encoding.bits) == ("codes", 2)
    assert (*second.input.size, second.input.channels) == network.signals[3].shape
    parts = plan_parts(network, [W1A2, W1A3])
    assert [part.first for part in parts] == [0, 3]
    assert [tuple(map(len, part.split)) for part in parts] == [(1, 2, 0), (0, 3, 1)]
    whole = small_network()
    (part,) = cut_segments(whole)
    assert part is whole


def test_as_many_overlays_as_segments_are_expected():
    for network, overlays, text in ((mixed_network(), [W1A2], "2 segments, here are 1"),
                                    (small_network(), [W1A2, W1A3], "1 segments, here are 2")):
        with pytest.raises(UnsupportedNetworkError, match=text):
            plan_parts(network, overlays)


def test_a_part_that_its_overlay_does_not_compute_is_named():
    with pytest.raises(UnsupportedNetworkError, match="^segment 1 .layers counted from 3 on.: "):
        plan_parts(mixed_network(), [W1A2, W1A2])
    with pytest.raises(UnsupportedNetworkError, match="^(?!segment)"):
        plan_parts(small.network(), [W1A2])


@pytest.mark.parametrize("split, text", [
    (lambda layers: Split(layers[:1], layers[1:3], ()), "takes 2 layers.*leaves 1 before and 0 behind"),
    (lambda layers: Split(layers, (), ()), "takes 0 layers"),
    (lambda layers: Split(layers[:1], layers[1:2], layers[2:]), "of segment 0 to the processor"),
])
def test_a_driver_that_loses_layers_is_noticed(monkeypatch, split, text):
    """Layers that nobody computes, and such that only the processor could, in the middle."""
    monkeypatch.setattr(QnnMoDriver, "split", classmethod(lambda cls, net, overlay, conservative: split(net.layers)))
    with pytest.raises(UnsupportedNetworkError, match=text):
        plan_parts(mixed_network(), [W1A2, W1A3])


def test_what_the_circuit_leaves_must_be_an_answer(monkeypatch):
    """Words of more than 64 bits: refused before any board is opened."""
    wide = small.network(sizes=(64, 16, 80))
    monkeypatch.setattr(BnnPynqDriver, "split", classmethod(lambda cls, net, *_: Split((), net.layers, ())))
    with pytest.raises(UnsupportedNetworkError, match="80 output bits.*at most 64"):
        plan_parts(wide, [lfc.tiny()])
