"""Operations of matrix products by the type they run in: held to the formula and to sums by hand."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from maskclr_edge.bench.flops import network_flops
from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy import encoder_graph, head_graph
from maskclr_edge.deploy.gemm_flops import gemm_flops
from maskclr_edge.deploy.quantise import quantisable, quantise
from maskclr_edge.deploy.read_back import read_back

Maker = Callable[..., Checkpoint]


@pytest.mark.parametrize(("frames", "persons"), [(1, 1), (30, 1), (243, 2)])
def test_the_networks_products_are_those_of_the_formula(
    random_checkpoint: Maker, frames: int, persons: int
) -> None:
    checkpoint = random_checkpoint(depth=2, maxlen=243)
    config = checkpoint.config
    encoder = gemm_flops(encoder_graph(checkpoint), {"frames": frames, "persons": persons})
    head = gemm_flops(head_graph(checkpoint), {"clips": 1, "persons": persons})
    # the graph needs the difference of the two streams' scores alone: half of upstream's products there
    saved = 2 * persons * config.depth * frames * config.num_joints * 2 * config.dim_feat
    assert sum((encoder + head).values()) == network_flops(config, frames=frames, persons=persons) - saved


def test_attention_products_are_what_int8_leaves_and_grow_with_the_length(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint(dim_feat=64, depth=1, maxlen=243)
    model = encoder_graph(checkpoint, flat=False)
    ranges = dict.fromkeys(quantisable(model).values(), (-1.0, 1.0))
    for activation in ("int8", "uint8"):
        found = read_back(quantise(model, ranges, activation=activation), frames=30, longest=243)
        whole = gemm_flops(model, {"frames": 243})["float32"]
        tokens, width, joints = 243 * 17, 64, 17
        attention = 4 * 2 * 2 * tokens * width * (joints + 243) / 2  # 4 attentions of 2 products
        left = found["gemm_flops_longest"]["float32"] * whole - attention
        assert 0 < left < 0.02 * whole  # the joint embedding and the scores of the streams
        assert found["gemm_flops"]["int8"] > found["gemm_flops_longest"]["int8"] > 0.6


def graph_of(
    nodes: list[onnx.NodeProto], inputs: dict[str, list[int | str]], **weights: object
) -> onnx.ModelProto:
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs.items()]
    output = helper.make_empty_tensor_value_info(nodes[-1].output[0])
    return helper.make_model(helper.make_graph(nodes, "g", given, [output], stored))


def test_gemm_and_conv_by_hand() -> None:
    image = {"x": ["n", 6, 10, 10]}
    kernel = np.zeros((8, 3, 3, 3), np.float32)
    conv = graph_of([helper.make_node("Conv", ["x", "w"], ["y"], group=2)], image, w=kernel)
    assert gemm_flops(conv, {"n": 4}) == {"float32": 2 * (4 * 8 * 8 * 8) * (3 * 3 * 3)}
    square: dict[str, list[int | str]] = {"x": [7, 5]}
    weight = np.zeros((9, 7), np.float32)
    gemm = graph_of([helper.make_node("Gemm", ["x", "w"], ["y"], transA=1, transB=1)], square, w=weight)
    assert gemm_flops(gemm, {}) == {"float32": 2 * 5 * 7 * 9}


def test_a_quantised_weight_alone_is_a_float_product() -> None:
    scale, weight = np.float32(0.1), np.zeros((5, 3), np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["wf"]),
        helper.make_node("MatMul", ["x", "wf"], ["y"]),
    ]
    model = graph_of(nodes, {"x": [2, 5]}, s=scale, w=weight)
    assert gemm_flops(model, {}) == {"float32": 2 * 2 * 5 * 3}
    pair = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["xf"]),
    ]
    nodes[1].input[0] = "xf"
    both = graph_of([*pair, *nodes], {"x": [2, 5]}, s=scale, w=weight, z=np.int8(0))
    assert gemm_flops(both, {}) == {"int8": 2 * 2 * 5 * 3}


def test_graphs_whose_shapes_are_not_known_are_an_error() -> None:
    nodes = [
        helper.make_node("Identity", ["b"], ["a"]),
        helper.make_node("Identity", ["a"], ["b"]),
        helper.make_node("MatMul", ["a", "x"], ["y"]),
    ]
    with pytest.raises(ValueError, match=r"cannot be inferred|no shapes"):
        gemm_flops(graph_of(nodes, {"x": [2, 2]}), {})
