"""The trainable network, its export, and `train_folder` end to end; needs torch."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

torch = pytest.importorskip("torch", reason="training needs PyTorch")

import oracle  # noqa: E402

from qnn_pynq.errors import ConversionError, DescriptorError, InputError  # noqa: E402
from qnn_pynq.networks import load_network  # noqa: E402
from qnn_pynq.train import train_dorefa_folder, train_folder  # noqa: E402
from qnn_pynq.train.data import DataSet  # noqa: E402
from qnn_pynq.train.lfc import loop  # noqa: E402
from qnn_pynq.train.lfc.augment import Augment, distort  # noqa: E402
from qnn_pynq.train.lfc.encoding import encode, plain  # noqa: E402
from qnn_pynq.train.lfc.export import check_equal, input_spec, to_network  # noqa: E402
from qnn_pynq.train.lfc.integer import evaluate, integer_layers  # noqa: E402
from qnn_pynq.train.lfc.loop import Recipe, train  # noqa: E402
from qnn_pynq.train.lfc.model import LFC, activate  # noqa: E402
from qnn_pynq.train.lfc.table import learn_table  # noqa: E402
from qnn_pynq.train.lfc.teacher import soft_labels  # noqa: E402

HIDDEN = 96
BORDERS = np.array([-9.3, -2.1, 3.7])

pytestmark = pytest.mark.usefixtures("one_thread")


def random_model(ternary: bool, seed: int = 0) -> Any:
    """Batch norm of both signs, and one neuron with gamma 0."""
    torch.manual_seed(seed)
    model = LFC(5, ternary, hidden=HIDDEN)
    with torch.no_grad():
        for norm in model.norms:
            norm.weight.normal_(0, 1)
            norm.weight[0] = 0
            norm.bias.normal_(0, 0.5)
            norm.running_mean.normal_(0, 8)
            norm.running_var.uniform_(1, 300)
        model.bias.normal_(0, 2)
    return model.eval()


def export(model: Any) -> Any:
    spec = input_spec(plain(100), (28, 28), "as-is", None)
    return to_network(model, BORDERS, spec, tuple("abcde"), "x", "", "", 0.1, {})


PICTURES = np.random.RandomState(5).randint(0, 256, (40, 28, 28)).astype(np.uint8)


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_every_neuron_of_the_export_equals_the_trained_network(ternary: bool, seed: int) -> None:
    model = random_model(ternary, seed)
    check = check_equal(model, export(model), BORDERS, PICTURES)
    assert check.neurons == 40 * (3 * HIDDEN + 15) and check.unequal == 0


@pytest.mark.parametrize("ternary", [False, True])
def test_the_check_finds_one_wrong_threshold(ternary: bool) -> None:
    model = random_model(ternary)
    network = export(model)
    accumulators = next(iter(integer_layers(network, encode(PICTURES, plain(100)))))[0]
    values = network.layers[0].thresholds
    neuron = int(np.argmax(np.abs(np.median(accumulators, 0) - values[:, 0]) < 3))
    values[neuron, 0] += 6
    with pytest.raises(ConversionError, match="unequal"):
        check_equal(model, network, BORDERS, PICTURES)


@pytest.mark.parametrize("ternary", [False, True])
def test_integer_evaluation_equals_the_oracle(ternary: bool) -> None:
    network = export(random_model(ternary))
    words = oracle.lfc_words(network.layers, oracle.encode(PICTURES, 832, threshold=100))
    assert (oracle.decode(words, 5, 3)[0] == evaluate(network, PICTURES)).all()


def test_training_product_is_exact_for_small_sums_and_the_gradient_is_straight_through() -> None:
    model = random_model(True)
    x = torch.randint(-1, 2, (7, 64)).to(torch.bfloat16)
    layer = type(model.last)(64, 5)
    layer.train()
    layer(x).sum().backward()
    assert (layer(x) == layer.eval()(x)).all()
    assert torch.equal(layer.weight.grad, x.float().sum(0).expand(5, 64))


def test_steps_have_their_borders_and_window() -> None:
    y = torch.tensor([-1.5, -0.6, -0.5, 0.0, 0.4, 0.5, 2.0], requires_grad=True)
    assert activate(y, True).tolist() == [-1, -1, 0, 0, 0, 1, 1]
    assert activate(y, False).tolist() == [-1, -1, -1, 1, 1, 1, 1]
    activate(y, False).float().sum().backward()
    assert y.grad is not None and y.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]


def test_no_distortion_changes_nothing_and_a_distortion_keeps_the_shape() -> None:
    x = torch.rand(3, 8, 8) * 255
    assert torch.allclose(distort(x, Augment()), x, atol=1e-2)
    moved = distort(x, Augment(2, 10, 0.1, 0.1, 1.0, edge=True))
    assert moved.shape == x.shape and not torch.allclose(moved, x, atol=1.0)


def shapes(count: int, seed: int) -> DataSet:
    """Bars lying or standing."""
    random = np.random.RandomState(seed)
    pictures = np.zeros((count, 28, 28), np.uint8)
    labels = random.randint(0, 2, count)
    for picture, label in zip(pictures, labels):
        a, b = random.randint(2, 20, 2)
        view = picture.T if label else picture
        view[a : a + 3, b : b + 8] = random.randint(150, 255)
    return DataSet(pictures, labels.astype(np.int64), ("lying", "standing"))


def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    data = shapes(64, 0)
    recipe = Recipe(False, 3, 7, batch=32, rate=0.02, versus_rest=0.3, dropout=0.1, augment=Augment(shift=1))
    whole = train(data, data, plain(100), recipe, every=1)
    kept = tmp_path / "kept.pt"

    def stop(line: str) -> None:
        if line.startswith("epoch   2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, data, plain(100), recipe, kept, stop, every=1)
    lines: list[str] = []
    resumed = train(data, data, plain(100), recipe, kept, lines.append, every=1)
    assert "resumed after epoch 2" in lines[0]
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()):
        assert torch.equal(a, b)


def test_a_damaged_checkpoint_is_as_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = shapes(64, 0)
    recipe = Recipe(False, 2, 7, batch=32, rate=0.02, versus_rest=0.3)
    whole = train(data, data, plain(100), recipe)
    kept = tmp_path / "kept.pt"
    kept.write_bytes(b"PK\x03\x04 cut off")
    again = train(data, data, plain(100), recipe, kept)
    assert str(kept) in caplog.text and torch.equal(whole.last.weight, again.last.weight)


@pytest.mark.parametrize("wanted", [False, True])
def test_the_progress_bar_is_shown_in_every_epoch_or_in_none(monkeypatch: pytest.MonkeyPatch, wanted: bool) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(loop, "epoch_bar", lambda steps, shown, *rest: asked.append(shown) or steps)
    data = shapes(64, 0)
    train(data, data, plain(100), Recipe(False, 3, 7, batch=32), progress=wanted)
    assert asked == [wanted] * 3


def test_a_learned_table_is_seeded_and_within_the_picture() -> None:
    data = shapes(128, 1)
    table = learn_table(data, 3, 100)
    assert len(table.pixels) == len(table.thresholds) == 100 and table.pixels.max() < 784
    assert (learn_table(data, 3, 100).pixels == table.pixels).all()
    assert len({*zip(table.pixels.tolist(), table.thresholds.tolist())}) == 100


def test_teacher_answers_for_pictures_and_mirror_images(tmp_path: Path) -> None:
    data = shapes(128, 2)
    cache = tmp_path / "t.npy"
    answers = soft_labels(data, data, 0, torch.device("cpu"), cache, epochs=1)
    assert answers.shape == (2, 128, 2) and np.isfinite(answers).all()
    assert (soft_labels(data, data, 0, torch.device("cpu"), cache) == answers).all()


def draw(base: Path, count: int = 12) -> Path:
    random = np.random.RandomState(0)
    for name in ("disc", "bar", "frame"):
        (base / name).mkdir(parents=True)
        for index in range(count):
            image = Image.new("RGB", (40, 40), (20, 20, 30))
            x, y = (int(v) for v in random.randint(14, 26, 2))
            pen, size = ImageDraw.Draw(image), int(random.randint(8, 12))
            box = [x - size, y - size, x + size, y + size]
            if name == "disc":
                pen.ellipse(box, fill=(200, 220, 60))
            elif name == "bar":
                pen.rectangle([x - 2, y - size, x + 2, y + size], fill=(240, 240, 240))
            else:
                pen.rectangle(box, outline=(240, 200, 240), width=2)
            image.save(str(base / name / f"{index}.png"))
    return base


@pytest.mark.parametrize("precision", ["w1a1", "w1a2"])
def test_a_folder_of_pictures_becomes_a_network(
    tmp_path: Path, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "qnn_pynq")
    found = train_folder(draw(tmp_path / "pictures"), tmp_path / "net", precision=precision, epochs=12, progress=False)
    network = load_network(found)
    assert network.classes == ("bar", "disc", "frame") and network.decode.levels == 6
    assert network.overlays == ("bnn-pynq-lfc-" + precision,)
    assert network.output_neurons == 18 and network.layers[-1].outputs == 64
    assert 0 <= network.provenance["accuracy"]["test"] <= 1
    assert "0 unequal" in caplog.text
    assert sorted(tmp_path.iterdir()) == [tmp_path / "net", tmp_path / "pictures"]


def test_train_folder_refuses_before_it_trains(tmp_path: Path) -> None:
    source = draw(tmp_path / "pictures", 2)
    with pytest.raises(InputError, match="w1a1 or w1a2"):
        train_folder(source, tmp_path / "n", precision="w2a2")
    with pytest.raises(InputError, match="epochs"):
        train_folder(source, tmp_path / "n", epochs=0)
    with pytest.raises(InputError, match="size"):
        train_folder(source, tmp_path / "n", size=(28, 0))
    for seed in ("a", 1.5, None, True, 2**63 - 1, -(2**32)):
        for training in (train_folder, train_dorefa_folder):
            with pytest.raises(InputError, match=f"seed {seed!r}: expected a whole number"):
                training(source, tmp_path / "n", seed=seed)  # type: ignore[arg-type]
    for place in ("/dev/null/x", "/proc/x"):
        with pytest.raises(DescriptorError, match=f"{place} cannot be written, no folder can be made"):
            train_folder(source, Path(place))
    with pytest.raises(DescriptorError, match="name"):
        train_folder(source, tmp_path / "a b")
    with pytest.raises(DescriptorError, match="already"):
        train_folder(source, source)
    with pytest.raises(InputError, match="no such"):
        train_folder(tmp_path / "none", tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_a_second_training_goes_on_from_the_first() -> None:
    data = shapes(64, 0)
    recipe = Recipe(False, 2, 7, batch=32, rate=0.02, versus_rest=0.3)
    first = train(data, data, plain(100), recipe)
    second = train(data, data, plain(100), recipe._replace(rate=0.0, final_rate=0.0), start=first)
    assert torch.equal(first.last.weight, second.last.weight)
    moved = train(data, data, plain(100), recipe, start=first)
    assert not torch.equal(first.last.weight, moved.last.weight)
