"""Where the time goes, before and after: by the libraries' own profilers, operator by operator.

    python benchmarks/op_profile.py --keep FOLDER [--frames 30,81,243] [--calls 5]

FOLDER is that of benchmarks/peers.py, whose network, bundle and naive export are taken. Before: the naive
export with its padded second person on ONNX Runtime in fp32. After: ours for one person, the same on ONNX
Runtime, and on OpenVINO compiled for its shape in each precision of the bundle. Profiling itself costs some
time. About two minutes on two quiet cores. Writes benchmarks/results/YYYY-MM-DD_op_profile.json.
"""

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_script import run_script, script_parser
from peer_nets import Setting, naive_export

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.checkpoint import read_checkpoint
from maskclr_edge.errors import ConfigError
from maskclr_edge.runtime import Bundle
from maskclr_edge.runtime.cores import default_threads
from maskclr_edge.runtime.ov import plugin_settings

#: kind -> operators of ONNX Runtime and node types of OpenVINO's CPU plugin; linear layers come before it
KINDS = {
    "attention products": "MatMul FusedMatMul ScaledDotProductAttention MultiHeadAttention Attention",
    "softmax": "Softmax",
    "fused subgraphs": "Subgraph",
    "LayerNorm": "LayerNormalization SkipLayerNormalization MVN ReduceMean ReduceMeanSquare",
    "Gelu": "Gelu BiasGelu FastGelu Erf",
    "quantisation": "FakeQuantize QuantizeLinear DequantizeLinear DynamicQuantizeLinear Convert Cast",
    "transposes and copies": "Transpose Reorder Reshape Split VariadicSplit Concat Concatenation Slice "
    "StridedSlice Gather Squeeze Unsqueeze Expand Tile Broadcast ReorderInput ReorderOutput",
}
_KIND_OF = {name: kind for kind, names in KINDS.items() for name in names.split()}
_LINEAR = ("Gemm", "FusedGemm", "FullyConnected", "QGemm", "MatMulIntegerToFloat", "QLinearMatMul")
#: linear layers by their names in upstream's state dict; other products are attention's
_LINEAR_NAME = re.compile(r"qkv|proj|fc1|fc2|ts_attn|pre_logits|joints_embed")


def main() -> int:
    """Profile and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--keep", type=Path, required=True, help="folder of benchmarks/peers.py")
    parser.add_argument("--frames", default="30,81,243")
    parser.add_argument("--calls", type=int, default=5, help="of each network, after two that do not count")
    parser.add_argument("--threads", type=int, default=None)
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Every network at every length, and the result."""
    machine, keep = describe_machine(), arguments.keep
    if not (keep / "bundle").is_dir():
        raise ConfigError(f"{keep} has no bundle; run benchmarks/peers.py --prepare with it first")
    checkpoint, bundle = read_checkpoint(keep / "checkpoint.safetensors"), Bundle.open(keep / "bundle")
    threads = arguments.threads or default_threads()
    rows = []
    for frames in map(int, arguments.frames.split(",")):
        naive = naive_export(Setting(checkpoint, frames, 2, threads, keep)).read_bytes()
        encoder = bundle.read(bundle.select("onnxruntime", "fp32")["encoder"])
        found = {
            "naive export, two persons, ONNX Runtime fp32": onnxruntime_profile(
                naive, {"clips": np.zeros((1, 2, frames, 17, 3), np.float32)}, threads, arguments.calls
            ),
            "ours, one person, ONNX Runtime fp32": onnxruntime_profile(
                encoder, {"persons": persons(frames)}, threads, arguments.calls
            ),
        }
        for precision in bundle.precisions("openvino"):
            found[f"ours, one person, OpenVINO {precision}"] = openvino_profile(
                bundle, precision, frames, threads, arguments.calls
            )
        for name, times in found.items():
            rows.append({"network": name, "frames": frames, **summed(times)})
            print(f"T={frames}, {name}: {rows[-1]['total_ms']:.1f} ms", flush=True)
    settings = {"threads": threads, "calls": arguments.calls}
    document = result_document("op_profile", {"rows": rows}, settings=settings, machine=machine)
    return write_dated(arguments.out, document)


def persons(frames: int) -> np.ndarray:
    """One person, (1, T, 17, 3)."""
    return np.random.default_rng(0).uniform(-1, 1, (1, frames, 17, 3)).astype(np.float32)


def onnxruntime_profile(
    model: bytes, inputs: dict[str, np.ndarray], threads: int, calls: int
) -> Iterator[tuple[str, str, float]]:
    """(operator, node, ms a call) of ONNX Runtime's profile."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        for _ in range(2 + calls):
            session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text())
    # three events of each node and call; the time of the kernel is one of them
    kernels = [one for one in events if one["name"].endswith("_kernel_time")]
    kept = kernels[len(kernels) * 2 // (2 + calls) :]
    for one in kept:
        name = one["name"].removesuffix("_kernel_time")
        yield one["args"]["op_name"], name, one["dur"] / 1000 / calls


def openvino_profile(
    bundle: Bundle, precision: str, frames: int, threads: int, calls: int
) -> Iterator[tuple[str, str, float]]:
    """(node type, node, ms a call) of OpenVINO's counters, for the encoder compiled for its shape."""
    import openvino

    core = openvino.Core()
    model = core.read_model(bundle.read(bundle.select("openvino", precision)["encoder"]))
    model.reshape([1, frames, 17, 3])
    settings = plugin_settings(core, precision, threads) | {"PERF_COUNT": True}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    given = persons(frames)
    for number in range(2 + calls):
        request.infer([given])
        if number >= 2:
            for one in request.profiling_info:
                if one.status == openvino.ProfilingInfo.Status.EXECUTED:  # others went into their neighbours
                    yield one.node_type, one.node_name, one.real_time.total_seconds() * 1000 / calls


def summed(times: Iterator[tuple[str, str, float]]) -> dict[str, Any]:
    """By kind of operator, and by operator, in ms a call, the largest first; and how many of each run."""
    kinds: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    nodes: set[tuple[str, str]] = set()
    for operator, node, ms in times:
        kinds[kind_of(operator, node)] += ms
        operators[operator] += ms
        nodes.add((operator, node))
    return {
        "total_ms": sum(kinds.values()),
        "kinds": dict(kinds.most_common()),
        "operators": {name: ms for name, ms in operators.most_common() if ms > 0},
        "counts": dict(Counter(operator for operator, _ in nodes).most_common()),
    }


def kind_of(operator: str, node: str) -> str:
    """What an operator does for the network."""
    if operator.startswith(_LINEAR) or ("MatMul" in operator and _LINEAR_NAME.search(node)):
        return "linear layers"
    return _KIND_OF.get(operator, "element-wise and the rest")


if __name__ == "__main__":
    sys.exit(main())
