"""The PS7: its pins become the ports of the module."""

from __future__ import annotations

from typing import NamedTuple

from .database import Site
from .errors import NotModelledError, ReadbackError
from .netlist import ONE, ZERO, Extractor
from .wires import Pin

__all__ = ["PORTS", "Port", "Processor"]


class Port(NamedTuple):
    """A port of the module, and the pins of the PS7 that it is: the pin's name, with an index from first on."""

    name: str
    output: bool  # of the module: an input of the PS7
    width: int
    pin: str


def _axi(prefix: str, interface: str, widths: dict[str, int], ours: str) -> list[Port]:
    """An AXI interface, of whose signals the module drives those in `ours`."""
    return [Port(f"{prefix}{name}", name in ours.split(), width, f"{interface}{name.upper()}")
            for name, width in widths.items()]


_ONE = dict.fromkeys("awvalid awready wvalid wready wlast bvalid bready arvalid arready rvalid rready rlast".split(), 1)
# Single pins have no index, but for these.
PORTS: tuple[Port, ...] = (
    Port("clk", False, 1, "FCLKCLK0"), Port("resetn", False, 1, "FCLKRESETN0"), Port("irq", True, 1, "IRQF2P0"),
    *_axi("s_", "MAXIGP0", {**_ONE, "awaddr": 32, "awid": 12, "awlen": 4, "wdata": 32, "wstrb": 4, "bid": 12,
                            "bresp": 2, "araddr": 32, "arid": 12, "arlen": 4, "rdata": 32, "rid": 12, "rresp": 2},
          "awready wready bvalid bid bresp arready rvalid rdata rid rresp rlast"),
    *_axi("m_", "SAXIHP0", {**_ONE, "araddr": 32, "arlen": 4, "rdata": 64, "rresp": 2, "awaddr": 32, "awlen": 4,
                            "wdata": 64, "bresp": 2},
          "arvalid araddr arlen rready awvalid awaddr awlen wvalid wdata wlast bready"),
)


def _pins(port: Port) -> list[str]:
    return [port.pin] if port.width == 1 else [f"{port.pin}{index}" for index in range(port.width)]


class Processor:
    """Ports for some pins; what else the design does with the PS7 is reported, or refused."""

    def __init__(self, extractor: Extractor, ports: tuple[Port, ...] = PORTS) -> None:
        self._all = extractor
        self.ports = ports
        self._inputs = {pin: port.name if port.width == 1 else f"{port.name}[{index}]"
                        for port in ports if not port.output for index, pin in enumerate(_pins(port))}
        self.read: dict[str, str] = {}    # inputs of the module that the design uses
        self.drives: dict[str, str] = {}  # bits of outputs of the module: net
        self.tied: dict[str, int] = {}    # other inputs of the PS7: constant
        self.clocked: list[str] = []      # other inputs of the PS7 that get a clock
        self._others: dict[str, str] = {}
        extractor.register(self, "PS7")

    def output(self, pin: Pin, site: Site) -> str:
        if pin.name not in self._inputs:
            raise NotModelledError(f"pin {pin.name} of the PS7, which the design uses")
        self.read[pin.name] = self._inputs[pin.name]
        return self._inputs[pin.name]

    def finish(self) -> None:
        """See what the other inputs of the PS7 get: a constant may come from a LUT."""
        constants = {cell.ports[port][0]: value for cell in self._all.cells
                     for kind, port, value in (("GND", "G", 0), ("VCC", "P", 1)) if cell.kind == kind}
        constants.update({ZERO: 0, ONE: 1})
        clocks = {cell.ports["O"][0] for cell in self._all.cells if cell.kind == "BUFG"}
        for pin, net in self._others.items():
            if net in constants:
                self.tied[pin] = constants[net]
            elif net in clocks and pin.endswith("ACLK"):
                self.clocked.append(pin)
            else:
                raise NotModelledError(f"pin {pin} of the PS7, which the design drives by {net}")

    def start(self) -> None:
        """Ask for all that the design gives to the PS7."""
        found = [(name, site) for name, tile in self._all.database.grid.items() if "PS7" in tile["sites"].values()
                 for site in self._all.database.type(tile["type"]).sites if site.kind == "PS7"]
        if len(found) != 1:
            raise ReadbackError(f"the part has {len(found)} PS7, not one")
        tile, site = found[0]
        ours = {pin: port.name if port.width == 1 else f"{port.name}[{index}]"
                for port in self.ports if port.output for index, pin in enumerate(_pins(port))}
        for pin in sorted(site.pins):
            if pin in site.outputs or pin in self._inputs or pin.startswith(("MIO", "DDR", "PS")) and pin not in ours:
                continue
            if self._all.wiring.source(tile, site.pins[pin]) is None and pin not in ours:
                continue  # not wired in this database
            net = self._all.input(tile, site, pin)
            if pin in ours:
                self.drives[ours[pin]] = net
            else:
                self._others[pin] = net
