"""Joint importance for showing: of the bundled model, of a checkpoint, and of a bundle that lacks FP32."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="importance needs the extra export")
from maskclr_edge.checkpoint import write_checkpoint
from maskclr_edge.data import made_up_clips, make_clips
from maskclr_edge.errors import BundleError
from maskclr_edge.runtime import Classifier
from maskclr_edge.runtime.bundled import bundled_checkpoint
from maskclr_edge.runtime.importance import JointImportance


def test_bundle_and_checkpoint_look_at_the_same_joints():
    with Classifier.open("bundled") as classifier:
        contract = classifier.contract
    clips, _ = make_clips(made_up_clips(3, seed=1, classes=("squat", "pullup", "bowl")).annotations, contract)
    found = JointImportance("bundled")(clips)
    assert found.shape == (3, 17) and np.allclose(found.sum(axis=1), 1, atol=1e-5)
    # the bundled files hold the weights in half precision alike
    assert np.abs(found - JointImportance(bundled_checkpoint())(clips)).max() < 1e-4


def test_the_first_person_counts(random_checkpoint, tmp_path):
    write_checkpoint(tmp_path / "a.safetensors", random_checkpoint())
    importance = JointImportance(tmp_path / "a.safetensors")
    clips = np.random.default_rng(0).normal(size=(2, 2, 9, 17, 3)).astype(np.float32)
    alone = importance(clips[:, :1])
    assert np.array_equal(importance(clips), alone) and np.ptp(alone) > 1e-3


def test_a_bundle_without_fp32_says_what_it_has(tiny_bundle):
    with pytest.raises(BundleError, match="onnxruntime: int8"):
        JointImportance(tiny_bundle.write(precisions=("int8",)))
