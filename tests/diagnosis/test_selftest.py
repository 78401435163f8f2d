"""The self-test: right answers pass, a single wrong word or code is named, and what cannot run says why."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import oracle_conv
import pytest
import small_conv

from qnn_pynq import catalogue
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.diagnosis import selftest
from qnn_pynq.engines import BoardEngine
from qnn_pynq.errors import BoardUnavailableError, DescriptorError, InputError, NotFoundError
from qnn_pynq.networks import Decode, Dense, Encoding, InputSpec, Linear, Network, Segment, load_network, save_network
from qnn_pynq.reliability.answers import Answers, known_answers

SHAPE = ((832, 1024), (1024, 1024), (1024, 1024), (1024, 64))
OVERLAY = "bnn-pynq-lfc-w1a1"


def write_network(tmp_path: Path, answers: bool = True, wrong: tuple[int, ...] = ()) -> Path:
    """A random network with answers by the oracle, spoilt where `wrong` says so."""
    random = np.random.RandomState(7)
    layers = tuple(
        Dense(
            inputs,
            outputs,
            random.randint(0, 256, (outputs, inputs // 8)).astype(np.uint8),
            np.full((outputs, 1), inputs // 2, np.int32),
        )
        for inputs, outputs in SHAPE
    )
    pictures = random.randint(0, 256, (12, 784)).astype(np.uint8)
    words = oracle.lfc_words(layers, oracle.encode(pictures, 832, threshold=128))
    for index in wrong:
        words[index] ^= np.uint64(1)
    made = tmp_path / "made"
    made.mkdir()
    np.savez(str(made / "selftest.npz"), pictures=pictures, words=words)
    spec = InputSpec((28, 28), 1, "as-is", None, Encoding("threshold", 128))
    network = Network(
        "random-lfc",
        "",
        "",
        (OVERLAY,),
        spec,
        layers,
        Decode(),
        tuple("abcdefghij"),
        {},
        made,
        "selftest.npz" if answers else None,
    )
    return save_network(network, tmp_path / "networks" / "random-lfc")


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("right"))


def test_every_board_gives_the_known_answers(right: Path) -> None:
    outcomes = selftest.run([str(right)], ["emulated", "cpu"])
    assert [(o.board, o.mode) for o in outcomes] == [
        ("emulated", "conservative"),
        ("emulated", "fast"),
        ("cpu", "kernels"),
    ]
    for outcome in outcomes:
        assert outcome.ok and outcome.pictures == 12 and outcome.result == "ok" and not outcome.details


def test_wrong_words_are_named_and_the_fast_mode_is_not_tried_then(tmp_path: Path) -> None:
    folder = write_network(tmp_path, wrong=(3, 8))
    emulated, cpu = selftest.run([str(folder)], ["emulated", "cpu"])
    assert emulated.mode == "conservative"
    for outcome in (emulated, cpu):
        assert outcome.wrong and not outcome.ok and outcome.result == "2 wrong"
        assert [wrong["picture"] for wrong in outcome.mismatches] == [3, 8]
        for line in outcome.details:
            assert f"random-lfc on {outcome.board}" in line
        expected = outcome.mismatches[0]["expected"]
        assert int(expected, 16) ^ int(outcome.mismatches[0]["got"], 16) == 1
        assert f"picture 3: expected {expected}" in outcome.details[0]


def test_many_wrong_words_are_shortened_in_words_only(tmp_path: Path) -> None:
    (outcome,) = selftest.run([str(write_network(tmp_path, wrong=tuple(range(12))))], ["cpu"])
    assert len(outcome.mismatches) == 12 and len(outcome.details) == 6
    assert outcome.details[-1].endswith("and 7 more")
    assert len(outcome.as_dict()["mismatches"]) == 12


def test_a_network_without_answers_is_no_failure(tmp_path: Path) -> None:
    (outcome,) = selftest.run([str(write_network(tmp_path, answers=False))], ["cpu"])
    assert outcome.ok and outcome.missing and outcome.result == "no answers" and outcome.details


def test_broken_answers_are_not_run(tmp_path: Path, right: Path) -> None:
    network = load_network(right)
    path = tmp_path / "selftest.npz"
    pictures, words = np.zeros((2, 784), np.uint8), np.zeros(2, np.uint64)
    arrays: list[dict[str, Any]] = [
        {"pictures": pictures},
        {"pictures": pictures[:1], "words": words},
        {"pictures": pictures.astype(np.int16), "words": words},
        {"pictures": pictures, "words": words.astype(np.int64)},
        {"pictures": pictures[:0], "words": words[:0]},
        {"pictures": pictures, "words": np.array([{}, {}], dtype=object)},
    ]
    for named in arrays:
        np.savez(str(path), **named)
        with pytest.raises(DescriptorError, match="selftest.npz"):
            known_answers(dataclasses.replace(network, path=tmp_path))
    noise = np.random.RandomState(0).randint(0, 30, (50, 784)).astype(np.uint8)
    np.savez_compressed(str(path), pictures=noise, words=np.zeros(50, np.uint64))
    damaged = path.read_bytes()
    for content in (b"", damaged[:200] + bytes(60) + damaged[260:]):
        path.write_bytes(content)
        with pytest.raises(DescriptorError, match="selftest.npz"):
            known_answers(dataclasses.replace(network, path=tmp_path))


def test_networks_that_are_found_but_broken_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "network.json").write_text("{}")
    monkeypatch.setattr(catalogue, "networks", lambda: {"broken": tmp_path / "broken", "random-lfc": right})
    outcomes = selftest.run(boards=["cpu"])
    assert [(o.network, o.ok) for o in outcomes] == [("broken", False), ("random-lfc", True)]
    assert outcomes[0].result == "not run" and "format" in outcomes[0].note


def test_a_network_asked_for_by_name_must_be_there() -> None:
    with pytest.raises(NotFoundError):
        selftest.run(["nothing-of-the-kind"])


def test_an_unknown_board_is_refused() -> None:
    with pytest.raises(InputError, match="gpu"):
        selftest.run(boards=["gpu"])


def test_an_unusable_fpga_is_reported_not_skipped(right: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Any:
        raise BoardUnavailableError("not root")

    monkeypatch.setattr(selftest, "open_board", refuse)
    (outcome,) = selftest.run([str(right)], ["zynq"])
    assert not outcome.ok and not outcome.wrong and outcome.note == "not root"


class Fpga(EmulatedBoard):
    """Stands for a real board: the record of what it passed is kept."""

    emulated = False


@pytest.fixture
def fpga(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bool]:
    """Modes tried on the FPGA, True for the conservative one."""
    tried: list[bool] = []

    def engine(board: Any, overlays: Any, conservative: bool) -> BoardEngine:
        tried.append(conservative)
        return BoardEngine(board, overlays, conservative)

    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(selftest, "open_board", lambda name: Fpga())
    monkeypatch.setattr(selftest, "BoardEngine", engine)
    return tried


def test_a_board_never_seen_gets_the_published_sequence_first(fpga: list[bool], right: Path) -> None:
    assert all(outcome.ok for outcome in selftest.run([str(right)], ["zynq"]))
    assert fpga == [True, False]
    assert all(outcome.ok for outcome in selftest.run([str(right)], ["zynq"]))
    assert fpga == [True, False, False], "it is known now"


def test_a_board_that_fails_stays_unknown(fpga: list[bool], tmp_path: Path, right: Path) -> None:
    wrong = write_network(tmp_path, wrong=(0,))
    assert not selftest.run([str(wrong)], ["zynq"])[0].ok
    assert all(outcome.ok for outcome in selftest.run([str(right)], ["zynq"]))
    assert fpga == [True, True, False]


def test_an_unwritable_cache_does_not_fail_the_test(
    fpga: list[bool], tmp_path: Path, right: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "file"))
    assert all(outcome.ok for outcome in selftest.run([str(right)], ["zynq"]))


def write_convolutional(tmp_path: Path, features: bool = False, spoil: str = "") -> Path:
    """A small network with answers by the oracle, one of which is spoilt: of "codes" or of "classes"."""
    network = small_conv.small_network(3, crop=False)
    if features:
        network = dataclasses.replace(network, layers=network.layers[:-1], decode=Decode("features"), classes=())
    tail = [layer for layer in network.layers if isinstance(layer, Linear)]
    pictures = np.random.RandomState(1).randint(0, 256, (7, 16, 16, 3)).astype(np.uint8)
    codes = oracle_conv.forward(network.layers[: len(network.layers) - len(tail)], pictures)
    answers = {"pictures": pictures, "codes": codes}
    if tail:
        answers["classes"] = oracle_conv.forward(tail, codes).argmax(axis=1).astype(np.int64)
    if spoil == "codes":
        codes[4, 1, 2, 3] ^= 1
    elif spoil:
        answers[spoil][6] = (answers[spoil][6] + 1) % 5
    made = tmp_path / "made"
    made.mkdir()
    np.savez(str(made / "selftest.npz"), **answers)
    network = dataclasses.replace(network, selftest="selftest.npz", path=made)
    return save_network(network, tmp_path / "networks" / "small")


@pytest.mark.parametrize("features", [False, True])
def test_convolutional_networks_are_compared_code_by_code(tmp_path: Path, features: bool) -> None:
    folder = write_convolutional(tmp_path, features)
    answers = known_answers(load_network(folder))
    assert answers is not None and (answers.kind, answers.end) == ("codes", 4)
    assert (answers.classes is None) == features
    outcomes = selftest.run([str(folder)], ["emulated", "cpu"])
    assert [o.mode for o in outcomes] == ["conservative", "fast", "kernels"]
    assert all(o.ok and o.pictures == 7 for o in outcomes), [o.details for o in outcomes]


def test_segments_run_on_an_overlay_each(tmp_path: Path) -> None:
    folder = write_convolutional(tmp_path)
    network = dataclasses.replace(load_network(folder), segments=(Segment(3, "qnn-mo-w1a3"),))
    save_network(network, folder, overwrite=True)
    outcomes = selftest.run([str(folder)], ["emulated"])
    assert [(o.mode, o.result) for o in outcomes] == [("conservative", "ok"), ("fast", "ok")]


@pytest.mark.parametrize("features", [False, True])
def test_a_wrong_code_is_named_with_its_place(tmp_path: Path, features: bool) -> None:
    folder = write_convolutional(tmp_path, features, "codes")
    (outcome,) = selftest.run([str(folder)], ["cpu"])
    assert outcome.result == "1 wrong" and outcome.mismatches[0]["picture"] == 4
    assert outcome.mismatches[0]["expected"].endswith("at y 1, x 2, channel 3")
    assert outcome.mismatches[0]["got"].endswith("(1 of 640 codes differ)")


def test_a_wrong_class_is_named(tmp_path: Path) -> None:
    folder = write_convolutional(tmp_path, spoil="classes")
    (outcome,) = selftest.run([str(folder)], ["cpu"])
    (wrong,) = outcome.mismatches
    assert wrong["picture"] == 6 and wrong["expected"].startswith("class ") and wrong["expected"] != wrong["got"]


def test_broken_answers_of_a_convolutional_network_are_refused(tmp_path: Path) -> None:
    folder = write_convolutional(tmp_path)
    network = load_network(folder)
    with np.load(str(folder / "selftest.npz")) as found:
        right = {name: found[name] for name in found.files}
    for name, array in (
        ("pictures", right["pictures"][:, :8]),
        ("pictures", right["pictures"].astype(np.float32)),
        ("codes", right["codes"][:3]),
        ("codes", right["codes"].astype(np.int16)),
        ("classes", right["classes"] + 5),
        ("classes", right["classes"] - 5),
        ("classes", right["classes"].astype(np.int32)),
        ("classes", np.int64(3)),
    ):
        np.savez(str(folder / "selftest.npz"), **dict(right, **{name: array}))
        with pytest.raises(DescriptorError, match="selftest.npz"):
            known_answers(network)


def test_every_shipped_network_brings_answers() -> None:
    for name in catalogue.networks():
        network = catalogue.find_network(name)
        answers = known_answers(network)
        assert answers is not None, name
        if answers.kind in ("words", "sums"):
            _check_dense(network, answers)
        else:
            _check_convolutional(network, answers)


def _check_dense(network: Network, answers: Answers) -> None:
    encoding = network.input.encoding
    bits = oracle.encode(
        answers.pictures, network.layers[0].inputs, encoding.threshold, encoding.pixels, encoding.thresholds
    )
    expected = oracle.lfc_words if answers.kind == "words" else oracle.lfc_sums
    assert np.array_equal(expected(network.layers, bits), answers.values), network.name
    if answers.classes is not None:
        assert np.array_equal(answers.values.argmax(axis=1), answers.classes), network.name
    assert len(answers.values) >= 20 and len({row.tobytes() for row in answers.values}) >= 10, network.name


def _check_convolutional(network: Network, answers: Answers) -> None:
    pictures = answers.pictures[:3].reshape(3, *network.input.size, network.input.channels)
    codes = oracle_conv.forward(network.layers[:-1], pictures)
    assert np.array_equal(codes, answers.values[:3]), network.name
    assert len(answers.values) >= 10 and len(set(answers.classes.tolist())) >= 3, network.name
    # Every channel of the last map says something.
    assert answers.values.reshape(-1, answers.values.shape[-1]).any(axis=0).all(), network.name
