"""Shared memory of the multi-layer offload driver: one buffer of weight images, two areas of maps.

Pixels of a map have a fixed number of bytes, their codes are little-endian bit strings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...contracts.board import Board, Buffer, close_all
from ...contracts.chip import PAGE
from ...kernels import move_bits, pack, unpack
from .plan import Move, Piece, Plan, Stage
from .weights import weight_image

__all__ = ["OffloadBuffers"]


class OffloadBuffers:
    """Buffers of one network's plan; the areas grow to the largest batch seen.

    Parameters
    ----------
    board : Board
    limit : int
        Most bytes of all buffers together, in whole pages; one picture gets what it needs.

    Attributes
    ----------
    areas : list of Buffer
        Empty, or two of uint8.
    rows : int
        Pictures that the areas hold.
    """

    def __init__(self, board: Board, limit: int) -> None:
        self._board = board
        self._limit = limit
        self._plan: Any = None
        self.weights: Buffer | None = None
        self.areas: list[Buffer] = []
        self.rows = 0
        self._touched = 0  # pictures at the front that the cache may still hold

    def all(self) -> list[Buffer]:
        """Every live buffer."""
        return self.areas + ([] if self.weights is None else [self.weights])

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers now, in whole pages."""
        return sum(_pages(buffer.nbytes) for buffer in self.all())

    def capacity(self, plan: Plan) -> int:
        """Pictures that fit beside the weights."""
        left = self._limit - _pages(plan.weight_bytes) - 2 * (PAGE + plan.pixel_bytes)
        return max(1, left // max(1, sum(plan.areas)))

    def take(self, plan: Plan, geometry: Any) -> None:
        """Give up what was there, and store the weight images of a plan."""
        self.free()
        self._plan = plan
        buffer = self.weights = self._board.allocate(plan.weight_bytes, np.uint8)
        for run in plan.runs:
            image = weight_image(run, geometry).reshape(-1).view(np.uint8)
            buffer.array[run.weights_at : run.weights_at + image.size] = image
        buffer.flush()

    def grow(self, pictures: int, most: int) -> None:
        """Areas for twice as many pictures, or for `pictures`. Never old and new ones at once."""
        rows = min(most, max(pictures, 2 * self.rows))
        self.free_areas()
        for nbytes in self._plan.area_bytes(rows):
            try:
                self.areas.append(self._board.allocate(nbytes, np.uint8))
            except BaseException:
                self.free_areas()
                raise
        self.rows = rows

    def put(self, codes: np.ndarray) -> None:
        """Pack inputs, uint8 (pictures, H, W, C)."""
        area = self.areas[0].array
        self._touched = max(self._touched, len(codes))  # before: a put that is broken off counts, too
        for piece in self._plan.entry:
            part = codes[..., piece.first : piece.first + piece.channels]
            for index, image in enumerate(part):
                _write_map(area, piece, index, self._plan.bits, np.ascontiguousarray(image))

    def flush_input(self) -> None:
        """Show the logic all that was put, also for pictures that do not run: nothing stays in the cache."""
        self.areas[0].flush(self._entry_bytes(self._touched))
        self._touched = 0

    def _entry_bytes(self, pictures: int) -> int:
        return max(piece.end(pictures) for piece in self._plan.entry)

    def gather(self, stage: Stage, pictures: int) -> None:
        """Carry out the moves in front of a layer, for a batch."""
        target = self.areas[stage.gathered[0].area]
        source = self.areas[1 - stage.gathered[0].area]
        if stage is not self._plan.stages[0]:  # the first one's source is what the processor wrote
            source.invalidate(max(move.source.end(pictures) for move in stage.moves))
        _gather(source.array, target.array, stage.gathered, stage.moves, pictures, self._plan.bits)
        target.flush(max(piece.end(pictures) for piece in stage.gathered))

    def put_sentinels(self, piece: Piece, pictures: int, word: int) -> None:
        """Put `word` where a run on each picture is going to end its map."""
        area, end = self.areas[piece.area], piece.end(pictures)
        area.invalidate(end)  # a line that reaches into another map must hold what the logic wrote there
        for place in _ends(piece, pictures):
            area.array[place].view("<u8")[0] = word
        area.flush(end)

    def unwritten(self, piece: Piece, pictures: int, word: int) -> int:
        """Pictures whose map still ends with `word`."""
        area = self.areas[piece.area]
        area.invalidate(piece.end(pictures))
        return sum(int(area.array[place].view("<u8")[0]) == word for place in _ends(piece, pictures))

    def codes(self, pictures: int) -> np.ndarray:
        """uint8 (pictures, H, W, C) of the last map, an array of its own."""
        pieces = self._plan.exit
        area = self.areas[pieces[0].area]
        area.invalidate(max(piece.end(pictures) for piece in pieces))
        return _read_maps(area.array, pieces, pictures, self._plan.bits)

    def address(self, piece: Piece, image: int, pictures: int) -> int:
        """Device address of a piece of a picture, in a batch of `pictures`."""
        return self.areas[piece.area].device_address + piece.at(image, pictures)

    def image_address(self, offset: int) -> int:
        """Device address of the weight image at a byte of all of them."""
        assert self.weights is not None
        return self.weights.device_address + offset

    def free_areas(self) -> None:
        """Close the areas."""
        self.rows = self._touched = 0  # first: after an interrupt no closed area is taken for one that holds pictures
        try:
            close_all(self.areas)
        finally:
            self.areas = []

    def free(self) -> None:
        """Close all."""
        try:
            close_all(self.all())
        finally:
            self.forget()

    def forget(self) -> None:
        """Drop all, closed or not."""
        self.areas, self.rows, self._touched, self.weights = [], 0, 0, None


def _pages(nbytes: int) -> int:
    return -(-nbytes // PAGE) * PAGE


def _ends(piece: Piece, pictures: int) -> list[slice]:
    """The last eight bytes of each picture's map."""
    ends = [piece.at(image, pictures) + piece.nbytes for image in range(pictures)]
    return [slice(end - 8, end) for end in ends]


def _write_map(area: np.ndarray, piece: Piece, image: int, bits: int, codes: np.ndarray) -> None:
    """Codes uint8 (size, size, channels of the piece) of one picture, and zeros behind them.

    `area` is uint8 (bytes,); the piece is one whose pictures lie one behind the other.
    """
    at = piece.at(image, 1)
    packed = pack(codes.reshape(piece.size**2, piece.channels), bits)
    target = area[at : at + piece.nbytes].reshape(piece.size**2, -1)
    target[:, : packed.shape[1]] = packed
    target[:, packed.shape[1] : piece.clean * bits // 8] = 0


def _read_maps(area: np.ndarray, pieces: tuple[Piece, ...], pictures: int, bits: int) -> np.ndarray:
    """Codes uint8 (pictures, size, size, channels) of a batch, an array of its own."""
    found = []
    for piece in pieces:
        pixels = area[piece.at(0, pictures) : piece.end(pictures)].reshape(pictures, piece.size, piece.size, -1)
        found.append(unpack(pixels, bits, piece.channels))
    return found[0] if len(found) == 1 else np.concatenate(found, axis=3)


def _gather(source: np.ndarray, target: np.ndarray, pieces: tuple[Piece, ...], moves: tuple[Move, ...], pictures: int,
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
