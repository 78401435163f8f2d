from __future__ import annotations

import dataclasses
import filecmp
import gzip
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import oracle
import pytest
from PIL import Image

from qnn_pynq.classifier import Classifier
from qnn_pynq.convert.bnn_pynq import LFC_FOLDS, export_bnn_pynq, import_bnn_pynq
from qnn_pynq.errors import ConversionError, QnnWarning
from qnn_pynq.networks import Framing, load_network, save_network


@pytest.fixture(params=["lfcW1A1", "lfcW1A2"])
def published(request, golden) -> Path:
    return golden / "bnn-pynq" / "params" / "mnist" / request.param


@pytest.fixture(scope="module")
def w1a1(golden) -> Path:
    return golden / "bnn-pynq" / "params" / "mnist" / "lfcW1A1"


@pytest.fixture
def copy(w1a1, tmp_path) -> Path:
    """A W1A1 folder that a test may damage."""
    target = tmp_path / "mnist" / "lfcW1A1"
    target.mkdir(parents=True)
    for path in w1a1.iterdir():
        shutil.copyfile(str(path), str(target / path.name))
    return target


def test_published_parameters_survive_our_format_byte_for_byte(published, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = import_bnn_pynq(published)
        save_network(network, tmp_path / "net")
        export_bnn_pynq(load_network(tmp_path / "net"), tmp_path / "back" / "bin")
    names = sorted(path.name for path in published.iterdir())
    assert len(names) == 289 and sorted(path.name for path in (tmp_path / "back" / "bin").iterdir()) == names
    _, different, errors = filecmp.cmpfiles(
        str(published), str(tmp_path / "back" / "bin"), names, shallow=False
    )
    assert not different and not errors


def test_kind_is_told_by_the_thresholds(published):
    network = import_bnn_pynq(published)
    assert network.overlays == (
        {"lfcW1A1": "bnn-pynq-lfc-w1a1", "lfcW1A2": "bnn-pynq-lfc-w1a2"}[published.name],
    )
    assert [layer.thresholds.shape for layer in network.layers] == [
        (1024, 1 if published.name == "lfcW1A1" else 2)
    ] * 3 + [(64, 1)]
    assert network.classes == tuple("0123456789") and network.name == published.name.lower() + "-mnist"


def test_published_three_gives_word_eight(published, golden):
    raw = (golden / "bnn-pynq" / "images" / "3.image-idx3-ubyte").read_bytes()
    picture = np.frombuffer(raw[16 : 16 + 784], dtype=np.uint8)[None]
    network = import_bnn_pynq(published)
    bits = oracle.encode(picture, 832, threshold=network.input.encoding.threshold)
    assert [int(word) for word in oracle.lfc_words(network.layers, bits)] == [8]


def test_word_layout_is_that_of_the_specification(w1a1):
    """One synapse by hand: neuron nf*PE+pe, synapse sf*SIMD+s, word nf*SF+sf of PE pe, bit s."""
    network = import_bnn_pynq(w1a1)
    rng = np.random.default_rng(0)
    for index, folds in enumerate(LFC_FOLDS):
        for _ in range(20):
            neuron, synapse = int(rng.integers(folds.outputs)), int(rng.integers(folds.inputs))
            nf, pe = divmod(neuron, folds.pe)
            sf, s = divmod(synapse, folds.simd)
            words = np.fromfile(str(w1a1 / f"{index}-{pe}-weights.bin"), "<u8")
            word = int(words[nf * (folds.inputs // folds.simd) + sf])
            got = int(network.layers[index].weights[neuron, synapse // 8]) >> (synapse % 8) & 1
            assert got == word >> s & 1
            thresholds = np.fromfile(str(w1a1 / f"{index}-{pe}-thres.bin"), "<i8")
            assert network.layers[index].thresholds[neuron, 0] == thresholds[nf]


def test_short_files_are_completed_with_zeros_and_said_so(copy):
    """As in upstream's set for 47 characters: three of four rows of neurons in the last layer."""
    for pe in range(16):
        for what, keep in (("weights", 384), ("thres", 3)):
            path = copy / f"3-{pe}-{what}.bin"
            path.write_bytes(path.read_bytes()[: 8 * keep])
    with pytest.warns(QnnWarning) as caught:
        network = import_bnn_pynq(copy)
    assert [str(warning.message).split(":")[0] for warning in caught] == [
        "3-0-weights.bin (and 15 more) has 384 of 512 words",
        "3-0-thres.bin (and 15 more) has 3 of 4 words",
    ]
    assert not network.layers[3].thresholds[48:].any() and not network.layers[3].weights[48:].any()
    assert network.layers[3].weights[:48].any(axis=1).all()


def test_classes_end_at_trailing_empty_lines_and_can_be_given(copy, tmp_path):
    (copy / "classes.txt").write_bytes(b"zero\r\none\r\n\r\n  \r\n")
    assert import_bnn_pynq(copy).classes == ("zero", "one")
    assert import_bnn_pynq(copy, name="mine", classes=["a", "b", "c"]).classes == ("a", "b", "c")
    (tmp_path / "names.txt").write_text("x\ny\n")
    assert import_bnn_pynq(copy, classes=tmp_path / "names.txt").classes == ("x", "y")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("2-7-weights.bin", lambda data: data[:-3], "has 4093 bytes: expected 4096.*truncated"),
        ("2-7-thres.bin", lambda data: b"", "has 0 bytes: expected 256"),
        ("1-3-weights.bin", lambda data: data + bytes(8), "has 4104 bytes: expected at most 4096"),
        ("3-2-thres.bin", lambda data: data + bytes(8), "has 40 bytes: expected at most 32"),
        ("0-31-weights.bin", None, "0-31-weights.bin is not there: layer 0 needs 32 such files"),
        ("1-63-thres.bin", None, "1-63-thres.bin is not there"),
        ("3-16-weights.bin", lambda data: bytes(8), "3-16-weights.bin is one too many"),
        ("classes.txt", None, "classes.txt cannot be read"),
        ("classes.txt", lambda data: b"\n\n", "0 names"),
        ("classes.txt", lambda data: b"a\n\nb", "3 names: expected different, non-empty"),
        ("classes.txt", lambda data: b"a\na", "expected different"),
        ("classes.txt", lambda data: b"\xff\xfe\x00", "cannot be read"),
        (
            "classes.txt",
            lambda data: "\n".join(map(str, range(65))).encode(),
            "65 names: the LFC overlays have 64",
        ),
    ],
)
def test_damaged_folders_are_refused(copy, name, change, message):
    path = copy / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes() if path.exists() else b""))
    with pytest.raises(ConversionError, match=message):
        import_bnn_pynq(copy)


def test_no_folder_is_refused(tmp_path):
    for folder in (tmp_path / "nowhere", "x" * 5000, "a\0b"):
        with pytest.raises(ConversionError, match="is no folder"):
            import_bnn_pynq(folder)
    for folder in (None, 5):
        with pytest.raises(ConversionError, match="expected the path"):
            import_bnn_pynq(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_refused_instead_of_waited_for(copy, tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    with pytest.raises(ConversionError, match="pipe cannot be read: no such file, or no regular one"):
        import_bnn_pynq(copy, classes=tmp_path / "pipe")
    with pytest.raises(ConversionError, match="xxx.* cannot be read"):
        import_bnn_pynq(copy, classes="x" * 5000)
    (copy / "0-0-weights.bin").unlink()
    os.mkfifo(str(copy / "0-0-weights.bin"))
    with pytest.raises(ConversionError, match="has 0 bytes"):
        import_bnn_pynq(copy)


def test_a_threshold_file_that_is_a_folder_is_refused(copy):
    (copy / "0-0-thres.bin").unlink()
    (copy / "0-0-thres.bin").mkdir()
    with pytest.raises(ConversionError, match="0-0-thres.bin"):
        import_bnn_pynq(copy)


def test_export_refuses_other_networks_and_full_folders(w1a1, tmp_path):
    network = import_bnn_pynq(w1a1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(ConversionError, match="choose another"):
        export_bnn_pynq(network, tmp_path / "full")
    short = dataclasses.replace(network, layers=network.layers[:2])
    with pytest.raises(ConversionError, match="832-1024-1024-1024-64"):
        export_bnn_pynq(short, tmp_path / "other")
    assert not (tmp_path / "other").exists() and len(list(tmp_path.iterdir())) == 1
    levels = dataclasses.replace(network, decode=dataclasses.replace(network.decode, levels=6))
    with pytest.warns(QnnWarning, match="6 levels"):
        export_bnn_pynq(levels, tmp_path / "levels")


# -- framing ---------------------------------------------------------------------------------------------

DIGITS = Framing((20, 20), "mass")
CHARACTERS = Framing((28, 28), "mass")
MERGED = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"  # the published set of 47


@pytest.mark.parametrize(
    ("classes", "framing"),
    [("0123456789", DIGITS), ("1234567890", DIGITS), ("17", DIGITS), (MERGED, CHARACTERS), ("ABC", CHARACTERS)],
)
def test_framing_of_digits_and_characters_is_known(w1a1, tmp_path, classes, framing):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = import_bnn_pynq(w1a1, classes=list(classes))
        assert load_network(save_network(network, tmp_path / "net")).input.framing == framing
    assert network.input.polarity == "light-on-dark"


@pytest.mark.parametrize("classes", [["shirt", "bag"], ["0", "10"], ["a", "?"]])
def test_where_nothing_is_known_it_is_said_and_may_be_given(w1a1, classes):
    with pytest.warns(QnnWarning, match="nothing says how its pictures were framed.*28 x 28.*--framing") as caught:
        assert import_bnn_pynq(w1a1, classes=classes).input.framing is None
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for framing in (None, Framing((28, 28), "box"), Framing((1, 28), "mass")):
            assert import_bnn_pynq(w1a1, classes=classes, framing=framing).input.framing == framing


def test_a_framing_that_does_not_fit_is_refused(w1a1):
    for framing, said in (
        (Framing((29, 20), "mass"), "an object of 29 x 20: .*from 1 up to the picture's 28 x 28"),
        (Framing((0, 20), "box"), "an object of 0 x 20"),
        (Framing((20, 20), "middle"), 'centre "middle": expected "mass" or "box"'),
        ("mass", 'framing "mass": expected "auto"'),
    ):
        with pytest.raises(ConversionError, match=said):
            import_bnn_pynq(w1a1, framing=framing)


def test_digits_anywhere_in_larger_pictures_are_answered_right(w1a1, shared_data):
    """Twice as large, dark on light, somewhere on a sheet of 120 x 160: right with the framing, 1 in 10 without it."""
    raw = gzip.open(str(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")).read(16 + 300 * 784)
    pictures = np.frombuffer(raw, np.uint8, offset=16).reshape(300, 28, 28)
    raw = gzip.open(str(shared_data / "mnist" / "t10k-labels-idx1-ubyte.gz")).read(8 + 300)
    labels = np.frombuffer(raw, np.uint8, offset=8)
    rng = np.random.RandomState(0)
    sheets = []
    for picture in pictures:
        sheet = np.full((120, 160), 255, np.uint8)
        top, left = rng.randint(0, 64), rng.randint(0, 104)
        large = Image.fromarray(picture).resize((56, 56), Image.BICUBIC)
        sheet[top : top + 56, left : left + 56] = 255 - np.asarray(large)
        sheets.append(Image.fromarray(sheet))
    rates = {}
    for framing in ("auto", None):
        with Classifier(import_bnn_pynq(w1a1, framing=framing), board="cpu") as classifier:
            rates[framing] = float((classifier.predict(sheets) == labels).mean())
    assert rates["auto"] >= 0.95 and rates[None] <= 0.2, rates
