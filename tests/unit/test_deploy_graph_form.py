"""The form of the written graphs: what backends fuse is one node, and constants are not computed."""

from collections import Counter
from collections.abc import Callable

import onnx
import pytest

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy import encoder_graph, head_graph

Maker = Callable[..., Checkpoint]
DEPTH = 2


@pytest.fixture(scope="module")
def encoder(random_checkpoint: Maker) -> onnx.GraphProto:
    return encoder_graph(random_checkpoint(depth=DEPTH)).graph


def operators(graph: onnx.GraphProto) -> Counter[str]:
    return Counter(node.op_type for node in graph.node)


def test_what_backends_fuse_is_one_node(encoder: onnx.GraphProto) -> None:
    found = operators(encoder)
    halves = 4 * DEPTH  # two streams, attention over joints and over frames
    assert found["LayerNormalization"] == 2 * halves + 1
    assert found["Gelu"] == found["Softmax"] == found["Split"] == halves  # one product gives q, k and v
    assert not {"Erf", "Pow", "Sqrt", "Div", "Gather", "Expand", "Where", "Unsqueeze"} & set(found)


def test_attention_is_four_dimensional_and_its_scale_is_in_the_weights(random_checkpoint: Maker) -> None:
    model = onnx.shape_inference.infer_shapes(encoder_graph(random_checkpoint(depth=DEPTH)), strict_mode=True)
    made_by = {output: node for node in model.graph.node for output in node.output}
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in model.graph.value_info}
    products = [made_by[node.input[0]] for node in model.graph.node if node.op_type == "Softmax"]
    products += [node for node in model.graph.node if made_by.get(node.input[0], node).op_type == "Softmax"]
    assert len(products) == 8 * DEPTH
    for node in products:
        assert node.op_type == "MatMul"  # straight into the softmax, and out of it
        assert [ranks[name] for name in node.input] == [4, 4]


def test_attention_moves_data_twice_and_exchanges_keys_in_the_product(encoder: onnx.GraphProto) -> None:
    made_by = {output: node for node in encoder.node for output in node.output}
    moves = [node for node in encoder.node if node.op_type == "Transpose"]
    within = [node for node in moves if list(node.attribute[0].ints) == [0, 1, 3, 2]]
    assert len(moves) == 3 * len(within) == 3 * 4 * DEPTH
    for exchange in within:  # straight from what splits queries, keys and values, straight into the product
        split = made_by[exchange.input[0]]
        assert split.op_type == "Split" and split.attribute[0].i == 0  # along the first axis: no copy
        assert [node.op_type for node in encoder.node if exchange.output[0] in node.input] == ["MatMul"]


def test_the_number_of_frames_is_all_that_is_asked_of_shapes(encoder: onnx.GraphProto) -> None:
    found = operators(encoder)
    assert found["Shape"] == 1
    # shapes are put together from constants and T, once each, whatever the depth; no activation is joined
    shapes = {name for node in encoder.node if node.op_type == "Reshape" for name in node.input[1:]}
    joined = [node for node in encoder.node if node.op_type == "Concat"]
    assert len(joined) == 4
    assert all(set(node.output) <= shapes for node in joined)


def test_the_head_is_two_products(random_checkpoint: Maker) -> None:
    graph = head_graph(random_checkpoint()).graph
    assert [node.op_type for node in graph.node] == ["ReduceMean", "Gemm", "Relu", "Gemm"]
