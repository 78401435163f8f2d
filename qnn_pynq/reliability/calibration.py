"""How long a run may take: expected times from the cycle model, from measured runs, or set by the user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contracts.driver import Limits
from ..engines import BoardEngine
from ..errors import InputError
from .guard import Guard

__all__ = ["Calibration", "calibrate", "from_user"]

_MARGIN = 0.02  # seconds that an operating system may take the processor away


@dataclass(frozen=True)
class Calibration:
    """Times of the accelerator for one overlay, network and batch.

    Attributes
    ----------
    overlay, network : str
    pictures : int
        The batch.
    model : float
        Seconds by the cycle model.
    median, spread : float
        Seconds: of measured runs the median, and the median distance from it; else what was expected, and 0.
    fastest : float
        Seconds of the fastest run.
    runs : int
        Measured; 0 where `source` is another.
    source : str
        "measured" or "user".
    """

    overlay: str
    network: str
    pictures: int
    model: float
    median: float
    spread: float
    fastest: float
    runs: int
    source: str

    @property
    def ratio(self) -> float:
        """Expected time, in times of the model's."""
        return self.median / self.model

    def expected(self, model: float) -> float:
        """Seconds expected where the model says `model`: of another batch, or of a part of a run."""
        return model * self.ratio

    def limits(self, factor: float = 20.0) -> Limits:
        """For the driver's waits: `factor` times the expected time, and some time for the operating system."""
        return Limits(_MARGIN + 10.0 * self.spread, factor * max(1.0, self.ratio), min(1.0, self.fastest / self.model))

    def timeout(self, factor: float = 20.0) -> float:
        """Seconds for this batch; a circuit that runs layer by layer has as much for each of its parts."""
        limits = self.limits(factor)
        return limits.margin + limits.factor * self.model

    def __str__(self) -> str:
        measured = f", median of {self.runs} runs (spread {1e3 * self.spread:.3g} ms)" if self.runs else ""
        many = "picture" if self.pictures == 1 else "pictures"
        return (f"{self.network} on {self.overlay}, {self.pictures} {many}: {1e3 * self.median:.3g} ms expected "
                f"({self.source}{measured}), {1e3 * self.model:.3g} ms by the model, "
                f"timeout {1e3 * self.timeout():.3g} ms")


def calibrate(guard: Guard, rows: np.ndarray, runs: int = 20) -> Calibration:
    """Measure runs of a batch.

    Parameters
    ----------
    guard : Guard
        Of an engine on a board, with a network loaded. Its accelerator's time is taken: on an emulated board the
        model's, so there this only says that both agree.
    rows : uint8 (N, pixels)
        At least one picture, and no more than one chunk of the driver.
    runs : int
        At least 3, after a first one that does not count.
    """
    if not isinstance(runs, (int, np.integer)) or runs < 3:
        raise InputError(f"runs must be an integer of at least 3, not {runs!r}")
    _model(guard, rows)
    stages = [guard.run(rows).stages for _ in range(int(runs) + 1)][1:]
    overlay, network, model = _model(guard, rows)  # after an alarm the processor may have answered
    seconds = [found["accelerator"] for found in stages]
    median = float(np.median(seconds))
    spread = float(np.median(np.abs(np.array(seconds) - median)))
    return Calibration(overlay, network, len(rows), model, median, spread, min(seconds), int(runs), "measured")


def from_user(guard: Guard, rows: np.ndarray, seconds: float) -> Calibration:
    """What the user knows of a batch."""
    if not isinstance(seconds, (int, float, np.integer, np.floating)) or not 0 < seconds < 1e6:
        raise InputError(f"seconds must be above 0, not {seconds!r}")
    overlay, network, model = _model(guard, rows)
    return Calibration(overlay, network, len(rows), model, float(seconds), 0.0, min(float(seconds), model), 0, "user")


def _model(guard: Guard, rows: np.ndarray) -> tuple[str, str, float]:
    network = guard.ready()
    engine, given_up = guard.engine, guard.given_up
    if given_up is not None:
        alarms = guard.recovery.alarms
        raise InputError(f"the board was given up at {given_up.time:.3f} s of its clock, after {alarms} alarm"
                         f"{'' if alarms == 1 else 's'}, and the processor answers: load a network to try it again")
    if not isinstance(engine, BoardEngine):
        raise InputError(f"network {network.name!r} runs in software, which waits for no hardware: there is nothing to "
                         "calibrate")
    if len(engine.drivers) > 1:
        raise InputError(f"network {network.name!r} runs in {len(engine.drivers)} segments: it has no single expected "
                         "time")
    driver = engine.driver
    if not 1 <= len(rows) <= driver.capacity:
        raise InputError(f"{len(rows)} pictures: expected 1 to {driver.capacity}, what the circuit runs at once")
    return driver.overlay.name, network.name, driver.expected_seconds(len(rows))
