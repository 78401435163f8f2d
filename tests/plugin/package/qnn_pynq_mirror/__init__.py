"""An overlay family of its own: a circuit that compares pictures with templates.

The circuit is invented. It reads grey pictures of 8 x 8 from memory, and writes for each of its templates an offset
less the sum of the absolute differences of all pixels, a signed 32-bit number. Networks may look at a picture in the
mirror before, and weigh the sums after, both on the processor.
"""

from __future__ import annotations

from pathlib import Path

from qnn_pynq.testing import Family

__all__ = ["DATA", "FAMILY"]

FAMILY = Family(f"{__name__}.driver:MirrorDriver", f"{__name__}.twin:MirrorTwin", f"{__name__}.descriptor:check")
DATA = Path(__file__).resolve().parent / "data"
"""Its overlay and its networks: what QNN_PYNQ_PATH should name."""
