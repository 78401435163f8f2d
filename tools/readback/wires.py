"""Wires of all tiles joined into nodes, and what drives each node."""

from __future__ import annotations

from typing import Any, NamedTuple, Union

from .database import Database
from .errors import ReadbackError
from .features import Features

__all__ = ["Pin", "Source", "Switch", "Wiring"]

SHIFT = 20      # a wire's key: position in the grid, and number of the name
MARGIN = 128    # rows between columns, so that a step beyond the edge of the grid meets nothing
CONSTANTS = {"HARD0": 0, "HARD1": 1}
# A RAMB36 is its two halves, which have sites and wires of their own; pads are not routed.
IGNORED = {"RAMBFIFO36E1", "IOPAD", "IPAD", "OPAD"}


class Pin(NamedTuple):
    """An output of a site: its tile, number of the site in the tile's type, and pin."""

    tile: str
    site: int
    name: str


class Switch(NamedTuple):
    """A closed switch."""

    tile: str
    destination: str
    source: str


Source = Union[Pin, int, None]  # a pin, a constant, or nothing


class _Drives(NamedTuple):
    """What may drive a wire of a tile type."""

    always: list[str]  # sources by switches without bits
    implied: list[str]  # sources by switches whose bits are all zero
    default: bool      # else 1
    pin: tuple[int, str] | None
    constant: int | None


