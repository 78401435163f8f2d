"""Numbers of layers, counted here from the arrays and maps themselves."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import oracle_conv
import small_conv

from qnn_pynq import catalogue
from qnn_pynq.engines import layers_on_logic
from qnn_pynq.networks import Conv, Decode, Linear, Network
from qnn_pynq.networks.summary import describe_layers, totals


def rows_of(network: Network) -> list[dict[str, Any]]:
    return describe_layers(network, layers_on_logic(network, [catalogue.find_overlay(network.overlays[0])]))


def test_rows_of_a_convolutional_network() -> None:
    network = small_conv.small_network(0)
    rows = rows_of(network)
    assert [row["type"] for row in rows] == ["conv", "conv", "pool", "conv", "linear"]
    assert [row["runs_on"] for row in rows] == ["processor", "overlay", "overlay", "overlay", "processor"]
    maps = np.zeros((1, 16, 16, 3), np.uint8)
    for row, layer in zip(rows, network.layers):
        if isinstance(layer, Linear):
            assert row["input"] == (maps.size,) and row["output"] == (5,)
            assert row["weights"] == row["macs"] == layer.weights.size
            continue
        assert row["input"] == maps.shape[1:]
        maps = oracle_conv.forward([layer], maps)
        assert row["output"] == maps.shape[1:]
        if isinstance(layer, Conv):
            count = layer.weights.size * (8 if layer.weight_bits == 1 else 1)
            assert row["weights"] == count and row["macs"] == count * maps.shape[1] * maps.shape[2]
        else:
            assert row["weights"] == row["macs"] == 0
    assert totals(rows)["layers"] == 4
    assert totals(rows)["overlay_macs"] == rows[1]["macs"] + rows[3]["macs"]


def test_a_network_of_features_ends_on_the_overlay() -> None:
    network = small_conv.small_network(0)
    network = dataclasses.replace(network, layers=network.layers[:-1], decode=Decode("features"), classes=())
    assert rows_of(network)[-1]["runs_on"] == "overlay"


def test_a_dense_network_is_on_the_overlay_as_a_whole() -> None:
    rows = rows_of(catalogue.find_network("lfc-w1a1-mnist"))
    assert {row["runs_on"] for row in rows} == {"overlay"}
    assert totals(rows) == {"layers": 4, "weights": 3014656, "macs": 3014656, "overlay_macs": 3014656}


def test_without_an_overlay_the_processor_does_it_all() -> None:
    rows = describe_layers(catalogue.find_network("lfc-w1a1-mnist"))
    assert {row["runs_on"] for row in rows} == {"processor"} and totals(rows)["overlay_macs"] == 0
