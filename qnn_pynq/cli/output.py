"""What subcommands print: lines, tables, JSON; and the exit codes."""

from __future__ import annotations

import json
import re
import sys
from typing import Any, Iterable, Sequence

__all__ = [
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_USAGE",
    "EXIT_USER",
    "Failure",
    "answered_by",
    "complain",
    "duration",
    "emit",
    "emit_json",
    "emit_made",
    "emit_tree",
    "escaped",
    "percent",
    "table",
]

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_USER, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Failure(Exception):
    """An error of a subcommand with its exit code."""

    def __init__(self, message: str, code: int = EXIT_USER) -> None:
        super().__init__(message)
        self.code = code


def escaped(text: str) -> str:
    """`text`, in which nothing but ends of lines moves a terminal: names come from files of others."""
    return _CONTROLS.sub(lambda found: ascii(found.group())[1:-1], text)


def complain(level: str, message: str, keep_lines: bool = False) -> None:
    """One line on standard error; with `keep_lines` the message's own, indented after the first."""
    lines = message.strip().splitlines() if keep_lines else [message]
    text = "\n  ".join(" ".join(line.split()) for line in lines)
    print(f"qnn-pynq: {level}: {escaped(text)}", file=sys.stderr, flush=True)


def emit(text: str = "") -> None:
    """One line on standard output; signs that the terminal cannot show become `?`."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(escaped(text).encode(encoding, "replace").decode(encoding))


def _plain(value: Any) -> Any:
    """numpy scalars and arrays, paths and tuples for json."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__fspath__"):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def emit_json(value: Any) -> None:
    """One JSON object on standard output."""
    print(json.dumps(value, default=_plain, indent=2, sort_keys=False))


def emit_tree(value: dict[str, Any]) -> None:
    """Nested dictionaries as indented `key  value` lines; lists of plain values on one line."""
    for line in _lines(value, 0):
        emit(line)


def _lines(value: dict[str, Any], depth: int) -> list[str]:
    lines = []
    for key, item in value.items():
        pad = "  " * depth + f"{key:14}" + (":" if len(key) > 14 else "")
        if isinstance(item, dict) and item:
            lines += [pad.rstrip()] + _lines(item, depth + 1)
        elif isinstance(item, (list, tuple)) and any(isinstance(part, dict) for part in item):
            lines.append(pad.rstrip())
            lines += [
                "  " * (depth + 1) + f"{n:<3}" + ", ".join(f"{k} {v}" for k, v in part.items())
                for n, part in enumerate(item)
            ]
        elif isinstance(item, (list, tuple)) and item:
            # Web addresses are copied whole: no comma may stick to them.
            lines.append(pad + " " + (" " if key == "urls" else ", ").join(str(part) for part in item))
        elif item not in (None, "", {}, []):
            lines.append(pad + " " + str(item))
    return lines


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[int] = ()) -> str:
    """Text table; `right` names the columns that are set flush right."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(head, *lines)]
    text = []
    for line in [list(head), ["-" * w for w in widths]] + lines:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths))]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for limit, factor, unit in ((1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def answered_by(classifier: Any) -> str:
    """Which board answers, in words."""
    if classifier.board is None:
        return "the processor alone (software engine)"
    overlay = classifier.overlay.name
    if classifier.board.emulated:
        return f"the {classifier.board.name} with overlay {overlay} (bit for bit as the FPGA)"
    return f"{classifier.board.name} with overlay {overlay}"


def emit_made(network: Any, as_json: bool) -> None:
    """Say what was written and how to use it."""
    known = network.provenance.get("accuracy")
    accuracy = known if isinstance(known, dict) else {}
    if as_json:
        emit_json(
            {
                "network": network.name,
                "path": network.path,
                "classes": list(network.classes),
                "overlays": list(network.overlays),
                "accuracy": accuracy,
            }
        )
        return
    kinds = f"{len(network.classes)} classes" if network.classes else "features, no classes"
    emit("{}: {}, for {}".format(network.path, kinds, ", ".join(network.overlays)))
    framing = network.input.framing
    if framing is not None:
        emit(f"pictures are framed: the object fills {framing.object[0]} x {framing.object[1]}, centred by its "
             f"{framing.centre}")
    if isinstance(accuracy.get("test"), (int, float)):
        count = accuracy.get("images")
        emit(
            "accuracy on {} pictures that were set apart: {}".format(
                count if count else "the", percent(accuracy["test"])
            )
        )
    if network.classes:
        emit(f"use it with: qnn-pynq classify PICTURE -n {network.path}")
    else:
        taken = "codes" if network.input.encoding.kind == "codes" else "pictures"
        emit(f"use it with: Classifier({str(network.path)!r}).features({taken})")
