"""Weights and thresholds of steps: the words that elements and clusters hold, and where they lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .mapping import Step, Unfit, planes_of
from .memory import LANES, Lanes, Run

__all__ = ["Held", "Image", "Window", "window_of"]

_ALIGN = 128  # bytes
_KERNEL = 8  # sides that an instruction has
_WORDS = 256
_THRESHOLD_BITS = 21
_IN_WORD = 3


class Window(NamedTuple):
    """How an instruction walks over a window: sides, words of the innermost loop.

    `turned`: places are what its innermost loop is over, and words the one around it.
    """

    kernel: tuple[int, int]
    words: int
    turned: bool = False


def window_of(step: Step, words: int) -> Window:
    """The loops of a step whose pixels have so many channel words."""
    high, wide = step.kernel
    if max(step.kernel) <= _KERNEL and words <= _WORDS:
        return Window(step.kernel, words)
    if step.out_size == step.sums_size == (1, 1) and high * wide <= _WORDS and words <= _KERNEL:
        return Window((1, words), high * wide, True)
    raise Unfit(f"{high} x {wide} places of {words} channel words are added up: expected sides of at most {_KERNEL} "
                f"and {_WORDS} words, or {_WORDS} places of at most {_KERNEL} words", step.layer)


class Held(NamedTuple):
    """Where the weights and thresholds of outputs lie in the circuit.

    Attributes
    ----------
    w_base, t_base : int
        Words.
    w_row, w_plane : int
        Words of a row group, and of one of its planes.
    t_row : int
        Words of a row group.
    """

    w_base: int
    w_row: int
    w_plane: int
    t_base: int
    t_row: int


class Image:
    """Words of the elements and clusters, one step's behind those of the other.

    Parameters
    ----------
    geometry : dict

    Attributes
    ----------
    weight_words, threshold_words : int
        Of an element and of a cluster, of all steps.
    held_words : dict
        Words of an element by layer.
    problem : Unfit or None
        Why the circuit does not hold all of them at once.
    """

    def __init__(self, geometry: dict[str, int]) -> None:
        self._elements = geometry["pe"]
        self._limits = geometry["weight_words"], geometry["threshold_words"]
        self._weights: list[np.ndarray] = []
        self._thresholds: list[np.ndarray] = []
        self._held: dict[tuple[int, int], tuple[Run, Held]] = {}
        self.weight_words = self.threshold_words = 0
        self.held_words: dict[int, int] = {}
        self.problem: Unfit | None = None

    def add(self, step: Step, arrives: Lanes, runs: tuple[Run, ...]) -> None:
        """Take the weights of a step in."""
        for run in runs:
            weights, w_plane = self._weight_words(step, arrives, run)
            thresholds = self._threshold_words(step, run)
            rows = -(-run.outputs // self._elements)
            held = Held(self.weight_words, weights.shape[1] // rows, w_plane,
                        self.threshold_words if thresholds.size else 0, thresholds.shape[1] // rows)
            self.weight_words += weights.shape[1]
            self.threshold_words += thresholds.shape[1]
            self.held_words[step.layer] = self.held_words.get(step.layer, 0) + weights.shape[1]
            for what, words, most in (("weights", self.weight_words, self._limits[0]),
                                      ("thresholds", self.threshold_words, self._limits[1])):
                if words > most and self.problem is None:
                    unit = "an element" if what == "weights" else "a cluster"
                    self.problem = Unfit(f"its {what} make {words} words of {unit} with those before: expected at most "
                                         f"{most}", step.layer)
            self._weights.append(weights)
            self._thresholds.append(thresholds)
            self._held[step.layer, run.first] = run, held

    def held(self, layer: int, run: Run) -> Held:
        """Of a run, or of a later part of it that begins with a row group."""
        for (index, _), (whole, held) in self._held.items():
            if index == layer and whole.first <= run.first < whole.first + whole.outputs:
                skip = (run.first - whole.first) // self._elements
                return held._replace(w_base=held.w_base + skip * held.w_row, t_base=held.t_base + skip * held.t_row)
        raise AssertionError(f"no weights of layer {layer} from output {run.first} on")

    def words(self) -> tuple[np.ndarray, int]:
        """uint64: weights, then thresholds, in the order of a LOAD; and bytes in front of the thresholds."""
        weights = _in_turn(self._weights)
        thresholds = _in_turn(self._thresholds)
        offset = -(-weights.nbytes // _ALIGN) * _ALIGN
        image = np.zeros(offset // 8 + thresholds.size, np.uint64)
        image[: weights.size] = weights
        image[offset // 8 :] = thresholds
        return image, offset

    def _weight_words(self, step: Step, arrives: Lanes, run: Run) -> tuple[np.ndarray, int]:
        """uint64 (elements, words of the run), and words of a plane."""
        assert step.weights is not None
        first, end = arrives.starts[run.group], arrives.starts[run.group + 1]
        window = window_of(step, end - first)
        each = step.weights.shape[3]
        channels = arrives.channels[first * LANES : end * LANES] - run.group * each
        there = arrives.channels[first * LANES : end * LANES] >= 0
        rows = -(-run.outputs // self._elements)
        lanes = np.zeros((rows * self._elements, *step.kernel, (end - first) * LANES), np.uint8)
        lanes[: run.outputs, ..., there] = step.weights[run.first : run.first + run.outputs][..., channels[there]]
        planes = planes_of(lanes, step.weight_bits)  # rows, y, x, planes, words
        order = (0, 3, 4, 1, 2) if window.turned else (0, 3, 1, 2, 4)
        words = np.ascontiguousarray(planes.transpose(order)).reshape(rows, self._elements, -1)
        count = words.shape[2] // step.weight_bits
        return np.ascontiguousarray(words.transpose(1, 0, 2)).reshape(self._elements, -1), count

    def _threshold_words(self, step: Step, run: Run) -> np.ndarray:
        """uint64 (clusters, words of the run)."""
        clusters = self._elements // 4
        if step.levels is None or step.down is None:
            return np.zeros((clusters, 0), np.uint64)
        rows, count = -(-run.outputs // self._elements), step.levels.shape[1]
        slots = -(-count // _IN_WORD)
        never = (1 << _THRESHOLD_BITS - 1) - 1  # a row without a channel has no sum above 0
        levels = np.full((rows * self._elements, _IN_WORD * slots), never, np.int64)
        levels[: run.outputs, :count] = step.levels[run.first : run.first + run.outputs]
        fields = (levels & (1 << _THRESHOLD_BITS) - 1).astype(np.uint64).reshape(-1, slots, _IN_WORD)
        words = np.zeros(fields.shape[:2], np.uint64)
        for place in range(_IN_WORD):
            words |= fields[..., place] << np.uint64(_THRESHOLD_BITS * place)
        down = np.zeros(len(words), np.uint64)
        down[: run.outputs] = step.down[run.first : run.first + run.outputs]
        words |= down[:, None] << np.uint64(63)
        parts = words.reshape(rows, clusters, 4 * slots).transpose(1, 0, 2)
        return np.ascontiguousarray(parts).reshape(clusters, -1)


def _in_turn(parts: list[np.ndarray]) -> np.ndarray:
    """Words of all elements, an address behind the other."""
    if not parts:
        return np.zeros(0, np.uint64)
    return np.ascontiguousarray(np.concatenate(parts, axis=1).T).reshape(-1)
