"""Reading of `.npy` files that nobody vouches for: no pickle, and nothing allocated before it is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import numpy as np

from .fields import fail

__all__ = ["read_array"]


def read_array(
    folder: Path, name: str, dtypes: Sequence[str], shape: Sequence[int | None], source: str, where: str
) -> np.ndarray:
    """The `.npy` file `name` in `folder`, checked before anything is allocated, and read-only.

    Parameters
    ----------
    dtypes
        Names of the dtypes that are allowed (``uint8``).
    shape
        Expected shape; None stands for any length from 1.

    Raises
    ------
    DescriptorError
        Missing, not `.npy`, objects inside, wrong dtype or shape, Fortran order, truncated or too long.
    """
    path = folder / name
    try:
        if not path.is_file():
            raise _BadArray("is not there: expected a file {}".format(path))
        with path.open("rb") as file:
            found, dtype = _checked_header(file, path.stat().st_size, dtypes, shape)
            data = file.read()
    except _BadArray as error:
        problem = str(error)
    except OSError as error:
        problem = "cannot be read: {}".format(error.strerror or error)
    except Exception as error:  # numpy's header parser lets everything through that literal_eval may raise
        problem = "is no .npy file: {}".format(error)
    else:
        return np.frombuffer(data, dtype).reshape(found)  # a view of bytes, hence read-only
    fail(source, where, "{} {}".format(name, problem))
    return None


class _BadArray(Exception):
    """What is wrong with an array file, as the end of a sentence."""


def _checked_header(
    file: Any, size: int, dtypes: Sequence[str], shape: Sequence[int | None]
) -> tuple[tuple[int, ...], np.dtype]:
    found, fortran, dtype = _header(file)
    if dtype.hasobject:
        raise _BadArray("has Python objects inside: expected plain {}".format(" or ".join(dtypes)))
    if dtype.name not in dtypes or not dtype.isnative:
        raise _BadArray("has dtype {}: expected {}".format(dtype.str, " or ".join(dtypes)))
    same = len(found) == len(shape)
    if not same or any(n < 1 if s is None else n != s for n, s in zip(found, shape)):
        expected = ", ".join("n" if s is None else str(s) for s in shape)
        raise _BadArray("has shape {}: expected ({})".format(tuple(found), expected))
    if fortran and len(found) > 1:
        raise _BadArray("is in Fortran order: expected C order (np.ascontiguousarray)")
    count = dtype.itemsize
    for length in found:
        count *= int(length)
    if size - file.tell() != count:
        raise _BadArray("has {} bytes of data: expected {}".format(size - file.tell(), count))
    return found, dtype


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError("version {}.{} of the format is not for plain arrays".format(*version))
