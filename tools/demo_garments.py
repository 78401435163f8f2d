"""The ten kinds of Fashion-MNIST as product pictures on white: silhouettes, seams, folds, shading."""

from __future__ import annotations

from typing import Callable, Iterable, Sequence

import numpy as np
from demo_canvas import Canvas, Colour, Points, curve, mirror
from PIL import Image

__all__ = ["GARMENTS", "draw_garment"]

_CLOTHS: list[Colour] = [
    (40, 42, 48),
    (70, 72, 80),
    (35, 50, 95),
    (120, 30, 40),
    (90, 110, 140),
    (130, 130, 128),
    (60, 90, 70),
    (150, 110, 80),
    (165, 165, 175),
    (95, 60, 105),
    (190, 150, 140),
    (25, 25, 28),
]
_LEATHERS: list[Colour] = [
    (60, 40, 28),
    (30, 28, 28),
    (110, 75, 45),
    (80, 30, 30),
    (75, 75, 78),
    (140, 105, 75),
]


def _pick(rng: np.random.RandomState, colours: Sequence[Colour]) -> Colour:
    return colours[rng.randint(len(colours))]


def _tint(colour: Sequence[float], factor: float) -> Colour:
    r, g, b = (int(min(255, max(0, c * factor))) for c in colour)
    return (r, g, b)


def _both(left: Iterable[Sequence[float]]) -> Points:
    """Left outline from the neck to the hem → the closed shape."""
    half = [tuple(p) for p in left]
    return half + mirror(half)[::-1]  # type: ignore[return-value]


def _folded(canvas: Canvas, colour: Colour, left: Points, folds: int = 1) -> None:
    """A sleeve or a leg and its mirror image."""
    canvas.cloth(left, colour, folds)
    canvas.cloth(mirror(left), colour, folds)


def _neck(canvas: Canvas, depth: float, width: float, colour: Colour) -> None:
    """The hole of the neck: the inside of the back, darker."""
    hole = curve([(0.5 - width, 0.03), (0.5, 0.03 + depth), (0.5 + width, 0.03), (0.5, 0.055)], closed=True)
    canvas.paint(canvas.mask(hole), _tint(colour, 0.6))
    canvas.line(
        curve([(0.5 - width, 0.03), (0.5, 0.03 + depth), (0.5 + width, 0.03)]), 0.014, _tint(colour, 0.75)
    )


def _stripes(canvas: Canvas, mask: np.ndarray, colour: Colour, step: float, top: float = 0.2) -> None:
    for y in np.arange(top, 0.95, step):
        band = canvas.stroke([(0.0, y), (1.0, y)], step * 0.4)
        canvas.paint(band * mask, colour)


def _print_on(canvas: Canvas, number: int, colour: Colour) -> None:
    """A motif on the breast."""
    other = _tint(colour, 2.2) if sum(colour) < 330 else _tint(colour, 0.45)
    if number % 3 == 1:
        canvas.line(curve([(0.4, 0.34), (0.5, 0.3), (0.6, 0.34), (0.5, 0.42)], closed=True), 0.02, other)
    elif number % 3 == 2:
        for k in range(4):
            x = 0.38 + 0.075 * k
            canvas.line([(x, 0.3), (x + 0.03, 0.36)], 0.018, other)


def _tshirt(c: Canvas, number: int) -> None:
    colour = _pick(c.rng, _CLOTHS)
    hem, waist = c.rng.uniform(0.24, 0.28), c.rng.uniform(0.25, 0.29)
    sleeve = c.rng.uniform(0.28, 0.4)
    body = _both(
        [(0.4, 0.02), (0.3, 0.06), (0.2, 0.12), (0.08, sleeve), (0.2, sleeve + 0.05), (0.27, 0.27)]
        + [(waist, 0.5), (hem, 0.97), (0.4, 0.985)]
    )
    mask = c.cloth(body, colour, 4)
    if number % 4 == 3:
        _stripes(c, mask, _tint(colour, 1.6), c.rng.uniform(0.08, 0.12))
    for side in ([(0.28, 0.08), (0.26, 0.18), (0.27, 0.28)],):
        c.line(curve(side), 0.008, _tint(colour, 0.75))
        c.line(mirror(curve(side)), 0.008, _tint(colour, 0.75))
    _neck(c, c.rng.uniform(0.05, 0.1), 0.11, colour)
    _print_on(c, number, colour)


