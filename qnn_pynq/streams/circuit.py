"""A description as an overlay: register windows, files, and the function that stands for the circuit off board."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Union

from ..catalogue import digest, find_overlay
from ..contracts.loadable import check_loadable
from ..errors import DescriptorError, InputError, OverlayMissingError
from ..files.fields import read_json
from ..overlay import OVERLAY_FORMAT, Ip, Overlay, OverlayFile, load_overlay
from .description import Description
from .hwh import check_hwh
from .packets import longest_batch
from .reading import Source, load_description

__all__ = ["StreamCircuit", "make_circuit"]

DMA_VLNV = "xilinx.com:ip:axi_dma:7.1"
_INTERRUPT = "s2mm_introut"

PathLike = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class StreamCircuit(Overlay):
    """An overlay of kind "stream".

    Attributes
    ----------
    streams : Description
    function : callable or None
        What the emulated board computes for one sample.
    """

    streams: Any = None
    function: Callable[..., Any] | None = None


def make_circuit(source: Source | Overlay, bitstream: PathLike | None = None,
                 function: Callable[..., Any] | None = None) -> StreamCircuit:
    """The overlay of a description, of an overlay folder, or of an overlay in the catalogue.

    Parameters
    ----------
    bitstream : path, optional
        The .bit, with its .hwh beside it; the .hwh must have what the description says.

    Raises
    ------
    DescriptorError
        A description that is wrong, or not the bitstream's; a file that is no bitstream, a partial one, for another
        part, or of another build than the .hwh.
    """
    if function is not None and not callable(function):
        raise InputError(f"twin {function!r}: expected a function, or None")
    found = _overlay_of(source)
    if found is None:
        description = load_description(source)  # type: ignore[arg-type]
        files, folder = _files(bitstream, description.boards) if bitstream is not None else ({}, Path("."))
    else:
        if found.kind != "stream":
            raise DescriptorError(f'overlay {found.name}: kind "{found.kind}", expected "stream"; Classifier is for '
                                  'the others')
        if bitstream is not None:
            raise InputError(f"bitstream {bitstream}: overlay {found.name} names its own")
        description, files, folder = load_description(found.geometry["description"]), found.files, found.path
    longest_batch(description)
    if bitstream is not None:
        check_hwh(description, folder / files["hwh"].name)
    ips = description_ips(description)
    if found is not None and found.ips != ips:
        raise DescriptorError(f"overlay {found.name}: ips {[ip.name for ip in found.ips]} are not those of its "
                              f"description, {[ip.name for ip in ips]}")
    return StreamCircuit(
        name=found.name if found is not None else description.name,
        title=description.title,
        kind="stream",
        boards=description.boards,
        ip=ips[0],
        clock_mhz=description.clock_mhz,
        files=files,
        geometry={"description": description.to_json()},
        timing={},
        verified={},
        home={},
        path=folder,
        ips=ips,
        streams=description,
        function=function,
    )


def _overlay_of(source: Any) -> Overlay | None:
    """The overlay that the source is, or names; None for a description."""
    if isinstance(source, Overlay):
        return source
    if not isinstance(source, (str, os.PathLike)):
        return None
    path = Path(source)
    if path.is_dir():
        return load_overlay(path)
    if path.is_file() or path.suffix == ".json":
        document = read_json(path)
        named = isinstance(document, dict) and document.get("format") == OVERLAY_FORMAT
        return load_overlay(path) if named else None
    return find_overlay(os.fspath(source))


def description_ips(description: Description) -> tuple[Ip, ...]:
    """The register windows that a description has."""
    receivers = {stream.dma for stream in description.outputs}
    ips = [Ip(dma.name, DMA_VLNV, dma.address, dma.range,
              _INTERRUPT if dma.interrupt and dma.name in receivers else None) for dma in description.dmas]
    if description.control == "start":
        ips.append(Ip(description.ip, description.vlnv, description.address, description.range))
    return tuple(ips)


def _files(bitstream: PathLike, boards: tuple[str, ...]) -> tuple[dict[str, OverlayFile], Path]:
    """The files of a design that was built here: their digests are what they are now."""
    if not isinstance(bitstream, (str, os.PathLike)):
        raise InputError(f"bitstream {bitstream!r}: expected the path of a .bit")
    bit = Path(bitstream)
    paths = {"bitstream": bit, "hwh": bit.with_suffix(".hwh")}
    for path in paths.values():
        if not path.is_file():
            raise OverlayMissingError(f"{path}: no such file; expected the .bit of the design, and its .hwh of the "
                                      "same name beside it")
    check_loadable(paths, boards)
    files = {key: OverlayFile(path.name, digest(path), path.stat().st_size, ()) for key, path in paths.items()}
    return files, bit.parent
