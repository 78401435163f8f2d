"""The hardware handoff (.hwh) of the engine's design, which pynq reads before it loads the bitstream.

    python overlays/engine/handoff.py                         engine.hwh beside overlays/engine-z7020/overlay.json
    python overlays/engine/handoff.py OVERLAY --out FILE      of another descriptor

The design is plain Verilog around a PS7 (rtl/top.v), so no block design is there to export one. Registers are those of
qnn_pynq/families/engine/registers.py; address, interrupt and clock are the descriptor's. The same descriptor gives the
same bytes, on any day.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Iterator, Mapping, NamedTuple
from xml.sax.saxutils import quoteattr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from qnn_pynq.contracts.overlay import Overlay  # noqa: E402
from qnn_pynq.errors import QnnError  # noqa: E402
from qnn_pynq.families.engine.registers import CAPS, ERRORS, MAGIC, REGION, Reg  # noqa: E402
from qnn_pynq.overlay import load_overlay  # noqa: E402

__all__ = ["REGIONS", "handoff", "registers"]

DESCRIPTOR = ROOT / "overlays" / "engine-z7020" / "overlay.json"
REGIONS = ("IMAGE", "INPUT", "OUTPUT", "SCRATCH")  # of memory, in the order of their registers
PS = "ps7"
IO_PLL, CRYSTAL = 1000, 50  # MHz of a PYNQ-Z1 and Z2 after boot; FCLK0 comes from the one, the other feeds it
DDR = 512 << 20  # bytes, from address 0
MOST_DIVISOR = 63
TOLERANCE = 0.01  # what the board's check of its clock allows
READ, WRITE, BOTH = "read-only", "write-only", "read-write"

# Fields are (name, first bit, bits, description).
_STATUS_BITS = (
    ("BUSY", 0, 1, "a run"),
    ("DONE", 1, 1, "the run has ended"),
    ("ERROR", 2, 1, "it ended with an error"),
    ("ABORTED", 3, 1, "it was ended by an abort"),
    ("CODE", 8, 8, "of the error: " + ", ".join(f"{code} {text}" for code, text in sorted(ERRORS.items()))),
    ("WORD", 16, 16, "of the program, of the instruction"),
)
_EVENTS = ("DONE", 0, 1, "the run has ended"), ("ERROR", 1, 1, "an error")
_COMMANDS = ("START", 0, 1, "start the program"), ("ABORT", 1, 1, "end the run"), ("RESET", 2, 1, "soft reset")

_REGISTERS = {
    Reg.MAGIC: (READ, f"0x{MAGIC:08X}", ()),
    Reg.VERSION: (READ, "of this table", ()),
    Reg.BUILD: (READ, "of the bitstream", ()),
    Reg.CAPS0: (READ, "size of the array", ()),
    Reg.CAPS1: (READ, "words of weights and banks", ()),
    Reg.CAPS2: (READ, "words of thresholds and program", ()),
    Reg.SCRATCH: (BOTH, "anything", ()),
    Reg.CONTROL: (WRITE, "one command at a time", _COMMANDS),
    Reg.STATUS: (READ, "of the last run", _STATUS_BITS),
    Reg.IRQ_ENABLE: (BOTH, "which events interrupt", _EVENTS),
    Reg.IRQ_STATUS: (BOTH, "events; writing 1 clears", _EVENTS),
    Reg.GROUPS: (BOTH, "groups of pictures of a run", ()),
    Reg.PICTURES: (READ, "finished in the run", ()),
    Reg.WATCHDOG: (BOTH, "cycles without an instruction or a burst until a run is ended", ()),
    Reg.CYCLES: (READ, "of the run", ()),
    Reg.BUSY: (READ, "cycles in which a word was computed", ()),
    Reg.WAIT_LOAD: (READ, "cycles that were lost waiting for loads", ()),
    Reg.WAIT_STORE: (READ, "cycles that were lost waiting for stores", ()),
    Reg.WAIT_DRAIN: (READ, "cycles that were lost waiting for results", ()),
}
_PARTS = ("BASE", "first byte"), ("SIZE", "bytes"), ("STRIDE", "bytes from one group to the next")


class Register(NamedTuple):
    """Fields are (name, first bit, bits, access, description)."""

    name: str
    offset: int
    access: str
    description: str
    fields: tuple[tuple[str, int, int, str, str], ...] = ()


def registers() -> list[Register]:
    """All of them, by their offsets."""
    found = []
    for reg in Reg:
        access, text, fields = _REGISTERS[reg]
        fields = fields or tuple((key.upper(), bit, bits, "") for key, bit, bits in CAPS.get(reg, ()))
        # pynq's assignment to one bit reads the register and writes it back, which clears every event that is there.
        each = READ if reg == Reg.IRQ_STATUS else access
        bits = tuple((name, first, count, each, said) for name, first, count, said in fields)
        found.append(Register(reg.name, int(reg), access, text, bits))
    for number, region in enumerate(REGIONS):
        for index, (part, text) in enumerate(_PARTS):
            offset = REGION + 16 * number + 4 * index
            found.append(Register(f"{region}_{part}", offset, BOTH, f"{text}, region {number}"))
    return found


def divisors(mhz: float) -> tuple[int, int]:
    """The two that make a clock of the IO PLL's; ValueError where none come close."""
    pairs = [(first, second) for first in range(1, MOST_DIVISOR + 1) for second in range(1, first + 1)]
    first, second = min(pairs, key=lambda pair: (abs(IO_PLL / (pair[0] * pair[1]) - mhz), pair[0] - pair[1]))
    found = IO_PLL / (first * second)
    if abs(found - mhz) > TOLERANCE * mhz:
        raise ValueError(f"clock_mhz {mhz:g}: {IO_PLL} MHz / {first} / {second} are {found:g} MHz: take such a clock")
    return first, second


