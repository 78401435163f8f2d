"""What a multi-layer offload circuit computes correctly, and what it does not: checks before any plan."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn, Sequence

import numpy as np

from ...errors import UnsupportedNetworkError
from ...networks.linear import Linear
from ...networks.maps import Conv, Pool

__all__ = ["Step", "check_steps"]


class Step(NamedTuple):
    """A convolution, with the pool behind it, that the circuit runs; sizes are sides of square maps.

    `layer` is the convolution's place in the network, `name` what profiles call it.
    """

    layer: int
    name: str
    conv: Conv
    pool: Pool | None
    size: int
    padded_size: int
    conv_size: int
    pool_in_size: int
    out_size: int


def check_steps(network: Any, overlay: Any) -> tuple[Step, ...]:
    """Steps from the first convolution with 1-bit weights to the last map.

    Parameters
    ----------
    network : Network
        `layers` and `input` are looked at.
    overlay : Overlay
        Of kind "qnn-mo".

    Raises
    ------
    UnsupportedNetworkError
        Names layer, field, value and limit.
    """
    layers = [layer for layer in network.layers if not isinstance(layer, Linear)]
    refuse = _Refusal(network, overlay)
    first = next((i for i, layer in enumerate(layers) if isinstance(layer, Conv) and layer.weight_bits == 1), None)
    if first is None:
        refuse("no convolution with 1-bit weights: expected at least one; board=\"cpu\" computes such networks")
    shape = (network.input.size[0], network.input.size[1], network.input.channels)
    for layer in layers[:first]:
        channels = layer.outputs if isinstance(layer, Conv) else shape[2]
        shape = (layer.output_size(shape[0]), layer.output_size(shape[1]), channels)
    if shape[0] != shape[1]:
        refuse(f"layer {first}: input of {shape[0]} x {shape[1]}, the circuit takes square maps only")
    size, channels = shape[0], shape[2]
    bits = next((layer.output_bits for layer in reversed(layers[:first]) if isinstance(layer, Conv)), None)
    steps: list[Step] = []
    convolutions = sum(isinstance(layer, Conv) for layer in layers[:first])
    at = first
    while at < len(layers):
        conv = layers[at]
        here = _Refusal(network, overlay, at)
        if isinstance(conv, Pool):
            here("a pool that follows no convolution directly, the circuit pools behind a convolution only")
        if not isinstance(conv, Conv):
            here(f"{type(conv).__name__} layer, the circuit computes convolutions and pools")
        _check_layer(here, conv, channels, bits, overlay.geometry)
        pool = layers[at + 1] if at + 1 < len(layers) and isinstance(layers[at + 1], Pool) else None
        behind = _Refusal(network, overlay, at + 1)
        if pool is not None:
            _check_pool(behind, pool, overlay.geometry)
        step = _sizes(at, f"conv{convolutions}", conv, pool, size)
        _check_sizes(here, step, overlay.geometry)
        if pool is not None and not pool.size <= step.pool_in_size <= overlay.geometry["max_output_size"]:
            behind(f"padded pool input size {step.pool_in_size}, the overlay has {pool.size} to "
                   f"{overlay.geometry['max_output_size']}")
        steps.append(step)
        size, channels, bits = step.out_size, conv.outputs, conv.output_bits
        convolutions += 1
        at += 1 if pool is None else 2
    return tuple(steps)


class _Refusal:
    def __init__(self, network: Any, overlay: Any, layer: int | None = None) -> None:
        self._where = f"network {network.name} on overlay {overlay.name}: "
        if layer is not None:
            self._where += f"layer {layer}: "

    def __call__(self, what: str) -> NoReturn:
        raise UnsupportedNetworkError(self._where + what)


def _sizes(layer: int, name: str, conv: Conv, pool: Pool | None, size: int) -> Step:
    conv_size = conv.output_size(size)
    pool_in = conv_size if pool is None else conv_size + sum(pool.padding)
    out = conv_size if pool is None else pool.output_size(conv_size)
    return Step(layer, name, conv, pool, size, size + sum(conv.padding), conv_size, pool_in, out)


def _check_layer(refuse: _Refusal, conv: Conv, channels: int, arriving: int | None, limits: Any) -> None:
    bits = limits["activation_bits"]
    if conv.weight_bits != 1:
        refuse(f"weight_bits {conv.weight_bits} behind the first offloaded layer, the circuit computes 1")
    for field in ("input_bits", "output_bits"):
        if not 1 <= getattr(conv, field) <= bits:
            refuse(f"{field} {getattr(conv, field)}, the overlay computes activations of 1 to {bits} bits; "
                   f"take an overlay for {getattr(conv, field)}")
    if arriving not in (None, conv.input_bits):
        refuse(f"input_bits {conv.input_bits}, {arriving} bits arrive")
    if conv.inputs != channels:
        refuse(f"inputs {conv.inputs}, {channels} channels arrive")
    if conv.groups < 1 or conv.inputs % conv.groups or conv.outputs % conv.groups:
        refuse(f"groups {conv.groups} do not divide {conv.inputs} inputs and {conv.outputs} outputs")
    inputs = conv.inputs // conv.groups
    if not 1 <= inputs <= limits["max_inputs"]:
        refuse(f"{inputs} input channels a group, the overlay takes 1 to {limits['max_inputs']}")
    if conv.outputs < 1:
        refuse(f"outputs {conv.outputs}: expected at least 1")
    if not 1 <= conv.kernel <= limits["max_kernel"]:
        refuse(f"kernel {conv.kernel}, the overlay has 1 to {limits['max_kernel']}")
    if conv.stride != 1:
        refuse(f"stride {conv.stride}, the circuit computes stride 1 only; use a pool, or a software first layer")
    _check_array(refuse, "weights", conv.weights, (conv.outputs, conv.kernel, conv.kernel, -(-inputs // 8)), "u")
    _check_array(refuse, "thresholds", conv.thresholds, (conv.outputs, 2**conv.output_bits - 1), "iu")
    if conv.invert is not None:
        if conv.output_bits != bits:
            refuse(f"invert with output_bits {conv.output_bits}, the overlay inverts codes of {bits} bits")
        _check_array(refuse, "invert", conv.invert, (conv.outputs,), "b")


def _check_array(refuse: _Refusal, name: str, array: Any, shape: tuple[int, ...], kinds: str) -> None:
    if np.shape(array) != shape or np.asarray(array).dtype.kind not in kinds:
        refuse(f"{name} of shape {np.shape(array)} and dtype {np.asarray(array).dtype}, the overlay takes {shape} of "
               + {"u": "uint8", "iu": "integers", "b": "bool"}[kinds])


def _check_padding(refuse: _Refusal, padding: Sequence[int]) -> None:
    before, after = padding
    if before < 0 or after < 0:
        refuse(f"padding ({before}, {after}): expected lines >= 0")
    if before != (before + after) // 2:
        whole = before + after
        refuse(f"padding ({before}, {after}), the circuit puts {whole} lines as ({whole // 2}, {whole - whole // 2})")


def _check_sizes(refuse: _Refusal, step: Step, limits: Any) -> None:
    conv = step.conv
    _check_padding(refuse, conv.padding)
    # Line buffer and weight memory hold any layer within these limits and those of channels and kernel.
    for what, value, most in (
        ("input size", step.size, limits["max_input_size"]),
        ("padded input size", step.padded_size, limits["max_input_size"]),
        ("output size", step.conv_size, limits["max_output_size"]),
    ):
        if not 1 <= value <= most:
            refuse(f"{what} {value}, the overlay has 1 to {most}")
    if conv.kernel == 1 and step.padded_size == 1:
        refuse("kernel 1 on a map of size 1, the circuit takes at least 2 lines here")


def _check_pool(refuse: _Refusal, pool: Pool, limits: Any) -> None:
    if pool.size != limits["pool_size"]:
        refuse(f"pool size {pool.size}, the overlay has the window {limits['pool_size']} only")
    strides = [stride for stride in (1, 2, 4) if stride <= limits["max_pool_stride"]]
    if pool.stride not in strides:
        refuse(f"pool stride {pool.stride}, the overlay has " + " and ".join(map(str, strides)))
    _check_padding(refuse, pool.padding)
