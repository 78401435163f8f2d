"""Files that lie or swell: refused with the bound in the message, in little memory and time."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("resource")  # Unix
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import small  # noqa: E402
import small_conv  # noqa: E402
from bombs import MEMORY, SECONDS, cost, gzip_bomb, npy_header, png_bomb, zip_bomb  # noqa: E402
from fuzz_seeds import npy, npz  # noqa: E402

from qnn_pynq import catalogue  # noqa: E402
from qnn_pynq.convert.finnthesizer import import_finnthesizer  # noqa: E402
from qnn_pynq.convert.qnn_mo_files import read_run  # noqa: E402
from qnn_pynq.convert.qnn_mo_layers import read_layer_list  # noqa: E402
from qnn_pynq.convert.qnn_mo_software import mean_picture  # noqa: E402
from qnn_pynq.datasets.colour import read_colour  # noqa: E402
from qnn_pynq.datasets.public import read_idx  # noqa: E402
from qnn_pynq.datasets.testsets import find_test_set  # noqa: E402
from qnn_pynq.diagnosis.recording_file import load_recording  # noqa: E402
from qnn_pynq.errors import DescriptorError  # noqa: E402
from qnn_pynq.files.bounded import Gunzip, Room, TooMuch, read_bytes, read_xml  # noqa: E402
from qnn_pynq.files.npyfile import open_npz  # noqa: E402
from qnn_pynq.networks import load_network, save_network  # noqa: E402
from qnn_pynq.networks.arrays import _absolute_sum  # noqa: E402
from qnn_pynq.networks.summary import weights_digest  # noqa: E402
from qnn_pynq.overlay import load_overlay  # noqa: E402
from qnn_pynq.pictures.opening import open_picture  # noqa: E402
from qnn_pynq.reliability.answers import known_answers  # noqa: E402
from qnn_pynq.reliability.canary import _chosen  # noqa: E402
from qnn_pynq.streams.reading import load_description  # noqa: E402

GIB = 1 << 30


def refused(run, *said, seconds=SECONDS):
    """Assert that `run` ends in one of our errors with these words, within bounds of memory and time."""
    found = cost(run)
    assert found.kind in ("DescriptorError", "InputError", "ConversionError", "RecordingError", "DigestError"), found
    assert all(words in found.text for words in said), found
    assert len(found.text) < 2000 and found.seconds <= seconds and found.memory <= MEMORY, found


def sparse(path, size, head=b""):
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


@pytest.fixture
def dense(tmp_path):
    return save_network(small.network(), tmp_path / "dense")


@pytest.fixture
def conv(tmp_path):
    return save_network(small_conv.small_network(), tmp_path / "conv")


def changed(folder, **fields):
    path = folder / "network.json"
    document = json.loads(path.read_text())
    document.update(fields)
    path.write_text(json.dumps(document))
    return folder


# -- lists of descriptors


@pytest.mark.parametrize(("key", "count", "most"), [("classes", 300000, 16384), ("overlays", 400000, 64)])
def test_names_of_a_network_have_a_bound(dense, key, count, most):
    folder = changed(dense, **{key: [f"{number:x}" for number in range(count)]})
    refused(lambda: load_network(folder), f"{key}: {count} items are too many: expected at most {most}")


def test_as_many_classes_as_are_allowed_are_looked_at_in_linear_time(dense):
    names = [f"n{number}" for number in range(16384)]
    refused(lambda: load_network(changed(dense, classes=names)), "16384 names x 1 levels", seconds=0.5)
    names[-1] = names[0]
    refused(lambda: load_network(changed(dense, classes=names)), 'classes[16383]: "n0" is there twice', seconds=0.5)


def test_layers_and_segments_have_a_bound(conv):
    layers = json.loads((conv / "network.json").read_text())["layers"]
    refused(lambda: load_network(changed(conv, layers=layers[:1] * 1025)), "layers: 1025 items are too many")
    changed(conv, layers=layers)
    segments = [{"first": 2, "overlay": "a"}] * 65
    refused(lambda: load_network(changed(conv, segments=segments)), "segments: 65 items are too many")


def overlay(folder, **fields):
    document = json.loads((catalogue.find_overlay("bnn-pynq-lfc-w1a1").path / "overlay.json").read_text())
    for key, value in fields.items():
        *way, last = key.split("__")
        place = document
        for part in way:
            place = place[part]
        place[last] = value
    folder.mkdir(exist_ok=True)
    (folder / "overlay.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize(
    ("key", "item"), [("boards", "b{}"), ("files__bitstream__urls", "http://a/{}"), ("files__hwh__urls",
            "http://a/{}")])
def test_boards_and_addresses_of_an_overlay_have_a_bound(tmp_path, key, item):
    def few(count):
        return overlay(tmp_path / "o", **{key: [item.format(number) for number in range(count)]})

    refused(lambda: load_overlay(few(30000)), key.replace("__",
            ".") + ": 30000 items are too many: expected at most 64")
    assert load_overlay(few(64)).name


def test_other_lists_of_an_overlay_have_a_bound(tmp_path):
    layer = json.loads((catalogue.find_overlay("bnn-pynq-lfc-w1a1").path / "overlay.json").read_text())["geometry"]
    folder = overlay(tmp_path / "o", geometry__layers=layer["layers"] * 20)
    refused(lambda: load_overlay(folder), "geometry.layers: 80 items are too many: expected at most 64")
    ips = [{"name": f"i{n}", "vlnv": "a:b:c:1", "address": hex(n << 16),
        "range": "0x10000"} for n in range(5000)]
    refused(lambda: load_overlay(overlay(tmp_path / "o", ips=ips)), "ips: 5000 items are too many")


@pytest.mark.parametrize("geometry", [[1024, 32767, 64, 32767], [32760, 1024, 1, 1], [1024, 32767, 1, 1]])
def test_a_circuit_that_no_chip_holds_is_refused_in_its_descriptor(tmp_path, geometry):
    first = dict(zip(("inputs", "outputs", "simd", "pe"), geometry), input="binary", accumulator="popcount",
                 output="binary", thresholds=1)
    last = dict(first, inputs=geometry[1], outputs=64, simd=1, pe=64)
    fields = {"geometry__layers": [first, last], "geometry__input_bits": geometry[0]}
    words = geometry[1] * (geometry[0] // geometry[2] + 1)
    refused(lambda: load_overlay(overlay(tmp_path / "o", **fields)), "geometry.layers[0].outputs",
            f"{words} words of weights and thresholds: expected at most 262144", seconds=0.2)


def test_a_circuit_of_offload_that_no_chip_holds_is_refused_in_its_descriptor(tmp_path):
    document = json.loads((catalogue.find_overlay("qnn-mo-w1a2").path / "overlay.json").read_text())
    document["geometry"].update(max_kernel=16, max_inputs=4096, max_outputs=4096)
    (tmp_path / "overlay.json").write_text(json.dumps(document))
    refused(lambda: load_overlay(tmp_path), "geometry.max_kernel: 16 with 4096 x 4096 channels makes 67108864 words")


@pytest.mark.parametrize(("fields", "words"), [
    ({"geometry__output_bits": 8, "geometry__classes": 8}, "geometry.output_bits: 8 is not allowed: expected the 64"),
    ({"geometry__input_bits": 836}, "geometry.layers[0].inputs: 836 is no multiple of 8"),
])
def test_words_that_the_circuits_of_a_family_do_not_have_are_refused(tmp_path, fields, words):
    def layer(inputs, outputs):
        return {"inputs": inputs, "outputs": outputs, "simd": 1, "pe": 1, "input": "binary", "accumulator": "popcount",
                "output": "binary", "thresholds": 1}

    bits, out = fields.get("geometry__input_bits", 832), fields.get("geometry__output_bits", 64)
    folder = overlay(tmp_path / "o", geometry__layers=[layer(bits, out)], **fields)
    refused(lambda: load_overlay(folder), words)


def streams(**fields):
    document = {"format": "qnn-pynq-streams", "version": 1, "name": "loopback",
                "inputs": [{"name": "x", "type": "float", "shape": [4]}],
                "outputs": [{"name": "y", "type": "float", "shape": [4]}]}
    document.update(fields)
    return document


@pytest.mark.parametrize("key", ["inputs", "outputs", "boards", "dmas"])
def test_lists_of_a_stream_description_have_a_bound(tmp_path, key):
    items = {"boards": [f"b{n}" for n in range(50000)], "dmas": [{"name": "axi_dma_0"}] * 50000}
    listed = items.get(key, [{"name": f"s{n}", "type": "float", "shape": [4]} for n in range(50000)])
    (tmp_path / "s.json").write_text(json.dumps(streams(**{key: listed})))
    refused(lambda: load_description(tmp_path / "s.json"), key + ": 50000 items are too many: expected at most 64")


def test_a_shape_of_many_sides_is_not_multiplied(tmp_path):
    shape = [10**9] * 300000
    (tmp_path / "s.json").write_text(json.dumps(streams(inputs=[{"name": "x", "type": "float", "shape": shape}])))
    refused(lambda: load_description(tmp_path / "s.json"),
            "inputs[0].shape: 300000 items are too many: expected at most 16")


def test_runs_of_a_layer_list_have_a_bound(tmp_path):
    conv = {"func": "conv_layer", "input_bits": 2, "output_bits": 2, "weight_bits": 1, "kernel_shape": 1,
            "kernel_stride": 1, "input": [1, 5, 5], "output": [1, 5, 5], "padding": 0}
    layers = [{"func": "split_layer", "split": 65536, "input_channels": 65536, "input_dim": 5}, *[conv] * 900,
              {"func": "merge_layer", "merge": 65536, "output_channels": 65536, "output_dim": 5}]
    (tmp_path / "l.json").write_text(json.dumps({"network": "n", "binparam": "b", "layers": layers}))
    refused(lambda: read_layer_list(tmp_path / "l.json", 64), "merge: 58982400 runs so far are too many")
    (tmp_path / "l.json").write_text(json.dumps({"network": "n", "binparam": "b", "layers": [conv] * 1025}))
    refused(lambda: read_layer_list(tmp_path / "l.json", 64), "layers: 1025 items are too many: expected at most 1024")


@pytest.mark.parametrize("text", [
    '[{"":0}' + ',{"":0}' * 590000 + "]",
    "[[]" + ",[]" * 1390000 + "]",
    '{"a":0' + "".join(f',"{n}":0' for n in range(350000)) + ',"349999":1}',
    '{"a": 1' + "0" * 4000000 + "}",
    '"' + "\U0001F600a" * 800000 + '"',
    "[1.5" + ",1.5" * 1000000 + "]",
])
def test_json_of_four_mebibytes_takes_little(dense, text):
    (dense / "network.json").write_text(text)
    assert len(text.encode()) < 4 << 20
    refused(lambda: load_network(dense))


def test_json_of_gigabytes_is_not_read(dense):
    sparse(dense / "network.json", 8 * GIB)
    refused(lambda: load_network(dense), "8589934592 bytes are too many: expected at most 4 MiB", seconds=0.1)


# -- arrays of a network


def long_network(folder, layers, width=10560):
    """A dense network of layers that all name one file of `width` x `width` bits."""
    weights = np.zeros((width, width // 8), np.uint8)
    np.save(str(folder / "w.npy"), weights)
    np.save(str(folder / "t.npy"), np.zeros((width, 1), np.int16))
    np.save(str(folder / "last.npy"), np.zeros((8, width // 8), np.uint8))
    np.save(str(folder / "lastt.npy"), np.zeros((8, 1), np.int16))

    def layer(outputs, weights, thresholds):
        return {"type": "dense", "inputs": width, "outputs": outputs, "weights": weights, "thresholds": thresholds,
                "input": "binary", "accumulator": "popcount", "output": "binary"}

    listed = [layer(width, "w.npy", "t.npy")] * (layers - 1) + [layer(8, "last.npy", "lastt.npy")]
    document = {"format": "qnn-pynq-network", "version": 1, "name": "long",
                "input": {"size": [4, 4], "encoding": {"kind": "threshold", "threshold": 1}}, "layers": listed,
                "decode": {"rule": "highest-bit"}, "classes": list("abcdefgh")}
    (folder / "network.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize("layers", [300, 1000])
def test_layers_that_name_one_file_have_a_bound_together(tmp_path, layers):
    folder = long_network(tmp_path, layers)
    refused(lambda: load_network(folder), "layers[38].weights: w.npy with this takes 13939200 bytes: expected at most "
            "512 MiB for all arrays together")


def test_a_file_that_several_layers_name_is_read_once(tmp_path):
    folder = long_network(tmp_path, 30)
    network = load_network(folder)
    assert all(layer.weights is network.layers[0].weights for layer in network.layers[:-1])
    found = cost(lambda: len(load_network(folder).layers))
    assert (found.kind, found.text) == ("", "30") and found.memory < 40e6 and found.seconds < SECONDS


def test_layers_that_do_not_fit_are_found_before_any_array_is_read(tmp_path, monkeypatch):
    folder = long_network(tmp_path, 30)
    document = json.loads((folder / "network.json").read_text())
    document["layers"][20]["inputs"] = 10552  # whose weights take as many bytes as a file of its own
    np.save(str(folder / "other.npy"), np.zeros((10560, 1319), np.uint8))
    document["layers"][20]["weights"] = "other.npy"
    (folder / "network.json").write_text(json.dumps(document))
    monkeypatch.setattr("qnn_pynq.files.npyfile._data", None)
    with pytest.raises(ValueError, match=r"layers\[20\].inputs: 10552 does not match layers\[19\].outputs 10560"):
        load_network(folder)


def test_a_file_that_changes_while_it_is_read_is_refused(dense, monkeypatch):
    from qnn_pynq.networks import descriptor as network_json

    checked = network_json.check_chain

    def written(network, source):
        checked(network, source)
        with (dense / "layer0-weights.npy").open("ab") as file:
            file.write(b"x")

    monkeypatch.setattr(network_json, "check_chain", written)
    with pytest.raises(ValueError, match=r"layers\[0\].weights: layer0-weights.npy has \d+ bytes now, it had \d+"):
        load_network(dense)


def test_many_arrays_are_mapped_where_they_would_fill_the_memory(tmp_path, monkeypatch):
    folder = long_network(tmp_path, 3, 1024)
    monkeypatch.setattr("qnn_pynq.files.npyfile._MOST_READ", 1 << 17)
    network = load_network(folder)  # 131,072 bytes of weights, and no room for anything else
    assert network.layers[0].weights.base is not None and type(network.layers[0].weights) is np.ndarray
    assert not network.layers[0].weights.flags.writeable and not network.layers[0].weights.any()
    assert type(network.layers[0].thresholds.base) is np.memmap and not network.layers[0].thresholds.flags.writeable


def test_an_array_of_gigabytes_is_refused_by_its_header(conv):
    size = 2 * GIB
    head = npy_header((10, size // 40), "<f4")
    sparse(conv / "big.npy", len(head) + size, head)
    layers = json.loads((conv / "network.json").read_text())["layers"]
    last = {"type": "linear", "inputs": 1 << 22, "outputs": 10, "weights": "big.npy", "weight_bits": 32}
    refused(lambda: load_network(changed(conv, layers=[*layers[:-1], last])), "big.npy has shape")
    sparse(conv / "big.npy", 3 * GIB, b"\x93NUMPY\2\0" + struct.pack("<I", 3 * GIB - 12))
    refused(lambda: load_network(changed(conv, layers=[*layers[:-1], last])), "big.npy is no .npy file: a header of "
            "3221225460 bytes: expected at most 4096", seconds=0.2)


def test_value_checks_make_no_copies_of_large_arrays(conv):
    rng = np.random.RandomState(0)
    network = small_conv.small_network()
    codes = network.layers[-1].inputs
    weights = rng.randint(-1, 2, (16384, codes)).astype(np.int8)
    np.save(str(conv / "big.npy"), weights)
    layers = json.loads((conv / "network.json").read_text())["layers"]
    last = {"type": "linear", "inputs": codes, "outputs": 16384, "weights": "big.npy"}
    classes = [f"n{number}" for number in range(16384)]
    folder = changed(conv, layers=[*layers[:-1], last], classes=classes)
    found = cost(lambda: int(load_network(folder).layers[-1].weights.sum(dtype=np.int64)))
    assert (found.kind, found.text) == ("", str(weights.sum(dtype=np.int64)))
    assert found.memory < weights.nbytes + 60e6 and found.seconds < SECONDS


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_sums_of_absolute_weights_are_exact(dtype):
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    weights = np.random.RandomState(0).randint(least, most + 1, 1500000).astype(dtype)
    weights[:2] = least
    assert _absolute_sum(weights.reshape(3, -1)) == sum(abs(value) for value in weights.tolist())


# -- archives

PETA = 1 << 50


def answers(folder, data):
    (folder / "selftest.npz").write_bytes(data)
    return load_network(changed(folder, selftest="selftest.npz"))


def bomb(kind, name, good, shape, dtype="u1"):
    """An archive in which the member `name` swells, or says that it does."""
    rest = {key: npy(value) for key, value in good.items()}
    if kind == "a header of gigabytes":
        return zip_bomb({**rest, name: b"\x93NUMPY\2\0" + struct.pack("<I", 3 * GIB)}, 3000)
    if kind == "petabytes":
        shape = (PETA // int(np.prod(shape[1:])), *shape[1:])
    head = npy_header(shape, dtype)
    return zip_bomb({**rest, name: head}, 3000, len(head) + int(np.prod([int(side) for side in shape])))


@pytest.mark.parametrize("kind", ["zeros without end", "petabytes", "a header of gigabytes"])
def test_a_self_test_that_swells_is_refused(dense, kind):
    network = small.network()
    rows = small.pictures(4, network)
    pixels = rows.shape[1]
    count = 6000000
    words = np.zeros(count if kind != "petabytes" else 9, np.uint64)
    loaded = answers(dense, bomb(kind, "pictures.npy", {"words.npy": words}, (count, pixels)))
    said = {"zeros without end": "bytes: expected at most 64 MiB for the arrays of the archive",
            "petabytes": "pictures, at least one", "a header of gigabytes": "expected at most 4096"}[kind]
    refused(lambda: known_answers(loaded), "selftest.npz", said)


@pytest.mark.parametrize("kind", ["zeros without end", "petabytes", "a header of gigabytes"])
def test_known_inputs_that_swell_are_refused(dense, kind):
    network = load_network(dense)
    pixels = network.input.pixels
    digest = np.frombuffer(weights_digest(network).encode(), np.uint8)
    count = 6000000
    rest = {"words.npy": np.zeros(count, np.uint64), "digest.npy": digest}
    (dense / "canary.npz").write_bytes(bomb(kind, "pictures.npy", rest, (count, pixels)))
    said = {"zeros without end": "expected at most 64 MiB", "petabytes": "pictures uint8",
            "a header of gigabytes": "expected at most 4096"}[kind]
    refused(lambda: _chosen(network), "canary.npz", said)


@pytest.mark.parametrize("kind", ["zeros without end", "petabytes", "a header of gigabytes"])
def test_a_test_set_that_swells_is_refused(tmp_path, kind):
    network = small.network()
    count = 4000000
    labels = np.zeros(count if kind != "petabytes" else 9, np.uint8)
    (tmp_path / "t.npz").write_bytes(bomb(kind, "x_test.npy", {"y_test.npy": labels}, (count, 28, 28)))
    said = {"zeros without end": "x_test takes 3136000000 bytes: expected at most 180 MiB",
            "petabytes": "pictures but 9 labels", "a header of gigabytes": "expected at most 4096"}[kind]
    refused(lambda: find_test_set(network, tmp_path / "t.npz"), "t.npz", said)


def test_a_test_set_that_says_less_than_it_has_is_refused_at_its_bound(tmp_path):
    """170 MiB are held, and the checksum is wrong: what any archive can take at most."""
    labels = np.zeros(1000, np.uint8)
    shape = (1000, (170 << 20) // 1000)
    head = npy_header(shape)
    data = zip_bomb({"y_test.npy": npy(labels), "x_test.npy": head}, 400, len(head) + shape[0] * shape[1])
    (tmp_path / "t.npz").write_bytes(data)
    refused(lambda: find_test_set(small.network(), tmp_path / "t.npz"), "t.npz")


@pytest.mark.parametrize("kind", ["zeros without end", "petabytes", "a header of gigabytes"])
def test_parameters_of_finnthesizer_that_swell_are_refused(tmp_path, kind):
    rng = np.random.RandomState(1)
    rest = {f"arr_{n}.npy": rng.rand(4) for n in range(1, 24)}
    path = tmp_path / "f.npz"
    path.write_bytes(bomb(kind, "arr_0.npy", rest, (1 << 16, 1 << 15), "i1"))
    said = "expected at most 4096" if kind == "a header of gigabytes" else "arr_0 (W of layer 0)"
    refused(lambda: import_finnthesizer(path, precision="w1a1"), said)


def test_archives_of_many_members_or_of_other_packing_are_refused(tmp_path):
    members = {f"m{number:06}.npy": b"" for number in range(40000)}
    (tmp_path / "many.npz").write_bytes(zip_bomb(members, 0))
    network = small.network()
    refused(lambda: find_test_set(network, tmp_path / "many.npz"), "a directory of over 1 MiB")
    with zipfile.ZipFile(str(tmp_path / "bz.npz"), "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x_test.npy", npy_header((1000, 1 << 20)) + bytes(200 << 20))
        archive.writestr("y_test.npy", npy(np.zeros(1000, np.uint8)))
    refused(lambda: find_test_set(network, tmp_path / "bz.npz"), "packed by method 12: expected stored or deflated")
    sparse(tmp_path / "huge.npz", 6 * GIB, b"PK\3\4")
    refused(lambda: find_test_set(network, tmp_path / "huge.npz"), "no .npz file")


def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path):
    rng = np.random.RandomState(3)
    arrays = {"a": rng.rand(3, 4), "b": np.asfortranarray(rng.rand(3, 4)), "c": np.array(7), "d": np.array(["é", "ab"]),
              "e": np.zeros((0, 3), np.int16), "f": rng.randint(0, 9, 5).astype(">i4"), "g": np.array([True]),
              "h": np.zeros(2, "U0"), "i": np.arange(3 << 20, dtype=np.uint8)}
    for save in (np.savez, np.savez_compressed):
        save(str(tmp_path / "x.npz"), **arrays)
        with open_npz(tmp_path / "x.npz") as found, np.load(str(tmp_path / "x.npz")) as numpys:
            assert found.files == numpys.files == list(arrays)
            for name in arrays:
                mine, its = found[name], numpys[name]
                assert mine.dtype == its.dtype and mine.shape == its.shape and mine.tobytes() == its.tobytes()
                assert found.header(name).shape == its.shape and found.header(name).nbytes == its.nbytes
            with pytest.raises(KeyError, match="zz is not a file"):
                found["zz"]


# -- data sets


def idx(*sides):
    return bytes([0, 0, 8, len(sides)]) + struct.pack(f">{len(sides)}I", *sides)


def test_idx_files_are_read_up_to_a_bound(tmp_path):
    sparse(tmp_path / "images", 16 * GIB, idx(4000000, 28, 28))
    refused(lambda: read_idx(tmp_path / "images"), "takes 3136000000 bytes: expected at most 180 MiB", seconds=0.1)
    sparse(tmp_path / "images", 16 * GIB, idx(2, 28, 28))
    refused(lambda: read_idx(tmp_path / "images"), "more than 1568 bytes of data, 1568 expected", seconds=0.1)
    (tmp_path / "a.gz").write_bytes(gzip_bomb(idx(4000000, 28, 28), 3000))
    refused(lambda: read_idx(tmp_path / "a.gz"), "takes 3136000000 bytes: expected at most 180 MiB", seconds=0.1)
    (tmp_path / "a.gz").write_bytes(gzip_bomb(idx(2, 28, 28), 3000))
    refused(lambda: read_idx(tmp_path / "a.gz"), "more than 1568 bytes of data", seconds=0.1)
    (tmp_path / "a.gz").write_bytes(gzip_bomb(idx(170, 1024, 1024), 170)[:-40])
    refused(lambda: read_idx(tmp_path / "a.gz"), "a.gz")


def test_labels_that_do_not_fit_are_found_before_the_pictures_are_read(tmp_path):
    place = tmp_path / "mnist"
    place.mkdir()
    sparse(place / "t10k-images-idx3-ubyte", 16 + 30 * 784, idx(30, 28, 28))
    sparse(place / "t10k-labels-idx1-ubyte", 8 + (150 << 20), idx(150 << 20))
    refused(lambda: find_test_set(small.network(), place), "pictures of shape (30, 28, 28) but labels of shape",
            seconds=0.1)
    sparse(place / "t10k-images-idx3-ubyte", 16 + (150 << 20), idx(150 << 20, 1, 1))
    refused(lambda: find_test_set(small.network(), place), "expected at most 180 MiB", seconds=0.1)


def cifar(folder, size, names="a b c d e f g h i j"):
    folder.mkdir(exist_ok=True)
    sparse(folder / "test_batch.bin", size)
    (folder / "batches.meta.txt").write_text(names)
    return folder


def test_cifar_files_have_a_bound(tmp_path):
    folder = cifar(tmp_path / "c", 3073 * 4000000)
    refused(lambda: read_colour(folder, "test"),
            "12292000000 bytes, expected a multiple of 3073, for at most 10000 pictures")
    folder = cifar(tmp_path / "c", 3073 * 10000)
    assert read_colour(folder, "test").pictures.shape == (10000, 32, 32, 3)
    sparse(folder / "batches.meta.txt", 5 * GIB)
    refused(lambda: read_colour(folder, "test"), "5368709120 bytes are too many: expected at most 1 MiB")


def test_the_largest_published_set_is_read_in_little_more_than_it_has(tmp_path):
    folder = cifar(tmp_path / "c", 3073 * 10000)
    for number in range(1, 6):
        sparse(folder / f"data_batch_{number}.bin", 3073 * 10000)
    found = cost(lambda: read_colour(folder, "train").pictures.shape)
    assert found.text == "(50000, 32, 32, 3)" and found.memory < MEMORY, found


def test_columns_of_pictures_have_the_size_of_their_labels(tmp_path):
    Image.new("RGB", (32, 32 * 300)).save(str(tmp_path / "test_000.webp"), lossless=True)
    (tmp_path / "labels.npz").write_bytes(npz(test=np.zeros(3, np.uint8), classes=np.array(["a"])))
    refused(lambda: read_colour(tmp_path, "test"), "32 x 9600 pixels, expected 32 x up to 96")
    sparse(tmp_path / "test_000.webp", 4 * GIB, b"RIFF\0\0\0\0WEBPVP8L")
    refused(lambda: read_colour(tmp_path, "test"), "4294967296 bytes are too many: expected at most 16 MiB")
    (tmp_path / "labels.npz").write_bytes(npz(test=np.zeros(1000000, np.uint8), classes=np.array(["a"])))
    refused(lambda: read_colour(tmp_path, "test"), "expected at most 180 MiB")


def test_packs_of_pictures_have_a_bound(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (1000, 1000)).save(stream, "JPEG")
    one = np.frombuffer(stream.getvalue(), np.uint8)
    offsets = np.arange(0, 71 * len(one), len(one))
    pack = {"blob": np.tile(one, 70), "labels": np.zeros(70, np.uint8), "classes": np.array(["0"])}
    (tmp_path / "p.npz").write_bytes(npz(offsets=offsets, **pack))
    network = small.network()
    refused(lambda: find_test_set(network, tmp_path / "p.npz"),
            "pictures of shape (70, 1000, 1000, 3) takes 210000000 bytes")
    (tmp_path / "p.npz").write_bytes(npz(offsets=offsets[::-1], **pack))
    refused(lambda: find_test_set(network, tmp_path / "p.npz"), "picture 0 at")
    stream = io.BytesIO()
    Image.new("L", (4000, 4000)).save(stream, "JPEG")
    one = np.frombuffer(stream.getvalue(), np.uint8)
    pack.update(blob=one, offsets=np.array([0, len(one)]), labels=np.zeros(1, np.uint8))
    (tmp_path / "p.npz").write_bytes(npz(**pack))
    refused(lambda: find_test_set(network, tmp_path / "p.npz"),
            "picture 0 is 4000 x 4000: expected at most 1048576 pixels")


# -- parameters of others


def test_a_run_of_parameters_has_a_bound(tmp_path):
    geometry = {"pe": 32, "simd": 64, "threshold_bits": 64, "activation_bits": 2}
    refused(lambda: read_run(tmp_path, 0, 65536, 65536, 64, geometry), "bytes of weights: expected at most 2 MiB")


def test_a_mean_picture_has_a_bound(tmp_path):
    head = npy_header((40000, 40000, 3), "<f4")
    sparse(tmp_path / "m.npy", len(head) + 40000 * 40000 * 12, head)
    said = "has 19200000128 bytes: expected the mean picture, at most 67108864"
    refused(lambda: mean_picture(tmp_path / "m.npy", (8, 8), 3), said)


# -- recordings


def recording(path, text, mebibytes=0):
    packed = gzip_bomb(text, mebibytes) if mebibytes else gzip.compress(text, 1)
    path.write_bytes(f"qnn-pynq-recording 1 {hashlib.sha256(packed).hexdigest()}\n".encode() + packed)
    return path


START = b'{"format": "qnn-pynq-recording"}\n["bytes","aGk="]\n'


@pytest.mark.parametrize(("text", "mebibytes", "said"), [
    (START, 3000, "unpacks to too much: a line of over 64 MiB"),
    (START + b'["reset",1,1,[],0]\n' * 260000, 0, "line 250001 is too many: expected at most 250000 lines"),
    (START + b'["bytes","' + b"QUFB" * (10 << 20) + b'"]\n[', 0, "line 4"),
    (START + (b'["bytes","' + b"QUFB" * (1 << 20) + b'"]\n') * 60 + b"[\n", 0, "line 63"),
    (START + b"[" + b"[]," * 20000000 + b"0]\n", 0, "line 3: 60000003 bytes are too many"),
    (b"[" + b"[]," * 20000000 + b"0]\n", 0, "line 1: 60000003 bytes are too many"),
    (START + (b'["bytes","' + b"A" * (4 << 20) + b'"]\n') * 70, 0, "unpacks to too much: text of over 256 MiB"),
])
def test_a_recording_that_swells_is_refused(tmp_path, text, mebibytes, said):
    path = recording(tmp_path / "r", text, mebibytes)
    refused(lambda: load_recording(path), said, seconds=10)  # a busy machine needs 3 for 250,000 lines


def test_a_recording_of_gigabytes_is_not_read(tmp_path):
    path = sparse(tmp_path / "r", 5 * GIB, b"qnn-pynq-recording 1 ")
    refused(lambda: load_recording(path), "more than 128 MiB", seconds=0.1)


def test_answers_that_are_errors_count_as_what_is_held(tmp_path):
    line = b'["free",0,0,[0],{"error":["a","' + b"x" * 60000 + b'"]}]\n'
    path = recording(tmp_path / "r", START + 4400 * line + b"[]\n")
    refused(lambda: load_recording(path), "line 4403: no event of a known kind")


# -- long values


LONG = "x" * 3000000


@pytest.mark.parametrize(("key", "value", "said"), [
    ("ip__address", LONG, "is no address"), ("files__bitstream__sha256", LONG, "is no digest"),
    ("files__bitstream__urls", [LONG], "is no web address"), ("clock_mhz", LONG, "is no number"),
    (LONG, 1, "unknown field"), ("name", LONG, "is no plain name"), ("version", 10**399, "is too new"),
])
def test_messages_about_overlays_are_short(tmp_path, key, value, said):
    refused(lambda: load_overlay(overlay(tmp_path / "o", **{key: value})), said)


@pytest.mark.parametrize(("key", "value", "said"), [
    ("overlays", [LONG], "is no name of an overlay"), ("classes", ["\1" + LONG], "has control characters"),
    ("layers", [{"type": LONG}], "is not allowed"), (LONG, 1, "unknown field"),
    ("version", -(10**399), "is not allowed"),
])
def test_messages_about_networks_are_short(dense, key, value, said):
    changed(dense, **{key: value})
    refused(lambda: load_network(dense), said)


@pytest.mark.parametrize("key", ["name", "ip", "inputs", "control", LONG])
def test_messages_about_streams_are_short(tmp_path, key):
    value = {"ip": {"name": "a", "address": "0x43C00000", "range": 65536, "vlnv": LONG},
             "inputs": [{"name": "x", "type": LONG, "shape": [4]}]}.get(key, "\1" + LONG)
    (tmp_path / "s.json").write_text(json.dumps(streams(**{key: value})))
    refused(lambda: load_description(tmp_path / "s.json"))


@pytest.mark.parametrize(("key", "value"), [
    ("timing__cycles_per_image", 10**308), ("timing__write_access_ns", 10**308), ("timing__read_access_ns", 1e300),
    ("timing__memory_write_cycles", 10**300), ("clock_mhz", 1e-300), ("clock_mhz", 1e9),
])
def test_times_that_no_circuit_has_are_refused(tmp_path, key, value):
    refused(lambda: load_overlay(overlay(tmp_path / "o", **{key: value})), key.replace("__", "."), "is out of range")


def test_provenance_that_is_too_deep_is_not_written(tmp_path):
    nested = []
    for _ in range(100000):
        nested = [nested]
    network = dataclasses.replace(small.network(), provenance={"notes": nested})
    with pytest.raises(DescriptorError, match="cannot be written as JSON"):
        save_network(network, tmp_path / "net")
    assert not (tmp_path / "net").exists()


# -- pictures


@pytest.mark.parametrize(("picture", "said"), [
    ((8000, 8000, 2, 0), "8000 x 8000 pixels of mode RGB take 256000000 bytes: expected at most 176 MiB"),
    ((6700, 6700, 2, 3000), "damaged or cut off"),
    ((8000, 8000, 0, 3000), "damaged or cut off"),
    ((1, 1 << 26, 0, 40), "expected at most 65535 a side"),
    ((1 << 20, 1 << 20, 2, 0), "too many pixels"),
])
def test_pictures_that_swell_are_refused(picture, said):
    data = png_bomb(*picture)
    refused(lambda: open_picture(data), said)


@pytest.mark.parametrize("colour", [4, 6])
def test_large_pictures_with_transparency_take_one_copy(colour):
    data = png_bomb(6700, 6700, colour, 0)
    found = cost(lambda: open_picture(data).mode)
    assert found.text == "RGB" and found.memory < 2 * MEMORY and found.seconds < 2 * SECONDS, found


def test_large_pictures_with_transparency_are_not_turned():
    stream, turned = io.BytesIO(), Image.Exif()
    turned[0x112] = 6
    Image.new("LA", (6700, 6700)).save(stream, "PNG", exif=turned.tobytes())
    data = stream.getvalue()
    refused(lambda: open_picture(data), "6700 x 6700 pixels of mode LA are too many to be turned")


def test_progressive_pictures_that_swell_are_refused():
    stream = io.BytesIO()
    Image.new("RGB", (7000, 7000), (9, 80, 3)).save(stream, "JPEG", progressive=True, subsampling=0)
    refused(lambda: open_picture(stream.getvalue()), "7000 x 7000 pixels of mode RGB take")
    stream = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    assert open_picture(data).size == (2000, 2000)
    last = data[data.rindex(b"\xff\xda") : -2]
    refused(lambda: open_picture(data[:-2] + 3000 * last + data[-2:]), "3006 scans of 4000 x 4000 pixels are too many")


def test_a_progressive_picture_without_sampling_is_refused():
    stream = io.BytesIO()
    Image.new("RGB", (40, 40), (9, 80, 3)).save(stream, "JPEG", progressive=True)
    data = bytearray(stream.getvalue())
    start = data.index(b"\xff\xc2")
    for layer in range(3):
        data[start + 11 + 3 * layer] = 0
    refused(lambda: open_picture(bytes(data)), "damaged or cut off")


@pytest.mark.parametrize(("tag", "kind", "each"), [(273, 3, 2), (279, 4, 4), (700, 1, 1)])
def test_tags_of_a_tiff_have_a_bound(tmp_path, tag, kind, each):
    entries = {256: (3, 1, 100), 257: (3, 1, 100), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8),
               277: (3, 1, 1), 278: (3, 1, 100), 279: (4, 1, 10000), tag: (kind, (100 << 20) // each, 1000)}
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    head += b"".join(struct.pack("<HHII", key, *entries[key]) for key in sorted(entries)) + bytes(4)
    path = sparse(tmp_path / "x.tif", 110 << 20, head)
    refused(lambda: open_picture(path), "its tags have more than 8 MiB")
    data = path.read_bytes()
    refused(lambda: open_picture(data), "its tags have more than 8 MiB")


def test_large_tiffs_are_read(tmp_path):
    values = np.random.RandomState(0).randint(0, 256, (2000, 2000, 3)).astype(np.uint8)
    for packing in ("raw", "tiff_lzw"):
        Image.fromarray(values).save(str(tmp_path / "x.tif"), compression=packing)
        for source in (tmp_path / "x.tif", (tmp_path / "x.tif").read_bytes()):
            assert (np.asarray(open_picture(source)) == values).all()


def test_picture_files_of_gigabytes_are_not_read(tmp_path):
    path = sparse(tmp_path / "x.webp", 5 * GIB, b"RIFF\0\0\0\0WEBPVP8L")
    refused(lambda: open_picture(path), "5368709120 bytes: expected at most 128 MiB", seconds=0.1)


# -- files of overlays


def test_overlay_files_of_another_size_are_not_read(tmp_path):
    folder = overlay(tmp_path / "o")
    found = load_overlay(folder)
    sparse(folder / found.files["bitstream"].name, 900 * GIB)
    refused(lambda: catalogue.overlay_files(found), "966367641600 bytes, expected 4045675 with sha256", seconds=0.1)
    refused(lambda: load_overlay(overlay(folder, files__bitstream__size=(256 << 20) + 1)), "files.bitstream.size")


@pytest.mark.parametrize("data", [
    b"<a " + b" ".join(b'a%d=""' % number for number in range(300000)) + b"/>",
    b"<a>" + b"<b/>" * 1000000 + b"</a>",
])
def test_xml_of_four_mebibytes_takes_little(tmp_path, data):
    assert len(data) < 4 << 20
    (tmp_path / "x.hwh").write_bytes(data)
    found = cost(lambda: read_xml(tmp_path / "x.hwh").tag)
    assert found.text == "a" and found.memory < MEMORY and found.seconds < SECONDS, found


def test_xml_is_refused_where_it_may_swell(tmp_path):
    path = tmp_path / "x.hwh"
    path.write_text('<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>')
    with pytest.raises(ValueError, match="entities of its own"):
        read_xml(path)
    path.write_bytes('<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'.encode("utf-16"))
    with pytest.raises(ValueError, match="no UTF-8"):
        read_xml(path)
    sparse(path, 5 * GIB)
    with pytest.raises(ValueError, match="5368709120 bytes are too many: expected at most 4 MiB"):
        read_xml(path)


# -- what all of them use


def test_room_is_for_all_that_is_taken():
    room = Room(10 << 20, "everything")
    room.take(10 << 20, "a")
    with pytest.raises(TooMuch, match="b takes 1 bytes: expected at most 10 MiB for everything"):
        room.take(1, "b")
    room.take(0, "c")


def test_bytes_are_read_up_to_a_bound(tmp_path):
    (tmp_path / "x").write_bytes(bytes(1000))
    assert read_bytes(tmp_path / "x", 1000) == bytes(1000)
    with pytest.raises(TooMuch, match="1000 bytes are too many: expected at most 999 bytes"):
        read_bytes(tmp_path / "x", 999)
    with pytest.raises(OSError, match="no regular file"):
        read_bytes(tmp_path, 1 << 20)


def test_gzip_members_are_read_as_gzip_reads_them(tmp_path):
    data = np.random.RandomState(0).bytes(300000)
    for packed in (gzip.compress(data), gzip.compress(data[:7]) + gzip.compress(data[7:]),
        gzip.compress(data) + bytes(99)):
        stream, found = Gunzip(io.BytesIO(packed)), []
        while True:
            found.append(stream.read(1000))
            assert len(found[-1]) <= 1000
            if not found[-1]:
                break
        assert b"".join(found) == data == gzip.decompress(packed)
    with pytest.raises(zlib.error, match="more than 16 gzip members"):
        Gunzip(io.BytesIO(gzip.compress(b"") * 100)).read(1)
    stream = Gunzip(io.BytesIO(gzip.compress(b"abc")[:-1]))
    assert stream.read(9) == b"abc"
    with pytest.raises(EOFError, match="cut off"):
        stream.read(9)
