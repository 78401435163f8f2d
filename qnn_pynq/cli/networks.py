"""`networks`: what there is, what it is made of, and where it lies."""

from __future__ import annotations

import argparse
import dataclasses
import logging
from typing import Any

from .output import EXIT_OK, Failure, emit, emit_json, emit_tree, percent, table

__all__ = ["add_parsers"]

_log = logging.getLogger(__name__)

_NETWORKS = """\
Networks that this machine knows: those that came with the package, those in your data folder
(~/.local/share/qnn-pynq/networks), and those in the folders of $QNN_PYNQ_PATH.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    networks = commands.add_parser(
        "networks",
        parents=[common],
        help="list and describe networks",
        formatter_class=raw,
        description=_NETWORKS,
        epilog="examples:\n  qnn-pynq networks\n  qnn-pynq networks show lfc-w1a1-mnist\n"
        "  qnn-pynq networks show lfc-w1a1-mnist --plan engine-z7020",
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
        if action == "show":
            parser.add_argument("--plan", metavar="OVERLAY", nargs="?", const="",
                                help="what each layer costs on an overlay, by its model (default: its first one)")
        parser.set_defaults(run=run)


def _accuracy(network: Any) -> float | None:
    accuracy = network.provenance.get("accuracy")
    value = accuracy.get("test") if isinstance(accuracy, dict) else None
    return float(value) if isinstance(value, (int, float)) else None


def _count(value: int | None) -> str:
    """A large number in a few signs."""
    if value is None:
        return ""
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value / 1e3:,.0f} k"


def _list_networks(args: argparse.Namespace) -> int:
    from .. import catalogue
    from ..errors import QnnError
    from ..networks.summary import totals

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
                **totals(_layers(network)),
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
                    row.get("layers", ""),
                    _count(row.get("weights")),
                    _count(row.get("macs")),
                    row.get("classes") or "",
                    percent(accuracy) if accuracy is not None else "",
                    ", ".join(row.get("overlays", ())),
                )
            )
        head = ("name", "title", "layers", "weights", "MACs", "classes", "accuracy", "overlays")
        emit(table(head, cells, range(2, 7)))
    return EXIT_OK


def _layers(network: Any) -> list[dict[str, Any]]:
    """`describe_layers`; where no overlay is named, or none that computes the network, the processor does it all."""
    from .. import catalogue
    from ..engines import layers_on_logic
    from ..errors import QnnError
    from ..networks.summary import describe_layers

    logic: frozenset[int] = frozenset()
    names = [*network.overlays[:1], *(segment.overlay for segment in network.segments)]
    try:
        if network.overlays:
            logic = layers_on_logic(network, [catalogue.find_overlay(name) for name in names])
    except QnnError as error:
        _log.info("%s on %s: %s", network.name, ", ".join(names), error)
    return describe_layers(network, logic)


def _input(spec: Any) -> dict[str, Any]:
    coding = spec.encoding
    encoding: dict[str, Any] = {"kind": coding.kind, "threshold": coding.threshold}
    if coding.kind in ("threshold", "table"):
        encoding["bits"] = spec.pixels if coding.pixels is None else len(coding.pixels)
    if coding.kind == "codes":
        encoding["bits"] = coding.bits
    if coding.mean is not None:
        encoding.update(divisor=coding.divisor, order=coding.order)
    framing, crop = spec.framing, spec.crop
    return {
        "size": list(spec.size),
        "channels": spec.channels,
        "polarity": spec.polarity,
        "framing": {"object": list(framing.object), "centre": framing.centre} if framing else None,
        "crop": {"short_side": crop.short_side, "filter": crop.filter} if crop else None,
        "letterbox": {"fill": spec.letterbox.fill} if spec.letterbox else None,
        "encoding": encoding,
    }


def _show_network(args: argparse.Namespace) -> int:
    from .. import catalogue
    from ..networks.summary import totals

    network = catalogue.find_network(args.name)
    rows = _layers(network)
    known = {
        "name": network.name,
        "title": network.title,
        "description": network.description,
        "path": network.path,
        "overlays": list(network.overlays),
        "segments": [dataclasses.asdict(segment) for segment in network.segments],
        "classes": list(network.classes),
        "input": _input(network.input),
        "layers": rows,
        "totals": totals(rows),
        "decode": {
            "rule": network.decode.rule,
            "levels": network.decode.levels,
            "scale": network.decode.scale,
        },
        "provenance": network.provenance,
    }
    planned = None if args.plan is None else _plan(network, args.plan)
    if planned is not None:
        known["plan"] = {"overlay": planned[0], "layers": planned[1]}
    if args.json:
        emit_json(known)
        return EXIT_OK
    emit_tree({name: value for name, value in known.items() if name not in ("layers", "plan")})
    emit()
    emit(_layer_table(rows))
    if planned is not None:
        emit()
        emit(f"on {planned[0]} by its model, of one picture in a large batch:")
        emit(_plan_table(planned[1]))
    return EXIT_OK


def _plan(network: Any, name: str) -> tuple[str, list[dict[str, Any]]]:
    """Name of the overlay, and what each layer costs on it."""
    from .. import catalogue
    from ..contracts.families import driver_class
    from ..engines.parts import cut_segments

    if not name and not network.overlays:
        raise Failure(f"network {network.name} names no overlay: give --plan OVERLAY")
    overlay = catalogue.find_overlay(name or network.overlays[0])
    rows = driver_class(overlay.kind).layer_plan(cut_segments(network)[0], overlay)
    if not rows:
        raise Failure(f"overlay {overlay.name}: its family {overlay.kind} has no plans; 'qnn-pynq profile' measures")
    return overlay.name, [row._asdict() for row in rows]


def _plan_table(rows: list[dict[str, Any]]) -> str:
    head = ("layer", "name", "cycles", "share %", "weight words", "load bytes", "store bytes", "bound")
    cells: list[tuple[Any, ...]] = [
        (row["layer"], row["name"], f"{row['cycles']:,.0f}", f"{100 * row['share']:.1f}", f"{row['weight_words']:,}",
         f"{row['load_bytes']:,.0f}", f"{row['store_bytes']:,.0f}", row["bound"]) for row in rows]
    whole = [sum(row[key] for row in rows) for key in ("cycles", "weight_words", "load_bytes", "store_bytes")]
    share = sum(row["cycles"] * row["share"] for row in rows) / whole[0] if whole[0] else 0.0
    cells.append(("", "all", f"{whole[0]:,.0f}", f"{100 * share:.1f}", *(f"{value:,.0f}" for value in whole[1:]), ""))
    return table(head, cells, range(2, 7))


def _layer_table(rows: list[dict[str, Any]]) -> str:
    head = ("layer", "type", "input", "output", "kernel", "stride", "bits", "weights", "MACs", "runs on")
    cells = [
        (
            index,
            row["type"],
            " x ".join(map(str, row["input"])),
            " x ".join(map(str, row["output"])),
            row.get("kernel", ""),
            row.get("stride", ""),
            row.get("weight_bits", ""),
            "{:,}".format(row["weights"]) if row["weights"] else "",
            "{:,}".format(row["macs"]) if row["macs"] else "",
            row["runs_on"],
        )
        for index, row in enumerate(rows)
    ]
    return table(head, cells, (0, 4, 5, 6, 7, 8))


def _network_path(args: argparse.Namespace) -> int:
    from .. import catalogue

    path = catalogue.find_network(args.name).path
    if args.json:
        emit_json({"path": path})
    else:
        emit(str(path))
    return EXIT_OK
