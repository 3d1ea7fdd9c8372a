"""INT8 as QuantizeLinear / DequantizeLinear pairs that ONNX Runtime, OpenVINO and TensorRT all take.

Quantised are the inputs of matrix products with a weight, and those weights per output channel; queries and
keys too where that is asked for. Biases, the products of attention with the values, normalisation, the joint
embedding (3 inputs) and the choice between the streams (1 output) stay in floating point: they hold next to
none of the operations, or most of the error.
"""

import logging
from collections.abc import Collection, Mapping

import numpy as np
import onnx

from maskclr_edge import __version__
from maskclr_edge.errors import ConfigError, ExportError

#: activation type -> symmetric around zero; TensorRT takes only the first, ONNX Runtime prefers the second
ACTIVATIONS = {"int8": True, "uint8": False}


def quantisable(model: onnx.ModelProto, skip: Collection[str] = ()) -> dict[str, str]:
    """Node name -> activation tensor of each linear layer to quantise; ``skip`` names modules to leave out.

    A module is left out by its path or by the start of it, e.g. "backbone.blocks_st.0" or
    "backbone.pre_logits.fc". Raises ConfigError for a name of ``skip`` that no linear layer has.
    """
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    found = {}
    unknown = set(skip)
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            continue
        path = node.name.rpartition("/")[0]
        kept = _named(path, skip)
        unknown -= kept
        if kept or weights[node.input[1]][-1] == 1 or node.input[0] == "persons":
            continue
        found[node.name] = node.input[0]
    if unknown:
        raise ConfigError(
            f"no linear layer is called {min(unknown)!r}; names are such as backbone.blocks_st.0, "
            "backbone.blocks_ts.1.mlp_s or backbone.pre_logits.fc"
        )
    return found


def score_operands(model: onnx.ModelProto, skip: Collection[str] = ()) -> dict[str, tuple[str, str]]:
    """Attention -> its queries and keys, as they are before their heads are moved.

    skip: as above; an attention is left out with the layer that gives its queries and keys.
    """
    makers = {output: node for node in model.graph.node for output in node.output}

    def unmoved(tensor: str) -> str:
        while makers[tensor].op_type in ("Transpose", "Reshape"):
            tensor = makers[tensor].input[0]
        return tensor

    found = {}
    for node in model.graph.node:
        path, _, product = node.name.rpartition(".")
        if product == "scores/MatMul" and not _named(f"{path}.qkv", skip):
            found[path] = (unmoved(node.input[0]), unmoved(node.input[1]))
    return found


def _named(path: str, skip: Collection[str]) -> set[str]:
    """Those of ``skip`` that are a module or what it is in."""
    return {part for part in skip if f"{path}.".startswith(f"{part}.")}


def quantise(
    model: onnx.ModelProto,
    ranges: Mapping[str, tuple[float, float]],
    *,
    skip: Collection[str] = (),
    activation: str = "int8",
    weight_bits: int = 8,
    scores: bool = False,
) -> onnx.ModelProto:
    """A quantised copy of an encoder made with ``flat=False`` and float32 storage; inputs stay float32.

    An encoder with ``compute="float16"`` gets float16 scales, so that what is between the pairs stays in
    float16; an output channel whose weights are all below 0.008 becomes zero then.

    ranges: activation tensor -> (low, high). skip: see :func:`quantisable`. activation: "int8" (symmetric,
    zero point 0) or "uint8" (asymmetric, for ONNX Runtime on CPUs). weight_bits: 8, or 7 for weights of
    -64..64, whose products no processor's 16-bit sums overflow on. scores: quantise queries and keys, of an
    encoder that has them ``apart``. Raises ConfigError for another type, and
    ExportError for a tensor without a usable range.
    """
    if activation not in ACTIVATIONS:
        raise ConfigError(f"activation type is {activation!r}; expected one of {', '.join(ACTIVATIONS)}")
    nodes = quantisable(model, skip)
    operands = [name for pair in score_operands(model, skip).values() for name in pair] if scores else []
    check_ranges([*nodes.values(), *operands], ranges)
    quantised = _insert_pairs(model, ranges, list(nodes), operands, activation, weight_bits)
    del quantised.metadata_props[:]
    quantised.producer_name, quantised.producer_version = "maskclr-edge", __version__
    quantised.ir_version = model.ir_version
    del quantised.opset_import[:]
    quantised.opset_import.extend(model.opset_import)
    onnx.checker.check_model(quantised)
    return quantised


def check_ranges(tensors: Collection[str], ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise ExportError for a tensor without a finite range around zero."""
    for tensor in tensors:
        low, high = ranges.get(tensor, (np.nan, np.nan))
        if not (np.isfinite([low, high]).all() and low <= 0 < high):
            raise ExportError(
                f"no usable range for {tensor}: got {low} to {high}; calibrate this model again"
            )


def _insert_pairs(
    model: onnx.ModelProto,
    ranges: Mapping[str, tuple[float, float]],
    nodes: list[str],
    tensors: list[str],
    activation: str,
    weight_bits: int,
) -> onnx.ModelProto:
    """ONNX Runtime's own quantiser, given ranges instead of data: inputs of ``nodes``, and ``tensors``."""
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    symmetric = ACTIVATIONS[activation]
    weights = {node.input[1] for node in model.graph.node if node.name in nodes}
    half = any(t.data_type == onnx.TensorProto.FLOAT16 for t in model.graph.initializer if t.name in weights)
    kind = np.float16 if half else np.float32  # a scale has the type of what it scales
    bounds = {}
    for tensor, (low, high) in ranges.items():
        reach = max(-low, high)
        pair = (-reach, reach) if symmetric else (low, high)
        bounds[tensor] = (kind(pair[0]), kind(pair[1]))
    quantiser = QDQQuantizer(
        onnx.ModelProto.FromString(model.SerializeToString()),  # it changes what it is given
        per_channel=True,
        reduce_range=weight_bits == 7,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, bounds),
        nodes_to_quantize=nodes,
        nodes_to_exclude=[],
        op_types_to_quantize=["MatMul"],
        extra_options={
            "ActivationSymmetric": symmetric,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": ["MatMul"],
        },
    )
    chatter = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        for tensor in tensors:
            quantiser.quantize_activation_tensor(tensor)
        quantiser.quantize_model()
    finally:
        logging.getLogger().setLevel(chatter)
    quantiser.model.topological_sort()
    result: onnx.ModelProto = quantiser.model.model
    return result
