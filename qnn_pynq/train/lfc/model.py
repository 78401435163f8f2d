"""The trainable LFC network: binary weights, binary or ternary activations, batch norm.

Matrix products run in bfloat16, which is exact for operands of -1, 0 and +1 and several times as fast as
float32; latent weights, batch norm and gradients of the optimiser stay float32.
"""

from __future__ import annotations

from typing import Any

from .._torch import torch
from .encoding import INPUTS

__all__ = ["LFC", "BinaryDense", "Product", "activate", "signs"]

nn: Any = torch.nn
Module: Any = nn.Module


def signs(latent: Any, dtype: Any) -> Any:
    """-1 or +1 of each latent weight (zero counts as +1 or -1 by its sign bit)."""
    return torch.copysign(torch.ones((), dtype=dtype, device=latent.device), latent.to(dtype))


class Product(torch.autograd.Function):
    """`x @ sign(w).T` (or `x @ w.T`) in bfloat16, gradients straight through the sign; x is bfloat16."""

    @staticmethod
    def forward(ctx: Any, x: Any, latent: Any, binary: bool = True) -> Any:
        weights = signs(latent, torch.bfloat16) if binary else latent.to(torch.bfloat16)
        ctx.save_for_backward(x, weights)
        return (x @ weights.t()).float()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, Any, None]:
        x, weights = ctx.saved_tensors
        grad = grad.to(torch.bfloat16)
        to_x = grad @ weights if ctx.needs_input_grad[0] else None
        return to_x, (grad.t() @ x).float(), None


class _Step(torch.autograd.Function):
    """y -> {-1,+1} (border 0) or {-1,0,+1} (borders -0.5, +0.5); gradient 1 inside |y| < 1."""

    @staticmethod
    def forward(ctx: Any, y: Any, ternary: bool) -> Any:
        ctx.save_for_backward(y)
        # No comparisons: turning bool into bfloat16 takes longer than the matrix product.
        if ternary:
            return torch.floor(y.clamp(-1, 1) + 0.5).to(torch.bfloat16)
        return signs(y, torch.bfloat16)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, None]:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grad.float(), y, -1.0, 1.0), None


def activate(y: Any, ternary: bool) -> Any:
    """Activation of the overlay in +-1 or ternary form, as bfloat16 (exact)."""
    return _Step.apply(y, ternary)


class BinaryDense(Module):
    """Dense layer with weights -1 and +1; `weight` is the latent float32 form, (outputs, inputs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-1, 1))

    def forward(self, x: Any) -> Any:
        if self.training:
            return Product.apply(x, self.weight)
        # Evaluation is exact: bfloat16 would round sums above 256.
        return x.float() @ signs(self.weight, torch.float32).t()


class LFC(Module):
    """832-1024-1024-1024-C network of the LFC overlay, one output neuron per class while it trains.

    Parameters
    ----------
    classes : int
        Output neurons.
    ternary : bool
        W1A2 (activations -1, 0, +1) instead of W1A1.
    dropout : float
        Share of hidden activations set to zero while training; `input_dropout` the same of the input bits.
    """

    def __init__(
        self,
        classes: int,
        ternary: bool,
        inputs: int = INPUTS,
        hidden: int = 1024,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.ternary = ternary
        self.dropout = dropout
        self.input_dropout = input_dropout
        sizes = [inputs, hidden, hidden, hidden]
        self.dense = nn.ModuleList([BinaryDense(a, b) for a, b in zip(sizes[:-1], sizes[1:])])
        self.norms = nn.ModuleList([nn.BatchNorm1d(hidden, eps=1e-4, momentum=0.1) for _ in range(3)])
        self.last = BinaryDense(hidden, classes)
        self.gain = nn.Parameter(torch.tensor(0.05))
        # In units of the last accumulator: one positive scale for all classes keeps the margins comparable.
        self.bias = nn.Parameter(torch.zeros(classes))

    def _drop(self, x: Any, share: float) -> Any:
        if not self.training or share <= 0:
            return x
        return x * (torch.rand(x.shape, device=x.device) >= share).to(x.dtype)

    def hidden_values(self, x: Any) -> Any:
        """Yield (normalised sums, activations) of each hidden layer; `x` is +-1, (N, inputs)."""
        x = self._drop(x.to(torch.bfloat16), self.input_dropout)
        for dense, norm in zip(self.dense, self.norms):
            y = norm(dense(x))
            x = activate(y, self.ternary)
            yield y, x
            x = self._drop(x, self.dropout)

    def sums(self, x: Any) -> Any:
        """Raw sums of the last layer, (N, classes) float32, exact integers in evaluation."""
        for _, a in self.hidden_values(x):
            x = a
        return self.last(x if self.dropout == 0 else self._drop(x, self.dropout))

    def forward(self, x: Any) -> Any:
        """Class scores (logits), (N, classes)."""
        return (self.sums(x) + self.bias) * self.gain
