"""What comes back: `Prediction` of one picture, `Evaluation` of many with known labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any, Mapping, Sequence

import numpy as np

from ..errors import InputError, MissingDependencyError

__all__ = ["Evaluation", "Prediction"]


def _duration(seconds: float) -> str:
    for scale, unit in ((1e-6, "ns"), (1e-3, "us"), (1.0, "ms")):
        if seconds < scale:
            return f"{seconds / scale * 1000:.3g} {unit}"
    return f"{seconds:.3g} s"


def _stage_name(name: str, modelled: bool) -> str:
    return name + " (modelled)" if modelled and name == "accelerator" else name


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer for one picture.

    Attributes
    ----------
    label : str
        Name of the class.
    index : int
        Number of the class.
    scores : array (C,)
        Dense networks: int, the highest level that fired for each class plus 1; 0 means that nothing fired;
        with one level these are the overlay's output bits. Convolutional networks: float, the outputs.
    fired : bool
        False when no output neuron fired: then the answer is class 0 for want of a better one.
    classes : tuple of str
        All class names.
    probabilities : float array (C,) or None
        None where the engine gives bits only: dense networks on an overlay.
    stages : dict of str to float
        Seconds of each stage. "accelerator" is the time of the FPGA; on an emulated board it comes from
        the cycle model (`accelerator_is_modelled`), and what the emulation took is "emulation".
    """

    label: str
    index: int
    scores: np.ndarray
    fired: bool
    classes: tuple[str, ...]
    probabilities: np.ndarray | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    accelerator_is_modelled: bool = False
    last_wins: bool = True

    @property
    def probability(self) -> float | None:
        """Probability of the answer, or None where the engine gives bits only."""
        return None if self.probabilities is None else float(self.probabilities[self.index])

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The k best classes as (label, value), best first.

        Values are probabilities where there are any, else scores. Equal ones are ordered as the decode
        rule does it (`last_wins`: the higher class number first).
        """
        if not isinstance(k, (int, np.integer)) or k < 1:
            raise InputError(f"top({k!r}): expected an integer of at least 1")
        values: np.ndarray = self.scores if self.probabilities is None else self.probabilities
        sign = -1 if self.last_wins else 1
        order = sorted(range(len(self.classes)), key=lambda c: (-values[c], sign * c))
        return [(self.classes[c], values[c].item()) for c in order[:k]]

    def __str__(self) -> str:
        return self.label

    def __repr__(self) -> str:
        text = f"Prediction({self.label!r}, index={self.index}"
        if not self.fired:
            text += ", no neuron fired"
        if self.probability is not None:
            text += f", probability={self.probability:.3f}"
        else:
            text += f", score={self.scores[self.index]:.4g}"
        return text + ")"

    def _repr_html_(self) -> str:
        note = "" if self.fired else " <i>(no neuron fired)</i>"
        rows = "".join(
            "<tr><td>{}</td><td>{}</td></tr>".format(escape(name), f"{v:.3f}" if isinstance(v, float) else v)
            for name, v in self.top(3)
        )
        stages = ", ".join(
            f"{_stage_name(name, self.accelerator_is_modelled)} {_duration(seconds)}"
            for name, seconds in self.stages.items()
        )
        return f"<b>{escape(self.label)}</b>{note}<table>{rows}</table><small>{escape(stages)}</small>"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a classifier did on labelled pictures.

    Attributes
    ----------
    network, board : str
        Names. `board` is "cpu" for the software engine.
    classes : tuple of str
    labels, predictions : int array (n,)
    unfired : int
        Pictures for which no output neuron fired (answered with class 0).
    seconds : float
        Wall time from the array to the labels, emulation included.
    stages : dict of str to float
        Seconds of each stage over all pictures; see `Prediction.stages`.
    accelerator_is_modelled : bool
    software : Evaluation or None
        The same pictures through the software engine (``evaluate(compare=True)``).
    """

    network: str
    board: str
    classes: tuple[str, ...]
    labels: np.ndarray
    predictions: np.ndarray
    unfired: int
    seconds: float
    stages: Mapping[str, float] = field(default_factory=dict)
    accelerator_is_modelled: bool = False
    software: Evaluation | None = None

    @property
    def pictures(self) -> int:
        """Number of pictures."""
        return len(self.labels)

    @property
    def correct(self) -> int:
        """Number of right answers."""
        return int((self.labels == self.predictions).sum())

    @property
    def accuracy(self) -> float:
        """Part of right answers, 0..1."""
        return self.correct / self.pictures

    @property
    def confusion(self) -> np.ndarray:
        """int array (C, C): row = true class, column = answer."""
        count = len(self.classes)
        flat = np.bincount(self.labels * count + self.predictions, minlength=count * count)
        return flat.reshape(count, count)

    @property
    def images_per_second(self) -> float:
        """By wall time, everything included."""
        return self.pictures / max(self.seconds, 1e-9)

    @property
    def accelerator_images_per_second(self) -> float | None:
        """Of the accelerator alone: measured on an FPGA, by the cycle model on an emulated board."""
        seconds = self.stages.get("accelerator")
        return self.pictures / seconds if seconds else None

    @property
    def differing(self) -> int | None:
        """Pictures that software and accelerator answer differently; None without a comparison."""
        return None if self.software is None else int((self.predictions != self.software.predictions).sum())

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        rate = self.accelerator_images_per_second
        result: dict[str, Any] = {
            "network": self.network,
            "board": self.board,
            "images": self.pictures,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "unfired": self.unfired,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
            "stages_seconds": dict(self.stages),
            "accelerator_images_per_second": rate,
            "accelerator_is_modelled": self.accelerator_is_modelled,
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
        }
        if self.software is not None:
            result["software"] = self.software.as_dict()
            result["differing"] = self.differing
        return result

    def _rates(self) -> list[tuple[str, str, float]]:
        """(engine, accuracy, pictures per second) of the accelerator, the whole way, and the comparison."""
        found = []
        rate = self.accelerator_images_per_second
        if rate is not None:
            name = "accelerator (modelled)" if self.accelerator_is_modelled else "accelerator"
            found.append((name, self._percent(), rate))
        for one in (self, self.software):
            if one is not None:
                name = "software" if one.board == "cpu" else one.board + " end to end"
                found.append((name, one._percent(), one.images_per_second))
        return found

    def rows(self) -> list[tuple[str, ...]]:
        """The published layout: a heading, then accuracy, time per picture and rate of each engine."""
        table: list[tuple[str, ...]] = [("engine", "accuracy", "time per picture", "pictures per second")]
        for name, accuracy, rate in self._rates():
            table.append((name, accuracy, _duration(1 / rate), f"{rate:,.0f}"))
        return table

    def _percent(self) -> str:
        return f"{100 * self.accuracy:.2f} %"

    def __repr__(self) -> str:
        right = f"{self.correct} of {self.pictures} right"
        return f"Evaluation({self.network!r} on {self.board!r}: {right}, {self._percent()})"

    def __str__(self) -> str:
        table = self.rows()
        widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
        lines = [f"{self.network}: {self.correct} of {self.pictures} right"]
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
        lines.append(
            "per picture: "
            + ", ".join(
                f"{_stage_name(name, self.accelerator_is_modelled)} {_duration(seconds / self.pictures)}"
                for name, seconds in self.stages.items()
            )
        )
        if self.unfired:
            lines.append(
                f"no neuron fired for {self.unfired} of {self.pictures} pictures (answered with class 0)"
            )
        if self.differing is not None:
            lines.append(f"software and accelerator differ on {self.differing} of {self.pictures} pictures")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *body = self.rows()
        cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        lines = "".join(
            "<tr>{}</tr>".format("".join(f"<td>{escape(cell)}</td>" for cell in row)) for row in body
        )
        notes = "".join(f"<br><small>{escape(line)}</small>" for line in str(self).split("\n")[len(body) + 2 :])
        return f"<b>{escape(repr(self))}</b><table><tr>{cells}</tr>{lines}</table>{notes}"

    def plot(self, axes: Any = None) -> Any:
        """Confusion matrix, and with a comparison the rates; needs matplotlib. Returns the axes."""
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise MissingDependencyError("plot() needs matplotlib: pip install matplotlib") from error
        rates = [(name, rate) for name, _, rate in self._rates()]
        both = len(rates) > 1
        if axes is None:
            _, axes = pyplot.subplots(1, 1 + both, figsize=(6 + 5 * both, 5), squeeze=False)
        panels = np.ravel(np.asarray(axes, dtype=object))
        _draw_confusion(panels[0], self.confusion, self.classes)
        panels[0].set_title(f"{self.network}: {self._percent()}")
        if both and len(panels) > 1:
            panels[1].barh([name for name, _ in rates], [rate for _, rate in rates])
            panels[1].set_xscale("log")
            panels[1].set_xlabel("pictures per second")
            panels[1].invert_yaxis()
        panels[0].figure.tight_layout()
        return axes


def _draw_confusion(axes: Any, confusion: np.ndarray, classes: Sequence[str]) -> None:
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    places = range(len(classes))
    axes.set_xticks(places)
    axes.set_xticklabels(classes, rotation=60, ha="right")
    axes.set_yticks(places)
    axes.set_yticklabels(classes)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    if len(classes) <= 20:
        for row in places:
            for column in places:
                if confusion[row, column]:
                    axes.text(
                        column,
                        row,
                        str(confusion[row, column]),
                        ha="center",
                        va="center",
                        fontsize=7,
                        color="white" if share[row, column] > 0.5 else "black",
                    )
