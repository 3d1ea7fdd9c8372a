"""Every runner on a real network: equal to the padded NumPy reference, from file, memory and bundle."""

import functools
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import RUNNERS

from maskclr_edge.checkpoint import Checkpoint, ModelConfig, weight_shapes, write_checkpoint
from maskclr_edge.errors import BundleError, CheckpointError, ConfigError, MissingDependencyError, ShapeError
from maskclr_edge.optional import available
from maskclr_edge.runtime import Classifier, open_runner
from maskclr_edge.runtime.bundled import bundled_bundle
from maskclr_edge.skeleton import SkeletonContract


def network(head: str = "class", **contract: Any) -> Checkpoint:
    """A small network of random weights, large enough to make attention matter."""
    rng = np.random.default_rng(11)
    config = ModelConfig(4, dim_feat=16, dim_rep=8, depth=2, num_heads=2, hidden_dim=12, head=head)
    weights = {
        name: rng.normal(size=shape, scale=0.3).astype(np.float32)
        for name, shape in weight_shapes(config).items()
    }
    if head == "class":
        weights["head.bn.running_var"] = rng.uniform(0.5, 2, 12).astype(np.float32)
    return Checkpoint(config, SkeletonContract(("a", "b", "c", "d"), 30, **contract), weights, {"top1": 25.0})


def clips(frames: int = 9) -> np.ndarray:
    """Clips with nobody, one person in either slot, and two; fewer where they are long."""
    batch = np.random.default_rng(2).uniform(-1, 1, (6, 2, frames, 17, 3)).astype(np.float32)
    batch[1, 1] = batch[2, 0] = batch[3] = batch[4, 1] = 0
    return batch if frames < 100 else batch[:2]


@functools.cache
def padded(frames: int) -> np.ndarray:
    """The reference network on every slot of ``clips(frames)``, absent or not."""
    from maskclr_edge.deploy.reference import logits

    return logits(network(), clips(frames))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from maskclr_edge.deploy import export_bundle

    path = tmp_path_factory.mktemp("exported") / "bundle"
    export_bundle(network(), path)
    return path


def source(name: str, bundle: Path) -> Any:
    return network() if name == "torch" else bundle


@pytest.mark.parametrize("name", RUNNERS)
@pytest.mark.parametrize("frames", [1, 30, 243])
def test_packed_equals_padded(name: str, frames: int, bundle: Path) -> None:
    batch = clips(frames)
    expected = padded(frames)
    tolerance = 1e-4 * max(1.0, float(np.abs(expected).max()))
    with open_runner(source(name, bundle), name) as runner:
        assert (runner.name, runner.precision) == (name, "fp32")
        assert np.abs(runner.infer(batch) - expected).max() <= tolerance
        alone = np.concatenate([runner.infer(clip) for clip in batch])
        assert np.abs(alone - expected).max() <= tolerance


@pytest.mark.parametrize("name", RUNNERS)
def test_a_short_clip_first_does_no_harm(name: str, bundle: Path) -> None:
    """A backend that specialises on the first shape it meets must not be wrong on the others."""
    with open_runner(source(name, bundle), name) as runner:
        for frames in (1, 30, 1, 9, 30):
            assert np.allclose(runner.infer(clips(frames)), padded(frames), atol=1e-4)


@pytest.mark.parametrize("name", RUNNERS)
def test_absent_persons_are_not_encoded(name: str, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_runner(source(name, bundle), name) as runner:
        encoded: list[int] = []
        encode = runner._encode

        def counted(persons: np.ndarray) -> np.ndarray:
            encoded.append(len(persons))
            return encode(persons)

        monkeypatch.setattr(runner, "_encode", counted)
        runner.infer(clips())
        runner.infer(clips())
        runner.infer(clips()[1:2])
        assert encoded == [1, 7, 7, 1] or encoded == [7, 1, 7, 1]


@pytest.mark.parametrize("name", RUNNERS)
def test_infer_from_many_threads(name: str, bundle: Path) -> None:
    lengths = [1, 5, 9, 30] * 5
    with open_runner(source(name, bundle), name) as runner, ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda frames: runner.infer(clips(frames)), lengths)
        for frames, result in zip(lengths, results, strict=True):
            assert np.allclose(result, padded(frames), atol=1e-4 * max(1, np.abs(padded(frames)).max()))


@pytest.mark.parametrize("name", RUNNERS)
def test_a_checkpoint_file_runs_everywhere(name: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "small.safetensors", network())
    keypoints = np.random.default_rng(5).uniform(0, 300, (2, 50, 17, 3))
    with Classifier.open(tmp_path / "small.safetensors", runner=name) as classifier:
        answers = classifier(keypoints, "coco17", (640, 480), top=2)
        assert len(answers) == 2
        assert answers[0].probability >= answers[1].probability
        assert set(classifier.runner.details) >= {name, "threads"}
    assert [file.name for file in tmp_path.iterdir()] == ["small.safetensors"]


@pytest.mark.parametrize("name", RUNNERS)
def test_embedding_heads_and_projected_persons(name: str) -> None:
    from maskclr_edge.deploy.reference import logits

    checkpoint = network("embed", absent="projected")
    with open_runner(checkpoint, name) as runner:
        result = runner.infer(clips())
        assert np.allclose(np.linalg.norm(result, axis=1), 1, atol=1e-5)
        assert np.allclose(result, logits(checkpoint, clips()), atol=1e-4)
        with pytest.raises(ShapeError):
            runner.infer(clips()[:, :1])


@pytest.mark.skipif(not available("torch"), reason="torch is not installed")
def test_auto_runs_a_checkpoint_on_torch_else_on_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_runner(network()) as runner:
        assert runner.name == "torch"
    monkeypatch.setattr("maskclr_edge.runtime.factory.available", lambda name: name != "torch")
    with open_runner(network()) as runner:
        assert runner.name == "onnxruntime"


def test_precisions_of_a_checkpoint() -> None:
    for name in ("onnxruntime", "auto"):
        with pytest.raises(ConfigError, match="maskclr-edge export CHECKPOINT --precision int8"):
            open_runner(network(), name, "int8")
    if available("torch"):
        with pytest.raises(ConfigError, match="in fp32, bf16 was asked for"):
            open_runner(network(), "torch", "bf16")


def test_exporting_on_the_way_needs_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'maskclr-edge\[export\]'"):
        open_runner(network(), "onnxruntime")


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    for name, data in (
        ("a.bin", b"PK\x03\x04" + bytes(100)),
        ("b.safetensors", b"\x08"),
        ("c.onnx", b"x" * 99),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match=name):
            open_runner(tmp_path / name)


def test_a_changed_file_is_noticed_though_the_chosen_precision_does_not_read_it(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(bundled_bundle(), bundle)
    other = bundle / "encoder.int8.onnx"
    data = bytearray(other.read_bytes())
    data[len(data) // 2] ^= 1
    other.write_bytes(bytes(data))
    with pytest.raises(BundleError, match=r"encoder\.int8\.onnx"):
        open_runner(bundle, "onnxruntime", "fp32")
