"""`Session`: one network on one engine, with the board under it: loading, recovering, closing."""

from __future__ import annotations

from pathlib import Path
from threading import RLock
from typing import Any, Union

import numpy as np

from .boards import Board, open_board
from .calibration import Calibration, calibrate, from_user
from .catalogue import find_network, find_overlay
from .drivers.base import Limits
from .engines import Engine, board_engine, fits_engine, software_engine
from .engines.guarded import GuardedEngine
from .errors import InputError, NotPicklableError
from .network import Network
from .overlay import Overlay
from .pipeline import Pipeline
from .policy import make_policy
from .recovery import Recovery

__all__ = ["NetworkLike", "Session"]

NetworkLike = Union[str, Path, Network]

_LONGEST = 1e6  # seconds


class Session:
    """What a classifier, or whatever else answers by a network, stands on; its parameters are `Classifier`'s."""

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
        policy: Any = "retry",
    ) -> None:
        if deadline is not None and not (
            isinstance(deadline, (int, float, np.integer, np.floating)) and deadline is not True
            and 0 < deadline <= _LONGEST
        ):
            raise InputError("deadline must be seconds, above 0 and at most {:g}, not {!r}".format(_LONGEST, deadline))
        self._lock = RLock()
        self._deadline = deadline
        self._takeover = takeover
        self._conservative = conservative
        self._own_board = False
        self._threads = threads
        self.policy = make_policy(policy)
        self.recovery = Recovery()
        self.board: Board | None = None
        self.overlay: Overlay | None = None
        self._former: list[Engine] = []  # replaced, and perhaps not closed yet
        found = _network(network)
        if isinstance(board, str) and board == "cpu":
            if overlay is not None:
                raise InputError('board="cpu" computes without an overlay: leave overlay out')
            self.engine: Engine = software_engine(found, threads)
        else:
            chosen = _overlay(overlay, found)
            # A network that cannot run is refused before hardware is touched.
            self.board = open_board(board)
            self._own_board = not isinstance(board, Board)
            self.overlay = chosen
        try:
            if self.board is not None:
                self.engine = self._make_engine(found, chosen)
            self._configure(found)
        except BaseException:
            self.close()
            raise

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
            same = fits_engine(found, self.engine)
            if same and (self.overlay is None or self.overlay.name in found.overlays):
                self._configure(found)
                return
            chosen = None if self.overlay is None else _overlay(None, found)
            engine = software_engine(found, self._threads) if chosen is None else self._make_engine(found, chosen)
            engine.check(found)
            self._former.append(self.engine)
            self.engine, self.overlay = engine, chosen
            self._pipeline.engine = engine  # says what is wrong, should the next line fail
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
                levels = self._pipeline.network.input.encoding.levels
                rows = np.random.RandomState(0).randint(0, levels, (1, self._pipeline.pixels)).astype(np.uint8)
            else:
                rows = self._pipeline.rows(pictures)
            before = self.recovery.results
            try:
                found = calibrate(self.engine, rows, runs) if seconds is None else from_user(self.engine, rows, seconds)
            finally:
                if isinstance(self.engine, GuardedEngine):
                    self.engine.take_back(before)
            self.engine.limit(found.limits(self.policy.deadline_factor))
            return found

    def close(self) -> None:
        """Give engine and board up (a board that was handed in stays open); idempotent.

        From another thread too: a call that waits for the hardware ends with ClosedError within a fraction of a
        second (while weights are written: when that is done, or its deadline over), and the board is left usable.
        """
        if hasattr(self, "engine"):
            self.engine.cancel()
        with self._lock:
            if hasattr(self, "engine"):
                self._close_former()
                self.engine.close()
            if self._own_board and self.board is not None:
                self.board.close()
                self._own_board = False

    def __enter__(self) -> Any:
        self.engine._open()
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise NotPicklableError(
            "a {0} holds a board and locks, and cannot be pickled or copied: pass on the network's name, and make "
            "another {0} there".format(type(self).__name__))

    def __repr__(self) -> str:
        place = "overlay={!r}, ".format(self.overlay.name) if self.overlay else ""
        return "{}({!r}, {}board={!r})".format(type(self).__name__, self.network.name, place, self.engine.name)

    # -- inside ------------------------------------------------------------------------------------------

    def _make_engine(self, network: Network, overlay: Overlay) -> Engine:
        assert self.board is not None
        overlays = [overlay] + [find_overlay(segment.overlay) for segment in network.segments]
        engine = board_engine(network, self.board, overlays, self._conservative, self._takeover)
        return engine if self.policy.name == "none" else GuardedEngine(engine, self.policy, self.recovery)

    def _close_former(self) -> None:
        """Close engines that others replaced, also if an interrupt came in between."""
        while self._former:
            if self._former[-1] is not self.engine:
                self._former[-1].close()
            self._former.pop()

    def _configure(self, network: Network) -> None:
        self._close_former()
        self.engine.limit(Limits(factor=float(self.policy.deadline_factor)))
        self.engine.configure(network)
        self.network = network
        self._pipeline = Pipeline(network, self.engine, self._deadline)


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
