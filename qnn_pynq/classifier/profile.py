"""Where the time of a picture goes: `LayerTime` of one layer, `Profile` of a network, as text, table and plot."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Any, NamedTuple

from ..errors import InputError, MissingDependencyError

__all__ = ["LayerTime", "Profile"]

PLACES = ("software", "overlay", "software tail")
_DASH = "-"


class LayerTime(NamedTuple):
    """One layer, with the pool that is fused into it; seconds are those of one picture.

    Attributes
    ----------
    name : str
    where : {"software", "overlay", "software tail"}
        Where the layer runs when the overlay is used.
    macs : int
        Multiplications.
    cpu_seconds : float
        On the processor alone, measured.
    logic_seconds : float or None
        On the logic, loads of weights included; None where the layer runs in software.
    modelled : bool
        Whether `logic_seconds` comes from the cycle model, which is a lower bound, and not from a clock.
    """

    name: str
    where: str
    macs: int
    cpu_seconds: float
    logic_seconds: float | None = None
    modelled: bool = False

    @property
    def accelerated_seconds(self) -> float:
        """What the layer takes when the overlay is used."""
        return self.cpu_seconds if self.logic_seconds is None else self.logic_seconds

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the processor the logic is; None in software."""
        if self.logic_seconds is None:
            return None
        return _ratio(self.cpu_seconds, self.logic_seconds)


