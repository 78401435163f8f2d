"""Whether the files of an overlay may be loaded: a whole bitstream of the boards' part, and the .hwh of its build."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Iterable, Mapping

from ..errors import DescriptorError
from ..files.bitfile import Bitstream, read_bitstream
from ..files.hwhfile import read_handoff
from .parts import IDCODE_MASK, board_part, idcode_of, names_part, part_of

__all__ = ["check_loadable"]


def check_loadable(files: Mapping[str, Path], boards: Iterable[str], hwh_tool: str | None = None) -> Bitstream:
    """Open the files of an overlay before a board sees them.

    Parameters
    ----------
    files
        Paths by key: "bitstream", and "hwh" where there is one.
    boards
        That the overlay is for; of those that are not known here nothing is asked.
    hwh_tool
        What the descriptor says that the .hwh was written by, where that is another version than the bitstream's.

    Returns
    -------
    Bitstream
        What the header says.

    Raises
    ------
    DescriptorError
        Says what the file is, and what to do: no bitstream, a partial one, for another part, or of another build than
        its .hwh.
    """
    path = Path(files["bitstream"])
    found = read_bitstream(path)
    if found.partial:
        raise DescriptorError(f"{path} is a partial bitstream (PARTIAL=TRUE in its header), for a region of a design "
                              "that is loaded already: take the full .bit of the build")
    _check_part(path, found, list(boards))
    if "hwh" in files:
        _check_handoff(path, found, Path(files["hwh"]), hwh_tool)
    return found


def _check_part(path: Path, found: Bitstream, boards: list[str]) -> None:
    code = found.idcode & IDCODE_MASK
    wanted = idcode_of(found.part)
    stream = f"IDCODE {found.idcode:#010x}" + (f", {part_of(code)}" if part_of(code) else "")
    if wanted is not None and wanted != code:
        raise DescriptorError(f"{path} is damaged, or two files in one: its header says {found.part}, its stream is "
                              f"for another chip ({stream}; expected {wanted:#010x}): copy or download it again")
    for board in boards:
        part = board_part(board)
        wanted = idcode_of(part)
        if part and found.part and not names_part(found.part, part):
            said = f"{found.part} ({stream})"
        elif wanted not in (None, code):
            said = stream
        else:
            continue
        raise DescriptorError(f"{path} is for another part, {said}: {board} has {part}; build the design for that, "
                              "take the .bit that its author made for this board, or correct 'boards' where it is for "
                              "others")


def _check_handoff(path: Path, found: Bitstream, hwh: Path, declared: str | None) -> None:
    said = read_handoff(hwh)
    if found.part and said.device and not names_part(found.part, said.device + said.package):
        raise DescriptorError(f"{hwh} is for {said.device} {said.package}, {path.name} for {found.part}: take the .hwh "
                              "that was exported with the .bit")
    if declared is not None:
        if said.tool != declared:
            raise DescriptorError(f'{hwh} is by {said.tool or "an unknown tool"}; its descriptor says "{declared}": '
                                  "take the .hwh that the descriptor means, or correct files.hwh.tool")
    elif found.tool and said.tool and _release(found.tool) != _release(said.tool):
        raise DescriptorError(f"{path} is by {found.tool}, {hwh.name} beside it by {said.tool}: they are of different "
                              "builds, and addresses may differ; take the .hwh that was exported with the .bit. Where "
                              'you know that they agree, say so in overlay.json: files.hwh.tool "'
                              f'{said.tool}"')


def _release(tool: str) -> str:
    """Without updates and patches: Vivado 2020.1.1 writes what 2020.1 does."""
    found = re.match(r"Vivado \d+\.\d+", tool)
    return found.group() if found else tool
