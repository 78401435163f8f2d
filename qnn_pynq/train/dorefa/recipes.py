"""Topologies and recipes of our DoReFa networks."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ENDS", "ENDS_BITS", "RECIPES", "Block", "Recipe", "Topology", "topology_for"]


class Block(NamedTuple):
    """A convolution with batch norm and 2-bit codes; `pool` is a 3x3 maximum with stride 2 behind it."""

    outputs: int
    kernel: int = 3
    stride: int = 1
    pool: bool = False


class Topology(NamedTuple):
    """Square pictures, blocks (the first one in software, with 16-bit weights), global mean, dense tail."""

    size: int
    blocks: tuple[Block, ...]

    def sizes(self) -> list[int]:
        """Side of the map in front of every block, and of the last one."""
        sides = [self.size]
        for block in self.blocks:
            side = (sides[-1] - 1) // block.stride + 1
            sides.append(side // 2 if block.pool else side)  # a window begins at an even line
        return sides


class Recipe(NamedTuple):
    """Everything that decides a training, besides the data."""

    dataset: str
    topology: Topology
    epochs: int
    held_out: int
    seed: int = 1
    batch: int = 64
    rate: float = 0.005
    final_rate: float = 1e-6
    # Rate of all that is not a latent sign: first weights, batch norm, tail.
    other: float = 0.2
    warmup: int = 1
    smoothing: float = 0.1
    # A second training goes on from the weights of the first, with other epochs and rate; 0: none.
    second: int = 0
    second_rate: float = 0.003
    # Share of the float twin's answers in the targets of the second training.
    distill: float = 0.0
    # Augmentation: range of the crop's side in source pixels, aspect, colour, side of the cut-out (0: none),
    # and mirror images.
    crop: tuple[float, float] = (48.0, 72.0)
    aspect: float = 0.1
    colour: float = 0.2
    cutout: int = 0
    mirror: bool = True


_BEHIND_THE_FIRST = (
    Block(64, pool=True),
    Block(128),
    Block(128, pool=True),
    Block(256),
    Block(256, pool=True),
    Block(256),
)
_IMAGENETTE = Topology(64, (Block(64, 5, 2), *_BEHIND_THE_FIRST))
_CIFAR = Topology(32, (Block(64), *_BEHIND_THE_FIRST))

RECIPES: dict[str, Recipe] = {
    "dorefa-w1a2-imagenette": Recipe("imagenette", _IMAGENETTE, 45, 900, second=60, distill=0.8),
    "dorefa-w1a2-cifar10": Recipe("cifar10", _CIFAR, 20, 5000, crop=(28.0, 36.0), aspect=0.05, colour=0.15),
}

# Networks whose first and last layer have so many bits, made of these trained ones.
ENDS_BITS = 4
ENDS = {name.replace("w1a2-", f"w1a2-ends{ENDS_BITS}-"): name for name in RECIPES}


def topology_for(side: int) -> Topology:
    """Topology for pictures of side x side pixels whose maps fit the overlay's 64 x 64."""
    return (_IMAGENETTE if side > 48 else _CIFAR)._replace(size=side)
