"""The published layer lists of QNN-MO-PYNQ (`dorefanet-layers.json`): what is in them, checked as a chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ..files.fields import Fields, read_json
from ..networks.maps import Pool

__all__ = ["ConvEntry", "DenseEntry", "LayerList", "read_layer_list"]

_MOST = 1 << 16
_MAX_KERNEL = 64
_MOST_LAYERS = 1024
_MOST_RUNS = 4096
_FUNCTIONS = ("conv_layer", "maxpool_layer", "split_layer", "merge_layer", "fc_layer", "none")


class ConvEntry(NamedTuple):
    """A convolution; channels are those of one of `parts` equal parts of a split.

    `runs` are its file indexes: of each part, or of each share of the outputs where they take several runs.
    """

    where: str
    name: str
    inputs: int
    outputs: int
    parts: int
    kernel: int
    stride: int
    padding: tuple[int, int]
    input_bits: int | None
    output_bits: int | None
    weight_bits: int | None
    runs: list[int]


class DenseEntry(NamedTuple):
    """A dense layer, which never runs on the overlay."""

    where: str
    name: str
    inputs: int
    outputs: int


class LayerList(NamedTuple):
    """A whole file; `first` is the convolution in software, `size` and `channels` are what enters `layers`."""

    source: str
    network: str
    folder: Path
    first: ConvEntry | None
    picture: tuple[int, int]
    size: int
    channels: int
    layers: tuple[ConvEntry | Pool, ...]
    dense: tuple[DenseEntry, ...]
    first_run: int
    runs: int


def read_layer_list(path: Path, most_outputs: int) -> LayerList:
    """Read and check a layer list.

    Parameters
    ----------
    path
        The JSON file.
    most_outputs
        Output channels of one run: layers with more take several.

    Raises
    ------
    DescriptorError
        No JSON, missing or wrong fields, layers that do not fit one another.
    """
    fields = Fields(read_json(path), str(path))
    network = fields.text("network")
    folder = path.parent / fields.text("binparam")
    if not fields.take("use_binparams", "true or false", True):
        fields.fail("use_binparams", "false is not allowed: expected true, the network needs its parameters")
    first_run = fields.integer("binparam_skip", 0, _MOST, 0)
    skip = fields.integer("layer_skip", 0, 1, 0)
    entries = fields.objects("layers", _MOST_LAYERS)
    walk = _Walk(first_run, most_outputs)
    first = None
    picture = (0, 0)
    for index, entry in enumerate(entries):
        function = entry.take("func", "string", allowed=_FUNCTIONS)
        if function == "none":
            break
        if index < skip:
            if function != "conv_layer":
                entry.fail("func", f'"{function}" is not allowed before layer_skip: expected "conv_layer"')
            side = _side(entry, "input")
            first = _conv(entry, side[0], 1, side[1])
            picture = (side[1], side[1])
            walk.arrive(first.outputs, _size_of(first, side[1]))
        else:
            walk.take(function, entry)
    if walk.parts > 1:
        fields.fail("layers", "a split has no merge behind it: expected one")
    if not any(isinstance(layer, ConvEntry) for layer in walk.layers):
        fields.fail("layers", "no convolution behind layer_skip: expected at least one")
    size, channels = walk.start
    return LayerList(
        str(path), network, folder, first, picture, size, channels, tuple(walk.layers), tuple(walk.dense),
        first_run, walk.run - first_run,
    )


class _Walk:
    """Goes through the layers and knows what arrives at the next."""

    def __init__(self, run: int, most_outputs: int) -> None:
        self.run, self._runs = run, 0
        self.layers: list[ConvEntry | Pool] = []
        self.dense: list[DenseEntry] = []
        self.parts = 1
        self.start = (0, 0)  # size and channels of the first map
        self._most = most_outputs
        self._size = self._channels = 0  # of one part; 0: whatever the first layer says
        self._inside: list[ConvEntry] = []
        self._previous = ""  # function of the entry before

    def arrive(self, channels: int, size: int) -> None:
        self._channels, self._size = channels, size
        self.start = (size, channels)

    def take(self, function: str, entry: Fields) -> None:
        if self.dense and function != "fc_layer":
            entry.fail("func", f'"{function}" cannot stand behind fc_layer')
        {
            "conv_layer": self._conv,
            "maxpool_layer": self._pool,
            "split_layer": self._split,
            "merge_layer": self._merge,
            "fc_layer": self._fc,
        }[function](entry)
        self._previous = function

    def _arriving(self, entry: Fields, key: str, channels: int, size: int) -> None:
        if not self._size:
            self.arrive(channels, size)
        if channels != self._channels:
            problem = f"{channels} channels do not match the {self._channels} that arrive"
            entry.fail(key, problem)
        if size != self._size:
            entry.fail(key, f"size {size} does not match the {self._size} that arrives")

    def _conv(self, entry: Fields) -> None:
        channels, size = _side(entry, "input")
        self._arriving(entry, "input", channels, size)
        conv = _conv(entry, channels, self.parts, size)
        shares = -(-conv.outputs // self._most)
        if shares > 1 and self.parts > 1:
            problem = "{} channels in a split: expected at most the overlay's {}"
            entry.fail("output", problem.format(conv.outputs, self._most))
        if conv.outputs % shares:
            problem = f"{conv.outputs} channels take {shares} runs and cannot be shared equally"
            entry.fail("output", problem)
        if self.parts > 1:
            self._inside.append(conv)
        else:
            self._count(entry, "output", shares)
            conv.runs.extend(range(self.run, self.run + shares))
            self.run += shares
        self.layers.append(conv)
        self._channels, self._size = conv.outputs, _size_of(conv, size)

    def _count(self, entry: Fields, key: str, runs: int) -> None:
        self._runs += runs
        if self._runs > _MOST_RUNS:
            entry.fail(key, f"{self._runs} runs so far are too many: expected at most {_MOST_RUNS}")

    def _pool(self, entry: Fields) -> None:
        if self._previous != "conv_layer":
            # The published host fuses a pool with the convolution before it, and skips any other without a word.
            behind = f'behind "{self._previous}"' if self._previous else "as the first layer of the overlay"
            problem = '"maxpool_layer" {}: expected it directly behind its conv_layer; move it there, or remove it'
            entry.fail("func", problem.format(behind))
        channels, padded = _side(entry, "input")
        window = entry.integer("kernel_shape", 2, 16)
        lines = padded - self._size
        if channels != self._channels or not 0 <= lines <= 2 * (window - 1):
            problem = "{} x {} x {} does not fit the {} x {} x {} that arrive: expected their size with the padding"
            arriving = (self._channels, self._size, self._size)
            entry.fail("input", problem.format(channels, padded, padded, *arriving))
        pool = Pool(window, entry.integer("kernel_stride", 1, 16), (lines // 2, lines - lines // 2))
        size = pool.output_size(self._size)
        _matches(entry, channels, size)
        self.layers.append(pool)
        self._size = size

    def _split(self, entry: Fields) -> None:
        parts = entry.integer("split", 2, _MOST)
        if self.parts > 1:
            entry.fail("split", "a split inside a split: expected its merge first")
        channels = entry.integer("input_channels", 1, _MOST)
        self._arriving(entry, "input_channels", channels, entry.integer("input_dim", 1, _MOST))
        if channels % parts:
            entry.fail("split", f"{parts} does not divide {channels} channels")
        self.parts, self._channels = parts, channels // parts

    def _merge(self, entry: Fields) -> None:
        parts = entry.integer("merge", 2, _MOST)
        if parts != self.parts:
            entry.fail("merge", f"{parts} does not match a split of {self.parts}")
        channels, size = entry.integer("output_channels", 1, _MOST), entry.integer("output_dim", 1, _MOST)
        self._channels *= parts
        self._arriving(entry, "output_channels", channels, size)
        self._count(entry, "merge", parts * len(self._inside))
        # All layers of a part, then all of the next.
        for part in range(parts):
            for place, conv in enumerate(self._inside):
                conv.runs.append(self.run + part * len(self._inside) + place)
        self.run += parts * len(self._inside)
        self.parts, self._inside = 1, []

    def _fc(self, entry: Fields) -> None:
        if self.parts > 1:
            entry.fail("func", '"fc_layer" cannot stand in a split')
        inputs, outputs = entry.integer("input", 1, 1 << 22), entry.integer("output", 1, _MOST)
        arriving = self.dense[-1].outputs if self.dense else self._size**2 * self._channels
        if inputs != arriving:
            entry.fail("input", f"{inputs} does not match the {arriving} values that arrive")
        name = entry.take("name", "string", f"fc{len(self.dense)}")
        self.dense.append(DenseEntry(entry.where, name, inputs, outputs))


def _side(entry: Fields, key: str) -> tuple[int, int]:
    """(channels, height) of [channels, height, width]; maps are square."""
    values: Any = entry.take(key, "list")
    if len(values) != 3 or not all(isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= _MOST for v in values):
        entry.fail(key, f"expected [channels, height, width], each 1 to {_MOST}")
    if values[1] != values[2]:
        entry.fail(key, f"{values[1]} x {values[2]} is not square")
    return values[0], values[1]


def _conv(entry: Fields, inputs: int, parts: int, size: int) -> ConvEntry:
    kernel = entry.integer("kernel_shape", 1, _MAX_KERNEL)
    stride = entry.integer("kernel_stride", 1, _MAX_KERNEL)
    padding = entry.take("padding", "number")
    if not 0 <= padding < kernel:
        entry.fail("padding", f"{padding} is out of range: expected 0 to {kernel - 1}")
    if 2 * padding % 1:
        entry.fail("padding", f"{padding} is no multiple of 0.5: expected 0, 0.5, 1 and so on")
    lines = int(size + 2 * padding) - size
    outputs, _ = _side(Fields({"output": entry.peek("output")}, entry.source, entry.where), "output")
    conv = ConvEntry(
        where=entry.where,
        name=entry.take("name", "string", "conv"),
        inputs=inputs,
        outputs=outputs,
        parts=parts,
        kernel=kernel,
        stride=stride,
        padding=(lines // 2, lines - lines // 2),
        input_bits=entry.take("input_bits", "integer", None),
        output_bits=entry.take("output_bits", "integer", None),
        weight_bits=entry.take("weight_bits", "integer", None),
        runs=[],
    )
    _matches(entry, outputs, _size_of(conv, size))
    return conv


def _size_of(conv: ConvEntry, size: int) -> int:
    return (size + sum(conv.padding) - conv.kernel) // conv.stride + 1


def _matches(entry: Fields, channels: int, size: int) -> None:
    found = _side(entry, "output")
    if size < 1:
        entry.fail("kernel_shape", "the window is larger than the map")
    if found != (channels, size):
        problem = "{} x {} x {} does not match the layer's {} x {} x {}"
        entry.fail("output", problem.format(found[0], found[1], found[1], channels, size, size))
