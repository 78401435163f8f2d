"""The error tree: one base, and the builtin that a user would catch."""
from __future__ import annotations

import pytest

from qnn_pynq import errors

BUILTIN = {
    "InputError": ValueError,
    "KernelError": ValueError,
    "DescriptorError": ValueError,
    "ConversionError": ValueError,
    "UnsupportedNetworkError": ValueError,
    "NotFoundError": LookupError,
    "PluginError": ImportError,
    "OverlayMissingError": FileNotFoundError,
    "FetchError": OSError,
    "DigestError": OSError,
    "MissingDependencyError": ImportError,
    "ScoresUnavailableError": AttributeError,
    "BoardError": RuntimeError,
    "BoardUnavailableError": RuntimeError,
    "NotReadyError": RuntimeError,
    "BoardBusyError": RuntimeError,
    "BoardTakenError": RuntimeError,
    "BusError": RuntimeError,
    "DeadlineError": TimeoutError,
    "DmaDecodeError": RuntimeError,
    "DmaDescriptorDecodeError": RuntimeError,
    "DmaDescriptorError": RuntimeError,
    "DmaDescriptorSlaveError": RuntimeError,
    "DmaError": RuntimeError,
    "DmaInternalError": RuntimeError,
    "DmaPacketError": RuntimeError,
    "DmaSlaveError": RuntimeError,
    "ClosedError": ValueError,
    "AnomalyError": RuntimeError,
    "EarlyDoneError": RuntimeError,
    "NoDataError": RuntimeError,
    "StatusError": RuntimeError,
    "StrayRunError": RuntimeError,
    "WrongAnswerError": RuntimeError,
    "ForeignBitstreamError": RuntimeError,
    "AlarmError": RuntimeError,
    "AlarmDeadlineError": TimeoutError,
    "NotPicklableError": TypeError,
    "RecordingError": ValueError,
}


def test_the_table_covers_every_error() -> None:
    assert set(BUILTIN) == set(errors.__all__) - {"QnnError", "QnnWarning"}


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_every_error_is_also_the_builtin_that_a_user_would_catch(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, errors.QnnError)
    assert issubclass(error, BUILTIN[name])
    assert error.__doc__
    with pytest.raises(BUILTIN[name], match="told why"):
        raise error("told why")


def test_every_anomaly_has_a_name_of_its_own() -> None:
    found = [getattr(errors, name) for name in errors.__all__]
    anomalies = [kind for kind in found if issubclass(kind, errors.AnomalyError) and "Alarm" not in kind.__name__]
    kinds = [kind.kind for kind in anomalies if {kind, *kind.__bases__} & {errors.AnomalyError}]
    assert len(kinds) == len(set(kinds)) == 8
    assert {kind.kind for kind in anomalies} == set(kinds)  # what is more exact keeps the name of its base


def test_an_alarm_after_a_hang_is_caught_as_a_timeout() -> None:
    for caught in (errors.AlarmError, TimeoutError, errors.DeadlineError, errors.BoardError):
        assert issubclass(errors.AlarmDeadlineError, caught)
