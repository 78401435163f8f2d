"""What a board measures of itself, as the kernel shows it: hwmon, and the XADC of the chip."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ..host import Host

__all__ = ["Reading", "read_sensors"]

# Linux, Documentation/hwmon/sysfs-interface and Documentation/ABI/testing/sysfs-bus-iio: unit, and how many are one.
_HWMON = {"power": ("W", 1e6), "curr": ("A", 1e3), "in": ("V", 1e3), "temp": ("C", 1e3)}
_IIO = {"power": ("W", 1e3), "current": ("A", 1e3), "voltage": ("V", 1e3), "temp": ("C", 1e3)}


class Reading(NamedTuple):
    """One value: whose, of what unit (W, A, V, C)."""

    name: str
    value: float
    unit: str


def read_sensors(host: Host) -> list[Reading]:
    """Everything that the kernel measures; empty where it measures nothing."""
    return [*_hwmon(host), *_iio(host)]


def _hwmon(host: Host) -> list[Reading]:
    found = []
    for folder in sorted((host.root / "sys/class/hwmon").glob("hwmon*")):
        chip = _text(folder / "name") or folder.name
        for path in sorted(folder.glob("*_input")):
            kind = re.fullmatch(r"(power|curr|in|temp)(\d+)_input", path.name)
            value = _number(path)
            if kind and value is not None:
                unit, one = _HWMON[kind.group(1)]
                label = _text(folder / path.name.replace("_input", "_label")) or kind.group(1) + kind.group(2)
                found.append(Reading(f"{chip} {label}", value / one, unit))
    return found


def _iio(host: Host) -> list[Reading]:
    found = []
    for folder in sorted((host.root / "sys/bus/iio/devices").glob("iio:device*")):
        chip = _text(folder / "name") or folder.name
        for path in sorted(folder.glob("in_*_raw")):
            kind = re.fullmatch(r"in_((power|current|voltage|temp)\w*)_raw", path.name)
            value, scale = _number(path), _number(folder / path.name.replace("_raw", "_scale"))
            if kind and value is not None and scale is not None:
                offset = _number(folder / path.name.replace("_raw", "_offset")) or 0.0
                unit, one = _IIO[kind.group(2)]
                found.append(Reading(f"{chip} {kind.group(1)}", (value + offset) * scale / one, unit))
    return found


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> float | None:
    try:
        return float(_text(path) or "")
    except ValueError:
        return None
