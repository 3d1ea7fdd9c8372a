"""FP8 (E4M3) as QuantizeLinear / DequantizeLinear pairs: what TensorRT runs on Ada, Hopper and Blackwell.

ONNX Runtime's quantiser places E4M3 by a tensor's standard deviation; here, as for INT8, a range decides: its
end falls on 448, the largest E4M3. Weights have a scale for each output channel, activations one.
"""

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from maskclr_edge.deploy.quantise import check_ranges, quantisable
from maskclr_edge.optional import require

LARGEST = 448.0


def quantise_float8(
    model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]], *, skip: Collection[str] = ()
) -> onnx.ModelProto:
    """An FP8 copy of an encoder made with ``flat=False`` and float32 storage; inputs stay float32.

    ranges: activation tensor -> (low, high). skip: modules to leave alone. Raises ConfigError for a name of
    ``skip`` that no linear layer has, ExportError for a tensor without a usable range.
    """
    nodes = quantisable(model, skip)
    check_ranges(nodes.values(), ranges)
    result: onnx.ModelProto = onnx.ModelProto.FromString(model.SerializeToString())
    graph = result.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    zero = helper.make_tensor("float8/zero", TensorProto.FLOAT8E4M3FN, (), b"\x00", raw=True)
    added, pairs, done = [zero], {}, set()
    for tensor in dict.fromkeys(nodes.values()):
        reach = max(map(abs, ranges[tensor]))
        scale = numpy_helper.from_array(np.array(reach / LARGEST, np.float32), f"{tensor}/scale")
        added.append(scale)
        pairs[tensor] = _pair(tensor, scale.name, zero.name)
    for node in graph.node:
        if node.name not in nodes:
            continue
        weight = node.input[1]
        if weight not in done:
            done.add(weight)
            added += _rounded(weights[weight])
        node.input[0] = f"{node.input[0]}/dequantised"
        node.input[1] = f"{weight}/dequantised"
    kept = [tensor for name, tensor in weights.items() if name not in done]
    dequantised = [
        helper.make_node(
            "DequantizeLinear",
            [f"{weight}/float8", f"{weight}/scale"],
            [f"{weight}/dequantised"],
            name=f"{weight}/DequantizeLinear",
            axis=1,
        )
        for weight in weights
        if weight in done
    ]
    ordered = list(dequantised)
    for node in list(graph.node):
        ordered.append(node)
        for output in node.output:
            ordered += pairs.get(output, [])
    del graph.node[:], graph.initializer[:]
    graph.node.extend(ordered)
    graph.initializer.extend(kept + added)
    onnx.checker.check_model(result)
    return result


def _pair(tensor: str, scale: str, zero: str) -> list[onnx.NodeProto]:
    """An activation to E4M3 and back."""
    small, back = f"{tensor}/float8", f"{tensor}/dequantised"
    return [
        helper.make_node("QuantizeLinear", [tensor, scale, zero], [small], name=f"{tensor}/QuantizeLinear"),
        helper.make_node("DequantizeLinear", [small, scale, zero], [back], name=f"{tensor}/DequantizeLinear"),
    ]


def _rounded(weight: TensorProto) -> tuple[TensorProto, TensorProto]:
    """A weight (in, out) in E4M3, and its scales (out,)."""
    values = numpy_helper.to_array(weight)
    scale = np.maximum(np.abs(values).max(axis=0), 1e-12).astype(np.float32) / np.float32(LARGEST)
    small = np.clip(values / scale, -LARGEST, LARGEST).astype(require("ml_dtypes").float8_e4m3fn)
    stored = helper.make_tensor(
        f"{weight.name}/float8", TensorProto.FLOAT8E4M3FN, values.shape, small.tobytes(), raw=True
    )
    return stored, numpy_helper.from_array(scale, f"{weight.name}/scale")
