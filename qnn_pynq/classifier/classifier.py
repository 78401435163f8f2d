"""`Classifier`: from a picture to a label, on a board, on an emulated board, or in software."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import RLock
from time import perf_counter
from typing import Any, Sequence, Union

import numpy as np

from ..boards import Board, emulates, open_board
from ..catalogue import default_overlays, find_network, find_overlay
from ..contracts.driver import Limits
from ..contracts.network import Network
from ..engines import BoardEngine, Engine, Part, SoftwareEngine, plan_parts
from ..errors import InputError, NotPicklableError, ScoresUnavailableError
from ..overlay import Overlay
from ..pictures.prepare import Invert, prepare_many
from ..reliability.calibration import Calibration, calibrate, from_user
from ..reliability.guard import Guard
from ..reliability.policy import make_policy
from ..reliability.report import Recovery
from .decode import HighestBit
from .labels import class_numbers
from .measure import measure_layers
from .pipeline import Pictures, Pipeline, Work
from .profile import Profile
from .results import Evaluation, Prediction
from .stream import Answering, PredictionStream

__all__ = ["Classifier"]

ArrayLike = Union[np.ndarray, Sequence[Any]]
NetworkLike = Union[str, Path, Network]

_U8 = np.dtype(np.uint8)
_LONGEST = 1e6  # seconds
_SLOWEST, _FASTEST = 10.0, 250.0  # MHz of the logic


class Classifier(Answering):
    """Classifies pictures with one network.

    Parameters
    ----------
    network : str, Path or Network
        Name of a network, folder of one, or a loaded one.
    board : None, "auto", "emulated", "rtl", "zynq", "cpu" or Board
        None and "auto" take the FPGA if this machine has one, else the emulated board. "rtl" simulates the
        overlay's Verilog. "cpu" is the software engine: no overlay, the same answers, and probabilities.
    overlay : str, Path or Overlay, optional
        Default: the first that the network names; on the emulated board the first one that is emulated quickly.
    clock_mhz : float, optional
        MHz of the logic under this overlay, instead of those that its descriptor gives: faster is at your own risk,
        `qnn-pynq selftest` and a policy with canaries tell whether it still answers rightly. A board divides 1,000 MHz
        by whole numbers.
    timeout : float, optional
        Seconds that each wait on the hardware may take; default: generous, from the cycle model.
    takeover : bool
        Whether the board may be taken from another classifier, which then raises BoardTakenError until it
        loads a network again. False: BoardBusyError instead.
    threads : int
        Threads of the software engine for a batch.
    conservative : bool
        Use the published register sequence and nothing inferred; slower to load.
    policy : str or Policy
        What is done when the hardware does wrong: "retry" recovers the board and runs again, "none" raises at once,
        "canary", "reload" and "strict" look for silent errors too (see `Policy`). A board that cannot be recovered
        ends in AlarmError, after a deadline in AlarmDeadlineError, which is a TimeoutError too; then the network must
        be loaded again.

    Attributes
    ----------
    network : Network
    board : Board or None
        None in software.
    overlay : Overlay or None
    engine : Engine
    policy : Policy
    recovery : Recovery
        What went wrong so far, and what was done.
    classes_ : int array (C,)
        What `predict` answers with, as in scikit-learn.
    class_names : tuple of str
    unfired_ : int
        Pictures of the last `predict` for which no output neuron fired; they are answered with class 0.

    Notes
    -----
    Thread-safe: every call holds one lock, so calls from several threads take turns, and a `load` never
    falls into the middle of a batch. `unfired_` belongs to whichever call came last.

    Examples
    --------
    >>> with Classifier("lfc-w1a1-mnist", board="cpu") as classifier:  # doctest: +SKIP
    ...     classifier.classify("3.png").label
    '3'
    """

    unfired_ = 0
    _guard: Guard
    _pipeline: Pipeline

    def __init__(
        self,
        network: NetworkLike,
        board: Any = None,
        overlay: Any = None,
        *,
        clock_mhz: float | None = None,
        timeout: float | None = None,
        takeover: bool = True,
        threads: int = 1,
        conservative: bool = False,
        policy: Any = "retry",
    ) -> None:
        if timeout is not None and not (_is_number(timeout) and 0 < timeout <= _LONGEST):
            raise InputError(f"timeout must be seconds, above 0 and at most {_LONGEST:g}, not {timeout!r}")
        if clock_mhz is not None and not (_is_number(clock_mhz) and _SLOWEST <= clock_mhz <= _FASTEST):
            raise InputError(f"clock_mhz must be {_SLOWEST:g} to {_FASTEST:g} MHz, not {clock_mhz!r}")
        self._lock = RLock()
        self._timeout = timeout
        self._takeover = takeover
        self._conservative = conservative
        self._own_board = False
        self._threads = threads
        self.policy = make_policy(policy)
        self.recovery = Recovery()
        self.board: Board | None = None
        self.overlay: Overlay | None = None
        self._former: list[Guard] = []  # replaced, and perhaps not closed yet
        found = _network(network)
        if isinstance(board, str) and board == "cpu":
            if overlay is not None or clock_mhz is not None:
                raise InputError('board="cpu" computes without an overlay: leave overlay and clock_mhz out')
            self._guard = Guard(SoftwareEngine(threads), self.policy, self.recovery)
        else:
            overlays = _overlays(overlay, found, board)
            if clock_mhz is not None:
                overlays[0] = replace(overlays[0], clock_mhz=float(clock_mhz))
            # A network that cannot run is refused before hardware is touched.
            parts = plan_parts(found, overlays, conservative)
            self.board = open_board(board)
            self._own_board = not isinstance(board, Board)
            self.overlay = overlays[0]
        try:
            if self.board is not None:
                self._guard = self._make_guard(self.board, parts)
            self._configure(found)
        except BaseException:
            self.close()
            raise

    @property
    def engine(self) -> Engine:
        """What answers now: on the board or, with `board="cpu"` and after an alarm, in software."""
        return self._guard.engine

    # -- networks ----------------------------------------------------------------------------------------

    def load(self, network: NetworkLike) -> None:
        """Take another network; the logic is configured again only if it needs another overlay.

        Raises
        ------
        DescriptorError, UnsupportedNetworkError, NotFoundError
            The former network stays.
        DeadlineError, BoardError
            The hardware failed: no network is loaded, and `load` may be called again.
        """
        with self._lock:
            self.engine.check_open()
            found = _network(network)
            if self.board is not None:
                own = self.overlay if self.overlay is not None and self.overlay.name in found.overlays else None
                overlays = _overlays(own, found, self.board)
                if [overlay.name for overlay in overlays] != self._names:
                    parts = plan_parts(found, overlays, self._conservative)
                    self._former.append(self._guard)
                    self._guard, self.overlay = self._make_guard(self.board, parts), overlays[0]
                    self._pipeline.guard = self._guard  # says what is wrong, should the next line fail
            self._configure(found)

    def calibrate(self, pictures: Any = None, runs: int = 20, seconds: float | None = None) -> Calibration:
        """Measure how long runs take on this board, or say it, and take the deadlines from that.

        Parameters
        ----------
        pictures : as for `predict`, optional
            Their number is the batch; by default one random picture.
        runs : int
        seconds : float, optional
            Of the accelerator for this batch; nothing is measured then.

        Returns
        -------
        Calibration
            Prints median, spread and the model's figure; valid until a network is loaded.
        """
        with self._lock:
            if self.board is None:
                raise InputError('board="cpu" waits for no hardware: there is nothing to calibrate')
            if pictures is None:
                levels = self.network.input.encoding.levels
                rows = np.random.RandomState(0).randint(0, levels, (1, self._pipeline.pixels)).astype(np.uint8)
            else:
                rows = self._pipeline.rows(pictures)
            before = self.recovery.results
            try:
                found = calibrate(self._guard, rows, runs) if seconds is None else from_user(self._guard, rows, seconds)
            finally:
                self._guard.take_back(before)
            self._guard.limit(found.limits(self.policy.timeout_factor))
            return found

    def close(self) -> None:
        """Give engine and board up (a board that was handed in stays open); idempotent.

        From another thread too: a call that waits for the hardware ends with ClosedError within a fraction of a
        second (while weights are written: when that is done, or its deadline over), and the board is left usable.
        """
        guard = getattr(self, "_guard", None)
        if guard is not None:
            guard.cancel()
        with self._lock:
            if guard is not None:
                self._close_former()
                self._guard.close()
            if self._own_board and self.board is not None:
                self.board.close()
                self._own_board = False

    def __enter__(self) -> Classifier:
        self.engine.check_open()
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise NotPicklableError(
            f"a {type(self).__name__} holds a board and locks, and cannot be pickled or copied: pass on the network's "
            "name, and make "
            f"another {type(self).__name__} there")

    def __repr__(self) -> str:
        place = f"overlay={self.overlay.name!r}, " if self.overlay else ""
        return f"{type(self).__name__}({self.network.name!r}, {place}board={self.engine.name!r})"

    # -- answers -----------------------------------------------------------------------------------------

    def classify(self, picture: Any, invert: Invert = "auto") -> Prediction:
        """Classify one picture.

        Parameters
        ----------
        picture : path, PIL image, file object, bytes or array
            See `qnn_pynq.prepare`.
        invert : {"auto", True, False}
            Whether light and dark change places.

        Raises
        ------
        InputError
            Before any hardware is touched.
        """
        with self._lock:
            begun = perf_counter()
            row = self._pipeline.one(picture, invert)
            return self._pipeline.predictions(Work(row, perf_counter() - begun, 0.0))[0]

    def classify_many(
        self, pictures: Pictures, invert: Invert = "auto", batch_size: int = 256
    ) -> list[Prediction]:
        """Classify pictures in batches; see `stream` for the same without a list."""
        return list(self.stream(pictures, invert, batch_size))

    def stream(
        self, pictures: Pictures, invert: Invert = "auto", batch_size: int = 64, ahead: int = 2
    ) -> PredictionStream:
        """Predictions of an iterable, in order, while the next pictures are made ready.

        Pictures are taken from the iterable, decoded and put through the software first layer in a second
        thread, while earlier ones are on the accelerator.

        Parameters
        ----------
        pictures : iterable of pictures, folder, or array
        invert : {"auto", True, False}
        batch_size : int
            Pictures of one run. 1 gives the shortest delay; weights of a layer-by-layer overlay are written
            once a batch.
        ahead : int
            Batches that may wait between the two threads; more are not taken from the iterable.

        Returns
        -------
        PredictionStream
            An iterator of Prediction, with `close()`, `rate` and `latency`. Stage times of a prediction are
            its batch's, divided by the pictures in it.
        """
        for name, value in (("batch_size", batch_size), ("ahead", ahead)):
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError(f"{name} must be an integer of at least 1, not {value!r}")
        self.engine.check_open()
        if batch_size == 1 and self.network.segments and isinstance(self.engine, BoardEngine):
            raise InputError(
                f"batch_size 1: network {self.network.name!r} reconfigures the logic {len(self.network.segments) + 1} "
                "times a batch; take at least 2, better "
                "hundreds"
            )
        return PredictionStream(self, pictures, invert, batch_size, ahead)

    def features(self, X: Pictures) -> np.ndarray:
        """Codes of the last map of a convolutional network, uint8 (n, H, W, C).

        Where the network ends in a pointwise layer, that layer's outputs, float64 (n, H, W, outputs).

        Raises
        ------
        ScoresUnavailableError
            The network has no maps.
        """
        with self._lock:
            return self._pipeline.features(self._pipeline.rows(X))

    def predict(self, X: Any) -> np.ndarray:
        """Class numbers, as scikit-learn's classifiers give them.

        Parameters
        ----------
        X : array (n, pixels), (n, H, W), (pixels,) or (H, W), or iterable of pictures
            Arrays of the network's size are taken as they are; uint8 in C order is not copied.

        Returns
        -------
        int array (n,)
            Always an array: one picture gives one element. Where no output neuron fired the answer is
            class 0; `unfired_` counts these, and a row of zeros in `decision_function` shows which.
        """
        with self._lock:
            # Pixels in their final form: the path of live data, kept short.
            if X.__class__ is np.ndarray and X.dtype is _U8 and X.flags.c_contiguous:
                shape = X.shape
                if shape in self._bound:
                    length = (self._guard.one(X, self._timeout) & self._mask).bit_length()
                    self.unfired_ = 0 if length else 1
                    answer = np.empty(1, np.intp)
                    answer[0] = self._by_length[length]
                    return answer
                if shape[1:] in self._pipeline.whole:
                    return self._answers(X.reshape(len(X), self._pipeline.pixels))
            return self._answers(self._pipeline.rows(X))

    def decision_function(self, X: Pictures) -> np.ndarray:
        """Scores (n, C); `predict` takes the class with the highest.

        Dense networks: int, the highest level that fired for each class plus 1, 0 for none; of equal ones
        the highest class number counts. Convolutional networks: float, the outputs of the last layer.
        """
        with self._lock:
            scores = self._pipeline.scores(self._pipeline.rows(X))
            return scores if scores.dtype.kind == "f" else scores.astype(np.intp)

    def predict_proba(self, X: Pictures) -> np.ndarray:
        """Probabilities, float (n, C): of convolutional networks, and of dense ones in software.

        Those of dense networks are made of the sums behind the output bits. The class with the highest probability may
        differ from `predict`, which answers as the overlay does: by bits, of which several or none may
        be set.

        Raises
        ------
        ScoresUnavailableError
            The engine is an overlay that gives bits only: use ``Classifier(name, board="cpu")``.
        """
        with self._lock:
            if not self._pipeline.decoder.ranks(self.engine):
                raise ScoresUnavailableError(
                    "overlay {} gives bits, not sums, so there are no probabilities: use "
                    'Classifier({!r}, board="cpu")'.format(
                        self.overlay.name if self.overlay else "", self.network.name
                    )
                )
            return self._pipeline.probabilities(self._pipeline.rows(X))

    def score(self, X: Pictures, y: ArrayLike) -> float:
        """Part of right answers, as in scikit-learn."""
        with self._lock:
            answers = self.predict(X)
            return float((answers == class_numbers(y, len(answers), self.network)).mean())

    def evaluate(
        self, pictures: Pictures, labels: ArrayLike, compare: bool = False, invert: Invert = "auto"
    ) -> Evaluation:
        """Answers, accuracy, confusion matrix, rates and stage times on labelled pictures.

        Parameters
        ----------
        pictures : as for `predict`
        labels : class numbers or class names, n of them
        compare : bool
            Let the software engine answer too, and count the differences.
        invert : {"auto", True, False}

        Raises
        ------
        InputError
            No pictures, unequal lengths, unknown labels.
        """
        with self._lock:
            begun = perf_counter()
            rows = prepare_many(pictures, self.network.input, invert)
            prepared = perf_counter()
            truth = class_numbers(labels, len(rows), self.network)
            found = self._pipeline.evaluate(rows, truth, prepared - begun)
            if compare:
                with Classifier(self.network, board="cpu") as other:
                    found = replace(found, software=other.evaluate(rows, truth))
            return found

    def profile(self, picture: Any, invert: Invert = "auto", repeats: int = 5) -> Profile:
        """Where the time of a picture goes, layer by layer, on the processor alone and with the overlay.

        Parameters
        ----------
        picture : as for `classify`, or a list or array of pictures
            Of more than one picture the times are the means: weights are written once a batch.
        invert : {"auto", True, False}
        repeats : int
            Runs in software; each layer's median counts.

        Returns
        -------
        Profile
            Prints as a table; `to_dataframe()`, `plot()`.
        """
        if not isinstance(repeats, (int, np.integer)) or repeats < 1:
            raise InputError(f"repeats must be an integer of at least 1, not {repeats!r}")
        with self._lock:
            rows = self._pipeline.some(picture, invert)
            self._guard.ready()
            return self._guard.run_again(lambda: measure_layers(self.engine, rows, repeats, self._timeout))

    # -- inside ------------------------------------------------------------------------------------------

    def _make_guard(self, board: Board, parts: Sequence[Part]) -> Guard:
        overlays = [part.overlay for part in parts]
        self._names = [overlay.name for overlay in overlays]
        engine = BoardEngine(board, overlays, self._conservative, self._takeover, parts)
        return Guard(engine, self.policy, self.recovery)

    def _close_former(self) -> None:
        """Close engines that others replaced, also if an interrupt came in between."""
        while self._former:
            if self._former[-1] is not self._guard:
                self._former[-1].close()
            self._former.pop()

    def _configure(self, network: Network) -> None:
        self._close_former()
        self._guard.limit(Limits(factor=float(self.policy.timeout_factor)))
        self._guard.load(network)
        self.network = network
        self._pipeline = Pipeline(network, self._guard, self._timeout)
        self.class_names = network.classes
        self.classes_ = np.arange(len(network.classes))
        # The short way of live data: one word, no arrays.
        self._bound: set[Any] = set()
        decoder = self._pipeline.decoder
        if isinstance(decoder, HighestBit):
            self._bound = self._pipeline.single
            self._mask, self._by_length = decoder.mask, decoder.by_length

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        indices, self.unfired_ = self._pipeline.indices(rows)
        return indices

    def _answer_work(self, made_by: Pipeline, work: Work, pictures: list[Any], invert: Invert) -> list[Prediction]:
        with self._lock:
            if made_by is not self._pipeline:
                self.engine.check_open()
                work = self._pipeline.make_ready(pictures, invert)
            return self._pipeline.predictions(work)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _network(network: NetworkLike) -> Network:
    return network if isinstance(network, Network) else find_network(network)


def _overlays(overlay: Any, network: Network, board: Any) -> list[Overlay]:
    """The overlay that was asked for, or the network's own, and those of its segments."""
    if overlay is None:
        if not network.overlays:
            raise InputError(
                f'network {network.name!r} names no overlay: give overlay=..., or compute it with board="cpu"')
        return default_overlays(network, emulates(board))
    first = overlay if isinstance(overlay, Overlay) else find_overlay(overlay)
    return [first] + [find_overlay(segment.overlay) for segment in network.segments]
