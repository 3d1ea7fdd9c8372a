"""The machine's peak, measured in the same run: the fastest large matrix product of the runner's own library.

A network's share of it says how much is left at most. It is the library's peak, not the processor's.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from maskclr_edge.optional import available, require

#: rows, columns and depth of the product: large enough that its operations are all that counts
SIZE = 1024
GPU_SIZE = 8192
#: runners whose rows are held against the GPU's product where there is one
ON_GPU = ("torch", "tensorrt", "tensorrt-rtx")
_OPSET = 20
_SECONDS = 0.5
#: precisions whose product is known here; the others' rows get no share
TYPES = {"fp32": "f32", "bf16": "bf16", "int8": ""}


@dataclass(frozen=True)
class Peak:
    """GFLOP/s (for int8 GOP/s) of the fastest product, of which library, and in which type."""

    gflops: float
    library: str
    precision: str
    threads: int | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


def measure_peak(runner: str, precision: str, threads: int | None = None) -> Peak | None:
    """The peak for a runner's rows in a precision; None where there is no product to hold them against.

    ONNX Runtime and OpenVINO multiply themselves (this takes the package onnx); PyTorch's rows, and all
    where onnx is missing, are held against NumPy's BLAS in float32, which chooses its own threads. What runs
    on a GPU is held against PyTorch's product there, where PyTorch is installed.
    """
    if runner in ON_GPU and _torch_has_gpu():
        call = _cuda(precision)
        return call and Peak(_fastest(call, GPU_SIZE), "PyTorch on the GPU", precision, None)
    if precision not in TYPES:
        return None
    if runner in ("onnxruntime", "openvino") and available("onnx"):
        make = {"onnxruntime": _onnxruntime, "openvino": _openvino}[runner]
        if runner == "onnxruntime" and precision == "bf16":
            return None  # it has no such product on CPUs
        return Peak(_fastest(make(precision, threads)), runner, precision, threads)
    if runner in ("onnxruntime", "openvino", "torch") and precision == "fp32" and threads is None:
        left, right = _operands()
        return Peak(_fastest(lambda: left @ right), "NumPy's BLAS", "fp32", None)
    return None


def _operands() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    left, right = (rng.uniform(-1, 1, (SIZE, SIZE)).astype(np.float32) for _ in range(2))
    return left, right


def _torch_has_gpu() -> bool:
    return available("torch") and bool(require("torch").cuda.is_available())


def _cuda(precision: str) -> Callable[[], object] | None:
    torch = require("torch")
    kinds = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    if precision not in kinds:
        return None
    left, right = (torch.rand(GPU_SIZE, GPU_SIZE, device="cuda", dtype=kinds[precision]) for _ in range(2))

    def call() -> None:
        torch.mm(left, right)
        torch.cuda.synchronize()

    return call


def _fastest(call: Callable[[], object], size: int = SIZE) -> float:
    """GFLOP/s of the fastest of the calls that fit into half a second, three at least."""
    begin, best, calls = time.perf_counter(), float("inf"), 0
    while calls < 3 or time.perf_counter() - begin < _SECONDS:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        calls += 1
    return 2 * size**3 / best / 1e9


def _onnxruntime(precision: str, threads: int | None) -> Callable[[], object]:
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
    session = ort.InferenceSession(_graph(precision), options, providers=["CPUExecutionProvider"])
    left, _ = _operands()
    return lambda: session.run(None, {"left": left})


def _openvino(precision: str, threads: int | None) -> Callable[[], object]:
    core = require("openvino").Core()
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if hint := TYPES[precision]:
        settings["INFERENCE_PRECISION_HINT"] = hint
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    model = core.read_model(_graph(precision))
    # a known shape, as the fastest product has
    model.reshape([SIZE, SIZE])
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    left, _ = _operands()
    return lambda: request.infer([left], share_inputs=True)


def _graph(precision: str) -> bytes:
    """left (SIZE, SIZE) times a constant as ONNX; for int8 with symmetric Q/DQ pairs, as in bundles."""
    onnx = require("onnx")
    helper, from_array = onnx.helper, require("onnx.numpy_helper").from_array
    _, right = _operands()
    kind = onnx.TensorProto.FLOAT
    inputs, outputs = (
        [helper.make_tensor_value_info(name, kind, [SIZE, SIZE])] for name in ("left", "product")
    )
    if precision == "int8":
        whole = np.clip(np.rint(right * 127), -127, 127).astype(np.int8)
        scale = np.array(1 / 127, np.float32)
        constants = {"whole": whole, "scale": scale, "zero": np.array(0, np.int8)}
        nodes = [
            helper.make_node("QuantizeLinear", ["left", "scale", "zero"], ["left_q"]),
            helper.make_node("DequantizeLinear", ["left_q", "scale", "zero"], ["left_dq"]),
            helper.make_node("DequantizeLinear", ["whole", "scale", "zero"], ["right_dq"]),
            helper.make_node("MatMul", ["left_dq", "right_dq"], ["product"]),
        ]
    else:
        constants = {"right": right}
        nodes = [helper.make_node("MatMul", ["left", "right"], ["product"])]
    graph = helper.make_graph(
        nodes, "product", inputs, outputs, [from_array(value, name) for name, value in constants.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data
