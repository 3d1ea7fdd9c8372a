"""ONNX Runtime and OpenVINO on a hand-made bundle: the padded run's numbers, threads, errors."""

import hashlib
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import BACKENDS

from maskclr_edge.errors import BundleError, ConfigError, EngineError, MissingDependencyError, ShapeError
from maskclr_edge.optional import available
from maskclr_edge.runtime import RUNNERS, Bundle, bundled, open_runner
from maskclr_edge.runtime.ort import set_waiting


def clips(count: int = 1, persons: int = 2, frames: int = 6, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).uniform(-1, 1, (count, persons, frames, 17, 3))
    return points.astype(np.float32)


def replace_artifact(path: Path, role: str, data: bytes) -> None:
    """Put other content in a bundle whose manifest vouches for it."""
    file = path / f"{role}.fp32.onnx"
    file.write_bytes(data)
    manifest = json.loads((path / "manifest.json").read_text())
    for artifact in manifest["artifacts"]:
        if artifact["role"] == role:
            artifact.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("frames", [1, 2, 17, 243])
def test_packing_equals_the_padded_run(tiny_bundle: Any, backend: str, frames: int) -> None:
    batch = clips(5, frames=frames)
    batch[1, 1] = batch[2, 0] = batch[3] = 0
    with open_runner(tiny_bundle.write(), backend) as runner:
        logits = runner.infer(batch)
        assert (logits.shape, logits.dtype) == ((5, 5), np.float32)
        assert np.allclose(logits, tiny_bundle.logits(batch), atol=1e-4)
        for index in range(5):  # one at a time: other groups of persons, the same answers
            assert np.allclose(runner.infer(batch[index]), logits[index], atol=1e-5)
        assert np.allclose(runner.infer(batch[:, :1]), tiny_bundle.logits(batch[:, :1]), atol=1e-4)


@pytest.mark.parametrize(
    ("version", "key", "value"),
    [
        ("1.20.1", "session.intra_op.allow_spinning", "0"),
        ("1.25.9", "session.intra_op.allow_spinning", "0"),
        ("1.26.0", "session.intra_op.spin_duration_us", "20"),
        ("1.31.1+cu13", "session.intra_op.spin_duration_us", "20"),
        ("2.0.0", "session.intra_op.spin_duration_us", "20"),
    ],
)
def test_onnxruntime_threads_do_not_spin_on(version: str, key: str, value: str) -> None:
    options = pytest.importorskip("onnxruntime").SessionOptions()
    set_waiting(options, version)
    assert options.get_session_config_entry(key) == value
    (other,) = {"session.intra_op.allow_spinning", "session.intra_op.spin_duration_us"} - {key}
    with pytest.raises(RuntimeError, match="does not have configuration"):
        options.get_session_config_entry(other)


