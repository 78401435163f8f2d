"""The recipes of our shipped networks."""

from __future__ import annotations

from typing import NamedTuple

from ..network import Framing
from .augment import Augment
from .loop import Recipe

__all__ = ["RECIPES", "NetworkRecipe"]


class NetworkRecipe(NamedTuple):
    """One shipped network. `encoding` is "learned" or a plain threshold."""

    dataset: str
    encoding: str
    framing: Framing
    recipe: Recipe
    held_out: int = 5000


_DIGITS = Augment(shift=1.5, rotate=8, scale=0.1, shear=0.1, elastic=0.7)
_CLOTHES = Augment(shift=1.0, rotate=3, scale=0.05, mirror=True)
_MASS = Framing((20, 20), "mass")
_BOX = Framing((28, 28), "box")


def _digits(ternary: bool, epochs: int, rate: float, versus_rest: float) -> NetworkRecipe:
    recipe = Recipe(ternary, epochs, 1, rate=rate, versus_rest=versus_rest, augment=_DIGITS, clean_epochs=3)
    return NetworkRecipe("mnist", "128", _MASS, recipe)


def _clothes(ternary: bool, epochs: int) -> NetworkRecipe:
    recipe = Recipe(
        ternary,
        epochs,
        1,
        rate=0.015,
        versus_rest=0.3,
        augment=_CLOTHES,
        clean_epochs=5,
        dropout=0.05,
        input_dropout=0.05,
        distill=0.7,
        softness=2.0,
    )
    return NetworkRecipe("fashion-mnist", "learned", _BOX, recipe)


RECIPES: dict[str, NetworkRecipe] = {
    "lfc-w1a1-mnist": _digits(False, 80, 0.02, 0.3),
    "lfc-w1a2-mnist": _digits(True, 100, 0.015, 0.3),
    "lfc-w1a1-fashion-mnist": _clothes(False, 85),
    "lfc-w1a2-fashion-mnist": _clothes(True, 70),
}
