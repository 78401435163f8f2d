"""What the layers of a network are and cost: shapes, weights, multiplications, and where they run."""

from __future__ import annotations

from typing import Any

from .network import Conv, Dense, Linear, Network

__all__ = ["describe_layers", "totals"]


def describe_layers(network: Network) -> list[dict[str, Any]]:
    """One dict a layer.

    "type"; "input" and "output", the (height, width, channels) or (neurons,) of its maps; "inputs", "outputs";
    kernel, stride and bits where it has them; "weights" and "macs", their numbers (one picture); "runs_on",
    "overlay" or "processor".
    """
    shape: tuple[int, ...] = (network.input.size[0], network.input.size[1], network.input.channels)
    rows: list[dict[str, Any]] = []
    on_overlay = False
    for layer in network.layers:
        row: dict[str, Any] = {"type": type(layer).__name__.lower(), "input": shape}
        if isinstance(layer, Dense):
            row["input"], shape = (layer.inputs,), (layer.outputs,)
            row.update(_dense(layer))
            on_overlay = True
        elif isinstance(layer, Conv):
            macs = layer.macs(shape[0], shape[1])
            shape = (layer.output_size(shape[0]), layer.output_size(shape[1]), layer.outputs)
            row.update(_conv(layer), macs=macs)
            on_overlay = on_overlay or layer.weight_bits == 1
        elif isinstance(layer, Linear):
            if layer.pointwise:
                places, shape = shape[0] * shape[1], (shape[0], shape[1], layer.outputs)
            else:
                places, row["input"], shape = 1, (layer.inputs,), (layer.outputs,)
            row.update(_linear(layer))
            row["macs"] *= places
            on_overlay = False
        else:
            shape = (layer.output_size(shape[0]), layer.output_size(shape[1]), shape[2])
            row.update(kernel=layer.size, stride=layer.stride, padding=layer.padding, weights=0, macs=0)
        rows.append(dict(row, output=shape, runs_on="overlay" if on_overlay else "processor"))
    return rows


def _dense(layer: Dense) -> dict[str, Any]:
    count = layer.inputs * layer.outputs
    return {
        "inputs": layer.inputs,
        "outputs": layer.outputs,
        "weight_bits": layer.weight_bits,
        "coding": "{} to {}, {}".format(layer.input, layer.output, layer.accumulator),
        "thresholds": 0 if layer.thresholds is None else layer.thresholds.shape[1],
        "weights": count,
        "macs": count,
    }


def _conv(layer: Conv) -> dict[str, Any]:
    return {
        "inputs": layer.inputs,
        "outputs": layer.outputs,
        "kernel": layer.kernel,
        "stride": layer.stride,
        "padding": layer.padding,
        "groups": layer.groups,
        "weight_bits": layer.weight_bits,
        "input_bits": layer.input_bits,
        "output_bits": layer.output_bits,
        "weights": layer.outputs * layer.kernel**2 * (layer.inputs // layer.groups),
    }


def _linear(layer: Linear) -> dict[str, Any]:
    count = layer.inputs * layer.outputs
    return {
        "inputs": layer.inputs,
        "outputs": layer.outputs,
        "weight_bits": layer.weight_bits,
        "input_bits": layer.input_bits,
        "activation": layer.activation,
        "output_bits": layer.output_bits,
        "weights": count,
        "macs": count,
    }


def totals(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Layers with weights, weights, and multiplications of one picture; "overlay_macs": those on the overlay."""
    return {
        "layers": sum(1 for row in rows if row["weights"]),
        "weights": sum(row["weights"] for row in rows),
        "macs": sum(row["macs"] for row in rows),
        "overlay_macs": sum(row["macs"] for row in rows if row["runs_on"] == "overlay"),
    }