# ---- XML, a line an element

Element = Iterator[str]


def _tag(name: str, attributes: Mapping[str, object], *inner: Element) -> Element:
    head = name + "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items())
    lines = [line for each in inner for line in each]
    if not lines:
        yield f"<{head}/>"
        return
    yield f"<{head}>"
    for line in lines:
        yield "  " + line
    yield f"</{name}>"


def _values(kind: str, values: Mapping[str, object]) -> list[Element]:
    return [_tag(kind, {"NAME": name, "VALUE": value}) for name, value in values.items()]


def _register(register: Register) -> Element:
    fields = [_tag("FIELD", {"NAME": name}, *_values("PROPERTY", {
        "DESCRIPTION": text, "ADDRESS_OFFSET": bit, "ACCESS": access, "BIT_OFFSET": bit, "BIT_WIDTH": bits,
    })) for name, bit, bits, access, text in register.fields]
    properties = {"DESCRIPTION": register.description, "ADDRESS_OFFSET": register.offset, "SIZE": 32,
                  "ACCESS": register.access, "IS_ENABLED": "true"}
    return _tag("REGISTER", {"NAME": register.name}, *_values("PROPERTY", properties), _tag("FIELDS", {}, *fields))


def _port(name: str, way: str, signal: str, to: list[tuple[str, str]], **more: object) -> Element:
    connections = [_tag("CONNECTION", {"INSTANCE": instance, "PORT": port}) for instance, port in to]
    return _tag("PORT", {"DIR": way, "NAME": name, **more, "SIGNAME": signal}, _tag("CONNECTIONS", {}, *connections))


def _bus(name: str, kind: str, signal: str, bits: int) -> Element:
    parameters = {"DATA_WIDTH": bits, "ADDR_WIDTH": 32, "PROTOCOL": "AXI3"}
    return _tag("BUSINTERFACE", {"BUSNAME": signal, "DATAWIDTH": bits, "NAME": name, "TYPE": kind,
                                 "VLNV": "xilinx.com:interface:aximm:1.0"}, *_values("PARAMETER", parameters))


def _range(instance: str, master: str, slave: str, block: str, kind: str, base: int, size: int) -> Element:
    return _tag("MEMRANGE", {
        "ADDRESSBLOCK": block, "BASENAME": "C_BASEADDR", "BASEVALUE": f"0x{base:08X}", "HIGHNAME": "C_HIGHADDR",
        "HIGHVALUE": f"0x{base + size - 1:08X}", "INSTANCE": instance, "IS_DATA": "TRUE", "IS_INSTRUCTION": "TRUE",
        "MASTERBUSINTERFACE": master, "MEMTYPE": kind, "SLAVEBUSINTERFACE": slave})


