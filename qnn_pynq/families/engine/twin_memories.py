"""The block RAM of the engine: weights of the elements, thresholds of the clusters, banks of the vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .twin_decode import ACTIVATIONS, THRESHOLDS, WEIGHTS, Load, Store

__all__ = ["POINTERS", "Memories", "in_ring"]

POINTERS = 1 << 12  # addresses of a bank that a pointer can name
_NO_RING = 12  # bits of a ring that is none
_SPACES = {WEIGHTS: 1 << 11, THRESHOLDS: 1 << 9, ACTIVATIONS: POINTERS}  # where addresses start again, by target


class Memories:
    """What lies in the circuit; it survives a reset.

    Parameters
    ----------
    geometry : dict
        Of the overlay.

    Attributes
    ----------
    weights : uint64 (elements, words)
    thresholds : uint64 (clusters, words)
    banks : uint64 (vectors, words)
    version : int
        Another one whenever weights or thresholds have changed.
    """

    def __init__(self, geometry: Any) -> None:
        self.weights = np.zeros((geometry["pe"], geometry["weight_words"]), np.uint64)
        self.thresholds = np.zeros((geometry["pe"] // 4, geometry["threshold_words"]), np.uint64)
        self.banks = np.zeros((geometry["vectors"], geometry["bank_words"]), np.uint64)
        self.version = 0

    def copy(self) -> Memories:
        twin = object.__new__(Memories)
        twin.weights, twin.thresholds, twin.banks = self.weights.copy(), self.thresholds.copy(), self.banks.copy()
        twin.version = self.version
        return twin

    def load(self, load: Load, group: int, data: np.ndarray) -> None:
        """Word i of `data` goes to memory i mod D of the target, address i div D; also where `data` is cut short."""
        target = {WEIGHTS: self.weights, THRESHOLDS: self.thresholds, ACTIVATIONS: self.banks}[load.target]
        space, (count, depth) = _SPACES[load.target], target.shape
        rows = -(-data.size // count)
        base = load.to.base(group)
        numbers = np.arange(rows)
        if load.target == ACTIVATIONS:
            period = 1 << load.to.bits if load.to.bits < _NO_RING else space
            addresses = in_ring(base, load.to.bits, base + numbers)
        else:
            period, addresses = space, (base + numbers) % space
        full = np.zeros(rows * count, np.uint64)
        full[: data.size] = data
        full = full.reshape(rows, count)
        for start in range(0, rows, period):  # in which each address comes once
            part = slice(start, start + period)
            self._fill(target, addresses[part], full[part], data.size - start * count, depth)
        if load.target != ACTIVATIONS:
            self.version += 1

    @staticmethod
    def _fill(target: np.ndarray, addresses: np.ndarray, rows: np.ndarray, words: int, depth: int) -> None:
        whole = min(len(rows), words // len(target))
        there = addresses[:whole] < depth
        target[:, addresses[:whole][there]] = rows[:whole][there].T
        rest = words - whole * len(target)
        if whole < len(rows) and rest and addresses[whole] < depth:
            target[:rest, addresses[whole]] = rows[whole, :rest]

    def stored(self, store: Store, group: int) -> np.ndarray:
        """The words that a STORE sends to memory."""
        base = store.source.base(group)
        addresses = in_ring(base, store.source.bits, base + np.arange(store.words))
        depth = self.banks.shape[1]
        found = self.banks[:, np.minimum(addresses, depth - 1)]
        found[:, addresses >= depth] = 0
        return np.ascontiguousarray(found.T).reshape(-1)


def in_ring(base: int, bits: int, pointers: np.ndarray) -> np.ndarray:
    """Addresses of pointers, in the ring of 2**bits words around `base`."""
    if bits >= _NO_RING:
        return pointers & POINTERS - 1
    mask = (1 << bits) - 1
    return base & POINTERS - 1 & ~mask | pointers & mask


