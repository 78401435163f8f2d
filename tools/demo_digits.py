"""Digits as people write and print them: ten pictures of each."""
from __future__ import annotations

from typing import Dict, List

import numpy as np
from demo_canvas import Canvas, Colour, Points, curve
from PIL import Image, ImageDraw, ImageFont

__all__ = ["draw_digit"]

# Pen paths in a box of width 0.6 (x 0.2..0.8) and height 1; several strokes, two ways of writing.
_STROKES: Dict[int, List[List[Points]]] = {
    0: [
        [[(0.52, 0.02), (0.3, 0.12), (0.2, 0.5), (0.32, 0.9), (0.52, 0.98), (0.74, 0.82), (0.8, 0.45), (0.7, 0.12), (0.5, 0.02)]],
        [[(0.6, 0.06), (0.4, 0.04), (0.24, 0.3), (0.22, 0.7), (0.42, 0.98), (0.66, 0.88), (0.78, 0.55), (0.72, 0.2), (0.52, 0.05)]],
    ],
    1: [
        [[(0.5, 0.0), (0.5, 0.5), (0.49, 1.0)]],
        [[(0.36, 0.2), (0.46, 0.12), (0.54, 0.0), (0.53, 0.5), (0.52, 1.0)]],
    ],
    2: [
        [[(0.24, 0.22), (0.36, 0.05), (0.58, 0.02), (0.74, 0.2), (0.66, 0.46), (0.44, 0.72), (0.22, 0.96)], [(0.22, 0.96), (0.5, 0.94), (0.8, 0.95)]],
        [[(0.26, 0.18), (0.45, 0.02), (0.7, 0.12), (0.7, 0.38), (0.5, 0.68), (0.28, 0.9), (0.3, 0.98), (0.42, 0.88), (0.58, 0.93), (0.8, 0.98)]],
    ],
    3: [
        [[(0.26, 0.1), (0.48, 0.0), (0.7, 0.12), (0.66, 0.36), (0.42, 0.47)], [(0.42, 0.47), (0.68, 0.54), (0.76, 0.76), (0.56, 0.97), (0.22, 0.92)]],
        [[(0.22, 0.16), (0.4, 0.02), (0.66, 0.08), (0.68, 0.3), (0.46, 0.46), (0.7, 0.56), (0.76, 0.8), (0.5, 1.0), (0.24, 0.86)]],
    ],
    4: [
        [[(0.34, 0.02), (0.26, 0.34), (0.24, 0.56), (0.5, 0.56), (0.78, 0.52)], [(0.66, 0.1), (0.64, 0.5), (0.6, 1.0)]],
        [[(0.3, 0.08), (0.24, 0.4), (0.36, 0.56), (0.6, 0.5), (0.74, 0.4)], [(0.74, 0.0), (0.7, 0.45), (0.64, 0.98)]],
    ],
    5: [
        [[(0.34, 0.04), (0.3, 0.42)], [(0.3, 0.42), (0.52, 0.36), (0.74, 0.52), (0.72, 0.82), (0.48, 0.98), (0.22, 0.9)], [(0.34, 0.05), (0.56, 0.05), (0.78, 0.02)]],
        [[(0.76, 0.02), (0.54, 0.05), (0.36, 0.06)], [(0.36, 0.06), (0.32, 0.24), (0.3, 0.42)], [(0.3, 0.42), (0.56, 0.42), (0.7, 0.62), (0.62, 0.88), (0.4, 0.98), (0.2, 0.9)]],
    ],
    6: [
        [[(0.66, 0.02), (0.42, 0.2), (0.26, 0.52), (0.26, 0.84), (0.48, 0.99), (0.72, 0.86), (0.7, 0.62), (0.48, 0.54), (0.28, 0.72)]],
        [[(0.54, 0.0), (0.34, 0.3), (0.26, 0.66), (0.36, 0.94), (0.6, 0.96), (0.74, 0.76), (0.6, 0.58), (0.36, 0.64), (0.28, 0.78)]],
    ],
    7: [
        [[(0.22, 0.08), (0.5, 0.07), (0.78, 0.05)], [(0.78, 0.05), (0.62, 0.36), (0.5, 0.66), (0.42, 1.0)]],
        [[(0.24, 0.16), (0.26, 0.06), (0.5, 0.08), (0.76, 0.04)], [(0.76, 0.04), (0.64, 0.34), (0.52, 0.66), (0.48, 0.98)]],
    ],
    8: [
        [[(0.7, 0.14), (0.52, 0.02), (0.32, 0.14), (0.36, 0.36), (0.6, 0.54), (0.72, 0.78), (0.5, 0.99), (0.28, 0.82), (0.4, 0.56), (0.66, 0.34), (0.7, 0.14)]],
        [[(0.52, 0.02), (0.32, 0.14), (0.38, 0.38), (0.62, 0.56), (0.7, 0.8), (0.5, 0.98), (0.3, 0.84), (0.38, 0.58), (0.64, 0.36), (0.68, 0.14), (0.52, 0.02)]],
    ],
    9: [
        [[(0.7, 0.16), (0.5, 0.02), (0.28, 0.16), (0.3, 0.4), (0.52, 0.48), (0.7, 0.34), (0.72, 0.12)], [(0.72, 0.12), (0.7, 0.5), (0.66, 1.0)]],
        [[(0.68, 0.1), (0.44, 0.02), (0.28, 0.24), (0.4, 0.46), (0.62, 0.38), (0.7, 0.14), (0.68, 0.5), (0.54, 0.98)]],
    ],
}

