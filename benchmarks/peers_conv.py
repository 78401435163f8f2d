"""The peers on nets of DoReFa-Net's shapes: convolutions, pools and dense layers with random weights, ReLU between.

LiteRT and ONNX Runtime are optional: `pip install "ai-edge-litert==2.3.*" onnx onnxruntime`. A function takes a
net (a list of `Conv`, `Pool` and `Dense`) and the side of its input, and returns a call that computes one
picture; the input is in place before (no copy is timed). Groups are one grouped convolution: to LiteRT that costs
what the halves cost one by one, to ONNX Runtime about a sixth more.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import numpy as np


class Conv(NamedTuple):
    """Square kernel, `around` zeros on all sides, then ReLU."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    around: int = 0
    groups: int = 1


class Pool(NamedTuple):
    """Maximum; padding of zeros before and after."""

    size: int
    stride: int
    padding: tuple[int, int] = (0, 0)


class Dense(NamedTuple):
    """ReLU behind it, except for the last layer of a net."""

    inputs: int
    outputs: int


FIRST = [Conv(3, 68, 12, 4)]
STACK = [
    Conv(68, 180, 5, 1, 2, 2),
    Pool(3, 2, (0, 1)),
    Conv(180, 272, 3, 1, 1),
    Pool(3, 2, (1, 1)),
    Conv(272, 384, 3, 1, 1, 2),
    Conv(384, 256, 3, 1, 1, 2),
    Pool(3, 2),
]
TAIL = [Dense(9216, 4096), Dense(4096, 4096), Dense(4096, 1000)]


def _weights(net: list[Any]) -> list[np.ndarray | None]:
    """Of each layer: (outputs, kernel, kernel, inputs of a group) or (outputs, inputs), +-1."""
    rng = np.random.default_rng(2)
    found: list[np.ndarray | None] = []
    for layer in net:
        shape = layer[1::-1]
        if isinstance(layer, Conv):
            shape = (layer.outputs, layer.kernel, layer.kernel, layer.inputs // layer.groups)
        found.append(None if isinstance(layer, Pool) else rng.choice([-1, 1], size=shape).astype(np.int8))
    return found


def _scales(weights: list[np.ndarray | None]) -> list[float]:
    """Of the 8-bit values at the input and behind each layer: about four standard deviations."""
    scales, spread = [1 / 255], 0.5
    for w in weights:
        if w is None:
            scales.append(scales[-1])
            continue
        spread *= float(np.sqrt(w[0].size))
        scales.append(4 * spread / 255)
        spread *= 0.6
    return scales


def _sides(net: list[Any], side: int) -> list[int]:
    """Of the map at the input and behind each layer; 1 for dense layers."""
    sides = [side]
    for layer in net:
        if isinstance(layer, Conv):
            side = (side + 2 * layer.around - layer.kernel) // layer.stride + 1
        elif isinstance(layer, Pool):
            side = (side + sum(layer.padding) - layer.size) // layer.stride + 1
        sides.append(side)
    return sides


# -- LiteRT ----------------------------------------------------------------------------------------------------------


def litert_model(net: list[Any], side: int, floats: bool) -> bytes:
    """A .tflite file, full int8 (weights' scales by channel) or float32, written with LiteRT's own schema."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    builtin, types = schema.BuiltinOperator, schema.TensorType
    relu, linear = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.NONE
    model = schema.ModelT()
    model.version = 3
    model.description = "DoReFa-Net's shapes"
    codes = [(builtin.CONV_2D, 3), (builtin.MAX_POOL_2D, 2), (builtin.FULLY_CONNECTED, 5)]
    model.operatorCodes = []
    for number, version in codes:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = version
        model.operatorCodes.append(code)
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [], []

    def tensor(name: str, kind: int, shape: Any, scale: Any, zero: int, data: Any = None) -> int:
        t = schema.TensorT()
        t.name, t.type, t.shape, t.buffer = name, types.FLOAT32 if floats else kind, list(shape), 0
        if not floats:
            t.quantization = schema.QuantizationParametersT()
            t.quantization.scale = np.atleast_1d(scale).tolist()
            t.quantization.zeroPoint = [zero] * len(t.quantization.scale)
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer((data.astype(np.float32) if floats else data).tobytes(), np.uint8)
            t.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(t)
        return len(graph.tensors) - 1

    weights, sides = _weights(net), _sides(net, side)
    scales = _scales(weights)
    channels = net[0].inputs
    shape = (1, channels) if isinstance(net[0], Dense) else (1, side, side, channels)
    at = tensor("input", types.INT8, shape, scales[0], -128)
    graph.inputs = [at]
    for number, (layer, w) in enumerate(zip(net, weights)):
        op = schema.OperatorT()
        last = number == len(net) - 1 and isinstance(layer, Dense)
        op.inputs = [at]
        if isinstance(layer, Pool):
            op.opcodeIndex, op.builtinOptionsType = 1, schema.BuiltinOptions.Pool2DOptions
            options: Any = schema.Pool2DOptionsT()
            options.filterWidth = options.filterHeight = layer.size
            options.strideW = options.strideH = layer.stride
            options.fusedActivationFunction = linear
            options.padding = schema.Padding.SAME if sum(layer.padding) else schema.Padding.VALID
        else:
            assert w is not None
            n = len(w)
            by_channel = np.full(n, 1 / 127)
            op.inputs.append(tensor(f"w{number}", types.INT8, w.shape, by_channel, 0, w if floats else w * 127))
            bias = np.zeros(n, np.int32)
            op.inputs.append(tensor(f"b{number}", types.INT32, (n,), by_channel * scales[number], 0, bias))
            channels = n
            if isinstance(layer, Conv):
                op.opcodeIndex, op.builtinOptionsType = 0, schema.BuiltinOptions.Conv2DOptions
                options = schema.Conv2DOptionsT()
                options.strideW = options.strideH = layer.stride
                options.dilationWFactor = options.dilationHFactor = 1
                options.padding = schema.Padding.SAME if layer.around else schema.Padding.VALID
            else:
                op.opcodeIndex, op.builtinOptionsType = 2, schema.BuiltinOptions.FullyConnectedOptions
                options = schema.FullyConnectedOptionsT()
            options.fusedActivationFunction = linear if last else relu
        op.builtinOptions = options
        side = sides[number + 1]
        shape = (1, channels) if isinstance(layer, Dense) else (1, side, side, channels)
        at = tensor(f"y{number}", types.INT8, shape, scales[number + 1] * (2 if last else 1), 0 if last else -128)
        op.outputs = [at]
        graph.operators.append(op)
    graph.outputs = [at]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1 << 22)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def litert(net: list[Any], side: int, floats: bool = False) -> Callable[[], Any]:
    """LiteRT through XNNPACK, one thread; `invoke` alone."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=litert_model(net, side, floats), num_threads=1)
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]
    pictures = np.random.default_rng(3).integers(0, 256, size=place["shape"])
    value = (pictures / 255).astype(np.float32) if floats else (pictures - 128).astype(np.int8)
    interpreter.set_tensor(place["index"], value)
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert answer.std() > (0 if floats else 5), "the peer's answers are all alike: its scales are wrong"
    return interpreter.invoke


