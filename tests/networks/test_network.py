from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq import Classifier
from qnn_pynq.errors import DescriptorError, FetchError
from qnn_pynq.networks import Decode, Dense, Encoding, Framing, InputSpec, Network, load_network, save_network
from qnn_pynq.networks import store as module


def dense(inputs, outputs, seed=0, **codes):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (outputs, inputs), dtype=np.uint8)
    count = {"binary": 1, "ternary": 2}[codes.get("output", "binary")]
    thresholds = rng.integers(-inputs, inputs, (outputs, count), dtype=np.int32)
    return Dense(inputs, outputs, np.packbits(bits, axis=1, bitorder="little"), thresholds, **codes)


def small(**changes):
    """16 pixels, two layers, W1A2-like codes, an odd fan-in."""
    layers = (
        dense(19, 12, 1, accumulator="sum", output="ternary"),
        dense(12, 8, 2, input="ternary", accumulator="sum"),
    )
    spec = InputSpec(
        (4, 4), 1, "light-on-dark", Framing((3, 2), "mass"), Encoding("threshold", threshold=128)
    )
    network = Network(
        "small",
        "Small",
        "A test",
        ("an-overlay",),
        spec,
        layers,
        Decode("highest-bit", 2, 0.5),
        ("a", "b", "ü"),
    )
    return dataclasses.replace(network, **changes)


@pytest.fixture
def saved(tmp_path) -> Path:
    return save_network(small(), tmp_path / "small")


def change(folder: Path, **fields):
    """Rewrite fields of the JSON by path; `...` removes one."""
    path = folder / "network.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    for key, value in fields.items():
        place = document
        *way, last = [int(part) if part.isdigit() else part for part in key.split("__")]
        for part in way:
            place = place[part]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    path.write_text(json.dumps(document), encoding="utf-8")


def refusal(folder: Path) -> str:
    with pytest.raises(DescriptorError) as caught:
        load_network(folder)
    return str(caught.value)