def _sleeves(c: Canvas, colour: Colour, cuff: float, wide: float, end: float) -> None:
    """Long sleeves that hang along the body."""
    left = curve([(0.33, 0.05), (0.24, 0.1), (0.17, 0.3), (cuff, end - 0.05)])
    left += [(cuff + 0.01, end), (cuff + wide, end)]
    left += curve([(cuff + wide + 0.01, end - 0.06), (0.26, 0.5), (0.3, 0.3)])
    _folded(c, colour, left, 2)


def _pullover(c: Canvas, number: int) -> None:
    colour = _pick(c.rng, _CLOTHS)
    hem, end = c.rng.uniform(0.24, 0.28), c.rng.uniform(0.88, 0.97)
    _sleeves(c, colour, c.rng.uniform(0.1, 0.13), 0.1, end)
    low = c.rng.uniform(0.9, 0.97)
    mask = c.cloth(
        _both([(0.41, 0.02), (0.32, 0.05), (0.28, 0.2), (hem, 0.45), (hem, low), (0.4, low + 0.01)]),
        colour,
        4,
    )
    c.multiply(c.stroke([(hem, low - 0.03), (1 - hem, low - 0.03)], 0.06) * mask, 0.85)  # ribs
    for y in (end - 0.03,):
        for x in (0.12, 0.78):
            c.multiply(c.stroke([(x, y), (x + 0.1, y)], 0.05), 0.9)
    if number % 4 == 1:
        _stripes(c, mask, _tint(colour, 1.7), c.rng.uniform(0.14, 0.2), 0.3)
    _neck(c, c.rng.uniform(0.03, 0.06), 0.1, colour)
    _print_on(c, number + 1, colour)


def _shirt(c: Canvas, number: int) -> None:
    colour = _pick(c.rng, _CLOTHS[3:] + [(205, 210, 222)])
    short = number % 3 == 2
    hem = c.rng.uniform(0.24, 0.28)
    if short:
        left = [(0.33, 0.06), (0.2, 0.13), (0.09, 0.36), (0.22, 0.42), (0.3, 0.28)]
        _folded(c, colour, left)
    else:
        _sleeves(c, colour, c.rng.uniform(0.12, 0.15), 0.08, c.rng.uniform(0.86, 0.94))
    body = [
        (0.42, 0.04),
        (0.32, 0.06),
        (0.28, 0.2),
        (hem + 0.02, 0.5),
        (hem, 0.88),
        (0.34, 0.96),
        (0.45, 0.98),
    ]
    mask = c.cloth(_both(body), colour, 4)
    if number % 3 == 1:  # checks
        _stripes(c, mask, _tint(colour, 0.7), 0.09, 0.1)
        for x in np.arange(0.25, 0.8, 0.09):
            c.paint(c.stroke([(x, 0.0), (x, 1.0)], 0.03) * mask * 0.6, _tint(colour, 1.4))
    elif number % 3 == 0 and number:
        for x in np.arange(0.25, 0.8, 0.05):
            c.paint(c.stroke([(x, 0.0), (x, 1.0)], 0.008) * mask, _tint(colour, 0.75))
    c.line([(0.5, 0.1), (0.5, 0.97)], 0.035, _tint(colour, 1.12))  # button strip
    c.line([(0.482, 0.1), (0.482, 0.97)], 0.006, _tint(colour, 0.65))
    for y in np.arange(0.2, 0.95, 0.13):
        c.line([(0.5, y), (0.503, y)], 0.018, _tint(colour, 0.5))
    _collar(c, colour, 0.15)


