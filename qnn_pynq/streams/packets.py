"""How a batch lies in memory and in packets: strides, transfers, and the longest batch of one run."""

from __future__ import annotations

from ..errors import DescriptorError
from .description import Description, Dma, Stream

__all__ = ["batch_packets", "longest_batch", "sample_stride", "sample_strides"]

_MOST_BYTES = 32 << 20  # of all buffers of one run: a quarter of the contiguous memory of a PYNQ image
_DESCRIPTOR = 64  # bytes, of scatter-gather: few but for packets of single samples
_WHOLE = 128  # bytes: a multiple of every beat


def sample_stride(stream: Stream, dma: Dma | None) -> int:
    """Bytes from one sample to the next. Packets of single samples begin where the DMA can begin."""
    if dma is None or stream.tlast != "sample" or dma.unaligned:
        return stream.sample_bytes
    step = dma.data_bits // 8
    return -(-stream.sample_bytes // step) * step


def sample_strides(description: Description) -> dict[str, int]:
    """`sample_stride` of every stream; a batch has as many of them as samples."""
    return {stream.name: sample_stride(stream, None if stream.dma is None else description.dma(stream.dma))
            for stream in description.streams}


def batch_packets(stream: Stream, dma: Dma, samples: int) -> list[tuple[int, int]]:
    """(offset, bytes) of the packets of a batch."""
    if stream.tlast == "sample":
        stride = sample_stride(stream, dma)
        return [(number * stride, stream.sample_bytes) for number in range(samples)]
    whole = samples * stream.sample_bytes
    if stream.tlast == "batch" or dma.scatter_gather:
        return [(0, whole)]
    piece = dma.longest // _WHOLE * _WHOLE
    return [(start, min(piece, whole - start)) for start in range(0, whole, piece)]


def longest_batch(description: Description) -> int:
    """Samples that one run can have.

    Raises
    ------
    DescriptorError
        Not even one sample fits into a transfer.
    """
    most = description.max_samples or 1 << 30
    each = 0
    for stream in description.streams:
        dma = None if stream.dma is None else description.dma(stream.dma)
        each += sample_stride(stream, dma)
        if dma is not None and dma.scatter_gather and stream.tlast == "sample":
            each += _DESCRIPTOR * -(-stream.sample_bytes // (dma.longest // _WHOLE * _WHOLE))
        if dma is None or dma.scatter_gather or stream.tlast == "never":
            continue
        if stream.sample_bytes > dma.longest:
            raise DescriptorError(
                f"{description.source}: a sample of {stream.name} has {stream.sample_bytes} bytes: expected at most "
                f"the {dma.longest} of one transfer of {dma.name} (length_bits {dma.length_bits}); "
                "build the DMA with more length bits, or with scatter-gather")
        if stream.tlast == "batch":
            most = min(most, dma.longest // stream.sample_bytes)
    return min(most, max(1, _MOST_BYTES // each))
