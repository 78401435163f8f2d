"""The recipes of our shipped networks."""

from __future__ import annotations

from typing import NamedTuple

from ...contracts.network import Framing
from .augment import Augment
from .loop import Recipe

__all__ = ["RECIPES", "SUMS", "NetworkRecipe"]


class NetworkRecipe(NamedTuple):
    """One shipped network. `encoding` is "learned" or a plain threshold; `then` goes on from `recipe`."""

    dataset: str
    encoding: str
    framing: Framing
    recipe: Recipe
    held_out: int = 5000
    then: Recipe | None = None


_DIGITS = Augment(shift=1.5, rotate=8, scale=0.1, shear=0.1, elastic=0.7)
_MASS = Framing((20, 20), "mass")
_BOX = Framing((28, 28), "box")


def _digits(ternary: bool, epochs: int, rate: float) -> NetworkRecipe:
    recipe = Recipe(ternary, epochs, 1, rate=rate, versus_rest=0.3, augment=_DIGITS, clean_epochs=3)
    return NetworkRecipe("mnist", "128", _MASS, recipe)


# Mirror images, rotations and dropout cost this small network more than they give it.
_CLOTHES = Recipe(
    False,
    100,
    1,
    rate=0.015,
    versus_rest=0.3,
    augment=Augment(shift=1.0, scale=0.03),
    clean_epochs=5,
    input_dropout=0.05,
    distill=0.7,
)
_CLOTHES_FIRST = _CLOTHES._replace(
    ternary=True, epochs=70, augment=Augment(shift=1.0, rotate=3, scale=0.05, mirror=True), dropout=0.05
)
_CLOTHES_SECOND = _CLOTHES._replace(ternary=True, epochs=60, seed=2, rate=0.008, augment=Augment(shift=0.7))

RECIPES: dict[str, NetworkRecipe] = {
    "lfc-w1a1-mnist": _digits(False, 80, 0.02),
    "lfc-w1a2-mnist": _digits(True, 100, 0.015),
    "lfc-w1a1-fashion-mnist": NetworkRecipe("fashion-mnist", "learned", _BOX, _CLOTHES),
    "lfc-w1a2-fashion-mnist": NetworkRecipe("fashion-mnist", "learned", _BOX, _CLOTHES_FIRST, then=_CLOTHES_SECOND),
}

# Networks that end in sums, made of these trained ones.
SUMS = {name.replace("a1-", "a1-sums-").replace("a2-", "a2-sums-"): name for name in RECIPES}