def _collar(c: Canvas, colour: Colour, low: float) -> None:
    c.paint(c.mask([(0.4, 0.03), (0.5, 0.1), (0.6, 0.03), (0.5, 0.015)]), _tint(colour, 0.55))
    left = [(0.4, 0.015), (0.5, 0.1), (0.45, low), (0.36, 0.06)]
    for shape in (left, mirror(left)):
        c.cloth(shape, _tint(colour, 1.08), 0)
        c.line([*shape, shape[0]], 0.007, _tint(colour, 0.6))


def _coat(c: Canvas, number: int) -> None:
    colour = _pick(c.rng, _CLOTHS)
    hem = c.rng.uniform(0.2, 0.25)
    end = c.rng.uniform(0.82, 0.92)
    _sleeves(c, _tint(colour, 0.95), c.rng.uniform(0.09, 0.12), 0.11, end)
    body = [(0.42, 0.03), (0.31, 0.06), (0.27, 0.2), (hem + 0.03, 0.5), (hem, 0.97), (0.4, 0.985)]
    c.cloth(_both(body), colour, 5)
    c.line([(0.5, 0.12), (0.5, 0.975)], 0.016, _tint(colour, 0.5))  # zip or edge
    c.line([(0.515, 0.14), (0.515, 0.975)], 0.008, _tint(colour, 1.5))
    if number % 2:
        for y in np.arange(0.36, 0.85, 0.15):
            for x in (0.44, 0.56):
                c.line([(x, y), (x + 0.004, y)], 0.026, _tint(colour, 0.45))
    for x in (0.29, 0.59):  # pockets
        c.line([(x, 0.66), (x + 0.12, 0.64 if x < 0.5 else 0.68)], 0.014, _tint(colour, 0.6))
    if number % 3 == 0:  # hood
        hood = curve(
            [(0.37, 0.1), (0.36, 0.02), (0.5, -0.01), (0.64, 0.02), (0.63, 0.1), (0.5, 0.14)], closed=True
        )
        c.cloth(hood, _tint(colour, 0.8), 1)
    elif number % 3 == 1:  # lapels
        left = [(0.42, 0.02), (0.5, 0.3), (0.4, 0.24), (0.35, 0.07)]
        for shape in (left, mirror(left)):
            c.cloth(shape, _tint(colour, 1.15), 0)
            c.line([*shape, shape[0]], 0.008, _tint(colour, 0.55))
    else:
        _collar(c, colour, 0.17)


def _trouser(c: Canvas, number: int) -> None:
    colour = _pick(c.rng, _CLOTHS)
    hip, ankle = c.rng.uniform(0.16, 0.19), c.rng.uniform(0.07, 0.12)
    gap = c.rng.uniform(0.01, 0.05)
    left = curve(
        [
            (0.5 - hip * 0.85, 0.02),
            (0.5 - hip, 0.18),
            (0.5 - hip - 0.01, 0.5),
            (0.5 - gap - ankle - 0.03, 0.98),
        ]
    )
    left += [(0.5 - gap - 0.01, 0.985)] + curve([(0.5 - gap, 0.8), (0.495 - gap * 0.4, 0.4), (0.5, 0.24)])
    left += [(0.5, 0.02)]
    _folded(c, colour, left, 3)
    c.line([(0.5, 0.03), (0.5, 0.2)], 0.008, _tint(colour, 0.6))
    c.multiply(c.stroke([(0.5 - hip * 0.84, 0.04), (0.5 + hip * 0.84, 0.04)], 0.045), 0.8)
    if number % 2:  # jeans
        for side in ([(0.5 - hip, 0.12), (0.5 - hip * 0.6, 0.17), (0.5 - hip * 0.45, 0.07)],):
            c.line(curve(side), 0.008, _tint(colour, 0.6))
            c.line(mirror(curve(side)), 0.008, _tint(colour, 0.6))


