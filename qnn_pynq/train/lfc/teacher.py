"""A small float convolutional network whose softened answers guide the binary one (distillation)."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np

from ...files.replacing import replacing
from .._torch import torch
from ..data import DataSet
from .augment import Augment, distort

__all__ = ["soft_labels"]

_log = logging.getLogger(__name__)
nn: Any = torch.nn
_BATCH = 128
_WIDTH = 32
_AUGMENT = Augment(shift=1.0)


def _network(classes: int) -> Any:
    def block(inputs: int, outputs: int) -> Any:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    w = _WIDTH
    return nn.Sequential(
        *block(1, w),
        *block(w, w),
        nn.MaxPool2d(2),
        *block(w, 2 * w),
        *block(2 * w, 2 * w),
        nn.MaxPool2d(2),
        *block(2 * w, 4 * w),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * w, classes),
    ).to(memory_format=torch.channels_last)


def soft_labels(
    training: DataSet,
    held_out: DataSet,
    seed: int,
    where: Any,
    cache: Path | None = None,
    epochs: int = 8,
    report: Callable[[str], None] = _log.info,
) -> np.ndarray:
    """Logits of the teacher for the training pictures and their mirror images, float32 (2, N, classes)."""
    if cache is not None and cache.is_file():
        return np.load(str(cache), allow_pickle=False)
    torch.manual_seed(seed)
    model = _network(len(training.classes)).to(where)
    x = torch.from_numpy(np.array(training.pictures)).to(where)
    y = torch.from_numpy(training.labels).to(where)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.02)
    steps = len(y) // _BATCH
    for epoch in range(epochs):
        started, total = time.time(), 0.0
        order = torch.randperm(len(y), device=where)
        model.train()
        for step in range(steps):
            progress = (epoch * steps + step) / (epochs * steps)
            warm = min(1.0, 0.1 + progress * 10)
            for group in optimiser.param_groups:
                group["lr"] = 3e-3 * warm * (1 + math.cos(math.pi * progress)) / 2 + 1e-6
            index = order[step * _BATCH : (step + 1) * _BATCH]
            batch = x[index].float()
            mirrored = torch.rand(len(index), device=where) < 0.5
            batch = torch.where(mirrored[:, None, None], batch.flip(2), batch)
            with torch.autocast(where.type, dtype=torch.bfloat16):
                scores = model(_prepared(distort(batch, _AUGMENT)))
            loss = nn.functional.cross_entropy(scores.float(), y[index], label_smoothing=0.05)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total += float(loss.detach())
        report(
            f"teacher epoch {epoch + 1}/{epochs} loss {total / steps:.4f} {time.time() - started:.1f} s"
        )
    found = _answers(model, torch.from_numpy(np.array(held_out.pictures)).to(where))
    report(f"teacher: held-out {100 * np.mean(found.argmax(1) == held_out.labels):.2f} %")
    both = np.stack([_answers(model, x), _answers(model, x.flip(2))])
    if cache is not None:
        with replacing(cache) as file:
            np.save(file, both)
    return both


def _prepared(x: Any) -> Any:
    return (x[:, None] / 128 - 0.6).contiguous(memory_format=torch.channels_last)


def _answers(model: Any, x: Any) -> np.ndarray:
    model.eval()
    parts = []
    with torch.no_grad(), torch.autocast(x.device.type, dtype=torch.bfloat16):
        for start in range(0, len(x), 1000):
            parts.append(model(_prepared(x[start : start + 1000].float())).float().cpu().numpy())
    return np.concatenate(parts)