class Wiring:
    """Nodes are found as they are asked for."""

    def __init__(self, database: Database, features: Features) -> None:
        self._database = database
        self._implied = features.implied
        self._height = max(tile["grid_y"] for tile in database.grid.values()) + MARGIN
        self._kinds: dict[int, str] = {}
        self._tiles: dict[int, str] = {}
        self._position: dict[str, int] = {}
        for name, tile in database.grid.items():
            position = (tile["grid_x"] + 1) * self._height + tile["grid_y"]
            self._kinds[position] = tile["type"]
            self._tiles[position] = name
            self._position[name] = position
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._joins = self._read_joins()
        self._nodes: dict[int, int] = {}
        self._members: list[list[int]] = []
        self._drives: dict[str, dict[str, _Drives]] = {}
        self._switches: dict[int, list[Switch]] = {}
        self._sources: dict[int, Source] = {}
        self.closed: list[Switch] = []
        for tile, names in features.tiles.items():
            switches = database.type(database.grid[tile]["type"]).switches
            for name in names:
                if name in switches:
                    self.closed.append(Switch(tile, *name.split(".")))
        for switch in self.closed:
            self._switches.setdefault(self.node(switch.tile, switch.destination), []).append(switch)

    def _number(self, wire: str) -> int:
        number = self._numbers.get(wire)
        if number is None:
            number = self._numbers[wire] = len(self._names)
            self._names.append(wire)
        return number

    def _read_joins(self) -> dict[str, dict[int, list[tuple[int, str, int]]]]:
        """By tile type and wire: step, type and wire of what it is joined to."""
        found: dict[str, dict[int, list[tuple[int, str, int]]]] = {}
        for entry in self._database.connections():
            one, other = entry["tile_types"]
            dx, dy = entry["grid_deltas"]
            step = dx * self._height + dy
            for first, second in entry["wire_pairs"]:
                first, second = self._number(first), self._number(second)
                found.setdefault(one, {}).setdefault(first, []).append((step, other, second))
                found.setdefault(other, {}).setdefault(second, []).append((-step, one, first))
        return found

    def node(self, tile: str, wire: str) -> int:
        """The number of the node that a wire belongs to."""
        key = self._position[tile] << SHIFT | self._number(wire)
        node = self._nodes.get(key)
        if node is not None:
            return node
        node = len(self._members)
        self._nodes[key] = node
        members = [key]
        mask = (1 << SHIFT) - 1
        for key in members:  # grows
            position = key >> SHIFT
            for step, kind, number in self._joins.get(self._kinds[position], {}).get(key & mask, ()):
                if self._kinds.get(position + step) == kind:
                    joined = position + step << SHIFT | number
                    if joined not in self._nodes:
                        self._nodes[joined] = node
                        members.append(joined)
        self._members.append(members)
        return node

    def _drivers(self, kind: str) -> dict[str, _Drives]:
        """What may drive the wires of a tile type but for switches with set bits."""
        if kind not in self._drives:
            data = self._database.type(kind)
            found: dict[str, _Drives] = {}

            def entry(wire: str) -> _Drives:
                return found.setdefault(wire, _Drives([], [], False, None, None))

            for name, how in data.pseudo.items():
                wire, source = name.split(".")
                if how == "always":
                    entry(wire).always.append(source)
                elif source == "VCC_WIRE":
                    found[wire] = entry(wire)._replace(default=True)
                else:
                    raise ReadbackError(f"{kind}: a default of {wire} by {source} is not understood")
            for feature in self._database.features(kind, "CLB_IO_CLK"):
                if not feature.ones and feature.name in data.switches:
                    wire, source = feature.name.split(".")
                    entry(wire).implied.append(source)
            for index, site in enumerate(data.sites):
                for pin, wire in site.pins.items() if site.kind not in IGNORED else ():
                    if site.kind == "TIEOFF":
                        found[wire] = entry(wire)._replace(constant=CONSTANTS[pin])
                    elif pin in site.outputs:
                        found[wire] = entry(wire)._replace(pin=(index, pin))
            self._drives[kind] = found
        return self._drives[kind]

    def source(self, tile: str, wire: str) -> Source:
        """What drives a wire, through all closed switches."""
        return self._resolve(self.node(tile, wire))

    def _resolve(self, node: int) -> Source:
        path = []
        found: Source = None
        while True:
            if node in self._sources:
                found = self._sources[node]
                break
            path.append(node)
            if len(path) > 10_000:
                raise ReadbackError(f"a ring of switches at {self._describe(node)}")
            switches = self._switches.get(node)
            if switches:
                if len(switches) > 1:
                    raise ReadbackError(f"two switches drive {self._describe(node)}: {switches[0]} and {switches[1]}")
                node = self.node(switches[0].tile, switches[0].source)
                continue
            found = self._alone(node)
            break
        for node in path:
            self._sources[node] = found
        return found

    def _alone(self, node: int) -> Source:
        """What drives a node that no switch with set bits drives."""
        sources: set[Pin | int] = set()
        default = False
        for key in self._members[node]:
            position = key >> SHIFT
            drives = self._drivers(self._kinds[position]).get(self._names[key & (1 << SHIFT) - 1])
            if drives is None:
                continue
            tile = self._tiles[position]
            if drives.constant is not None:
                sources.add(drives.constant)
            if drives.pin is not None:
                sources.add(Pin(tile, *drives.pin))
            wire = self._names[key & (1 << SHIFT) - 1]
            more = drives.always
            if drives.implied:
                holds = self._implied.get(tile, ())
                more = more + [source for source in drives.implied if f"{wire}.{source}" in holds]
            for source in more:
                found = self._resolve(self.node(tile, source))
                if found is not None:
                    sources.add(found)
            default = default or drives.default
        if len(sources) > 1:
            raise ReadbackError(f"two sources drive {self._describe(node)}: {sorted(map(str, sources))}")
        if sources:
            return sources.pop()
        return 1 if default else None

    def _describe(self, node: int) -> str:
        key = self._members[node][0]
        return f"{self._tiles[key >> SHIFT]}.{self._names[key & (1 << SHIFT) - 1]}"

    def check(self) -> dict[str, Any]:
        """Closed switches: how many, how many of them carry something, where a way begins with nothing, and nodes with
        more than one driver."""
        driven = 0
        beginnings = []
        for switch in self.closed:
            try:
                carries = self.source(switch.tile, switch.source) is not None
            except ReadbackError:  # counted below
                carries = True
            driven += carries
            if not carries and self.node(switch.tile, switch.source) not in self._switches:
                beginnings.append(".".join(switch))
        contested = []
        for node, switches in self._switches.items():
            if len(switches) > 1 or self._fixed(node):
                contested.append(f"{self._describe(node)}: {', '.join('.'.join(switch) for switch in switches)}")
        return {"switches": len(self.closed), "driven": driven, "undriven": beginnings, "contested": contested}

    def _fixed(self, node: int) -> bool:
        """Whether something besides the closed switches drives a node."""
        for key in self._members[node]:
            position = key >> SHIFT
            drives = self._drivers(self._kinds[position]).get(self._names[key & (1 << SHIFT) - 1])
            if drives and (drives.pin or drives.constant is not None or any(
                    self._resolve(self.node(self._tiles[position], source)) is not None for source in drives.always)):
                return True
        return False