def litert_fp32(net: list[Any], side: int) -> Callable[[], Any]:
    """LiteRT, float32."""
    return litert(net, side, True)


# -- ONNX Runtime ----------------------------------------------------------------------------------------------------


def onnx(net: list[Any], side: int, floats: bool = False) -> Callable[[], Any]:
    """ONNX Runtime, one thread: QDQ with uint8 activations and int8 weights, or float32."""
    import onnxruntime
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    weights, sides = _weights(net), _sides(net, side)
    scales = _scales(weights)
    zero_u, zero_s, zero_i = (
        constant("zero" + np.dtype(kind).name, np.zeros((), kind)) for kind in (np.uint8, np.int8, np.int32)
    )
    weight_scale = constant("ws", np.float32(1 / 127).reshape(()))

    def quantised(at: str, number: int) -> str:
        scale = constant(f"s{number}", np.float32(scales[number]).reshape(()))
        if number:
            at = node("QuantizeLinear", [at, scale, zero_u], f"q{number}")
        return node("DequantizeLinear", [at, scale, zero_u], f"x{number}")

    at = "input" if floats else quantised("input", 0)
    channels = net[0].inputs
    for number, (layer, w) in enumerate(zip(net, weights)):
        n = str(number)
        last = number == len(net) - 1
        if isinstance(layer, Pool):
            before, after = layer.padding
            at = node("MaxPool", [at], "p" + n, kernel_shape=[layer.size] * 2, strides=[layer.stride] * 2,
                      pads=[before, before, after, after])  # fmt: skip
        else:
            assert w is not None
            w = np.ascontiguousarray(w.T if isinstance(layer, Dense) else w.transpose(0, 3, 1, 2))
            channels = layer.outputs
            if floats:
                inputs = [constant("w" + n, w.astype(np.float32)), constant("b" + n, np.zeros(channels, np.float32))]
            else:
                bias_scale = constant("bs" + n, np.float32(scales[number] / 127).reshape(()))
                inputs = [
                    node("DequantizeLinear", [constant("w" + n, w * 127), weight_scale, zero_s], "wf" + n),
                    node("DequantizeLinear", [constant("b" + n, np.zeros(channels, np.int32)), bias_scale, zero_i],
                         "bf" + n),
                ]  # fmt: skip
            if isinstance(layer, Conv):
                at = node("Conv", [at] + inputs, "c" + n, kernel_shape=[layer.kernel] * 2, group=layer.groups,
                          strides=[layer.stride] * 2, pads=[layer.around] * 4)  # fmt: skip
            else:
                at = node("Gemm", [at] + inputs, "c" + n)
            if not (last and isinstance(layer, Dense)):
                at = node("Relu", [at], "r" + n)
        if not floats:
            at = quantised(at, number + 1)
    nodes[-1].output[0] = "output"
    dense = isinstance(net[0], Dense)
    shape = [1, net[0].inputs] if dense else [1, net[0].inputs, side, side]
    kind = TensorProto.FLOAT if floats else TensorProto.UINT8
    if not floats:
        nodes.pop()  # the answer stays uint8
        nodes[-1].output[0] = "output"
    out_shape = [1, channels] if dense else [1, channels, sides[-1], sides[-1]]
    graph = helper.make_graph(
        nodes,
        "dorefa",
        [helper.make_tensor_value_info("input", kind, shape)],
        [helper.make_tensor_value_info("output", kind, out_shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    pictures = np.random.default_rng(3).integers(0, 256, size=shape)
    value = (pictures / 255).astype(np.float32) if floats else pictures.astype(np.uint8)
    binding = session.io_binding()
    binding.bind_ortvalue_input("input", onnxruntime.OrtValue.ortvalue_from_numpy(value))
    binding.bind_ortvalue_output(
        "output", onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(out_shape, value.dtype))
    )
    session.run_with_iobinding(binding)
    assert binding.copy_outputs_to_cpu()[0].std() > 0
    return lambda: session.run_with_iobinding(binding)


def onnx_fp32(net: list[Any], side: int) -> Callable[[], Any]:
    """ONNX Runtime, float32."""
    return onnx(net, side, True)


# -- numpy -----------------------------------------------------------------------------------------------------------


def _thresholds(sums: np.ndarray) -> np.ndarray:
    codes = np.zeros(sums.shape, np.uint8)
    for threshold in (1 / 6, 1 / 2, 5 / 6):
        codes += sums > np.float32(threshold)
    return codes


def numpy_im2col(net: list[Any], side: int) -> Callable[[], Any]:
    """One convolution in numpy, float32, as the published notebooks do it: the indices of all windows are made
    for each picture (channels first), then fancy indexing, one matrix product and 3 thresholds."""
    (layer,), (w,) = net, _weights(net)
    assert w is not None
    places, kernel = _sides(net, side)[1], layer.kernel
    matrix = np.ascontiguousarray(w.transpose(0, 3, 1, 2).reshape(layer.outputs, -1).astype(np.float32))
    picture = np.random.default_rng(3).random((1, layer.inputs, side, side), np.float32)

    def call() -> Any:
        channel, ky, kx = (v.reshape(-1, 1) for v in np.indices((layer.inputs, kernel, kernel)))
        y, x = (layer.stride * v.reshape(1, -1) for v in np.indices((places, places)))
        columns = picture[:, channel, ky + y, kx + x].transpose(1, 2, 0).reshape(len(matrix.T), -1)
        return _thresholds((matrix @ columns).reshape(-1, places, places))

    return call


def numpy_windows(net: list[Any], side: int) -> Callable[[], Any]:
    """The same with `sliding_window_view`."""
    (layer,), (w,) = net, _weights(net)
    assert w is not None
    places = _sides(net, side)[1]
    matrix = np.ascontiguousarray(w.reshape(layer.outputs, -1).T.astype(np.float32))
    picture = np.random.default_rng(3).random((side, side, layer.inputs), np.float32)

    def call() -> Any:
        view = np.lib.stride_tricks.sliding_window_view(picture, (layer.kernel,) * 2, (0, 1))
        view = view[:: layer.stride, :: layer.stride].transpose(0, 1, 3, 4, 2)
        return _thresholds(view.reshape(places * places, -1) @ matrix)

    return call