def same(one: Network, other: Network) -> bool:
    def flat(value):
        if dataclasses.is_dataclass(value):
            return {
                f.name: flat(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name != "path"
            }
        if isinstance(value, np.ndarray):
            return (value.dtype.str, value.shape, value.tobytes())
        if isinstance(value, tuple):
            return [flat(item) for item in value]
        return value

    return flat(one) == flat(other)


def test_save_and_load_keep_everything(tmp_path):
    table = Encoding(
        "table", pixels=np.array([0, 3, 15, 3], np.uint16), thresholds=np.array([1, 255, 0, 7], np.uint8)
    )
    networks = [
        small(),
        small(
            input=InputSpec((4, 4), 1, "as-is", None, table),
            decode=Decode(),
            provenance={"seed": 3, "x": [1]},
        ),
        small(input=InputSpec((2, 3), 3, "dark-on-light", None, Encoding("threshold", threshold=0))),
    ]
    for index, network in enumerate(networks):
        folder = save_network(network, tmp_path / str(index))
        assert same(load_network(folder), network)
        assert same(load_network(folder / "network.json"), network)
        assert load_network(str(folder)).path == folder
        assert save_network(load_network(folder), tmp_path / "again", overwrite=True).is_dir()
        for path in folder.iterdir():
            assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_properties():
    network = small()
    assert network.input.pixels == 16 and network.output_neurons == 6
    assert InputSpec((2, 5), 3, "as-is", None, Encoding("threshold", threshold=1)).pixels == 30


def test_arrays_of_a_loaded_network_are_read_only(saved):
    layer = load_network(saved).layers[0]
    for array in (layer.weights, layer.thresholds):
        assert array.flags.c_contiguous and array.flags.aligned and not array.flags.writeable


def test_json_by_hand_needs_no_optional_fields(tmp_path):
    np.save(str(tmp_path / "w.npy"), np.zeros((4, 1), np.uint8))
    np.save(str(tmp_path / "t.npy"), np.zeros((4, 1), np.int16))
    layer = {"type": "dense", "inputs": 4, "outputs": 4, "weights": "w.npy", "thresholds": "t.npy"}
    layer.update(input="binary", accumulator="popcount", output="binary")
    document = {
        "format": "qnn-pynq-network",
        "version": 1,
        "name": "by-hand",
        "input": {"size": [2, 2], "encoding": {"kind": "threshold", "threshold": 128}},
        "layers": [layer],
        "decode": {"rule": "highest-bit"},
        "classes": ["a", "b"],
    }
    (tmp_path / "network.json").write_bytes(
        b"\xef\xbb\xbf" + json.dumps(document).encode()
    )  # with a mark of order
    network = load_network(tmp_path)
    assert network.title == "by-hand" and network.overlays == () and network.input.framing is None
    assert (
        network.input.channels == 1
        and network.input.polarity == "as-is"
        and network.layers[0].weight_bits == 1
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": "onnx"}, 'format: "onnx" is not allowed: expected "qnn-pynq-network"'),
        ({"version": 2}, "version: 2 is too new: this release reads up to 1; upgrade qnn-pynq"),
        ({"version": 0}, "version: 0 is not allowed"),
        ({"version": True}, "version: true is no integer"),
        ({"name": ...}, "name: missing: expected a string"),
        ({"name": "../x"}, 'name: "../x" is no plain name'),
        ({"name": ""}, 'name: "" is no plain name'),
        ({"colour": 1}, "colour: unknown field: expected one of classes, decode"),
        ({"overlays": "x"}, 'overlays: "x" is no list: expected a list'),
        ({"overlays": [f"o{n}" for n in range(65)]}, "overlays: 65 items are too many: expected at most 64"),
        ({"classes": ["a", "b", "a"]}, 'classes[2]: "a" is there twice'),
        ({"classes": [f"{n}" for n in range(16385)]}, "classes: 16385 items are too many"),
        ({"layers": [{}] * 1025}, "layers: 1025 items are too many: expected at most 1024"),
        ({"overlays": ["a/b"]}, 'overlays[0]: "a/b" is no name of an overlay'),
        ({"input": []}, "input: [] is no object: expected an object"),
        ({"input__size": [4]}, "input.size: [4] is not allowed: expected [height, width], each 1 to 4096"),
        ({"input__size": [4, 0]}, "input.size: [4, 0] is not allowed"),
        ({"input__size": [4, 4.0]}, "input.size: [4, 4.0] is not allowed"),
        ({"input__size": [4, True]}, "input.size: [4, true] is not allowed"),
        ({"input__channels": 2}, "input.channels: 2 is not allowed: expected 1 or 3"),
        ({"input__polarity": "dark"}, 'input.polarity: "dark" is not allowed: expected "light-on-dark" or'),
        ({"input__framing": "mass"}, 'input.framing: "mass" is no object'),
        (
            {"input__framing__centre": "top"},
            'input.framing.centre: "top" is not allowed: expected "mass" or "box"',
        ),
        ({"input__framing__object": [5, 2]}, "input.framing.object: [5, 2] is larger than input.size [4, 4]"),
        ({"input__framing__zoom": 2}, "input.framing.zoom: unknown field: expected one of centre, object"),
        (
            {"input__encoding__kind": "magic"},
            'input.encoding.kind: "magic" is not allowed: expected "threshold"',
        ),
        (
            {"input__encoding__threshold": 256},
            "input.encoding.threshold: 256 is out of range: expected 0 to 255",
        ),
        ({"input__encoding__threshold": ...}, "input.encoding.threshold: missing: expected an integer"),
        ({"input__encoding__pixels": "p.npy"}, "input.encoding.pixels: unknown field: expected one of kind"),
        ({"input__size": [5, 5]}, "layers[0].inputs: 19 are too few for the 25 bits of input.encoding"),
        ({"layers": []}, "layers: [] is empty: expected at least one object"),
        ({"layers": [3]}, "layers[0]: 3 is no object"),
        ({"layers__0__type": "lstm"}, 'layers[0].type: "lstm" is not allowed: expected one of "dense", "conv"'),
        ({"layers__0__inputs": "many"}, 'layers[0].inputs: "many" is no integer'),
        ({"layers__0__inputs": 0}, "layers[0].inputs: 0 is out of range: expected 1 to 32767"),
        ({"layers__1__outputs": 1 << 40}, "layers[1].outputs: 1099511627776 is out of range"),
        ({"layers__1__inputs": 13}, "layers[1].inputs: 13 does not match layers[0].outputs 12"),
        (
            {"layers__1__input": "binary"},
            'layers[1].input: "binary" does not match layers[0], which gives "ternary"',
        ),
        (
            {"layers__0__input": "ternary"},
            'layers[0].input: "ternary" does not match input.encoding, which gives "binary"',
        ),
        ({"layers__1__accumulator": "popcount"}, 'layers[1].accumulator: "popcount" does not go with input'),
        ({"layers__0__accumulator": "xor"}, 'layers[0].accumulator: "xor" is not allowed'),
        ({"layers__0__weight_bits": 2}, "layers[0].weight_bits: 2 is not allowed: expected 1"),
        ({"layers__0__weights": "../w.npy"}, 'layers[0].weights: "../w.npy" is no plain name'),
        ({"layers__0__weights": "/etc/passwd"}, 'layers[0].weights: "/etc/passwd" is no plain name'),
        ({"layers__0__weights": "sub\\w.npy"}, "layers[0].weights: "),
        ({"layers__0__weights": "none.npy"}, "layers[0].weights: none.npy is not there: expected a file"),
        ({"layers__0__weights": "network.json"}, "layers[0].weights: network.json is no .npy file"),
        ({"layers__0__thresholds": ...}, 'layers[0].thresholds: missing: output "ternary" needs'),
        (
            {"layers__0__output": "binary"},
            "layers[0].thresholds: layer0-thresholds.npy has shape (12, 2): expected",
        ),
        (
            {"layers__1__output": "none"},
            'layers[1].thresholds: "layer1-thresholds.npy" does not go with output',
        ),
        (
            {"layers__1__output": "none", "layers__1__thresholds": ...},
            'decode.rule: "highest-bit" needs bits at the end, layers[1] gives sums: expected a dense last layer with '
            'output "binary", or the rule "largest-sum"',
        ),
        (
            {"layers__0__outputs": 11},
            "layers[0].weights: layer0-weights.npy has shape (12, 3): expected (11, 3)",
        ),
        ({"layers__0__bias": "b.npy"}, "layers[0].bias: unknown field"),
        ({"decode__rule": "softmax"}, 'decode.rule: "softmax" is not allowed: expected "highest-bit"'),
        ({"decode__levels": 0}, "decode.levels: 0 is out of range: expected 1 to 64"),
        ({"decode__levels": 3}, "decode.levels: 3 names x 3 levels need 9 neurons: expected at most 8"),
        ({"decode__scale": -1.0}, "decode.scale: -1.0 is out of range: expected a number above 0"),
        ({"decode__scale": "big"}, 'decode.scale: "big" is no number'),
        ({"decode__scale": 10**400}, "is out of range: expected a number above 0 and at most 1e+30"),
        ({"classes": []}, "classes: [] is empty"),
        ({"classes": ["a", ""]}, 'classes[1]: "" is no text'),
        ({"classes": ["a", 1]}, "classes[1]: 1 is no text"),
        ({"classes": ["a", "b", "a"]}, 'classes[2]: "a" is there twice'),
        (
            {"classes": [str(k) for k in range(65)]},
            "classes: 65 names x 2 levels need 130 neurons: expected at most 8",
        ),
        ({"selftest": "selftest.npz"}, "selftest: selftest.npz is not there: expected a file"),
        ({"selftest": "../../x"}, 'selftest: "../../x" is no plain name'),
        ({"provenance": 3}, "provenance: 3 is no object"),
        ({"provenance": {"seed": "1"}}, 'provenance.seed: "1" is no integer'),
        ({"provenance": {"accuracy": {"test": "98 %"}}}, 'provenance.accuracy.test: "98 %" is no number'),
        ({"provenance": {"accuracy": 0.98}}, "provenance.accuracy: 0.98 is no object"),
    ],
)
def test_wrong_fields_are_named_with_value_and_what_is_allowed(saved, fields, message):
    change(saved, **fields)
    text = refusal(saved)
    assert text.startswith(str(saved / "network.json") + ": ") and message in text
    assert "\n" not in text


