"""What precision an ONNX file really has: read from its tensors and nodes, not from its name."""

from collections import Counter
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from maskclr_edge.deploy.precision import Precision
from maskclr_edge.errors import ExportError

_NAMES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.FLOAT8E4M3FN: "float8e4m3",
}
#: least share of the linear layers' weights that a file must multiply in the type that it is named after
LEAST_SHARE = 0.6
_FOLDED = ("Cast", "Mul", "Transpose", "Reshape", "Identity")


def read_back(model: onnx.ModelProto, *, frames: int = 0) -> dict[str, Any]:
    """Types in a model, and the share of its matrix products in each.

    Result: ``initializers`` type -> {"tensors", "bytes"}; ``nodes`` op -> count; ``gemm_weights`` type ->
    share of the weights of linear layers by the type they are *multiplied* in ("int8" only where weight and
    activation both come from a DequantizeLinear); ``gemm_flops`` the same for the operations at ``frames``
    frames, attention products included (absent for frames 0). Every linear layer sees every token once, so
    its share of operations is its share of weights.
    """
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    types = _tensor_types(graph)
    stored: dict[str, dict[str, int]] = {}
    for tensor in graph.initializer:
        entry = stored.setdefault(_type(tensor.data_type), {"tensors": 0, "bytes": 0})
        entry["tensors"] += 1
        entry["bytes"] += len(tensor.raw_data) or tensor.ByteSize()
    weights: Counter[str] = Counter()
    products: Counter[str] = Counter()  # multiply-adds per token
    for node in graph.node:
        if node.op_type not in ("MatMul", "Gemm"):
            continue
        weight, quantised = _weight(node.input[1], tensors, makers)
        activation = makers.get(node.input[0])
        dequantised = activation is not None and activation.op_type == "DequantizeLinear"
        kind = quantised if quantised and dequantised else _type(types[node.input[0]])
        if weight is not None:
            size = int(np.prod(weight.dims, dtype=np.int64))
            weights[kind] += size
            products[kind] += size
        elif frames:
            span = frames if ".attn_t." in node.name else 17
            products[kind] += span * _width(graph, node.name)
    result: dict[str, Any] = {
        "initializers": dict(sorted(stored.items())),
        "nodes": dict(sorted(Counter(node.op_type for node in graph.node).items())),
        "gemm_weights": _shares(weights),
    }
    if frames:
        result["gemm_flops"] = _shares(products) | {"frames": frames}
    return result


def check_share(precision: Precision, found: dict[str, Any]) -> None:
    """Raise ExportError for a file that is of its precision in name only, by what was read back from it."""
    wanted = precision.quantised or precision.compute
    share = found["gemm_weights"].get(wanted, 0.0)
    if share < LEAST_SHARE:
        kinds = ", ".join(f"{100 * part:.0f} % {kind}" for kind, part in found["gemm_weights"].items())
        raise ExportError(
            f"the {precision.name} graph multiplies {kinds} of its weights, and {precision.name} means "
            f"{100 * LEAST_SHARE:.0f} % {wanted} at least: keep fewer modules, or export another precision"
        )


def _weight(
    name: str, tensors: dict[str, TensorProto], makers: dict[str, onnx.NodeProto]
) -> tuple[TensorProto | None, str]:
    """The stored weight behind a tensor, if any, and the type it is dequantised from ("" if it is not)."""
    quantised = ""
    while name not in tensors:
        node = makers.get(name)
        if node is None:
            return None, ""
        if node.op_type == "DequantizeLinear":
            name = node.input[0]
            quantised = _type(tensors[name].data_type) if name in tensors else ""
        elif node.op_type in _FOLDED:
            name = node.input[0]
        else:
            return None, ""
    return tensors[name], quantised


def _tensor_types(graph: onnx.GraphProto) -> dict[str, int]:
    """Element type of every tensor, followed through the nodes that change one."""
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    types |= {value.name: value.type.tensor_type.elem_type for value in graph.input}
    for node in graph.node:
        if node.op_type == "Cast":
            kind = next(attribute.i for attribute in node.attribute if attribute.name == "to")
        elif node.op_type == "Shape":
            kind = TensorProto.INT64
        elif node.op_type == "DequantizeLinear":
            kind = types[node.input[1]]  # that of its scale
        elif node.op_type == "QuantizeLinear":
            kind = types[node.input[2]]  # that of its zero point
        else:
            kind = types[node.input[0]]
        types |= dict.fromkeys(node.output, kind)
    return types


def _width(graph: onnx.GraphProto, name: str) -> int:
    """Width D of the attention that a product belongs to, from its output projection's bias."""
    path = name.rpartition("/")[0].rpartition(".")[0]  # backbone.blocks_st.0.attn_s.scores/MatMul
    bias = next((tensor for tensor in graph.initializer if tensor.name == f"{path}.proj.bias"), None)
    return int(bias.dims[0]) if bias is not None else 0


def _shares(counts: Counter[str]) -> dict[str, Any]:
    total = sum(counts.values())
    return {kind: round(count / total, 4) for kind, count in sorted(counts.items())} if total else {}


def _type(data_type: int) -> str:
    return _NAMES.get(data_type) or str(TensorProto.DataType.Name(data_type)).lower()
