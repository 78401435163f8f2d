"""Maps in shared memory: pixels of a fixed number of bytes, codes as little-endian bit strings."""
from __future__ import annotations

import numpy as np

from ..kernels import pack, unpack
from ..plan import Move, Piece

__all__ = ["clear_map", "map_words", "move_bits", "read_map", "write_map"]

_WORD = np.dtype("<u8")


def map_words(row: np.ndarray, piece: Piece, pixel_bytes: int) -> np.ndarray:
    """uint64 (pixels, words): view of a piece in an area's row, uint8 (bytes,)."""
    pixels = piece.size**2
    words: np.ndarray = row[piece.offset:piece.offset + pixels * pixel_bytes].view(_WORD).reshape(pixels, -1)
    return words


def write_map(row: np.ndarray, piece: Piece, pixel_bytes: int, bits: int, codes: np.ndarray) -> None:
    """Codes uint8 (H, W, channels of the piece) into a row, and zeros behind them."""
    packed = pack(codes.reshape(piece.size**2, piece.channels), bits)
    target = map_words(row, piece, pixel_bytes).view(np.uint8)
    target[:, :packed.shape[1]] = packed
    target[:, packed.shape[1]:piece.clean * bits // 8] = 0


def read_map(row: np.ndarray, piece: Piece, pixel_bytes: int, bits: int) -> np.ndarray:
    """Codes uint8 (size, size, channels) of a piece."""
    packed = map_words(row, piece, pixel_bytes).view(np.uint8)
    return unpack(packed, bits, piece.channels).reshape(piece.size, piece.size, piece.channels)


def clear_map(row: np.ndarray, piece: Piece, pixel_bytes: int, bits: int) -> None:
    """Zero what a run may read of a piece."""
    map_words(row, piece, pixel_bytes)[:, :piece.clean * bits // 64] = 0


def move_bits(source: np.ndarray, target: np.ndarray, move: Move) -> None:
    """Carry out a move between words uint64 (pixels, words); the target's bits are 0 before."""
    count = -(-move.bits // 64)
    start, shift = divmod(move.source_bit, 64)
    words = source[:, start:start + count] >> np.uint64(shift)
    if shift:
        upper = source[:, start + 1:start + 1 + count]
        words[:, :upper.shape[1]] |= upper << np.uint64(64 - shift)
    if move.bits % 64:
        words[:, -1] &= np.uint64((1 << move.bits % 64) - 1)
    start, shift = divmod(move.target_bit, 64)
    target[:, start:start + count] |= words << np.uint64(shift)
    if shift:
        rest = target[:, start + 1:start + 1 + count]
        rest |= words[:, :rest.shape[1]] >> np.uint64(64 - shift)
