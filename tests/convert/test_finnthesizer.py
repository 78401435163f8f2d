from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import oracle
import pytest

from qnn_pynq.convert.bnn_pynq import export_bnn_pynq, import_bnn_pynq
from qnn_pynq.convert.finnthesizer import import_finnthesizer
from qnn_pynq.errors import ConversionError
from qnn_pynq.networks import load_network, save_network

SIZES = (784, 1024, 1024, 1024)


def trained(classes: int = 10, seed: int = 0, hidden: int = 1024):
    """24 random arrays as Lasagne would leave them; gamma of either sign."""
    rng = np.random.default_rng(seed)
    widths = (784, hidden, hidden, hidden, classes)
    arrays = []
    for fan_in, outputs in zip(widths[:-1], widths[1:]):
        arrays.append(rng.uniform(-1, 1, (fan_in, outputs)).astype(np.float32))
        arrays.append(rng.normal(0, 1, outputs).astype(np.float32))
        arrays.append(rng.normal(0, 1, outputs).astype(np.float32))
        arrays.append((rng.uniform(0.2, 2, outputs) * rng.choice([-1, 1], outputs)).astype(np.float32))
        arrays.append(rng.normal(0, np.sqrt(fan_in) / 2, outputs).astype(np.float32))
        arrays.append((1 / rng.uniform(0.5, 2, outputs) / np.sqrt(fan_in)).astype(np.float32))
    return arrays


@pytest.fixture(scope="module")
def arrays():
    return trained()


