"""The published DoReFa-Net: from the picture to its published codes, in software and through the registers."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import oracle_conv
import pytest

from qnn_pynq import Classifier, kernels
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_overlay
from qnn_pynq.convert.qnn_mo import import_qnn_mo
from qnn_pynq.families.qnn_mo.driver import QnnMoDriver
from qnn_pynq.kernels import ConvStack
from qnn_pynq.networks import load_network, save_network
from qnn_pynq.pictures.prepare import pictures_to_maps, prepare

PICTURE = "n07920052_4.jpg"
# First digits of the digests of codes in the order y, x, channel.
INPUT = "c1db228ef39c15f832eb3a128ec1e89c631faa178d8c1d7de5193672e5574539"
MERGE1 = "0319b2265d659dc4"
POOL2 = "22bf9d72d350f52b"
OUTPUT = "a70fba011415f4d63995476b7b9e5a2f3bbe96b282c308b3b922293697d6a708"


def digest(codes: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(codes).tobytes()).hexdigest()


def unpack(path: Path, size: int, channels: int) -> np.ndarray:
    """Codes (size, size, channels) of a file with 96 bytes a pixel, four codes a byte."""
    pixels = np.fromfile(str(path), np.uint8)[: size * size * 96].reshape(size, size, 96)
    codes = np.stack([pixels >> shift & 3 for shift in (0, 2, 4, 6)], axis=3).reshape(size, size, 384)
    return np.ascontiguousarray(codes[:, :, :channels])


@pytest.fixture(scope="module")
def folder(golden) -> Path:
    return golden / "qnn-mo"


@pytest.fixture(scope="module")
def network(folder, tmp_path_factory):
    """As the import writes it and everybody loads it."""
    place = tmp_path_factory.mktemp("dorefanet") / "dorefanet"
    save_network(import_qnn_mo(folder / "params" / "dorefanet-layers.json"), place)
    return load_network(place)


@pytest.fixture(scope="module")
def codes(folder) -> np.ndarray:
    return unpack(folder / "test" / "input.bin", 54, 68)


@pytest.fixture(scope="module")
def verified(folder) -> np.ndarray:
    return unpack(folder / "test" / "verification.bin", 6, 256)


def test_the_files_are_those_of_the_digests(codes, verified):
    assert codes.size == 198288 and digest(codes) == INPUT
    assert verified.size == 9216 and digest(verified) == OUTPUT


@pytest.mark.parametrize("isa", kernels.isa_supported())
def test_first_layer_gives_every_published_code(folder, network, codes, isa):
    """Decoding, the resize with a = -0.75, the mean and the float convolution: no code differs."""
    kernels.set_isa(isa)
    try:
        picture = prepare(folder / "test" / PICTURE, network.input)
        maps = pictures_to_maps(picture[None], network.input)
        found = ConvStack(network.layers[:1], 224, 224).run(maps)[0]
    finally:
        kernels.set_isa(None)
    assert int((found != codes).sum()) == 0


def test_the_oracle_agrees_from_map_to_map(network, codes, verified):
    maps = codes[None]
    for layer in network.layers[1:3]:
        maps = oracle_conv.forward([layer], maps)
    assert digest(maps).startswith(MERGE1)
    maps = oracle_conv.forward(network.layers[3:5], maps)
    assert digest(maps).startswith(POOL2)
    maps = oracle_conv.forward(network.layers[5:], maps)
    assert int((maps[0] != verified).sum()) == 0


@pytest.mark.parametrize("isa", kernels.isa_supported())
def test_kernels_agree_from_map_to_map(network, codes, verified, isa):
    kernels.set_isa(isa)
    try:
        found = [ConvStack(network.layers[1:stop], 54, 54).run(codes[None])[0] for stop in (3, 5, 9)]
    finally:
        kernels.set_isa(None)
    assert digest(found[0]).startswith(MERGE1) and digest(found[1]).startswith(POOL2)
    assert int((found[2] != verified).sum()) == 0


@pytest.mark.parametrize("conservative", [False, True], ids=["own way", "upstream's way"])
def test_driver_and_registers_agree_from_map_to_map(network, codes, verified, conservative):
    overlay = find_overlay("qnn-mo-w1a2")
    with EmulatedBoard() as board:
        driver = QnnMoDriver(board, overlay, conservative)
        for stop, wanted in ((3, MERGE1), (5, POOL2), (9, OUTPUT)):
            driver.load(dataclasses.replace(network, layers=network.layers[:stop]))
            driver.put(codes[None])
            driver.start(1)
            found = driver.finish()[0]
            assert digest(found).startswith(wanted)
        assert int((found != verified).sum()) == 0
        profile = driver.layers()
        assert sum(layer.runs for layer in profile) == 7
        assert sum(layer.load_cycles for layer in profile) == (110784 if conservative else 33600)
        assert sum(layer.run_cycles for layer in profile) == 720387
        assert sum(layer.macs for layer in profile) == 946201824
        assert driver.dma_bytes <= 8_000_000
        driver.close()


@pytest.mark.parametrize("options", [
    {"board": "cpu"}, {"board": "emulated"}, {"board": "emulated", "conservative": True},
], ids=["software", "own way", "upstream's way"])
def test_from_the_picture_to_the_published_features(folder, network, verified, options):
    with Classifier(network, **options) as classifier:
        found = classifier.features([folder / "test" / PICTURE])
    assert found.shape == (1, 6, 6, 256) and int((found[0] != verified).sum()) == 0


def test_a_batch_gives_what_one_picture_gives(folder, network, verified):
    with Classifier(network, board="emulated") as classifier:
        found = classifier.features([folder / "test" / PICTURE] * 3)
    assert all(np.array_equal(one, verified) for one in found)


@pytest.mark.parametrize("board", ["cpu", "emulated"])
def test_without_its_first_layer_it_takes_the_published_codes(folder, codes, verified, tmp_path, board):
    network = import_qnn_mo(folder / "params" / "dorefanet-layers.json", codes=True)
    network = load_network(save_network(network, tmp_path / "net"))
    assert (network.input.size, network.input.channels) == ((54, 54), 68)
    with Classifier(network, board=board) as classifier:
        assert int((classifier.features([codes])[0] != verified).sum()) == 0