def _dress(c: Canvas, number: int) -> None:
    colour = _pick(c.rng, _CLOTHS)
    waist, flare = c.rng.uniform(0.1, 0.13), c.rng.uniform(0.15, 0.24)
    height = c.rng.uniform(0.36, 0.44)
    if number % 3 == 1:  # short sleeves
        _folded(c, colour, [(0.41, 0.04), (0.33, 0.08), (0.26, 0.25), (0.33, 0.28), (0.38, 0.2)])
    elif number % 3 == 2:  # long sleeves
        _folded(
            c,
            colour,
            [(0.41, 0.04), (0.34, 0.08), (0.28, 0.3), (0.26, 0.6), (0.31, 0.6), (0.35, 0.35), (0.39, 0.2)],
        )
    top = [(0.45, 0.02), (0.4, 0.03), (0.38, 0.1), (0.37, 0.18)]
    left = top + curve([(0.385, 0.22), (0.5 - waist, height), (0.5 - flare * 0.8, 0.7), (0.5 - flare, 0.97)])
    c.cloth(_both([*left, (0.5 - flare * 0.5, 0.985)]), colour, 3)
    for x in np.linspace(-0.7, 0.7, 6):  # falls of the skirt
        pleat = c.stroke([(0.5 + x * waist, height + 0.03), (0.5 + x * flare, 0.96)], 0.012)
        c.multiply(pleat, c.rng.choice([0.8, 0.88, 1.12]))
    c.line([(0.5 - waist, height), (0.5 + waist, height)], 0.02, _tint(colour, 0.7))
    _neck(c, c.rng.uniform(0.05, 0.11), 0.055, colour)


def _bag(c: Canvas, number: int) -> None:
    colour = _pick(c.rng, _LEATHERS + _CLOTHS[:6])
    top = c.rng.uniform(0.34, 0.42)
    low, slope = c.rng.uniform(0.86, 0.95), c.rng.uniform(-0.02, 0.08)
    handle = _tint(colour, 0.85)
    if number % 3 == 0:
        c.line(
            curve([(0.33, top + 0.03), (0.36, 0.1), (0.5, 0.04), (0.64, 0.1), (0.67, top + 0.03)]),
            0.035,
            handle,
        )
    elif number % 3 == 1:
        c.line(
            curve([(0.06, top + 0.06), (0.2, 0.12), (0.5, 0.03), (0.8, 0.12), (0.94, top + 0.06)]),
            0.022,
            handle,
        )
    else:
        c.line(
            curve([(0.4, top + 0.02), (0.42, top - 0.12), (0.58, top - 0.12), (0.6, top + 0.02)]),
            0.03,
            handle,
        )
    left = 0.04
    shape = [(left + slope, top), (1 - left - slope, top)]
    shape += curve([(0.97, top + 0.1), (0.985, low - 0.08), (0.95, low)]) + curve(
        [(0.05, low), (0.015, low - 0.08), (0.03, top + 0.1)]
    )
    c.cloth(shape, colour, 2, 0.3)
    if number % 2:  # flap
        flap = curve(
            [
                (left + slope, top),
                (0.07, top + 0.2),
                (0.5, top + 0.3),
                (0.93, top + 0.2),
                (1 - left - slope, top),
            ]
        )
        c.cloth(flap, _tint(colour, 1.12), 0)
        c.line(flap, 0.01, _tint(colour, 0.6))
        c.line([(0.47, top + 0.29), (0.53, top + 0.29)], 0.05, (205, 190, 140))
    else:
        c.line([(0.06, top + 0.07), (0.94, top + 0.07)], 0.012, _tint(colour, 0.6))
        c.line([(0.07, low - 0.05), (0.93, low - 0.05)], 0.008, _tint(colour, 0.7))


