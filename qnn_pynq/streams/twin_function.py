"""The function of a twin: called with one sample, its results in the words that the circuit would write."""

from __future__ import annotations

from typing import Any, Callable, Mapping

import numpy as np

from ..errors import InputError
from ..kernels.fixed import to_fixed
from .description import Description, Stream
from .types import castable

__all__ = ["call_function", "output_words"]


def call_function(function: Callable[..., Any] | None, description: Description,
                  arguments: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the function says about one sample, by output.

    Raises
    ------
    InputError
        No function, one that raised, or results that are not one for each output.
    """
    names = [stream.name for stream in description.outputs]
    if function is None:
        raise InputError(f"{description.name}: the emulated board knows no function for this circuit; give it one, "
                         "StreamOverlay(..., twin=function)")
    try:
        found = function(*arguments.values())
    except Exception as error:
        raise InputError(f"the twin's function of {description.name} raised {type(error).__name__}: {error}") from error
    if isinstance(found, Mapping):
        results = dict(found)
    elif len(names) == 1:
        results = {names[0]: found}
    elif isinstance(found, tuple) and len(found) == len(names):
        results = dict(zip(names, found))
    else:
        results = {}
    if set(results) != set(names):
        raise InputError("the twin's function of {} gave {}: expected {}".format(
            description.name, type(found).__name__ if not results else ", ".join(map(str, results)),
            "one array" if len(names) == 1 else "a tuple or a dict of " + ", ".join(names)))
    return results


def output_words(stream: Stream, value: Any) -> np.ndarray:
    """One sample of an output as the circuit's variable holds it: rounded and bent by the type's own modes.

    Raises
    ------
    InputError
        Of another shape, or no numbers.
    """
    kind = stream.type
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever its __array__ raises
        raise InputError(f"the twin's function gave no array in {stream.name}: {error}") from error
    if array.shape != stream.shape:
        raise InputError(f"the twin's function gave {stream.name} of shape {array.shape}: expected {stream.shape}")
    try:
        array = castable(array)
    except InputError as error:
        raise InputError(f"the twin's function gave {stream.name} of {error}") from error
    if kind.kind == "float":
        with np.errstate(over="ignore"):
            return array.astype(kind.container)
    fraction = 0 if stream.raw else kind.fraction
    words, refused = to_fixed(array, kind.width, fraction, kind.signed, kind.rounding, kind.overflow)
    if refused >= 0:
        raise InputError(f"the twin's function gave {array.reshape(-1)[refused]} in {stream.name}: expected finite "
                         "numbers")
    return words
