"""The DoReFa network while it is trained: sign weights, 2-bit codes, batch norm; or its float twin."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .._torch import torch
from .recipes import Topology

__all__ = ["LEVELS", "MEAN", "SPREAD", "TOP_FIRST", "TOP_TAIL", "DoReFa", "evaluate_logits"]

LEVELS = 3  # the largest code
TOP_FIRST, TOP_TAIL = 32767, 127  # the largest weights of the software layers
# Of pixels: what the first layer subtracts and divides by, folded into its weights and thresholds.
MEAN = (118.0, 116.0, 110.0)
SPREAD = 70.0
_functional = torch.nn.functional


class _Codes(torch.autograd.Function):
    """Codes 0..3 of a value in 0..1, halves upwards; its gradient is that of clip."""

    @staticmethod
    def forward(context: Any, value: Any) -> Any:
        context.save_for_backward(value)
        return torch.floor(value * LEVELS + 0.5).clamp_(0, LEVELS)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        (value,) = context.saved_tensors
        # One pass over memory; torch.where takes several times as long in bfloat16.
        return torch.ops.aten.hardtanh_backward(gradient, value, 0.0, 1.0) * LEVELS


class _Signs(torch.autograd.Function):
    """-1 and +1 of latent weights, +1 of 0; the gradient goes through."""

    @staticmethod
    def forward(context: Any, weight: Any) -> Any:
        return torch.where(weight >= 0, 1.0, -1.0)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        return gradient


class DoReFa(torch.nn.Module):
    """Blocks of convolution, maximum, batch norm and codes; mean over the map; dense tail.

    The maximum stands in front of batch norm, whose factor is kept positive: the codes are the same as with
    the maximum behind them, and more values get a gradient.

    Attributes
    ----------
    fast
        Convolutions in bfloat16 while training. Evaluation is in float32, in which the sums are exact,
        unless `quick` is set too.
    """

    def __init__(self, topology: Topology, classes: int, floating: bool = False, fast: bool = True) -> None:
        super().__init__()
        self.topology, self.floating, self.fast, self.quick = topology, floating, fast, False
        weights, inputs = [], 3
        for index, block in enumerate(topology.blocks):
            fan = inputs * block.kernel**2
            spread = (2 / fan) ** 0.5 if floating or index == 0 else 0.1
            weight = torch.randn(block.outputs, inputs, block.kernel, block.kernel) * spread
            weights.append(torch.nn.Parameter(weight.contiguous(memory_format=torch.channels_last)))
            inputs = block.outputs
        self.weights = torch.nn.ParameterList(weights)
        self.norms = torch.nn.ModuleList([torch.nn.BatchNorm2d(block.outputs) for block in topology.blocks])
        self.tail = torch.nn.Linear(inputs, classes)
        if not floating:
            for norm in self.norms:
                torch.nn.init.constant_(norm.weight, 0.5)
                torch.nn.init.constant_(norm.bias, 0.5)

    def kernel(self, index: int) -> Any:
        """Weights of block `index` as they multiply."""
        weight = self.weights[index]
        return weight if self.floating or index == 0 else _Signs.apply(weight)

    def keep(self) -> None:
        """After a step of the optimiser: latent weights into -1..1, factors of batch norm positive."""
        if self.floating:
            return
        with torch.no_grad():
            for weight in list(self.weights)[1:]:
                weight.clamp_(-1, 1)
            for norm in self.norms:
                norm.weight.clamp_(min=0.02)

    def settle(self) -> None:
        """Weights of the software layers to what 16 bits (first block) and 8 bits (tail) can hold."""
        if self.floating:
            return
        with torch.no_grad():
            for weight, dims, top in ((self.weights[0], (1, 2, 3), TOP_FIRST), (self.tail.weight, (0, 1), TOP_TAIL)):
                unit = weight.double().abs().amax(dims, keepdim=True).clamp(min=1e-12) / top
                weight.copy_(torch.round(weight.double() / unit) * unit)

    def exact(self) -> DoReFa:
        """A copy for evaluation whose results are float64; sums behind the first block are exact anyway."""
        found = copy.deepcopy(self).eval()
        found.weights[0].data = found.weights[0].data.double()
        for part in (found.norms, found.tail):
            part.double()
        return found

    def values(self, index: int, x: Any) -> Any:
        """What block `index` makes codes of, from its input: codes, or floats of the twin."""
        block = self.topology.blocks[index]
        weight = self.kernel(index)
        if self.fast and (self.training or self.quick):
            weight = weight.to(torch.bfloat16)
        weight = weight.contiguous(memory_format=torch.channels_last)
        edge = block.kernel // 2 if index else 0  # the pixels are padded before they are centred
        x = _functional.conv2d(x.to(weight.dtype), weight, stride=block.stride, padding=edge)
        if block.pool:
            x = _functional.max_pool2d(x, 3, 2, ceil_mode=True)
        if not self.training:
            x = x.to(self.norms[index].weight.dtype)
        return self.norms[index](x)

    def codes(self, values: Any) -> Any:
        """Codes 0..3, or what stands for them in the float twin."""
        return torch.relu(values) if self.floating else _Codes.apply(values)

    def centred(self, pixels: Any) -> Any:
        """Input of block 0: pixels 0 around float pixels (n, 3, H, W), 0..255, then centred and scaled."""
        edge = self.topology.blocks[0].kernel // 2
        x = (_functional.pad(pixels, (edge,) * 4) - torch.tensor(MEAN)[:, None, None]) / SPREAD
        return x.contiguous(memory_format=torch.channels_last)

    def features(self, pixels: Any) -> Any:
        """Output of the last block."""
        x = self.centred(pixels)
        for index in range(len(self.topology.blocks)):
            x = self.codes(self.values(index, x))
        return x

    def forward(self, pixels: Any) -> Any:
        x = self.features(pixels).to(self.tail.weight.dtype).mean((2, 3))
        return self.tail(x if self.floating else x / LEVELS)


def evaluate_logits(model: DoReFa, pictures: np.ndarray, batch: int = 100) -> np.ndarray:
    """Logits of uint8 pictures (N, H, W, 3) in evaluation mode: float64 (N, classes)."""
    was, parts = model.training, []
    model.eval()
    with torch.no_grad():
        for start in range(0, len(pictures), batch):
            x = torch.from_numpy(pictures[start : start + batch]).permute(0, 3, 1, 2).float()
            parts.append(model(x).double().numpy())
    model.train(was)
    return np.concatenate(parts)
