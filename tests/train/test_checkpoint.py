"""Checkpoints that cannot be used cost a warning and time, and never code or the training."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from qnn_pynq.errors import FetchError  # noqa: E402
from qnn_pynq.train.checkpoint import read_checkpoint, write_checkpoint  # noqa: E402


class Evil:
    def __reduce__(self) -> Any:
        return (os.mkdir, ("evil",))


def made(seed: int, width: int = 3) -> tuple[Any, Any]:
    """A model and an optimiser that has made a step."""
    torch.manual_seed(seed)
    model = torch.nn.Linear(width, 2)
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    model(torch.ones(1, width)).sum().backward()
    optimiser.step()
    return model, optimiser


def weights(model: Any) -> Any:
    return model.weight.detach().clone()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, lines = tmp_path / "checkpoint.pt", []  # type: ignore[var-annotated]
    one, other = made(1), made(2)
    write_checkpoint(path, *one, 7)
    assert read_checkpoint(path, *other, lines.append) == 7 and lines == ["resumed after epoch 7"]
    assert torch.equal(weights(one[0]), weights(other[0]))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert read_checkpoint(None, *other, lines.append) == read_checkpoint(tmp_path / "no", *other, lines.append) == 0


def good(tmp_path: Path) -> bytes:
    write_checkpoint(tmp_path / "good.pt", *made(3), 2)
    return (tmp_path / "good.pt").read_bytes()


def saved(value: Any, path: Path) -> bytes:
    torch.save(value, str(path))
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["empty", "cut", "short", "junk", "pickle", "evil", "dict", "list", "epoch", "width"])
def test_a_damaged_one_is_named_and_the_training_starts_anew(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole, model = good(tmp_path), made(3)[0].state_dict()
    write_checkpoint(tmp_path / "wide.pt", *made(3, 4), 2)
    content = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "short": whole[:10],
        "junk": b"no checkpoint at all" * 50,
        "pickle": pickle.dumps({"epoch": 3}),
        "evil": pickle.dumps(Evil()),
        "dict": saved({"weights": model}, tmp_path / "x"),
        "list": saved([1, 2], tmp_path / "x"),
        "epoch": saved({"epoch": "2", "model": model, "optimiser": {}}, tmp_path / "x"),
        "width": (tmp_path / "wide.pt").read_bytes(),
    }[kind]
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    model, optimiser = made(1)
    before = weights(model)
    with caplog.at_level(logging.WARNING, "qnn_pynq"):
        assert read_checkpoint(path, model, optimiser, print) == 0
    assert str(path) in caplog.text and "starts anew" in caplog.text and caplog.text.count("\n") == 1
    assert torch.equal(weights(model), before) and not (tmp_path / "evil").exists()
    write_checkpoint(path, model, optimiser, 1)
    assert read_checkpoint(path, *made(2), print) == 1


def test_a_model_that_fits_without_its_optimiser_changes_nothing(tmp_path: Path) -> None:
    path, (model, optimiser) = tmp_path / "checkpoint.pt", made(1)
    torch.save({"epoch": 2, "model": made(5)[0].state_dict(), "optimiser": {"state": {}}}, str(path))
    before, moments = weights(model), optimiser.state_dict()["state"][0]["exp_avg"].clone()
    assert read_checkpoint(path, model, optimiser, print) == 0
    assert torch.equal(weights(model), before)
    assert torch.equal(optimiser.state_dict()["state"][0]["exp_avg"], moments)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("file write failed")])
def test_a_full_disk_says_what_to_do_and_keeps_the_one_before(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, *made(1), 1)
    before = path.read_bytes()

    def full(state: Any, file: Any) -> None:
        file.write(b"begun")
        raise error

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(FetchError, match="checkpoint.pt cannot be written: .*make room.*QNN_PYNQ_CACHE"):
        write_checkpoint(path, *made(2), 2)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_data_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, replace, sync = [], os.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: steps.append("fsync") or sync(number))  # type: ignore[func-returns-value]
    monkeypatch.setattr(os, "replace", lambda a, b: steps.append("replace") or replace(a, b))  # type: ignore[func-returns-value]
    write_checkpoint(tmp_path / "checkpoint.pt", *made(1), 1)
    assert steps == ["fsync", "replace"]
