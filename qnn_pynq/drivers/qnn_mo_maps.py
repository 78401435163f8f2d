"""Maps in shared memory: pixels of a fixed number of bytes, codes as little-endian bit strings."""

from __future__ import annotations

import numpy as np

from ..kernels import pack, unpack
from ..plan_parts import Move, Piece

__all__ = ["gather", "read_maps", "write_map"]

_WORD = np.dtype("<u8")


def write_map(area: np.ndarray, piece: Piece, image: int, bits: int, codes: np.ndarray) -> None:
    """Codes uint8 (size, size, channels of the piece) of one image, and zeros behind them.

    `area` is uint8 (bytes,); the piece is one whose images lie one behind the other.
    """
    at = piece.at(image, 1)
    packed = pack(codes.reshape(piece.size**2, piece.channels), bits)
    target = area[at : at + piece.nbytes].reshape(piece.size**2, -1)
    target[:, : packed.shape[1]] = packed
    target[:, packed.shape[1] : piece.clean * bits // 8] = 0


def read_maps(area: np.ndarray, pieces: tuple[Piece, ...], images: int, bits: int) -> np.ndarray:
    """Codes uint8 (images, size, size, channels) of a batch, an array of its own."""
    found = []
    for piece in pieces:
        pixels = area[piece.at(0, images) : piece.end(images)].reshape(images, piece.size, piece.size, -1)
        found.append(unpack(pixels, bits, piece.channels))
    return found[0] if len(found) == 1 else np.concatenate(found, axis=3)


def gather(source: np.ndarray, target: np.ndarray, pieces: tuple[Piece, ...], moves: tuple[Move, ...], images: int,
           bits: int) -> None:
    """Fill pieces of one area by moves out of the other one, for a batch."""
    for piece in pieces:
        _words(target, piece, images)[..., : piece.clean * bits // 64] = 0
    for move in moves:
        _move_bits(_words(source, move.source, images), _words(target, move.target, images), move)


def _words(area: np.ndarray, piece: Piece, images: int) -> np.ndarray:
    """uint64 (images * pixels, words): view of a piece; the moved ones are all contiguous over a batch."""
    view: np.ndarray = area[piece.at(0, images) : piece.end(images)].view(_WORD)
    return view.reshape(images * piece.size**2, -1)


def _move_bits(source: np.ndarray, target: np.ndarray, move: Move) -> None:
    """Carry out a move between words uint64 (pixels, words); the target's bits are 0 before."""
    count = -(-move.bits // 64)
    start, shift = divmod(move.source_bit, 64)
    words = source[:, start : start + count] >> np.uint64(shift)
    if shift:
        upper = source[:, start + 1 : start + 1 + count]
        words[:, : upper.shape[1]] |= upper << np.uint64(64 - shift)
    if move.bits % 64:
        words[:, -1] &= np.uint64((1 << move.bits % 64) - 1)
    start, shift = divmod(move.target_bit, 64)
    target[:, start : start + count] |= words << np.uint64(shift)
    if shift:
        rest = target[:, start + 1 : start + 1 + count]
        rest |= words[:, : rest.shape[1]] >> np.uint64(64 - shift)
