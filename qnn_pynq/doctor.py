"""What this machine offers, and what to do about what it lacks.

Every check is a small function that returns a `Check`; `examine` runs them all and never raises.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import Callable, Mapping
from xml.etree import ElementTree

from . import __version__
from .host import HARDWARE_CHECKS, Check, Host, numbers

__all__ = ["CHECKS", "Check", "Host", "examine"]

_log = logging.getLogger(__name__)


def _module(label: str, name: str, least: str, needed: str) -> Check:
    try:
        version = import_module(name).__version__
    except ImportError as error:
        return Check(label, "fail", "cannot be imported: {}".format(error), "{}: pip install {}".format(needed, label))
    if numbers(version) < numbers(least):
        return Check(label, "warn", version, "tested from {} on".format(least))
    return Check(label, "ok", version, "")


def check_package(host: Host) -> Check:
    return Check("qnn-pynq", "ok", "{} in {}".format(__version__, Path(__file__).resolve().parent), "")


def check_python(host: Host) -> Check:
    value = "{} {}, {}".format(platform.python_implementation(), platform.python_version(), sys.executable)
    return Check("Python", "ok", value, "")


def check_machine(host: Host) -> Check:
    cores = os.cpu_count() or 1
    return Check(
        "machine",
        "info",
        "{} {}, {} core{}".format(platform.machine(), platform.system(), cores, "" if cores == 1 else "s"),
        "",
    )


def check_numpy(host: Host) -> Check:
    return _module("numpy", "numpy", "1.17.4", "every call needs it")


def check_cffi(host: Host) -> Check:
    return _module("cffi", "cffi", "1.14.0", "the C kernels need it")


def check_pillow(host: Host) -> Check:
    return _module("Pillow", "PIL", "7.0.0", "pictures are read with it")


def check_kernels(host: Host) -> Check:
    try:
        kernels = import_module("qnn_pynq.kernels")
    except ImportError as error:
        return Check(
            "C kernels",
            "fail",
            "cannot be imported: {}".format(error),
            "install a wheel for this machine, or a compiler and python3-dev and install again; "
            "in a checkout: python3 setup.py build_ext --inplace",
        )
    built, supported = kernels.isa_built(), kernels.isa_supported()
    active = kernels.isa_active()
    value = "{} active; built: {}; this processor has: {}".format(active, " ".join(built), " ".join(supported))
    forced = host.environ.get("QNN_PYNQ_ISA")
    if forced:
        return Check(
            "C kernels",
            "warn",
            value + "; QNN_PYNQ_ISA={}".format(forced),
            "unset QNN_PYNQ_ISA to let the fastest one be chosen",
        )
    if active == "scalar":
        return Check("C kernels", "warn", value, "correct but slow: no SIMD variant fits this processor")
    return Check("C kernels", "ok", value, "")


def check_cache(host: Host) -> Check:
    folder = Path(import_module("qnn_pynq.catalogue").cache_folder())
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and os.access(str(there), os.W_OK | os.X_OK):
        return Check("cache folder", "ok", str(folder), "")
    return Check(
        "cache folder",
        "warn",
        "{} is not writable".format(folder),
        "set QNN_PYNQ_CACHE to a folder that you may write to",
    )


def check_networks(host: Host) -> Check:
    catalogue, errors = import_module("qnn_pynq.catalogue"), import_module("qnn_pynq.errors")
    names, wrong = [], []
    for name, path in sorted(catalogue.networks().items()):
        try:
            network = catalogue.find_network(path)
        except errors.QnnError as error:
            wrong.append("{}: {}".format(name, error))
            continue
        said = network.provenance.get("accuracy")
        accuracy = said.get("test") if isinstance(said, dict) else None
        names.append("{} ({:.2f} %)".format(name, 100 * accuracy) if isinstance(accuracy, (int, float)) else name)
    value = "{}: {}".format(len(names), ", ".join(names))
    if wrong:
        return Check("networks", "warn", "; ".join(wrong + [value]), "repair or remove them")
    if not names:
        return Check("networks", "fail", "none found", "install the package again, or set QNN_PYNQ_PATH")
    return Check("networks", "ok", value, "")


def check_overlays(host: Host) -> Check:
    errors = import_module("qnn_pynq.errors")
    here, missing, wrong = [], [], []
    catalogue = import_module("qnn_pynq.catalogue")
    for name in sorted(catalogue.overlays()):
        try:
            catalogue.overlay_files(name)
            here.append(name)
        except errors.OverlayMissingError:
            missing.append(name)
        except errors.QnnError as error:
            wrong.append("{}: {}".format(name, error))
    value = "digests right: {}; not fetched: {}".format(", ".join(here) or "none", ", ".join(missing) or "none")
    if wrong:
        return Check("overlay files", "warn", "; ".join(wrong + [value]), "qnn-pynq overlays fetch NAME")
    if missing:
        return Check(
            "overlay files",
            "warn" if host.on_board else "info",
            value,
            "qnn-pynq overlays fetch NAME"
            + ("" if host.on_board else " (a board needs them, the emulated one does not)"),
        )
    return Check("overlay files", "ok", value, "")


def check_hwh(host: Host) -> Check:
    errors = import_module("qnn_pynq.errors")
    catalogue = import_module("qnn_pynq.catalogue")
    read = []
    for name in sorted(catalogue.overlays()):
        again = "qnn-pynq overlays fetch {}".format(name)
        try:
            overlay = catalogue.find_overlay(name)
            path = catalogue.overlay_files(overlay).get("hwh")
        except errors.QnnError:
            continue  # check_overlays reports it
        if path is None:
            continue
        try:
            modules = {module.get("INSTANCE") for module in ElementTree.parse(str(path)).iter("MODULE")}
        except (ElementTree.ParseError, OSError) as error:
            return Check(".hwh files", "warn", "{} cannot be parsed: {}".format(path, error), again)
        if overlay.ip.name not in modules:
            return Check(".hwh files", "warn", "{} has no module {}".format(path, overlay.ip.name), again)
        read.append(name)
    return Check(".hwh files", "ok" if read else "info", ", ".join(read) or "none here to read", "")


def check_entry_points(host: Host) -> Check:
    found = import_module("importlib.metadata").entry_points()
    missing = []
    for group in ("pynq.overlays", "pynq.notebooks"):
        # A mapping up to Python 3.9, a selectable list from 3.10 on.
        points = found.select(group=group) if hasattr(found, "select") else found.get(group, ())
        if not any(point.value.startswith("qnn_pynq.") for point in points):
            missing.append(group)
    if missing:
        return Check(
            "entry points",
            "warn" if host.on_board else "info",
            "not registered: {}".format(", ".join(missing)),
            "pip install the package, so that pynq finds its overlays and notebooks",
        )
    return Check("entry points", "ok", "pynq.overlays, pynq.notebooks", "")


CHECKS: tuple[Callable[[Host], Check], ...] = (
    check_package,
    check_python,
    check_machine,
    check_numpy,
    check_cffi,
    check_pillow,
    check_kernels,
    check_networks,
    check_cache,
    check_overlays,
    check_hwh,
    check_entry_points,
) + HARDWARE_CHECKS


def examine(root: str | Path = "/", environ: Mapping[str, str] | None = None) -> list[Check]:
    """Run every check.

    Parameters
    ----------
    root : str or Path
        Folder that stands for `/` where `/proc` and `/sys` are read.
    environ : mapping, optional
        Environment variables; those of this process by default.

    Returns
    -------
    list of Check
        In the order in which they should be read. A check that breaks is itself a "fail".
    """
    host = Host(root, environ)
    results = []
    for check in CHECKS:
        try:
            results.append(check(host))
        except Exception as error:
            _log.debug("%s broke", check.__name__, exc_info=True)
            results.append(
                Check(
                    check.__name__[len("check_") :].replace("_", " "),
                    "fail",
                    "{}: {}".format(type(error).__name__, error),
                    "please report this",
                )
            )
    return results
