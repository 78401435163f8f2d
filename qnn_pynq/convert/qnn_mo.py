"""Networks of QNN-MO-PYNQ: layer list, parameter folder, first layer, mean picture, dense tail."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, Sequence, Union

import numpy as np

from ..catalogue import find_overlay
from ..contracts.layer import Layer
from ..contracts.network import Crop, Decode, Encoding, InputSpec, Letterbox, Network
from ..errors import DescriptorError
from ..families.qnn_mo.plan_check import check_steps
from ..files.fields import fail, item_path, read_json
from ..files.paths import path_text, shortened
from ..networks.linear import Linear
from ..networks.maps import Conv, Pool
from ..overlay import Overlay
from .bnn_pynq import plain
from .qnn_mo_files import check_files, read_run
from .qnn_mo_layers import ConvEntry, LayerList, read_layer_list
from .qnn_mo_software import dense_tail, first_layer, mean_picture, unlisted_first, unlisted_last, upright
from .recognise import lists_below, parameters_of

__all__ = ["Offloaded", "import_qnn_mo", "read_offloaded"]

PathLike = Union[str, "os.PathLike[str]"]

_OVERLAYS = {2: "qnn-mo-w1a2", 3: "qnn-mo-w1a3"}
_LIST = "-layers.json"  # behind the network's name
_SHORT_SIDE = 256  # of the published preprocessing
_DIVISOR = 255.0


class Offloaded(NamedTuple):
    """The layers that run on the overlay; the map that enters them has `size` lines of `channels` codes."""

    layers: tuple[Layer, ...]
    size: int
    channels: int
    overlay: Overlay


def read_offloaded(
    source: PathLike, overlay: str | Overlay | None = None, network: str | None = None
) -> Offloaded:
    """The hardware layers of a published network, for one whose first layer is not described there.

    A split becomes `groups` of the convolutions in it, and its merge nothing.

    Parameters
    ----------
    source
        Layer list (JSON), or a folder with ``*-layers.json``.
    overlay
        By default by the bits of the activations: 2 W1A2, 3 W1A3; where the list does not say, W1A2.
    network
        Which list of a folder with several: "dorefanet" for ``dorefanet-layers.json``.

    Raises
    ------
    DescriptorError
        As `import_qnn_mo`.
    UnsupportedNetworkError
        The overlay does not compute such a layer.
    """
    listed, chosen = _read_list(source, overlay, network)
    return Offloaded(_hardware(listed, chosen), listed.size, listed.channels, chosen)


def import_qnn_mo(
    source: PathLike,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    first: PathLike | None = None,
    mean: PathLike | None = None,
    fc: PathLike | None = None,
    overlay: str | Overlay | None = None,
    network: str | None = None,
    last: PathLike | None = None,
    codes: bool = False,
) -> Network:
    """Read a published network as it is.

    Parameters
    ----------
    source
        Layer list (JSON), or a folder with ``*-layers.json``. The parameter folder is named in it.
    name
        Name of the network; by default the list's.
    classes
        Class names, with `fc` only; by default "0", "1" and so on.
    first
        Weights and thresholds of the first layer: a pickled dict with ``conv0/W`` and ``conv0/T``, read
        without executing anything. By default ``<network>-conv0.npy`` beside the list. Where the list does
        not have the first layer (Tinier-YOLO): its weights, float32 (3, 3, 3, outputs), by default
        ``<network>-conv0-W.npy``, and beside them its bias in a file whose name ends in ``-bias.npy`` instead.
    mean
        Mean picture, float32 (side, side, 3) in the order blue, green, red; its middle is taken. By default
        ``ilsvrc_pp_mean.npy`` beside the list.
    fc
        The dense layers: a pickled dict with ``fc0/Wn``, ``fc0/bn``, ``fc1/Wn``, ``fc1/bn`` and ``fct/W``,
        or a folder of plain ``fc0-Wn.npy`` and so on. The arrays are not read but mapped; save the network
        and load it to compute. Without it the network ends in codes: decode rule "features".
    overlay, network
        As in `read_offloaded`.
    last
        Weights of a convolution of 1 x 1 behind the overlay, float32 (1, 1, inputs, outputs), and their bias as for
        `first`. By default ``<network>-conv8-W.npy`` where such a file lies beside a list without first layer.
    codes
        Only the overlay's layers: the network takes and gives codes, as the published test files hold them.

    Returns
    -------
    Network
        Not yet saved: see `save_network`.

    Notes
    -----
    The published host hands pictures to Tinier-YOLO with x and y exchanged, and exchanges them back in the result.
    Here the axes of the kernels are exchanged instead, which is the same; with `codes` they stay as they are.

    Codes are divided by their largest possible value before the dense layers; upstream divides by the
    largest that occurs in a picture.

    Raises
    ------
    DescriptorError
        Naming the file and what was expected: no JSON, layers that do not fit one another, too few or too
        many .bin files, files of another size or of another overlay, arrays of another shape.
    UnsupportedNetworkError
        The overlay does not compute such a layer.
    """
    listed, chosen = _read_list(source, overlay, network)
    if codes and (first is not None or mean is not None):
        raise DescriptorError("codes=True leaves the first layer out: expected neither first nor mean with it")
    hardware = _hardware(listed, chosen)
    bits = chosen.geometry["activation_bits"]
    beside = Path(listed.source).parent
    before: tuple[Conv, ...] = ()
    if codes:
        spec = InputSpec((listed.size, listed.size), listed.channels, "as-is", None, Encoding("codes", bits=bits))
    elif listed.first is not None:
        before = (first_layer(listed.first, _path(first, "first") if first else beside / _beside(listed), bits),)
        spec = _photographs(listed, _path(mean, "mean") if mean else beside / "ilsvrc_pp_mean.npy", before[0].inputs)
    else:
        if mean is not None:
            raise DescriptorError(f"{listed.network} subtracts no mean picture: expected none")
        before = (unlisted_first(_path(first, "first") if first else beside / _named(listed, 0), listed, bits),)
        spec = _boxed(before[0], listed.size)
        hardware = tuple(upright(layer) for layer in hardware)
    tail: tuple[Linear, ...] = ()
    decode, labels = Decode("features"), ()  # type: tuple[Decode, tuple[str, ...]]
    if fc is not None:
        if last is not None:
            raise DescriptorError("fc and last: expected one of them, as the network has it")
        if listed.first is None and not codes:  # nobody says whether they take x before y
            raise DescriptorError("fc does not go with a first layer that is not in the list: expected last, or codes")
        tail = dense_tail(listed, _path(fc, "fc"), bits)
        decode = Decode("largest-sum", scale=1.0)
        labels = _labels(classes, tail[-1].outputs)
    elif classes is not None:
        raise DescriptorError(f"{len(classes)} names of classes without the dense layers: give fc too")
    else:
        tail = _last(listed, last, codes, bits)
    return Network(
        name=name or plain(listed.network),
        title=f"QNN-MO-PYNQ: {listed.network}",
        description=f"Imported from the published layer list of {listed.network}",
        overlays=(chosen.name,),
        input=spec,
        layers=before + hardware + tail,
        decode=decode,
        classes=labels,
        provenance={"notes": "imported from QNN-MO-PYNQ parameters " + Path(listed.source).name},
    )


def _photographs(listed: LayerList, mean: Path, channels: int) -> InputSpec:
    """The input of DoReFa-Net."""
    picture = listed.picture
    encoding = Encoding("mean", mean=mean_picture(mean, picture, channels), divisor=_DIVISOR, order="bgr")
    return InputSpec(picture, channels, "as-is", None, encoding, Crop(max(_SHORT_SIDE, *picture), "opencv-cubic"))


def _boxed(first: Conv, size: int) -> InputSpec:
    """The input of Tinier-YOLO: pixels from 0 to 1 in a letterbox."""
    shape = (size * first.stride, size * first.stride, first.inputs)
    encoding = Encoding("mean", mean=np.zeros(shape, np.float32), divisor=_DIVISOR)
    return InputSpec(shape[:2], first.inputs, "as-is", None, encoding, None, Letterbox())


def _last(listed: LayerList, last: PathLike | None, codes: bool, bits: int) -> tuple[Linear, ...]:
    """The convolution of 1 x 1 behind the overlay, where its files lie there or are named."""
    outputs = [layer.outputs * layer.parts for layer in listed.layers if isinstance(layer, ConvEntry)]
    if last is not None:
        return (unlisted_last(_path(last, "last"), outputs[-1], bits),)
    found = Path(listed.source).parent / _named(listed, 1 + len(outputs))
    if codes or listed.first is not None or not found.exists():
        return ()
    return (unlisted_last(found, outputs[-1], bits),)


def _named(listed: LayerList, index: int) -> str:
    """File of the weights of a layer that is not in the list."""
    return f"{plain(listed.network)}-conv{index}-W.npy"


# -- the list --------------------------------------------------------------------------------------------


def _read_list(source: PathLike, overlay: str | Overlay | None, network: str | None) -> tuple[LayerList, Overlay]:
    path = _path(source, "source")
    if os.path.isdir(path):  # False also for what is too long to be a path
        path = path / (_chosen_list(path, network) + _LIST)
    elif network is not None and path.name != network + _LIST:
        wanted = shortened(str(network))
        problem = f"is not the layer list of {wanted}: expected {wanted}{_LIST}, or the folder with it"
        raise DescriptorError(f"{shortened(str(path))} {problem}")
    chosen = overlay if isinstance(overlay, Overlay) else find_overlay(overlay or _overlay_of(read_json(path)))
    if chosen.kind != "qnn-mo":
        raise DescriptorError(f"overlay {chosen.name} is of kind {chosen.kind}: expected qnn-mo")
    listed = read_layer_list(path, chosen.geometry["max_outputs"])
    _check_entries(listed, chosen)
    return listed, chosen


def _chosen_list(folder: Path, network: str | None) -> str:
    """Name of the network whose layer list is to be read."""
    found = sorted(path.name[: -len(_LIST)] for path in folder.glob("*" + _LIST))
    if network is not None:
        if network in found:
            return network
        names = " or ".join(found) or "a folder with such a file"
        raise DescriptorError(f"{folder} has no {shortened(str(network))}{_LIST}: expected {names}")
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join(repr(name) for name in found)
        problem = f"has {len(found)} layer lists: choose one with network={names}"
        raise DescriptorError(f"{folder} {problem} (such as --network {found[0]}), or pass its file")
    raise DescriptorError(f"{folder} {_without_list(folder)}")


def _without_list(folder: Path) -> str:
    """What a folder without layer list is, and what to pass instead of it."""
    kind = parameters_of(folder)
    if kind == "qnn-mo":
        beside = sorted(path.name for path in folder.resolve().parent.glob("*" + _LIST))
        where = " or ".join(beside) or f"the file *{_LIST} that names it"
        return f"holds parameters and no layer list: pass {where} in the folder above"
    if kind:
        return f"holds BNN-PYNQ parameters (of {'an LFC' if kind == 'lfc' else kind}): import them as bnn-pynq"
    below = lists_below(folder, _LIST)
    if below:
        return f"has no layer list (*{_LIST}) itself, but {', '.join(below)}: pass one of them"
    return f"has 0 files *{_LIST}: expected one, or the file itself"


def _path(value: Any, what: str) -> Path:
    return Path(path_text(value, what + " {}: expected the path of a file or folder", DescriptorError))


def _overlay_of(document: Any) -> str:
    """By the widest code of a layer with 1-bit weights; whatever is wrong is found later."""
    entries = document.get("layers") if isinstance(document, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("weight_bits") == 1 and entry.get("output_bits") in tuple(_OVERLAYS):
            return _OVERLAYS[entry["output_bits"]]
    return _OVERLAYS[2]


def _check_entries(listed: LayerList, overlay: Overlay) -> None:
    """What the parameter files could not be read with."""
    limits = overlay.geometry
    bits = limits["activation_bits"]
    if listed.first is not None and listed.first.output_bits not in (None, bits):
        problem = "{} does not match the {} bits of overlay {}"
        fail(listed.source, item_path(listed.first.where, "output_bits"), problem.format(
            listed.first.output_bits, bits, overlay.name))
    for layer in listed.layers:
        if isinstance(layer, Pool):
            if layer.size != limits["pool_size"]:
                problem = "a pool of {} x {}: the window of overlay {} is {} x {}"
                window = limits["pool_size"]
                fail(listed.source, "layers", problem.format(layer.size, layer.size, overlay.name, window, window))
            continue
        for key, value, allowed in (
            ("weight_bits", layer.weight_bits, 1),
            ("input_bits", layer.input_bits, bits),
            ("output_bits", layer.output_bits, bits),
        ):
            if value not in (None, allowed):
                problem = "{} is not allowed: overlay {} has {}"
                fail(listed.source, item_path(layer.where, key), problem.format(value, overlay.name, allowed))
        for key, value, most in (
            ("kernel_shape", layer.kernel, limits["max_kernel"]),
            ("input", layer.inputs, limits["max_inputs"]),
        ):
            if value > most:
                what = "channels" if key == "input" else "lines"
                problem = "{} {} are too many: overlay {} has at most {}"
                fail(listed.source, item_path(layer.where, key), problem.format(value, what, overlay.name, most))


def _hardware(listed: LayerList, overlay: Overlay) -> tuple[Layer, ...]:
    geometry = overlay.geometry
    check_files(listed.folder, listed.first_run, listed.first_run + listed.runs, geometry)
    layers = tuple(
        layer if isinstance(layer, Pool) else _convolution(layer, listed.folder, geometry) for layer in listed.layers
    )
    spec = SimpleNamespace(size=(listed.size, listed.size), channels=listed.channels)
    check_steps(SimpleNamespace(name=listed.network, layers=layers, input=spec), overlay)
    return layers


def _convolution(entry: ConvEntry, folder: Path, geometry: Any) -> Conv:
    shares = len(entry.runs) // entry.parts
    runs = [
        read_run(folder, run, entry.inputs, entry.outputs // shares, entry.kernel, geometry) for run in entry.runs
    ]
    invert = np.concatenate([run.invert for run in runs])
    bits = geometry["activation_bits"]
    return Conv(
        inputs=entry.inputs * entry.parts,
        outputs=entry.outputs * entry.parts,
        kernel=entry.kernel,
        stride=entry.stride,
        padding=entry.padding,
        weights=np.concatenate([run.weights for run in runs]),
        thresholds=np.concatenate([run.thresholds for run in runs]),
        weight_bits=1,
        input_bits=bits,
        output_bits=bits,
        groups=entry.parts,
        invert=invert if invert.any() else None,
    )


def _beside(listed: LayerList) -> str:
    assert listed.first is not None
    return f"{plain(listed.network)}-{plain(listed.first.name)}.npy"


def _labels(classes: Sequence[str] | None, outputs: int) -> tuple[str, ...]:
    names = tuple(str(k) for k in range(outputs)) if classes is None else tuple(str(name) for name in classes)
    if len(names) != outputs or len(set(names)) != outputs or not all(names):
        problem = "{} names of classes: expected {} different, non-empty ones"
        raise DescriptorError(problem.format(len(names), outputs))
    return names
