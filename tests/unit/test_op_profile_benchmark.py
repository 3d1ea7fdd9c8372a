"""The profile of operators: what counts as what, and that both libraries' profilers are read."""

import pytest

pytest.importorskip("torch", reason="the naive export is PyTorch's")
import numpy as np
import op_profile

from maskclr_edge.runtime import Bundle, bundled_bundle


@pytest.mark.parametrize(
    ("operator", "node", "kind"),
    [
        ("MatMul", "/blocks_st.0/attn_s/qkv/MatMul", "linear layers"),
        ("MatMul", "/blocks_st.0/attn_s/MatMul_1", "attention products"),
        ("FullyConnectedQuantizedLegacy", "x", "linear layers"),
        ("ScaledDotProductAttention", "x", "attention products"),
        ("MVN", "x", "LayerNorm"),
        ("Reorder", "x", "transposes and copies"),
        ("Subgraph", "x", "fused subgraphs"),
        ("Add", "x", "element-wise and the rest"),
    ],
)
def test_kinds(operator: str, node: str, kind: str) -> None:
    assert op_profile.kind_of(operator, node) == kind


def test_both_profilers_are_read() -> None:
    bundle = Bundle.open(bundled_bundle(), verify=False)
    encoder = bundle.read(bundle.select("onnxruntime", "fp32")["encoder"])
    before = op_profile.summed(
        op_profile.onnxruntime_profile(encoder, {"persons": op_profile.persons(4)}, threads=1, calls=1)
    )
    after = op_profile.summed(op_profile.openvino_profile(bundle, "fp32", 4, threads=1, calls=1))
    assert "attention products" in before["kinds"]
    assert {"attention products", "fused subgraphs"} & set(after["kinds"])
    for found in (before, after):
        assert {"linear layers", "LayerNorm"} <= set(found["kinds"])
        assert np.isclose(found["total_ms"], sum(found["operators"].values()))
    # every operator of the graph that ONNX Runtime fuses with nothing is seen once
    assert before["counts"]["LayerNormalization"] == 8 * bundle.config.depth + 1
    assert before["counts"]["Transpose"] == 8 * bundle.config.depth
    assert before["counts"]["FusedMatMul"] == 4 * bundle.config.depth  # the exchange of the keys is in them
