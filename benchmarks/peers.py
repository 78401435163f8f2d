"""The peers: nets of the LFC's shape (784-1024-1024-1024-10, ReLU between, random +-1 weights).

LiteRT and ONNX Runtime are optional: `pip install "ai-edge-litert==2.3.*" onnx onnxruntime`. A function
returns a call that computes one batch; the input is in place before (no copy is timed).
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

SHAPE = (784, 1024, 1024, 1024, 10)


def _weights(seed: int = 2) -> list[np.ndarray]:
    """+-1, (outputs, inputs)."""
    rng = np.random.default_rng(seed)
    return [rng.choice([-1, 1], size=(n, k)).astype(np.int8) for k, n in zip(SHAPE, SHAPE[1:])]


def _scales() -> list[float]:
    """Scale of the uint8/int8 values at the input and after each layer: about four standard deviations."""
    scales = [1 / 255]
    spread = 0.5
    for inputs in SHAPE[:-1]:
        spread *= float(np.sqrt(inputs))
        scales.append(4 * spread / 255)
        spread *= 0.6
    return scales


# -- LiteRT ------------------------------------------------------------------------------------------------


def litert_model(batch: int) -> bytes:
    """A .tflite file, full int8, written with the schema that LiteRT carries; no TensorFlow."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version = 3
    model.description = "LFC shape, int8"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4  # the int8 form
    model.operatorCodes = [code]
    empty = schema.BufferT()
    model.buffers = [empty]
    graph = schema.SubGraphT()
    graph.tensors = []
    graph.operators = []

    def tensor(
        name: str, kind: int, shape: tuple[int, ...], scale: float, zero: int, data: Any = None
    ) -> int:
        t = schema.TensorT()
        t.name, t.type, t.shape = name, kind, list(shape)
        t.quantization = schema.QuantizationParametersT()
        t.quantization.scale, t.quantization.zeroPoint = [scale], [zero]
        t.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            t.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(t)
        return len(graph.tensors) - 1

    types, scales = schema.TensorType, _scales()
    at = tensor("input", types.INT8, (batch, SHAPE[0]), scales[0], -128)
    graph.inputs = [at]
    for number, w in enumerate(_weights()):
        n, k = w.shape
        values = tensor(f"w{number}", types.INT8, (n, k), 1 / 127, 0, (w * 127).astype(np.int8))
        bias = tensor(f"b{number}", types.INT32, (n,), scales[number] / 127, 0, np.zeros(n, np.int32))
        last = number == 3
        result = tensor(f"y{number}", types.INT8, (batch, n), scales[number + 1] * (2 if last else 1),
                        0 if last else -128)  # fmt: skip
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = 0, [at, values, bias], [result]
        op.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        op.builtinOptions = schema.FullyConnectedOptionsT()
        activation = schema.ActivationFunctionType
        op.builtinOptions.fusedActivationFunction = activation.NONE if last else activation.RELU
        graph.operators.append(op)
        at = result
    graph.outputs = [at]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1 << 22)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def litert(batch: int) -> Callable[[], Any]:
    """LiteRT, int8 through XNNPACK, one thread; `invoke` alone."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=litert_model(batch), num_threads=1)
    interpreter.allocate_tensors()
    pictures = np.random.default_rng(3).integers(-128, 128, size=(batch, SHAPE[0])).astype(np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pictures)
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert answer.std() > 5, "the peer's answers are all alike: its scales are wrong"
    return interpreter.invoke


# -- ONNX Runtime ------------------------------------------------------------------------------------------


def _session(model: Any, batch: int, pictures: np.ndarray) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    binding.bind_ortvalue_input("input", onnxruntime.OrtValue.ortvalue_from_numpy(pictures))
    binding.bind_ortvalue_output(
        "output", onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((batch, SHAPE[-1]), np.float32))
    )
    session.run_with_iobinding(binding)
    assert binding.copy_outputs_to_cpu()[0].std() > 0
    return lambda: session.run_with_iobinding(binding)


def _onnx(nodes: list[Any], constants: list[Any], kind: int, batch: int) -> Any:
    from onnx import TensorProto, checker, helper

    graph = helper.make_graph(
        nodes,
        "lfc",
        [helper.make_tensor_value_info("input", kind, [batch, SHAPE[0]])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, SHAPE[-1]])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model


def onnx_int8(batch: int) -> Callable[[], Any]:
    """ONNX Runtime, QDQ: uint8 activations, int8 weights."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, scales = [], [], _scales()

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    zero_u = constant("zero_u", np.zeros((), np.uint8))
    zero_s = constant("zero_s", np.zeros((), np.int8))
    zero_i = constant("zero_i", np.zeros((), np.int32))
    weight_scale = constant("ws", np.float32(1 / 127).reshape(()))
    scale = constant("s0", np.float32(scales[0]).reshape(()))
    nodes.append(helper.make_node("DequantizeLinear", ["input", scale, zero_u], ["x0"]))
    for number, w in enumerate(_weights()):
        n = str(number)
        bias_scale = constant("bs" + n, np.float32(scales[number] / 127).reshape(()))
        constant("w" + n, np.ascontiguousarray((w.T * 127).astype(np.int8)))
        constant("b" + n, np.zeros(w.shape[0], np.int32))
        nodes.append(helper.make_node("DequantizeLinear", ["w" + n, weight_scale, zero_s], ["wf" + n]))
        nodes.append(helper.make_node("DequantizeLinear", ["b" + n, bias_scale, zero_i], ["bf" + n]))
        out = "output" if number == 3 else "g" + n
        nodes.append(helper.make_node("Gemm", ["x" + n, "wf" + n, "bf" + n], [out]))
        if number < 3:
            after = str(number + 1)
            scale = constant("s" + after, np.float32(scales[number + 1]).reshape(()))
            nodes.append(helper.make_node("Relu", ["g" + n], ["r" + n]))
            nodes.append(helper.make_node("QuantizeLinear", ["r" + n, scale, zero_u], ["q" + after]))
            nodes.append(helper.make_node("DequantizeLinear", ["q" + after, scale, zero_u], ["x" + after]))
    pictures = np.random.default_rng(3).integers(0, 256, size=(batch, SHAPE[0])).astype(np.uint8)
    return _session(_onnx(nodes, constants, TensorProto.UINT8, batch), batch, pictures)


