"""What PYNQ.remote leaves to its user: a bitstream that is really the one that was asked for."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

__all__ = ["send_bitstream"]

_log = logging.getLogger(__name__)
_FIRMWARE = "/lib/firmware"


def send_bitstream(device: Any, bitstream: Path) -> bool:
    """Put the bitstream on the board: pynq sends none where a file of that name is there, whatever is in it.

    Returns
    -------
    bool
        Whether another file of that name was there.
    """
    from pynq.pl_server.embedded_device import bit2bin

    path = f"{_FIRMWARE}/{bitstream.stem}.bin"
    if not device.exists_file(path).exists:
        return False  # pynq sends it
    wanted = bit2bin(bitstream.read_bytes())
    if device.read_file(path) == wanted:
        return False
    _log.warning("%s on the board is not %s: sending ours", path, bitstream)
    device.write_file(path, wanted)
    return True
