"""Checks of networks and overlays: whether they can be read, are here, are whole, and are for this board."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Iterator

from ..files.bounded import XML_ERRORS, read_xml
from .host import Check, Host

__all__ = ["OVERLAY_CHECKS", "descriptors"]

_FETCH = "qnn-pynq overlays fetch {}"
_OTHER_FILES = "take other files, as the message says, and put their size and sha256 into overlay.json"


def check_networks(host: Host) -> Check:
    catalogue, errors = import_module("qnn_pynq.catalogue"), import_module("qnn_pynq.errors")
    names, wrong = [], []
    for name, path in sorted(catalogue.networks().items()):
        try:
            network = catalogue.find_network(path)
        except errors.QnnError as error:
            wrong.append(f"{name}: {error}")
            continue
        said = network.provenance.get("accuracy")
        accuracy = said.get("test") if isinstance(said, dict) else None
        names.append(f"{name} ({100 * accuracy:.2f} %)" if isinstance(accuracy, (int, float)) else name)
    value = "{}: {}".format(len(names), ", ".join(names))
    if wrong:
        return Check("networks", "warn", "; ".join(wrong + [value]), "repair or remove them")
    if not names:
        return Check("networks", "fail", "none found", "install the package again, or set QNN_PYNQ_PATH")
    return Check("networks", "ok", value, "")


def check_families(host: Host) -> Check:
    """Families and layer types, of this package and of others: each must be whole, and every overlay have its own."""
    families, layers = import_module("qnn_pynq.contracts.families"), import_module("qnn_pynq.networks.layers")
    error_type = import_module("qnn_pynq.errors").QnnError
    wrong: list[str] = []
    for names, parts in ((families.kinds(), (families.driver_class, families.twin_class)),
                         (layers.layer_types(), (layers.layer_class,))):
        for name in names:
            try:
                for part in parts:
                    part(name)
            except error_type as error:
                wrong.append(str(error))
    value = "{}; layers: {}".format(", ".join(families.kinds()), ", ".join(layers.layer_types()))
    for overlay in descriptors():
        if overlay.kind not in families.kinds():
            wrong.append(f"overlay {overlay.name} is of kind {overlay.kind!r}, which nobody has registered")
    if wrong:
        advice = "install the package that brings it, or repair it"
        return Check("families", "warn", "; ".join([*wrong, value]), advice)
    return Check("families", "ok", value, "")


def check_overlays(host: Host) -> Check:
    errors = import_module("qnn_pynq.errors")
    here, missing, wrong, advice = [], [], [], ""
    catalogue = import_module("qnn_pynq.catalogue")
    for name in sorted(catalogue.overlays()):
        overlay = None
        try:
            overlay = catalogue.find_overlay(name)
            if overlay.files:  # else there are none anywhere
                catalogue.overlay_files(overlay)
                here.append(name)
        except errors.QnnError as error:
            shipped = overlay is not None and all(file.shipped for file in overlay.files.values())
            if isinstance(error, errors.OverlayMissingError) and not shipped:
                missing.append(name)
                continue
            wrong.append(f"{name}: {error}")
            if isinstance(error, errors.DescriptorError) and overlay is not None:
                advice = advice or _OTHER_FILES
            advice = advice or ("" if overlay is None else catalogue.remedy(overlay))
    value = "digests right: {}; not fetched: {}".format(", ".join(here) or "none", ", ".join(missing) or "none")
    if wrong:
        return Check("overlay files", "warn", "; ".join(wrong + [value]), advice or _FETCH.format("NAME"))
    if missing and host.on_board:
        return Check("overlay files", "warn", value, _FETCH.format(missing[0]) + _elsewhere(host, missing))
    if missing:
        advice = _FETCH.format("NAME") + " (a board needs them, the emulated one does not)"
        return Check("overlay files", "info", value, advice)
    return Check("overlay files", "ok", value, "")


def _elsewhere(host: Host, missing: list[str]) -> str:
    """Files that another user fetched: root and `xilinx` have a cache each."""
    for name in missing:
        for folder in sorted((host.root / "home").glob("*/.cache/qnn-pynq/overlays/" + name)):
            place = "/" + str(folder.relative_to(host.root))
            return f"; another user's are in {place}: qnn-pynq overlays fetch {name} --from {place}"
    return ""


def descriptors() -> Iterator[Any]:
    """Overlays whose descriptor can be read; check_overlays reports the others."""
    catalogue, errors = import_module("qnn_pynq.catalogue"), import_module("qnn_pynq.errors")
    for name in sorted(catalogue.overlays()):
        try:
            yield catalogue.find_overlay(name)
        except errors.QnnError:
            continue


def check_hwh(host: Host) -> Check:
    catalogue, errors = import_module("qnn_pynq.catalogue"), import_module("qnn_pynq.errors")
    read = []
    for overlay in descriptors():
        again = catalogue.remedy(overlay)
        alone = _without_hwh(overlay)
        if alone is not None:
            value = "{} has no {} beside it".format(alone, overlay.files["hwh"].name)
            return Check(".hwh files", "warn", value, "pynq loads no bitstream without its .hwh: " + again)
        try:
            path = catalogue.overlay_files(overlay).get("hwh")
        except errors.QnnError:
            continue  # check_overlays reports it
        if path is None:
            continue
        try:
            modules = {module.get("INSTANCE") for module in read_xml(path).iter("MODULE")}
        except XML_ERRORS as error:
            return Check(".hwh files", "warn", f"{path} cannot be parsed: {error}", again)
        if overlay.ip.name not in modules:
            return Check(".hwh files", "warn", f"{path} has no module {overlay.ip.name}", again)
        read.append(overlay.name)
    return Check(".hwh files", "ok" if read else "info", ", ".join(read) or "none here to read", "")


def check_bitstreams(host: Host) -> Check:
    """What the headers say: design, part, tool and day."""
    catalogue, errors = import_module("qnn_pynq.catalogue"), import_module("qnn_pynq.errors")
    bitfile = import_module("qnn_pynq.files.bitfile")
    read = []
    for overlay in descriptors():
        try:
            found = bitfile.read_bitstream(catalogue.overlay_files(overlay)["bitstream"])
        except errors.QnnError:
            continue  # check_overlays reports it
        by = found.tool or "an unknown tool"
        read.append(f"{overlay.name}: {found.design} for {found.part} by {by}, {found.date}")
    return Check(".bit files", "ok" if read else "info", "; ".join(read) or "none here to read", "")


def _without_hwh(overlay: Any) -> Path | None:
    """The bitstream, where it lies in a folder without its .hwh."""
    catalogue = import_module("qnn_pynq.catalogue")
    files = overlay.files
    if not {"bitstream", "hwh"} <= set(files):
        return None
    for path in (overlay.path / files["bitstream"].name, catalogue.cached_path(overlay, files["bitstream"])):
        if path.is_file() and not (path.parent / files["hwh"].name).is_file():
            return Path(path)
    return None


def check_overlay_boards(host: Host) -> Check:
    board = host.board
    if not board:
        return Check("overlays for this board", "info", "no board", "")
    fit, other = [], []
    for overlay in descriptors():
        if _plain(board) in map(_plain, overlay.boards):
            fit.append(overlay.name)
        else:
            other.append("{} ({})".format(overlay.name, ", ".join(overlay.boards)))
    value = "{}: {}".format(board, ", ".join(fit) or "none")
    if other:
        value += "; for others: " + ", ".join(other)
    if not fit:
        advice = "a bitstream of another chip cannot be loaded: board='emulated' and board='cpu' work"
        return Check("overlays for this board", "warn", value, advice)
    return Check("overlays for this board", "ok", value, "")


def _plain(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())


OVERLAY_CHECKS = (check_families, check_networks, check_overlays, check_bitstreams, check_hwh, check_overlay_boards)
