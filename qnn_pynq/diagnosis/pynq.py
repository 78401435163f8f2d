"""Checks of pynq and of what it needs: user, environment, release, companions, and the state that it keeps."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..files.bounded import MOST_TEXT, read_bytes
from .host import VENV, Check, Host, numbers

__all__ = ["PYNQ_CHECKS"]

# What pip can put back, by image.
_RELEASES = {(2, 7): "2.7.0", (3, 0): "3.0.1", (3, 1): "3.1.2"}
_XRT_LIBRARY = "lib/libxrt_core.so"
_COMPANIONS = ("pynqmetadata", "pynqutils")  # packages that pynq imports from 3.0 on


def check_root(host: Host) -> Check:
    value = "root" if host.uid == 0 else f"user id {host.uid}"
    if host.on_board and host.uid != 0:
        return Check(
            "root",
            "fail",
            value,
            "the FPGA needs root: sudo -i, then run it again (Jupyter runs as root); without root: --board emulated "
            "or --board cpu",
        )
    return Check("root", "ok" if host.on_board else "info", value, "")


def check_xrt(host: Host) -> Check:
    value, version = host.environ.get("XILINX_XRT"), host.version("pynq")
    if not value:
        if host.on_board:
            advice = "pynq finds no device without it: source /etc/profile.d/xrt_setup.sh (or sudo -i)"
            return Check("XILINX_XRT", "fail", "not set", advice)
        return Check("XILINX_XRT", "info", "not set", "")
    # From 3.1 on pynq asks only whether it is set.
    loads = version is not None and numbers(version) < (3, 1)
    if loads and not (host.root / value.lstrip("/") / _XRT_LIBRARY).exists():
        return Check(
            "XILINX_XRT",
            "fail" if host.on_board else "warn",
            f"{value}, where there is no {_XRT_LIBRARY}",
            "pynq {} cannot be imported like this: {}".format(
                version, "export XILINX_XRT=/usr" if host.on_board else "unset XILINX_XRT"
            ),
        )
    return Check("XILINX_XRT", "ok", value, "")


def check_pynq(host: Host) -> Check:
    version = host.version("pynq")
    if version is None:
        if not host.on_board:
            return Check("pynq", "info", "not installed", "needed on a board only; the emulated board works without it")
        there = (host.root / VENV).is_dir() and Path(host.prefix) != Path("/" + VENV)
        advice = f"use the image's own Python (sudo -i, or /{VENV}/bin/python3)"
        value = "not installed in this Python"
        value += f" ({host.prefix}), which is not the image's" if there else ""
        return Check("pynq", "fail", value, advice)
    lacking = [name for name in _COMPANIONS if numbers(version) >= (3,) and host.package_folder(name) is None]
    if lacking:
        value, names = "{} without {}".format(version, " and ".join(lacking)), " ".join(lacking)
        advice = "pynq cannot be imported without: pip install --no-deps --no-build-isolation " + names
        return Check("pynq", "fail" if host.on_board else "warn", value, advice)
    image = host.image if host.on_board else None
    back = "write the image to the card again"
    if image in _RELEASES:
        own = f"pip install --no-deps --no-build-isolation pynq=={_RELEASES[image]}"
        back = f"put the image's own back: {own}; or {back}"
    if host.zynq7000 and numbers(version) >= (4,):
        value = version + (" on an image {}.{}".format(*image) if image else "")
        return Check("pynq", "warn", value, "pynq 4 dropped PYNQ-Z1 and Z2 and loads no Zynq-7000 overlay: " + back)
    if numbers(version) < (2, 7):
        return Check("pynq", "warn", version, "tested from 2.7 on: use image 2.7 or newer")
    if image in _RELEASES and numbers(version)[:2] != image:
        return Check("pynq", "warn", "{} on an image {}.{}".format(version, *image), "it was not made for it: " + back)
    return Check("pynq", "ok", version, "")


def check_remote(host: Host) -> Check:
    where, version = host.environ.get("PYNQ_REMOTE_DEVICES"), host.version("pynq")
    if not where:
        return Check("PYNQ.remote", "info", "PYNQ_REMOTE_DEVICES is not set", "")
    if version is None or numbers(version) < (3, 1):
        value = "{}, with {}".format(where, "pynq " + version if version else "no pynq")
        return Check("PYNQ.remote", "warn", value, "a board elsewhere needs pynq 3.1 or newer on this machine")
    return Check("PYNQ.remote", "ok", where, "")


def check_pycparser(host: Host) -> Check:
    version, pynq = host.version("pycparser"), host.version("pynq")
    if version is None or pynq is None:
        return Check("pycparser", "info", version or "not installed", "")
    if numbers(version) >= (3,):
        return Check(
            "pycparser",
            "fail" if host.on_board else "warn",
            f"{version}, with which pynq {pynq} loads no overlay",
            "pip install --no-deps 'pycparser<3' (an image off line: pip uninstall pycparser, and its own is back)",
        )
    return Check("pycparser", "ok", version, "")


def check_numpy_for_pynq(host: Host) -> Check:
    version, pynq = host.version("numpy"), host.version("pynq")
    if version is None or pynq is None:
        return Check("numpy for pynq", "info", "no pynq here" if pynq is None else "no numpy", "")
    if numbers(version) >= (2,):
        back = "pip uninstall numpy, and the image's own is back" if host.on_board else "pip install 'numpy<2'"
        value = f"{version}, and pynq {pynq} wants one below 2"
        return Check("numpy for pynq", "warn", value, back)
    return Check("numpy for pynq", "ok", version, "")


def check_pynq_state(host: Host) -> Check:
    """The two files in which pynq from 3.0 on remembers, inside of its package, what is in the logic."""
    version, folder = host.version("pynq"), host.package_folder("pynq")
    if version is None or folder is None or numbers(version) < (3,):
        return Check("pynq's state files", "info", f"pynq {version} keeps none" if version else "none", "")
    kept = folder / "pl_server"
    files = sorted(kept.glob("global_pl_state_*.json")) + sorted(kept.glob("_current_metadata.pkl"))
    closed = [path for path in [kept, *files] if not os.access(str(path), os.W_OK)]
    if closed:
        return Check(
            "pynq's state files",
            "warn" if host.on_board else "info",
            f"{closed[0]} cannot be written by user id {host.uid}",
            "pynq writes there whenever it loads an overlay: sudo -i"
            + ("" if host.uid else "; root cannot either, so look whether the file system is read-only"),
        )
    for path in files:
        if path.suffix == ".json" and not _is_state(path):
            names = " ".join(str(file) for file in files)
            advice = f"pynq says 'Unable to parse metadata' to every overlay until it is gone: rm {names}"
            return Check("pynq's state files", "fail", f"{path} is damaged, as by a power cut", advice)
    return Check("pynq's state files", "ok", f"{len(files)} in {kept}", "")


def _is_state(path: Path) -> bool:
    try:
        return "bitfile_name" in json.loads(read_bytes(path, MOST_TEXT).decode("utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


PYNQ_CHECKS = (check_root, check_xrt, check_pynq, check_remote, check_pycparser, check_numpy_for_pynq, check_pynq_state)
