"""An interrupt pin of the loaded design, through pynq's Interrupt, which needs an event loop."""
from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from ...files.bounded import XML_ERRORS, read_xml

__all__ = ["InterruptLine", "direct_number"]

_log = logging.getLogger(__name__)
_FIRST = 61  # of the processor's interrupt controller: IRQ_F2P[0]


def direct_number(hwh: Path, pin: str) -> int | None:
    """Number of an interrupt that is wired alone to the processor; None where a controller is in between."""
    try:
        root = read_xml(hwh)
    except XML_ERRORS as error:
        _log.debug("%s says nothing of interrupts: %s", hwh, error)
        return None
    for module in root.iter("MODULE"):
        if module.get("MODTYPE") != "processing_system7":
            continue
        for port in module.iter("PORT"):
            if port.get("NAME") == "IRQ_F2P":
                wired = ["{}/{}".format(each.get("INSTANCE"), each.get("PORT")) for each in port.iter("CONNECTION")]
                return _FIRST if wired == [pin] else None
    return None


class InterruptLine:
    """One pin, by its full name in the block design (cell/pin).

    Parameters
    ----------
    pin : str
    number : int, optional
        Of the processor's interrupt that it is wired to, where no controller is in between: from 3.0 on pynq leaves
        such pins out of its table, though it can wait for them.

    The circuit's driver enables the interrupt in the circuit, and acknowledges it there before it starts the next
    run; who waits for it here looks at the circuit as well, so a lost interrupt costs time and nothing else.
    pynq listens on the event loop of the thread that first asked for any interrupt, and on no other.
    """

    def __init__(self, pin: str, number: int | None = None) -> None:
        self.pin, self._number = pin, number
        self._loop: asyncio.AbstractEventLoop | None = None
        self._interrupt: Any = None  # pynq's

    def _on(self, loop: asyncio.AbstractEventLoop) -> Any:
        """pynq's Interrupt for this loop, or None where the pin cannot be listened to."""
        if self._loop is not loop:
            self._loop, self._interrupt = loop, None
            try:
                from pynq import PL, Interrupt

                if self._number is not None:
                    entry = {"controller": "", "index": 0, "fullpath": self.pin, "raw_irq": self._number}
                    PL.interrupt_pins.setdefault(self.pin, entry)
                self._interrupt = Interrupt(self.pin)
            except (ImportError, ValueError, RuntimeError, OSError) as error:
                _log.warning("interrupt %s cannot be used (%s): polling instead", self.pin, error)
        return self._interrupt

    def wait(self, seconds: float) -> bool | None:
        """Wait in plain code.

        Returns
        -------
        bool or None
            Whether it fired in time; None where it cannot be waited for, such as inside a running event loop.
        """
        try:
            asyncio.get_running_loop()
            return None  # of this thread: it could not be run a second time
        except RuntimeError:
            pass
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError:  # a thread without one
            return None
        if loop.is_closed() or loop.is_running():
            return None
        return loop.run_until_complete(self._listen(seconds))

    async def _listen(self, seconds: float) -> bool | None:
        interrupt = self._on(asyncio.get_running_loop())
        if interrupt is None:
            return None
        try:
            await asyncio.wait_for(interrupt.wait(), seconds)
        except (asyncio.TimeoutError, TimeoutError):
            return False
        except RuntimeError as error:  # the design was loaded anew
            _log.debug("interrupt %s: %s", self.pin, error)
            self._loop = None
            return None
        return True