def _module(name: str, vlnv: str, more: Mapping[str, object], *inner: Element) -> Element:
    kind, version = vlnv.split(":")[2:]
    return _tag("MODULE", {"FULLNAME": "/" + name, "HWVERSION": version, "INSTANCE": name, "IPTYPE": "PERIPHERAL",
                           "IS_ENABLE": 1, **more, "MODTYPE": kind, "VLNV": vlnv}, *inner)


def _clocks(mhz: float) -> dict[str, object]:
    """What pynq sets the clocks by: FCLK0 runs, the others are off."""
    first, second = divisors(mhz)
    found: dict[str, object] = {"PCW_CRYSTAL_PERIPHERAL_FREQMHZ": CRYSTAL, "PCW_IOPLL_CTRL_FBDIV": IO_PLL // CRYSTAL}
    for number in range(4):
        actual = f"{IO_PLL / (first * second):.6f}"
        found.update({
            f"PCW_FPGA_FCLK{number}_ENABLE": int(number == 0),
            f"PCW_FCLK{number}_PERIPHERAL_CLKSRC": "IO PLL",
            f"PCW_FCLK{number}_PERIPHERAL_DIVISOR0": first,
            f"PCW_FCLK{number}_PERIPHERAL_DIVISOR1": second,
            f"PCW_FPGA{number}_PERIPHERAL_FREQMHZ": f"{mhz:g}",
            f"PCW_ACT_FPGA{number}_PERIPHERAL_FREQMHZ": actual,
            # pynq 4 looks for the rate under the name of a larger chip only, and fails without it.
            f"PSU__CRL_APB__PL{number}_REF_CTRL__ACT_FREQMHZ": actual,
        })
    return found


def _engine(overlay: Overlay, pin: str) -> Element:
    ip, clock = overlay.ip, {"CLKFREQUENCY": round(overlay.clock_mhz * 1e6), "SIGIS": "clk"}
    ports = [_port("clk", "I", PS + "_FCLK_CLK0", [(PS, "FCLK_CLK0")], **clock),
             _port("resetn", "I", PS + "_FCLK_RESET0_N", [(PS, "FCLK_RESET0_N")], SIGIS="rst")]
    if pin:
        ports.append(_port(pin, "O", f"{ip.name}_{pin}", [(PS, "IRQ_F2P")], SENSITIVITY="LEVEL_HIGH",
                           SIGIS="INTERRUPT"))
    parameters = {"C_S_AXI_BASEADDR": f"0x{ip.address:08X}", "C_S_AXI_HIGHADDR": f"0x{ip.address + ip.range - 1:08X}",
                  **(overlay.rtl.parameters if overlay.rtl is not None else {})}
    block = {"ACCESS": BOTH, "INTERFACE": "s_axi", "NAME": "Reg", "RANGE": ip.range, "USAGE": "register"}
    return _module(
        ip.name, ip.vlnv, {"MODCLASS": "PERIPHERAL"},
        _tag("ADDRESSBLOCKS", {}, _tag("ADDRESSBLOCK", block, _tag("REGISTERS", {}, *map(_register, registers())))),
        _tag("PARAMETERS", {}, *_values("PARAMETER", parameters)),
        _tag("PORTS", {}, *ports),
        _tag("BUSINTERFACES", {}, _bus("s_axi", "SLAVE", PS + "_M_AXI_GP0", 32),
             _bus("m_axi", "MASTER", ip.name + "_m_axi", 64)),
        _tag("MEMORYMAP", {}, _range(PS, "m_axi", "S_AXI_HP0", "HP0_DDR_LOWOCM", "MEMORY", 0, DDR)),
        _tag("PERIPHERALS", {}, _tag("PERIPHERAL", {"INSTANCE": PS})))


def _processor(overlay: Overlay, pin: str) -> Element:
    ip, clock = overlay.ip, {"CLKFREQUENCY": round(overlay.clock_mhz * 1e6), "SIGIS": "clk"}
    clocked = [(ip.name, "clk"), (PS, "M_AXI_GP0_ACLK"), (PS, "S_AXI_HP0_ACLK")]
    ports = [_port("FCLK_CLK0", "O", PS + "_FCLK_CLK0", clocked, **clock),
             *(_port(name, "I", PS + "_FCLK_CLK0", [(PS, "FCLK_CLK0")], **clock) for _, name in clocked[1:]),
             _port("FCLK_RESET0_N", "O", PS + "_FCLK_RESET0_N", [(ip.name, "resetn")], SIGIS="rst")]
    if pin:
        ports.append(_port("IRQ_F2P", "I", f"{ip.name}_{pin}", [(ip.name, pin)], LEFT=0, RIGHT=0,
                           SENSITIVITY="LEVEL_HIGH", SIGIS="INTERRUPT"))
    parameters = {
        "PCW_PACKAGE_NAME": "clg400", "PCW_USE_M_AXI_GP0": 1, "PCW_USE_S_AXI_HP0": 1, "PCW_S_AXI_HP0_DATA_WIDTH": 64,
        "PCW_USE_FABRIC_INTERRUPT": int(bool(pin)), "PCW_IRQ_F2P_INTR": int(bool(pin)), "PCW_IRQ_F2P_MODE": "DIRECT",
        "PCW_NUM_F2P_INTR_INPUTS": 1, **_clocks(overlay.clock_mhz)}
    return _module(
        PS, "xilinx.com:ip:processing_system7:5.5", {"IS_PL": "FALSE"},
        _tag("PARAMETERS", {}, *_values("PARAMETER", parameters)),
        _tag("PORTS", {}, *ports),
        _tag("BUSINTERFACES", {}, _bus("M_AXI_GP0", "MASTER", PS + "_M_AXI_GP0", 32),
             _bus("S_AXI_HP0", "SLAVE", ip.name + "_m_axi", 64)),
        _tag("MEMORYMAP", {}, _range(ip.name, "M_AXI_GP0", "s_axi", "Reg", "REGISTER", ip.address, ip.range)),
        _tag("PERIPHERALS", {}, _tag("PERIPHERAL", {"INSTANCE": ip.name})))


def handoff(overlay: Overlay, date: str = "") -> str:
    """The text of the .hwh.

    Parameters
    ----------
    overlay : Overlay
        Of kind "engine". Its interrupt, where it names one, is wired to IRQ_F2P[0].
    date : str
        TIMESTAMP of the file; without one it has none.

    Raises
    ------
    ValueError
        It is no engine, its pin is not its own, or no divisors make its clock.
    """
    ip = overlay.ip
    cell, _, pin = (ip.interrupt or "").rpartition("/")
    if overlay.kind != "engine":
        raise ValueError(f"{overlay.name} is of kind {overlay.kind}: expected engine")
    if pin and cell not in ("", ip.name):
        raise ValueError(f"interrupt {ip.interrupt}: expected a pin of {ip.name}")
    said = {"EDWVERSION": "1.2", **({"TIMESTAMP": date} if date else {})}
    system = {"ARCH": "zynq", "DEVICE": "7z020", "NAME": "engine", "PACKAGE": "clg400", "SPEEDGRADE": "-1"}
    modules = _tag("MODULES", {}, _engine(overlay, pin), _processor(overlay, pin))
    lines = _tag("EDKSYSTEM", said, _tag("SYSTEMINFO", system), _tag("EXTERNALPORTS", {}),
                 _tag("EXTERNALINTERFACES", {}), modules)
    return '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n' + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overlay", nargs="?", type=Path, default=DESCRIPTOR, help="folder, or overlay.json")
    parser.add_argument("--out", type=Path, help="default: engine.hwh beside the descriptor")
    parser.add_argument("--date", default="", help="what the file says of its day; nothing by default")
    arguments = parser.parse_args()
    try:
        overlay = load_overlay(arguments.overlay)
        text = handoff(overlay, arguments.date)
    except (QnnError, ValueError) as error:
        sys.exit(f"handoff.py: {error}")
    out = arguments.out or overlay.path / "engine.hwh"
    out.write_text(text, encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
