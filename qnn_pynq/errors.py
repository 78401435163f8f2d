"""The errors of this library: one base, and beside it the builtin that a user would catch."""
from __future__ import annotations

__all__ = [
    "AlarmDeadlineError",
    "AlarmError",
    "AnomalyError",
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
    "DmaDecodeError",
    "DmaDescriptorDecodeError",
    "DmaDescriptorError",
    "DmaDescriptorSlaveError",
    "DmaError",
    "DmaInternalError",
    "DmaPacketError",
    "DmaSlaveError",
    "EarlyDoneError",
    "FetchError",
    "ForeignBitstreamError",
    "InputError",
    "KernelError",
    "MissingDependencyError",
    "NoDataError",
    "NotFoundError",
    "NotPicklableError",
    "NotReadyError",
    "OverlayMissingError",
    "PluginError",
    "QnnError",
    "QnnWarning",
    "RecordingError",
    "ScoresUnavailableError",
    "StatusError",
    "StrayRunError",
    "UnsupportedNetworkError",
    "WrongAnswerError",
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


class PluginError(QnnError, ImportError):
    """An overlay family or layer type that is registered, and does not keep its contract or cannot be imported."""


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


class NotReadyError(BoardError):
    """A run was refused because of what an earlier one left behind."""


class AnomalyError(BoardError):
    """Something that the hardware did wrong; `kind` names it, in counters and events too."""

    kind = "anomaly"


class DeadlineError(AnomalyError, TimeoutError):
    """The hardware did not answer in time."""

    kind = "deadline"


class EarlyDoneError(AnomalyError):
    """A run that was done sooner than the circuit can be."""

    kind = "early done"


class NoDataError(AnomalyError):
    """A run that was done, with results that were never written."""

    kind = "done without data"


class StatusError(AnomalyError):
    """A status register with bits that only a fault sets."""

    kind = "error bit"


class BusError(AnomalyError):
    """An access, of the processor or of the logic, to an address that nobody answers for."""

    kind = "bus error"


class StrayRunError(BoardBusyError, StatusError):
    """The circuit runs where it should be idle."""


class DmaError(StatusError):
    """A DMA channel halted with an error bit; only a reset makes it run again."""


class DmaInternalError(DmaError):
    """A transfer of no length, or a packet longer than the length register says."""


class DmaSlaveError(DmaError):
    """The memory answered with an error."""


class DmaDecodeError(DmaError, BusError):
    """An address that no memory answers for."""

    kind = "bus error"


class DmaDescriptorError(DmaError):
    """A descriptor that is complete already."""


class DmaDescriptorSlaveError(DmaError):
    """The memory answered with an error when a descriptor was read or written."""


class DmaDescriptorDecodeError(DmaError, BusError):
    """A descriptor at an address that no memory answers for."""

    kind = "bus error"


class DmaPacketError(DmaError):
    """TLAST at another place than the description says."""


class WrongAnswerError(AnomalyError):
    """An answer that is not the known one, or with which a second run does not agree."""

    kind = "wrong answer"


class ForeignBitstreamError(AnomalyError):
    """The logic was configured by somebody else since the weights were written."""

    kind = "foreign bitstream"


class AlarmError(BoardError):
    """Anomalies in a row that recovering did not end; its cause (`__cause__`) is the last one."""


class AlarmDeadlineError(AlarmError, DeadlineError):
    """An alarm after a deadline, so that who catches TimeoutError catches a persistent hang."""


class RecordingError(BoardError, ValueError):
    """A recording that is damaged, or that the driver's traffic does not follow."""


class ClosedError(QnnError, ValueError):
    """Use after close()."""


class NotPicklableError(QnnError, TypeError):
    """An object that holds hardware or a thread, and cannot be copied or sent to another process."""
