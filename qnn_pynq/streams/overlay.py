"""Circuits that are not ours: arrays in, arrays out, through the streams that a description names."""

from __future__ import annotations

import logging
import os
import time
from typing import Any, Callable, Mapping, Union

import numpy as np

from ..boards import Board, open_board
from ..contracts.board import Buffer, close_all
from ..errors import BoardTakenError, ClosedError, InputError, OverlayMissingError
from ..overlay import Overlay
from .circuit import StreamCircuit, make_circuit
from .description import Description, Stream
from .packets import longest_batch, sample_strides
from .reading import Source
from .transfers import Transfers
from .values import by_name, check_array, decode, encode

__all__ = ["StreamOverlay"]

_log = logging.getLogger(__name__)
PathLike = Union[str, "os.PathLike[str]"]
Results = Union[np.ndarray, "dict[str, np.ndarray]"]


class StreamOverlay:
    """A circuit with streams, on the FPGA or on the emulated board.

    Parameters
    ----------
    description : path, dict, Description, or overlay
        What goes in and out: a JSON file (docs/streams.md), the same as a dict, or an overlay folder or name whose
        kind is "stream".
    bitstream : path, optional
        The .bit for an FPGA, with its .hwh beside it. The emulated board needs none.
    board : None, "auto", "emulated", "zynq" or a Board
        As for `open_board`.
    twin : callable, optional
        What the emulated board computes: called with the inputs of one sample, in the order of the description, it
        returns the output, or a tuple or dict of several. The circuit's types round and wrap what it returns.
    timeout : float
        Seconds for each call.
    engine : "own" or "pynq"
        Whose driver moves the DMAs.
    split : bool
        Whether a call with more samples than one transfer holds may become several.

    Raises
    ------
    DescriptorError
        A description that is wrong, or not the bitstream's.
    OverlayMissingError
        An FPGA, and no bitstream.

    Examples
    --------
    >>> def double(x):
    ...     return 2 * x
    >>> stream = {"type": "ap_fixed<16,6>", "shape": [3]}
    >>> loop = {"format": "qnn-pynq-streams", "version": 1, "name": "twice",
    ...         "inputs": [dict(stream, name="x")], "outputs": [dict(stream, name="y")]}
    >>> with StreamOverlay(loop, board="emulated", twin=double) as circuit:
    ...     circuit([1.5, -2.0, 0.25]).tolist()
    [3.0, -4.0, 0.5]
    """

    def __init__(self, description: Source | Overlay, bitstream: PathLike | None = None, *,
                 board: None | str | Board = None, twin: Callable[..., Any] | None = None, timeout: float = 5.0,
                 engine: str = "own", split: bool = True) -> None:
        self._closed = True  # until it is open
        self.timeout = _check_timeout(timeout)
        if engine not in ("own", "pynq"):
            raise InputError(f"engine {engine!r}: expected 'own' or 'pynq'")
        self.overlay: StreamCircuit = make_circuit(description, bitstream, twin)
        self.description: Description = self.overlay.streams
        self._longest = longest_batch(self.description)
        self._strides = sample_strides(self.description)
        self._split = bool(split)
        self._buffers: dict[str, Buffer] = {}
        self._broken = False  # a run did not end: what the circuit holds of it must go first
        self.seconds: dict[str, float] = {}
        self._own_board = not isinstance(board, Board)
        self.board = open_board(board)
        try:
            if not self.board.emulated and not self.overlay.files:
                raise OverlayMissingError(f"{self.description.name}: {self.board.name} needs the bitstream; give it "
                                          "as bitstream='design.bit', or try the "
                                          "Python side first with board='emulated'")
            with self.board.lock:
                self.board.claim(self)
                self.board.configure(self.overlay)
                self._transfers = Transfers(self.board, self.overlay, engine)
        except BaseException:
            self._leave_board()
            raise
        self._closed = False

    # -- calls --------------------------------------------------------------------------------
    def __call__(self, *arrays: Any, timeout: float | None = None, **named: Any) -> Results:
        """As `run`."""
        return self.run(*arrays, timeout=timeout, **named)

    def run(self, *arrays: Any, timeout: float | None = None, **named: Any) -> Results:
        """Send samples through the circuit.

        Parameters
        ----------
        *arrays, **named
            One array for each input, in the order of the description or by name: of the stream's shape for one
            sample, or with one more axis in front for several.
        timeout : float, optional
            Seconds; default: the overlay's.

        Returns
        -------
        ndarray or dict of str to ndarray
            The output, or the outputs by name where there are several; with the axis of samples where the inputs
            have it. New arrays.

        Raises
        ------
        InputError
            Count, dtype, shape or value of an input; nothing was moved then, and no register written.
        DeadlineError, DmaError
            The circuit did not answer, or not as described. The DMA is reset at once, the logic before the next call.
        """
        seconds = self.timeout if timeout is None else _check_timeout(timeout)
        self._require_open()
        begun = time.perf_counter()
        samples, single, words = self._check(arrays, named)
        checked = time.perf_counter()
        parts: dict[str, list[np.ndarray]] = {stream.name: [] for stream in self.description.outputs}
        with self.board.lock:
            self._require_board()
            if samples:
                self._move(samples, words, parts, seconds)
        moved = time.perf_counter()
        results = {stream.name: self._join(stream, parts[stream.name], single) for stream in self.description.outputs}
        self.seconds = {"cast": checked - begun, "run": moved - checked, "results": time.perf_counter() - moved}
        return next(iter(results.values())) if len(results) == 1 else results

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self.description.name}: closed; open another StreamOverlay")

    def _require_board(self) -> None:
        self._require_open()
        try:
            self.board.require(self)
        except BoardTakenError as error:
            raise BoardTakenError(f"{self.description.name}: the {self.board.name} was taken by another owner; open "
                                  "another StreamOverlay to take it "
                                  "back") from error

    def _check(self, arrays: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[int, bool, dict[str, np.ndarray]]:
        """Number of samples, whether it is a single one, and the words of every input: all that can be refused is."""
        given = by_name(self.description, arrays, named)
        names = list(given)
        checked = {stream.name: check_array(stream, given[stream.name]) for stream in self.description.inputs}
        counts = {name: len(array) for name, (array, _) in checked.items()}
        singles = {name: single for name, (_, single) in checked.items()}
        if len(set(counts.values())) > 1 or len(set(singles.values())) > 1:
            raise InputError("{}: numbers of samples {}: expected the same for every input".format(
                self.description.name, ", ".join("{} {}".format(name, "single" if singles[name] else counts[name])
                                                 for name in names)))
        samples = counts[names[0]]
        if samples > self._longest and not self._split:
            raise InputError(f"{self.description.name}: {samples} samples: expected at most {self._longest}, what one "
                             "transfer holds; send fewer at once, or "
                             "allow split=True")
        words = {}
        for stream in self.description.inputs:
            array = checked[stream.name][0]
            words[stream.name] = np.empty((samples, stream.elements), stream.type.container)
            encode(stream, array, words[stream.name])
        return samples, singles[names[0]], words

    # -- moving -------------------------------------------------------------------------------
    def _move(self, samples: int, words: dict[str, np.ndarray], parts: dict[str, list[np.ndarray]],
              timeout: float) -> None:
        board = self.board
        if self._broken:
            _log.info("%s: configuring the logic again, after a run that did not end", self.description.name)
            self._configure_again()
        if board.loaded != self.overlay:
            board.configure(self.overlay)
        self._allocate(min(samples, self._longest))
        deadline = board.clock.now() + timeout  # of the run: configuring takes longer than many a run
        for start in range(0, samples, self._longest):
            count = min(self._longest, samples - start)
            for stream in self.description.inputs:
                self._words(stream, count)[...] = words[stream.name][start:start + count]
            board.in_flight = self
            try:
                self._transfers.run(self._buffers, count, deadline, timeout)
            except BaseException as error:
                self._stop(error)
                raise
            finally:
                board.in_flight = None
            for stream in self.description.outputs:
                parts[stream.name].append(decode(stream, self._words(stream, count)))

    def _stop(self, error: BaseException) -> None:
        """After a run that did not end: nothing may write into the buffers any more."""
        self._broken = True
        try:
            self._transfers.reset()
            if any(stream.dma is None for stream in self.description.streams):
                self._configure_again()  # an AXI master has no reset of its own
        except Exception as second:
            _log.warning("%s: after %s, the reset failed too: %s", self.description.name, error, second)
            self._abandon()

    def _configure_again(self) -> None:
        """Now nothing of an earlier run is left, in the logic or on its way into a buffer."""
        self.board.reset()
        self._broken = False

    def _abandon(self) -> None:
        """Leave what may still be written to to the board."""
        held = [*self._buffers.values(), *self._transfers.buffers()]
        self.board.quarantine(held, f"a run of {self.description.name} did not end")
        self._buffers = {}
        self._transfers.forget_buffers()

    def _allocate(self, samples: int) -> None:
        for stream in self.description.streams:
            need = samples * self._strides[stream.name]
            held = self._buffers.get(stream.name)
            if held is None or held.nbytes < need:
                if held is not None:
                    held.close()
                    del self._buffers[stream.name]
                self._buffers[stream.name] = self.board.allocate(need, np.uint8)

    def _words(self, stream: Stream, samples: int) -> np.ndarray:
        """The buffer's containers of the samples, (samples, elements)."""
        stride = self._strides[stream.name]
        rows = self._buffers[stream.name].array[:samples * stride].reshape(samples, stride)
        if stride == stream.sample_bytes:
            return rows.view(stream.type.container)
        padded = stride // stream.type.container.itemsize
        return rows.view(stream.type.container).reshape(samples, padded)[:, :stream.elements]

    def _join(self, stream: Stream, parts: list[np.ndarray], single: bool) -> np.ndarray:
        if not parts:
            return decode(stream, np.zeros((0, stream.elements), stream.type.container))
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return joined[0] if single else joined

    # -- recovery and end ---------------------------------------------------------------------
    def reset(self) -> None:
        """Configure the logic again: ends whatever hangs."""
        with self.board.lock:
            self._require_board()
            self._configure_again()

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Give back buffers and board; idempotent. Waits for a call of another thread."""
        with self.board.lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._end_run()
            finally:
                try:
                    close_all([*self._buffers.values(), *self._transfers.buffers()])
                finally:
                    self._buffers = {}
                    self._transfers.forget_buffers()
                    self._leave_board()

    def _end_run(self) -> None:
        """Whoever comes next finds nothing of a broken run, in the logic or in memory that is handed out again."""
        if not self._broken or self.board.closed:
            return
        try:
            if self.board.owner is self:
                self._configure_again()
        except Exception as error:
            _log.warning("%s: %s", self.description.name, error)
        finally:
            if self._broken:
                self._abandon()

    def _leave_board(self) -> None:
        if self._own_board:
            self.board.close()
        elif not self.board.closed:
            self.board.release(self)

    def __enter__(self) -> StreamOverlay:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        ways = [f"{stream.name} {stream.type.text}{list(stream.shape)}"
                for stream in self.description.streams]
        count = len(self.description.inputs)
        return "<StreamOverlay {}: {} -> {}, {}>".format(
            self.description.name, ", ".join(ways[:count]), ", ".join(ways[count:]),
            "closed" if self._closed else self.board.name)


def _check_timeout(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)) or not 0 < value < 1e9:
        raise InputError(f"timeout {value!r}: expected seconds above 0 and below 1e9")
    return float(value)
