"""Steps under load: known answers of networks, recordings of them, the clock, sensors, a soak."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

from ...contracts.board import Board
from ...contracts.chip import IO_PLL_MHZ, MOST_DIVISOR
from ...contracts.network import Network
from ...contracts.overlay import Overlay
from ...engines import BoardEngine
from ...errors import AnomalyError, WrongAnswerError
from ...families.engine.program import Layer, Place
from ...reliability.canary import Canary
from ..recording import record
from ..selftest import Outcome, compare
from .bench import Bench
from .hour import FAILED, NOT_HERE, OK, Finding, Hour
from .sensors import Reading, read_sensors

__all__ = ["answer", "clock", "nearest_clock", "sense", "soak"]

_log = logging.getLogger(__name__)
_PICTURES = 4  # of a recording
_LAYERS, _SIZE, _TAPS = 8, (200, 250), 200  # 80,000,000 cycles; none is longer than the watchdog
_WINDOW = 0.1  # seconds of them, in which a clock is measured
_CLOCK_TOLERANCE = 0.02
_MOST_ANOMALIES = 3  # of a soak
_SAMPLE = 5.0  # seconds between readings
_TICK = 1000


def answer(network: Network, hour: Hour) -> Finding:
    """Known pictures, as a batch and one by one; and a recording, also where they are answered wrongly."""
    board = hour.board
    outcome = Outcome(network.name, board.kind, "fast")
    compare(network, partial(BoardEngine, board, [hour.overlay]), outcome)
    if board.in_flight is not None:
        board.reset()
    details: dict[str, Any] = outcome.as_dict()
    details["mismatches"] = outcome.mismatches[:20]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "recording")
        made = record(network, board, path, _PICTURES, overlays=[hour.overlay])
        with open(path, "rb") as file:
            hour.recordings[f"{network.name}.recording"] = file.read()
    details["recorded"] = {"events": made.events, "error": None if made.error is None else str(made.error)}
    if not outcome.ok:
        return Finding(FAILED, outcome.details[0], details)
    if made.error is not None:
        return Finding(FAILED, f"known answers are right, and then a run failed: {made.error}", details)
    if outcome.missing:
        return Finding(NOT_HERE, f"{outcome.note}: it ran, and nobody knows whether rightly", details)
    return Finding(OK, f"{outcome.pictures} known pictures right", details)


# -- clocks -----------------------------------------------------------------------------------------------


def nearest_clock(mhz: float) -> float:
    """What the processor's divisors make that is nearest."""
    pairs = {first * second for first in range(1, MOST_DIVISOR + 1) for second in range(1, first + 1)}
    return IO_PLL_MHZ / min(pairs, key=lambda pair: abs(IO_PLL_MHZ / pair - mhz))


def clock(mhz: float, hour: Hour) -> Finding:
    """The canaries of every network at another clock, which the circuit's own counters measure."""
    board = hour.real
    if board.emulated:
        return Finding(NOT_HERE, f"the {board.name} has no clock: what it computes does not depend on one")
    made = nearest_clock(mhz)
    named = f"{mhz:g} MHz" if abs(made - mhz) < 1e-6 * mhz else f"{made:.4g} MHz, the nearest to {mhz:g} that there is"
    details: dict[str, Any] = {"asked_mhz": mhz, "made_mhz": made}
    overlay = replace(hour.overlay, clock_mhz=made)
    try:
        board.configure(overlay)
        details["registers_mhz"] = getattr(board, "clock_mhz", None)
        bench = Bench(board, overlay, hour.left)
        bench.begin()
        layer = Layer(Place(0), Place(0), out_size=_SIZE, words=_TAPS, safe=255)
        measured = bench.measure_clock([layer] * _LAYERS, _WINDOW)
        details["counted_mhz"] = round(measured, 3)
        if abs(measured - made) > _CLOCK_TOLERANCE * made:
            return Finding(FAILED, f"{named} were set, and the circuit counts {measured:.4g} MHz", details)
        pictures = 0
        for done, network in enumerate(hour.networks):
            bench.check_time()
            pictures += _canary(board, overlay, network)
            hour.tell(done + 1, len(hour.networks))
        details["pictures"] = pictures
    finally:
        board.configure(hour.overlay)
    return Finding(OK, f"{named}, counted {measured:.4g} MHz: {pictures} known pictures right", details)


