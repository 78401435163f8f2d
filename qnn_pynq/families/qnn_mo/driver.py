"""Driver of the multi-layer offload overlays (QNN-MO-PYNQ W1A2, W1A3): a load and a run for each part of a layer."""

from __future__ import annotations

import logging
from time import perf_counter

import numpy as np

from ...contracts.board import Board, Buffer
from ...contracts.driver import Port, Split
from ...contracts.network import Network
from ...contracts.overlay import Overlay
from ...errors import BoardError, InputError
from ..blocks.hls_control import PolledDriver, drop_done
from .buffers import OffloadBuffers
from .descriptor import check_identity
from .plan import Plan, plan_once
from .walk import StartPrograms, Walk, circuit_seconds

__all__ = ["QnnMoDriver"]

_log = logging.getLogger(__name__)
_DMA_BYTES = 8_000_000


class QnnMoDriver(PolledDriver):
    """One network on one overlay, layer by layer.

    All weight images stay in shared memory, packed once. A batch passes a part of a layer image by image
    before the next weights are loaded. `start` begins the first load; `finish` does everything else, and
    holds the board's lock meanwhile.

    Parameters
    ----------
    board : Board
    overlay : Overlay
        Of kind "qnn-mo".
    conservative : bool
        As upstream: every register before every start, loads with the layer's own kernel register, no
        channel slices by address, and layers in groups part by part (`make_plan` says where exactly). Only
        the batch differs: all its pictures pass between two loads.
    dma_bytes : int
        Most bytes of all buffers together; a network that needs more for one picture gets it.

    Notes
    -----
    Whether a run wrote its maps is looked at only where `limits` say so. Else a run that was done without data shows by
    its time, if that is too short, or by known inputs and a second computation (`Policy`).

    A deadline, an interrupt or any other error between `start` and the end of `finish` breaks the walk off:
    the network must be loaded again, after a reset of the board where the circuit still runs.
    """

    kind = "qnn-mo"

    def __init__(self, board: Board, overlay: Overlay, conservative: bool = False, dma_bytes: int = _DMA_BYTES) -> None:
        super().__init__(board, overlay, conservative)
        self.plan: Plan | None = None
        self.buffers = OffloadBuffers(board, dma_bytes)
        self._put = 0  # pictures for the next run
        self._code_limit = 0
        self._broken = False
        self._walk: Walk | None = None
        self._programs = StartPrograms()

    # -- sizes --------------------------------------------------------------------------------------------

    @property
    def input(self) -> Port:
        return Port("codes", self._planned().input_shape, np.dtype(np.uint8))

    @property
    def output(self) -> Port:
        return Port("codes", self._planned().output_shape, np.dtype(np.uint8))

    @classmethod
    def split(cls, network: Network, overlay: Overlay, conservative: bool = False) -> Split:
        """From the first convolution with 1-bit weights to the last map."""
        plan = cls._plan(network, overlay, conservative)
        first = plan.stages[0].step.layer
        end = sum(not layer.tail for layer in network.layers)
        return Split(network.layers[:first], network.layers[first:end], network.layers[end:])

    @staticmethod
    def _plan(network: Network, overlay: Overlay, conservative: bool) -> Plan:
        check_identity(overlay)
        return plan_once(network, overlay, conservative)

    @property
    def dma_bytes(self) -> int:
        """Bytes of all buffers now, in whole pages."""
        return self.buffers.nbytes

    def expected_seconds(self, pictures: int) -> float:
        """Seconds of the circuit for a batch by the cycle model, a lower bound."""
        plan = self._planned()
        return circuit_seconds(self.overlay, plan.load_cycles + pictures * plan.run_cycles)

    def _planned(self) -> Plan:
        if self.plan is None:
            raise BoardError("no network is configured: call load() first")
        return self.plan

    # -- the contract -------------------------------------------------------------------------------------

    def load(self, network: Network, timeout: float | None = None) -> None:
        """Plan a network, and put all its weights into shared memory.

        Parameters
        ----------
        network : Network
        timeout : float, optional
            Not used: the weights are loaded run by run, nothing is waited for here.

        Raises
        ------
        UnsupportedNetworkError
            Before anything is touched.
        BoardBusyError
            A run is in flight, or one that was broken off still is.
        """
        plan = self._plan(network, self.overlay, self.conservative)
        with self.board.lock:
            self._check_open()
            self._check_idle()
            self.network = None
            self.board.claim(self)
            self.board.configure(self.overlay)
            before = self.board.accelerator_seconds
            drop_done(self.board.ip(self.overlay.ip.name))
            self.plan, self._capacity = plan, self.buffers.capacity(plan)
            self._code_limit = 2 ** plan.stages[0].step.conv.input_bits
            self._profile = ()
            self._put = 0
            self.buffers.take(plan, self.overlay.geometry)
            self.timing["configure"] = self.board.accelerator_seconds - before
            self._generation = self.board.generation
            self._broken = False
            self.network = network
        _log.debug("%s: %s configured, %d runs, %d bytes of weights, %d pictures a chunk", self.overlay.name,
                  network.name, len(plan.runs), plan.weight_bytes, self._capacity)

    def put(self, values: np.ndarray) -> None:
        """Pack the inputs of the next run into shared memory, where a run's later maps overwrite them.

        Parameters
        ----------
        values : uint8 (pictures, height, width, channels)
        """
        with self.board.lock:
            self._check_ready()
            if self._running:
                self._check_idle()
            assert self.plan is not None
            shape = self.plan.input_shape
            if not isinstance(values, np.ndarray) or values.dtype != np.uint8 or values.shape[1:] != shape:
                raise InputError(f"codes {getattr(values, 'dtype', type(values).__name__)} {np.shape(values)}: "
                                 f"expected uint8 (pictures, {', '.join(map(str, shape))})")
            pictures = len(values)
            if not 1 <= pictures <= self._capacity:
                self._check_count(pictures)
            most = int(values.max())
            if most >= self._code_limit:
                raise InputError(f"code {most}: expected 0..{self._code_limit - 1}")
            self._put = 0
            if pictures > self.buffers.rows:
                self.buffers.grow(pictures, self._capacity)
            self.buffers.put(values)
            self._put = pictures

    def start(self, pictures: int) -> None:
        """Begin a run on pictures 0 to `pictures` - 1, as they were put.

        Raises
        ------
        BoardTakenError
            Another classifier holds the board.
        BoardError
            Not configured, broken off, or the logic was configured by somebody else since.
        BoardBusyError
            A run is in flight.
        """
        with self.board.lock:
            self._check_ready()
            if self._running:
                self._check_idle()
            plan = self.plan
            assert plan is not None
            if not 1 <= pictures <= self._put:
                self._check_count(pictures)
                raise InputError(f"{pictures} pictures, but {self._put} were put since the last run: put() all of them")
            drop_done(self.board.ip(self.overlay.ip.name))
            begun = perf_counter()
            self.buffers.flush_input()
            self._put = 0
            self.timing["transfer"] = perf_counter() - begun
            walk = self._walk = Walk(self.board, self.overlay, self.buffers, plan, pictures, self._await,
                                     self._programs.of(plan, self.buffers, pictures, self.conservative),
                                     self.limits.sentinels)
            self._running = pictures
            self.board.in_flight = self
            try:
                walk.begin()
            except BaseException:
                self._break_off()
                raise

    def finish(self, timeout: float | None = None) -> np.ndarray:
        """Walk through all layers, and take the last map's codes.

        Parameters
        ----------
        timeout : float, optional
            Seconds for each wait on the circuit: a load, or a run on one picture; default 1 + 20 times what
            the cycle model says.

        Returns
        -------
        uint8 (pictures, H, W, channels)
            An array of its own.

        Raises
        ------
        DeadlineError
            No answer in time. The network must be loaded again.
        """
        with self.board.lock:
            if self._closed or self.board.closed:
                self._check_open()
            if self._broken:
                self._recover()
                self._check_broken()
            pictures, walk = self._in_flight(), self._walk
            assert walk is not None
            try:
                codes = walk.finish(timeout)
            except BaseException:
                self._break_off()
                raise
            self._over()
            self._profile = walk.profile()
            self.timing["run"] = sum(layer.seconds for layer in self._profile)
            self.timing["transfer"] += walk.transfer
            self.timing["pictures"] = pictures
            return codes

    # -- broken walks -------------------------------------------------------------------------------------

    def _break_off(self) -> None:
        # Still marked in flight: the circuit may write, and the buffers must stay.
        self.network, self._broken = None, True

    def _recover(self) -> None:
        """After a walk that was broken off: BoardBusyError while the circuit still runs."""
        if self._generation != self.board.generation:
            self._running = 0
        if self._running:
            drop_done(self.board.ip(self.overlay.ip.name))
            self._over()

    def _check_idle(self) -> None:
        if self._broken:
            self._recover()
        super()._check_idle()

    def _check_broken(self) -> None:
        if self._broken:
            raise BoardError("the last run was broken off: load the network again; where the circuit still runs, "
                             "reset() the board before")

    def _check_ready(self) -> None:
        if self._closed:
            self._check_open()
        self._check_broken()
        super()._check_ready()

    def _buffers(self) -> list[Buffer]:
        return self.buffers.all()

    def _forget_buffers(self) -> None:
        self._put = 0
        self._programs = StartPrograms()  # they have the addresses
        self.buffers.forget()
