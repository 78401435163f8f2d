"""What packages register by entry points: overlay families and layer types, ours and other people's.

==================  ======================  =========================================
group               name                    object
==================  ======================  =========================================
qnn_pynq.families   `kind` of overlay.json  a `contracts.families.Family`
qnn_pynq.layers     `type` in network.json  a subclass of `contracts.layer.Layer`
==================  ======================  =========================================

What this package registers cannot be replaced by another.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from typing import Any

from ..errors import PluginError

__all__ = ["load_plugin", "plugin_names"]

_OWN = "qnn-pynq"
_FAMILIES = "qnn_pynq.families"  # without its own the package is not installed


def load_plugin(group: str, name: str) -> Any:
    """The object that is registered under `name`, None where there is none; ours come first.

    Raises
    ------
    PluginError
        It cannot be imported.
    """
    point = _own(group).get(name) or _every(group).get(name)
    if point is None:
        return None
    try:
        found = point.load()
    except Exception as error:
        raise PluginError(f"entry point {name!r} of group {group!r} cannot be loaded from {point.value}: "
                          f"{type(error).__name__}: {error}; repair or uninstall that package") from error
    if found is None:
        raise PluginError(f"entry point {name!r} of group {group!r} gives None from {point.value}: repair or uninstall "
                          "that package")
    return found


def plugin_names(group: str) -> tuple[str, ...]:
    """All names of a group, sorted."""
    return tuple(sorted({**_every(group), **_own(group)}))


@lru_cache(maxsize=None)
def _own(group: str) -> dict[str, Any]:
    """Of this package alone: on a board reading every package's metadata takes a second."""
    found = [point for own in metadata.distributions(name=_OWN) for point in own.entry_points if point.group == group]
    if not found and group == _FAMILIES:
        raise PluginError(f"{_OWN} is not installed, or by an older version, so that nobody knows its families: run "
                          "'pip install .' or, to work in a checkout, 'pip install -e .'")
    return {point.name: point for point in reversed(found)}


def _every(group: str) -> dict[str, Any]:
    # 3.8 and 3.9 give a dict of lists, 3.10 has select(), 3.12 dropped the dict.
    every: Any = metadata.entry_points()
    points = every.select(group=group) if hasattr(every, "select") else every.get(group, ())
    return {point.name: point for point in points}
