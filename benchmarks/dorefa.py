"""Our kernels beside LiteRT, ONNX Runtime and numpy, on layers of DoReFa-Net's shapes.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/dorefa.py

One thread, interleaved rounds, medians of thread CPU time, one picture, everything hot. Peers compute nets of the
same shapes with 8-bit or float weights and are timed without the copy of their input (LiteRT: `invoke` alone);
ours are calls from Python that make codes by thresholds, pools included.
"""

from __future__ import annotations

import argparse
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import peers_conv as peers  # noqa: E402
from common import interleaved, machine, one_cpu, table  # noqa: E402

PARTS = {"stack": (peers.STACK, 54), "conv0": (peers.FIRST, 224), "tail": (peers.TAIL, 1)}
PEERS = {
    "LiteRT int8": (peers.litert, ("stack", "conv0", "tail")),
    "ONNX Runtime int8": (peers.onnx, ("stack", "conv0", "tail")),
    "LiteRT fp32": (peers.litert_fp32, ("stack", "conv0", "tail")),
    "ONNX Runtime fp32": (peers.onnx_fp32, ("stack", "conv0", "tail")),
    "numpy im2col": (peers.numpy_im2col, ("conv0",)),
    "numpy windows": (peers.numpy_windows, ("conv0",)),
}
# what the project promises: (part, ours, peer, times as fast)
GOALS = [
    ("stack", "1-bit", "LiteRT int8", 3.0),
    ("stack", "1-bit", "ONNX Runtime int8", 3.8),
    ("conv0", "16-bit", "ONNX Runtime fp32", 2.0),
    ("conv0", "16-bit", "numpy im2col", 30.0),
    ("tail", "1-bit", "LiteRT int8", 10.0),
]


def convolution(rng, layer, weight_bits, codes=3):
    """Our description of a peer's convolution, random weights."""
    from qnn_pynq.networks import Conv

    part = layer.inputs // layer.groups
    shape = (layer.outputs, layer.kernel, layer.kernel, part)
    spread = int(np.sqrt(layer.kernel**2 * part)) + 1
    if weight_bits == 1:
        weights = np.packbits(rng.integers(0, 2, shape).astype(np.uint8), axis=-1, bitorder="little")
        bits = 2
    else:
        weights = rng.integers(-2000, 2000, shape).astype(np.int16 if weight_bits == 16 else np.float32)
        spread *= 127 * 1000
        bits = 8 if weight_bits == 16 else 32
    thresholds = rng.integers(-spread, spread, (layer.outputs, codes))
    thresholds = thresholds.astype(np.float32 if weight_bits == 32 else np.int32)
    around = (layer.around, layer.around)
    return Conv(layer.inputs, layer.outputs, layer.kernel, layer.stride, around, weights, thresholds, weight_bits, bits,
                groups=layer.groups)  # fmt: skip


def bound(layer, maps):
    """The call of a layer on these maps."""
    out = layer.run(maps)
    return lambda: layer.run(maps, out)


def ours():
    """(part, name) -> call."""
    from qnn_pynq.kernels import ConvLayer, ConvStack, LinearLayer
    from qnn_pynq.networks import Linear, Pool

    rng = np.random.default_rng(1)
    layers = [
        Pool(p.size, p.stride, p.padding) if isinstance(p, peers.Pool) else convolution(rng, p, 1) for p in peers.STACK
    ]
    stack = ConvStack(layers, 54, 54)
    maps = rng.integers(0, 4, (1,) + stack.input_shape).astype(np.uint8)
    codes = stack.run(maps)
    calls = {("stack", "1-bit"): lambda: stack.run(maps, codes)}
    pixels = rng.integers(0, 256, (1, 224, 224, 3)).astype(np.uint8)
    for name, bits, picture in (("16-bit", 16, pixels), ("float", 32, pixels.astype(np.float32))):
        first = ConvLayer(convolution(rng, peers.FIRST[0], bits), 224, 224)
        calls["conv0", name] = bound(first, picture)
    dense = []
    for number, (inputs, outputs) in enumerate(peers.TAIL):
        weights = rng.integers(0, 256, (outputs, inputs // 8)).astype(np.uint8)
        thresholds = rng.integers(-100, 100, (outputs, 3)) if number < 2 else None
        dense.append(LinearLayer(Linear(inputs, outputs, weights, weight_bits=1, thresholds=thresholds, output_bits=2)))
    features = rng.integers(0, 4, (1, 9216)).astype(np.uint8)

    def tail():
        x = features
        for layer in dense:
            x = layer.run(x)
        return x

    calls["tail", "1-bit"] = tail
    return calls


def per_layer(rounds):
    """Microseconds of each convolution of the stack with its pool."""
    from qnn_pynq.contracts.layer import Signal
    from qnn_pynq.kernels import ConvLayer
    from qnn_pynq.networks import Pool

    rng = np.random.default_rng(1)
    tasks, macs, side = {}, {}, 54
    for number, layer in enumerate(peers.STACK):
        if isinstance(layer, peers.Pool):
            continue
        follows = (peers.STACK + [None])[number + 1]
        pool = Pool(*follows) if isinstance(follows, peers.Pool) else None
        mine = convolution(rng, layer, 1)
        one = ConvLayer(mine, side, side, pool)
        maps = rng.integers(0, 4, (1,) + one.input_shape).astype(np.uint8)
        name = f"conv{len(tasks) + 1} {one.method}"
        tasks[name] = (bound(one, maps), 1)
        macs[name] = mine.macs(Signal("codes", (side, side, mine.inputs), mine.input_bits, 3.0))
        side = one.output_shape[0]
    times = interleaved(tasks, rounds, 0.02)
    rows = [[name, f"{t:.1f}", f"{macs[name] / t / 1e3:.0f}"] for name, t in times.items()]
    print(table(["", "us", "GMAC/s"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--burst", type=float, default=0.02, help="seconds of each task in each round")
    parser.add_argument("--isa", help="instruction set of ours, the best one otherwise")
    parser.add_argument("--layers", action="store_true", help="our convolutions one by one, no peers")
    arguments = parser.parse_args()
    one_cpu()

    from qnn_pynq import kernels

    isa = kernels.set_isa(arguments.isa)
    print(machine())
    if arguments.layers:
        per_layer(arguments.rounds)
        return
    calls, missing = ours(), []
    names = list(dict.fromkeys(name for _, name in calls))
    for name, (make, parts) in PEERS.items():
        try:
            for part in parts:
                calls[part, name] = make(*PARTS[part])
            names.append(name)
        except ImportError as error:
            missing.append(f"{name}: {error}")
            calls = {key: call for key, call in calls.items() if key[1] != name}
    times = interleaved({key: (call, 1) for key, call in calls.items()}, arguments.rounds, arguments.burst)
    print(f"\nus of one picture, median of {arguments.rounds} rounds, one thread, CPU time; ours: {isa}")
    cell = {key: f"{value:.1f}" for key, value in times.items()}
    print(table(["", *PARTS], [[name, *(cell.get((part, name), "-") for part in PARTS)] for name in names]))
    rows = []
    for part, name, peer, goal in GOALS:
        if (part, peer) in times:
            ratio = times[part, peer] / times[part, name]
            rows.append([part + " " + name, peer, f"{ratio:.1f}", f"{goal:.1f}"])
    if rows:
        print("\ntimes as fast as the peer")
        print(table(["", "peer", "measured", "aim"], rows))
    for line in missing:
        print("not measured,", line)


if __name__ == "__main__":
    main()
