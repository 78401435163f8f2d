"""Measured profiles: which rows they have, and what is in them."""

from __future__ import annotations

import numpy as np
import pytest
import small
from small_conv import small_network

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.errors import ClosedError, InputError

PICTURES = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)


def test_in_software_every_layer_has_a_row_and_none_has_logic_time():
    with Classifier(small_network(), board="cpu") as classifier:
        profile = classifier.profile(PICTURES[0], repeats=3)
    assert [(row.name, row.where) for row in profile.rows] == [
        ("conv0", "software"), ("conv1", "software"), ("conv2", "software"), ("fc0", "software tail")
    ]
    assert [row.macs for row in profile.rows] == [
        8 * 8 * 64 * 9 * 3, 8 * 8 * 128 * 9 * 32, 4 * 4 * 40 * 9 * 128, 4 * 4 * 40 * 5
    ]
    assert all(row.cpu_seconds > 0 and row.logic_seconds is None for row in profile.rows)
    assert profile.total_accelerated == pytest.approx(profile.total_cpu)


@pytest.mark.parametrize("pictures", [PICTURES[0], PICTURES])
def test_on_a_board_the_layers_of_the_overlay_have_modelled_times(pictures):
    with Classifier(small_network(), board=EmulatedBoard()) as classifier:
        profile = classifier.profile(pictures, repeats=2)
        layers = classifier.engine.layers()
    assert [row.where for row in profile.rows] == ["software", "overlay", "overlay", "software tail"]
    assert profile.modelled and profile.pictures == (4 if pictures.ndim == 4 else 1)
    overlay = [row.logic_seconds for row in profile.rows if row.logic_seconds is not None]
    assert overlay == [layer.seconds / layer.pictures for layer in layers]
    # One tile of weights a cycle at 100 MHz is the least.
    assert overlay[0] >= 8 * 8 * 9 * 4 / 100e6


def test_a_dense_network_has_one_row():
    with Classifier(small.network(), board="cpu") as classifier:
        profile = classifier.profile(np.zeros((8, 8), np.uint8))
    assert len(profile.rows) == 1 and profile.rows[0].name.startswith("dense 0-")
    assert profile.macs == sum(layer.inputs * layer.outputs for layer in small.network().layers)


def test_bad_requests_are_refused():
    with Classifier(small_network(), board="cpu") as classifier:
        with pytest.raises(InputError, match="repeats"):
            classifier.profile(PICTURES[0], repeats=0)
        with pytest.raises(InputError, match="no pictures"):
            classifier.profile(PICTURES[:0])
    with pytest.raises(ClosedError):
        classifier.profile(PICTURES[0])
