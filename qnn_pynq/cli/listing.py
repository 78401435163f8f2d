"""`networks` and `overlays`: what there is, where it lies, and fetching bitstreams."""

from __future__ import annotations

import argparse
from typing import Any

from .output import EXIT_OK, emit, emit_json, percent, table

__all__ = ["add_parsers"]

_NETWORKS = """\
Networks that this machine knows: those that came with the package, those in your data folder
(~/.local/share/qnn-pynq/networks), and those in the folders of $QNN_PYNQ_PATH.
"""
_OVERLAYS = """\
Overlays are the circuits that boards load. Published ones are not in the package: `fetch` downloads them
from their public home, or takes them from a folder, compares the digests, and keeps them in the cache
($QNN_PYNQ_CACHE, or ~/.cache/qnn-pynq). The emulated board needs none of these files.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    networks = commands.add_parser(
        "networks",
        parents=[common],
        help="list and describe networks",
        formatter_class=raw,
        description=_NETWORKS,
        epilog="examples:\n  qnn-pynq networks\n  qnn-pynq networks show lfc-w1a1-mnist",
    )
    networks.set_defaults(run=_list_networks)
    actions = networks.add_subparsers(dest="action", metavar="ACTION", title="actions (list if none is given)")
    actions.add_parser("list", parents=[common], help="one line a network").set_defaults(run=_list_networks)
    for action, run, text in (
        ("show", _show_network, "everything in its descriptor"),
        ("path", _network_path, "the folder that it lies in"),
    ):
        parser = actions.add_parser(action, parents=[common], help=text)
        parser.add_argument("name", metavar="NAME", help="name or folder of a network")
        parser.set_defaults(run=run)

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


def _accuracy(network: Any) -> float | None:
    accuracy = network.provenance.get("accuracy")
    value = accuracy.get("test") if isinstance(accuracy, dict) else None
    return float(value) if isinstance(value, (int, float)) else None


def _list_networks(args: argparse.Namespace) -> int:
    from .. import catalogue
    from ..errors import QnnError

    rows: list[dict[str, Any]] = []
    for name, path in sorted(catalogue.networks().items()):
        try:
            network = catalogue.find_network(str(path))
        except QnnError as error:
            rows.append({"name": name, "path": str(path), "error": str(error)})
            continue
        rows.append(
            {
                "name": name,
                "path": str(path),
                "title": network.title,
                "classes": len(network.classes),
                "test_accuracy": _accuracy(network),
                "overlays": list(network.overlays),
            }
        )
    if args.json:
        emit_json({"networks": rows})
    else:
        cells = []
        for row in rows:
            accuracy = row.get("test_accuracy")
            cells.append(
                (
                    row["name"],
                    row.get("title") or "BROKEN: {}".format(row.get("error")),
                    row.get("classes", ""),
                    percent(accuracy) if accuracy is not None else "",
                    ", ".join(row.get("overlays", ())),
                )
            )
        emit(table(("name", "title", "classes", "test accuracy", "overlays"), cells, (2, 3)))
    return EXIT_OK


def _show_network(args: argparse.Namespace) -> int:
    from .. import catalogue

    network = catalogue.find_network(args.name)
    framing = network.input.framing
    encoding = network.input.encoding
    known = {
        "name": network.name,
        "title": network.title,
        "description": network.description,
        "path": network.path,
        "overlays": list(network.overlays),
        "classes": list(network.classes),
        "input": {
            "size": list(network.input.size),
            "channels": network.input.channels,
            "polarity": network.input.polarity,
            "framing": {"object": list(framing.object), "centre": framing.centre} if framing else None,
            "encoding": {
                "kind": encoding.kind,
                "threshold": encoding.threshold,
                "bits": network.input.pixels if encoding.pixels is None else len(encoding.pixels),
            },
        },
        "layers": [
            {
                "inputs": layer.inputs,
                "outputs": layer.outputs,
                "weight_bits": layer.weight_bits,
                "input": layer.input,
                "accumulator": layer.accumulator,
                "output": layer.output,
                "thresholds": 0 if layer.thresholds is None else layer.thresholds.shape[1],
            }
            for layer in network.layers
        ],
        "decode": {
            "rule": network.decode.rule,
            "levels": network.decode.levels,
            "scale": network.decode.scale,
        },
        "provenance": network.provenance,
    }
    return _show(known, args)


def _show(known: dict[str, Any], args: argparse.Namespace) -> int:
    if args.json:
        emit_json(known)
    else:
        for line in _lines(known, 0):
            emit(line)
    return EXIT_OK


def _lines(value: Any, depth: int) -> list[str]:
    """Nested dictionaries as indented `key  value` lines; lists of plain values on one line."""
    lines = []
    for key, item in value.items():
        pad = "  " * depth + "{:14}".format(key)
        if isinstance(item, dict) and item:
            lines += [pad.rstrip()] + _lines(item, depth + 1)
        elif isinstance(item, (list, tuple)) and any(isinstance(part, dict) for part in item):
            lines.append(pad.rstrip())
            lines += [
                "  " * (depth + 1) + "{:<3}".format(n) + ", ".join("{} {}".format(k, v) for k, v in part.items())
                for n, part in enumerate(item)
            ]
        elif isinstance(item, (list, tuple)):
            # Web addresses are copied whole: no comma may stick to them.
            lines.append(pad + " " + (" " if key == "urls" else ", ").join(str(part) for part in item))
        elif item not in (None, "", {}):
            lines.append(pad + " " + str(item))
    return lines


def _network_path(args: argparse.Namespace) -> int:
    from .. import catalogue

    path = catalogue.find_network(args.name).path
    if args.json:
        emit_json({"path": path})
    else:
        emit(str(path))
    return EXIT_OK


def _files(overlay: Any) -> tuple[str, dict[str, str]]:
    """State of an overlay's files in the cache, and where they are."""
    from .. import catalogue
    from ..errors import OverlayMissingError, QnnError

    try:
        return "fetched", {key: str(path) for key, path in catalogue.overlay_files(overlay).items()}
    except OverlayMissingError:
        return "not fetched", {}
    except QnnError as error:
        return "damaged: {}".format(error), {}


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
            }
        )
    if args.json:
        emit_json({"overlays": rows})
    else:
        emit(
            table(
                ("name", "kind", "boards", "clock", "files"),
                [
                    (
                        row["name"],
                        row.get("kind") or "BROKEN: {}".format(row.get("error")),
                        ", ".join(row.get("boards", ())),
                        "{:g} MHz".format(row["clock_mhz"]) if "clock_mhz" in row else "",
                        row.get("files", ""),
                    )
                    for row in rows
                ],
            )
        )
    return EXIT_OK


def _show_overlay(args: argparse.Namespace) -> int:
    from .. import catalogue

    overlay = catalogue.find_overlay(args.name)
    state, paths = _files(overlay)
    return _show(
        {
            "name": overlay.name,
            "title": overlay.title,
            "kind": overlay.kind,
            "path": overlay.path,
            "boards": list(overlay.boards),
            "clock_mhz": overlay.clock_mhz,
            "ip": {
                "name": overlay.ip.name,
                "vlnv": overlay.ip.vlnv,
                "address": "0x{:08x}".format(overlay.ip.address),
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
            "geometry": overlay.geometry,
            "timing": overlay.timing,
            "verified": overlay.verified,
            "home": overlay.home,
        },
        args,
    )


def _fetch(args: argparse.Namespace) -> int:
    from .. import catalogue, fetch

    paths = fetch.fetch_overlay(catalogue.find_overlay(args.name), args.source, progress=not args.json)
    if args.json:
        emit_json({"name": args.name, "files": {key: str(path) for key, path in paths.items()}})
    else:
        for path in paths.values():
            emit(str(path))
    return EXIT_OK
