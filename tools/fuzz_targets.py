"""What the fuzzer throws bytes at: every reader of files, pictures and descriptors, with seeds that are read well.

A target is a function of bytes that returns, or raises one of our errors; whatever else happens is a finding.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import small  # noqa: E402
import small_conv  # noqa: E402
from bitfiles import bit_file, hwh_file  # noqa: E402
from fuzz_seeds import (  # noqa: E402
    Target,
    from_file,
    made_folder,
    memory_folder,
    npy,
    npz,
    picture,
    with_right_sums,
)

from qnn_pynq import catalogue  # noqa: E402
from qnn_pynq.boards.zynq import state as zynq_state  # noqa: E402
from qnn_pynq.convert import bnn_pynq, finnthesizer, qnn_mo_files, qnn_mo_layers, qnn_mo_software  # noqa: E402
from qnn_pynq.convert.pickled import read_pickled  # noqa: E402
from qnn_pynq.datasets.colour import read_colour  # noqa: E402
from qnn_pynq.datasets.public import read_idx  # noqa: E402
from qnn_pynq.datasets.testsets import find_test_set  # noqa: E402
from qnn_pynq.diagnosis import overlays as doctor_overlays  # noqa: E402
from qnn_pynq.diagnosis import pynq as doctor_pynq  # noqa: E402
from qnn_pynq.diagnosis import recording_file  # noqa: E402
from qnn_pynq.errors import InputError  # noqa: E402
from qnn_pynq.files.bitfile import read_bitstream  # noqa: E402
from qnn_pynq.files.hwhfile import read_handoff  # noqa: E402
from qnn_pynq.files.npyfile import read_array  # noqa: E402
from qnn_pynq.networks import load_network, save_network  # noqa: E402
from qnn_pynq.networks.summary import weights_digest  # noqa: E402
from qnn_pynq.overlay import load_overlay  # noqa: E402
from qnn_pynq.pictures.prepare import prepare  # noqa: E402
from qnn_pynq.reliability.answers import known_answers  # noqa: E402
from qnn_pynq.reliability.canary import _chosen  # noqa: E402
from qnn_pynq.streams.hwh import check_hwh  # noqa: E402
from qnn_pynq.streams.reading import load_description  # noqa: E402

__all__ = ["Target", "make_targets", "memory_folder"]


def make_targets(base: Path) -> dict[str, Target]:
    """All targets; their files lie under `base`, which should be in memory."""
    warnings.simplefilter("ignore")
    found = [*_descriptors(base), *_arrays(base), *_others(base), *_pictures()]
    return {target.name: target for target in found}


def _descriptors(base: Path) -> list[Target]:
    targets = []
    networks = {
        "dense": small.network(table=True, levels=2), "convolutional": small_conv.small_network(),
        "of codes": small_conv.takes_codes(), "in a letterbox": small_conv.in_letterbox(),
    }
    for name, network in networks.items():
        path = save_network(network, base / name) / "network.json"
        run = from_file(path, lambda p: load_network(p.parent))
        targets.append(Target("network.json, " + name, [path.read_bytes()], run, True, 1))
    folder = made_folder(base, "overlay")
    shipped = ("bnn-pynq-lfc-w1a1", "qnn-mo-w1a2", "qnn-mo-w1a3")
    seeds = [(catalogue.find_overlay(name).path / "overlay.json").read_bytes() for name in shipped]
    run = from_file(folder / "overlay.json", lambda p: load_overlay(p.parent))
    targets.append(Target("overlay.json", seeds, run, True))
    description = {
        "format": "qnn-pynq-streams", "version": 1, "name": "loopback",
        "inputs": [{"name": "x", "type": "ap_fixed<16,6>", "shape": [4]}],
        "outputs": [{"name": "y", "type": "ap_fixed<16,6>", "shape": [4]}],
    }
    described = base / "streams.json"
    seeds = [json.dumps(description).encode()]
    targets.append(Target("streams.json", seeds, from_file(described, load_description), True))
    def conv(into: list[int], out: list[int], kernel: int, padding: float) -> dict[str, Any]:
        return {"func": "conv_layer", "input_bits": 2, "output_bits": 2, "weight_bits": 1, "threshold_bits": 16,
                "kernel_shape": kernel, "kernel_stride": 1, "input": into, "output": out, "padding": padding}

    listed = {"network": "tiny", "binparam": "b", "use_binparams": True, "layers": [
        {"func": "split_layer", "split": 2, "input_channels": 8, "input_dim": 5}, conv([4, 5, 5], [6, 5, 5], 3, 1),
        {"func": "maxpool_layer", "kernel_shape": 3, "kernel_stride": 2, "input": [6, 6, 6], "output": [6, 2, 2],
         "padding": 0.5},
        {"func": "merge_layer", "merge": 2, "output_channels": 12, "output_dim": 2}, conv([12, 2, 2], [40, 2, 2], 1, 0),
        {"func": "none"}]}
    run = from_file(base / "list.json", lambda p: qnn_mo_layers.read_layer_list(p, 64))
    targets.append(Target("layer list", [json.dumps(listed).encode()], run, True))
    state = json.dumps({"bitfile_name": "a.bit", "bitfile_hash": hashlib.sha1(b"").hexdigest(),
                        "timestamp": "2026/1/1", "shutdown_ips": {}}).encode()
    loaded = base / "a.bit"
    loaded.touch()

    def noted(path: Path) -> Any:
        with mock.patch.object(zynq_state, "state_file", lambda _: path):
            return doctor_pynq._is_state(path), zynq_state.check_design(None, loaded)

    targets.append(Target("pynq's state file", [state], from_file(base / "state.json", noted), True, 0.5))
    return targets


def _arrays(base: Path) -> list[Target]:
    rng = np.random.RandomState(1)
    weights = rng.randint(0, 256, (16, 8)).astype(np.uint8)
    seeds = [npy(weights), npy(np.float32(weights))]
    kinds = ("uint8", "float32")
    run = from_file(base / "w.npy", lambda p: read_array(p.parent, p.name, kinds, (None, 8), "network.json", "weights"))
    targets = [Target(".npy", seeds, run, False, 2)]
    arrays = {"conv0/W": np.float32(weights), "bn/mean": np.float64([1, 2]), "n": np.int32(weights[0])}
    pickles = []
    for protocol in (3, 4):  # those of np.save
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": ()})
        box = np.empty((), object)
        box[()] = arrays
        pickles.append(head.getvalue() + pickle.dumps(box, protocol))
    targets.append(Target("pickled .npy", pickles, from_file(base / "p.npy", read_pickled), False, 3))
    targets.append(Target("mean picture .npy", [npy(rng.rand(10, 10, 3).astype(np.float32))], from_file(
        base / "mean.npy", lambda p: qnn_mo_software.mean_picture(p, (8, 8), 3)), False, 0.5))
    folded = npz(**{f"arr_{n}": rng.rand(*((8, 4) if n % 6 == 0 else (4,))) for n in range(24)})

    def fold(path: Path) -> Any:
        with finnthesizer._Archive(path) as archive:
            return archive.layer(0, 8)

    targets.append(Target("finnthesizer .npz", [folded], from_file(base / "f.npz", fold), False, 0.5))
    network = small.network()
    folder = save_network(network, base / "answered")
    document = json.loads((folder / "network.json").read_text())
    document["selftest"] = "selftest.npz"
    rows = small.pictures(4, network)
    good = npz(pictures=rows, words=small.words(network, rows))
    (folder / "selftest.npz").write_bytes(good)
    (folder / "network.json").write_text(json.dumps(document))
    loaded = load_network(folder)
    run = from_file(folder / "selftest.npz", lambda p: known_answers(loaded))
    targets.append(Target("selftest.npz", [good], run, False, 0.5))
    digest = np.frombuffer(weights_digest(loaded).encode(), np.uint8)
    chosen = npz(digest=digest, pictures=rows, words=small.words(network, rows))
    run = from_file(folder / "canary.npz", lambda p: _chosen(loaded))
    targets.append(Target("canary.npz", [chosen], run, False, 0.5))
    labels = rng.randint(0, 10, 3)
    blob = [picture("JPEG", "RGB", 32) for _ in range(2)]
    ends = np.cumsum([0] + [len(one) for one in blob])
    pack = npz(blob=np.frombuffer(b"".join(blob), np.uint8), offsets=ends, labels=np.array([0, 1]),
                classes=np.array(["0", "1"]))
    plain = npz(x_test=rng.randint(0, 256, (3, 8, 8)).astype(np.uint8), y_test=labels)
    run = from_file(base / "t.npz", lambda p: find_test_set(network, p))
    targets.append(Target("test set .npz", [plain, pack], run, False, 0.5))
    lists = [
        {"x_test": rng.randint(0, 256, (3, 8, 8)).tolist(), "y_test": labels.tolist()},
        {"blob": list(b"".join(blob)), "offsets": ends.tolist(), "labels": [0, 1], "classes": ["0", "1"]}]

    def members(data: bytes) -> Any:
        try:
            arrays = {key: np.array(value) for key, value in json.loads(data.decode("utf-8", "surrogatepass")).items()}
            (base / "m.npz").write_bytes(npz(**{
                key: array.astype(np.uint8) if key in ("x_test", "blob") else array for key, array in arrays.items()}))
        except Exception as error:  # no arrays: nothing to read
            raise InputError(str(error)) from None
        return find_test_set(network, base / "m.npz")

    seeds = [json.dumps(arrays).encode() for arrays in lists]
    targets.append(Target("test set .npz, its arrays", seeds, members, True, 0.2))
    return targets


def _others(base: Path) -> list[Target]:
    idx = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (2, 3, 4)) + bytes(range(24))
    targets = [Target("idx", [idx, b"\0\0\x08\x01\0\0\0\x02\1\2"], from_file(base / "i", read_idx), False, 2),
               Target("idx.gz", [gzip.compress(idx)], from_file(base / "i.gz", read_idx))]
    rng = np.random.RandomState(2)
    geometry = {"pe": 2, "simd": 64, "threshold_bits": 64, "activation_bits": 2}
    for what in ("weights", "thres"):
        folder = made_folder(base, "bins of " + what)
        for pe in range(2):
            for other, words in (("weights", 9), ("thres", 1)):
                (folder / f"0-{pe}-{other}.bin").write_bytes(rng.bytes(8 * words))
        path = folder / f"0-1-{what}.bin"
        targets.append(Target(".bin, offload " + what, [path.read_bytes()], from_file(
            path, lambda p: qnn_mo_files.read_run(p.parent, 0, 64, 2, 3, geometry))))
    place = made_folder(base, "lfc")
    path = place / "0-0-weights.bin"
    targets.append(Target(".bin, dense", [rng.bytes(128)], from_file(
        path, lambda p: bnn_pynq._read_layer(p.parent, 0, "weights", 1, 16))))
    targets.append(Target("classes.txt", [b"zero\none\ntwo\n", "null\néins\n".encode("utf-8-sig")], from_file(
        base / "classes.txt", lambda p: bnn_pynq._classes(p.parent, p)), False, 0.5))
    cifar = {"test_batch.bin": (b"\3" + bytes(3072)) * 2, "batches.meta.txt": "\n".join("abcdefghij").encode()}
    for changed in cifar:
        folder = made_folder(base, "cifar " + changed)
        for name, data in cifar.items():
            (folder / name).write_bytes(data)
        targets.append(Target("CIFAR-10, " + changed, [cifar[changed]], from_file(
            folder / changed, lambda p: read_colour(p.parent, "test")), False, 0.5))
    return targets + _hardware_files(base) + [_recordings(base)]


def _hardware_files(base: Path) -> list[Target]:
    folder = made_folder(base, "hardware")
    bits = bit_file()
    design = (b'<?xml version="1.0" encoding="UTF-8"?><EDKSYSTEM><MODULES><MODULE INSTANCE="BlackBoxJam_0" VLNV='
              b'"xilinx.com:hls:BlackBoxJam:1.0"><PORTS><PORT DIR="I" NAME="ap_clk" SIGIS="clk"><CONNECTIONS>'
              b'<CONNECTION INSTANCE="ps7" PORT="FCLK_CLK0"/></CONNECTIONS></PORT></PORTS></MODULE></MODULES>'
              b'</EDKSYSTEM>')
    document = json.loads((catalogue.find_overlay("bnn-pynq-lfc-w1a1").path / "overlay.json").read_text())
    for key, name, data in (("bitstream", "a.bit", bits), ("hwh", "a.hwh", design)):
        entry = document["files"][key]
        entry.clear()
        entry.update(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        (folder / name).write_bytes(data)
    (folder / "overlay.json").write_text(json.dumps(document))
    overlay = load_overlay(folder)

    def parse(path: Path) -> Any:
        with mock.patch.object(doctor_overlays, "descriptors", lambda: [overlay]), \
                mock.patch.object(catalogue, "overlay_files", lambda _: {"hwh": path}):
            return doctor_overlays.check_hwh(None), zynq_state.clock_number(path, "BlackBoxJam_0")

    def verify(path: Path) -> Any:
        found = catalogue.overlay_files(overlay)
        assert path.read_bytes() == bits, "a changed bitstream was accepted"
        return found

    description = {"format": "qnn-pynq-streams", "version": 1, "name": "loopback", "inputs": [
        {"name": "x", "type": "float", "shape": [4]}], "outputs": [{"name": "y", "type": "float", "shape": [4]}]}
    (folder / "streams.json").write_text(json.dumps(description))
    streams = load_description(folder / "streams.json")
    dma = streams.dmas[0]
    parameters = {"c_sg_length_width": dma.length_bits, "c_include_sg": 0, "c_include_mm2s": 1, "c_include_s2mm": 1,
                  "c_m_axi_mm2s_data_width": dma.data_bits, "c_m_axi_s2mm_data_width": dma.data_bits}
    built = '<EDKSYSTEM><MODULES><MODULE INSTANCE="{}" VLNV="xilinx.com:ip:axi_dma:7.1">{}</MODULE></MODULES>' \
        '<MEMRANGE INSTANCE="{}" BASEVALUE="{:#x}"/></EDKSYSTEM>'.format(
            dma.name, "".join('<PARAMETER NAME="{}" VALUE="{}"/>'.format(*pair) for pair in parameters.items()),
            dma.name, dma.address)
    return [Target(".hwh", [design], from_file(folder / "b.hwh", parse), False, 1),
            Target(".hwh of streams", [built.encode()], from_file(
                folder / "c.hwh", lambda p: check_hwh(streams, p)), False, 0.5),
            Target(".bit by its digest", [bits], from_file(folder / "a.bit", verify), False, 1),
            Target(".bit, opened", [bits, bit_file("region;PARTIAL=TRUE;Version=2018.2")], from_file(
                folder / "b.bit", read_bitstream), False, 1),
            Target(".hwh, opened", [hwh_file(), design], from_file(
                folder / "d.hwh", read_handoff), False, 0.5)]


def _recordings(base: Path) -> Target:
    """The text, or what it is packed as; outside of these the sha256 in the first line refuses everything."""
    path = base / "recording"
    recording = recording_file.Recording(
        {"format": "qnn-pynq-recording", "board": "b"}, bytes(8),
        (recording_file.BoardCall("allocate", 5, 5, (64,), 4096),
         recording_file.BoardCall("flush", 6, 6, (0, 8, bytes(8)), None)))
    recording_file.save_recording(recording, path)
    text = gzip.decompress(path.read_bytes().partition(b"\n")[2])

    def run(data: bytes) -> Any:
        packed = data if data[:2] == b"\x1f\x8b" else gzip.compress(data, 1)
        first = f"qnn-pynq-recording {recording_file.VERSION} {hashlib.sha256(packed).hexdigest()}\n"
        path.write_bytes(first.encode() + packed)
        return recording_file.load_recording(path)

    return Target("recording", [text, gzip.compress(text)], run, False, 1)


def _pictures() -> list[Target]:
    digits, photograph = small.network().input, small_conv.small_network().input
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds = {
        "PNG": [picture("PNG", mode) for mode in ("RGB", "L", "P", "RGBA", "1")],
        "JPEG": [picture("JPEG", "RGB"), picture("JPEG", "L", progressive=True), picture("JPEG", "CMYK"),
                 picture("JPEG", "RGB", exif=turned.tobytes())],
        "GIF, BMP, TIFF, PPM": [picture(kind, "RGB") for kind in ("GIF", "BMP", "TIFF", "PPM")],
    }

    def run(data: bytes) -> Any:
        if len(data) & 2 and data[:4] == b"\x89PNG":
            data = with_right_sums(data)
        return prepare(data, photograph if len(data) & 1 else digits)

    return [Target(name, seeds, run, False, 0.5) for name, seeds in kinds.items()]
