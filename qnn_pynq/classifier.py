"""`Classifier`: from a picture to a label, on a board, on an emulated board, or in software."""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path
from threading import RLock
from time import perf_counter
from typing import Any, Callable, Iterable, Iterator, Sequence, Union

import numpy as np

from .boards import Board, open_board
from .catalogue import find_network, find_overlay
from .engines import Engine
from .engines.decode import Decoder
from .engines.overlay import OverlayEngine
from .engines.software import SoftwareEngine
from .errors import InputError, ScoresUnavailableError
from .labels import class_numbers
from .network import Network
from .overlay import Overlay
from .preprocess import Invert, each, is_batch, prepare, prepare_many
from .results import Evaluation, Prediction

__all__ = ["Classifier"]

_log = logging.getLogger(__name__)

NetworkLike = Union[str, Path, Network]
Pictures = Union[np.ndarray, Iterable[Any]]
ArrayLike = Union[np.ndarray, Sequence[Any]]

_U8 = np.dtype(np.uint8)


class Classifier:
    """Classifies pictures with one network.

    Parameters
    ----------
    network : str, Path or Network
        Name of a network, folder of one, or a loaded one.
    board : None, "auto", "emulated", "zynq", "cpu" or Board
        None and "auto" take the FPGA if this machine has one, else the emulated board. "cpu" is the
        software engine: no overlay, the same answers, and probabilities.
    overlay : str, Path or Overlay, optional
        Default: the first that the network names.
    deadline : float, optional
        Seconds that each wait on the hardware may take; default: generous, from the cycle model.
    takeover : bool
        Whether the board may be taken from another classifier, which then raises BoardTakenError until it
        loads a network again. False: BoardBusyError instead.
    threads : int
        Threads of the software engine for a batch.
    conservative : bool
        Use the published register sequence and nothing inferred; slower to load.

    Attributes
    ----------
    network : Network
    board : Board or None
        None in software.
    overlay : Overlay or None
    engine : Engine
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

    def __init__(
        self,
        network: NetworkLike,
        board: Any = None,
        overlay: Any = None,
        *,
        deadline: float | None = None,
        takeover: bool = True,
        threads: int = 1,
        conservative: bool = False,
    ) -> None:
        if deadline is not None and not (isinstance(deadline, (int, float, np.number)) and deadline > 0):
            raise InputError("deadline must be positive seconds, not {!r}".format(deadline))
        self._lock = RLock()
        self._deadline = deadline
        self._takeover = takeover
        self._conservative = conservative
        self._own_board = False
        self.board: Board | None = None
        self.overlay: Overlay | None = None
        self.unfired_ = 0
        self._run_one: Callable[..., int]
        found = _network(network)
        if isinstance(board, str) and board == "cpu":
            if overlay is not None:
                raise InputError('board="cpu" computes without an overlay: leave overlay out')
            self.engine: Engine = SoftwareEngine(threads)
        else:
            chosen = _overlay(overlay, found)
            # A network that cannot run is refused before hardware is touched.
            self.board = open_board(board)
            self._own_board = not isinstance(board, Board)
            self.overlay = chosen
        try:
            if self.board is not None:
                self.engine = self._make_engine(chosen)
            self._configure(found)
        except BaseException:
            self.close()
            raise

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
            self.engine._open()
            found = _network(network)
            if self.overlay is None or self.overlay.name in found.overlays:
                self._configure(found)
                return
            chosen = _overlay(None, found)
            engine = self._make_engine(chosen)
            engine.check(found)
            self.engine.close()
            self.engine, self.overlay, self._run_one = engine, chosen, engine.one
            self._configure(found)

    def _make_engine(self, overlay: Overlay) -> Engine:
        assert self.board is not None
        return OverlayEngine(self.board, overlay, self._conservative, self._takeover)

    def _configure(self, network: Network) -> None:
        self.engine.configure(network)
        self.network = network
        self.class_names = network.classes
        self.classes_ = np.arange(len(network.classes))
        self._decoder = Decoder(network)
        height, width = network.input.size
        self._pixels = network.input.pixels
        # Shapes that `predict` passes on without a look at the pixels: one picture, and a row of many.
        flat = (height * width,)
        self._rest = {flat, (height, width), (height, width, 1)}
        self._single = {(1,) + shape for shape in self._rest} | {flat, (height, width)}
        self._run_one = self.engine.one
        self._mask = self._decoder.mask
        self._by_length = self._decoder.by_length

    # -- answers -----------------------------------------------------------------------------------------

    def classify(self, picture: Any, invert: Invert = "auto") -> Prediction:
        """Classify one picture.

        Parameters
        ----------
        picture : path, PIL image, file object, bytes or array
            See `qnn_pynq.preprocess.prepare`.
        invert : {"auto", True, False}
            Whether light and dark change places.

        Raises
        ------
        InputError
            Before any hardware is touched.
        """
        with self._lock:
            begun = perf_counter()
            row = prepare(picture, self.network.input, invert).reshape(1, self._pixels)
            return self._predictions(row, perf_counter() - begun)[0]

    def classify_many(
        self, pictures: Pictures, invert: Invert = "auto", batch_size: int = 256
    ) -> list[Prediction]:
        """Classify pictures in batches; see `stream` for the same without a list."""
        return list(self.stream(pictures, invert, batch_size))

    def stream(
        self, pictures: Pictures, invert: Invert = "auto", batch_size: int = 64
    ) -> Iterator[Prediction]:
        """Predictions of an iterable, lazily: at most `batch_size` pictures are held at a time.

        Stage times of a prediction are its batch's, divided by the pictures in it.
        """
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise InputError("batch_size must be an integer of at least 1, not {!r}".format(batch_size))
        rest = each(pictures)
        while True:
            batch = list(islice(rest, batch_size))
            if not batch:
                return
            with self._lock:
                begun = perf_counter()
                rows = prepare_many(batch, self.network.input, invert)
                answers = self._predictions(rows, perf_counter() - begun)
            yield from answers

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
                if shape in self._single:
                    length = (self._run_one(X, self._deadline) & self._mask).bit_length()
                    self.unfired_ = 0 if length else 1
                    answer = np.empty(1, np.intp)
                    answer[0] = self._by_length[length]
                    return answer
                if shape[1:] in self._rest:
                    return self._answers(X.reshape(len(X), self._pixels))
            return self._answers(self._rows(X))

    def decision_function(self, X: Pictures) -> np.ndarray:
        """Scores, int (n, C): the highest level that fired for each class plus 1, 0 for none.

        `predict` takes the class with the highest score, and of equal ones the highest class number.
        """
        with self._lock:
            words = self._run(self._rows(X))[0]
            return self._decoder.scores(words).astype(np.intp)

    def predict_proba(self, X: Pictures) -> np.ndarray:
        """Probabilities, float (n, C), of the software engine.

        They are made of the sums behind the output bits. The class with the highest probability may
        differ from `predict`, which answers as the overlay does: by bits, of which several or none may
        be set.

        Raises
        ------
        ScoresUnavailableError
            The engine is an overlay that gives bits only: use ``Classifier(name, board="cpu")``.
        """
        with self._lock:
            if not self.engine.gives_sums:
                raise ScoresUnavailableError(
                    "overlay {} gives bits, not sums, so there are no probabilities: use "
                    'Classifier({!r}, board="cpu")'.format(
                        self.overlay.name if self.overlay else "", self.network.name
                    )
                )
            sums = self._run(self._rows(X), sums=True)[1]
            return self._decoder.probabilities(sums)

    def score(self, X: Pictures, y: ArrayLike) -> float:
        """Part of right answers, as in scikit-learn."""
        with self._lock:
            answers = self.predict(X)
            return float((answers == class_numbers(y, len(answers), self.network)).mean())

    def evaluate(
        self, images: Pictures, labels: ArrayLike, compare: bool = False, invert: Invert = "auto"
    ) -> Evaluation:
        """Answers, accuracy, confusion matrix, rates and stage times on labelled pictures.

        Parameters
        ----------
        images : as for `predict`
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
            rows = prepare_many(images, self.network.input, invert)
            prepared = perf_counter()
            truth = class_numbers(labels, len(rows), self.network)
            started = perf_counter()
            words, _, stages = self._run(rows)
            computed = perf_counter()
            answers, unfired = self._decoder.indices(words)
            done = perf_counter()
            software = None
            if compare:
                with Classifier(self.network, board="cpu") as other:
                    software = other.evaluate(rows, truth)
            return Evaluation(
                network=self.network.name,
                board=self.engine.name,
                classes=self.class_names,
                labels=truth,
                predictions=answers,
                unfired=unfired,
                seconds=done - started + prepared - begun,
                stages=_all_stages(prepared - begun, stages, done - computed),
                accelerator_is_modelled=self.engine.accelerator_is_modelled,
                software=software,
            )

    # -- end ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Give engine and board up (a board that was handed in stays open); idempotent."""
        with self._lock:
            if hasattr(self, "engine"):
                self.engine.close()
            if self._own_board and self.board is not None:
                self._own_board = False  # it may have other users, and close() may be called again
                self.board.close()

    def __enter__(self) -> Classifier:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        place = "overlay={!r}, ".format(self.overlay.name) if self.overlay else ""
        return "Classifier({!r}, {}board={!r})".format(self.network.name, place, self.engine.name)

    # -- inside ------------------------------------------------------------------------------------------

    def _rows(self, X: Pictures) -> np.ndarray:
        """Anything that stands for pictures → uint8 (n, pixels)."""
        spec = self.network.input
        if isinstance(X, np.ndarray) and not is_batch(X, spec) and X.shape in self._single:
            return prepare(X, spec).reshape(1, self._pixels)
        return prepare_many(X, spec)

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        indices, self.unfired_ = self._decoder.indices(self._run(rows)[0])
        return indices

    def _run(self, rows: np.ndarray, sums: bool = False) -> Any:
        return self.engine.run(rows, deadline=self._deadline, sums=sums)

    def _predictions(self, rows: np.ndarray, preparing: float) -> list[Prediction]:
        decoder = self._decoder
        words, sums, stages = self._run(rows, sums=self.engine.gives_sums)
        begun = perf_counter()
        indices, _ = decoder.indices(words)
        scores = decoder.scores(words)
        probabilities = None if sums is None else decoder.probabilities(sums)
        count = len(rows)
        shared = {
            name: seconds / count
            for name, seconds in _all_stages(preparing, stages, perf_counter() - begun).items()
        }
        return [
            Prediction(
                label=self.class_names[index],
                index=index,
                scores=scores[k],
                fired=bool(scores[k].any()),
                classes=self.class_names,
                probabilities=None if probabilities is None else probabilities[k],
                stages=shared,
                accelerator_is_modelled=self.engine.accelerator_is_modelled,
            )
            for k, index in enumerate(indices.tolist())
        ]


def _network(network: NetworkLike) -> Network:
    return network if isinstance(network, Network) else find_network(network)


def _overlay(overlay: Any, network: Network) -> Overlay:
    if isinstance(overlay, Overlay):
        return overlay
    if overlay is None:
        if not network.overlays:
            raise InputError(
                'network {!r} names no overlay: give overlay=..., or compute it with board="cpu"'.format(
                    network.name
                )
            )
        overlay = network.overlays[0]
    return find_overlay(overlay)


def _all_stages(preprocess: float, stages: dict[str, float], unpack: float) -> dict[str, float]:
    return {"preprocess": preprocess, **stages, "unpack": unpack}
