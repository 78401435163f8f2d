"""`overlays`: the circuits that there are, and fetching their files."""

from __future__ import annotations

import argparse
from typing import Any

from .output import EXIT_OK, emit, emit_json, emit_tree, table

__all__ = ["add_parsers"]

_OVERLAYS = """\
Overlays are the circuits that boards load. Files of some lie beside their descriptor ("shipped"). Published
ones are not in the package: `fetch` downloads them from their public home, or takes them from a folder,
compares the digests, and keeps them in the cache ($QNN_PYNQ_CACHE, or ~/.cache/qnn-pynq). The emulated board
needs none of these files.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    overlays = commands.add_parser(
        "overlays",
        parents=[common],
        help="list, describe and fetch overlays",
        description=_OVERLAYS,
        formatter_class=raw,
        epilog="examples:\n  qnn-pynq overlays fetch bnn-pynq-lfc-w1a1\n"
        "  qnn-pynq overlays fetch bnn-pynq-lfc-w1a1 --from /media/usb/overlays",
    )
    overlays.set_defaults(run=_list_overlays)
    actions = overlays.add_subparsers(dest="action", metavar="ACTION", title="actions (list if none is given)")
    actions.add_parser("list", parents=[common], help="one line an overlay").set_defaults(run=_list_overlays)
    show = actions.add_parser("show", parents=[common], help="everything in its descriptor")
    show.add_argument("name", metavar="NAME", help="name or folder of an overlay")
    show.set_defaults(run=_show_overlay)
    fetch = actions.add_parser("fetch", parents=[common], help="get its bitstream and .hwh into the cache")
    fetch.add_argument("name", metavar="NAME", help="name or folder of an overlay")
    fetch.add_argument("--from", dest="source", metavar="DIR|URL", help="folder or mirror instead of the public home")
    fetch.set_defaults(run=_fetch)


def _files(overlay: Any) -> tuple[str, dict[str, str]]:
    """State of an overlay's files, and where they are."""
    from .. import catalogue
    from ..errors import DescriptorError, OverlayMissingError, QnnError

    if not overlay.files:
        return "no bitstream yet", {}
    shipped = all(file.shipped for file in overlay.files.values())
    try:
        found = catalogue.overlay_files(overlay)
    except OverlayMissingError:
        return "missing" if shipped else "not fetched", {}
    except DescriptorError as error:
        return f"refused: {error}", {}
    except QnnError as error:
        return f"damaged: {error}", {}
    beside = all(path.parent == overlay.path for path in found.values())
    return "shipped" if shipped and beside else "fetched", {key: str(path) for key, path in found.items()}


def _bitstream(overlay: Any, paths: dict[str, str]) -> dict[str, Any]:
    """What the header of the bitstream says, where it is here."""
    if "bitstream" not in paths:
        return {}
    from ..files.bitfile import read_bitstream

    found = read_bitstream(paths["bitstream"])
    return {"design": found.design, "part": found.part, "idcode": f"0x{found.idcode:08x}", "tool": found.tool,
            "date": found.date}


def _list_overlays(args: argparse.Namespace) -> int:
    from .. import catalogue
    from ..errors import QnnError

    rows: list[dict[str, Any]] = []
    for name, path in sorted(catalogue.overlays().items()):
        try:
            overlay = catalogue.find_overlay(str(path))
        except QnnError as error:
            rows.append({"name": name, "path": str(path), "error": str(error)})
            continue
        state, _ = _files(overlay)
        rows.append(
            {
                "name": name,
                "path": str(path),
                "title": overlay.title,
                "kind": overlay.kind,
                "boards": list(overlay.boards),
                "clock_mhz": overlay.clock_mhz,
                "files": state,
                "verified": overlay.verified,
            }
        )
    if args.json:
        emit_json({"overlays": rows})
    else:
        emit(
            table(
                ("name", "title", "kind", "boards", "clock", "files"),
                [
                    (
                        row["name"],
                        row.get("title") or "BROKEN: {}".format(row.get("error")),
                        row.get("kind", ""),
                        ", ".join(row.get("boards", ())),
                        "{:g} MHz".format(row["clock_mhz"]) if "clock_mhz" in row else "",
                        row.get("files", ""),
                    )
                    for row in rows
                ],
            )
        )
        for row in rows:
            for what in ("state", "silicon"):
                if what in row.get("verified", {}):
                    emit("{}, {}: {}".format(row["name"], what, row["verified"][what]))
        emit("'qnn-pynq overlays show NAME' has all that was verified, and how")
    return EXIT_OK


def _show_overlay(args: argparse.Namespace) -> int:
    from .. import catalogue

    overlay = catalogue.find_overlay(args.name)
    state, paths = _files(overlay)
    known = {
        "name": overlay.name,
        "title": overlay.title,
        "kind": overlay.kind,
        "path": overlay.path,
        "boards": list(overlay.boards),
        "clock_mhz": overlay.clock_mhz,
        "ip": {
            "name": overlay.ip.name,
            "vlnv": overlay.ip.vlnv,
            "address": f"0x{overlay.ip.address:08x}",
            "range": overlay.ip.range,
        },
        "files": {
            key: {
                "name": file.name,
                "size": file.size,
                "sha256": file.sha256,
                "urls": list(file.urls),
                "here": paths.get(key, state),
            }
            for key, file in overlay.files.items()
        },
        "bitstream": _bitstream(overlay, paths),
        "geometry": overlay.geometry,
        "timing": overlay.timing,
        "verified": overlay.verified,
        "home": overlay.home,
    }
    if args.json:
        emit_json(known)
    else:
        emit_tree(known)
    return EXIT_OK


def _fetch(args: argparse.Namespace) -> int:
    from .. import catalogue, fetch

    paths = fetch.fetch_overlay(catalogue.find_overlay(args.name), args.source, progress=not args.json)
    if args.json:
        emit_json({"name": args.name, "files": {key: str(path) for key, path in paths.items()}})
    else:
        for path in paths.values():
            emit(str(path))
    return EXIT_OK
