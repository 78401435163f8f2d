"""Single weight bits turned round: does a network's canary see it, and does it change what ordinary pictures get?

Two ways: bits of the network's own weights and thresholds, in software; and bits of all that lies in the emulated
circuit (dense networks) or in its weight images in shared memory (convolutional ones), unused ones included, through
driver and registers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
from fault_trials import inputs, published

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_network, networks
from qnn_pynq.datasets.testsets import find_test_set
from qnn_pynq.errors import NotFoundError, WrongAnswerError
from qnn_pynq.faults import Fault
from qnn_pynq.networks import Conv, Network
from qnn_pynq.reliability.canary import Canary
from qnn_pynq.reliability.canary_choice import flip_bit, sample_flips

__all__ = ["canary_table"]

PICTURES = {"dense": 1000, "convolutional": 64}  # ordinary ones, of which one answered otherwise makes a flip harmful
_SLOWER = 8  # convolutional networks, and everything through the circuit


def ordinary(network: Network, count: int) -> tuple[np.ndarray, str]:
    """Pictures uint8 (count, pixels) of the network's test set where it is here, else blends of the self-test's."""
    try:
        found = find_test_set(network).first(count)  # in $QNN_PYNQ_DATA
    except NotFoundError:
        return inputs(network, count, 3), "blends of self-test pictures"
    with Classifier(network, board="cpu") as software:
        return np.array(software._pipeline.rows(found.pictures)), Path(found.source).name


def _rates(changes: Iterator[Any], canary: Canary, pictures: np.ndarray, right: np.ndarray,
           tell: Callable[[int], None]) -> tuple[int, int, int, int]:
    """(flips, seen by the canary, harmful, harmful and not seen) of classifiers with one bit turned round each."""
    count = seen = harmful = escaped = 0
    for classifier in changes:
        try:
            canary.check(classifier.engine)
            noticed = False
        except WrongAnswerError:
            noticed = True
        harms = bool((classifier.predict(pictures) != right).any())
        count, seen, harmful = count + 1, seen + noticed, harmful + harms
        escaped += harms and not noticed
    return count, seen, harmful, escaped


def _in_software(network: Network, count: int, seed: int) -> Iterator[Any]:
    for flip in sample_flips(network, count, seed):
        with Classifier(flip_bit(network, flip), board="cpu") as classifier:
            yield classifier


def _in_circuit(network: Network, count: int, seed: int) -> Iterator[Any]:
    rng = np.random.RandomState(seed)
    with EmulatedBoard() as board, Classifier(network, board, published(network), policy="none") as classifier:
        driver = classifier.engine.driver
        for _ in range(count):
            fault = Fault("flip weight", 0, 0.0, int(rng.randint(2**62)))
            if isinstance(network.layers[0], Conv):
                weights = driver.buffers.weights
                byte, bit = divmod(fault.place % (8 * weights.nbytes), 8)
                held = board.memory.read(weights.device_address + byte, 1)
                held ^= np.uint8(1 << bit)
                yield classifier
                held ^= np.uint8(1 << bit)
            else:
                board.twin._flip_weight(fault)
                yield classifier
                board.twin._flip_weight(fault)  # and back


def _cells(rates: tuple[int, int, int, int]) -> list[str]:
    count, seen, harmful, escaped = rates
    return [f"{count:,}", *(f"{100 * n / count:.2f} %" for n in (seen, harmful, escaped)),
            f"{100 * (harmful - escaped) / harmful:.1f} %" if harmful else "–"]


def canary_table(flips: int, seed: int, bar: Callable[[int, str], Callable[[int], None]]) -> str:
    """Markdown."""
    lines = ["| network | known inputs | flipped bits of | flips | seen by the canary | harmful | harmful and not seen "
             "| of the harmful ones seen |", "|---" * 8 + "|"]
    sources = []
    for name in sorted(networks()):
        network = find_network(name)
        dense = not isinstance(network.layers[0], Conv)
        pictures, source = ordinary(network, PICTURES["dense" if dense else "convolutional"])
        sources.append(f"{source} ({len(pictures):,})")
        canary = Canary(network)
        with Classifier(network, board="cpu") as software:
            right = software.predict(pictures)
        fewer = max(1, flips // _SLOWER)
        count = flips if dense else fewer
        ways = (("the network", count, _in_software(network, count, seed)),
                ("the circuit" if dense else "shared memory", fewer, _in_circuit(network, fewer, seed)))
        for what, total, changes in ways:
            rates = _rates(changes, canary, pictures, right, bar(total, "flip"))
            known = f"{len(canary)} ({canary.source})"
            lines.append("| {} |".format(" | ".join([name, known, what] + _cells(rates))))
    return "Seed {}. A flip is harmful if it changes the class of one of the ordinary pictures: {}.\n\n{}\n".format(
        seed, ", ".join(sorted(set(sources))), "\n".join(lines))
