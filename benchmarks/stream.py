"""`Classifier.stream`: both sides beside one another, the slower one alone as the measure.

    python benchmarks/stream.py [--network dorefa-w1a2-imagenette]

The emulated board takes as long as its cycle model says (`realtime=True`), at several clocks of the logic, so
that once the processor's side and once the accelerator's side is the slower one. Per round: only decoding and
first layer; only the accelerator, on codes that are ready; the stream. Wall time, medians of interleaved
rounds; the two sides are two threads, so this needs two processors with nothing else to do.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import statistics
import time
from typing import Any, Callable

import numpy as np
from common import machine, table
from PIL import Image


def photographs(count: int, size: tuple[int, int] = (320, 240)) -> list[bytes]:
    """JPEG files of smooth noise."""
    files = []
    rng = np.random.default_rng(3)
    for _ in range(count):
        coarse = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(coarse).resize(size, Image.BICUBIC).save(stream, "JPEG", quality=90)
        files.append(stream.getvalue())
    return files


def rate(call: Callable[[], Any], pictures: int) -> float:
    begin = time.perf_counter()
    call()
    return pictures / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="dorefa-w1a2-imagenette")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clocks", type=float, nargs="+", default=[5, 10, 25, 100], help="MHz of the logic")
    arguments = parser.parse_args()

    from qnn_pynq.boards.emulated import EmulatedBoard
    from qnn_pynq.catalogue import find_network, find_overlay
    from qnn_pynq.classifier import Classifier

    network = find_network(arguments.network)
    overlay = find_overlay(network.overlays[0])
    files, size = photographs(arguments.pictures), arguments.batch
    batches = [files[k : k + size] for k in range(0, len(files), size)]
    rows = []
    for clock in arguments.clocks:
        slowed = dataclasses.replace(overlay, clock_mhz=clock)
        with EmulatedBoard(realtime=True) as board, Classifier(network, board, slowed) as classifier:
            pipeline = classifier._pipeline
            ready = [pipeline.make_ready(batch, "auto") for batch in batches]

            def host() -> None:
                for batch in batches:
                    pipeline.make_ready(batch, "auto")

            def accelerator() -> None:
                for work in ready:
                    pipeline.predictions(work)

            def both() -> None:
                with classifier.stream(iter(files), batch_size=size) as stream:
                    answers = [answer.index for answer in stream]
                assert len(answers) == len(files)

            found: dict[str, list[float]] = {"host": [], "accelerator": [], "stream": [], "part": []}
            for _ in range(arguments.rounds):
                one, two, three = (rate(call, len(files)) for call in (host, accelerator, both))
                for name, value in zip(found, (one, two, three, three / min(one, two))):
                    found[name].append(value)
            middle = {name: statistics.median(values) for name, values in found.items()}
        # Filling and draining: the first batch has no other one to run beside.
        bound = len(files) / (len(files) / min(middle["host"], middle["accelerator"])
                              + size / max(middle["host"], middle["accelerator"]))
        rows.append(
            ["{:g}".format(clock)] + ["{:.0f}".format(middle[name]) for name in ("host", "accelerator", "stream")]
            + ["{:.1f} %".format(100 * middle["part"]), "{:.1f} %".format(100 * middle["stream"] / bound)]
        )
    print(machine())
    print("\n{}: pictures per second, batches of {}, median of {} rounds of {} pictures".format(
        network.name, size, arguments.rounds, len(files)))
    print(table(["MHz of the logic", "decode + first layer alone", "accelerator + tail alone", "stream",
                 "stream / slower side", "after filling and draining"], rows))


if __name__ == "__main__":
    main()
