"""Maps in shared memory: pixels of a fixed number of bytes, codes as little-endian bit strings."""

from __future__ import annotations

import numpy as np

from ...kernels import move_bits, pack, unpack
from .plan_parts import Move, Piece

__all__ = ["gather", "read_maps", "write_map"]


def write_map(area: np.ndarray, piece: Piece, image: int, bits: int, codes: np.ndarray) -> None:
    """Codes uint8 (size, size, channels of the piece) of one picture, and zeros behind them.

    `area` is uint8 (bytes,); the piece is one whose pictures lie one behind the other.
    """
    at = piece.at(image, 1)
    packed = pack(codes.reshape(piece.size**2, piece.channels), bits)
    target = area[at : at + piece.nbytes].reshape(piece.size**2, -1)
    target[:, : packed.shape[1]] = packed
    target[:, packed.shape[1] : piece.clean * bits // 8] = 0


def read_maps(area: np.ndarray, pieces: tuple[Piece, ...], pictures: int, bits: int) -> np.ndarray:
    """Codes uint8 (pictures, size, size, channels) of a batch, an array of its own."""
    found = []
    for piece in pieces:
        pixels = area[piece.at(0, pictures) : piece.end(pictures)].reshape(pictures, piece.size, piece.size, -1)
        found.append(unpack(pixels, bits, piece.channels))
    return found[0] if len(found) == 1 else np.concatenate(found, axis=3)


def gather(source: np.ndarray, target: np.ndarray, pieces: tuple[Piece, ...], moves: tuple[Move, ...], pictures: int,
           bits: int) -> None:
    """Fill pieces of one area by moves out of the other one, for a batch."""
    for piece in pieces:
        _rows(target, piece, pictures)[:, : piece.clean * bits // 8] = 0
    for move in moves:
        source_rows, target_rows = _rows(source, move.source, pictures), _rows(target, move.target, pictures)
        move_bits(source_rows, move.source_bit, target_rows, move.target_bit, move.bits)


def _rows(area: np.ndarray, piece: Piece, pictures: int) -> np.ndarray:
    """uint8 (pictures * pixels, bytes): view of a piece; the moved ones are all contiguous over a batch."""
    return area[piece.at(0, pictures) : piece.end(pictures)].reshape(pictures * piece.size**2, -1)
