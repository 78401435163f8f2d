"""Fixtures of the tests through the real pynq package; only the device under pynq is emulated."""
from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Iterator

import lfc
import offload
import pytest

from qnn_pynq.catalogue import cached_path


def fetch(circuit: Any, source: Path) -> Path:
    """The overlay's files in the cache, as `overlays fetch` would put them; their folder."""
    for file in circuit.files.values():
        place = cached_path(circuit, file)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(source / file.name), str(place))
    return place.parent


@pytest.fixture
def circuit() -> Any:
    return lfc.overlay("w1a1")


@pytest.fixture
def fetched(golden: Path, circuit: Any) -> Iterator[Path]:
    folder = fetch(circuit, golden / "bnn-pynq" / "bitstreams")
    yield folder
    shutil.rmtree(str(folder))


@pytest.fixture
def fetched_offload(golden: Path) -> Iterator[Any]:
    circuit = offload.overlay("w1a2")
    folder = fetch(circuit, golden / "qnn-mo" / "bitstreams")
    yield circuit
    shutil.rmtree(str(folder))


@pytest.fixture
def device(circuit: Any) -> Iterator[Any]:
    from emulated_device import EmulatedZynq, active

    with active(EmulatedZynq(circuit)) as made:
        yield made


@pytest.fixture
def board(device: Any) -> Iterator[Any]:
    from qnn_pynq.boards import open_board

    with open_board("zynq", device=device) as opened:
        yield opened


@pytest.fixture
def published(golden: Path) -> Any:
    from qnn_pynq.convert.bnn_pynq import import_bnn_pynq

    return import_bnn_pynq(golden / "bnn-pynq" / "params" / "mnist" / "lfcW1A1")
