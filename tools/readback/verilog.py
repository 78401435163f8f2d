"""The netlist as Verilog, for the models of the chip's cells."""

from __future__ import annotations

from typing import Sequence, TextIO

from .netlist import Cell, Extractor
from .processor import Processor

__all__ = ["write_verilog"]


def write_verilog(out: TextIO, name: str, extractor: Extractor, processor: Processor) -> None:
    """One flat module of cells, with single wires."""
    ports = []
    for port in processor.ports:
        width = f"[{port.width - 1}:0] " if port.width > 1 else ""
        ports.append(f"    {'output' if port.output else 'input'} wire {width}{port.name}")
    out.write(f"module {name} (\n" + ",\n".join(ports) + "\n);\n")
    for wire in extractor.wires:
        out.write(f"    wire {wire};\n")
    for target, net in processor.drives.items():
        out.write(f"    assign {target} = {net};\n")
    for cell in extractor.cells:
        out.write(_cell(cell))
    out.write("endmodule\n")


def _cell(cell: Cell) -> str:
    parameters = ", ".join(f".{name}({value})" for name, value in cell.parameters.items())
    loose: list[str] = []
    ports = ", ".join(f".{name}({_vector(nets, f'{cell.name}_{name}', loose)})" for name, nets in cell.ports.items())
    wires = "".join(f"    wire {wire};\n" for wire in loose)
    return f"{wires}    {cell.kind} {f'#({parameters}) ' if parameters else ''}{cell.name} ({ports});\n"


def _vector(nets: Sequence[str | None], name: str, loose: list[str]) -> str:
    """Nets as one expression; outputs that nobody asked for get wires of their own."""
    if not any(nets):
        return ""
    shown = []
    for index, net in enumerate(nets):
        if net is None:
            net = f"{name}_{index}"
            loose.append(net)
        shown.append(net)
    return shown[0] if len(shown) == 1 else "{" + ", ".join(shown) + "}"
