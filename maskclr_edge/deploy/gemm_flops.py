"""Operations of a graph's matrix products, and the type that each is computed in, by shape inference."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

_NAMES: dict[int, str] = {
    TensorProto.UNDEFINED: "unknown",
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.FLOAT8E4M3FN: "float8e4m3",
}
#: what may stand between a weight and a product without changing the type that the product is computed in
_CARRIED = ("DequantizeLinear", "Cast", "Mul", "Transpose", "Reshape", "Identity")
_LONGEST_CHAIN = 8
#: larger initialisers cannot be shapes, and inference needs no weights
_LARGEST_SHAPE = 64


def type_name(data_type: int) -> str:
    """ONNX element type as it is called here, such as "float8e4m3"."""
    return _NAMES.get(data_type) or str(TensorProto.DataType.Name(data_type)).lower()


def gemm_flops(model: onnx.ModelProto, sizes: Mapping[str, int]) -> Counter[str]:
    """Type -> operations of the MatMul, Gemm and Conv nodes computed in it, a multiply-add as two.

    sizes: name of a symbolic dimension of the inputs -> its size; 1 for those that are not named. The type is
    "int8" or another of Q/DQ pairs only where *both* operands come from a DequantizeLinear, else that of the
    tensors. Raises ValueError for a graph whose shapes cannot be inferred.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(_without_weights(model, sizes), data_prop=True)
    except Exception as error:  # its own class, and what protobuf and C++ throw for damaged graphs
        raise ValueError(f"no shapes: {error}") from error
    graph = inferred.graph
    tensors = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info)}
    tensors |= {value.name: value.type.tensor_type for value in graph.output}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}

    def dims(name: str) -> list[int]:
        if name in stored:
            return list(stored[name].dims)
        found = tensors[name].shape.dim if name in tensors else ()
        if not found or not all(dim.HasField("dim_value") for dim in found):
            raise ValueError(f"the shape of {name} cannot be inferred")
        return [dim.dim_value for dim in found]

    def element(name: str) -> int:
        if name in stored:
            return int(stored[name].data_type)
        return int(tensors[name].elem_type) if name in tensors else TensorProto.UNDEFINED

    def quantised(name: str) -> int:
        """Element type before the DequantizeLinear that an operand comes from; UNDEFINED for none."""
        for _ in range(_LONGEST_CHAIN):  # a hostile graph may go in circles
            node = makers.get(name)
            if node is None or node.op_type not in _CARRIED:
                break
            name = node.input[0]
            if node.op_type == "DequantizeLinear":
                return element(name)
        return TensorProto.UNDEFINED

    found: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type not in ("MatMul", "Gemm", "Conv"):
            continue
        left, right = dims(node.input[0]), dims(node.input[1])
        if node.op_type == "Conv":
            inner = int(np.prod(right[1:], dtype=np.int64))
        else:
            turned = any(one.name == "transA" and one.i for one in node.attribute)
            inner = left[0] if turned else left[-1]
        before = [quantised(name) for name in node.input[:2]]
        # of a weight and an activation, the weight's: U8S8 is INT8 too
        kind = before[1] if all(before) else element(node.input[0])
        found[type_name(kind)] += 2 * inner * int(np.prod(dims(node.output[0]), dtype=np.int64))
    return found


def _without_weights(model: onnx.ModelProto, sizes: Mapping[str, int]) -> onnx.ModelProto:
    """The same nodes with inputs of fixed sizes, and weights as inputs, so that none is copied."""
    graph = model.graph
    small = [one for one in graph.initializer if np.prod(one.dims, dtype=np.int64) <= _LARGEST_SHAPE]
    kept = {one.name for one in small}
    weights = [
        onnx.helper.make_tensor_value_info(one.name, one.data_type, one.dims)
        for one in graph.initializer
        if one.name not in kept
    ]
    stored = {one.name for one in graph.initializer}
    inputs, known = [], {}
    for value in graph.input:
        if value.name in stored:
            continue  # old exporters list initialisers among the inputs
        fixed = onnx.ValueInfoProto.FromString(value.SerializeToString())
        for dim in fixed.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = sizes.get(dim.dim_param, 1)
        inputs.append(fixed)
        known[value.name] = [dim.dim_value for dim in fixed.type.tensor_type.shape.dim]
    outputs = [onnx.helper.make_empty_tensor_value_info(value.name) for value in graph.output]
    nodes = []
    for node in graph.node:
        if node.op_type == "Shape" and node.input[0] in known:  # inference does not follow it into a Slice
            part = {one.name: one.i for one in node.attribute}
            size = known[node.input[0]][part.get("start") : part.get("end")]
            small.append(numpy_helper.from_array(np.array(size, np.int64), node.output[0]))
        else:
            nodes.append(node)
    bare = onnx.helper.make_graph(nodes, graph.name, inputs + weights, outputs, small)
    return onnx.helper.make_model(
        bare, opset_imports=list(model.opset_import), ir_version=model.ir_version,
        functions=list(model.functions),
    )  # fmt: skip
