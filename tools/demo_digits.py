"""Digits as people write and print them: ten pictures of each."""

from __future__ import annotations

import numpy as np
from demo_canvas import Canvas, Colour, curve
from PIL import Image, ImageDraw, ImageFont

__all__ = ["draw_digit"]

# Pen paths, "x,y" in hundredths of a box of width 60 (20..80) and height 100; "|" lifts the pen; two ways
# of writing each digit.
_PATHS = {
    0: (
        "52,2 30,12 20,50 32,90 52,98 74,82 80,45 70,12 50,2",
        "60,6 40,4 24,30 22,70 42,98 66,88 78,55 72,20 52,5",
    ),
    1: (
        "50,0 50,50 49,100",
        "36,20 46,12 54,0 53,50 52,100",
    ),
    2: (
        "24,22 36,5 58,2 74,20 66,46 44,72 22,96 | 22,96 50,94 80,95",
        "26,18 45,2 70,12 70,38 50,68 28,90 30,98 42,88 58,93 80,98",
    ),
    3: (
        "26,10 48,0 70,12 66,36 42,47 | 42,47 68,54 76,76 56,97 22,92",
        "22,16 40,2 66,8 68,30 46,46 70,56 76,80 50,100 24,86",
    ),
    4: (
        "34,2 26,34 24,56 50,56 78,52 | 66,10 64,50 60,100",
        "30,8 24,40 36,56 60,50 74,40 | 74,0 70,45 64,98",
    ),
    5: (
        "34,4 30,42 | 30,42 52,36 74,52 72,82 48,98 22,90 | 34,5 56,5 78,2",
        "76,2 54,5 36,6 | 36,6 32,24 30,42 | 30,42 56,42 70,62 62,88 40,98 20,90",
    ),
    6: (
        "66,2 42,20 26,52 26,84 48,99 72,86 70,62 48,54 28,72",
        "54,0 34,30 26,66 36,94 60,96 74,76 60,58 36,64 28,78",
    ),
    7: (
        "22,8 50,7 78,5 | 78,5 62,36 50,66 42,100",
        "24,16 26,6 50,8 76,4 | 76,4 64,34 52,66 48,98",
    ),
    8: (
        "70,14 52,2 32,14 36,36 60,54 72,78 50,99 28,82 40,56 66,34 70,14",
        "52,2 32,14 38,38 62,56 70,80 50,98 30,84 38,58 64,36 68,14 52,2",
    ),
    9: (
        "70,16 50,2 28,16 30,40 52,48 70,34 72,12 | 72,12 70,50 66,100",
        "68,10 44,2 28,24 40,46 62,38 70,14 68,50 54,98",
    ),
}

_INKS: list[Colour] = [(20, 20, 20), (25, 40, 140), (90, 90, 95), (170, 30, 30), (15, 80, 50), (60, 20, 90)]
_PAPERS: list[Colour] = [(255, 255, 255), (250, 246, 228), (236, 236, 236), (255, 255, 255), (240, 230, 150)]
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
    variants = _PATHS[digit]
    for stroke in variants[number % len(variants)].split(" | "):
        path = np.array([pair.split(",") for pair in stroke.split()], float) / 100
        points = path + rng.uniform(-0.02, 0.02, path.shape)
        canvas.line(curve(_affine(points, turn, slant, stretch)), width, ink)
    return canvas.image(noise=[0, 0, 3, 0, 4][number % 5], light=0.15 if number % 4 == 1 else 0)


def _printed(digit: int, number: int, rng: np.random.RandomState) -> Image.Image:
    from matplotlib import get_data_path

    width, height = _SIZES[rng.randint(len(_SIZES))]
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/{_FONTS[number]}", int(height * 0.7))
    ink, paper = _INKS[rng.randint(len(_INKS))], _PAPERS[rng.randint(len(_PAPERS))]
    if number == 2:
        ink, paper = (255, 255, 255), (20, 30, 90)
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = draw.textbbox((0, 0), str(digit), font=font)
    place = (
        (width - left - right) / 2 + rng.uniform(-8, 8),
        (height - top - bottom) / 2 + rng.uniform(-8, 8),
    )
    draw.text(place, str(digit), fill=ink, font=font)
    return image.rotate(rng.uniform(-8, 8), getattr(Image, "BICUBIC"), fillcolor=paper)  # noqa: B009
