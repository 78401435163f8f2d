"""Block RAMs (UG473). A tile has two halves of 18 Kb; in step with each other they are one RAMB36."""

from __future__ import annotations

from typing import NamedTuple

from .database import Site
from .errors import NotModelledError
from .netlist import ONE, ZERO, Cell, Extractor
from .wires import Pin

__all__ = ["Memories"]

PREFIXES = ("BRAM_FIFO18_", "BRAM_RAMB18_")  # of the wires of the lower half (even bits), of the upper one
WIDTHS = ("1", "2", "4", "9", "18")
# Of output registers, of FIFOs, of what happens when both ports meet in one word, of the last word in a chain.
NO_MATTER = ("RSTREG_PRIORITY_", "ZALMOST_", "RDADDR_COLLISION_", "RAM_EXTENSION_A_NONE", "RAM_EXTENSION_B_NONE",
             "ZINV_REGCLK", "ZINV_RSTREG")
KNOWN = ("IN_USE", "READ_WIDTH_", "WRITE_WIDTH_", "SDP_", "WRITE_MODE_", "ZINV_", "ZSRVAL_", "ZINIT_", "INIT")
CLOCKS, ENABLES, RESETS = ("CLKARDCLK", "CLKBWRCLK"), ("ENARDEN", "ENBWREN"), ("RSTRAMARSTRAM", "RSTRAMB")
ADDRESSES = ("ADDRARDADDR", "ADDRBWRADDR")


class _Half(NamedTuple):
    """18 Kb: settings and nets at the inputs; vectors lowest bit first."""

    modes: dict[str, str]
    simple: bool            # SDP
    data: int               # contents
    parity: int
    latch: dict[str, int]   # {parity, data} of INIT_A and so on
    nets: dict[str, list[str]]