def test_more_than_64_classes_do_not_fit_an_overlay(tmp_path):
    layers = (dense(19, 70),)
    names = tuple(str(index) for index in range(65))
    with pytest.raises(
        DescriptorError, match="classes: 65 names x 1 levels need 65 neurons: expected at most 64"
    ):
        save_network(small(layers=layers, decode=Decode(), classes=names), tmp_path / "wide")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no JSON: expecting value at line 1, column 1"),
        (b'{\n "format": "x",\n oops\n}', "at line 3, column 2"),
        (b"[1, 2]", "[1, 2] is no object"),
        (b'{"a": 1, "a": 2}', 'the field "a" is there twice'),
        (b'{"a": NaN}', "NaN is no finite number"),
        (b'{"a": [1e999]}', "1e999 is no finite number"),
        (b'{"a": -Infinity}', "-Infinity is no finite number"),
        (b'{"a": "\xff"}', "not UTF-8: byte 7"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\x93NUMPY", "not UTF-8"),
    ],
)
def test_bad_json_is_named(saved, text, message):
    (saved / "network.json").write_bytes(text)
    assert message in refusal(saved)


def test_missing_or_strange_files_are_named(tmp_path):
    assert "no such file" in refusal(tmp_path / "nowhere")
    assert "no such file" in refusal(tmp_path)
    (tmp_path / "network.json").mkdir()
    assert "no regular file" in refusal(tmp_path)


