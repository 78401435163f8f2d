"""Driver of the engine: weights once, then a program for the groups of pictures of a batch, chunk by chunk."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

import numpy as np

from ...contracts.board import Board, Buffer, close_all
from ...contracts.chip import ADDRESSES, PAGE
from ...contracts.driver import LayerPlan, LayerProfile, Port, Split
from ...contracts.layer import Signal
from ...contracts.network import Network
from ...contracts.overlay import Overlay
from ...errors import BoardError, DeadlineError, EarlyDoneError, InputError, NoDataError
from ...networks.linear import quantise
from ..blocks.hls_control import PolledDriver
from .compiler import Compiled, Part, compile_network
from .control import Counters, Engine, Window
from .packing import pack_bits, pack_maps, result_words, unpack_codes, unpack_sums, windows_of
from .plan import layer_cycles, part_cycles, part_least, plan_rows

__all__ = ["EngineDriver"]

_log = logging.getLogger(__name__)
_DMA_BYTES = 16_000_000
_MOST_GROUPS = 4096
_CHUNK = 1 << 20  # cycles of the circuit, at least: 10 ms
_OVERHEAD = 100  # times what a chunk's start and first loads take
_LEAST = 3  # groups: each is loaded beside the one before, but for the first
_LOAD_MARGIN = 1.0  # seconds
_KINDS = {"binary": ("words", np.uint64), "codes": ("codes", np.uint8), "sums": ("sums", np.int32),
          "scores": ("scores", np.float64)}


class EngineDriver(PolledDriver):
    """One network on one engine.

    Weights and thresholds go to the circuit once, by its own reads of memory, and stay there for all batches; where a
    network has more than fit, each of its programs loads its own. Pictures are computed in groups, one of each bank: a
    batch that leaves the last group open computes some in vain. Loads, layers and stores of different groups overlap
    within a run. A larger batch goes to the circuit in chunks, through two buffers each way: `finish` takes the results
    of one chunk and packs the next but one while the circuit computes the one between.

    Parameters
    ----------
    board : Board
    overlay : Overlay
        Of kind "engine".
    conservative : bool
        Nothing else: this circuit's registers are ours.
    dma_bytes : int
        Most bytes of all buffers together; one group of pictures gets what it needs.

    Attributes
    ----------
    counters : Counters
        Of the last run, by the circuit itself.
    """

    kind = "engine"

    def __init__(self, board: Board, overlay: Overlay, conservative: bool = False, dma_bytes: int = _DMA_BYTES) -> None:
        super().__init__(board, overlay, conservative)
        self.counters = Counters()
        self._engine = Engine(board, overlay)
        self._limit = dma_bytes
        self._vectors = int(overlay.geometry["vectors"])
        self._compiled: Compiled | None = None
        self._signals: tuple[Signal, ...] = ()  # what arrives at the first layer, what the last one gives
        self._last: Any = None  # layer
        self._images: list[Buffer] = []
        self._maps: list[tuple[Buffer, ...]] = []  # the first and the last one twice, where a batch has several chunks
        self._scratch: Buffer | None = None
        self._groups = 0  # of pictures that a buffer holds
        self._largest = 1  # groups of a chunk
        self._put = 0  # pictures for the next run
        self._rest: np.ndarray | None = None  # those that are not packed at once
        self._chunks: list[tuple[int, int]] = []  # first picture and pictures of each
        self._chunk = 0  # that runs
        self._packed = 0  # chunks
        self._ready = 0  # chunks whose results have room
        self._taken = 0  # chunks whose results are there
        self._at = 0  # part of the chunk that runs
        self._waiting = False  # for it; else it is still to be started
        self._written: Part | None = None  # whose program is in the circuit
        self._started = 0.0
        self._counted: list[Counters] = []
        self._starts: dict[tuple[int, int, int], np.ndarray] = {}
        self._found: np.ndarray | None = None  # results of the chunks that are over
        self._sentinel = 0  # the same words in the same runs: a recording of them can be replayed

    # -- what it can do -----------------------------------------------------------------------------------

    @classmethod
    def split(cls, network: Network, overlay: Overlay, conservative: bool = False) -> Split:
        """From the first layer that the engine computes to the last one; what the circuit has no room for is left."""
        return compile_network(network, overlay)[0]

    @classmethod
    def layer_plan(cls, network: Network, overlay: Overlay) -> tuple[LayerPlan, ...]:
        return plan_rows(compile_network(network, overlay)[1], overlay.geometry)

    @property
    def input(self) -> Port:
        compiled, signal = self._ready_for(), self._signals[0]
        if signal.coding == "binary":
            return Port("bits", (8 * compiled.arrives.words,), np.dtype(np.uint8))
        return Port(signal.coding, signal.shape, np.dtype(np.uint8))

    @property
    def output(self) -> Port:
        self._ready_for()
        signal = self._signals[1]
        kind, dtype = _KINDS[signal.coding]
        return Port(kind, () if kind == "words" else signal.shape, np.dtype(dtype))

    def _ready_for(self) -> Compiled:
        if self._compiled is None:
            raise BoardError("no network is configured: call load() first")
        return self._compiled

    def expected_seconds(self, pictures: int) -> float:
        """Seconds of the circuit for a batch by the model of its cycles."""
        return sum(self._seconds(self._cycles(-(-count // self._vectors))) for _, count in self._cut(pictures))

    def _cycles(self, groups: int) -> int:
        """Of the model, for a chunk."""
        return sum(part_cycles(part, self.overlay.geometry, groups) for part in self._ready_for().parts)

    def _cut(self, pictures: int) -> list[tuple[int, int]]:
        """Chunks of a batch, of about the same size."""
        groups = -(-pictures // self._vectors)
        count = -(-groups // self._largest)
        each = -(-groups // count) * self._vectors
        return [(first, min(each, pictures - first)) for first in range(0, pictures, each)]

    def _seconds(self, cycles: int) -> float:
        return float(cycles * 1e-6 / self.overlay.clock_mhz)

    # -- a network ----------------------------------------------------------------------------------------

    def load(self, network: Network, timeout: float | None = None) -> None:
        """Compile a network, and let the engine fetch its weights.

        Parameters
        ----------
        network : Network
        timeout : float, optional
            Seconds for the weights; default 1, and 20 times what the circuit needs.

        Raises
        ------
        UnsupportedNetworkError
            Before anything is touched.
        BoardBusyError
            A run is in flight.
        ForeignBitstreamError
            The circuit is not the one that the descriptor describes.
        DeadlineError, StatusError, BusError
            The weights did not get there; the driver refuses to run until they do.
        """
        split, compiled = compile_network(network, self.overlay)
        board = self.board
        with board.lock:
            self._check_open()
            self._check_idle()
            self.network = None
            board.claim(self)
            board.configure(self.overlay)
            self._engine.check_identity()
            before = board.accelerator_seconds
            self._engine.quiet()
            board.in_flight = None
            self._free()
            self._written = None
            self._put, self._rest, self._profile = 0, None, ()
            first = len(split.before)
            self._compiled, self._last = compiled, split.logic[-1]
            self._signals = network.signals[first], network.signals[first + len(split.logic)]
            for image in compiled.images:
                buffer = board.allocate(max(16, image.size), np.uint64)
                self._images.append(buffer)
                buffer.array[: image.size] = image
                buffer.flush()
            if compiled.setup is not None:
                self._load_weights(compiled, timeout)
            self._capacity = self._most_pictures(compiled)
            self._largest = self._most_groups()
            self.timing["configure"] = board.accelerator_seconds - before
            self._generation = board.generation
            self.network = network
        _log.debug("%s: %s configured, %d programs, %d words of weights, %d cycles a group, %d pictures a chunk",
                   self.overlay.name, network.name, len(compiled.parts), sum(compiled.held.values()), compiled.cycles,
                   self._capacity)

    def _load_weights(self, compiled: Compiled, timeout: float | None) -> None:
        part, board = compiled.setup, self.board
        assert part is not None
        image = self._images[0]
        expected = self._seconds(part_cycles(part, self.overlay.geometry, 1))
        self._engine.write_program(part.words)
        window = Window(image.device_address, image.nbytes)
        starts = self._engine.start_program(1, (window, Window(), Window(), Window()))
        board.in_flight = self
        self._engine.start(starts)
        if timeout is None:
            timeout = _LOAD_MARGIN + self.limits.factor * expected
        self._wait(timeout, 1, f"{self.overlay.name}, weights", expected)
        board.in_flight = None

    def _most_pictures(self, compiled: Compiled) -> int:
        room = self._limit - sum(buffer.nbytes + PAGE for buffer in self._images) - 8 * PAGE
        room -= max(part.scratch for part in compiled.parts)
        return self._vectors * min(_MOST_GROUPS, max(1, room // sum(compiled.maps)))

    def _most_groups(self) -> int:
        """Of a chunk: two have room in memory, and what comes with each does not count."""
        few, many = self._cycles(3), self._cycles(4)
        each = max(1, many - few)
        wanted = max(_CHUNK, _OVERHEAD * (few - 3 * each))
        return int(min(max(1, self._capacity // self._vectors // 2), max(_LEAST, -(-wanted // each))))

    # -- runs ---------------------------------------------------------------------------------------------

    def put(self, values: np.ndarray) -> None:
        """Pack the inputs of the next run into shared memory.

        Parameters
        ----------
        values : uint8 (pictures, *input.shape)
        """
        with self.board.lock:
            self._check_ready()
            if self._running:
                self._check_idle()
            port = self.input
            if not isinstance(values, np.ndarray) or values.dtype != np.uint8 or values.shape[1:] != port.shape:
                raise InputError(f"{port.kind} {getattr(values, 'dtype', type(values).__name__)} {np.shape(values)}: "
                                 f"expected uint8 (pictures, {', '.join(map(str, port.shape))})")
            if not 1 <= len(values) <= self._capacity:
                self._check_count(len(values))
            compiled = self._ready_for()
            if port.kind == "codes" and int(values.max()) >> compiled.arrives.planes:
                raise InputError(f"code {int(values.max())}: expected 0..{2**compiled.arrives.planes - 1}")
            self._put, self._rest = 0, None
            chunks = self._cut(len(values))
            first = chunks[0][1]
            groups = -(-first // self._vectors)
            if groups > self._groups or len(chunks) > len(self._maps[0]):
                self._grow(groups, min(2, len(chunks)))
            self._pack(0, values[:first])
            if len(chunks) > 1:
                self._rest = values[first:].copy()  # whose they are may use them again
            self._chunks, self._put = chunks, len(values)

    def _pack(self, chunk: int, values: np.ndarray) -> None:
        compiled, groups = self._ready_for(), -(-len(values) // self._vectors)
        out = self._words(0, chunk, groups)
        if self.input.kind == "bits":
            pack_bits(compiled, values, out)
        else:
            gathered = compiled.steps[0].gathered
            pack_maps(compiled, values if gathered is None else windows_of(gathered, values), out)

    def _buffer(self, number: int, chunk: int) -> Buffer:
        """Of a map, for a chunk: chunks take turns with those that there are two of."""
        buffers = self._maps[number]
        return buffers[chunk % len(buffers)]

    def _words(self, number: int, chunk: int, groups: int) -> np.ndarray:
        """uint64 (groups, words, vectors) of a map in shared memory."""
        compiled = self._ready_for()
        words = compiled.maps[number] // 8
        view: np.ndarray = self._buffer(number, chunk).array[: groups * words].reshape(groups, -1, self._vectors)
        return view

    def _grow(self, groups: int, buffers: int) -> None:
        compiled = self._ready_for()
        groups = min(self._largest, max(groups, 2 * self._groups))
        self._free_maps()
        try:
            for number, nbytes in enumerate(compiled.maps):
                for _ in range(buffers if number in (0, len(compiled.maps) - 1) else 1):
                    buffer = self.board.allocate(groups * nbytes // 8, np.uint64)
                    self._maps[number:] = [(*(self._maps[number] if number < len(self._maps) else ()), buffer)]
            scratch = max(part.scratch for part in compiled.parts)
            if scratch:
                self._scratch = self.board.allocate(scratch // 8, np.uint64)
        except BaseException:
            self._free_maps()
            raise
        self._groups = groups

    def start(self, pictures: int) -> None:
        """Start on the first `pictures` of those that were put.

        Raises
        ------
        BoardTakenError
            Another classifier holds the board.
        BoardError
            Not configured, or the logic was configured by somebody else since.
        BoardBusyError
            A run is in flight.
        """
        with self.board.lock:
            self._check_ready()
            if self._running:
                self._check_idle()
            if not 1 <= pictures <= self._put:
                self._check_count(pictures)
                raise InputError(f"{pictures} pictures, but {self._put} were put since the last run: put() all of them")
            self._engine.check_idle()
            begun = perf_counter()
            self._sentinel = self._sentinel + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
            self._chunks = [(first, min(count, pictures - first)) for first, count in self._chunks if first < pictures]
            self._chunk = self._taken = self._ready = 0
            self._packed, self._found = 1, None
            self._make_ready(0)
            self._put = 0
            self.timing["transfer"] = perf_counter() - begun
            self._at, self._waiting, self._counted = 0, False, []
            # Before the start: an interrupt in between must not leave a run that nobody knows of.
            self._running = pictures
            self.board.in_flight = self
            self._start_part()

    def _groups_of(self, chunk: int) -> int:
        return -(-self._chunks[chunk][1] // self._vectors)

    def _make_ready(self, chunk: int) -> None:
        """A packed chunk and the place of its results are the circuit's now."""
        groups, maps = self._groups_of(chunk), self._ready_for().maps
        self._words(-1, chunk, groups)[...] = self._sentinel
        self._buffer(-1, chunk).flush(groups * maps[-1])
        self._buffer(0, chunk).flush(groups * maps[0])
        self._ready = chunk + 1

    def _start_part(self) -> None:
        """Start the part of the chunk whose turn it is; once more where a start was broken off."""
        compiled, board = self._ready_for(), self.board
        part, groups = compiled.parts[self._at], self._groups_of(self._chunk)
        if self._engine.busy:  # it was
            self._waiting = True
            return
        if self._written is not part:
            self._written = None
            self._engine.write_program(part.words)
            self._written = part
        key = self._at, groups, self._chunk % 2
        if key not in self._starts:
            if len(self._starts) > 64:
                self._starts.clear()
            self._starts[key] = self._engine.start_program(groups, self._windows(part, groups))
        self._started = board.accelerator_seconds
        self._engine.start(self._starts[key])
        self._waiting = True
        if board.emulated:  # there the moment of the start is known exactly
            self._started = board.accelerator_seconds

    def _windows(self, part: Part, groups: int) -> list[Window]:
        compiled = self._ready_for()
        found = [Window()]
        if part.image is not None:
            image = self._images[part.image]
            found = [_window(image.device_address, image.nbytes)]
        for number in (part.source, part.target):
            stride = compiled.maps[number]
            found.append(_window(self._buffer(number, self._chunk).device_address, groups * stride, stride))
        scratch = self._scratch
        found.append(Window() if scratch is None else _window(scratch.device_address, scratch.nbytes))
        return found

    def finish(self, timeout: float | None = None) -> np.ndarray:
        """Wait for the run, part by part, and take its results.

        Parameters
        ----------
        timeout : float, optional
            Seconds for each wait on the circuit; default: by `limits`, 1 + 20 times what the model says.

        Returns
        -------
        array (pictures, *output.shape)
            An array of its own.

        Raises
        ------
        DeadlineError
            No answer in time; the run was aborted, or stays in flight where that did not help.
        StatusError, EarlyDoneError, NoDataError, BusError
            The run is not to be trusted.
        """
        with self.board.lock:
            pictures = self._in_flight()
            compiled = self._ready_for()
            last = len(self._chunks) - 1
            while True:
                if not self._waiting:
                    self._start_part()
                self._keep_up()
                self._finish_part(compiled.parts[self._at], timeout, pictures)
                if self._at + 1 < len(compiled.parts):
                    self._at, self._waiting = self._at + 1, False
                elif self._chunk < last:
                    self._chunk, self._at, self._waiting = self._chunk + 1, 0, False
                else:
                    break
            self._take(last)
            self._over()
            found, self._found, self._rest = self._found, None, None
            assert found is not None
            self._note(compiled, pictures)
            return found

    def _keep_up(self) -> None:
        """What the host has to do beside the chunk that runs: pack the next one, take the results of the last one."""
        following = self._chunk + 1
        if following < len(self._chunks) and self._packed <= following:
            assert self._rest is not None
            begun = perf_counter()
            first, count = self._chunks[following]
            skipped = self._chunks[1][0]
            self._pack(following, self._rest[first - skipped : first - skipped + count])
            self._packed = following + 1
            self.timing["transfer"] += perf_counter() - begun
        if self._taken < self._chunk:
            self._take(self._chunk - 1)
        if self._ready < self._packed:
            begun = perf_counter()
            self._make_ready(following)
            self.timing["transfer"] += perf_counter() - begun

    def _take(self, chunk: int) -> None:
        """The results of a chunk that is over."""
        begun = perf_counter()
        compiled, groups = self._ready_for(), self._groups_of(chunk)
        first, pictures = self._chunks[chunk]
        self._buffer(-1, chunk).invalidate(groups * compiled.maps[-1])
        words = result_words(compiled, self._words(-1, chunk, groups), pictures)
        missing = int(np.count_nonzero((words == np.uint64(self._sentinel)).all(axis=1)))
        if missing:
            raise NoDataError(f"{self.overlay.name}: done, but {missing} of {pictures} results were never written")
        values = self._values(compiled, words)
        if len(self._chunks) == 1:
            self._found = values
        else:
            if self._found is None:
                self._found = np.empty((self._running, *values.shape[1:]), values.dtype)
            self._found[first : first + pictures] = values
        self._taken = chunk + 1
        self.timing["transfer"] += perf_counter() - begun

    def _finish_part(self, part: Part, timeout: float | None, pictures: int) -> None:
        groups = self._groups_of(self._chunk)
        expected = self._seconds(part_cycles(part, self.overlay.geometry, groups))
        if timeout is None:
            timeout = self.limits.margin + self.limits.factor * expected
        name = f"{self.overlay.name} on {pictures} picture{'' if pictures == 1 else 's'}"
        counters = self._wait(timeout, groups, name, expected)
        seconds = self.board.accelerator_seconds - self._started
        least = 0.95 * self._seconds(part_least(part, groups))
        if seconds < self.limits.earliest * least:
            raise EarlyDoneError(f"{name}: done after {1e3 * seconds:.3g} ms, sooner than the circuit can be")
        del self._counted[self._chunk * len(self._ready_for().parts) + self._at :]  # of a wait that was broken off
        self._counted.append(counters)

    def _wait(self, timeout: float, groups: int, name: str, expected: float) -> Counters:
        """Wait for the circuit; a run that does not end is aborted."""
        def what() -> str:
            return f"{name} (the cycle model says {1e3 * expected:.3g} ms)"

        try:
            return self._engine.wait(timeout, groups, what, self._cancelled.is_set)
        except DeadlineError:
            if self._engine.abort():
                self._over()  # nothing is written any more
            raise

    def _values(self, compiled: Compiled, words: np.ndarray) -> np.ndarray:
        """What the layers behind the words give."""
        port = self.output
        if port.kind == "words":
            return words[:, 0].copy()
        if port.kind == "codes":
            return unpack_codes(compiled, words).reshape(len(words), *port.shape)
        sums = unpack_sums(compiled, words)
        if port.kind == "sums":
            return sums.astype(np.int32)
        layer = self._last
        values = sums.astype(np.float64)
        values *= layer.scale  # the same operations in the same order as in software
        if layer.bias is not None:
            values += layer.bias
        if layer.activation == "clip":
            np.clip(values, 0, 1, out=values)
        elif layer.activation == "quantise":
            values = quantise(values, layer.output_bits)
        return values

    def _note(self, compiled: Compiled, pictures: int) -> None:
        """What the run took, by the circuit's own counters."""
        self.counters = Counters(*(sum(column) for column in zip(*self._counted)))
        run = self._seconds(self.counters.cycles)
        self.timing["run"], self.timing["pictures"] = run, pictures
        cycles = layer_cycles(compiled.parts, self.overlay.geometry)
        whole = max(1, sum(cycles.values()))
        self._profile = tuple(
            LayerProfile(step.layer, step.name, 1, step.macs, 0, -(-cycles[step.layer] // self._vectors),
                         run * cycles[step.layer] / whole, pictures)
            for step in compiled.steps)

    # -- buffers ------------------------------------------------------------------------------------------

    def _buffers(self) -> list[Buffer]:
        maps = [buffer for buffers in self._maps for buffer in buffers]
        return [*self._images, *maps, *([] if self._scratch is None else [self._scratch])]

    def _free_maps(self) -> None:
        self._groups = self._put = 0  # first: after an interrupt nobody takes a closed buffer for a live one
        self._starts = {}  # they have the addresses
        scratch = [] if self._scratch is None else [self._scratch]
        try:
            close_all([*(buffer for buffers in self._maps for buffer in buffers), *scratch])
        finally:
            self._maps, self._scratch = [], None

    def _forget_buffers(self) -> None:
        self._images, self._maps, self._scratch = [], [], None
        self._groups = self._put = 0
        self._rest = self._found = None
        self._starts = {}


def _window(address: int, size: int, stride: int = 0) -> Window:
    if not 0 <= address <= ADDRESSES - size:
        raise BoardError(f"a buffer of {size} bytes lies at {address:#x}: expected it below {ADDRESSES:#x}, where the "
                         "engine's registers reach; close other buffers, or reboot with more contiguous memory there")
    return Window(address, size, stride)
