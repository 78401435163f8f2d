"""Rows of layers on the processor: who computes what, and how pictures get to the first of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import oracle_conv
import pytest
import small
from small_conv import small_network

from qnn_pynq.contracts.layer import Signal
from qnn_pynq.engines.stages import as_kind, make_encoder
from qnn_pynq.errors import UnsupportedNetworkError
from qnn_pynq.networks import Pool
from qnn_pynq.networks.rows import compile_layers


def test_layers_of_one_kernel_are_one_row():
    network = small_network()
    rows = compile_layers(network.layers, network.signals)
    assert [(row.first, len(row.layers)) for row in rows] == [(0, 4), (4, 1)]
    assert [row.layers for row in rows] == [network.layers[:4], network.layers[4:]]
    dense = small.network()
    assert [(row.first, row.layers) for row in compile_layers(dense.layers, dense.signals)] == [(0, dense.layers)]


@pytest.mark.parametrize("begin, end", [(0, 1), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5), (3, 5), (4, 5), (3, 3)])
def test_any_part_of_a_network_is_computed_from_what_arrives_there(begin, end):
    network = small_network()
    maps = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    values = before = oracle_conv.forward(network.layers[:begin], maps) if begin else maps
    rows = compile_layers(network.layers[begin:end], network.signals[begin:], begin)
    for row in rows:
        values = row.kernel.run(np.ascontiguousarray(values, np.uint8))
    wanted = oracle_conv.forward(network.layers[:end], maps) if end > begin else before
    np.testing.assert_allclose(values, wanted, rtol=1e-12)
    assert [row.first for row in rows][:1] == ([begin] if end > begin else [])


@pytest.mark.parametrize("size, stride, padding", [(2, 2, (0, 0)), (3, 2, (0, 1)), (3, 1, (1, 1)), (3, 3, (1, 0))])
def test_a_pool_in_front_is_the_oracles_and_has_its_time(size, stride, padding):
    """Where an overlay leaves it to the processor."""
    maps = np.random.default_rng(1).integers(0, 4, (2, 9, 7, 5)).astype(np.uint8)
    pool, signal = Pool(size, stride, padding), Signal("codes", (9, 7, 5), 2, 3.0)
    (row,) = compile_layers([pool], [signal])
    seconds, out = np.zeros(len(row.kernel.rows)), np.empty(oracle_conv.pool(pool, maps).shape, np.uint8)
    assert row.kernel.run(maps, out, seconds=seconds) is out and row.kernel.rows == (0,)
    assert np.array_equal(out, oracle_conv.pool(pool, maps)) and (seconds > 0).all()
    (row,) = compile_layers([pool, pool], [signal])
    assert np.array_equal(row.kernel.run(maps), oracle_conv.pool(pool, oracle_conv.pool(pool, maps)))


@pytest.mark.parametrize("table", [False, True])
def test_the_encoder_gives_the_oracles_bits(table):
    network = small.network(table=table)
    rows = small.pictures(9, network)
    found = np.unpackbits(make_encoder(network.input, 64).encode(rows), axis=1, bitorder="little")
    assert np.array_equal(found, small.bits(network, rows))


def test_what_may_leave_an_engine():
    dense, conv = small.network(), small_network()
    assert as_kind(dense.signals[-1]) == "words" and as_kind(conv.signals[4]) == "codes"
    assert as_kind(conv.signals[5]) == "scores"
    with pytest.raises(UnsupportedNetworkError, match="65 output bits.*at most 64"):
        as_kind(dataclasses.replace(dense.signals[-1], shape=(65,)))
    with pytest.raises(UnsupportedNetworkError, match='"pixels".*expected bits, codes, sums or scores'):
        as_kind(conv.signals[0])
