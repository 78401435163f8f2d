"""Random small distortions of grey pictures: affine, elastic, mirror."""

from __future__ import annotations

from typing import Any, NamedTuple

from ._torch import torch

__all__ = ["Augment", "distort"]


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
    theta = torch.stack(
        [
            torch.stack([cos * sx, (cos * shear - sin) * sy, uniform(2 * a.shift / w)], 1),
            torch.stack([sin * sx, (sin * shear + cos) * sy, uniform(2 * a.shift / h)], 1),
        ],
        1,
    )
    f = torch.nn.functional
    grid = f.affine_grid(theta, (n, 1, h, w), align_corners=False)
    if a.elastic:
        field = torch.randn(n, 2, 7, 7, device=x.device) * (2 * a.elastic / w)
        field = f.interpolate(field, size=(h, w), mode="bilinear", align_corners=False)
        grid = grid + field.permute(0, 2, 3, 1)
    beyond = "border" if a.edge else "zeros"
    return f.grid_sample(x[:, None], grid, padding_mode=beyond, align_corners=False)[:, 0]
