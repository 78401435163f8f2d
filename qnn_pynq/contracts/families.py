"""Families of overlays: each is a driver, a twin and a check of its descriptors, found by name.

Ours and other people's are registered in the same way: by an entry point of the group "qnn_pynq.families" whose name
is the `kind` of overlay.json and whose object is a `Family`.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib import import_module
from typing import Any, Callable, NamedTuple

from ..errors import NotFoundError, PluginError
from ..files.fields import Fields
from .driver import Driver
from .plugins import load_plugin, plugin_names
from .twin import Twin

__all__ = ["FAMILY_GROUP", "Family", "check_cycle_model", "check_overlay", "driver_class", "kinds", "twin_class"]

_log = logging.getLogger(__name__)

_MOST_TIME = 1e9  # cycles, or nanoseconds, of anything that a cycle model names
FAMILY_GROUP = "qnn_pynq.families"

Check = Callable[[Fields, Fields], None]


class Family(NamedTuple):
    """One kind of overlay. Each part is the thing itself, or "module:Name" that is imported at first use.

    Attributes
    ----------
    driver : type[Driver] or str
    twin : type[Twin] or str
    check : callable or str, optional
        `check(geometry, timing)` takes both objects of overlay.json as `Fields` and raises DescriptorError for what
        does not describe a circuit of this family. Without it nothing is looked at.
    """

    driver: str | type[Driver]
    twin: str | type[Twin]
    check: str | Check | None = None


def kinds() -> tuple[str, ...]:
    """Names of every known kind."""
    return plugin_names(FAMILY_GROUP)


def driver_class(kind: str) -> type[Driver]:
    """Driver class of an overlay kind.

    Raises
    ------
    NotFoundError
        Nobody registered the kind.
    PluginError
        It cannot be imported, or lacks a part of the contract; says which.
    """
    found: type[Driver] = _part(kind, "driver", Driver)
    return found


def twin_class(kind: str) -> type[Twin]:
    """Twin class of an overlay kind; errors as `driver_class`."""
    found: type[Twin] = _part(kind, "twin", Twin)
    return found


def check_overlay(kind: str, geometry: Fields, timing: Fields) -> None:
    """Refuse what does not describe a circuit of `kind`; a kind that is not installed has nobody to ask."""
    try:
        family = _family(kind)
    except NotFoundError:
        return
    if family.check is not None:
        check: Check = _imported(kind, "check", family.check)
        check(geometry, timing)


def check_cycle_model(timing: Fields, numbers: tuple[str, ...], required: bool = True) -> None:
    """A cycle model with these numbers, says whether it is one (`model`) and where it comes from (`source`)."""
    if timing.empty and not required:
        return
    timing.take("model", "true or false")
    timing.text("source")
    for key in numbers:
        if timing.number(key, None, _MOST_TIME) is None and required:
            timing.fail(key, "missing: expected a number")
    timing.done()


@lru_cache(maxsize=None)
def _family(kind: str) -> Family:
    family = load_plugin(FAMILY_GROUP, kind)
    if family is None:
        raise NotFoundError(f"overlay kind {kind!r}: expected one of {', '.join(kinds())}; another package can add one "
                            f"through the entry point group {FAMILY_GROUP!r}")
    if not isinstance(family, Family):
        raise PluginError(f"overlay kind {kind!r}: its entry point gives {type(family).__name__}, expected a "
                          "qnn_pynq.testing.Family")
    return family


@lru_cache(maxsize=None)
def _part(kind: str, name: str, base: type) -> Any:
    found = _imported(kind, name, getattr(_family(kind), name))
    if not (isinstance(found, type) and issubclass(found, base)):
        raise PluginError(f"overlay kind {kind!r}: its {name} is {found!r}, expected a subclass of {base.__name__}")
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise PluginError(f"overlay kind {kind!r}: its {name} {found.__name__} lacks {', '.join(missing)}, which the "
                          f"contract of {base.__name__} asks for")
    _log.debug("overlay kind %s: %s %s.%s", kind, name, found.__module__, found.__name__)
    return found


def _imported(kind: str, name: str, part: Any) -> Any:
    if not isinstance(part, str):
        return part
    module, _, attribute = part.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        raise PluginError(f"overlay kind {kind!r}: its {name} cannot be imported from {part!r}: "
                          f"{type(error).__name__}: {error}") from error
