"""Chooses a network's canary inputs and writes its `canary.npz`.

    python tools/choose_canary.py lfc-w1a1-mnist --inputs 256

After a new training: a canary holds the digest of the weights that it was chosen for, and others do not take it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

import numpy as np

from qnn_pynq import find_network
from qnn_pynq.errors import InputError
from qnn_pynq.reliability.canary import CANARY_FILE
from qnn_pynq.reliability.canary_choice import candidates, choose, detections, measure, sample_flips, write


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--inputs", type=int, default=256, help="how many to choose")
    parser.add_argument("--candidates", type=int, default=1024)
    parser.add_argument("--flips", type=int, default=1000, help="sampled for the choice, and as many for the rates")
    parser.add_argument("--out", type=Path, help="file to write; default: canary.npz in the network's folder")
    options = parser.parse_args(arguments)
    network = find_network(options.network)
    path = options.out or (network.path / CANARY_FILE if network.path is not None else None)
    if path is None:
        raise InputError("the network has no folder: give --out")
    pool = candidates(network, options.candidates)
    chosen = choose(detections(network, pool, sample_flips(network, options.flips)), options.inputs)
    inputs = np.ascontiguousarray(pool[chosen])
    write(network, inputs, path)
    # Ordinary pictures: the self-test's, and others like the candidates.
    rates = measure(network, inputs, sample_flips(network, options.flips, 1), candidates(network, 256, 1))
    print(f"{network.name}: {len(inputs)} inputs of {len(pool)} candidates in {path}")
    print("of {} other flips {:.1%} noticed; {:.1%} change an answer, {:.1%} do so and escape".format(*rates))


if __name__ == "__main__":
    main()
