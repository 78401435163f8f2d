"""The contract of a driver: one network at a time on one overlay, through the board contract only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, TypedDict

import numpy as np

from .board import Board
from .layer import Layer
from .network import Network
from .overlay import Overlay

__all__ = ["Driver", "LayerPlan", "LayerProfile", "Limits", "Port", "Split", "Timing"]


class Limits(NamedTuple):
    """When a run of the circuit is an anomaly.

    Attributes
    ----------
    margin, factor : float
        It may last `margin` seconds and `factor` times what the cycle model says.
    earliest : float
        Done in less than this part of the least time that the circuit can take is too soon; 0 looks at none.
    sentinels : bool
        Look whether each run wrote its results also where that costs something: layer by layer, a flush and two
        invalidates of the maps of each run. Words of dense networks are always looked at.
    """

    margin: float = 1.0
    factor: float = 20.0
    earliest: float = 1.0
    sentinels: bool = False


class LayerProfile(NamedTuple):
    """What one layer took in the last run.

    Attributes
    ----------
    layer : int
        Index in `network.layers`.
    name : str
    runs : int
        Starts of the circuit for one picture, each behind a load of weights.
    macs : int
        Multiply-accumulates of one picture.
    load_cycles, run_cycles : int
        Of the model: lower bounds for all loads, and for all runs on one picture.
    seconds : float
        Of the circuit for the whole batch, modelled or by a clock.
    pictures : int
    """

    layer: int
    name: str
    runs: int
    macs: int
    load_cycles: int
    run_cycles: int
    seconds: float
    pictures: int


class LayerPlan(NamedTuple):
    """What one layer costs on an overlay by the model, before anything runs; of one picture in a large batch.

    Attributes
    ----------
    layer : int
        Index in `network.layers`.
    name : str
    cycles : float
    share : float
        Of the products that the circuit could compute in these cycles.
    weight_words : int
        Of the memory of an element that holds them.
    load_bytes, store_bytes : float
        From and to memory.
    bound : {"array", "results", "memory"}
        What the cycles come from.
    """

    layer: int
    name: str
    cycles: float
    share: float
    weight_words: int
    load_bytes: float
    store_bytes: float
    bound: str


class Split(NamedTuple):
    """Which layers of a network run where: on the processor, on the logic, and on the processor again."""

    before: tuple[Layer, ...]
    logic: tuple[Layer, ...]
    after: tuple[Layer, ...]


class Port(NamedTuple):
    """What a driver takes or gives for one picture.

    Attributes
    ----------
    kind : str
        Taken: "bits" (packed, little-endian), "pixels" or "codes". Given: "words" (uint64, bit j: output neuron j
        fired), "codes", "sums" or "scores".
    shape : tuple of int
        Of one picture; () for words.
    dtype : numpy dtype
    """

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype


class Timing(TypedDict):
    """Seconds of the accelerator and of the host.

    "configure" and "run" (last run) are the accelerator's; "modelled": whether they come from the cycle model instead
    of a clock; "pictures" (last run); "transfer" are the host's: flush, invalidate, moves between layers (last run).
    """

    configure: float
    run: float
    transfer: float
    pictures: int
    modelled: bool


class Driver(ABC):
    """Knowledge of one overlay family.

    Parameters
    ----------
    board : Board
        Not touched before `load`.
    overlay : Overlay
    conservative : bool
        Use the published register sequence and nothing inferred; slower.

    Attributes
    ----------
    network : Network or None
        What is configured; None before `load`, after a failed one, after `free` and after `close`.
    timing : Timing
    limits : Limits
        Of the waits; may be replaced at any time.
    """

    kind = ""

    def __init__(self, board: Board, overlay: Overlay, conservative: bool = False) -> None:
        self.board = board
        self.overlay = overlay
        self.conservative = conservative
        self.network: Network | None = None
        self.limits = Limits()
        self.timing: Timing = {
            "configure": 0.0, "run": 0.0, "transfer": 0.0, "pictures": 0, "modelled": board.emulated,
        }

    # -- what it can do, without a board -----------------------------------------------------------------

    @classmethod
    @abstractmethod
    def split(cls, network: Network, overlay: Overlay, conservative: bool = False) -> Split:
        """Which layers the circuit takes; all that can be checked without touching the board is checked here.

        Raises
        ------
        UnsupportedNetworkError
            The overlay does not compute this network; names layer, field and value, and what the overlay has.
        """

    @classmethod
    def layer_plan(cls, network: Network, overlay: Overlay) -> tuple[LayerPlan, ...]:
        """What each layer on the circuit costs; empty where the family has no such plan. Errors as `split`."""
        return ()

    # -- sizes, once a network is configured -------------------------------------------------------------

    @property
    @abstractmethod
    def capacity(self) -> int:
        """Pictures of the largest chunk."""

    @property
    @abstractmethod
    def input(self) -> Port:
        """What `put` takes."""

    @property
    @abstractmethod
    def output(self) -> Port:
        """What `finish` gives."""

    @abstractmethod
    def expected_seconds(self, pictures: int) -> float:
        """Seconds that the cycle model gives a run of `pictures`."""

    # -- a network and its runs --------------------------------------------------------------------------

    @abstractmethod
    def load(self, network: Network, timeout: float | None = None) -> None:
        """Take the board, load the overlay if it is not there, write the weights.

        After a failure `network` is None, and `load` may be called again; where a run may still be in the
        circuit, after `board.reset()`.

        Raises
        ------
        UnsupportedNetworkError
            Before anything is touched.
        BoardBusyError
            A run is in flight.
        DeadlineError, StatusError
            `timeout` are seconds for all of it, by default so many as suit the circuit.
        """

    @abstractmethod
    def put(self, values: np.ndarray) -> None:
        """Inputs of the next run, (pictures, *input.shape) of `input.dtype`, from 1 to `capacity`, contiguous or not.

        What `finish` gave last stays as it is.

        Raises
        ------
        BoardBusyError
            A run is in flight.
        InputError
            Another number, shape or dtype, or values that the circuit does not take. Nothing was touched.
        """

    def room(self, pictures: int) -> np.ndarray | None:
        """Where the inputs of so many pictures lie, to be filled in place of a `put`; None where `put` packs them."""
        return None

    @abstractmethod
    def start(self, pictures: int) -> None:
        """Run the first `pictures` inputs.

        Raises
        ------
        BoardTakenError
            Another classifier holds the board.
        ForeignBitstreamError
            The logic was configured by somebody else since.
        BoardError
            Not configured, or broken off.
        BoardBusyError
            A run is in flight.
        InputError
            None or more than `capacity`, or more than were put.
        """

    @abstractmethod
    def finish(self, timeout: float | None = None) -> np.ndarray:
        """Wait for the run: (pictures, *output.shape) of `output.dtype`, valid until the next `start`.

        `timeout` are seconds for each wait on the circuit; host work in between does not count.

        Raises
        ------
        BoardError
            No run is in flight.
        DeadlineError, StatusError, EarlyDoneError, NoDataError, BusError
            The run is not to be trusted, and may still be in the circuit: it stays in flight until the board is
            reset, and what it may write to stays allocated.
        ClosedError
            `cancel` was called.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Let a wait in another thread end soon, with ClosedError; for a `close` that follows."""

    @property
    def displaced(self) -> bool:
        """Whether somebody configured the logic since `load`."""
        return False

    def layers(self) -> tuple[LayerProfile, ...]:
        """Per-layer profile of the last run; empty where the overlay runs all layers at once."""
        return ()

    @abstractmethod
    def free(self) -> None:
        """Give all buffers back until the next `load`; the board stays whose it is.

        Raises
        ------
        BoardBusyError
            A run is in flight.
        """

    @abstractmethod
    def close(self) -> None:
        """Give buffers and board up; idempotent, and never takes the board from another owner.

        A run in flight is waited for, until its deadline. What a circuit that still runs may write to goes to the
        board's quarantine.
        """
