"""`import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnn_pynq.classifier import Classifier
from qnn_pynq.network import Framing, load_network


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
    (tmp_path / "names.txt").write_text("\n".join("thing {}".format(k) for k in range(1000)))
    ran = run("import", "qnn-mo", published, "-o", tmp_path / "net", "--fc", tmp_path / "fc.npy",
              "--classes", tmp_path / "names.txt", "--json")
    assert len(ran.json["classes"]) == 1000
    picture = published.parent / "test" / "n07920052_4.jpg"
    ran = run("classify", "-n", tmp_path / "net", picture, "--board", "cpu", "--json")
    assert ran.json["pictures"][0]["label"] == "thing {}".format(int(arrays["fct/W"][0].argmax()))


def test_wrong_calls_leave_nothing_behind(run: Any, published: Path, tmp_path: Path) -> None:
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
