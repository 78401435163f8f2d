"""`import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnn_pynq import Classifier
from qnn_pynq.convert.bnn_pynq import export_bnn_pynq
from qnn_pynq.networks import Framing, load_network


@pytest.fixture
def parameters(random_network: Path, tmp_path: Path) -> Path:
    """A BNN-PYNQ parameter folder."""
    return Path(export_bnn_pynq(load_network(random_network), tmp_path / "lfcW1A1"))


def weights(network: Path) -> list[bytes]:
    return [layer.weights.tobytes() for layer in load_network(network).layers]


def test_bnn_pynq_parameters_become_a_network(
    run: Any, parameters: Path, random_network: Path, tmp_path: Path, picture: Path
) -> None:
    target = tmp_path / "imported"
    ran = run("import", "bnn-pynq", parameters, "-o", target, "--framing", "none")  # as the other network has it
    assert ran.code == 0 and str(target) in ran.out
    assert weights(target) == weights(random_network)
    assert load_network(target).name == "imported"
    arguments = [picture, "--board", "cpu", "--json"]
    answers = [run("classify", "-n", n, *arguments).json["pictures"][0]["scores"] for n in (target, random_network)]
    assert answers[0] == answers[1]


def test_names_and_class_names_can_be_given(run: Any, parameters: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("ant\nbee\n\n")
    target = tmp_path / "imported"
    ran = run("import", "bnn-pynq", parameters, "-o", target, "--classes", names, "--name", "insects", "--json").json
    assert ran["classes"] == ["ant", "bee"] and ran["network"] == "insects" and ran["path"] == str(target)


def test_nothing_is_overwritten_unasked(run: Any, parameters: Path, tmp_path: Path) -> None:
    target = tmp_path / "imported"
    assert run("import", "bnn-pynq", parameters, "-o", target).code == 0
    ran = run("import", "bnn-pynq", parameters, "-o", target)
    assert ran.code == 3 and str(target) in ran.err
    assert run("import", "bnn-pynq", parameters, "-o", target, "--overwrite").code == 0


def test_wrong_sources_leave_nothing_behind(run: Any, parameters: Path, tmp_path: Path) -> None:
    target = tmp_path / "imported"
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    (tmp_path / "text.npz").write_text("no archive")
    for arguments in (
        ["bnn-pynq", tmp_path / "nowhere"],
        ["bnn-pynq", parameters, "--precision", "w1a2"],
        ["bnn-pynq", parameters, "--classes", tmp_path / "nowhere.txt"],
        ["bnn-pynq", parameters, "--classes", binary],
        ["finnthesizer", tmp_path / "nowhere.npz", "--precision", "w1a1"],
        ["finnthesizer", tmp_path / "text.npz", "--precision", "w1a1"],
        ["finnthesizer", tmp_path / "text.npz"],
    ):
        ran = run("import", *arguments, "-o", target)
        assert ran.code == 3 and ran.err.count("\n") == 1, ran
        assert not target.exists()
    assert run("import", "bnn-pynq", parameters, "-o", target, "--rule", "upstream").code == 2


def test_finnthesizer_archives_with_either_rule(run: Any, tmp_path: Path) -> None:
    random = np.random.RandomState(3)
    arrays = []
    for fan_in, outputs in ((784, 64), (64, 64), (64, 64), (64, 10)):
        arrays.append(random.uniform(-1, 1, (fan_in, outputs)).astype(np.float32))
        arrays += [random.normal(0, 1, outputs).astype(np.float32) for _ in range(2)]
        arrays.append((random.uniform(0.2, 2, outputs) * random.choice([-1, 1], outputs)).astype(np.float32))
        arrays.append(random.normal(0, np.sqrt(fan_in) / 2, outputs).astype(np.float32))
        arrays.append((1 / random.uniform(0.5, 2, outputs)).astype(np.float32))
    source = tmp_path / "trained.npz"
    np.savez(str(source), *arrays)
    for rule in ("exact", "upstream"):
        target = tmp_path / rule
        ran = run("import", "finnthesizer", source, "-o", target, "--precision", "w1a2", "--rule", rule, "--json")
        assert ran.code == 0, ran.err
        assert ran.json["overlays"] == ["bnn-pynq-lfc-w1a2"] and len(ran.json["classes"]) == 10
    first, second = (load_network(tmp_path / rule).layers[1].thresholds for rule in ("exact", "upstream"))
    assert first is not None and second is not None and not np.array_equal(first, second)


@pytest.mark.parametrize("name, accuracy", [("lfcW1A1", 0.9840), ("lfcW1A2", 0.9849)])
def test_the_published_parameters_give_the_published_accuracy(
    run: Any, name: str, accuracy: float, golden: Path, shared_data: Path, tmp_path: Path
) -> None:
    ran = run("import", "bnn-pynq", golden / "bnn-pynq" / "params" / "mnist" / name, "-o", tmp_path / "published")
    assert ran.code == 0, ran.err
    arguments = ["--data", shared_data / "mnist", "--board", "emulated", "--json"]
    assert run("evaluate", tmp_path / "published", *arguments).json["accuracy"] == accuracy


@pytest.fixture
def published(golden: Path) -> Path:
    return golden / "qnn-mo" / "params"


def test_the_published_network_gives_features(run: Any, published: Path, tmp_path: Path) -> None:
    target = tmp_path / "dorefanet"
    ran = run("import", "qnn-mo", published / "dorefanet-layers.json", "-o", target)
    assert ran.code == 0 and "features" in ran.out and "qnn-mo-w1a2" in ran.out
    network = load_network(target)
    assert network.name == "dorefanet" and network.decode.rule == "features"
    with Classifier(network, board="cpu") as classifier:
        assert classifier.features([np.zeros((300, 400, 3), np.uint8)]).shape == (1, 6, 6, 256)
    ran = run("classify", "-n", target, published.parent / "test" / "n07920052_4.jpg", "--board", "cpu")
    assert ran.code == 3 and "features" in ran.err and ran.err.count("\n") == 1


def test_files_that_lie_elsewhere(run: Any, published: Path, tmp_path: Path) -> None:
    place = tmp_path / "list"
    place.mkdir()
    (place / "dorefanet-layers.json").write_bytes((published / "dorefanet-layers.json").read_bytes())
    (place / "binparam-dorefanet").symlink_to(published / "binparam-dorefanet")
    ran = run("import", "qnn-mo", place, "-o", tmp_path / "net")
    assert ran.code == 3 and "dorefanet-conv0.npy is not there" in ran.err
    files = ["--conv0", published / "dorefanet-conv0.npy", "--mean", published / "ilsvrc_pp_mean.npy"]
    ran = run("import", "qnn-mo", place, "-o", tmp_path / "net", "--name", "mine", "--json", *files)
    assert ran.json["network"] == "mine" and ran.json["classes"] == []


@pytest.mark.slow
def test_dense_layers_of_the_published_size(run: Any, published: Path, tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    keys = ("fc0/Wn", "fc0/bn", "fc1/Wn", "fc1/bn", "fct/W")
    shapes = ((9216, 4096), (4096,), (4096, 4096), (4096,), (4096, 1000))
    arrays = {key: np.zeros(shape, np.float32) for key, shape in zip(keys, shapes)}
    arrays["fc0/bn"][:] = arrays["fc1/bn"][:] = 1
    arrays["fct/W"][:] = rng.rand(1000)
    np.save(str(tmp_path / "fc.npy"), arrays, allow_pickle=True)
    (tmp_path / "names.txt").write_text("\n".join(f"thing {k}" for k in range(1000)))
    ran = run("import", "qnn-mo", published, "-o", tmp_path / "net", "--fc", tmp_path / "fc.npy",
              "--classes", tmp_path / "names.txt", "--json")
    assert len(ran.json["classes"]) == 1000
    picture = published.parent / "test" / "n07920052_4.jpg"
    ran = run("classify", "-n", tmp_path / "net", picture, "--board", "cpu", "--json")
    assert ran.json["pictures"][0]["label"] == "thing {}".format(int(arrays["fct/W"][0].argmax()))


def test_wrong_calls_of_qnn_mo_leave_nothing_behind(run: Any, published: Path, tmp_path: Path) -> None:
    target = tmp_path / "net"
    for arguments in (
        [tmp_path], [tmp_path / "nowhere.json"], [published, "--fc", tmp_path / "nowhere.npy"],
        [published, "--fc", published / "dorefanet-conv0.npy"],
        [published, "--conv0", published / "ilsvrc_pp_mean.npy"],
        [published, "--mean", published / "dorefanet-conv0.npy"],
    ):
        ran = run("import", "qnn-mo", *arguments, "-o", target)
        assert ran.code == 3 and ran.err.count("\n") == 1, ran
        assert not target.exists()
    for arguments in (["qnn-mo", published, "--precision", "w1a2"], ["qnn-mo", published, "--rule", "upstream"],
                      ["bnn-pynq", published, "--fc", published], ["bnn-pynq", published, "--network", "x"],
                      ["qnn-mo", published, "--framing", "box"], ["qnn-mo", published, "--object", "9", "9"],
                      ["bnn-pynq", published, "--object", "9", "9"],
                      ["bnn-pynq", published, "--object", "9", "9", "--framing", "none"]):
        assert run("import", *arguments, "-o", target).code == 2


def test_one_of_several_published_networks(run: Any, published: Path, tmp_path: Path) -> None:
    place = tmp_path / "params"
    place.mkdir()
    for path in published.iterdir():
        (place / path.name).symlink_to(path)
    (place / "tinier-yolo-layers.json").write_text("{}")
    ran = run("import", "qnn-mo", place, "-o", tmp_path / "net")
    assert ran.code == 3 and "dorefanet" in ran.err and "tinier-yolo" in ran.err and "--network" in ran.err
    ran = run("import", "qnn-mo", place, "--network", "dorefanet", "-o", tmp_path / "net", "--json")
    assert ran.code == 0 and load_network(tmp_path / "net").overlays == ("qnn-mo-w1a2",)


@pytest.mark.parametrize(
    ("options", "framing"),
    [
        ([], Framing((20, 20), "mass")),
        (["--framing", "auto"], Framing((20, 20), "mass")),
        (["--framing", "none"], None),
        (["--framing", "mass"], Framing((20, 20), "mass")),
        (["--framing", "box"], Framing((28, 28), "box")),
        (["--framing", "mass", "--object", "24", "22"], Framing((24, 22), "mass")),
    ],
)
def test_framing_is_chosen(run: Any, golden: Path, tmp_path: Path, options: list, framing: Framing | None) -> None:
    source = golden / "bnn-pynq" / "params" / "mnist" / "lfcW1A1"
    ran = run("import", "bnn-pynq", source, "-o", tmp_path / "net", *options)
    assert ran.code == 0 and not ran.err and ("framed" in ran.out) == (framing is not None)
    assert load_network(tmp_path / "net").input.framing == framing


def test_where_framing_is_not_known_a_warning_says_so(run: Any, golden: Path, tmp_path: Path) -> None:
    source = golden / "bnn-pynq" / "params" / "mnist" / "lfcW1A1"
    (tmp_path / "names.txt").write_text("shirt\nbag\n")
    arguments = ("import", "bnn-pynq", source, "--classes", tmp_path / "names.txt", "-o", tmp_path / "net")
    ran = run(*arguments)
    assert ran.code == 0 and "warning: network net: nothing says how" in ran.err and "--framing" in ran.err
    ran = run(*arguments, "--overwrite", "--framing", "box", "--object", "30", "28")
    assert ran.code == 3 and "30 x 28" in ran.err
