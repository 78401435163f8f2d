"""The training loop: Adam on clipped latent weights, cosine schedule, checkpoints that resume."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np

from .._torch import torch
from ..batchnorm import measured_anew
from ..checkpoint import read_checkpoint, write_checkpoint
from ..data import DataSet
from ..decode import choose_levels, levels_for
from ..steps import cosine_rate, epoch_bar, seed_epoch, set_rate, smooth_targets
from .augment import Augment, distort
from .encoding import INPUTS, Table
from .model import LFC, signs

__all__ = ["Recipe", "device", "evaluate_scores", "to_inputs", "train"]

_log = logging.getLogger(__name__)
_CALIBRATION = 51200  # pictures for the final statistics of batch norm


class Recipe(NamedTuple):
    """Everything that decides a training, besides data and encoding."""

    ternary: bool
    epochs: int
    seed: int
    batch: int = 256
    rate: float = 0.01
    final_rate: float = 1e-5
    dropout: float = 0.0
    input_dropout: float = 0.0
    smoothing: float = 0.0
    # Weight of the one-versus-rest loss beside cross-entropy: it puts the sums of different pictures on one
    # scale, as the few common level borders of the decode rule need.
    versus_rest: float = 0.0
    # Share of the teacher's answers in the targets, and the temperature that softens them.
    distill: float = 0.0
    softness: float = 2.0
    augment: Augment = Augment()
    clean_epochs: int = 0  # last epochs, without augmentation


def device() -> Any:
    """cuda where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_inputs(x: Any, pixels: Any, thresholds: Any) -> Any:
    """+-1 bfloat16 (N, 832) of float pictures (N, H, W); pad bits are -1, as the overlay counts them."""
    flat = x.reshape(len(x), -1)
    if pixels is not None:
        flat = flat.index_select(1, pixels)
    bits = signs(flat - thresholds, torch.bfloat16)
    if bits.shape[1] == INPUTS:
        return bits
    return torch.nn.functional.pad(bits, (0, INPUTS - bits.shape[1]), value=-1.0)


class _Feeder:
    """Pictures and table as tensors; batches of network inputs."""

    def __init__(self, data: DataSet, table: Table, where: Any) -> None:
        self.x = torch.from_numpy(np.array(data.pictures)).to(where)
        self.y = torch.from_numpy(np.array(data.labels)).to(where)
        self.pixels = None  # every pixel in its order
        if table.plain < 0:
            self.pixels = torch.from_numpy(table.pixels.astype(np.int64)).to(where)
        self.thresholds = torch.from_numpy(table.thresholds.astype(np.float32)).to(where)

    def inputs(self, index: Any, augment: Augment | None = None, mirrored: Any = None) -> Any:
        x = self.x[index].float()
        if mirrored is not None:
            x = torch.where(mirrored[:, None, None], x.flip(2), x)
        if augment is not None and augment != Augment():
            x = distort(x, augment)
        return to_inputs(x, self.pixels, self.thresholds)


def evaluate_scores(model: Any, data: DataSet, table: Table, batch: int = 1000) -> np.ndarray:
    """Exact sums of the last layer, int32 (N, classes)."""
    where = next(model.parameters()).device
    feeder = _Feeder(data, table, where)
    was, parts = model.training, []
    model.eval()
    with torch.no_grad():
        for start in range(0, len(data.labels), batch):
            parts.append(model.sums(feeder.inputs(slice(start, start + batch))).round().int().cpu().numpy())
    model.train(was)
    return np.concatenate(parts)