@dataclass(frozen=True)
class Profile:
    """One network's layers, on the processor alone and with the overlay.

    Attributes
    ----------
    network, board : str
        Names. `board` is "cpu" for the software engine, which has no logic times.
    rows : tuple of LayerTime
    pictures : int
        Pictures over which the times are averages.
    transfer_seconds : float
        The processor's time for packing and moving what goes through the overlay, a picture; it counts
        in the accelerated total and in no layer.
    reconfigure_seconds : float or None
        Configuring the logic for the next segment of a network, a picture; counts like the above. None:
        the logic is reconfigured, and how long that takes is not known (there is no model of it).
    """

    network: str
    board: str
    rows: tuple[LayerTime, ...]
    pictures: int = 1
    transfer_seconds: float = 0.0
    reconfigure_seconds: float | None = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))
        if not self.rows:
            raise InputError(f"a profile of {self.network!r} has no layers: expected at least one row")
        for row in self.rows:
            if row.where not in PLACES:
                raise InputError(f"layer {row.name!r} runs in {row.where!r}: expected one of {PLACES}")
            if (row.logic_seconds is not None) != (row.where == "overlay"):
                raise InputError(f"layer {row.name!r}, {row.where}: logic seconds belong to overlay layers, and only "
                                 "to these")
            for seconds in (row.cpu_seconds, row.accelerated_seconds):
                if not (isfinite(seconds) and seconds >= 0):
                    raise InputError(f"layer {row.name!r} took {seconds!r} seconds: expected a number of 0 or more")

    # -- sums --------------------------------------------------------------------------------------------

    @property
    def macs(self) -> int:
        """Multiplications of one picture."""
        return sum(row.macs for row in self.rows)

    @property
    def total_cpu(self) -> float:
        """Seconds of one picture on the processor alone."""
        return sum(row.cpu_seconds for row in self.rows)

    @property
    def total_accelerated(self) -> float:
        """Seconds of one picture with the overlay: its layers on the logic, the others in software."""
        rows = sum(row.accelerated_seconds for row in self.rows)
        return rows + self.transfer_seconds + (self.reconfigure_seconds or 0.0)

    @property
    def ratio(self) -> float:
        """How many times as fast the whole network is with the overlay."""
        return _ratio(self.total_cpu, self.total_accelerated)

    @property
    def modelled(self) -> bool:
        """Whether any logic time comes from the cycle model."""
        return any(row.modelled for row in self.rows)

    @property
    def shares(self) -> tuple[float, ...]:
        """Part of each row in `total_accelerated`, 0..1."""
        total = self.total_accelerated
        return tuple(row.accelerated_seconds / total if total else 0.0 for row in self.rows)

    @property
    def cpu_shares(self) -> tuple[float, ...]:
        """Part of each row in `total_cpu`, 0..1."""
        total = self.total_cpu
        return tuple(row.cpu_seconds / total if total else 0.0 for row in self.rows)

    # -- shapes ------------------------------------------------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON; seconds are those of one picture."""
        layers = []
        for row, share, cpu_share in zip(self.rows, self.shares, self.cpu_shares):
            layers.append({**row._asdict(), "ratio": row.ratio, "share": share, "cpu_share": cpu_share})
        return {
            "network": self.network,
            "board": self.board,
            "images": self.pictures,
            "layers": layers,
            "macs": self.macs,
            "cpu_seconds": self.total_cpu,
            "accelerated_seconds": self.total_accelerated,
            "transfer_seconds": self.transfer_seconds,
            "reconfigure_seconds": self.reconfigure_seconds,
            "ratio": self.ratio,
            "modelled": self.modelled,
        }

    def to_dataframe(self) -> Any:
        """One row a layer; needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise MissingDependencyError("to_dataframe() needs pandas: pip install pandas") from error
        return pandas.DataFrame(self.as_dict()["layers"])

    def table(self) -> list[tuple[str, ...]]:
        """The published layout: a heading, a line a layer, the overlay's sum, the whole network."""
        logic = "logic ms (modelled)" if self.modelled else "logic ms"
        lines: list[tuple[str, ...]] = [("layer", "where", "MACs", "CPU-only ms", logic, "ratio", "share %")]
        for row, share in zip(self.rows, self.shares):
            lines.append(_line(row.name, row.where, row.macs, row.cpu_seconds, row.logic_seconds, row.ratio, share))
        inside = [(row, share) for row, share in zip(self.rows, self.shares) if row.logic_seconds is not None]
        if not inside:  # nothing to compare
            lines.append(_line("whole network", "software", self.macs, self.total_cpu, None, None, 1.0))
            return [line[:4] + line[6:] for line in lines]
        for name, seconds in (
            ("to and from logic", self.transfer_seconds), ("configuring the logic", self.reconfigure_seconds)
        ):
            if seconds:
                part = f"{100 * seconds / self.total_accelerated:.1f}"
                lines.append((name, "software", _DASH, _DASH, _ms(seconds), _DASH, part))
        cpu, seconds = (sum(row.cpu_seconds for row, _ in inside), sum(row.accelerated_seconds for row, _ in inside))
        lines.append(_line("overlay layers", "overlay", sum(row.macs for row, _ in inside), cpu, seconds,
                           _ratio(cpu, seconds), sum(share for _, share in inside)))
        lines.append(_line("whole network", "both", self.macs, self.total_cpu, self.total_accelerated, self.ratio, 1.0))
        return lines

    def notes(self) -> list[str]:
        """What one must know to read the table."""
        mean = "one picture" if self.pictures == 1 else f"one picture, mean of {self.pictures}"
        notes = ["{}; share: of the {}".format(
            mean, "whole time" if self.board == "cpu" else "time with the overlay")]
        if any(row.logic_seconds is not None for row in self.rows):
            notes.append(
                "logic times are modelled by cycles, a lower bound; CPU times were measured on this machine"
                if self.modelled else "logic times were measured by the clock, as CPU times were"
            )
        if self.reconfigure_seconds is None:
            notes.append("between segments the logic is configured anew; no model has that time, no total has it")
        return notes

    def __str__(self) -> str:
        table = self.table()
        widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
        lines = [f"{self.network} on {self.board}"]
        for row in table:
            cells = [cell.ljust(w) if k < 2 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths))]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines + self.notes())

    def __repr__(self) -> str:
        return "Profile({!r} on {!r}: {} layers, {:.3g} ms on the CPU alone, {:.3g} ms accelerated{})".format(
            self.network, self.board, len(self.rows), 1000 * self.total_cpu, 1000 * self.total_accelerated,
            " (modelled)" if self.modelled else "")

    def _repr_html_(self) -> str:
        head, *body = self.table()
        lines = ["<tr>{}</tr>".format("".join(f"<th>{escape(cell)}</th>" for cell in head))]
        for row in body:
            lines.append("<tr>{}</tr>".format("".join(f"<td>{escape(cell)}</td>" for cell in row)))
        return "<b>{} on {}</b><table>{}</table>{}".format(
            escape(self.network), escape(self.board), "".join(lines),
            "<br>".join(f"<small>{escape(note)}</small>" for note in self.notes()))

    def plot(self, ax: Any = None) -> Any:
        """Bars of both ways, layer by layer; needs matplotlib. Returns the axes."""
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise MissingDependencyError("plot() needs matplotlib: pip install matplotlib") from error
        if ax is None:
            _, ax = pyplot.subplots(figsize=(8, 1 + 0.5 * len(self.rows)))
        places = range(len(self.rows))
        inside = any(row.logic_seconds is not None for row in self.rows)
        height = 0.4 if inside else 0.8
        ax.barh([p - height / 2 * inside for p in places], [1000 * row.cpu_seconds for row in self.rows], height,
                color="tab:blue", label=f"CPU only, {1000 * self.total_cpu:.3g} ms")
        if inside:
            ax.barh([p + height / 2 for p in places], [1000 * row.accelerated_seconds for row in self.rows], height,
                    color=["tab:gray" if row.logic_seconds is None else "tab:orange" for row in self.rows],
                    label="with the overlay{}, {:.3g} ms".format(
                        " (logic modelled)" if self.modelled else "", 1000 * self.total_accelerated))
            legend = ax.legend()
            handles = getattr(legend, "legend_handles", None) or legend.legendHandles
            handles[1].set_color("tab:orange")
        ax.set_yticks(list(places))
        ax.set_yticklabels([row.name if row.where == "overlay" else f"{row.name} ({row.where})"
                            for row in self.rows])
        ax.invert_yaxis()
        ax.set_xlabel("ms a picture")
        ax.set_title(f"{self.network} on {self.board}")
        return ax


def _ratio(slow: float, fast: float) -> float:
    return slow / fast if fast else float("nan")


def _ms(seconds: float) -> str:
    return _digits(1000 * seconds, 2)


def _digits(value: float, places: int) -> str:
    """So many places behind the point from 1 to 10, fewer above, up to two more below."""
    shift = next((k for k, limit in enumerate((0.1, 1.0, 10.0, 100.0)) if value < limit), 4)
    return "{:.{}f}".format(value, max(0, places + 2 - shift))


def _line(
    name: str, where: str, macs: int, cpu: float, logic: float | None, ratio: float | None, share: float
) -> tuple[str, ...]:
    return (name, where, f"{macs:,}", _ms(cpu), _DASH if logic is None else _ms(logic),
            _DASH if ratio is None else _digits(ratio, 1), f"{100 * share:.1f}")