def _sneaker(c: Canvas, number: int) -> None:
    colour = _pick(c.rng, _CLOTHS)
    ankle, tongue = c.rng.uniform(0.32, 0.38), c.rng.uniform(0.29, 0.35)
    upper = curve(
        [(0.02, 0.62), (0.08, 0.53), (0.25, 0.47), (0.42, 0.38), (0.55, tongue), (0.63, tongue + 0.02)]
    )
    upper += curve([(0.66, ankle + 0.05), (0.78, ankle + 0.06), (0.9, ankle - 0.01), (0.96, ankle)])
    upper += [(0.975, 0.55), (0.98, 0.64), (0.02, 0.66)]
    c.cloth(upper, colour, 1)
    sole = [
        *curve([(0.01, 0.62), (0.2, 0.645), (0.6, 0.64), (0.985, 0.61)]),
        (0.985, 0.7),
        (0.9, 0.715),
        (0.06, 0.715),
        (0.015, 0.68),
    ]
    light = number % 3 != 1
    c.cloth(sole, (200, 200, 198) if light else _tint(colour, 0.5), 0, 0.15)
    c.line([(0.04, 0.712), (0.95, 0.712)], 0.012, (110, 110, 110) if light else _tint(colour, 0.3))
    for k in range(5):  # laces
        x = 0.34 + 0.055 * k
        y = 0.46 - 0.035 * k
        c.line([(x - 0.02, y - 0.03), (x + 0.05, y + 0.04)], 0.014, _tint(colour, 1.8))
    c.line(curve([(0.25, 0.47), (0.34, 0.54), (0.3, 0.64)]), 0.008, _tint(colour, 0.6))
    if number % 2:
        for x in (0.5, 0.57, 0.64):
            c.line([(x, 0.48), (x + 0.06, 0.62)], 0.022, _tint(colour, 2.0))
    else:
        c.line(curve([(0.42, 0.6), (0.6, 0.58), (0.86, 0.44)]), 0.026, _tint(colour, 1.9))


def _boot(c: Canvas, number: int) -> None:
    colour = _pick(c.rng, _LEATHERS)
    heel = number % 3 == 2
    rise = 0.14 if heel else 0.0  # the heel's share of the height
    low = 0.88
    shaft = c.rng.uniform(0.04, 0.1) if not heel else 0.02
    front, back = c.rng.uniform(0.4, 0.46), c.rng.uniform(0.88, 0.92)
    upper = curve(
        [
            (front, shaft),
            (front + 0.02, 0.3),
            (front - 0.05, 0.46 - rise * 0.3),
            (0.2, 0.6),
            (0.05, 0.72),
            (0.03, low),
        ]
    )
    upper += [(0.3, low + 0.01), (0.62, low - rise), (back + 0.03, low - rise - 0.01)]
    upper += curve([(back + 0.04, 0.7 - rise), (back, 0.4), (back, shaft + 0.01)])
    c.cloth(upper, colour, 2, 0.3)
    dark = _tint(colour, 0.55)
    if heel:
        c.paint(
            c.mask(
                [(0.7, low - rise - 0.02), (back + 0.04, low - rise - 0.03), (back + 0.01, 0.97), (0.8, 0.97)]
            ),
            dark,
        )
        c.line(
            [*curve([(0.03, low + 0.02), (0.3, low + 0.02), (0.6, low - rise + 0.02), (0.75, low - rise)])],
            0.03,
            dark,
        )
    else:
        c.paint(
            c.mask(
                [
                    (0.02, low - 0.01),
                    (back + 0.05, low - 0.01),
                    (back + 0.05, low + 0.08),
                    (0.66, low + 0.08),
                    (0.64, low + 0.035),
                    (0.03, low + 0.035),
                ]
            ),
            dark,
        )
    if number % 3 == 0:  # elastic side
        c.paint(
            c.mask(
                curve([(0.58, shaft + 0.02), (0.74, shaft + 0.02), (0.71, 0.42), (0.64, 0.45), (0.6, 0.4)])
            ),
            _tint(colour, 0.6),
        )
    elif number % 3 == 1:  # laces
        for y in np.arange(shaft + 0.06, 0.48, 0.075):
            c.line([(front + 0.0, y), (front + 0.11, y + 0.02)], 0.018, _tint(colour, 1.7))
    else:
        c.line([(0.7, shaft + 0.03), (0.72, 0.62 - rise)], 0.01, _tint(colour, 0.55))
    c.line([(front, shaft + 0.015), (back, shaft + 0.015)], 0.02, _tint(colour, 0.8))


