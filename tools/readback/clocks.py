"""Clock buffers that only pass on: BUFGCTRL set up as BUFG, BUFHCE that is always on (UG472)."""

from __future__ import annotations

from .database import Site
from .errors import NotModelledError
from .netlist import ONE, ZERO, Cell, Extractor
from .wires import Pin

__all__ = ["Buffers"]


class Buffers:
    """The cells of BUFGCTRL and BUFHCE."""

    def __init__(self, extractor: Extractor) -> None:
        self._all = extractor
        extractor.register(self, "BUFGCTRL", "BUFHCE")

    def output(self, pin: Pin, site: Site) -> str:
        """A BUFHCE is one with the net at its input."""
        prefix = f"{site.kind}.{site.kind}_X{site.x}Y{site.y}."
        ones, _ = self._all.settings(pin.tile, prefix)
        where = f"{pin.tile}.{prefix}"
        if "IN_USE" not in ones:
            raise NotModelledError(f"{where[:-1]} without IN_USE, whose output is used")

        def constant(name: str) -> bool:
            net = self._all.input(pin.tile, site, name)
            if net not in (ZERO, ONE):
                raise NotModelledError(f"{where}{name} that is no constant")
            return (net == ONE) == (f"ZINV_{name}" in ones)

        if site.kind == "BUFHCE":
            if not constant("CE"):
                raise NotModelledError(f"{where}CE that is off")
            return self._all.input(pin.tile, site, "I")
        first, second = (constant(f"CE{index}") and constant(f"S{index}") for index in (0, 1))
        if not first or second:
            raise NotModelledError(f"{where[:-1]} that does not select I0 for good")
        name = f"{pin.tile}_BUFG{site.y}"

        def build() -> None:
            self._all.cells.append(Cell("BUFG", f"{name}_BUF", {}, {
                "I": [self._all.input(pin.tile, site, "I0")], "O": [name]}))

        return self._all.net(name, build)

    def finish(self) -> None:
        """Nothing waits."""