def _canary(board: Board, overlay: Overlay, network: Network) -> int:
    """Known inputs of a network; how many."""
    canary = Canary(network)
    with BoardEngine(board, [overlay]) as engine:
        engine.load(network)
        canary.check(engine)
    return len(canary)


# -- sensors and soak -------------------------------------------------------------------------------------


def _shown(readings: list[Reading]) -> str:
    return ", ".join(f"{name} {value:.3g} {unit}" for name, value, unit in readings)


def _power_of(readings: list[Reading]) -> list[Reading]:
    return [one for one in readings if one.unit in ("W", "A")]


def sense(hour: Hour) -> Finding:
    """Power, where it is measured; temperature and voltages."""
    if hour.real.emulated:
        return Finding(NOT_HERE, f"the {hour.real.name} takes no power of its own")
    readings = read_sensors(hour.host)
    details = {"idle": [list(one) for one in readings]}
    if not readings:
        return Finding(NOT_HERE, "the kernel shows no sensors", details)
    power = _power_of(readings)
    if not power:
        return Finding(NOT_HERE, f"no sensor of power or current on this board; it shows {_shown(readings)}", details)
    return Finding(OK, _shown(power), details)


def soak(hour: Hour) -> Finding:
    """Canaries of the networks in turn, again and again; anomalies are counted, and the board is set up anew."""
    seconds, begun = hour.soak, monotonic()
    details: dict[str, Any] = {"seconds": seconds, "runs": 0, "pictures": 0, "anomalies": [], "sensors": []}
    names = [network.name for network in hour.networks]
    slices = [(network, begun + seconds * (number + 1) / len(names)) for number, network in enumerate(hour.networks)]
    told = 0
    sampled = -_SAMPLE
    for network, end in slices:
        canary = Canary(network)
        with BoardEngine(hour.board, [hour.overlay]) as engine:
            engine.load(network)
            while True:
                try:
                    canary.check(engine)
                    details["runs"] += 1
                    details["pictures"] += len(canary)
                except AnomalyError as error:
                    what = f"{network.name}, run {details['runs']}: {type(error).__name__}: {error}"
                    details["anomalies"].append(what)
                    _log.warning("soak: %s", what)
                    if len(details["anomalies"]) >= _MOST_ANOMALIES:
                        break
                    if not isinstance(error, WrongAnswerError):
                        hour.board.reset()
                    engine.load(network)
                passed = monotonic() - begun
                if not hour.real.emulated and passed - sampled >= _SAMPLE:
                    sampled = passed
                    details["sensors"].append([round(passed, 1), [list(one) for one in read_sensors(hour.host)]])
                share = min(_TICK, int(_TICK * passed / seconds)) if seconds else _TICK
                if share > told:
                    told = share
                    hour.tell(share, _TICK)
                if monotonic() >= end or hour.left() <= 0:
                    break
        if len(details["anomalies"]) >= _MOST_ANOMALIES:
            break
    details["seconds"] = round(monotonic() - begun, 1)
    text = f"{details['pictures']} known pictures of {len(names)} networks in {details['seconds']:g} s"
    if details["anomalies"]:
        count, first = len(details["anomalies"]), details["anomalies"][0]
        return Finding(FAILED, f"{count} anomalies beside {text}; the first: {first}", details)
    return Finding(OK, text + _hottest(details["sensors"]), details)


def _hottest(samples: list[Any]) -> str:
    """The highest readings of temperature and power, in words."""
    most: dict[tuple[str, str], float] = {}
    for _, readings in samples:
        for name, value, unit in readings:
            if unit in ("C", "W", "A"):
                most[name, unit] = max(value, most.get((name, unit), value))
    if not most:
        return ""
    return "; at most " + _shown([Reading(name, value, unit) for (name, unit), value in most.items()])
