"""The contract of an overlay family as a pytest suite: see `FamilyContract`."""

from __future__ import annotations

import threading
from time import perf_counter
from typing import Any, Callable

import numpy as np
import pytest

from ..contracts.clock import RealClock
from ..contracts.driver import Driver, LayerProfile, Limits, Port
from ..contracts.families import driver_class, kinds, twin_class
from ..contracts.network import Network
from ..contracts.overlay import Overlay
from ..diagnosis.recorder import RecordingBoard
from ..diagnosis.recording_file import Recording
from ..diagnosis.replay import ReplayBoard
from ..engines import BoardEngine, SoftwareEngine
from ..engines.stages import DTYPES, as_kind
from ..errors import (
    BoardBusyError,
    BoardError,
    BoardTakenError,
    ClosedError,
    DeadlineError,
    ForeignBitstreamError,
    InputError,
    UnsupportedNetworkError,
)
from ..faults import FaultPlan
from ..networks.rows import compile_layers
from ..reliability.answers import Answers, differences
from .watched import WatchedBoard

__all__ = ["FamilyContract"]

_PATIENCE = 20.0  # seconds of this machine for what the emulated clock calls minutes
_NOTICED = ("hang", "lost done", "early done", "done without data", "bus error", "reprogrammed")


class _Gone(Exception):
    """Nothing that a driver could expect."""


