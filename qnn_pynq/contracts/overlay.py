"""What an overlay is made of: frozen data that boards, drivers and twins pass on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Ip", "Overlay", "OverlayFile", "Rtl"]


@dataclass(frozen=True)
class OverlayFile:
    """A file of an overlay. The digest says which bytes are right, wherever they come from."""

    name: str
    sha256: str
    size: int
    urls: tuple[str, ...]
    tool: str | None = None  # what wrote a .hwh that is known to be by another version than its bitstream

    @property
    def shipped(self) -> bool:
        """Whether it comes with its descriptor: there is no address to fetch it from."""
        return not self.urls


@dataclass(frozen=True)
class Ip:
    """The register window of a circuit: physical `address` and `range` in bytes.

    `interrupt` is the name of its interrupt pin in the block design, None where it has none or none is wired.
    """

    name: str
    vlnv: str
    address: int
    range: int
    interrupt: str | None = None


@dataclass(frozen=True)
class Rtl:
    """The Verilog of a circuit, for boards that simulate it: a folder of sources, and parameters of the top module.

    Where the overlay has a bitstream that was made of it, `sha256` is the digest of all sources, one behind the other
    in the order of their names, and `built` says by what: tools with their versions, seed.
    """

    top: str
    sources: Path
    parameters: dict[str, int]
    sha256: str = ""
    built: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Overlay:
    """A circuit and the files that make it.

    Attributes
    ----------
    kind
        The family (``bnn-pynq``, ``qnn-mo``), which names driver and twin.
    files
        By key: "bitstream", and mostly "hwh".
    geometry
        What it computes; the fields depend on `kind`.
    timing
        The cycle model, in cycles of `clock_mhz` and nanoseconds, with its source.
    verified
        What was verified, and how.
    home
        Repository, commit, folder and licence of the files.
    path
        The folder of the descriptor.
    rtl
        The circuit's Verilog, where it is here.
    """

    name: str
    title: str
    kind: str
    boards: tuple[str, ...]
    ip: Ip
    clock_mhz: float
    files: dict[str, OverlayFile]
    geometry: dict[str, Any]
    timing: dict[str, Any]
    verified: dict[str, str]
    home: dict[str, str]
    path: Path
    description: str = ""
    resources: dict[str, Any] = field(default_factory=dict)
    ips: tuple[Ip, ...] = ()  # every register window, the first is `ip`; alone where none are given
    rtl: Rtl | None = None

    def __post_init__(self) -> None:
        if self.ip not in self.ips[:1]:  # also after dataclasses.replace(overlay, ip=...)
            object.__setattr__(self, "ips", (self.ip, *self.ips[1:]))
