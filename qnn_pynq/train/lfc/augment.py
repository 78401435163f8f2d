"""Random small distortions of grey pictures: affine, elastic, mirror."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._torch import torch

__all__ = ["Augment", "distort"]

_FIELD = 7  # knots of the elastic displacement along each axis


class Augment(NamedTuple):
    """Sizes of the distortions (standard deviations unless said otherwise); all 0 = none."""

    shift: float = 0.0  # pixels, uniform within +-shift
    rotate: float = 0.0  # degrees, uniform
    scale: float = 0.0  # relative, uniform, each axis
    shear: float = 0.0  # relative, uniform
    elastic: float = 0.0  # pixels, standard deviation of a 7x7 displacement field
    mirror: bool = False  # left to right, half of the pictures; the loop does it
    edge: bool = False  # beyond the border the border's grey goes on, instead of black


def distort(x: Any, a: Augment) -> Any:
    """Distorted copy of float pictures (N, H, W); all but the mirror."""
    n, h, w = x.shape

    def uniform(size: float) -> Any:
        return (torch.rand(n, device=x.device) * 2 - 1) * size

    angle = uniform(a.rotate * 3.14159265 / 180)
    sx, sy, shear = 1 + uniform(a.scale), 1 + uniform(a.scale), uniform(a.shear)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Affine map of the grid, -1 to 1, written out: affine_grid and interpolate are slow on a CPU.
    across, down = _centres(w, x.device)[None, None, :], _centres(h, x.device)[None, :, None]

    def row(a0: Any, a1: Any, size: int) -> Any:
        a2 = uniform(2 * a.shift / size)
        return a0[:, None, None] * across + (a1[:, None, None] * down + a2[:, None, None])

    grid_x = row(cos * sx, (cos * shear - sin) * sy, w)
    grid_y = row(sin * sx, (sin * shear + cos) * sy, h)
    if a.elastic:
        field = torch.randn(2 * n, _FIELD, _FIELD, device=x.device) * (2 * a.elastic / w)
        smooth = (_spread(h, x.device) @ field) @ _spread(w, x.device).t()
        grid_x, grid_y = grid_x + smooth[:n], grid_y + smooth[n:]
    grid = torch.stack([grid_x, grid_y], dim=3)
    beyond = "border" if a.edge else "zeros"
    return torch.nn.functional.grid_sample(x[:, None], grid, padding_mode=beyond, align_corners=False)[:, 0]


def _centres(size: int, where: Any) -> Any:
    return (torch.arange(size, device=where) * 2 + 1) / size - 1


def _spread(size: int, where: Any) -> Any:
    """Linear interpolation of `_FIELD` values to `size`, as a matrix (size, _FIELD)."""
    place = torch.linspace(0, _FIELD - 1, size, device=where)[:, None]
    return (1 - (place - torch.arange(_FIELD, device=where)).abs()).clamp_min(0)