class FamilyContract:
    """What every family must keep. A subclass in your tests is a test class of its own:

        class TestMine(FamilyContract):
            @pytest.fixture
            def overlay(self): return load_overlay("overlays/mine")

            @pytest.fixture
            def network(self): return load_network("networks/one")

            @pytest.fixture
            def other(self): return load_network("networks/two")

            @pytest.fixture
            def refused(self): ...

            def reference(self, network, values): ...

    Fixtures
    --------
    overlay : Overlay
    network, other : Network
        Two that it computes, with different answers to the same inputs.
    refused : Network
        One that it does not compute.

    Attributes
    ----------
    batches : tuple of int
        Batch sizes of the comparison with the reference; those beyond `capacity` are left out.
    conservative : tuple of bool
        Modes of the driver that are tested.
    """

    batches: tuple[int, ...] = (1, 2, 7, 33)
    conservative: tuple[bool, ...] = (False, True)

    # -- to be overridden --------------------------------------------------------------------------------

    @pytest.fixture
    def overlay(self) -> Overlay:
        """The overlay whose kind is tested."""
        pytest.fail("override the fixture 'overlay'")

    @pytest.fixture
    def network(self) -> Network:
        """A network that it computes."""
        pytest.fail("override the fixture 'network'")

    @pytest.fixture
    def other(self) -> Network:
        """Another network that it computes."""
        pytest.fail("override the fixture 'other'")

    @pytest.fixture
    def refused(self) -> Network:
        """A network that it does not compute."""
        pytest.fail("override the fixture 'refused'")

    def reference(self, network: Network, values: np.ndarray) -> np.ndarray:
        """What `finish` must give for `values`, which `put` takes.

        By default the kernels of the layers say it. Better is a function that shares no code with them, nor with
        driver and twin, and is written from the circuit's description.
        """
        split = driver_class(self._overlay.kind).split(network, self._overlay)
        first = len(split.before)
        signal = network.signals[first]
        if signal.coding == "binary":
            values = values[:, : -(-getattr(split.logic[0], "inputs", signal.values) // 8)]
        for row in compile_layers(split.logic, network.signals[first:], first):
            values = row.kernel.run(values)
        if network.signals[first + len(split.logic)].coding != "binary":
            return values
        words = np.zeros((len(values), 8), np.uint8)
        words[:, : values.shape[1]] = values
        return words.view(np.uint64).reshape(-1)

    def inputs(self, network: Network, port: Port, pictures: int, seed: int) -> np.ndarray:
        """Random inputs, (pictures, *port.shape) of port.dtype."""
        rng = np.random.RandomState(seed)
        return self._as_inputs(network, port, lambda shape, most: rng.randint(0, most + 1, shape), pictures)

    def worst(self, network: Network, port: Port) -> np.ndarray:
        """Inputs at the ends of what is allowed: nothing, all, and two patterns of both."""
        def patterns(shape: tuple[int, ...], most: int) -> np.ndarray:
            found = np.zeros(shape, np.int64)
            found[1] = most
            flat = found.reshape(len(found), -1)
            flat[2, ::2] = most
            flat[3, flat.shape[1] // 2 :] = most
            return found

        return self._as_inputs(network, port, patterns, 4)

    # -- what a family is --------------------------------------------------------------------------------

    def test_the_kind_is_registered_with_a_driver_and_a_twin_that_lack_nothing(self, overlay: Overlay) -> None:
        assert overlay.kind in kinds()
        assert driver_class(overlay.kind).kind == overlay.kind
        assert twin_class(overlay.kind) is twin_class(overlay.kind)

    def test_the_split_has_every_layer_once_and_in_order(self, overlay: Overlay, network: Network) -> None:
        for conservative in (False, True):
            split = driver_class(overlay.kind).split(network, overlay, conservative)
            assert split.logic
            found = (*split.before, *split.logic, *split.after)
            assert len(found) == len(network.layers)
            assert all(one is other for one, other in zip(found, network.layers))

    def test_a_network_that_it_does_not_compute_is_refused_before_the_board_is_touched(
        self, overlay: Overlay, refused: Network
    ) -> None:
        with pytest.raises(UnsupportedNetworkError):
            driver_class(overlay.kind).split(refused, overlay)
        board = WatchedBoard()
        driver = driver_class(overlay.kind)(board, overlay)
        with pytest.raises(UnsupportedNetworkError):
            driver.load(refused)
        assert board.loaded is None and board.owner is None and not board.buffers and driver.network is None

    def test_making_a_driver_touches_nothing(self, overlay: Overlay) -> None:
        board = WatchedBoard()
        driver = driver_class(overlay.kind)(board, overlay)
        assert board.loaded is None and board.owner is None and not board.buffers
        assert driver.network is None and driver.board is board and driver.overlay is overlay
        driver.close()

    def test_the_ports_are_those_of_the_network(self, made: Callable[..., Driver], network: Network) -> None:
        driver = made(network)
        split = driver.split(network, driver.overlay)
        arriving = network.signals[len(split.before)]
        given = network.signals[len(split.before) + len(split.logic)]
        port = driver.input
        assert port.kind in ("bits", "pixels", "codes") and isinstance(port.dtype, np.dtype)
        if port.kind == "bits":
            assert len(port.shape) == 1 and 8 * port.shape[0] >= arriving.values
        else:
            assert port.shape == arriving.shape
        assert driver.output.kind == as_kind(given)
        assert driver.output.dtype == np.dtype(DTYPES[driver.output.kind])
        assert driver.output.shape == (() if driver.output.kind == "words" else given.shape)
        assert driver.capacity >= 1

    # -- answers -----------------------------------------------------------------------------------------

    def test_answers_are_the_references(self, overlay: Overlay, network: Network) -> None:
        for conservative in self.conservative:
            driver = driver_class(overlay.kind)(WatchedBoard(), overlay, conservative)
            driver.load(network)
            for seed, pictures in enumerate(self._sizes(driver)):
                self._check(driver, network, self.inputs(network, driver.input, pictures, seed))
            self._check(driver, network, self.worst(network, driver.input)[: driver.capacity])
            driver.close()

    def test_inputs_need_not_be_contiguous(self, made: Callable[..., Driver], network: Network) -> None:
        driver = made(network)
        if driver.capacity < 2:
            return
        wide = self.inputs(network, driver.input, 4, 1)
        self._check(driver, network, wide[::2])
        self._check(driver, network, np.asfortranarray(wide[:2]))

    def test_a_room_is_as_good_as_a_put(self, made: Callable[..., Driver], network: Network) -> None:
        driver = made(network)
        values = self.inputs(network, driver.input, 1, 2)
        room = driver.room(1)
        if room is not None:
            room[...] = values
            driver.start(1)
            assert np.array_equal(driver.finish(), self.reference(network, values))

    def test_an_answer_stays_until_the_next_start(self, made: Callable[..., Driver], network: Network) -> None:
        driver = made(network)
        values = self.inputs(network, driver.input, 1, 3)
        found = self._run(driver, values)
        expected = self.reference(network, values)
        driver.put(self.inputs(network, driver.input, 1, 4))
        assert np.array_equal(found, expected)

    def test_another_network_takes_its_place_and_gives_it_back(
        self, made: Callable[..., Driver], network: Network, other: Network
    ) -> None:
        driver = made(network)
        values = self.inputs(network, driver.input, 1, 5)
        first = self._run(driver, values).copy()
        driver.load(other)
        assert driver.network is other
        self._check(driver, other, self.inputs(other, driver.input, 1, 5))
        driver.load(network)
        assert np.array_equal(self._run(driver, values), first)

    def test_board_and_processor_agree_on_pictures(self, overlay: Overlay, network: Network) -> None:
        if network.input.encoding.kind == "codes":
            pytest.skip("this network takes no pictures")
        pictures = np.random.RandomState(6).randint(0, 256, (3, network.input.pixels)).astype(np.uint8)
        with BoardEngine(WatchedBoard(), [overlay]) as board, SoftwareEngine() as software:
            board.load(network)
            software.load(network)
            one, another = board.run(pictures), software.run(pictures)
        assert not differences(network, Answers.of(pictures, another), Answers.of(pictures, one))

    def test_the_times_are_those_of_the_run(self, made: Callable[..., Driver], network: Network) -> None:
        driver = made(network)
        pictures = self._sizes(driver)[-1]
        self._run(driver, self.inputs(network, driver.input, pictures, 7))
        timing = driver.timing
        assert timing["pictures"] == pictures and timing["run"] > 0 and timing["transfer"] >= 0 and timing["modelled"]
        assert 0 < driver.expected_seconds(1) <= driver.expected_seconds(pictures)
        layers = driver.layers()
        for layer in layers:
            assert isinstance(layer, LayerProfile) and layer.pictures == pictures and layer.seconds >= 0
            assert 0 <= layer.layer < len(network.layers)
        assert sum(layer.seconds for layer in layers) <= 1.001 * timing["run"]

    def test_a_recording_of_its_traffic_can_be_replayed(self, overlay: Overlay, network: Network) -> None:
        def trip(board: Any) -> np.ndarray:
            driver = driver_class(overlay.kind)(board, overlay)
            driver.load(network)
            found = self._run(driver, self.inputs(network, driver.input, 1, 8)).copy()
            driver.close()
            return found

        recorder = RecordingBoard(WatchedBoard())
        expected = trip(recorder)
        header = {"board": "watched", "emulated": True, "windows": recorder.windows}
        replayed = ReplayBoard(Recording(header, b"", recorder.events))
        assert np.array_equal(trip(replayed), expected)
        replayed.finish()

    # -- illegal requests --------------------------------------------------------------------------------

    def test_nothing_runs_before_a_network_is_configured(self, overlay: Overlay) -> None:
        driver = driver_class(overlay.kind)(WatchedBoard(), overlay)
        with pytest.raises(BoardError):
            driver.start(1)
        with pytest.raises(BoardError):
            driver.finish()
        driver.close()

    def test_more_pictures_than_fit_are_refused(self, made: Callable[..., Driver], network: Network) -> None:
        driver = made(network)
        port = driver.input
        many = np.broadcast_to(np.zeros((), port.dtype), (driver.capacity + 1, *port.shape))
        with pytest.raises(InputError):
            driver.put(many)
        with pytest.raises(InputError):
            driver.put(many[:0])
        for pictures in (0, -1, driver.capacity + 1):
            with pytest.raises(InputError):
                driver.start(pictures)
        self._check(driver, network, self.inputs(network, port, 1, 9))

    def test_inputs_of_another_shape_or_dtype_are_refused(
        self, made: Callable[..., Driver], network: Network
    ) -> None:
        driver = made(network)
        values = self.inputs(network, driver.input, 1, 10)
        wrong: list[Any] = [values.astype(np.int64), values.astype(np.float32), values[..., None], values[0],
                            np.concatenate([values, values], axis=-1), values.tolist(), None]
        for bad in wrong:
            with pytest.raises(InputError):
                driver.put(bad)
        self._check(driver, network, values)

    def test_a_start_without_inputs_is_refused(self, made: Callable[..., Driver], network: Network) -> None:
        driver = made(network)
        with pytest.raises(InputError):
            driver.start(1)
        driver.put(self.inputs(network, driver.input, 1, 11))
        if driver.capacity > 1:
            with pytest.raises(InputError):
                driver.start(driver.capacity)

    def test_a_finish_without_a_start_is_refused(self, made: Callable[..., Driver], network: Network) -> None:
        driver = made(network)
        with pytest.raises(BoardError):
            driver.finish()
        self._run(driver, self.inputs(network, driver.input, 1, 12))
        with pytest.raises(BoardError):
            driver.finish()

    def test_nothing_else_is_done_while_a_run_is_in_flight(
        self, made: Callable[..., Driver], network: Network
    ) -> None:
        driver = made(network)
        values = self.inputs(network, driver.input, 1, 13)
        driver.put(values)
        driver.start(1)
        for illegal in (lambda: driver.start(1), lambda: driver.put(values), lambda: driver.load(network),
                        driver.free):
            with pytest.raises(BoardBusyError):
                illegal()
        assert np.array_equal(driver.finish(), self.reference(network, values))

    def test_nothing_is_done_after_close(self, made: Callable[..., Driver], network: Network) -> None:
        driver = made(network)
        values = self.inputs(network, driver.input, 1, 14)
        self._run(driver, values)
        driver.close()
        assert driver.network is None
        for illegal in (lambda: driver.load(network), lambda: driver.put(values), lambda: driver.start(1),
                        driver.finish):
            with pytest.raises(ClosedError):
                illegal()
        driver.free()
        driver.cancel()
        driver.close()
        self._nothing_left(driver)

    # -- others on the board -----------------------------------------------------------------------------

    def test_whoever_lost_the_board_is_told_and_takes_nothing_with_him(
        self, made: Callable[..., Driver], network: Network, other: Network
    ) -> None:
        driver = made(network)
        driver.put(self.inputs(network, driver.input, 1, 15))
        thief = driver_class(self._overlay.kind)(driver.board, self._overlay)
        thief.load(other)
        with pytest.raises(BoardTakenError):
            driver.start(1)
        driver.close()
        assert driver.board.owner is thief
        self._check(thief, other, self.inputs(other, thief.input, 1, 16))
        thief.close()
        self._nothing_left(thief)

    def test_logic_that_was_configured_anew_is_noticed(self, made: Callable[..., Driver], network: Network) -> None:
        driver = made(network)
        values = self.inputs(network, driver.input, 1, 17)
        driver.put(values)
        assert not driver.displaced
        driver.board.reset()
        assert driver.displaced
        with pytest.raises(ForeignBitstreamError):
            driver.start(1)
        driver.load(network)
        self._check(driver, network, values)

    # -- what goes wrong ---------------------------------------------------------------------------------

    def test_a_hang_ends_at_the_deadline_and_is_recovered_from(
        self, overlay: Overlay, network: Network
    ) -> None:
        for timeout in (None, 0.25):
            driver, plan = self._faulty(overlay, network, "hang")
            board = driver.board
            values = self.inputs(network, driver.input, 1, 18)
            driver.put(values)
            plan.active = True
            moment = board.clock.now()
            with pytest.raises(DeadlineError):
                _in_time(lambda: (driver.start(1), driver.finish(timeout)))  # noqa: B023
            limits = driver.limits
            allowed = limits.margin + limits.factor * driver.expected_seconds(1) if timeout is None else timeout
            assert board.clock.now() - moment < 2 * allowed + 1
            plan.active = False
            self._recovered(driver, network, values)

    def test_a_hang_while_a_network_is_written_ends_too(self, overlay: Overlay, network: Network) -> None:
        board = WatchedBoard(faults=FaultPlan(rate=1.0, kinds=["hang"]))
        driver = driver_class(overlay.kind)(board, overlay)
        try:
            _in_time(lambda: driver.load(network))
        except DeadlineError:
            assert driver.network is None
        assert board.faults is not None
        board.faults.active = False
        self._recovered(driver, network, self.inputs(network, driver.input, 1, 19))

    def test_cancel_from_another_thread_ends_a_wait(self, overlay: Overlay, network: Network) -> None:
        driver, plan = self._faulty(overlay, network, "hang", clock=RealClock())
        driver.put(self.inputs(network, driver.input, 1, 20))
        plan.active = True
        driver.start(1)
        thread = threading.Timer(0.2, driver.cancel)
        thread.start()
        begun = perf_counter()
        try:
            with pytest.raises(ClosedError):
                driver.finish(12.0)
        finally:
            thread.join()
        assert perf_counter() - begun < 6
        driver.board.reset()
        driver.close()
        self._nothing_left(driver)

    @pytest.mark.parametrize("kind", _NOTICED)
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_what_goes_wrong_is_noticed_or_does_no_harm_and_is_recovered_from(
        self, overlay: Overlay, network: Network, kind: str, seed: int
    ) -> None:
        driver, plan = self._faulty(overlay, network, kind, seed)
        driver.limits = Limits(sentinels=True)
        values = self.inputs(network, driver.input, 1, 21)
        driver.put(values)
        plan.active = True
        found: Any = None
        try:
            driver.start(1)
            found = _in_time(driver.finish)
        except BoardError:
            pass
        assert found is None or np.array_equal(found, self.reference(network, values))
        assert plan.counts[kind]
        plan.active = False
        self._recovered(driver, network, values)

    @pytest.mark.parametrize("error", [MemoryError, OSError, BoardError, KeyboardInterrupt, _Gone])
    def test_a_refused_allocation_leaves_nothing_behind(
        self, overlay: Overlay, network: Network, error: type[BaseException]
    ) -> None:
        for wanted in range(100):
            board, counted = WatchedBoard(), iter(range(100))

            def refuse() -> None:
                if next(counted) == wanted:  # noqa: B023
                    raise error("no memory")

            board.refuse = refuse
            driver = driver_class(overlay.kind)(board, overlay)
            try:
                driver.load(network)
                self._run(driver, self.inputs(network, driver.input, 1, 22))
            except error:
                driver.close()
                self._nothing_left(driver)
                board.refuse = None
                again = driver_class(overlay.kind)(board, overlay)
                again.load(network)
                self._check(again, network, self.inputs(network, again.input, 1, 22))
                again.close()
                self._nothing_left(again)
            else:
                driver.close()
                break
        assert wanted, "this driver allocates nothing"
        self._nothing_left(driver)

    def test_nothing_is_left_behind(self, made: Callable[..., Driver], network: Network, other: Network) -> None:
        driver = made(network)
        board = driver.board
        for seed, pictures in enumerate(self._sizes(driver)):
            self._run(driver, self.inputs(network, driver.input, pictures, seed))
        driver.free()
        assert board.held == 0 and board.owner is driver and driver.network is None  # type: ignore[attr-defined]
        with pytest.raises(BoardError):
            driver.start(1)
        for net in (other, network):
            driver.load(net)
            self._check(driver, net, self.inputs(net, driver.input, 1, 23))
        driver.close()
        self._nothing_left(driver)

    def test_a_close_with_a_run_in_flight_leaves_nothing_behind(
        self, made: Callable[..., Driver], network: Network
    ) -> None:
        driver = made(network)
        driver.put(self.inputs(network, driver.input, 1, 24))
        driver.start(1)
        driver.close()
        self._nothing_left(driver)

    def test_a_close_after_a_hang_gives_the_board_up(self, overlay: Overlay, network: Network) -> None:
        driver, plan = self._faulty(overlay, network, "hang")
        board = driver.board
        values = self.inputs(network, driver.input, 1, 25)
        driver.put(values)
        plan.active = True
        driver.start(1)
        _in_time(driver.close)
        plan.active = False
        assert isinstance(board, WatchedBoard) and board.owner is None and board.in_flight is None
        assert sum(buffer.nbytes for buffer in board.buffers if not buffer.closed) == board.quarantined
        again = driver_class(overlay.kind)(board, overlay)
        again.load(network)  # configures the logic, which ends the run
        assert board.quarantined == 0
        self._check(again, network, values)
        again.close()
        self._nothing_left(again)

    # -- inside ------------------------------------------------------------------------------------------

    @pytest.fixture(autouse=True)
    def _remember(self, overlay: Overlay) -> None:
        self._overlay = overlay

    @pytest.fixture
    def made(self, overlay: Overlay) -> Callable[..., Driver]:
        """A driver on a board of its own, configured for a network."""
        def make(network: Network) -> Driver:
            driver = driver_class(overlay.kind)(WatchedBoard(), overlay)
            driver.load(network)
            assert driver.network is network and driver.board.owner is driver and not driver.displaced
            return driver

        return make

    def _sizes(self, driver: Driver) -> list[int]:
        return [pictures for pictures in self.batches if pictures <= driver.capacity]

    def _run(self, driver: Driver, values: np.ndarray) -> np.ndarray:
        driver.put(values)
        driver.start(len(values))
        found = driver.finish()
        assert found.shape == (len(values), *driver.output.shape) and found.dtype == driver.output.dtype
        return found

    def _check(self, driver: Driver, network: Network, values: np.ndarray) -> None:
        found, expected = self._run(driver, values), self.reference(network, values)
        assert expected.shape == found.shape
        assert np.array_equal(found, expected)

    def _faulty(
        self, overlay: Overlay, network: Network, kind: str, seed: int = 0, **options: Any
    ) -> tuple[Driver, FaultPlan]:
        """A configured driver, and the plan that makes everything go wrong once it is made active."""
        plan = FaultPlan(seed, 1.0, [kind])
        plan.active = False
        driver = driver_class(overlay.kind)(WatchedBoard(faults=plan, **options), overlay)
        driver.load(network)
        return driver, plan

    def _recovered(self, driver: Driver, network: Network, values: np.ndarray) -> None:
        """As an engine does it: reset, configure, right answers; and nothing is left."""
        driver.board.reset()
        driver.load(network)
        self._check(driver, network, values)
        driver.close()
        self._nothing_left(driver)

    @staticmethod
    def _nothing_left(driver: Driver) -> None:
        board = driver.board
        assert isinstance(board, WatchedBoard)
        assert board.held == 0, f"{board.held} of {len(board.buffers)} buffers are not closed"
        assert board.owner is None

    def _as_inputs(
        self, network: Network, port: Port, draw: Callable[[tuple[int, ...], int], np.ndarray], pictures: int
    ) -> np.ndarray:
        split = driver_class(self._overlay.kind).split(network, self._overlay)
        signal = network.signals[len(split.before)]
        if port.kind != "bits":
            return draw((pictures, *port.shape), int(signal.largest)).astype(port.dtype)
        packed = np.packbits(draw((pictures, signal.values), 1).astype(np.uint8), axis=1, bitorder="little")
        values = np.zeros((pictures, *port.shape), port.dtype)
        values[:, : packed.shape[1]] = packed
        return values


def _in_time(work: Callable[[], Any]) -> Any:
    """What `work` gives; a failure where it does not end in `_PATIENCE` seconds."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append((work(), None))
        except BaseException as error:
            found.append((None, error))

    thread = threading.Thread(target=run, daemon=True)  # one that never ends must not keep pytest
    thread.start()
    thread.join(_PATIENCE)
    if not found:
        pytest.fail(f"this did not end within {_PATIENCE:g} s, whatever the emulated clock says")
    value, error = found[0]
    if error is not None:
        raise error
    return value
