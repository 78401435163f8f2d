"""Kinds of overlay: each is one driver and one twin, found by name, never by a path out of JSON."""
from __future__ import annotations

import logging
from importlib import import_module
from typing import Any, NamedTuple

from ..errors import NotFoundError

__all__ = ["ENTRY_POINT_GROUP", "Family", "driver_class", "kinds", "twin_class"]

log = logging.getLogger(__name__)
ENTRY_POINT_GROUP = "qnn_pynq.families"


class Family(NamedTuple):
    """One kind of overlay. Each part is a class, or "module:Class" imported at first use.

    Another package adds a kind by an entry point of group "qnn_pynq.families" whose name is the
    kind and whose object is a Family.
    """

    driver: str | type
    twin: str | type


_BUILT_IN = {
    "bnn-pynq": Family("qnn_pynq.families.bnn_pynq.driver:BnnPynqDriver",
                       "qnn_pynq.families.bnn_pynq.twin:BnnPynqTwin"),
    "qnn-mo": Family("qnn_pynq.families.qnn_mo.driver:QnnMoDriver", "qnn_pynq.families.qnn_mo.twin:QnnMoTwin"),
    "stream": Family("qnn_pynq.streams.driver:StreamDriver", "qnn_pynq.streams.twin:StreamTwin"),
}


def _entry_points() -> dict[str, Any]:
    from importlib import metadata

    # 3.8 and 3.9 give a dict of lists, 3.10 has select(), 3.12 dropped the dict.
    every = metadata.entry_points()
    group = every.select(group=ENTRY_POINT_GROUP) if hasattr(every, "select") else every.get(
        ENTRY_POINT_GROUP, ())
    return {point.name: point for point in group}


def kinds() -> tuple[str, ...]:
    """Names of every known kind."""
    return tuple(sorted(set(_BUILT_IN) | set(_entry_points())))


def _family(kind: str) -> Family:
    if kind in _BUILT_IN:
        return _BUILT_IN[kind]
    point = _entry_points().get(kind)
    if point is None:
        raise NotFoundError("overlay kind {!r}: expected one of {}; another package can add one through the "
                            "entry point group {!r}".format(kind, ", ".join(kinds()), ENTRY_POINT_GROUP))
    family = point.load()
    if not isinstance(family, Family):
        raise NotFoundError(f"overlay kind {kind!r}: entry point {point.value} gives "
                            f"{type(family).__name__}, expected a qnn_pynq.contracts.families.Family")
    log.debug("overlay kind %s comes from %s", kind, point.value)
    return family


def _resolve(part: str | type) -> type:
    if isinstance(part, type):
        return part
    module, _, name = part.partition(":")
    resolved: type = getattr(import_module(module), name)
    return resolved


def driver_class(kind: str) -> type[Any]:
    """Driver class of an overlay kind. NotFoundError for an unknown one."""
    return _resolve(_family(kind).driver)


def twin_class(kind: str) -> type[Any]:
    """Twin class of an overlay kind. NotFoundError for an unknown one."""
    return _resolve(_family(kind).twin)