@pytest.fixture(scope="module")
def npz(arrays, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "Digits 1.npz"
    np.savez(str(path), *arrays)
    return path


def float_network(arrays, bits, precision):
    """The trained network itself, in float64: +-1 inputs, every product and sum written out."""
    x = 2.0 * bits - 1
    for layer in range(4):
        weights, bias, beta, gamma, mean, inv_std = (
            a.astype(np.float64) for a in arrays[6 * layer : 6 * layer + 6]
        )
        y = gamma * inv_std * (x @ np.where(weights >= 0, 1.0, -1.0) + bias - mean) + beta
        if precision == "w1a1" or layer == 3:
            x = np.where(y >= 0, 1.0, -1.0)
        else:
            x = (y >= -0.5).astype(np.float64) + (y >= 0.5) - 1
    return x > 0


def upstream_neuron(weights, bias, beta, gamma, mean, inv_std, popcount, steps, pads):
    """One neuron by the table of the specification, in plain Python."""
    s = 1 if gamma > 0 else -1
    thresholds = []
    for step in steps:
        theta = (mean - bias) + (step - beta) / (gamma * inv_std)
        if popcount:
            value = int((len(weights) + s * theta) / 2)  # int() truncates towards zero
        elif s > 0:
            value = int(np.floor(s * theta)) - pads
        else:
            value = int(np.ceil(s * theta)) - pads
        thresholds.append(min(max(value, -32768), 32767))
    return [1 if w * s >= 0 else 0 for w in weights], thresholds


@pytest.mark.parametrize("precision", ["w1a1", "w1a2"])
def test_exact_rule_answers_as_the_trained_network_in_every_neuron(arrays, npz, precision):
    network = import_finnthesizer(npz, precision=precision)
    rng = np.random.default_rng(1)
    bits = np.zeros((300, 832), dtype=np.uint8)
    bits[:, :784] = rng.integers(0, 2, (300, 784))
    expected = float_network(arrays, bits[:, :784].astype(np.float64), precision)
    words = oracle.lfc_words(network.layers, bits)
    got = (words[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert np.array_equal(got[:, :10].astype(bool), expected)
    assert not got[:, 10:].any()  # pad neurons never fire
    assert 0.05 < expected.mean() < 0.95


@pytest.mark.parametrize("precision", ["w1a1", "w1a2"])
def test_upstream_rule_follows_the_table(arrays, npz, precision):
    network = import_finnthesizer(npz, precision=precision, rule="upstream")
    rng = np.random.default_rng(2)
    for index in range(4):
        weights, bias, beta, gamma, mean, inv_std = (
            a.astype(np.float64) for a in arrays[6 * index : 6 * index + 6]
        )
        layer = network.layers[index]
        steps = (-0.5, 0.5) if precision == "w1a2" and index < 3 else (0.0,)
        pads = layer.inputs - len(weights)
        assert pads == (48 if index == 0 else 0)
        bits = np.unpackbits(layer.weights, axis=1, bitorder="little")
        for n in rng.permutation(weights.shape[1])[:200]:
            expected, thresholds = upstream_neuron(
                weights[:, n],
                bias[n],
                beta[n],
                gamma[n],
                mean[n],
                inv_std[n],
                precision == "w1a1",
                steps,
                pads,
            )
            assert layer.thresholds[n].tolist() == thresholds
            assert bits[n].tolist() == expected + [1] * pads
        assert (layer.thresholds[weights.shape[1] :] == 32767).all()
        assert (bits[weights.shape[1] :] == 1).all()


def test_rules_differ_by_one_at_negative_gamma_only(arrays, npz):
    exact = import_finnthesizer(npz, precision="w1a2")
    upstream = import_finnthesizer(npz, precision="w1a2", rule="upstream")
    for index in range(4):
        width = arrays[6 * index].shape[1]
        gamma = arrays[6 * index + 3]
        difference = upstream.layers[index].thresholds[:width] - exact.layers[index].thresholds[:width]
        assert not difference[gamma > 0].any()
        assert set(np.unique(difference[gamma < 0])) <= {0, 1} and difference[gamma < 0].mean() > 0.9


@pytest.mark.parametrize("precision", ["w1a1", "w1a2"])
def test_round_trips_through_our_format_and_upstreams(npz, tmp_path, precision):
    network = import_finnthesizer(npz, precision=precision, classes=list("abcdefghij"))
    assert network.name == "digits-1"
    save_network(network, tmp_path / "ours")
    export_bnn_pynq(load_network(tmp_path / "ours"), tmp_path / "bin")
    back = import_bnn_pynq(tmp_path / "bin", precision=precision)
    assert back.classes == tuple("abcdefghij")
    for ours, theirs in zip(network.layers, back.layers):
        assert np.array_equal(ours.weights, theirs.weights) and np.array_equal(
            ours.thresholds, theirs.thresholds
        )
        assert (ours.input, ours.accumulator, ours.output) == (
            theirs.input,
            theirs.accumulator,
            theirs.output,
        )
    other = "w1a2" if precision == "w1a1" else "w1a1"
    with pytest.raises(ConversionError, match="not of " + other):
        import_bnn_pynq(tmp_path / "bin", precision=other)


def test_smaller_layers_are_padded_and_answer_the_same(tmp_path):
    arrays = trained(classes=47, seed=3, hidden=200)
    np.savez(str(tmp_path / "small.npz"), *arrays)
    bits = np.zeros((100, 832), dtype=np.uint8)
    bits[:, :784] = np.random.default_rng(4).integers(0, 2, (100, 784))
    for precision in ("w1a1", "w1a2"):
        network = import_finnthesizer(tmp_path / "small.npz", precision=precision)
        got = (oracle.lfc_words(network.layers, bits)[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(
            1
        )
        expected = float_network(arrays, bits[:, :784].astype(np.float64), precision)
        assert np.array_equal(got[:, :47].astype(bool), expected) and len(network.classes) == 47


def test_precision_must_be_said(npz):
    with pytest.raises(ConversionError, match='the file does not say, so give "w1a1"'):
        import_finnthesizer(npz)
    with pytest.raises(ConversionError, match="exact or upstream"):
        import_finnthesizer(npz, precision="w1a1", rule="best")


def bad(change):
    arrays = [np.ones((4, 4))] * 24
    sizes = (784, 8, 8, 8, 10)
    for layer in range(4):
        arrays[6 * layer] = np.ones((sizes[layer], sizes[layer + 1]))
        for place in range(1, 6):
            arrays[6 * layer + place] = np.ones(sizes[layer + 1])
    change(arrays)
    return arrays


def put(index, value):
    def change(arrays):
        arrays[index] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop(), "has 23 arrays"),
        (lambda arrays: arrays.extend([np.ones(3)] * 29), "has 53 arrays.*CNV"),
        (put(0, np.ones((900, 8))), "layer 0 is 900 x 8: the LFC overlays hold at most 832 x 1024"),
        (put(0, np.ones((800, 8))), "800 inputs: expected the pixels of a square picture"),
        (put(6, np.ones((9, 8))), r"arr_6 \(W of layer 1\) has shape \(9, 8\): expected \(8, n\)"),
        (put(9, np.ones(7)), r"arr_9 \(gamma of layer 1\) has shape \(7,\): expected \(8,\)"),
        (put(3, np.full(8, np.nan)), r"layer 0: gamma\[0\] is nan"),
        (put(3, np.array([None] * 8)), r"arr_3 \(gamma of layer 0\) has Python objects"),
        (put(3, np.array(["a"] * 8)), r"arr_3 .* has dtype"),
    ],
)
def test_files_that_are_no_lfc_network_are_refused(tmp_path, change, message):
    np.savez(str(tmp_path / "x.npz"), *bad(change))
    with pytest.raises(ConversionError, match=message):
        import_finnthesizer(tmp_path / "x.npz", precision="w1a1")


def test_wrong_number_of_classes_is_refused(npz, tmp_path):
    with pytest.raises(ConversionError, match="3 class names for the 10 outputs"):
        import_finnthesizer(npz, precision="w1a1", classes=["a", "b", "c"])
    arrays = bad(lambda arrays: None)
    arrays[18] = np.ones((8, 65))
    arrays[19:] = [np.ones(65)] * 5
    np.savez(str(tmp_path / "x.npz"), *arrays)
    with pytest.raises(ConversionError, match="layer 3 is 8 x 65"):
        import_finnthesizer(tmp_path / "x.npz", precision="w1a1")


def test_what_is_no_regular_file_is_refused(tmp_path):
    places = [tmp_path]
    if hasattr(os, "mkfifo"):
        os.mkfifo(str(tmp_path / "pipe"))
        places.append(tmp_path / "pipe")
    for place in places:
        with pytest.raises(ConversionError, match="is no .npz file: expected a regular one"):
            import_finnthesizer(place, precision="w1a1")
    for path in ("x" * 5000, "a\0b"):
        with pytest.raises(ConversionError, match="is not there"):
            import_finnthesizer(path, precision="w1a1")
    for path in (None, 5):
        with pytest.raises(ConversionError, match="expected the path"):
            import_finnthesizer(path, precision="w1a1")


def test_files_that_are_no_npz_are_refused(tmp_path):
    with pytest.raises(ConversionError, match="is not there"):
        import_finnthesizer(tmp_path / "no.npz", precision="w1a1")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ConversionError, match="is no .npz file"):
        import_finnthesizer(tmp_path / "text.npz", precision="w1a1")
    with pytest.raises(ConversionError, match="is no .npz file"):
        import_finnthesizer(tmp_path, precision="w1a1")
    np.savez(str(tmp_path / "good.npz"), *bad(lambda arrays: None))
    data = (tmp_path / "good.npz").read_bytes()
    (tmp_path / "short.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ConversionError, match="is no .npz file"):
        import_finnthesizer(tmp_path / "short.npz", precision="w1a1")
    foreign = bytearray(data)
    foreign[data.index(b"PK\x01\x02") + 6] = 255  # zip as it will be one day
    (tmp_path / "foreign.npz").write_bytes(bytes(foreign))
    with pytest.raises(ConversionError, match="is no .npz file: zip file version 25.5"):
        import_finnthesizer(tmp_path / "foreign.npz", precision="w1a1")
    damaged = bytearray(data)
    damaged[400] ^= 0xFF
    (tmp_path / "damaged.npz").write_bytes(bytes(damaged))
    with pytest.raises(ConversionError, match="arr_0 .*cannot be read: Bad CRC"):
        import_finnthesizer(tmp_path / "damaged.npz", precision="w1a1")


def test_huge_header_allocates_nothing(tmp_path):
    header = (
        str({"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1 << 20)}).encode().ljust(117) + b"\n"
    )
    with zipfile.ZipFile(str(tmp_path / "x.npz"), "w") as archive:
        for index in range(24):
            archive.writestr(
                f"arr_{index}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
            )
    with pytest.raises(ConversionError, match="arr_0 .*has 0 bytes of data"):
        import_finnthesizer(tmp_path / "x.npz", precision="w1a1")