def test_oversized_descriptor_is_not_read(tmp_path):
    with (tmp_path / "network.json").open("wb") as file:
        file.truncate(1 << 32)
    assert "bytes are too many: expected at most 4 MiB" in refusal(tmp_path)


def header(shape, dtype="|u1", fortran=False, version=b"\x01\x00") -> bytes:
    text = str({"descr": dtype, "fortran_order": fortran, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little") + text


class Payload:
    def __reduce__(self):
        return (os.mkdir, ("pwned",))


def pickled() -> bytes:
    import io

    stream = io.BytesIO()
    np.save(stream, np.array([[Payload()] * 3] * 12, dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no .npy file"),
        (b"PK\x03\x04", "is no .npy file"),
        (b"\x93NUMPX\x01\x00", "is no .npy file"),
        (
            header((12, 3), version=b"\x03\x00") + bytes(36),
            "version 3.0 of the format is not for plain arrays",
        ),
        (header((12, 3), version=b"\x02\x00") + bytes(35), "has 35 bytes of data: expected 36"),
        (header((12, 3)) + bytes(20), "has 20 bytes of data: expected 36"),
        (header((12, 3)) + bytes(37), "has 37 bytes of data: expected 36"),
        (header((12, 3)), "has 0 bytes of data: expected 36"),
        (header((12, 3))[:50], "is no .npy file"),
        (header((12, 4)) + bytes(48), "has shape (12, 4): expected (12, 3)"),
        (header((12,)) + bytes(12), "has shape (12,): expected (12, 3)"),
        (header((1 << 50, 1 << 50)), "has shape (1125899906842624, 1125899906842624): expected (12, 3)"),
        (header((12, -3)) + bytes(36), "has shape (12, -3)"),
        (header((12, 3), "<f4") + bytes(144), "has dtype <f4: expected uint8"),
        (header((12, 3), "|i1") + bytes(36), "has dtype |i1: expected uint8"),
        (header((12, 3), "|u1", True) + bytes(36), "is in Fortran order: expected C order"),
        (header((12, 3), "|O") + bytes(288), "has Python objects inside: expected plain uint8"),
        (header((12, 3), [("a", "|O")]) + bytes(288), "has Python objects inside"),
        (b"\x93NUMPY\x01\x00" + (60000).to_bytes(2, "little") + b"(" * 60000, "is no .npy file"),
        (pickled(), "has Python objects inside"),
    ],
)
def test_bad_arrays_are_named_and_never_unpickled(saved, data, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (saved / "layer0-weights.npy").write_bytes(data)
    text = refusal(saved)
    assert "layers[0].weights: layer0-weights.npy " in text and message in text
    assert not (tmp_path / "pwned").exists()


def test_thresholds_may_be_16_32_or_64_bits_signed(saved):
    good = load_network(saved).layers[0].thresholds
    for dtype in ("int16", "int32", "int64"):
        np.save(str(saved / "layer0-thresholds.npy"), good.astype(dtype))
        assert np.array_equal(load_network(saved).layers[0].thresholds, good)
    for dtype in ("uint16", ">i4", "float64", "int8"):
        np.save(str(saved / "layer0-thresholds.npy"), good.astype(dtype))
        assert "expected int16 or int32 or int64" in refusal(saved)


def test_pad_bits_must_be_zero(saved):
    weights = load_network(saved).layers[0].weights.copy()
    weights[7, 2] |= 8  # input 19 of 19
    np.save(str(saved / "layer0-weights.npy"), weights)
    assert "layers[0].weights: neuron 7 has pad bits set: expected 0 in the last 5 bits" in refusal(saved)


@pytest.mark.parametrize(
    ("pixels", "thresholds", "message"),
    [
        ([0, 16], [1, 1], "input.encoding.pixels: entry 1 is 16, outside the picture: expected 0 to 15"),
        ([0, 1], [1, 1, 1], "input.encoding.thresholds: t.npy has shape (3,): expected (2,)"),
        ([0] * 20, [0] * 20, "layers[0].inputs: 19 are too few for the 20 bits"),
        ([], [], "input.encoding.pixels: p.npy has shape (0,): expected (n,)"),
    ],
)
def test_bad_tables_are_named(saved, pixels, thresholds, message):
    np.save(str(saved / "p.npy"), np.array(pixels, np.uint16))
    np.save(str(saved / "t.npy"), np.array(thresholds, np.uint8))
    change(saved, input__encoding={"kind": "table", "pixels": "p.npy", "thresholds": "t.npy"})
    assert message in refusal(saved)


def test_an_array_that_is_a_folder_or_a_pipe_is_refused(saved):
    (saved / "layer0-weights.npy").unlink()
    os.mkfifo(str(saved / "layer0-weights.npy"))
    assert "layer0-weights.npy is not there" in refusal(saved)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
places = st.sampled_from(
    "format version name title overlays input layers decode classes selftest provenance input__size "
    "input__channels input__polarity input__framing input__encoding layers__0 layers__0__type "
    "layers__0__inputs layers__1__outputs layers__0__weights layers__0__thresholds layers__1__input "
    "layers__0__accumulator decode__rule decode__levels decode__scale".split()
)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A folder that a test may spoil, and its files as they were."""
    folder = save_network(small(), tmp_path_factory.mktemp("fuzzed") / "small")
    return folder, {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=200, deadline=None)
@given(places, json_values)
def test_any_value_anywhere_is_accepted_or_refused_by_name(pristine, place, value):
    folder, original = pristine
    (folder / "network.json").write_bytes(original["network.json"])
    try:
        text = json.dumps(value)
    except ValueError:
        return
    change(folder, **{place: json.loads(text)})
    try:
        load_network(folder)
    except DescriptorError as error:
        assert "network.json: " in str(error)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 163), st.binary(min_size=1, max_size=4))
def test_any_damage_of_an_array_file_is_refused_by_name_or_harmless(pristine, place, junk):
    folder, original = pristine
    (folder / "network.json").write_bytes(original["network.json"])
    data = bytearray(original["layer0-weights.npy"])
    data[place : place + len(junk)] = junk
    (folder / "layer0-weights.npy").write_bytes(bytes(data))
    try:
        load_network(folder)
    except DescriptorError as error:
        assert "layers[0].weights" in str(error)


# ---- saving


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, "name: "),
        ({"classes": ()}, "classes: "),
        ({"classes": ("a", "b\udcff")}, r"classes\[1\]: 'b.udcff' has control characters or is no text"),
        ({"classes": ("a", "\x1b[31mred\n")}, r"classes\[1\]: '.x1b.31mred.n' has control characters"),
        ({"title": "half \udcff"}, "cannot be written as JSON"),
        (
            {"layers": (dense(19, 12), dense(13, 8))},
            "layers.1..inputs: 13 does not match layers.0..outputs 12",
        ),
        ({"provenance": {"loss": float("nan")}}, "cannot be written as JSON"),
        ({"provenance": {"seed": np.int64(3)}}, "cannot be written as JSON"),
        ({"selftest": "selftest.npz"}, "selftest: no file selftest.npz"),
        ({"selftest": "../x"}, "selftest: "),
        ({"layers": (dataclasses.replace(dense(19, 8), weights=np.zeros((8, 3))),)}, "has dtype <f8"),
        (
            {"layers": (dataclasses.replace(dense(19, 8), weights=np.full((8, 3), None)),)},
            "layer0-weights.npy",
        ),
    ],
)
def test_what_cannot_be_loaded_is_not_saved(tmp_path, changes, message):
    with pytest.raises(DescriptorError, match=message) as caught:
        save_network(small(**changes), tmp_path / "sub" / "net")
    assert ".net-" not in str(caught.value)  # no temporary names in the message
    assert list((tmp_path / "sub").iterdir()) == []


def test_existing_folders_are_kept_unless_told(saved, tmp_path):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(DescriptorError, match="is there already"):
        save_network(small(), saved)
    with pytest.raises(DescriptorError):
        save_network(small(classes=()), saved, overwrite=True)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(DescriptorError, match="is no network directory"):
        save_network(small(), tmp_path / "home", overwrite=True)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(DescriptorError, match="is no network directory"):
        save_network(small(), tmp_path / "file", overwrite=True)


def test_overwriting_drops_the_old_arrays_and_keeps_other_files(saved):
    (saved / "notes.md").write_text("mine")
    (saved / "logs").mkdir()
    (saved / "logs" / "epoch1").write_text("log")
    save_network(small(layers=(dense(19, 8),)), saved, overwrite=True)
    names = sorted(path.name for path in saved.iterdir())
    assert names == ["layer0-thresholds.npy", "layer0-weights.npy", "logs", "network.json", "notes.md"]
    assert (saved / "logs" / "epoch1").read_text() == "log"
    assert len(load_network(saved).layers) == 1 and [path.name for path in saved.parent.iterdir()] == [
        "small"
    ]


def test_selftest_file_travels_with_the_network(saved, tmp_path):
    (saved / "selftest.npz").write_bytes(b"known answers")
    save_network(dataclasses.replace(load_network(saved), selftest="selftest.npz"), saved, overwrite=True)
    network = load_network(saved)
    assert network.selftest == "selftest.npz" and (saved / "selftest.npz").read_bytes() == b"known answers"
    save_network(network, tmp_path / "copy")
    assert (tmp_path / "copy" / "selftest.npz").read_bytes() == b"known answers"


@pytest.mark.parametrize("place", ["/dev/null/x", "/proc/x"])
def test_a_place_that_cannot_be_written_is_named(place):
    with pytest.raises(FetchError, match=f"network small cannot be written to {place}: .*; use another folder"):
        save_network(small(), place)


@pytest.mark.parametrize("name", ["\x1b[31mred", "two\nlines", "\x7f", "\x9b31m", "\ud800"])
def test_class_names_that_would_upset_a_terminal_are_refused(saved, name):
    change(saved, classes=["a", "b", name])
    said = refusal(saved)
    assert "classes[2]: " + ascii(name) in said and "control characters" in said and said.isprintable()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_while_replacing_keeps_the_old_network(saved, monkeypatch, error):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    real = os.replace

    def replace(source, target):
        if target == str(saved) and "old" not in source:
            raise error
        real(source, target)

    monkeypatch.setattr(module.os, "replace", replace)
    with pytest.raises(type(error)):
        save_network(small(title="new"), saved, overwrite=True)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert [path.name for path in saved.parent.iterdir()] == ["small"]


@pytest.mark.parametrize("layers", [1, 2])
def test_the_sums_of_a_dense_layer_without_thresholds_can_be_the_end(layers: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(layers)
    front = small().layers[0]
    inputs = 12 if layers == 2 else 19
    bits = rng.integers(0, 2, (3, inputs), dtype=np.uint8)
    last = Dense(inputs, 3, np.packbits(bits, axis=1, bitorder="little"), None, accumulator="sum", output="none",
                 input="ternary" if layers == 2 else "binary")
    made = small(layers=(front, last)[-layers:], decode=Decode("largest-sum"))
    network = load_network(save_network(made, tmp_path / "sums"))
    pictures = rng.integers(0, 256, (40, 16)).astype(np.uint8)

    values = np.pad(np.where(pictures >= 128, 1, -1), ((0, 0), (0, 3)), constant_values=-1)  # 19 inputs, 16 pixels
    if layers == 2:
        signs = 2 * np.unpackbits(front.weights, axis=1, count=19, bitorder="little").astype(int) - 1
        values = (front.thresholds[None] < (values @ signs.T)[:, :, None]).sum(axis=2) - 1
    sums = values @ (2 * bits.astype(int) - 1).T
    with Classifier(network, board="cpu") as classifier:
        assert np.array_equal(classifier.decision_function(pictures), sums)
        assert classifier.predict(pictures).tolist() == sums.argmax(axis=1).tolist()
        assert classifier.classify(pictures[0].reshape(4, 4)).index == sums[0].argmax()
        powers = np.exp(sums - sums.max(axis=1, keepdims=True))
        assert np.allclose(classifier.predict_proba(pictures), powers / powers.sum(axis=1, keepdims=True))


def test_sums_at_the_end_are_one_for_each_class_and_go_with_the_rule_that_reads_them(tmp_path: Path) -> None:
    last = Dense(12, 3, np.zeros((3, 2), np.uint8), None, input="ternary", accumulator="sum", output="none")
    layers = (small().layers[0], last)
    for changed, words in (({"decode": Decode("largest-sum"), "classes": ("a", "b")}, "3 does not match the 2 names"),
                           ({"decode": Decode("highest-bit")}, '"highest-bit" needs bits at the end')):
        with pytest.raises(DescriptorError, match=words):
            save_network(small(layers=layers, **changed), tmp_path / "refused")
