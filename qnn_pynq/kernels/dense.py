"""Binarised dense networks: from pictures to bits, a whole stack and a whole batch in one C call, words to classes."""

from __future__ import annotations

import threading
from typing import Any, Callable, Sequence

import numpy as np

from ..errors import KernelError
from ._check import U8, integer, refuse, result, view
from ._isa import active, ffi, isa_active, lib

__all__ = ["DenseStack", "Encoder", "highest_class"]

_I32 = np.dtype(np.int32)
_U16 = np.dtype(np.uint16)
_U64 = np.dtype(np.uint64)
_INTP = np.dtype(np.intp)
_ALL = (1 << 64) - 1
_OUTPUTS = ("none", "binary", "ternary")  # C tells them apart by their place, the thresholds of a neuron
_TILE = 64  # pictures that share one pass over the weights (QNN_TILE in C)


def _one_of(value: Any, name: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise KernelError("{} is {!r}, expected one of {}".format(name, value, ", ".join(allowed)))
    return str(value)


def _thresholds(layer: Any, name: str, outputs: int, levels: int) -> Any:
    """int16 (outputs, levels), wrapped as the circuit does; None for a layer without thresholds."""
    if levels == 0:
        if layer.thresholds is not None:
            raise KernelError(f"{name} has output 'none' and thresholds, expected None")
        return None
    array = layer.thresholds
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        raise KernelError(
            f"{name} needs thresholds as an integer array, shape ({outputs}, {levels})"
        )
    if array.shape != (outputs, levels):
        raise KernelError(
            f"{name}: thresholds have shape {array.shape}, expected {(outputs, levels)}"
        )
    low = array.astype(np.int64, order="C") & 0xFFFF
    return low.astype(np.uint16).view(np.int16)


class Encoder:
    """Turns pictures into the bits of a first layer.

    Parameters
    ----------
    pixels : int
        Bytes of a picture.
    bits : int
        Bits of an encoded picture; those not named below are 0.
    threshold : int, optional
        Bit k = pixel[k] >= threshold for every pixel (0 to 256).
    index, thresholds : uint16 (n,), uint8 (n,), optional
        Instead: bit k = pixel[index[k]] >= thresholds[k], n <= bits.

    Raises
    ------
    KernelError
        Arguments that do not fit together.
    """

    def __init__(
        self,
        pixels: int,
        bits: int,
        threshold: int | None = None,
        index: np.ndarray | None = None,
        thresholds: np.ndarray | None = None,
    ) -> None:
        self.pixels = integer(pixels, "pixels", 1, 1 << 24)
        self.bits = integer(bits, "bits", 1, 1 << 24)
        at = levels = ffi.NULL
        if threshold is not None:
            if index is not None or thresholds is not None:
                raise KernelError("an encoder has either threshold or index and thresholds, not both")
            threshold = integer(threshold, "threshold", 0, 256)
            used = self.pixels
        else:
            if index is None or thresholds is None:
                raise KernelError("an encoder needs threshold, or index and thresholds")
            at = view(index, "index", _U16, (None,))
            levels = view(thresholds, "thresholds", U8, index.shape)
            used, threshold = len(index), 0
            if used and int(index.max()) >= self.pixels:
                raise KernelError(
                    f"index names pixel {int(index.max())}, expected below {self.pixels}"
                )
        if used > self.bits:
            raise KernelError(f"the encoding makes {used} bits, expected at most {self.bits}")
        self._c = lib.qnn_encoder_new(active(), self.pixels, self.bits, used, threshold, at, levels)
        if not self._c:
            raise MemoryError(f"no memory for an encoder of {self.bits} bits")
        self._c = ffi.gc(self._c, lib.qnn_encoder_free)

    def encode(self, pictures: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Encode pictures, uint8 (N, pixels), into out, uint8 (N, ceil(bits/8)), which is returned."""
        if (
            pictures.__class__ is not np.ndarray
            or pictures.dtype is not U8
            or pictures.ndim != 2
            or pictures.shape[1] != self.pixels
            or not pictures.flags.c_contiguous
        ):
            refuse(pictures, "pictures", U8, (None, self.pixels))
        shape = len(pictures), (self.bits + 7) // 8
        if out is None:
            out = np.empty(shape, U8)
        elif out.__class__ is not np.ndarray or out.dtype is not U8 or out.shape != shape or not out.flags.carray:
            refuse(out, "out", U8, shape, writable=True)
        if len(pictures):
            lib.qnn_encoder_run(self._c, ffi.from_buffer(pictures), len(pictures), ffi.from_buffer(out))
        return out


class DenseStack:
    """A chain of dense layers, repacked for the active instruction set, in C memory.

    Parameters
    ----------
    layers : sequence
        Objects with the attributes of a network's dense layer: inputs (1 to 32767), outputs, weights
        (uint8 (outputs, ceil(inputs/8)), bit 1 = +1), thresholds (integers (outputs, T) or None),
        weight_bits (1), input, accumulator, output. The first layer's input is binary, the last
        layer's output binary or none.
    encoder : Encoder, optional
        Makes the first layer's bits; needed by `run_pictures`.

    Notes
    -----
    A neuron fires where threshold < accumulator (strict), both as 16-bit two's complement. The
    accumulator is the number of agreeing bits ("popcount") or the signed sum ("sum"); ternary
    values are -1 + the number of thresholds fired. May be used from several threads at once.

    Raises
    ------
    KernelError
        A layer that does not fit its description or its neighbour.
    """

    def __init__(self, layers: Sequence[Any], encoder: Encoder | None = None) -> None:
        layers = tuple(layers)
        if not layers:
            raise KernelError("a stack has 0 layers, expected at least 1")
        self.isa = isa_active()
        self._encoder = encoder  # kept alive: the C stack points to it
        self._c = lib.qnn_stack_new(active(), len(layers))
        if not self._c:
            raise MemoryError(f"no memory for a stack of {len(layers)} layers")
        self._c = ffi.gc(self._c, lib.qnn_stack_free)
        previous: tuple[str, int | None] = ("binary", None)
        for number, layer in enumerate(layers):
            previous = self._add(number, layer, previous, number == len(layers) - 1)
        self.inputs = int(layers[0].inputs)
        self.outputs = int(layers[-1].outputs)
        self._row = (self.inputs + 7) // 8
        self._words = (self.outputs + 7) // 8
        self._sums_only = layers[-1].output == "none"
        self._pixels = -1
        if encoder is not None:
            if encoder.bits != self.inputs:
                raise KernelError(
                    f"the encoder makes {encoder.bits} bits, expected the first layer's {self.inputs}"
                )
            self._pixels = encoder.pixels
        if lib.qnn_stack_ready(self._c, ffi.NULL if encoder is None else encoder._c):
            raise MemoryError("no memory for the activations of the stack")

    def _add(
        self, number: int, layer: Any, previous: tuple[str, int | None], last: bool
    ) -> tuple[str, int | None]:
        name = f"layer {number}"
        inputs = integer(layer.inputs, name + ": inputs", 1, 32767)
        outputs = integer(layer.outputs, name + ": outputs", 1, (1 << 24))
        integer(getattr(layer, "weight_bits", 1), name + ": weight_bits", 1, 1)
        kind = _one_of(layer.input, name + ": input", ("binary", "ternary"))
        rule = _one_of(layer.accumulator, name + ": accumulator", ("popcount", "sum"))
        output = _one_of(
            layer.output, name + ": output", ("binary", "none") if last else ("binary", "ternary")
        )
        if kind != previous[0]:
            before = "the pictures are" if number == 0 else f"layer {number - 1} gives"
            raise KernelError(f"{name} takes {kind} inputs, but {before} {previous[0]}")
        if previous[1] is not None and inputs != previous[1]:
            raise KernelError(
                f"{name} has {inputs} inputs, expected the {previous[1]} outputs of layer {number - 1}"
            )
        if kind == "ternary" and rule == "popcount":
            raise KernelError(f"{name} counts bits of ternary inputs, expected accumulator 'sum'")
        levels = _OUTPUTS.index(output)
        weights = view(layer.weights, name + ": weights", U8, (outputs, (inputs + 7) // 8))
        thresholds = _thresholds(layer, name, outputs, levels)
        if lib.qnn_stack_layer(
            self._c,
            number,
            inputs,
            outputs,
            kind == "ternary",
            rule == "sum",
            levels,
            weights,
            ffi.NULL if thresholds is None else ffi.from_buffer(thresholds),
        ):
            raise MemoryError(f"no memory for {outputs} x {inputs} weights")
        return output, outputs

    @property
    def nbytes(self) -> int:
        """C memory of weights, thresholds and activations."""
        return int(lib.qnn_stack_bytes(self._c))

    def run(
        self,
        bits: np.ndarray,
        out: np.ndarray | None = None,
        sums: np.ndarray | None = None,
        threads: int = 1,
    ) -> np.ndarray:
        """Compute a batch from encoded inputs.

        Parameters
        ----------
        bits : uint8, (N, ceil(inputs/8))
            Bits beyond `inputs` are ignored.
        out : uint8, (N, ceil(outputs/8)), optional
            Output bits, bit j = neuron j fired, pad bits 0; not for a last layer with output "none".
        sums : int32, (N, outputs), optional
            The last layer's accumulators.
        threads : int
            Threads that share the batch (in steps of 64 pictures).

        Returns
        -------
        out, or sums where the last layer has no thresholds.
        """
        if (
            bits.__class__ is not np.ndarray
            or bits.dtype is not U8
            or bits.ndim != 2
            or bits.shape[1] != self._row
        ):
            refuse(bits, "bits", U8, (None, self._row))
        return self._call(lib.qnn_stack_run, bits, "bits", self._row, out, sums, threads)

    def run_pictures(
        self,
        pictures: np.ndarray,
        out: np.ndarray | None = None,
        sums: np.ndarray | None = None,
        threads: int = 1,
    ) -> np.ndarray:
        """Encode and compute a batch of pictures, uint8 (N, pixels); else as `run`."""
        pixels = self._pixels
        if (
            pictures.__class__ is not np.ndarray
            or pictures.dtype is not U8
            or pictures.ndim != 2
            or pictures.shape[1] != pixels
        ):
            if pixels < 0:
                raise KernelError(
                    "this stack has no encoder: build it with one, or use run with encoded bits"
                )
            refuse(pictures, "pictures", U8, (None, pixels))
        return self._call(lib.qnn_stack_run_pictures, pictures, "pictures", pixels, out, sums, threads)

    def bind(self, out: np.ndarray, sums: np.ndarray | None = None) -> Callable[[np.ndarray], None]:
        """A function of one picture that writes to these arrays: the shortest way for a batch of one.

        Parameters
        ----------
        out : uint8, (1, ceil(outputs/8))
        sums : int32, (1, outputs), optional

        Returns
        -------
        function of a picture: uint8, C order, any shape of `pixels` elements. It checks the picture,
        writes out (and sums), and returns None; the arrays were checked once, here.
        """
        pixels = self._pixels
        if pixels < 0:
            raise KernelError("this stack has no encoder: build it with one, or use run with encoded bits")
        if self._sums_only:
            raise KernelError("out is given, but the last layer has no thresholds: use run_pictures")
        refuse(out, "out", U8, (1, self._words), writable=True)
        if sums is not None:
            refuse(sums, "sums", _I32, (1, self.outputs), writable=True)
        stack, encoder, call, buffer, array = (
            self._c,
            self._encoder,
            lib.qnn_stack_run_pictures,
            ffi.from_buffer,
            np.ndarray,
        )
        to, raw = buffer(out), ffi.NULL if sums is None else buffer(sums)

        def single(picture: np.ndarray) -> None:
            if picture.__class__ is not array or picture.dtype is not U8 or picture.size != pixels:
                check(picture)
            try:
                given = buffer(picture)
            except (BufferError, ValueError):
                check(picture)
                raise
            if call(stack, given, 1, to, raw):
                raise MemoryError("no memory for the activations of a picture")

        def check(picture: Any) -> None:
            refuse(picture, "picture", U8, getattr(picture, "shape", ()))
            if picture.size != pixels:
                raise KernelError(f"picture has shape {picture.shape}, expected {pixels} pixels")

        single.keeps = encoder  # type: ignore[attr-defined]  # the C stack points to it
        return single

    def _call(
        self,
        function: Any,
        source: np.ndarray,
        name: str,
        row: int,
        out: np.ndarray | None,
        sums: np.ndarray | None,
        threads: int,
    ) -> np.ndarray:
        n = len(source)
        if self._sums_only:
            if out is not None:
                raise KernelError("out is given, but the last layer has no thresholds: ask for sums only")
            sums = result(sums, "sums", _I32, (n, self.outputs))
            to = ffi.NULL
        else:
            if out is None:
                out = np.empty((n, self._words), U8)
            elif out.__class__ is not np.ndarray or out.dtype is not U8 or out.shape != (n, self._words):
                refuse(out, "out", U8, (n, self._words), writable=True)
            try:
                to = ffi.from_buffer(out, require_writable=True)
            except (BufferError, ValueError):
                refuse(out, "out", U8, (n, self._words), writable=True)
                raise
            if sums is not None:
                refuse(sums, "sums", _I32, (n, self.outputs), writable=True)
        try:
            given = ffi.from_buffer(source)
        except (BufferError, ValueError):
            refuse(source, name, U8, (None, row))
            raise
        raw = ffi.NULL if sums is None else ffi.from_buffer(sums)
        if threads == 1:
            if function(self._c, given, n, to, raw):
                raise MemoryError(f"no memory for the activations of {n} pictures")
        elif n:
            self._share(function, integer(threads, "threads", 1, 64), given, row, n, to, raw)
        return sums if out is None else out  # type: ignore[return-value]

    def _share(self, function: Any, threads: int, given: Any, row: int, n: int, to: Any, raw: Any) -> None:
        """Cut the batch at tiles and give each thread one piece; this thread takes the first."""
        piece = -(-n // (threads * _TILE)) * _TILE
        failed: list[int] = []
        workers = []

        def work(start: int) -> None:
            count = min(piece, n - start)
            words = ffi.NULL if to == ffi.NULL else ffi.cast("char *", to) + start * self._words
            sums = ffi.NULL if raw == ffi.NULL else ffi.cast("char *", raw) + start * self.outputs * 4
            if function(self._c, ffi.cast("char *", given) + start * row, count, words, sums):
                failed.append(start)

        for start in range(piece, n, piece):
            workers.append(threading.Thread(target=work, args=(start,), name="qnn-pynq-kernels"))
            workers[-1].start()
        work(0)
        for worker in workers:
            worker.join()
        if failed:
            raise MemoryError(f"no memory for the activations of {n} pictures")


def highest_class(
    words: np.ndarray, classes: int, mask: int = _ALL, out: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """The published decode rule: highest set bit of each word & mask, modulo the number of classes.

    Parameters
    ----------
    words : uint64, (N,)
    classes : int
        1 to 64.
    mask : int
        Bits that count.
    out : intp, (N,), optional

    Returns
    -------
    (out, number of words without a set bit, whose class is 0)
    """
    # Part of every predict: the usual case passes by type alone.
    if words.__class__ is not np.ndarray or words.dtype is not _U64 or not words.flags.carray or words.ndim != 1:
        refuse(words, "words", _U64, (None,))
    if not (classes.__class__ is mask.__class__ is int and 1 <= classes <= 64 and 0 <= mask <= _ALL):
        classes = integer(classes, "classes", 1, 64)
        mask = integer(mask, "mask", 0, _ALL)
    out = np.empty(words.shape, _INTP) if out is None else result(out, "out", _INTP, words.shape)
    if not out.size:
        return out, 0
    to = ffi.from_buffer(out)
    none = lib.qnn_highest_class(ffi.from_buffer(words), len(words), mask, classes, _INTP.itemsize, to)
    return out, int(none)
