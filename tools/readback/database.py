"""What the part's database says: tiles, wires, switches, and the bits of each feature (Project X-Ray's format)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple, Tuple

from .errors import ReadbackError

__all__ = ["Database", "Feature", "Site", "TileType", "feature_name", "parse_segbits"]

Bit = Tuple[int, int]  # frame, bit within the tile's words of that frame


class Feature(NamedTuple):
    """A setting, the bits that are set for it, and those that are not."""

    name: str
    ones: tuple[Bit, ...]
    zeros: tuple[Bit, ...]


class Site(NamedTuple):
    """A place of cells in a tile type."""

    kind: str
    x: int
    y: int
    pins: dict[str, str]  # pin: wire
    outputs: frozenset[str]


class TileType(NamedTuple):
    """What all tiles of a type share."""

    sites: list[Site]
    switches: frozenset[str]       # "destination.source", those with bits and those without
    pseudo: dict[str, str]           # of them: "always", "default" (when nothing else drives)


def feature_name(text: str) -> str:
    """A feature's name with the index of a bit as a plain number: INIT[007] is INIT[7]."""
    return re.sub(r"\[0+(\d)", r"[\1", text)


def parse_segbits(text: str, origin: str) -> list[Feature]:
    """Features of a segbits file, without the tile type that each line begins with."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, *bits = line.split()
        ones: list[Bit] = []
        zeros: list[Bit] = []
        for bit in bits:
            match = re.fullmatch(r"(!?)(\d+)_(\d+)", bit)
            if not match:
                raise ReadbackError(f"{origin}, line {number}: {bit!r} is no bit FRAME_BIT")
            (zeros if match.group(1) else ones).append((int(match.group(2)), int(match.group(3))))
        if "." not in name or not bits:
            raise ReadbackError(f"{origin}, line {number}: no feature with bits: {line[:60]!r}")
        found.append(Feature(feature_name(name.split(".", 1)[1]), tuple(ones), tuple(zeros)))
    return found


class Database:
    """A family's folder, for one part. What is asked for is read once."""

    def __init__(self, folder: Path, part: str = "xc7z020clg400-1") -> None:
        self.folder, self.name = Path(folder), part
        devices = [path.parent for path in self.folder.glob("*/tilegrid.json") if part.startswith(path.parent.name)]
        if len(devices) != 1 or not (self.folder / part / "part.json").exists():
            raise ReadbackError(f"{self.folder} holds no database of {part}: tilegrid.json and part.json are needed")
        self.device = devices[0]
        self.part: dict[str, Any] = self._json(self.folder / part / "part.json")
        self.grid: dict[str, Any] = self._json(self.device / "tilegrid.json")
        self._types: dict[str, TileType] = {}
        self._features: dict[tuple[str, str], list[Feature]] = {}
        self._directions: dict[str, frozenset[str]] = {}

    def connections(self) -> list[dict[str, Any]]:
        """Wires that are one across tiles: pairs by tile types and distance."""
        found: list[dict[str, Any]] = self._json(self.device / "tileconn.json")
        return found

    def features(self, kind: str, bus: str) -> list[Feature]:
        """Features of a tile type in the frames of a bus."""
        key = kind, bus
        if key not in self._features:
            suffix = "" if bus == "CLB_IO_CLK" else f".{bus.lower()}"
            path = self.folder / f"segbits_{kind.lower()}{suffix}.db"
            self._features[key] = parse_segbits(path.read_text(), path.name) if path.exists() else []
        return self._features[key]

    def type(self, kind: str) -> TileType:
        """Sites and switches of a tile type."""
        if kind not in self._types:
            data = self._json(self.folder / f"tile_type_{kind}.json")
            sites = []
            for site in data["sites"]:
                x, y = (int(number) for number in re.findall(r"\d+", site["name"]))
                pins = {pin: wire["wire"] if isinstance(wire, dict) else wire
                        for pin, wire in site["site_pins"].items() if wire}
                sites.append(Site(site["type"], x, y, pins, self._outputs(site["type"])))
            switches = set()
            for pip in data["pips"].values():
                if pip["is_pseudo"] == "1":
                    continue
                switches.add(f"{pip['dst_wire']}.{pip['src_wire']}")
                if pip["is_directional"] == "0":
                    switches.add(f"{pip['src_wire']}.{pip['dst_wire']}")
            self._types[kind] = TileType(sites, frozenset(switches), self._pseudo(kind, switches))
        return self._types[kind]

    def _pseudo(self, kind: str, switches: set[str]) -> dict[str, str]:
        """Switches without bits, but for ways through a site: hints at them, or a buffer's."""
        path = self.folder / f"ppips_{kind.lower()}.db"
        found = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            name, how = line.split()
            name = name.split(".", 1)[1]
            if how != "hint" and name in switches:
                found[name] = how
        return found

    def _outputs(self, kind: str) -> frozenset[str]:
        """Pins of a site type that drive."""
        if kind not in self._directions:
            path = self.folder / f"site_type_{kind}.json"
            pins = self._json(path)["site_pins"] if path.exists() else {}
            self._directions[kind] = frozenset(pin for pin, data in pins.items() if data["direction"] == "OUT")
        return self._directions[kind]

    @staticmethod
    def _json(path: Path) -> Any:
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise ReadbackError(f"{path.name} of the database cannot be read: {error}") from error
