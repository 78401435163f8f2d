"""python tools/readback FILE.bit"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from readback.cli import main  # noqa: E402

sys.exit(main())
