"""A small drawing surface for the demo pictures: smooth shapes, soft shading, everything by one generator."""

from __future__ import annotations

from typing import Iterable, List, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["Canvas", "Colour", "Points", "curve", "mirror"]

Points = List[Tuple[float, float]]
Colour = Tuple[int, int, int]

_SCALE = 3  # drawn larger, then reduced: smooth edges


def curve(points: Iterable[Sequence[float]], closed: bool = False, steps: int = 12) -> Points:
    """Catmull-Rom curve through the points."""
    p = np.asarray(list(points), float)
    if closed:
        p = np.concatenate([p[-1:], p, p[:2]])
    else:
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:]):
        parts.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        )
    if not closed:
        parts.append(p[-2:-1])
    return [tuple(q) for q in np.concatenate(parts)]


def mirror(points: Iterable[Sequence[float]]) -> Points:
    """Left half of a garment → its right half."""
    return [(1 - x, y) for x, y in points]


class Canvas:
    """Unit square on paper of one colour; y points down.

    Parameters
    ----------
    rng : numpy.random.RandomState
    size : (width, height) of the picture
    paper : Colour
    box : (left, top, right, bottom)
        Where the unit square lies, in parts of the picture.
    """

    def __init__(
        self,
        rng: np.random.RandomState,
        size: tuple[int, int] = (160, 160),
        paper: Colour = (255, 255, 255),
        box: tuple[float, float, float, float] = (0.06, 0.06, 0.94, 0.94),
    ) -> None:
        self.rng = rng
        self.size = size
        self.full = (size[0] * _SCALE, size[1] * _SCALE)
        left, top, right, bottom = box
        scale = min((right - left) * self.full[0], (bottom - top) * self.full[1])
        self.scale = scale
        self.origin = (
            (left + right) / 2 * self.full[0] - scale / 2,
            (top + bottom) / 2 * self.full[1] - scale / 2,
        )
        self.pixels = np.empty((self.full[1], self.full[0], 3), np.float32)
        self.pixels[...] = paper

    def mask(self, points: Iterable[Sequence[float]]) -> np.ndarray:
        """float32 mask of a polygon."""
        image = Image.new("L", self.full, 0)
        ImageDraw.Draw(image).polygon(self._place(points), fill=255)
        return np.asarray(image, np.float32) / 255

    def stroke(self, points: Iterable[Sequence[float]], width: float) -> np.ndarray:
        """float32 mask of a line with round ends."""
        image = Image.new("L", self.full, 0)
        draw = ImageDraw.Draw(image)
        placed = self._place(points)
        wide = max(1.0, width * self.scale)
        draw.line(placed, fill=255, width=int(round(wide)), joint="curve")
        for x, y in placed:
            draw.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=255)
        return np.asarray(image, np.float32) / 255

    def paint(self, mask: np.ndarray, colour: Sequence[float]) -> None:
        """Lay one colour over the mask."""
        self.pixels += mask[:, :, None] * (np.asarray(colour, np.float32) - self.pixels)

    def multiply(self, mask: np.ndarray, factor: float) -> None:
        """Darken (below 1) or lighten (above 1) where the mask is."""
        self.pixels *= 1 + mask[:, :, None] * (factor - 1)

    def cloth(
        self, points: Iterable[Sequence[float]], colour: Colour, folds: int = 3, depth: float = 0.25
    ) -> np.ndarray:
        """A filled shape that is darker towards its edge and has soft folds; returns its mask."""
        outline = list(points)
        mask = self.mask(outline)
        self.paint(mask, colour)
        inner = self._blur(mask, 0.035)
        self.multiply(mask * (1 - inner) * 2, 1 - depth)
        xs, ys = zip(*outline)
        for _ in range(folds):
            x = self.rng.uniform(min(xs), max(xs))
            y = self.rng.uniform(min(ys), max(ys))
            dx, dy = self.rng.uniform(-0.06, 0.06), self.rng.uniform(0.15, 0.4)
            line = self._blur(self.stroke([(x, y), (x + dx, y + dy)], 0.03), 0.025)
            self.multiply(mask * line, self.rng.choice([0.8, 0.86, 1.12]))
        return mask

    def line(self, points: Iterable[Sequence[float]], width: float, colour: Sequence[float]) -> None:
        """A line of one colour."""
        self.paint(self.stroke(points, width), colour)

    def image(self, noise: float = 0.0, light: float = 0.0) -> Image.Image:
        """The finished picture; `noise` in grey levels, `light` = darkening from corner to corner."""
        pixels = self.pixels
        if light:
            rows = np.linspace(0, 1, pixels.shape[0])[:, None]
            columns = np.linspace(0, 1, pixels.shape[1])[None, :]
            pixels = pixels * (1 - light * (rows + columns) / 2)[:, :, None]
        image = Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
        image = image.resize(self.size, getattr(Image, "BOX"))  # noqa: B009
        if noise:
            grain = self.rng.normal(0, noise, (self.size[1], self.size[0], 1))
            image = Image.fromarray(np.clip(np.asarray(image) + grain + 0.5, 0, 255).astype(np.uint8))
        return image

    def _place(self, points: Iterable[Sequence[float]]) -> Points:
        return [(self.origin[0] + x * self.scale, self.origin[1] + y * self.scale) for x, y in points]

    def _blur(self, mask: np.ndarray, radius: float) -> np.ndarray:
        image = Image.fromarray((mask * 255).astype(np.uint8))
        return np.asarray(image.filter(ImageFilter.GaussianBlur(radius * self.scale)), np.float32) / 255
