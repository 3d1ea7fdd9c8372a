"""Whole exports: what is in the bundle, who runs it, and how accurate it is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from exports import Maker, export, leftovers, one_block

from maskclr_edge.checkpoint import Checkpoint, parameter_count, read_checkpoint
from maskclr_edge.data import make_clips, read_annotations
from maskclr_edge.deploy import fingerprint, reference
from maskclr_edge.deploy.calibration_set import calibration_clips, choose
from maskclr_edge.deploy.parity import FP32_TOLERANCE, probe_clips
from maskclr_edge.deploy.precision import PRECISIONS
from maskclr_edge.evaluation import model_identity
from maskclr_edge.optional import available
from maskclr_edge.runtime import Bundle, open_runner
from maskclr_edge.runtime.bundled import bundled_checkpoint

needs_rtx = pytest.mark.skipif(
    not available("tensorrt_rtx_bindings"), reason="TensorRT-RTX (extra rtx) is not installed"
)


@pytest.fixture
def checkpoint(random_checkpoint: Maker) -> Checkpoint:
    return one_block(random_checkpoint)


def test_runners_run_the_precisions_that_the_manifest_gives_them(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    # the largest error over the largest logit, with the width that a made-up network's small logits need
    bounds = {"fp32": 1e-3, "fp16": 0.01, "bf16": 0.1, "int8": 0.2, "mixed": 0.2, "fp8": 0.3}
    made = [name for name in bounds if name != "bf16" or available("openvino")]
    bundle = export(checkpoint, tmp_path / "b", precisions=made)
    assert leftovers(tmp_path) == ["b"]
    clips = probe_clips(3, 2, 30, seed=5)
    expected = reference.logits(checkpoint, clips)
    scale = max(1, np.abs(expected).max())
    runners = [name for name in ("onnxruntime", "openvino") if available(name)]
    for runner in runners:
        wanted = [name for name in made if runner in PRECISIONS[name].runners]
        assert bundle.precisions(runner) == tuple(wanted)
        for precision in wanted:
            with open_runner(bundle.path, runner, precision) as opened:
                error = np.abs(opened.infer(clips) - expected).max() / scale
                assert error < bounds[precision], (runner, precision)


def test_what_the_head_reads_is_never_rounded(checkpoint: Checkpoint, tmp_path: Path) -> None:
    made = ("int8", "mixed", "fp8")
    bundle = export(checkpoint, tmp_path / "b", precisions=made)
    for artifact in bundle.artifacts:
        if artifact.role == "encoder":
            graph = onnx.load_from_string(bundle.read(artifact)).graph
            dequantised = {
                name for one in graph.node if one.op_type == "DequantizeLinear" for name in one.output
            }
            rounded = {
                node.name.rpartition("/")[0]: node.input[1] in dequantised
                for node in graph.node
                if node.op_type == "MatMul" and "." in node.name
            }
            assert not rounded.pop("backbone.pre_logits.fc"), artifact.file
            assert sum(rounded.values()) == 16, artifact.file


def test_what_was_measured_of_a_file_is_its_own_in_every_bundle(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    export(checkpoint, tmp_path / "one", precisions=["fp32"])
    export(checkpoint, tmp_path / "more", precisions=["fp32", "int8"])
    other = replace(checkpoint, contract=replace(checkpoint.contract, frames=12))
    export(other, tmp_path / "other", precisions=["fp32"])

    def identity(bundle: str, precision: str = "fp32") -> object:
        with open_runner(tmp_path / bundle, "onnxruntime", precision) as runner:
            return model_identity(str(tmp_path / bundle), runner)

    assert identity("one") == identity("more")
    assert identity("more") != identity("more", "int8")
    assert identity("one") != identity("other")


@pytest.mark.parametrize("head", ["class", "embed"])
def test_the_full_grid_holds(random_checkpoint: Maker, tmp_path: Path, head: str) -> None:
    made = random_checkpoint(maxlen=243, depth=1, dim_feat=8, dim_rep=8, head=head)
    bundle = export(made, tmp_path / "b", precisions=("fp32",), verify="full")
    assert bundle.parity["fp32"]["shapes"] == 42
    assert bundle.parity["fp32"]["max_abs_error"] <= FP32_TOLERANCE * max(
        1, bundle.parity["fp32"]["max_abs_logit"]
    )


def test_the_manifest_says_what_is_there(checkpoint: Checkpoint, tmp_path: Path) -> None:
    info = {"source": "somewhere.pkl", "made_up": False}
    bundle = export(
        checkpoint,
        tmp_path / "b",
        name="best.safetensors",
        calibration_info=info,
        skip=["backbone.pre_logits.fc"],
    )
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    assert manifest["checkpoint"] == {
        "name": "best.safetensors",
        "sha256": fingerprint(checkpoint),
        "info": checkpoint.info,
    }
    assert manifest["built_by"]["calibration"] == {
        "method": "minmax",
        "skipped": ["backbone.pre_logits.fc"],
        "clips": info,
    }
    assert [(a["file"], a["role"], a["precision"]) for a in manifest["artifacts"]] == [
        ("encoder.fp32.onnx", "encoder", "fp32"),
        ("head.onnx", "head", "fp32"),
        ("encoder.int8.u8s8.onnx", "encoder", "int8"),
        ("encoder.int8.onnx", "encoder", "int8"),
        ("head.onnx", "head", "int8"),
    ]
    assert bundle.select("onnxruntime", "int8")["encoder"].file == "encoder.int8.u8s8.onnx"
    assert manifest["artifacts"][2]["read_back"]["gemm_flops"]["int8"] > 0.6
    assert manifest["parity"]["int8"]["relative_error"] > manifest["parity"]["fp32"]["relative_error"]
    assert bundle.contract == checkpoint.contract
    assert bundle.unlisted() == ()


@pytest.mark.parametrize("heads", [1, 2])
def test_openvino_gets_int8_scores_where_heads_are_wide(
    random_checkpoint: Maker, tmp_path: Path, heads: int
) -> None:
    wide = heads == 1  # 64 channels each
    made = random_checkpoint(maxlen=60, depth=1, dim_feat=64, num_heads=heads)
    bundle = export(made, tmp_path / "b", precisions=["int8"], skip=["backbone.blocks_st.0.attn_t"])
    ort, openvino = (a.read_back["gemm_flops"]["int8"] for a in bundle.artifacts if a.role == "encoder")
    assert (openvino > 1.05 * ort) == wide and (openvino == ort) != wide
    clips = probe_clips(2, 2, 60, seed=5)
    expected = reference.logits(made, clips)
    for runner in filter(available, ("onnxruntime", "openvino")):
        with open_runner(bundle.path, runner, "int8") as opened:
            assert np.abs(opened.infer(clips) - expected).max() < 0.1 * np.abs(expected).max()


def test_the_same_files_twice(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    for name in ("one", "two"):
        export(checkpoint, tmp_path / name)
    for file in (tmp_path / "one").glob("*.onnx"):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name
    for name in ("one", "two"):  # the manifests' measured errors may differ in the last place
        assert Bundle.open(tmp_path / name).created == "2025-06-15T15:06:40Z"


def test_a_fingerprint_is_of_the_numbers(checkpoint: Checkpoint, random_checkpoint: Maker) -> None:
    first = fingerprint(checkpoint)
    assert first == fingerprint(replace(checkpoint, info={"other": 1}))
    weights = {name: value.copy() for name, value in checkpoint.weights.items()}
    weights["head.fc2.bias"][0] += 1e-3
    assert first != fingerprint(replace(checkpoint, weights=weights))
    assert first != fingerprint(replace(checkpoint, contract=replace(checkpoint.contract, frames=31)))


def test_progress_reaches_each_total(checkpoint: Checkpoint, tmp_path: Path) -> None:
    seen: dict[str, tuple[int, int]] = {}
    export(checkpoint, tmp_path / "b", progress=lambda done, total, what: seen.update({what: (done, total)}))
    assert {"calibration", "parity fp32", "parity int8"} <= set(seen)
    assert all(done == total for done, total in seen.values())


def int8_against_fp32(data: Path, folder: Path, count: int | None) -> tuple[float, float, float]:
    """Top-1 in fp32 and in int8 of the packaged model on real skeletons, and their agreement, in percent."""
    model, annotations = read_checkpoint(bundled_checkpoint()), read_annotations(data)
    calibration, _ = calibration_clips(annotations, "train", model.contract, count=64)
    bundle = export(model, folder / "b", calibration=calibration, storage="auto")
    clips, labels = make_clips(choose(annotations.split("val"), count or 10**6, seed=1), model.contract)
    answers = {}
    for precision in ("fp32", "int8"):
        with open_runner(bundle.path, "onnxruntime", precision) as opened:
            answers[precision] = opened.infer(clips).argmax(axis=1)
    hits = [100 * float(np.mean(answers[precision] == labels)) for precision in ("fp32", "int8")]
    return hits[0], hits[1], 100 * float(np.mean(answers["fp32"] == answers["int8"]))


def test_int8_answers_as_fp32_does_on_real_skeletons(shared_data: Path, tmp_path: Path) -> None:
    fp32, int8, agreement = int8_against_fp32(shared_data / "penn_action_coco17.pkl", tmp_path, 120)
    assert fp32 > 90
    assert fp32 - int8 <= 2.0  # two of 120
    assert agreement >= 97


@pytest.mark.full
def test_int8_loses_less_than_a_point_on_penn_action(shared_data: Path, tmp_path: Path) -> None:
    fp32, int8, agreement = int8_against_fp32(shared_data / "penn_action_coco17.pkl", tmp_path, None)
    assert fp32 >= 95.2
    assert fp32 - int8 < 1.0
    assert agreement >= 99


@pytest.mark.full
def test_the_full_size_network(random_checkpoint: Maker, tmp_path: Path) -> None:
    """60 M parameters, NTU RGB+D 60: parity, INT8 and engines for three generations of GPUs."""
    sizes = {"dim_feat": 512, "dim_rep": 512, "depth": 5, "num_heads": 8, "hidden_dim": 2048}
    made = random_checkpoint(**sizes, maxlen=243, num_classes=60)
    assert 60e6 < parameter_count(made.config) < 61e6
    engines = ["tensorrt-rtx"] if available("tensorrt_rtx_bindings") else []
    bundle = export(made, tmp_path / "b", calibration=probe_clips(2, 2, 60, seed=1), engines=engines)
    sizes_mb = {item.file: item.bytes / 1e6 for item in bundle.artifacts}
    assert sizes_mb["encoder.int8.onnx"] < 0.3 * sizes_mb["encoder.fp32.onnx"]
    encoder = next(item for item in bundle.artifacts if item.file == "encoder.int8.onnx")
    assert encoder.read_back["gemm_flops"]["int8"] > 0.9
    if engines:
        assert bundle.precisions("tensorrt-rtx") == ("fp32", "int8")
