"""`Classifier`: from a picture to a label, on a board, on an emulated board, or in software."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any, Callable, Sequence, Union

import numpy as np

from .engines import SegmentedEngine
from .engines.decode import HighestBit
from .errors import InputError, ScoresUnavailableError
from .labels import class_numbers
from .network import Network
from .pipeline import Pictures, Pipeline, Work
from .preprocess import Invert, prepare_many
from .profile import Profile
from .profiling import measure_layers
from .results import Evaluation, Prediction
from .session import Session
from .streaming import Stream

__all__ = ["Classifier"]

ArrayLike = Union[np.ndarray, Sequence[Any]]

_U8 = np.dtype(np.uint8)


class Classifier(Session):
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
    _run_one: Callable[..., int]

    def _configure(self, network: Network) -> None:
        self._run_one = self.engine.one
        super()._configure(network)
        self.class_names = network.classes
        self.classes_ = np.arange(len(network.classes))
        # The short way of live data: one word, no arrays.
        self._bound: set[Any] = set()
        decoder = self._pipeline.decoder
        if isinstance(decoder, HighestBit):
            self._bound = self._pipeline.single
            self._mask, self._by_length = decoder.mask, decoder.by_length

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
            row = self._pipeline.one(picture, invert)
            return self._pipeline.predictions(Work(row, perf_counter() - begun, 0.0))[0]

    def classify_many(
        self, pictures: Pictures, invert: Invert = "auto", batch_size: int = 256
    ) -> list[Prediction]:
        """Classify pictures in batches; see `stream` for the same without a list."""
        return list(self.stream(pictures, invert, batch_size))

    def stream(self, pictures: Pictures, invert: Invert = "auto", batch_size: int = 64, ahead: int = 2) -> Stream:
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
        Stream
            An iterator of Prediction, with `close()`, `rate` and `latency`. Stage times of a prediction are
            its batch's, divided by the pictures in it.
        """
        for name, value in (("batch_size", batch_size), ("ahead", ahead)):
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError("{} must be an integer of at least 1, not {!r}".format(name, value))
        self.engine._open()
        if batch_size == 1 and isinstance(self.engine.bare, SegmentedEngine):
            raise InputError(
                "batch_size 1: network {!r} reconfigures the logic {} times a batch; take at least 2, better "
                "hundreds".format(self.network.name, len(self.network.segments) + 1)
            )
        return Stream(self, pictures, invert, batch_size, ahead)

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
                    length = (self._run_one(X, self._deadline) & self._mask).bit_length()
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
            if not self.engine.gives_sums:
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
            raise InputError("repeats must be an integer of at least 1, not {!r}".format(repeats))
        with self._lock:
            rows = self._pipeline.some(picture, invert)
            self.engine.ready(rows)
            return self.engine.meet(lambda: measure_layers(self.engine.bare, rows, repeats, self._deadline))

    # -- inside ------------------------------------------------------------------------------------------

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        indices, self.unfired_ = self._pipeline.indices(rows)
        return indices

    def _answer_work(self, made_by: Pipeline, work: Work, pictures: list[Any], invert: Invert) -> list[Prediction]:
        """For streams: predictions of work; made again from the pictures if a network was loaded since."""
        with self._lock:
            if made_by is not self._pipeline:
                self.engine._open()
                work = self._pipeline.make_ready(pictures, invert)
            return self._pipeline.predictions(work)
