"""The written graphs: the reference's numbers, names, storage, the same bytes every time."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from maskclr_edge.checkpoint import Checkpoint, write_checkpoint
from maskclr_edge.deploy import encoder_graph, head_graph, reference
from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.graph import fits_half
from maskclr_edge.deploy.onnx_pair import OnnxPair, open_pair, open_session
from maskclr_edge.deploy.parity import probe_clips
from maskclr_edge.deploy.precision import get_precision
from maskclr_edge.deploy.read_back import read_back
from maskclr_edge.errors import ConfigError, ExportError

Maker = Callable[..., Checkpoint]

VARIANTS: list[dict[str, Any]] = [
    {},
    {"att_fuse": False},
    {"qkv_bias": False, "qk_scale": 0.3},
    {"head": "embed", "num_classes": 0},
    {"mlp_ratio": 1.0, "num_heads": 4, "depth": 1, "mask_token": True},
]


def half(checkpoint: Checkpoint) -> Checkpoint:
    for name, value in checkpoint.weights.items():
        if value.ndim > 1:
            checkpoint.weights[name] = value.astype(np.float16).astype(np.float32)
    return checkpoint


def pair(checkpoint: Checkpoint, **options: Any) -> OnnxPair:
    storage = options.get("storage", "float32")
    encoder = encoder_graph(checkpoint, **options)
    return open_pair(
        get_precision("fp32"), to_bytes(encoder), to_bytes(head_graph(checkpoint, storage=storage))
    )


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda changes: ",".join(changes) or "default")
@pytest.mark.parametrize("flat", [True, False], ids=["flat", "tokens"])
@pytest.mark.parametrize("apart", [False, True], ids=["packed", "apart"])
def test_every_variant_gives_the_reference(
    random_checkpoint: Maker, changes: dict[str, Any], flat: bool, apart: bool
) -> None:
    checkpoint = random_checkpoint(**changes)
    network = pair(checkpoint, flat=flat, apart=apart)
    for shape in ((1, 1, 1), (2, 2, 7), (1, 2, 40)):
        clips = probe_clips(*shape, seed=1)
        expected = reference.logits(checkpoint, clips)
        assert np.abs(network.infer(clips) - expected).max() <= 2e-5 * max(1, np.abs(expected).max())


def test_half_storage_loses_nothing(random_checkpoint: Maker) -> None:
    checkpoint = half(random_checkpoint(num_heads=2))  # 8 channels: the scale is no power of two
    clips = probe_clips(2, 2, 9, seed=0)
    assert fits_half(checkpoint)
    whole, stored = pair(checkpoint), pair(checkpoint, storage="float16")
    assert np.abs(whole.infer(clips) - stored.infer(clips)).max() < 1e-5
    small, large = (len(to_bytes(encoder_graph(checkpoint, storage=kind))) for kind in ("float16", "float32"))
    assert small < large
    types = read_back(encoder_graph(checkpoint, storage="float16"))["initializers"]
    assert types["float16"]["bytes"] > 2 * types["float32"]["bytes"]


@pytest.mark.parametrize("value", [0.1, 1e6])
def test_half_storage_refuses_what_it_would_change(random_checkpoint: Maker, value: float) -> None:
    checkpoint = half(random_checkpoint())
    checkpoint.weights["backbone.blocks_st.0.mlp_s.fc1.weight"][3, 5] = value
    assert not fits_half(checkpoint)
    with pytest.raises(ExportError, match=r"backbone\.blocks_st\.0\.mlp_s\.fc1\.weight.*float16"):
        encoder_graph(checkpoint, storage="float16")


def test_unknown_storage(random_checkpoint: Maker) -> None:
    with pytest.raises(ConfigError, match="float64"):
        encoder_graph(random_checkpoint(), storage="float64")


def test_the_full_checker_infers_every_shape(random_checkpoint: Maker) -> None:
    for model in (encoder_graph(random_checkpoint()), head_graph(random_checkpoint())):
        onnx.checker.check_model(model, full_check=True)
        assert [entry.version for entry in model.opset_import] == [20]
    kinds = {node.op_type for node in encoder_graph(random_checkpoint()).graph.node}
    assert len(kinds) <= 18


def test_names_are_those_of_modules(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint()
    graph = encoder_graph(checkpoint).graph
    initializers = {tensor.name for tensor in graph.initializer}
    nodes = [node.name for node in graph.node]
    assert len(set(nodes)) == len(nodes)
    for path in (
        "backbone.blocks_ts.1.attn_t.qkv",
        "backbone.blocks_st.0.mlp_s.fc2",
        "backbone.pre_logits.fc",
    ):
        assert f"{path}.weight" in initializers
        assert f"{path}/MatMul" in nodes


def test_equal_checkpoints_give_equal_bytes(random_checkpoint: Maker, tmp_path: Path) -> None:
    """In this process and in another one, whose hashes of names differ."""
    program = (
        "import hashlib, sys\n"
        "from maskclr_edge.checkpoint import read_checkpoint\n"
        "from maskclr_edge.deploy import encoder_graph\n"
        "from maskclr_edge.deploy.builder import to_bytes\n"
        "print(hashlib.sha256(to_bytes(encoder_graph(read_checkpoint(sys.argv[1])))).hexdigest())\n"
    )
    checkpoint = random_checkpoint(depth=1)
    file = tmp_path / "c.safetensors"
    write_checkpoint(file, checkpoint)
    words = [sys.executable, "-c", program, str(file)]
    environment = os.environ | {"PYTHONHASHSEED": "5"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == hashlib.sha256(to_bytes(encoder_graph(checkpoint))).hexdigest()


def test_importance_is_a_distribution_over_joints(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint()
    persons = probe_clips(3, 1, 11, seed=2)[:, 0]
    features, importance = open_session(to_bytes(encoder_graph(checkpoint, importance=True))).run(
        None, {"persons": persons}
    )
    assert importance.shape == (3, 17)
    assert np.allclose(importance.sum(axis=1), 1, atol=1e-5)
    assert np.abs(features - reference.encode(checkpoint, persons)).max() < 1e-4


def test_importance_is_the_torch_network_s(random_checkpoint: Maker) -> None:
    torch = pytest.importorskip("torch")
    from maskclr_edge.model import build_model

    checkpoint = random_checkpoint()
    persons = probe_clips(2, 1, 11, seed=2)[:, 0]
    _, importance = open_session(to_bytes(encoder_graph(checkpoint, importance=True))).run(
        None, {"persons": persons}
    )
    with torch.inference_mode():
        _, expected = build_model(checkpoint).backbone(torch.from_numpy(persons), importance=True)
    assert np.allclose(importance, expected.mean(dim=1).numpy(), atol=1e-5)


def test_the_numpy_reference_is_the_torch_network(random_checkpoint: Maker) -> None:
    torch = pytest.importorskip("torch")
    from maskclr_edge.model import build_model

    for changes in VARIANTS:
        checkpoint = random_checkpoint(**changes)
        clips = probe_clips(2, 2, 13, seed=4)
        with torch.inference_mode():
            expected = build_model(checkpoint)(torch.from_numpy(clips)).numpy()
        assert np.allclose(reference.logits(checkpoint, clips), expected, atol=2e-5), changes