class Memories:
    """The cells of RAMB18E1 and RAMB36E1."""

    def __init__(self, extractor: Extractor) -> None:
        self._all = extractor
        self._halves: dict[str, dict[int, _Half]] = {}
        self._used: dict[str, set[str]] = {}  # outputs by tile: half and wire
        extractor.register(self, "FIFO18E1", "RAMB18E1")

    def output(self, pin: Pin, site: Site) -> str:
        wire = site.pins[pin.name]
        half = 0 if wire.startswith(PREFIXES[0]) else 1
        port = wire[len(PREFIXES[half]):]
        if not port.startswith(("DOADO", "DOBDO", "DOPADOP", "DOPBDOP")):
            raise NotModelledError(f"output {port} of a block RAM in {pin.tile}")
        self._used.setdefault(pin.tile, set()).add(f"{half}{port}")
        return self._all.net(f"{pin.tile}_{half}_{port}", lambda: self._need(pin.tile))

    def _need(self, tile: str) -> None:
        """Both halves as far as they are in use."""
        if tile in self._halves:
            return
        self._halves[tile] = {}
        common, _ = self._all.settings(tile, "RAMB36.")
        for name in self._all.features.tiles[tile]:
            if name in ("EN_SYN", "FIRST_WORD_FALL_THROUGH"):
                raise NotModelledError(f"{tile}.{name}")
        for name in common:
            if not name.startswith(NO_MATTER):
                raise NotModelledError(f"{tile}.RAMB36.{name}")
        for site in self._all.database.type(self._all.database.grid[tile]["type"]).sites:
            if site.kind in ("FIFO18E1", "RAMB18E1"):
                half = 0 if next(iter(site.pins.values())).startswith(PREFIXES[0]) else 1
                ones, _ = self._all.settings(tile, f"RAMB18_Y{half}.")
                if "IN_USE" in ones:
                    self._halves[tile][half] = self._read(tile, site, half, ones)

    def _read(self, tile: str, site: Site, half: int, ones: frozenset[str]) -> _Half:
        """A half's settings, and the nets at its pins."""
        contents = {"INIT": 0, "INITP": 0}
        latch = dict.fromkeys(("INIT_A", "INIT_B", "SRVAL_A", "SRVAL_B"), (1 << 18) - 1)
        modes = {f"{what}_WIDTH_{port}": "1" for what in ("READ", "WRITE") for port in "AB"}
        modes.update({f"WRITE_MODE_{port}": "WRITE_FIRST" for port in "AB"})
        for name in ones:
            if not name.startswith(NO_MATTER + KNOWN):
                raise NotModelledError(f"{tile}.RAMB18_Y{half}.{name}")
            head, bracket, index = name.partition("[")
            if bracket:
                if head[0] == "Z":
                    latch[head[1:]] &= ~(1 << int(index[:-1]))
                else:
                    kind, number = head.split("_")
                    contents[kind] |= 1 << 256 * int(number, 16) + int(index[:-1])
            elif "_WIDTH_" in name and not name.startswith("SDP_"):
                what, value = name.rsplit("_", 1)
                modes[what] = value
            elif name.startswith("WRITE_MODE_"):
                modes[name[:12]] = name[13:]
        simple = "SDP_WRITE_WIDTH_36" in ones
        if simple != ("SDP_READ_WIDTH_36" in ones):
            raise NotModelledError(f"{tile}.RAMB18_Y{half} with 36 bits at one port only")
        wires = {wire[len(PREFIXES[half]):]: pin for pin, wire in site.pins.items()}

        def net(name: str) -> str:
            found = self._all.input(tile, site, wires[name])
            if name in CLOCKS and f"ZINV_{name}" not in ones and found not in (ZERO, ONE):
                raise NotModelledError(f"{tile}.RAMB18_Y{half} with an inverted clock {name}")
            if name in ENABLES + RESETS and f"ZINV_{name}" not in ones:
                return self._inverted(found)
            return found

        counts = {"WEA": 4, "WEBWE": 8, "DIADI": 16, "DIBDI": 16, "DIPADIP": 2, "DIPBDIP": 2,
                  "ADDRARDADDR": 14, "ADDRBWRADDR": 14}
        nets = {name: [net(f"{name}{index}") for index in range(count)] for name, count in counts.items()}
        nets.update({name: [net(name)] for name in CLOCKS + ENABLES + RESETS})
        return _Half(modes, simple, contents["INIT"], contents["INITP"], latch, nets)

    def _inverted(self, net: str) -> str:
        if net in (ZERO, ONE):
            return ONE if net == ZERO else ZERO

        def build() -> None:
            self._all.cells.append(Cell("INV", f"{net}_INV", {}, {"I": [net], "O": [f"{net}_N"]}))

        return self._all.net(f"{net}_N", build)

    def finish(self) -> None:
        """All memories: which ports are in use is known at the end."""
        for tile, halves in self._halves.items():
            used = self._used[tile]
            missing = {int(port[0]) for port in used} - set(halves)
            if missing:
                raise NotModelledError(f"{tile}.RAMB18_Y{missing.pop()} without IN_USE, whose outputs are used")
            if len(halves) == 2 and self._in_step(halves[0], halves[1]):
                self._whole(tile, halves, used)
            else:
                for half, data in halves.items():
                    self._alone(tile, half, data, used)

    @staticmethod
    def _in_step(one: _Half, other: _Half) -> bool:
        names = CLOCKS + ENABLES + RESETS + ADDRESSES + ("WEA", "WEBWE")
        widths = {key: value for key, value in one.modes.items() if not one.simple or "WIDTH" not in key}
        return (one.simple == other.simple and all(other.modes[key] == value for key, value in widths.items())
                and all(one.nets[name] == other.nets[name] for name in names))

    def _alone(self, tile: str, half: int, data: _Half, used: set[str]) -> None:
        """RAMB18E1: each write enable has two pins, for what are two bytes' halves in a RAMB36E1."""
        enables = {}
        for name in ("WEA", "WEBWE"):
            pins = data.nets[name]
            if pins[0::2] != pins[1::2]:
                raise NotModelledError(f"{name} of {tile}.RAMB18_Y{half}, whose pins differ within a byte")
            enables[name] = pins[0::2]
        ports: dict[str, list[str | None]] = {name: [data.nets[name][0]] for name in CLOCKS + ENABLES + RESETS}
        ports.update({name: list(nets[::-1]) for name, nets in enables.items()})
        for name in ADDRESSES + ("DIADI", "DIBDI", "DIPADIP", "DIPBDIP"):
            ports[name] = list(data.nets[name][::-1])

        def outputs(name: str, count: int) -> list[str | None]:
            return [f"{tile}_{half}_{name}{bit}" if f"{half}{name}{bit}" in used else None
                    for bit in reversed(range(count))]

        ports.update({name: outputs(name, 16) for name in ("DOADO", "DOBDO")})
        ports.update({name: outputs(name, 2) for name in ("DOPADOP", "DOPBDOP")})
        reads = {port[1:] for port in used if port[0] == str(half)}
        if not reads:
            return
        parameters = self._parameters(tile, data, reads, 1)
        parameters.update({name: f"18'h{value:05x}" for name, value in data.latch.items()})
        for number in range(0x40):
            parameters[f"INIT_{number:02X}"] = _constant(data.data >> 256 * number)
        for number in range(8):
            parameters[f"INITP_{number:02X}"] = _constant(data.parity >> 256 * number)
        self._all.cells.append(Cell("RAMB18E1", f"{tile}_{half}_RAMB18", parameters, ports))

    def _whole(self, tile: str, halves: dict[int, _Half], used: set[str]) -> None:
        """RAMB36E1: even bits in the lower half, odd ones in the upper one."""
        low, high = halves[0], halves[1]
        ports: dict[str, list[str | None]] = {name: [low.nets[name][0]] for name in CLOCKS + ENABLES + RESETS}
        for name in ADDRESSES:
            ports[name] = [ONE, *low.nets[name][::-1], ONE]
        ports["WEA"], ports["WEBWE"] = list(low.nets["WEA"][::-1]), list(low.nets["WEBWE"][::-1])

        for name, count in (("DIADI", 32), ("DIBDI", 32), ("DIPADIP", 4), ("DIPBDIP", 4)):
            ports[name] = [halves[bit & 1].nets[name][bit >> 1] for bit in reversed(range(count))]
        for name, count in (("DOADO", 32), ("DOBDO", 32), ("DOPADOP", 4), ("DOPBDOP", 4)):
            ports[name] = [f"{tile}_{bit & 1}_{name}{bit >> 1}" if f"{bit & 1}{name}{bit >> 1}" in used else None
                           for bit in reversed(range(count))]
        parameters = self._parameters(tile, low, {port[1:] for port in used}, 2)
        for name in low.latch:
            data = _weave(low.latch[name] & 0xFFFF, high.latch[name] & 0xFFFF, 16)
            parity = _weave(low.latch[name] >> 16, high.latch[name] >> 16, 2)
            parameters[name] = f"36'h{parity << 32 | data:09x}"
        data = _weave(low.data, high.data, 16384)
        parity = _weave(low.parity, high.parity, 2048)
        for number in range(0x80):
            parameters[f"INIT_{number:02X}"] = _constant(data >> 256 * number)
        for number in range(0x10):
            parameters[f"INITP_{number:02X}"] = _constant(parity >> 256 * number)
        self._all.cells.append(Cell("RAMB36E1", f"{tile}_RAMB36", parameters, ports))

    @staticmethod
    def _parameters(tile: str, data: _Half, reads: set[str], factor: int) -> dict[str, str]:
        """Modes, and widths of the ports that read and write."""
        found = {name: f'"{mode}"' for name, mode in data.modes.items() if name.startswith("WRITE_MODE")}
        found["RAM_MODE"] = '"SDP"' if data.simple else '"TDP"'
        if data.simple:
            widths = {"READ_WIDTH_A": 36, "WRITE_WIDTH_A": 0, "READ_WIDTH_B": 0, "WRITE_WIDTH_B": 36}
        else:
            widths = {}
            for port, enable, write in (("A", "ENARDEN", "WEA"), ("B", "ENBWREN", "WEBWE")):
                reading = any(name.startswith((f"DO{port}DO", f"DOP{port}DOP")) for name in reads)
                writing = data.nets[enable] != [ZERO] and any(net != ZERO for net in data.nets[write][:4])
                read, written = (int(data.modes[f"{what}_WIDTH_{port}"]) for what in ("READ", "WRITE"))
                widths[f"READ_WIDTH_{port}"] = read if reading else 0
                widths[f"WRITE_WIDTH_{port}"] = written if writing else 0
                if reading and writing and read != written:
                    raise NotModelledError(f"port {port} of {tile} that reads {read} and writes {written} bits")
        if factor == 2 and any(0 < width < 9 for width in widths.values()):
            raise NotModelledError(f"a RAMB36E1 in {tile} with ports narrower than 18 bits: {widths}")
        found.update({name: str(width * factor) for name, width in widths.items()})
        return found


def _weave(even: int, odd: int, count: int) -> int:
    """Bits of two numbers in turn."""
    def spread(value: int) -> int:
        return int("0".join(f"{value:0{count}b}"), 2)
    return spread(even) | spread(odd) << 1


def _constant(value: int) -> str:
    return f"256'h{value & (1 << 256) - 1:064x}"
