"""The plug-in's family keeps the contract; its answers are those of plain numpy."""
from __future__ import annotations

import dataclasses

import mirror_oracle
import numpy as np
import pytest

from qnn_pynq.catalogue import find_network, find_overlay
from qnn_pynq.testing import FamilyContract


class TestMirror(FamilyContract):
    batches = (1, 2, 7, 96)

    @pytest.fixture
    def overlay(self):
        return find_overlay("mirror-8x8")

    @pytest.fixture
    def network(self):
        return find_network("mirror-marks")

    @pytest.fixture
    def other(self):
        return find_network("plain-marks")

    @pytest.fixture
    def refused(self):
        """One template more than the overlay has room for."""
        found = find_network("plain-marks")
        layer = found.layers[0]
        many = dataclasses.replace(layer, templates=np.repeat(layer.templates, 4, 0)[:17],
                                   offsets=np.repeat(layer.offsets, 4)[:17])
        return dataclasses.replace(found, layers=(many,), classes=tuple("abcdefghijklmnopq"))

    def reference(self, network, values):
        layer = next(layer for layer in network.layers if layer.type == "absdiff")
        return mirror_oracle.sums(values, layer.templates, layer.offsets)
