"""The command."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from . import checks
from .clocks import Buffers
from .database import Database
from .errors import ReadbackError
from .features import Features, explain
from .frames import collect
from .memories import Memories
from .netlist import Extractor
from .packets import Bitstream, parse, sequence
from .processor import Processor
from .slices import Slices
from .verilog import write_verilog
from .wires import Wiring

__all__ = ["VARIABLE", "extract", "main"]

VARIABLE = "QNN_PYNQ_PART_DATABASE"
DESCRIPTION = """Reads a .bit file of an xc7z020 back: frames, features, wires and a netlist as Verilog.

    python tools/readback --database zynq7 engine.bit --verilog engine.v --report readback.json

Exit status: 0 if everything holds; 1 if a bit is not explained, a switch not driven, a node driven twice, a feature
lost, or if the design uses something that is not modelled; 2 if there is no database or no bitstream."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="readback", description=DESCRIPTION,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bitstream", type=Path)
    parser.add_argument("--database", type=Path, default=os.environ.get(VARIABLE),
                        help=f"folder of the part's family in the format of Project X-Ray; or ${VARIABLE}")
    parser.add_argument("--part", default="xc7z020clg400-1")
    parser.add_argument("--fasm", type=Path, help="compare the features with the text that the bitstream was made of")
    parser.add_argument("--like", type=Path, help="compare the packets with another bitstream of the part")
    parser.add_argument("--verilog", type=Path, help="write the netlist to this file, as module `engine`")
    parser.add_argument("--report", type=Path, help="write what was found to this file, as JSON")
    options = parser.parse_args(arguments)
    if options.database is None:
        parser.error(f"no database: give --database, or set {VARIABLE}")
    report: dict[str, Any] = {}
    began = time.perf_counter()
    try:
        database = Database(Path(options.database), options.part)
        bitstream = parse(options.bitstream.read_bytes())
        frames = collect(bitstream, database.part)
    except (OSError, ReadbackError) as error:
        print(f"readback: {error}", file=sys.stderr)
        return 2
    faults: list[str] = []
    try:
        _check(options, report, faults, database, bitstream, explain(database, frames))
    except (OSError, ReadbackError) as error:
        faults.append(str(error))
    report["faults"] = faults
    report["seconds"] = round(time.perf_counter() - began, 1)
    if options.report:
        options.report.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return 1 if faults else 0


def _check(options: argparse.Namespace, report: dict[str, Any], faults: list[str], database: Database,
           bitstream: Bitstream, features: Features) -> None:
    """Fill the report, and the list of what does not hold."""
    report["header"] = bitstream.header
    report["idcode"] = f"{bitstream.idcode:08x}"
    report["packets"] = sequence(bitstream)
    if options.like:
        other = parse(options.like.read_bytes())
        faults += [f"packets: {line}" for line in checks.against_stream(bitstream, other)]
    report["bits"] = {"set": features.bits, "unexplained": len(features.unexplained)}
    faults += [f"bit {bit} of word {word} in frame {address:08x} belongs to no feature"
               for address, word, bit in features.unexplained[:checks.SHOWN]]
    report["features"] = sum(map(len, features.tiles.values()))
    if options.fasm:
        compared = checks.against_fasm(database, features, options.fasm)
        for name in ("lost", "unasked"):
            faults += [f"{name}: {feature}" for feature in compared[name][:checks.SHOWN]]
            compared[name] = len(compared[name])
        report["fasm"] = compared
    wiring = Wiring(database, features)
    routing = wiring.check()
    for name, text in (("undriven", "no source: "), ("contested", "two drivers: ")):
        faults += [f"{text}{line}" for line in routing[name][:checks.SHOWN]]
        routing[name] = len(routing[name])
    report["switches"] = routing
    if options.verilog:
        extractor, processor = extract(database, features, wiring)
        report["cells"] = checks.cells(extractor, features)
        report["PS7"] = {"read": len(processor.read), "driven": len(processor.drives),
                         "clocked": sorted(processor.clocked), "constant": len(processor.tied),
                         "constant one": sorted(pin for pin, value in processor.tied.items() if value)}
        with options.verilog.open("w") as out:
            write_verilog(out, "engine", extractor, processor)


def extract(database: Database, features: Features, wiring: Wiring) -> tuple[Extractor, Processor]:
    """The cells behind all that the design gives to the PS7."""
    extractor = Extractor(database, features, wiring)
    for model in (Slices, Buffers, Memories):
        model(extractor)
    processor = Processor(extractor)
    processor.start()
    extractor.run()
    return extractor, processor
