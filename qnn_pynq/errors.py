"""The errors of this library: one base, and beside it the builtin that a user would catch."""
from __future__ import annotations

__all__ = [
    "BoardBusyError",
    "BoardError",
    "BoardTakenError",
    "BoardUnavailableError",
    "BusError",
    "ClosedError",
    "ConversionError",
    "DeadlineError",
    "DescriptorError",
    "DigestError",
    "FetchError",
    "InputError",
    "KernelError",
    "MissingDependencyError",
    "NotFoundError",
    "OverlayMissingError",
    "QnnError",
    "QnnWarning",
    "ScoresUnavailableError",
    "UnsupportedNetworkError",
]


class QnnError(Exception):
    """Base of every error that this library raises on purpose."""


class QnnWarning(UserWarning):
    """Base of the warnings of this library."""


class InputError(QnnError, ValueError):
    """A picture, array or label that cannot be classified."""


class KernelError(QnnError, ValueError):
    """An array that a C kernel does not take: dtype, shape, stride or alignment."""


class DescriptorError(QnnError, ValueError):
    """A network or overlay descriptor, or a file it names, that breaks the format."""


class ConversionError(QnnError, ValueError):
    """A foreign parameter set that cannot be turned into a network."""


class UnsupportedNetworkError(QnnError, ValueError):
    """A network that the overlay cannot compute."""


class NotFoundError(QnnError, LookupError):
    """No network or overlay of that name."""


class OverlayMissingError(QnnError, FileNotFoundError):
    """A bitstream or .hwh that is not on this machine yet."""


class FetchError(QnnError, OSError):
    """A download, or a write into the cache or of a network, that failed."""


class DigestError(FetchError):
    """A file whose sha256 is not the one in the descriptor."""


class MissingDependencyError(QnnError, ImportError):
    """An optional package that this call needs."""


class ScoresUnavailableError(QnnError, AttributeError):
    """Probabilities or sums asked of an engine that gives bits only."""


class BoardError(QnnError, RuntimeError):
    """A board that cannot do what was asked."""


class BoardUnavailableError(BoardError):
    """No usable board, and the reason."""


class BoardBusyError(BoardError):
    """The board belongs to another process or classifier, or a run is in flight."""


class BoardTakenError(BoardError):
    """Another classifier has taken this board over."""


class BusError(BoardError):
    """The logic accessed an address outside every live buffer."""


class DeadlineError(QnnError, TimeoutError):
    """The hardware did not answer in time."""


class ClosedError(QnnError, ValueError):
    """Use after close()."""
