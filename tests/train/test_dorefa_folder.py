"""A user's own folder of colour pictures becomes a convolutional network; needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from qnn_pynq import Classifier  # noqa: E402
from qnn_pynq.catalogue import cache_folder, find_overlay  # noqa: E402
from qnn_pynq.errors import DescriptorError, InputError  # noqa: E402
from qnn_pynq.networks import load_network  # noqa: E402
from qnn_pynq.train import train_dorefa_folder  # noqa: E402
from qnn_pynq.train.dorefa import folder as dorefa_folder  # noqa: E402
from qnn_pynq.train.dorefa import loop as dorefa_loop  # noqa: E402
from qnn_pynq.train.dorefa.export import check_equal, to_layers  # noqa: E402
from qnn_pynq.train.dorefa.model import DoReFa  # noqa: E402
from qnn_pynq.train.dorefa.recipes import topology_for  # noqa: E402
from qnn_pynq.train.source import read_source  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def paint(base: Path, count: int = 10, size: tuple[int, int] = (30, 24)) -> Path:
    """Photographs of coloured walls, as it were: the class is the colour."""
    random = np.random.RandomState(0)
    for place, name in enumerate(("red", "green", "blue")):
        (base / name).mkdir(parents=True)
        for index in range(count):
            pixels = random.randint(0, 90, (size[1], size[0], 3))
            pixels[:, :, place] += 130
            Image.fromarray(pixels.astype(np.uint8)).save(str(base / name / f"{index}.png"))
    return base


def test_a_folder_of_pictures_becomes_a_network(tmp_path: Path) -> None:
    source = paint(tmp_path / "walls")
    found = train_dorefa_folder(source, tmp_path / "net", epochs=3, size=(16, 16), seed=1, progress=False)
    network = load_network(found)
    assert network.classes == ("blue", "green", "red") and network.input.size == (16, 16)
    assert network.overlays == ("qnn-mo-w1a2",) and network.input.crop is not None
    assert find_overlay(network.overlays[0]).kind == "qnn-mo"
    said = network.provenance
    assert said["dataset"] == "walls" and "licence" not in said and said["accuracy"]["images"] == 6
    assert said["command"] == "qnn-pynq train dorefa walls -o net --precision w1a2 --seed 1 --size 16 16 --epochs 3"
    files = sorted(str(path) for path in source.glob("*/*.png"))
    with Classifier(found, board="cpu") as classifier, Classifier(found, board="emulated") as board:
        answers = classifier.predict(files)
        np.testing.assert_array_equal(board.predict(files), answers)
    assert not list((cache_folder() / "training").iterdir()), "the checkpoint is gone"


def test_the_accuracy_is_what_the_classifier_has_on_the_pictures_set_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dorefa_folder, "ENOUGH", 30)
    source = paint(tmp_path / "walls", 20)
    random = np.random.RandomState(3)
    x_test = random.randint(0, 256, (9, 50, 64, 3)).astype(np.uint8)
    x_train = np.stack([np.asarray(Image.open(str(path))) for path in sorted(source.glob("*/*.png"))])
    y_train, y_test = np.repeat([0, 1, 2], 20), random.randint(0, 3, 9)
    np.savez(str(tmp_path / "walls.npz"), x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    found = train_dorefa_folder(tmp_path / "walls.npz", tmp_path / "net", epochs=1, size=(64, 64), progress=False)
    network = load_network(found)
    accuracy = network.provenance["accuracy"]
    assert accuracy["images"] == 9 and "validation" in accuracy and network.input.crop.short_side == 72
    with Classifier(found, board="cpu") as classifier:
        assert classifier.score(x_test, y_test) == pytest.approx(accuracy["test"], abs=1e-6)


def test_a_stopped_training_goes_on_from_its_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = paint(tmp_path / "walls", 6)
    settings: dict[str, Any] = {"epochs": 3, "size": (16, 16), "seed": 2, "progress": False}
    whole = load_network(train_dorefa_folder(source, tmp_path / "whole", **settings))
    train, lines = dorefa_loop.train, []  # type: ignore[var-annotated]

    def stopped(*arguments: Any, **named: Any) -> Any:
        def stop(line: str) -> None:
            if line.startswith("epoch   2"):
                raise KeyboardInterrupt

        return train(*arguments, **named, report=stop)

    def told(*arguments: Any, **named: Any) -> Any:
        return train(*arguments, **named, report=lines.append)

    monkeypatch.setattr(dorefa_loop, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_dorefa_folder(source, tmp_path / "net", **settings)
    assert not (tmp_path / "net").exists()
    monkeypatch.setattr(dorefa_loop, "train", told)
    resumed = load_network(train_dorefa_folder(source, tmp_path / "net", **settings))
    assert lines[0] == "resumed after epoch 2"
    for one, other in zip(whole.layers, resumed.layers):
        if hasattr(one, "weights"):
            np.testing.assert_array_equal(one.weights, other.weights)


def test_other_settings_or_pictures_start_anew(tmp_path: Path) -> None:
    data = read_source(paint(tmp_path / "a", 3), dorefa_folder._spec(16, 16))[0]
    recipe = dorefa_folder.Recipe("a", topology_for(16), 3, 3)
    one = dorefa_folder._work(data, recipe)
    assert dorefa_folder._work(data, recipe) == one
    assert dorefa_folder._work(data, recipe._replace(seed=7)) != one
    assert dorefa_folder._work(data._replace(pictures=data.pictures + 1), recipe) != one


def test_it_refuses_before_it_trains(tmp_path: Path) -> None:
    source = paint(tmp_path / "walls", 2)
    for named, message in (
        ({"precision": "w1a1"}, "expected w1a2"),
        ({"epochs": 0}, "epochs"),
        ({"size": (64, 48)}, "square of 16 to 128"),
        ({"size": (8, 8)}, "square of 16 to 128"),
        ({"size": (160, 160)}, "size"),
    ):
        with pytest.raises(InputError, match=message):
            train_dorefa_folder(source, tmp_path / "n", **named)  # type: ignore[arg-type]
    with pytest.raises(DescriptorError, match="already"):
        train_dorefa_folder(source, source)
    with pytest.raises(InputError, match="no such"):
        train_dorefa_folder(tmp_path / "none", tmp_path / "n")
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize("side", [22, 51])
def test_maps_of_odd_sizes_are_exported_as_trained(side: int) -> None:
    torch.manual_seed(0)
    blocks = tuple(block._replace(outputs=8) for block in topology_for(side).blocks)
    model = DoReFa(topology_for(side)._replace(blocks=blocks), 3)
    for norm in model.norms:
        norm.running_var.fill_(300)
    model.settle()
    pictures = np.random.RandomState(1).randint(0, 256, (3, side, side, 3)).astype(np.uint8)
    check = check_equal(model.eval(), to_layers(model), pictures)
    assert check.unequal == check.ties and check.classes == 0
    np.testing.assert_allclose(check.logits, check.trained, atol=1e-5)


def test_topologies_fit_the_overlay_for_every_size() -> None:
    for side in range(16, 129):
        sizes = topology_for(side).sizes()
        assert sizes[0] == side and max(sizes[1:]) <= 64 and sizes[-1] >= 2
