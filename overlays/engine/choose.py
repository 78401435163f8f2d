"""The seed of the fastest routed design: python choose.py build/32x4/seed-1.json build/32x4/seed-2.json ...

The files are nextpnr's reports; seeds that did not route have none.
"""
from __future__ import annotations

import json
import re
import sys
from pathlib import Path

__all__ = ["fastest"]


def fastest(reports: list[Path]) -> tuple[str, float]:
    """Seed and MHz of the report with the highest frequency, of those that are there."""
    found = {}
    for report in filter(Path.exists, reports):
        clocks = json.loads(report.read_text())["fmax"].values()
        seed = re.fullmatch(r"seed-(\d+)\.json", report.name)
        if seed is None:
            sys.exit(f"{report}: expected a report named seed-N.json")
        found[seed.group(1)] = min(clock["achieved"] for clock in clocks)
    if not found:
        sys.exit("no seed has a report, so none routed: see their logs")
    return max(found.items(), key=lambda item: item[1])


if __name__ == "__main__":
    chosen, mhz = fastest([Path(name) for name in sys.argv[1:]])
    print(f"seed {chosen}: {mhz:.1f} MHz", file=sys.stderr)
    print(chosen)
