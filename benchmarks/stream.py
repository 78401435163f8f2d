"""`Classifier.stream`: both sides beside one another, the slower one alone as the measure.

    python benchmarks/stream.py [--network dorefa-w1a2-imagenette]

The accelerator's time is a real delay, as long as the cycle model says, at several clocks of the logic, so that
once the processor's side and once the accelerator's side is the slower one. Nothing is computed in that time: a
circuit needs no processor, and emulating one would. Per round: only decoding and first layer; only the
accelerator, on codes that are ready; the stream. Wall time, medians of interleaved rounds; the two sides are two
threads, so this needs two processors with nothing else to do. The first batch has no other one to run beside:
filling and draining cost a batch of each stream.
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


def sides(classifier: Any, files: list[bytes], size: int, rounds: int) -> dict[str, float]:
    """Pictures per second of both sides alone and of the stream; "part" is stream / slower side, by round."""
    pipeline = classifier._pipeline
    batches = [files[k : k + size] for k in range(0, len(files), size)]
    ready = [pipeline.make_ready(batch, "auto") for batch in batches]

    def host() -> None:
        for batch in batches:
            pipeline.make_ready(batch, "auto")

    def accelerator() -> None:
        for work in ready:
            pipeline.predictions(work)

    def both() -> None:
        with classifier.stream(iter(files), batch_size=size) as stream:
            assert sum(1 for _ in stream) == len(files)

    found: dict[str, list[float]] = {"host": [], "accelerator": [], "stream": [], "part": []}
    for _ in range(rounds):
        one, two, three = (rate(call, len(files)) for call in (host, accelerator, both))
        for name, value in zip(found, (one, two, three, three / min(one, two))):
            found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def delayed(driver: Any, seconds: float) -> None:
    """Let runs take `seconds` a picture and give zeros."""
    run: dict[str, Any] = {}

    def start(images: int) -> None:
        run.update(images=images, end=time.perf_counter() + images * seconds)

    def finish(timeout: float | None) -> np.ndarray:
        time.sleep(max(0.0, run["end"] - time.perf_counter()))
        driver.timing["run"] = run["images"] * seconds
        return np.zeros((run["images"], *shape), np.uint8)

    shape = driver.output.shape
    driver.start, driver.finish = start, finish


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="dorefa-w1a2-imagenette")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=1536)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clocks", type=float, nargs="+", default=[10, 25, 100, 200], help="MHz of the logic")
    arguments = parser.parse_args()

    from qnn_pynq import Classifier
    from qnn_pynq.boards.emulated import EmulatedBoard
    from qnn_pynq.catalogue import find_network, find_overlay

    network = find_network(arguments.network)
    overlay = find_overlay(network.overlays[-1])  # a published one
    files = photographs(arguments.pictures)
    rows = []
    for clock in arguments.clocks:
        slowed = dataclasses.replace(overlay, clock_mhz=clock)
        with EmulatedBoard() as board, Classifier(network, board, slowed) as classifier:
            classifier.classify_many(files[: arguments.batch])
            driver = classifier.engine.driver
            delayed(driver, driver.timing["run"] / arguments.batch)
            found = sides(classifier, files, arguments.batch, arguments.rounds)
        rates = [f"{found[name]:.0f}" for name in ("host", "accelerator", "stream")]
        rows.append([f"{clock:g}", *rates, "{:.1f} %".format(100 * found["part"])])
    print(machine())
    print(f"\n{network.name}: pictures per second, batches of {arguments.batch}, median of {arguments.rounds} rounds "
          f"of {len(files)} pictures")
    print(table(["MHz of the logic", "decode + first layer alone", "accelerator + tail alone", "stream",
                 "stream / slower side"], rows))


if __name__ == "__main__":
    main()