def onnx_fp32(batch: int) -> Callable[[], Any]:
    """ONNX Runtime, float32."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, at = [], [], "input"
    for number, w in enumerate(_weights()):
        n = str(number)
        constants.append(numpy_helper.from_array(np.ascontiguousarray(w.T.astype(np.float32)), "w" + n))
        constants.append(numpy_helper.from_array(np.zeros(w.shape[0], np.float32), "b" + n))
        out = "output" if number == 3 else "g" + n
        nodes.append(helper.make_node("Gemm", [at, "w" + n, "b" + n], [out]))
        if number < 3:
            nodes.append(helper.make_node("Relu", [out], ["r" + n]))
            at = "r" + n
    pictures = np.random.default_rng(3).random((batch, SHAPE[0]), np.float32)
    return _session(_onnx(nodes, constants, TensorProto.FLOAT, batch), batch, pictures)


# -- numpy -------------------------------------------------------------------------------------------------


def numpy_fp32(batch: int) -> Callable[[], Any]:
    """numpy, float32 matrix products and thresholds, on -1/+1 (set OMP_NUM_THREADS=1 before the start)."""
    weights = [np.ascontiguousarray(w.T.astype(np.float32)) for w in _weights()]
    start = np.random.default_rng(3).choice([-1, 1], size=(batch, SHAPE[0])).astype(np.float32)

    def call() -> Any:
        x = start
        for w in weights:
            x = np.where(x @ w > 0, np.float32(1), np.float32(-1))
        return x

    return call


def numpy_popcount(batch: int) -> Callable[[], Any]:
    """numpy 2, packed bits and `bitwise_count`."""
    if not hasattr(np, "bitwise_count"):
        raise ImportError(f"numpy {np.__version__} has no bitwise_count")
    rng = np.random.default_rng(3)
    weights = [
        rng.integers(0, 2**63, size=(n, (k + 63) // 64)).astype(np.uint64) for k, n in zip(SHAPE, SHAPE[1:])
    ]
    start = rng.integers(0, 2**63, size=(batch, weights[0].shape[1])).astype(np.uint64)

    def call() -> Any:
        x = start
        for w in weights:
            counts = np.empty((len(x), len(w)), np.uint16)
            for i in range(len(x)):
                np.bitwise_count(w ^ x[i]).sum(axis=1, dtype=np.uint16, out=counts[i])
            bits = counts < 32 * w.shape[1]
            if bits.shape[1] % 64 == 0:
                x = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
        return bits

    return call


PEERS: dict[str, Callable[[int], Callable[[], Any]]] = {
    "LiteRT int8": litert,
    "ONNX Runtime int8": onnx_int8,
    "ONNX Runtime fp32": onnx_fp32,
    "numpy fp32": numpy_fp32,
    "numpy bitwise_count": numpy_popcount,
}
