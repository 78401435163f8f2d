"""Which instruction sets were compiled in, which the processor has, and which one is used."""

from __future__ import annotations

import logging
import os

from ..errors import KernelError

try:
    from .._kernels import ffi, lib
except ImportError as error:  # a checkout without the extension, or a broken install
    raise ImportError(
        f"the C kernels of qnn_pynq cannot be loaded ({error}): install the package with pip, or run "
        "'python setup.py build_ext --inplace' in the checkout"
    ) from error

__all__ = ["active", "chosen", "ffi", "isa_active", "isa_built", "isa_supported", "lib", "set_isa"]

_log = logging.getLogger(__name__)

_BUILT = tuple(ffi.string(lib.qnn_isa_name(i)).decode("ascii") for i in range(lib.qnn_isa_count()))
chosen: list[int] = []  # number of the set in use; empty until first use


def isa_built() -> tuple[str, ...]:
    """Names of the instruction sets in this build, slowest first: scalar, avx2, avx512, neon."""
    return _BUILT


def isa_supported() -> tuple[str, ...]:
    """Names of those that this processor can run, slowest first."""
    return tuple(name for i, name in enumerate(_BUILT) if lib.qnn_isa_usable(i))


def _index(name: str, source: str) -> int:
    if name not in isa_supported():
        why = "which this processor lacks" if name in _BUILT else "which this build does not know"
        raise KernelError(
            "{} asks for the instruction set {!r}, {}: use one of {}".format(
                source, name, why, ", ".join(isa_supported())
            )
        )
    return _BUILT.index(name)


def set_isa(name: str | None) -> str:
    """Use one instruction set from now on; None: $QNN_PYNQ_ISA, else the fastest. Returns its name.

    Encoders and stacks that exist already keep theirs.

    Raises
    ------
    KernelError
        The name is unknown, or the processor cannot run it.
    """
    if name is not None:
        index = _index(name, "set_isa")
    elif os.environ.get("QNN_PYNQ_ISA"):
        index = _index(os.environ["QNN_PYNQ_ISA"], "$QNN_PYNQ_ISA")
    else:
        index = _BUILT.index(isa_supported()[-1])
    chosen[:] = [index]
    _log.debug("kernels use %s", _BUILT[index])
    return _BUILT[index]


def active() -> int:
    """Number of the active instruction set, for C calls."""
    if not chosen:
        set_isa(None)
    return chosen[0]


def isa_active() -> str:
    """Name of the instruction set in use; the first use reads $QNN_PYNQ_ISA."""
    return _BUILT[active()]