_INKS: List[Colour] = [(20, 20, 20), (25, 40, 140), (90, 90, 95), (170, 30, 30), (15, 80, 50), (60, 20, 90)]
_PAPERS: List[Colour] = [(255, 255, 255), (250, 246, 228), (236, 236, 236), (255, 255, 255), (240, 230, 150)]
_SIZES = [(200, 200), (120, 160), (160, 120), (96, 96), (240, 200)]
_FONTS = ["DejaVuSans.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSerif.ttf"]
_WRITTEN = 7  # of the ten pictures; the rest is print


def draw_digit(digit: int, number: int, rng: np.random.RandomState) -> Image.Image:
    """Picture `number` (0..9) of a digit: seven by hand, three printed; each third light on dark."""
    if number < _WRITTEN:
        return _written(digit, number, rng)
    return _printed(digit, number - _WRITTEN, rng)


def _affine(points: np.ndarray, turn: float, slant: float, stretch: float) -> np.ndarray:
    moved = (points - 0.5) @ np.array([[stretch, 0], [0, 1]]).T
    moved = moved @ np.array([[1, -slant], [0, 1]]).T
    c, s = np.cos(turn), np.sin(turn)
    return moved @ np.array([[c, -s], [s, c]]).T * 0.95 + 0.5


def _written(digit: int, number: int, rng: np.random.RandomState) -> Image.Image:
    dark = number % 3 == 2
    ink = _INKS[rng.randint(len(_INKS))]
    paper = _PAPERS[rng.randint(len(_PAPERS))]
    if dark:  # chalk, screens
        ink, paper = (235, 235, 225), [(30, 60, 45), (0, 0, 0), (45, 45, 60)][rng.randint(3)]
    left, top = rng.uniform(0.05, 0.25, 2)
    box = (left, top, left + rng.uniform(0.55, 0.7), top + rng.uniform(0.55, 0.7))
    canvas = Canvas(rng, _SIZES[rng.randint(len(_SIZES))], paper, box)
    turn, slant, stretch = rng.uniform(-0.14, 0.14), rng.uniform(-0.05, 0.3), rng.uniform(0.85, 1.2)
    width = rng.uniform(0.06, 0.13)
    variants = _STROKES[digit]
    for stroke in variants[number % len(variants)]:
        points = np.array(stroke) + rng.uniform(-0.02, 0.02, (len(stroke), 2))
        canvas.line(curve(_affine(points, turn, slant, stretch)), width, ink)
    return canvas.image(noise=[0, 0, 3, 0, 4][number % 5], light=0.15 if number % 4 == 1 else 0)


def _printed(digit: int, number: int, rng: np.random.RandomState) -> Image.Image:
    from matplotlib import get_data_path

    width, height = _SIZES[rng.randint(len(_SIZES))]
    font = ImageFont.truetype("{}/fonts/ttf/{}".format(get_data_path(), _FONTS[number]), int(height * 0.7))
    ink, paper = _INKS[rng.randint(len(_INKS))], _PAPERS[rng.randint(len(_PAPERS))]
    if number == 2:
        ink, paper = (255, 255, 255), (20, 30, 90)
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = draw.textbbox((0, 0), str(digit), font=font)
    place = ((width - left - right) / 2 + rng.uniform(-8, 8), (height - top - bottom) / 2 + rng.uniform(-8, 8))
    draw.text(place, str(digit), fill=ink, font=font)
    return image.rotate(rng.uniform(-8, 8), getattr(Image, "BICUBIC"), fillcolor=paper)  # noqa: B009