def _sandal(c: Canvas, number: int) -> None:
    colour = _pick(c.rng, _LEATHERS)
    dark = _tint(colour, 0.7)
    if number % 2:  # high heel
        sole = curve([(0.03, 0.9), (0.2, 0.9), (0.4, 0.82), (0.62, 0.55), (0.8, 0.42), (0.93, 0.4)])
        c.line(sole, 0.04, colour)
        c.paint(c.mask([(0.84, 0.42), (0.95, 0.4), (0.93, 0.92), (0.895, 0.92)]), dark)
        c.cloth(curve([(0.06, 0.88), (0.12, 0.78), (0.24, 0.74), (0.3, 0.86)]), colour, 0)
        c.line(curve([(0.93, 0.4), (0.95, 0.28), (0.9, 0.14), (0.72, 0.16), (0.7, 0.2)]), 0.03, colour)
        c.line(curve([(0.7, 0.2), (0.8, 0.22), (0.9, 0.16)]), 0.03, dark)
        if number % 4 == 1:
            c.line(curve([(0.24, 0.76), (0.45, 0.5), (0.7, 0.2)]), 0.022, colour)
    else:
        thick = c.rng.uniform(0.035, 0.07)
        sole = curve([(0.02, 0.62), (0.3, 0.64), (0.6, 0.62), (0.98, 0.56)])
        c.line(sole, thick, dark)
        c.line([(x, y - thick * 0.4) for x, y in sole], 0.018, _tint(colour, 1.3))
        c.line(curve([(0.12, 0.6), (0.18, 0.5), (0.32, 0.46), (0.42, 0.6)]), 0.035, colour)
        c.line(curve([(0.3, 0.6), (0.38, 0.48), (0.5, 0.44), (0.6, 0.6)]), 0.03, colour)
        c.line(curve([(0.86, 0.56), (0.88, 0.44), (0.84, 0.34), (0.66, 0.36), (0.62, 0.6)]), 0.028, colour)
        c.line(curve([(0.68, 0.4), (0.8, 0.4), (0.94, 0.46), (0.95, 0.56)]), 0.024, dark)


GARMENTS: tuple[tuple[str, str, Callable[[Canvas, int], None]], ...] = (
    ("T-shirt/top", "tshirt", _tshirt),
    ("Trouser", "trouser", _trouser),
    ("Pullover", "pullover", _pullover),
    ("Dress", "dress", _dress),
    ("Coat", "coat", _coat),
    ("Sandal", "sandal", _sandal),
    ("Shirt", "shirt", _shirt),
    ("Sneaker", "sneaker", _sneaker),
    ("Bag", "bag", _bag),
    ("Ankle boot", "boot", _boot),
)
"""(name in the data set, name of the files, painter), in the order of the data set's classes."""

_PAPERS: dict[int, Colour] = {0: (255, 255, 255), 1: (247, 247, 247), 2: (255, 255, 255)}


def draw_garment(index: int, number: int, rng: np.random.RandomState) -> Image.Image:
    """Picture `number` (0..9) of a class, shoes with the toe to the left as in shop catalogues."""
    margin = rng.uniform(0.03, 0.1)
    canvas = Canvas(rng, (144, 144), _PAPERS[number % 3], (margin, margin, 1 - margin, 1 - margin))
    GARMENTS[index][2](canvas, number)
    return canvas.image()