@pytest.mark.parametrize("backend", BACKENDS)
def test_absent_persons_never_reach_the_backend(
    tiny_bundle: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_runner(tiny_bundle.write(), backend) as runner:
        seen = []
        encode = runner._encode
        monkeypatch.setattr(
            runner, "_encode", lambda persons: (seen.append(len(persons)), encode(persons))[1]
        )
        batch = clips(4)
        batch[:3, 1] = 0
        for _ in range(3):
            runner.infer(batch)
        assert sorted(seen) == [1, 5, 5, 5]


@pytest.mark.parametrize("backend", BACKENDS)
def test_infer_from_many_threads(tiny_bundle: Any, backend: str) -> None:
    batches = [clips(1 + seed % 3, frames=1 + seed % 5, seed=seed) for seed in range(40)]
    for batch in batches[::2]:
        batch[:, 1] = 0
    with open_runner(tiny_bundle.write(), backend, threads=1) as runner, ThreadPoolExecutor(4) as pool:
        for batch, logits in zip(batches, pool.map(runner.infer, batches), strict=True):
            assert np.allclose(logits, tiny_bundle.logits(batch), atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_do_not_change_under_a_later_call(tiny_bundle: Any, backend: str) -> None:
    with open_runner(tiny_bundle.write(), backend) as runner:
        first = runner.infer(clips(seed=1))
        kept = first.copy()
        runner.infer(clips(seed=2))
        assert np.array_equal(first, kept)


@pytest.mark.parametrize("backend", BACKENDS)
def test_prepared_shapes_give_the_same_answers(tiny_bundle: Any, backend: str) -> None:
    with open_runner(tiny_bundle.write(), backend, threads=1) as runner:
        for persons, frames in ((1, 1), (2, 6), (1, 6), (2, 30)):
            runner.prepare(persons, frames)
        runner.prepare()  # the contract's length
        for count, frames in ((1, 1), (1, 6), (2, 6), (3, 6), (1, 7), (1, 30)):
            for persons in (1, 2):
                batch = clips(count, persons, frames)
                assert np.allclose(runner.infer(batch), tiny_bundle.logits(batch), atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_preparing_while_others_infer(tiny_bundle: Any, backend: str) -> None:
    batches = [clips(1, 1, frames, seed=frames) for frames in (2, 3, 4) * 8]
    with open_runner(tiny_bundle.write(), backend, threads=1) as runner, ThreadPoolExecutor(4) as pool:
        preparing = [pool.submit(runner.prepare, 1, frames) for frames in (2, 3, 3, 2, 4)]
        answers = list(pool.map(runner.infer, batches))
        for done in preparing:
            done.result()
    for batch, logits in zip(batches, answers, strict=True):
        assert np.allclose(logits, tiny_bundle.logits(batch), atol=1e-4)


def test_what_cannot_be_prepared(tiny_bundle: Any) -> None:
    runner = open_runner(tiny_bundle.write())
    for persons, frames in ((0, 6), (1, 0), (1, 244)):
        with pytest.raises(ShapeError, match="expected 1 or more persons and 1 to 243 frames"):
            runner.prepare(persons, frames)
    runner.close()
    with pytest.raises(EngineError, match="closed"):
        runner.prepare()


@pytest.mark.parametrize("backend", BACKENDS)
def test_projected_bundles(tiny_bundle: Any, backend: str) -> None:
    path = tiny_bundle.write(contract={"absent": "projected"})
    batch = clips(2)
    batch[:, 1] = 0.25
    with open_runner(path, backend) as runner:
        assert np.allclose(runner.infer(batch), tiny_bundle.logits(batch), atol=1e-4)
        with pytest.raises(ShapeError):
            runner.infer(batch[:, :1])
    with open_runner(path, backend, absent="zeros") as runner:
        assert np.allclose(runner.infer(batch[:, :1]), tiny_bundle.logits(batch[:, :1]), atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("role", ["encoder", "head"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "noise", "pickle"])
def test_onnx_that_no_backend_takes(tiny_bundle: Any, backend: str, role: str, damage: str) -> None:
    path = tiny_bundle.write()
    whole = (path / f"{role}.fp32.onnx").read_bytes()
    broken = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "noise": np.random.default_rng(0).bytes(500),
        "pickle": b"\x80\x04]\x94.",
    }
    replace_artifact(path, role, broken[damage])
    with pytest.raises(BundleError, match=f"{role}.fp32.onnx") as caught:
        open_runner(path, backend)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_artifacts_of_another_model(tiny_bundle: Any, backend: str) -> None:
    path = tiny_bundle.write()
    with pytest.raises(BundleError, match=r"needs \(\?, 136\); it is of another model"):
        open_runner(tiny_bundle.write("wide", model={"dim_rep": 8}), backend)
    encoder = (path / "encoder.fp32.onnx").read_bytes()
    replace_artifact(path, "head", encoder)
    with pytest.raises(BundleError, match="has persons where the head has features"):
        open_runner(path, backend)


def test_choice_of_runner_and_precision(tiny_bundle: Any) -> None:
    both = tiny_bundle.write("both", precisions=("int8", "fp32"))
    with open_runner(both) as runner:
        assert (runner.name, runner.precision) == ("onnxruntime", "fp32")
    with open_runner(both, precision="int8", threads=1) as runner:
        assert (runner.precision, runner.details["threads"]) == ("int8", 1)
    with open_runner(str(tiny_bundle.write("one", precisions=("int8",)))) as runner:
        assert runner.precision == "int8"
    with open_runner(Bundle.open(both)) as runner:
        assert runner.contract.frames == 30
    with open_runner(both / "manifest.json") as runner:
        assert runner.config.num_classes == 5
    with pytest.raises(BundleError, match=r"nothing here can run it in fp16 \(onnxruntime has int8, fp32"):
        open_runner(both, precision="fp16")
    with pytest.raises(BundleError, match="nothing for runner onnxruntime in fp16"):
        open_runner(both, "onnxruntime", "fp16")


def test_what_cannot_be_opened(tiny_bundle: Any) -> None:
    path = tiny_bundle.write()
    with pytest.raises(ConfigError, match="unknown runner 'tensorflow'; known: auto, onnxruntime"):
        open_runner(path, "tensorflow")
    for threads in (0, -1, True, 10_000):
        with pytest.raises(ConfigError, match="threads"):
            open_runner(path, threads=threads)
    with pytest.raises(BundleError, match="no such bundle or checkpoint"):
        open_runner(path / "none")
    with pytest.raises(BundleError, match=r"give it the checkpoint that the bundle was made from \(tiny\)"):
        open_runner(path, "torch")


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_runners_of_engines(tiny_bundle: Any, random_checkpoint: Any, name: str) -> None:
    with pytest.raises(BundleError, match=rf"nothing for runner {name} in fp32; it has onnxruntime: fp32"):
        open_runner(tiny_bundle.write(), name)
    with pytest.raises(ConfigError, match=rf"runs engines and a checkpoint has none; .* --engine {name}"):
        open_runner(random_checkpoint(), name)
    if not available("pycuda") and not available("cuda.bindings"):
        assert "installed" in str(RUNNERS[name].why_not())


def test_a_backend_that_is_not_installed(tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'maskclr-edge\[openvino\]'"):
        open_runner(tiny_bundle.write(), "openvino")


def test_importing_the_runtime_loads_no_backend() -> None:
    script = (
        "import sys, maskclr_edge.runtime;"
        "heavy = {'onnxruntime', 'openvino', 'torch', 'onnx', 'click', 'rich'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_word_bundled(tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tiny_bundle.root
    monkeypatch.chdir(root)
    (root / "bundled").mkdir()
    tiny_bundle.write("bundled/bundle")
    monkeypatch.setattr(bundled.resources, "files", lambda package: root)
    monkeypatch.chdir(tempfile.mkdtemp(dir=root))
    with open_runner("bundled") as runner:
        assert runner.contract.class_names[0] == "clap"
    with pytest.raises(BundleError, match="lacks the model that comes with the package"):
        open_runner("bundled", "torch")
