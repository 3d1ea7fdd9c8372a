"""What is made of the refusals of the real ONNX parser: TensorRT-RTX's, which is TensorRT's own."""

from typing import Any

import numpy as np
import pytest

from maskclr_edge.deploy.engine import build_engine
from maskclr_edge.errors import EngineError
from maskclr_edge.optional import available

pytestmark = pytest.mark.skipif(
    not (available("tensorrt_rtx_bindings") and available("onnx")),
    reason="TensorRT-RTX is not installed: pip install 'maskclr-edge[rtx]'",
)
DEQUANTIZE = ("DequantizeLinear", ["q", "scale", "zero"], ["y"], "head/DequantizeLinear", {})


def model(*nodes: Any, **constants: Any) -> bytes:
    """A graph of one input x and one output y; a node is (op, inputs, outputs, name, attributes)."""
    from onnx import TensorProto, helper, numpy_helper

    made = [helper.make_node(op, given, result, name=name, **more) for op, given, result, name, more in nodes]
    graph = helper.make_graph(
        made, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    data: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9
    ).SerializeToString()
    return data


def cases() -> dict[str, tuple[bytes, list[str]]]:
    """Graph and words of the refusal."""
    scale = np.float32(0.1)
    quantize = ("QuantizeLinear", ["x", "scale", "zero"], ["q"], "backbone.norm/QuantizeLinear", {})
    whole = model(("Relu", ["x"], ["y"], "pool/Relu", {}))
    return {
        "an operation that is not there": (
            model(("Frobnicate", ["x"], ["y"], "backbone.norm/Frobnicate", {})),
            ["'backbone.norm/Frobnicate' (Frobnicate), which is the last LayerNorm: it has no Frobnicate"],
        ),
        "an operation that it never takes": (
            model(
                ("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"], "head/Dynamic", {}),
                DEQUANTIZE,
            ),
            ["which is the classification head: it has no DynamicQuantizeLinear"],
        ),
        "a zero point": (
            model(quantize, DEQUANTIZE, scale=scale, zero=np.int8(3)),
            ["the last LayerNorm", "only symmetric int8 (zero point 0)"],
        ),
        "unsigned activations": (
            model(quantize, DEQUANTIZE, scale=scale, zero=np.uint8(128)),
            ["the last LayerNorm", "only symmetric int8 (zero point 0)"],
        ),
        "a quantised bias": (
            model(
                ("DequantizeLinear", ["b", "scale"], ["c"], "backbone.pre_logits.fc/DequantizeLinear", {}),
                ("Add", ["x", "c"], ["y"], "pool/Add", {}),
                scale=scale, b=np.ones(4, np.int32),
            ),
            ["the representation layer", "input has type Int32", "; export int8 again", "no quantised bias"],
        ),
        "types that differ": (
            model(("Add", ["x", "w"], ["y"], "backbone.joints_embed/Add", {}), w=np.ones(4, np.float16)),
            ["the embedding of joints", "types Float and Half", "export the model again"],
        ),
        "a file cut short": (whole[:-20], ["no ONNX file that TensorRT reads"]),
        "no file": (b"", ["the ONNX file is empty"]),
    }  # fmt: skip


@pytest.mark.parametrize("name", cases() if available("onnx") else [])
def test_what_the_parser_refuses(name: str) -> None:
    data, expected = cases()[name]
    with pytest.raises(EngineError) as caught:
        build_engine(data, [{"x": ((1, 4), (1, 4), (2, 4))}], sms=(86,))
    text = str(caught.value)
    assert "\n" not in text
    assert "driver" not in text  # there is none on most machines of these tests, which is not the reason
    for words in expected:
        assert words in text


@pytest.mark.parametrize("shape", [(1, 5), (1,)])
def test_profiles_that_do_not_fit(shape: tuple[int, ...]) -> None:
    data = model(("Relu", ["x"], ["y"], "pool/Relu", {}))
    with pytest.raises(EngineError, match="profile"):
        build_engine(data, [{"x": (shape, shape, shape)}], sms=(86,))
