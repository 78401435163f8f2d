"""Cells and nets, followed back from the pins that a design drives."""

from __future__ import annotations

from typing import Callable, Mapping, NamedTuple, Protocol, Sequence

from .database import Database, Site
from .errors import NotModelledError, ReadbackError
from .features import Features
from .wires import Pin, Wiring

__all__ = ["ONE", "ZERO", "Cell", "Extractor", "Model"]

ZERO, ONE = "1'b0", "1'b1"


class Cell(NamedTuple):
    """A cell; ports hold nets, vectors highest bit first. A net is a constant or the name of a wire."""

    kind: str
    name: str
    parameters: dict[str, str]
    ports: Mapping[str, Sequence[str | None]]


class Model(Protocol):
    """Cells of some site types."""

    def output(self, pin: Pin, site: Site) -> str:
        """The net of an output."""

    def finish(self) -> None:
        """Add the cells that had to wait until all outputs in use were known."""


class Extractor:
    """Builds the cells behind every net that is asked for, and no others."""

    def __init__(self, database: Database, features: Features, wiring: Wiring) -> None:
        self.database = database
        self.features = features
        self.wiring = wiring
        self.cells: list[Cell] = []
        self.wires: dict[str, None] = {}  # in the order in which they were asked for
        self._models: dict[str, Model] = {}
        self._waiting: list[Callable[[], None]] = []

    def register(self, model: Model, *kinds: str) -> None:
        """The model of a site type."""
        for kind in kinds:
            self._models[kind] = model

    def site(self, pin: Pin) -> Site:
        """Where a pin is."""
        return self.database.type(self.database.grid[pin.tile]["type"]).sites[pin.site]

    def input(self, tile: str, site: Site, pin: str) -> str:
        """The net at an input of a site."""
        if pin not in site.pins:
            raise ReadbackError(f"{site.kind} in {tile} has no pin {pin}")
        source = self.wiring.source(tile, site.pins[pin])
        if source is None:
            raise ReadbackError(f"nothing drives pin {pin} ({site.pins[pin]}) of {site.kind} in {tile}")
        if isinstance(source, int):
            return ONE if source else ZERO
        place = self.site(source)
        if place.kind not in self._models:
            raise NotModelledError(f"{place.kind} in {source.tile}, whose pin {source.name} is used")
        return self._models[place.kind].output(source, place)

    def net(self, name: str, build: Callable[[], None]) -> str:
        """A net by name; who drives it is built later, once."""
        if name not in self.wires:
            self.wires[name] = None
            self._waiting.append(build)
        return name

    def run(self) -> None:
        """Build until nothing is asked for any more."""
        models = list({id(model): model for model in self._models.values()}.values())
        while self._waiting:
            self._waiting.pop()()
        for model in models:
            model.finish()

    def settings(self, tile: str, prefix: str) -> tuple[frozenset[str], frozenset[str]]:
        """Features of a tile that begin like that, without it: with set bits, and without."""
        cut = len(prefix)
        return (frozenset(name[cut:] for name in self.features.tiles.get(tile, ()) if name.startswith(prefix)),
                frozenset(name[cut:] for name in self.features.implied.get(tile, ()) if name.startswith(prefix)))
