"""`interface`: C++ and Tcl for the author of a circuit with streams."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .output import EXIT_OK, Failure, emit, emit_json

__all__ = ["add_parsers"]

_INTERFACE = """\
From the description of a circuit's streams (docs/streams.md), write what its author needs:

  NAME.h, NAME.cpp       typed AXI4-Stream ports, TLAST and pragmas, for Vitis HLS
  NAME_compute.cpp       a placeholder for what the circuit computes; never overwritten
  NAME_bench.cpp         a test bench, for HLS or plain g++
  hls.tcl                simulation, synthesis and export:  vitis_hls -f hls.tcl
  block_design.tcl       DMAs, addresses and bitstream:     vivado -mode batch -source block_design.tcl
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "interface",
        parents=[common],
        help="write C++ and Tcl for a circuit with streams",
        description=_INTERFACE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  qnn-pynq interface iris.json --output iris\n"
        "  qnn-pynq interface iris.json --output iris --vectors known.npz",
    )
    parser.add_argument("description", metavar="DESCRIPTION.json", help="what goes in and out of the circuit")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder to write")
    parser.add_argument(
        "--vectors",
        metavar="FILE.npz",
        help="known inputs and outputs, an array for each stream by its name: the test bench compares with them",
    )
    parser.set_defaults(run=_interface)


def _interface(args: argparse.Namespace) -> int:
    from ..streams import load_description
    from ..streams.generate.folder import generate, vectors_text, write_vectors

    description = load_description(args.description)
    arrays = None if args.vectors is None else _arrays(args.vectors)
    if arrays is not None:
        vectors_text(description, arrays, {})  # refused before anything is written
    written = generate(description, args.output)
    if arrays is not None:
        written.append(write_vectors(description, args.output, arrays, {}))
    if args.json:
        emit_json({"name": description.name, "files": [str(path) for path in written]})
        return EXIT_OK
    for path in written:
        emit(str(path))
    return EXIT_OK


def _arrays(path: str) -> dict[str, Any]:
    """The arrays of an .npz file; nothing in it is executed."""
    from ..files.npyfile import NPZ_ERRORS, open_npz

    try:
        with open_npz(Path(path)) as file:
            return {name: file[name] for name in file.files}
    except OSError:
        raise
    except (KeyError, *NPZ_ERRORS) as error:
        text = "--vectors {}: no .npz file of plain arrays ({}); write it with numpy.savez(FILE, x=..., y=...)"
        raise Failure(text.format(path, error)) from error
