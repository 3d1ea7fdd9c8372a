"""FP16, BF16 and FP8 graphs: near the float32 network, in the types they claim, and without overflow."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy import encoder_graph, head_graph
from maskclr_edge.deploy.builder import reduced_tensor, to_bytes
from maskclr_edge.deploy.calibrate import calibrate, present_persons
from maskclr_edge.deploy.float8 import quantise_float8
from maskclr_edge.deploy.onnx_pair import open_pair
from maskclr_edge.deploy.parity import compare, make_probes, probe_clips
from maskclr_edge.deploy.precision import PRECISIONS, get_precision
from maskclr_edge.deploy.quantise import quantisable
from maskclr_edge.deploy.read_back import read_back
from maskclr_edge.errors import ConfigError, ExportError

Maker = Callable[..., Checkpoint]
SHAPES = [(2, 2, 17), (1, 1, 40), (1, 2, 1)]


def float8(checkpoint: Checkpoint, skip: tuple[str, ...] = ()) -> onnx.ModelProto:
    model = encoder_graph(checkpoint, flat=False)
    persons = present_persons([probe_clips(6, 2, 20, seed=8)], "zeros")
    ranges = calibrate(model, persons, list(quantisable(model).values()), method="minmax")
    return quantise_float8(model, ranges, skip=skip)


def graph_of(name: str, checkpoint: Checkpoint) -> onnx.ModelProto:
    if name == "fp8":
        return float8(checkpoint)
    return encoder_graph(checkpoint, compute=get_precision(name).compute)


def needs(name: str) -> None:
    if name == "bf16":
        pytest.importorskip("openvino", reason="what runs bfloat16 on a CPU")


@pytest.mark.parametrize(("name", "bits"), [("fp16", 11), ("bf16", 8), ("fp8", 4)])
def test_a_graph_is_near_the_float_network_by_the_bits_of_its_type(
    random_checkpoint: Maker, name: str, bits: int
) -> None:
    needs(name)
    checkpoint = random_checkpoint(dim_feat=32, dim_rep=32)
    graph = graph_of(name, checkpoint)
    onnx.checker.check_model(graph, full_check=True)
    probes, reference = make_probes(checkpoint, SHAPES)
    pair = open_pair(get_precision(name), to_bytes(graph), to_bytes(head_graph(checkpoint)))
    result = compare(pair.infer, probes, exact=False, reference=reference)
    assert 0 < result.relative_error < 8 * 2.0**-bits
    kinds = {value.type.tensor_type.elem_type for value in (*graph.graph.input, *graph.graph.output)}
    assert kinds == {TensorProto.FLOAT}
    assert to_bytes(graph_of(name, checkpoint)) == to_bytes(graph)


@pytest.mark.parametrize(("name", "kind"), [("fp16", "float16"), ("bf16", "bfloat16")])
def test_products_run_in_the_type_and_sums_norms_and_softmax_do_not(
    random_checkpoint: Maker, name: str, kind: str
) -> None:
    graph = graph_of(name, random_checkpoint())
    found = read_back(graph, frames=30)
    assert found["gemm_flops"][kind] > 0.95
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True)
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    for node in graph.graph.node:
        if node.op_type in ("LayerNormalization", "Softmax"):
            assert types[node.output[0]] == TensorProto.FLOAT, node.name
        if node.op_type == "MatMul" and ".attn_" in node.name:
            assert types[node.output[0]] == getattr(TensorProto, kind.upper()), node.name


def test_half_precision_does_not_overflow_where_the_sums_do(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint()
    checkpoint.weights["backbone.pos_embed"] *= 1e7  # the residual stream is far beyond 65504
    probes, reference = make_probes(checkpoint, SHAPES)
    head = to_bytes(head_graph(checkpoint))
    pair = open_pair(get_precision("fp16"), to_bytes(graph_of("fp16", checkpoint)), head)
    result = compare(pair.infer, probes, exact=False, reference=reference)
    assert result.relative_error < 0.02


def test_a_weight_beyond_float16_is_refused_and_bfloat16_takes_it(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint()
    checkpoint.weights["backbone.blocks_st.0.mlp_s.fc1.weight"][0, 0] = 1e6
    with pytest.raises(ExportError, match=r"mlp_s\.fc1\.weight has a value of 1e\+06.*bf16"):
        graph_of("fp16", checkpoint)
    graph_of("bf16", checkpoint)


def test_rounding_is_to_nearest_with_ties_to_even() -> None:
    values = np.array([1.0, 1 + 2**-8, 1 + 2**-7 + 2**-8, -1 - 2**-8 - 2**-20, 3.4e38, 0.0], np.float32)
    kept = numpy_helper.to_array(reduced_tensor("x", values, "bfloat16")).astype(np.float32)
    assert kept.tolist()[:4] == [1.0, 1.0, 1 + 2**-6, -1 - 2**-7]
    assert kept[5] == 0
    half = numpy_helper.to_array(reduced_tensor("x", values[:4], "float16"))
    assert np.array_equal(half, values[:4].astype(np.float16))


def test_float8_quantises_what_int8_does_and_leaves_alone_what_is_kept(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint()
    whole, part = float8(checkpoint), float8(checkpoint, skip=("backbone.blocks_st.0",))
    shares = [read_back(model, frames=30)["gemm_flops"]["float8e4m3"] for model in (whole, part)]
    assert shares[0] > 0.7 and 0.3 < shares[1] < 0.8 * shares[0]
    tensors = {tensor.name: tensor for tensor in whole.graph.initializer}
    zeros = {node.input[2] for node in whole.graph.node if node.op_type == "QuantizeLinear"}
    assert [tensors[name].data_type for name in zeros] == [TensorProto.FLOAT8E4M3FN]
    assert not any("persons" in name for name in tensors)  # the joint embedding keeps float32
    with pytest.raises(ConfigError, match="no linear layer"):
        float8(checkpoint, skip=("backbone.block",))


def test_a_range_must_be_usable_for_float8(random_checkpoint: Maker) -> None:
    model = encoder_graph(random_checkpoint(), flat=False)
    ranges = dict.fromkeys(quantisable(model).values(), (-1.0, 1.0))
    ranges[next(iter(ranges))] = (0.0, 0.0)
    with pytest.raises(ExportError, match="calibrate this model again"):
        quantise_float8(model, ranges)


def test_an_unknown_precision_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="'fp23'; expected some of fp32, fp16, bf16, int8, mixed, fp8"):
        get_precision("fp23")
    assert list(PRECISIONS) == ["fp32", "fp16", "bf16", "int8", "mixed", "fp8"]
