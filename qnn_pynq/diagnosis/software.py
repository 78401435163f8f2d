"""Checks of this library and of Python around it: modules, C kernels, folders, room on the disk."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import import_module
from pathlib import Path

from .._version import __version__
from .host import Check, Host, numbers

__all__ = ["SOFTWARE_CHECKS"]

_PACKAGE = Path(__file__).resolve().parents[1]
_DISK_WANTED_MIB = 50  # bitstreams of all overlays, and the temporary files of a training
_BUILD = (
    "install a wheel for this machine, or a compiler and python3-dev and install again; "
    "in a checkout: python3 setup.py build_ext --inplace"
)


def _module(label: str, name: str, least: str, needed: str) -> Check:
    try:
        version = import_module(name).__version__
    except ImportError as error:
        return Check(label, "fail", f"cannot be imported: {error}", f"{needed}: pip install {label}")
    if numbers(version) < numbers(least):
        return Check(label, "warn", version, f"tested from {least} on")
    return Check(label, "ok", version, "")


def check_package(host: Host) -> Check:
    return Check("qnn-pynq", "ok", f"{__version__} in {_PACKAGE}", "")


def check_python(host: Host) -> Check:
    value = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    return Check("Python", "ok", value, "")


def check_machine(host: Host) -> Check:
    cores = os.cpu_count() or 1
    value = "{} {}, {} core{}".format(host.machine, platform.system(), cores, "" if cores == 1 else "s")
    return Check("machine", "info", value, "")


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
        return Check("C kernels", "fail", f"cannot be imported: {error}", _BUILD)
    built, supported = kernels.isa_built(), kernels.isa_supported()
    try:
        active = kernels.isa_active()
    except import_module("qnn_pynq.errors").KernelError as error:  # of a wrong QNN_PYNQ_ISA
        return Check("C kernels", "fail", str(error), "unset QNN_PYNQ_ISA to let the fastest one be chosen")
    value = "{} active; built: {}; this processor has: {}".format(active, " ".join(built), " ".join(supported))
    forced = host.environ.get("QNN_PYNQ_ISA")
    if forced:
        value += f"; QNN_PYNQ_ISA={forced}"
        return Check("C kernels", "warn", value, "unset QNN_PYNQ_ISA to let the fastest one be chosen")
    if host.machine.startswith(("arm", "aarch64")) and "neon" not in built:
        return Check("C kernels", "warn", value, "correct but slow, as it was built without NEON: " + _BUILD)
    if active == "scalar":
        return Check("C kernels", "warn", value, "correct but slow: no SIMD variant fits this processor")
    return Check("C kernels", "ok", value, "")


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def check_cache(host: Host) -> Check:
    folder = Path(import_module("qnn_pynq.catalogue").cache_folder())
    there = _nearest(folder)
    if there.is_dir() and os.access(str(there), os.W_OK | os.X_OK):
        return Check("cache folder", "ok", str(folder), "")
    return Check(
        "cache folder",
        "warn",
        f"{folder} is not writable",
        "set QNN_PYNQ_CACHE to a folder that you may write to",
    )


def check_disk(host: Host) -> Check:
    cache = _nearest(Path(import_module("qnn_pynq.catalogue").cache_folder()))
    for folder in (cache, _PACKAGE)[: 2 if host.on_board else 1]:
        if os.statvfs(str(folder)).f_flag & os.ST_RDONLY:
            return Check(
                "disk",
                "warn",
                f"the file system of {folder} is read-only",
                "sudo mount -o remount,rw / ; a card that became read-only by itself is damaged: copy it",
            )
    free = shutil.disk_usage(str(cache)).free / 2.0**20
    value = f"{free:.0f} MiB free at {cache}"
    if free < _DISK_WANTED_MIB:
        advice = f"make room ({_DISK_WANTED_MIB} MiB do), or set QNN_PYNQ_CACHE to another disk"
        return Check("disk", "warn", value, advice)
    return Check("disk", "ok", value, "")


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


SOFTWARE_CHECKS = (
    check_package,
    check_python,
    check_machine,
    check_numpy,
    check_cffi,
    check_pillow,
    check_kernels,
    check_cache,
    check_disk,
    check_entry_points,
)
