"""Joint importance read from exported encoders, whatever their precision."""

from collections.abc import Callable

import numpy as np
import pytest

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy import encoder_graph, head_graph
from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.importance import joint_importance, top_overlap
from maskclr_edge.deploy.onnx_pair import open_session
from maskclr_edge.deploy.parity import probe_clips
from maskclr_edge.deploy.precision import get_precision
from maskclr_edge.errors import ExportError

Maker = Callable[..., Checkpoint]


@pytest.mark.parametrize(("name", "tolerance"), [("fp32", 1e-6), ("fp16", 1e-3), ("bf16", 5e-2)])
def test_it_is_what_the_graph_with_importance_gives(
    random_checkpoint: Maker, name: str, tolerance: float
) -> None:
    if name == "bf16":
        pytest.importorskip("openvino", reason="what runs bfloat16 on a CPU")
    checkpoint, precision = random_checkpoint(), get_precision(name)
    persons = probe_clips(20, 1, 11, seed=2)[:, 0]  # more than run at once
    _, expected = open_session(to_bytes(encoder_graph(checkpoint, importance=True))).run(
        None, {"persons": persons}
    )
    encoder = to_bytes(encoder_graph(checkpoint, compute=precision.compute))
    found = joint_importance(encoder, persons, config=checkpoint.config, precision=precision)
    assert found.shape == (20, 17)
    assert np.abs(found - expected).max() < tolerance


def test_overlap_by_hand() -> None:
    one = np.array([[0.5, 0.3, 0.2, 0.0], [0.4, 0.3, 0.2, 0.1]], np.float32)
    other = np.array([[0.5, 0.0, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4]], np.float32)
    assert top_overlap(one, one, 2) == 100
    assert top_overlap(one, other, 2) == 25  # one of two, none of two
    assert top_overlap(one, other, 4) == 100


def test_what_is_no_encoder_is_refused(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint()
    persons = probe_clips(1, 1, 5, seed=2)[:, 0]
    head = to_bytes(head_graph(checkpoint))
    for data, what in ((head, r"no tensor backbone\.blocks_st"), (b"\xff" * 40, "not an ONNX file")):
        with pytest.raises(ExportError, match=what):
            joint_importance(data, persons, config=checkpoint.config, precision=get_precision("fp32"))
