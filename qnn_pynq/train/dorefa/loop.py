"""The training loop of the DoReFa networks: Adam, cosine schedule, checkpoints that resume exactly."""

from __future__ import annotations

import copy
import logging
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np

from ...pictures.cropping import middle_part
from .._torch import torch
from ..batchnorm import measured_anew
from ..checkpoint import read_checkpoint, write_checkpoint
from ..data import DataSet
from ..steps import cosine_rate, epoch_bar, seed_epoch, set_rate, smooth_targets
from .data import distort
from .model import DoReFa, evaluate_logits
from .recipes import Recipe

__all__ = ["train"]

_log = logging.getLogger(__name__)
_CALIBRATION = 4096  # pictures for the final statistics of batch norm


def _optimiser(model: DoReFa, recipe: Recipe) -> Any:
    latent = [] if model.floating else list(model.weights)[1:]
    others = [p for p in model.parameters() if not any(p is q for q in latent)]
    groups = [{"params": others, "scale": recipe.other}]
    if latent:
        groups.append({"params": latent, "scale": 1.0})
    return torch.optim.Adam(groups, lr=recipe.rate, fused=True)


def _rate(recipe: Recipe, done: float) -> float:
    """Rate after the part `done` (0..1) of the training."""
    warm = recipe.warmup / recipe.epochs
    cosine = cosine_rate(recipe.rate, recipe.final_rate, done)
    return cosine * min(1.0, done / warm + 0.01) if warm else cosine


def _targets(labels: Any, classes: int, recipe: Recipe, teacher: Any, pixels: Any) -> Any:
    """Targets of a batch, which the teacher sees as it is."""
    if teacher is None:
        return smooth_targets(labels, classes, recipe.smoothing)
    with torch.no_grad():
        answers = torch.softmax(teacher(pixels), dim=1)
    return smooth_targets(labels, classes, recipe.smoothing, recipe.distill, answers)


def _recalibrate(model: DoReFa, pictures: np.ndarray, batch: int = 128) -> None:
    """Statistics of batch norm in float32, over pictures as the classifier sees them."""
    fast, model.fast = model.fast, False
    model.train()
    with torch.no_grad(), measured_anew(model.norms):
        # Equal parts: a last batch of one picture has no variance.
        for part in np.array_split(pictures, max(1, len(pictures) // batch)):
            model(torch.from_numpy(part).permute(0, 3, 1, 2).float())
    model.fast = fast
    model.eval()


def train(
    training: DataSet,
    held_out: DataSet,
    recipe: Recipe,
    floating: bool = False,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = _log.info,
    every: int = 3,
    teacher: Any = None,
    start: Any = None,
    progress: bool = False,
) -> Any:
    """Trained `DoReFa` in evaluation mode; resumes from `checkpoint` where that exists.

    `teacher` answers `recipe.distill` of the targets; `start` is a `DoReFa` whose weights are where this
    training begins.

    Every epoch seeds the generator with (seed, epoch), so that a resumed run repeats an uninterrupted one.
    """
    torch.manual_seed(recipe.seed)
    model = DoReFa(recipe.topology, len(training.classes), floating)
    if start is not None:
        model.load_state_dict(start.state_dict())
    optimiser = _optimiser(model, recipe)
    first = read_checkpoint(checkpoint, model, optimiser, report)
    size = recipe.topology.size
    x, y = torch.from_numpy(training.pictures), torch.from_numpy(training.labels)
    checked = middle_part(held_out.pictures, (size, size))
    sample = np.random.RandomState(recipe.seed % (1 << 32)).permutation(len(y))[:_CALIBRATION]
    clean = middle_part(training.pictures[sample], (size, size))
    steps = len(y) // recipe.batch
    for epoch in range(first, recipe.epochs):
        started, used = time.time(), time.process_time()
        seed_epoch(recipe.seed, epoch)
        order = torch.randperm(len(y))
        model.train()
        total, right = 0.0, 0
        for step in epoch_bar(range(steps), progress, epoch, recipe.epochs):
            set_rate(optimiser, _rate(recipe, (epoch * steps + step) / (recipe.epochs * steps)))
            index = order[step * recipe.batch : (step + 1) * recipe.batch]
            pixels = distort(x[index].permute(0, 3, 1, 2).float(), size, recipe)
            scores = model(pixels)
            target = _targets(y[index], scores.shape[1], recipe, teacher, pixels)
            loss = torch.nn.functional.cross_entropy(scores, target)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            model.keep()
            total += float(loss.detach())
            right += int((scores.detach().argmax(1) == y[index]).sum())
        line = (f"epoch {epoch + 1:3d}/{recipe.epochs} loss {total / steps:.4f} "
                f"train {100 * right / (steps * recipe.batch):.2f} % {time.time() - started:.1f} s "
                f"({time.process_time() - used:.1f} s of CPU)")
        if epoch == 0 or (epoch + 1) % every == 0 or epoch + 1 == recipe.epochs:
            now = copy.deepcopy(model)  # whose statistics may change
            _recalibrate(now, clean[:1024])
            found = evaluate_logits(now, checked).argmax(1)
            line += f" held-out {100 * np.mean(found == held_out.labels):.2f} %"
        if checkpoint is not None:
            write_checkpoint(checkpoint, model, optimiser, epoch + 1)
        report(line)
    model.settle()
    _recalibrate(model, clean)
    return model