def _recalibrate(model: Any, feeder: _Feeder) -> None:
    """Statistics of batch norm over training pictures, without dropout (as in use)."""
    kept = model.dropout, model.input_dropout
    model.dropout = model.input_dropout = 0.0
    model.train()
    order = torch.randperm(len(feeder.y), device=feeder.y.device)[:_CALIBRATION]
    with torch.no_grad(), measured_anew(model.norms):
        # Equal parts: a last batch of one picture has no variance.
        for part in order.chunk(max(1, len(order) // 256)):
            model(feeder.inputs(part))
    model.dropout, model.input_dropout = kept


def _targets(labels: Any, classes: int, recipe: Recipe, teacher: Any) -> Any:
    """Targets of a batch; `teacher` is its logits, the pictures' places, and which of them are mirrored."""
    if teacher is None:
        return smooth_targets(labels, classes, recipe.smoothing)
    logits, index, mirrored = teacher
    answers = torch.softmax(logits[mirrored.long(), index] / recipe.softness, dim=1)
    return smooth_targets(labels, classes, recipe.smoothing, recipe.distill, answers)


def _loss(scores: Any, target: Any, recipe: Recipe) -> Any:
    loss = torch.nn.functional.cross_entropy(scores, target)
    if recipe.versus_rest:
        rest = torch.nn.functional.binary_cross_entropy_with_logits(scores, target)
        loss = loss + recipe.versus_rest * target.shape[1] * rest
    return loss


def train(
    training: DataSet,
    held_out: DataSet,
    table: Table,
    recipe: Recipe,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = _log.info,
    every: int = 5,
    progress: bool = False,
    teacher: np.ndarray | None = None,
    start: Any = None,
) -> Any:
    """Trained `LFC` in evaluation mode; resumes from `checkpoint` where that exists.

    `start` is a trained `LFC` whose weights are where this training begins.

    Every epoch seeds the generator with (seed, epoch), so that a resumed run repeats an uninterrupted one.
    """
    where = device()
    torch.manual_seed(recipe.seed)
    model = LFC(
        len(training.classes),
        recipe.ternary,
        INPUTS,
        dropout=recipe.dropout,
        input_dropout=recipe.input_dropout,
    ).to(where)
    if start is not None:
        model.load_state_dict(start.state_dict())
    latent = [layer.weight for layer in list(model.dense) + [model.last]]
    others = [p for p in model.parameters() if not any(p is q for q in latent)]
    # Batch norm and the output scale learn at a tenth of the latent rate, which is large on [-1, 1].
    optimiser = torch.optim.Adam(
        [{"params": latent, "scale": 1.0}, {"params": others, "scale": 0.1}], lr=recipe.rate, fused=True
    )
    feeder = _Feeder(training, table, where)
    first = read_checkpoint(checkpoint, model, optimiser, report, where)
    count, classes = len(training.labels), len(training.classes)
    levels = levels_for(classes)
    per_epoch = max(1, count // recipe.batch)
    soft = None if teacher is None else torch.from_numpy(teacher).to(where)
    for epoch in range(first, recipe.epochs):
        started = time.time()
        seed_epoch(recipe.seed, epoch)
        augment = recipe.augment if epoch < recipe.epochs - recipe.clean_epochs else None
        order = torch.randperm(count, device=where)
        model.train()
        total = 0.0
        for step in epoch_bar(range(per_epoch), progress, epoch, recipe.epochs):
            done = (epoch * per_epoch + step) / (recipe.epochs * per_epoch)
            set_rate(optimiser, cosine_rate(recipe.rate, recipe.final_rate, done))
            index = order[step * recipe.batch : (step + 1) * recipe.batch]
            # The clean last epochs keep the mirror: both sides occur in use.
            mirrored = torch.rand(len(index), device=where) < (0.5 if recipe.augment.mirror else 0.0)
            x = feeder.inputs(index, augment, mirrored)
            target = _targets(feeder.y[index], classes, recipe, None if soft is None else (soft, index, mirrored))
            optimiser.zero_grad(set_to_none=True)
            loss = _loss(model(x), target, recipe)
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                for weight in latent:
                    weight.clamp_(-1, 1)
            total += float(loss.detach())
        line = f"epoch {epoch + 1:3d}/{recipe.epochs} loss {total / per_epoch:.4f} {time.time() - started:.1f} s"
        if epoch == 0 or (epoch + 1) % every == 0 or epoch + 1 == recipe.epochs:
            scores = evaluate_scores(model, held_out, table) + model.bias.detach().cpu().numpy()
            line += f" held-out {100 * np.mean(scores.argmax(1) == held_out.labels):.2f} %"
            line += f", decoded {100 * choose_levels(scores, held_out.labels, levels, 1, copies=0)[1]:.2f} %"
            if checkpoint is not None:
                write_checkpoint(checkpoint, model, optimiser, epoch + 1)
        report(line)
    torch.manual_seed(recipe.seed)
    _recalibrate(model, feeder)
    return model.eval()
