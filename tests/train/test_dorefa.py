"""DoReFa networks: training that resumes, folding, export and data; needs torch."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs PyTorch")

import oracle_conv  # noqa: E402

from qnn_pynq.errors import ConversionError, NotFoundError  # noqa: E402
from qnn_pynq.networks import Conv, Linear, Pool, load_network, save_network  # noqa: E402
from qnn_pynq.pictures.cropping import middle_part  # noqa: E402
from qnn_pynq.train.data import DataSet, split  # noqa: E402
from qnn_pynq.train.dorefa.data import distort, load_colour  # noqa: E402
from qnn_pynq.train.dorefa.export import check_equal, to_layers  # noqa: E402
from qnn_pynq.train.dorefa.integer import integer_codes  # noqa: E402
from qnn_pynq.train.dorefa.loop import train  # noqa: E402
from qnn_pynq.train.dorefa.model import DoReFa, evaluate_logits  # noqa: E402
from qnn_pynq.train.dorefa.pipeline import finish  # noqa: E402
from qnn_pynq.train.dorefa.recipes import RECIPES, Block, Recipe, Topology  # noqa: E402

SMALL = Topology(16, (Block(8, 5, 2), Block(12), Block(16, pool=True), Block(8, 1)))
RECIPE = Recipe("imagenette", SMALL, 3, 12, batch=8, crop=(12.0, 20.0), cutout=4)

pytestmark = pytest.mark.usefixtures("one_thread")


def random_model(seed: int = 0, topology: Topology = SMALL) -> DoReFa:
    """Batch norm of both signs where no maximum follows, and one constant channel."""
    torch.manual_seed(seed)
    model = DoReFa(topology, 5)
    with torch.no_grad():
        for index, (norm, block) in enumerate(zip(model.norms, topology.blocks)):
            norm.weight.uniform_(0.1, 1)
            if not block.pool:
                norm.weight[::3] *= -1
            norm.bias.normal_(0.5, 0.3)
            fan = 1 if index == 0 else 3 * model.weights[index][0].numel()
            norm.running_mean.normal_(0, 0.1 * fan**0.5)
            norm.running_var.uniform_(0.3, 1.5).mul_(fan)
        model.norms[1].weight[1] = 0
    model.settle()
    return model.eval()


def pictures(count: int, size: int = 16, seed: int = 1) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (count, size, size, 3)).astype(np.uint8)


def coloured(count: int = 60, side: int = 18) -> DataSet:
    """Three classes, told by their brightest channel."""
    random = np.random.RandomState(3)
    labels = random.randint(0, 3, count)
    found = random.randint(0, 120, (count, side, side, 3))
    found[np.arange(count), :, :, labels] += 100
    return DataSet(found.astype(np.uint8), labels.astype(np.int64), ("red", "green", "blue"))


def test_export_gives_the_trained_codes() -> None:
    model = random_model()
    layers = to_layers(model)
    assert [type(layer) for layer in layers] == [Conv, Conv, Conv, Pool, Conv, Linear]
    check = check_equal(model, layers, pictures(40))
    assert check.pictures == 40
    assert check.codes[1:] == (40 * 64 * 12, 40 * 16 * 16, 40 * 16 * 8)
    assert [bad - tie for bad, tie in zip(check.unequal, check.ties)] == [0, 0, 0, 0]
    assert check.classes == 0 and check.logits.shape == check.trained.shape == (40, 5)
    np.testing.assert_allclose(check.logits, check.trained, atol=1e-5)


def test_settled_weights_stay() -> None:
    model = random_model()
    before = [p.clone() for p in model.parameters()]
    model.settle()
    for one, other in zip(before, model.parameters()):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
    unit = float(model.tail.weight.detach().abs().max()) / 127
    whole = model.tail.weight.detach().double() / unit
    torch.testing.assert_close(whole, whole.round(), rtol=0, atol=1e-4)


def test_check_sees_one_wrong_threshold() -> None:
    model = random_model()
    layers = to_layers(model)
    layers[1].thresholds[0, 1] += 3
    check = check_equal(model, layers, pictures(40))
    assert check.unequal[1] > check.ties[1] and check.unequal[3] == check.ties[3]


def test_integer_evaluation_equals_the_oracle() -> None:
    layers = to_layers(random_model(1))
    x = pictures(6)
    np.testing.assert_array_equal(integer_codes(layers, x)[-1], oracle_conv.forward(layers, x))
    codes = integer_codes(layers, x)
    np.testing.assert_array_equal(codes[3], oracle_conv.forward(layers[:4], x))
    assert all(len(np.unique(part)) == 4 for part in codes[:-1])


def test_layouts() -> None:
    model = random_model()
    first, second, _, pool, last, tail = to_layers(model)
    assert first.weights.shape == (8, 5, 5, 3) and first.weights.dtype == np.int16
    assert (first.stride, first.padding, first.weight_bits, first.input_bits) == (2, (2, 2), 16, 8)
    assert np.abs(first.weights).reshape(8, -1).max(axis=1).tolist() == [32767] * 8
    assert second.weights.shape == (12, 3, 3, 1) and second.weights.dtype == np.uint8
    assert second.thresholds.dtype == np.int16 and (np.diff(second.thresholds.astype(int), axis=1) >= 0).all()
    assert (pool.size, pool.stride, pool.padding) == (3, 2, (0, 1))
    assert (last.kernel, last.padding) == (1, (0, 0))
    assert tail.inputs == 4 * 4 * 8 and tail.weights.shape == (5, 128)
    assert tail.weights.dtype == np.int8 and np.abs(tail.weights.astype(int)).max() == 127


def test_tail_is_the_mean_over_the_map() -> None:
    model = random_model(2)
    tail = to_layers(model)[-1]
    side = SMALL.sizes()[-1]
    codes = np.random.RandomState(0).randint(0, 4, (7, side, side, 8)).astype(np.uint8)
    means = torch.from_numpy(codes.mean(axis=(1, 2)) / 3).float()
    expected = model.tail(means).detach().numpy()
    np.testing.assert_allclose(oracle_conv.linear(tail, codes.reshape(7, -1)), expected, atol=0.02)


def test_pool_needs_positive_factors() -> None:
    model = random_model()
    with torch.no_grad():
        model.norms[2].weight[0] = -0.5
    with pytest.raises(ConversionError, match="expected positive"):
        to_layers(model)


def test_float_twin_is_not_exported() -> None:
    with pytest.raises(ConversionError, match="sign weights"):
        to_layers(DoReFa(SMALL, 3, floating=True))


def test_training_learns_and_resumes_exactly(tmp_path: Path) -> None:
    training, held_out = split(coloured(), 12, 1)
    whole = train(training, held_out, RECIPE, report=lambda line: None)
    seen = []

    def stop(line: str) -> None:
        seen.append(line)
        if line.startswith("epoch   2/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(training, held_out, RECIPE, checkpoint=tmp_path / "c.pt", report=stop)
    resumed = train(training, held_out, RECIPE, checkpoint=tmp_path / "c.pt", report=seen.append)
    assert "resumed after epoch 2" in seen
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert all(float(norm.weight.detach().min()) > 0 for norm in whole.norms)


def test_second_training_goes_on_from_the_first_and_listens_to_the_teacher() -> None:
    training, held_out = split(coloured(), 12, 1)
    first = train(training, held_out, RECIPE, report=lambda line: None)
    still = RECIPE._replace(epochs=1, rate=0.0, final_rate=0.0, distill=0.5)
    same = train(training, held_out, still, report=lambda line: None, teacher=first, start=first)
    for one, other in zip(first.parameters(), same.parameters()):
        assert torch.equal(one, other)
    moved = still._replace(rate=0.01)
    alone = train(training, held_out, moved._replace(distill=0.0), report=lambda line: None, start=first)
    taught = train(training, held_out, moved, report=lambda line: None, teacher=first, start=first)
    assert not torch.equal(alone.tail.weight, taught.tail.weight)


@pytest.mark.parametrize("floating", [False, True])
def test_longer_training_tells_colours_apart(floating: bool) -> None:
    training, held_out = split(coloured(200), 40, 1)
    recipe = RECIPE._replace(epochs=8, cutout=0, colour=0.0)
    model = train(training, held_out, recipe, floating, report=lambda line: None)
    found = evaluate_logits(model, middle_part(held_out.pictures, (16, 16))).argmax(1)
    assert np.mean(found == held_out.labels) > 0.8


def test_finished_network_is_saved_and_read(tmp_path: Path) -> None:
    training, held_out = split(coloured(), 12, 1)
    model = train(training, held_out, RECIPE._replace(epochs=1), report=lambda line: None)
    lines: list[str] = []
    provenance = {"command": "x", "seed": 1, "date": "2026-11-21"}
    network, trained = finish(model, "tiny", RECIPE, training, held_out, held_out, provenance, lines.append)
    assert trained is not None and trained.shape == (12,)
    save_network(network, tmp_path / "tiny")
    again = load_network(tmp_path / "tiny")
    assert again.classes == ("red", "green", "blue") and again.decode.rule == "largest-sum"
    assert again.input.crop is not None and again.input.crop.short_side == 72
    assert again.provenance["accuracy"]["images"] == 12
    assert sum("classes differ" in line for line in lines) == 2
    x = middle_part(held_out.pictures, (16, 16))
    np.testing.assert_array_equal(integer_codes(again.layers, x)[-1], oracle_conv.forward(network.layers, x))
    np.testing.assert_array_equal(integer_codes(again.layers, x)[-1].argmax(axis=1), trained)


def test_distort_gives_whole_pixels_and_repeats() -> None:
    x = torch.from_numpy(pictures(20, 24)).permute(0, 3, 1, 2).float()
    torch.manual_seed(5)
    one = distort(x, 16, RECIPE)
    torch.manual_seed(5)
    assert torch.equal(one, distort(x, 16, RECIPE))
    assert one.shape == (20, 3, 16, 16) and torch.equal(one, one.round())
    assert float(one.min()) >= 0 and float(one.max()) <= 255
    assert not torch.equal(one[0], one[1])


def test_distort_of_a_full_crop_keeps_or_mirrors() -> None:
    recipe = RECIPE._replace(crop=(16.0, 16.0), aspect=0.0, colour=0.0, cutout=0)
    x = torch.from_numpy(pictures(20)).permute(0, 3, 1, 2).float()
    found = distort(x, 16, recipe)
    kept = [bool(torch.equal(a, b)) for a, b in zip(found, x)]
    mirrored = [bool(torch.equal(a, b.flip(2))) for a, b in zip(found, x)]
    assert all(a != b for a, b in zip(kept, mirrored)) and any(kept) and any(mirrored)


def test_shipped_topologies_fit_the_overlay() -> None:
    for recipe in RECIPES.values():
        topology = recipe.topology
        assert max(topology.sizes()) <= 64
        for index, block in enumerate(topology.blocks):
            assert block.outputs % 64 == 0 and block.outputs <= 384
            assert index == 0 or (block.stride == 1 and block.kernel <= 5)
    assert RECIPES["dorefa-w1a2-imagenette"].topology.sizes() == [64, 32, 16, 16, 8, 8, 4, 4]


def test_packs_are_read_and_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNN_PYNQ_DATA", str(tmp_path))
    blobs, x = [], pictures(3, 8)
    for picture in x // 255 * 255:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=95)
        blobs.append(np.frombuffer(file.getvalue(), np.uint8))
    folder = tmp_path / "data" / "imagenette72"
    folder.mkdir(parents=True)
    offsets = np.cumsum([0] + [len(blob) for blob in blobs])
    np.savez(
        str(folder / "val.npz"), blob=np.concatenate(blobs), offsets=offsets,
        labels=np.array([2, 0, 1], np.uint8), classes=np.array(["a", "b", "c"]),
    )  # fmt: skip
    data = load_colour("imagenette", "test", tmp_path / "cache")
    assert data.pictures.shape == (3, 8, 8, 3) and data.labels.tolist() == [2, 0, 1] and data.classes == ("a", "b", "c")
    (folder / "val.npz").unlink()
    again = load_colour("imagenette", "test", tmp_path / "cache")
    np.testing.assert_array_equal(again.pictures, data.pictures)
    columns = tmp_path / "data" / "cifar10"
    columns.mkdir()
    column = pictures(4, 32)
    Image.fromarray(column[:2].reshape(-1, 32, 3)).save(str(columns / "train_000.webp"), lossless=True)
    Image.fromarray(column[2:].reshape(-1, 32, 3)).save(str(columns / "train_001.webp"), lossless=True)
    np.savez(str(columns / "labels.npz"), train=np.arange(4, dtype=np.uint8), classes=np.array(list("abcd")))
    np.testing.assert_array_equal(load_colour("cifar10", "train").pictures, column)


def test_missing_data_names_the_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QNN_PYNQ_DATA", raising=False)
    with pytest.raises(NotFoundError, match="QNN_PYNQ_DATA"):
        load_colour("cifar10", "test")
