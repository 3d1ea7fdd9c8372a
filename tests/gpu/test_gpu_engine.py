"""Engines on a real GPU: the bundled model's logits over the shape grid, graphs, threads, times.

Engines are built on the spot: TensorRT's for this GPU, TensorRT-RTX's where this GPU is one that it knows.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from maskclr_edge.deploy.engine import build_engine
from maskclr_edge.deploy.engine_profiles import default_profiles
from maskclr_edge.deploy.parity import probe_clips, shape_grid
from maskclr_edge.deploy.timing_cache import TimingCache
from maskclr_edge.errors import MaskclrEdgeError
from maskclr_edge.runtime import RUNNERS, Bundle, Runner, bundled_bundle, open_runner
from maskclr_edge.runtime.cuda_device import find_gpu
from maskclr_edge.runtime.gpu import open_gpu
from maskclr_edge.runtime.trt import TensorRtRtxRunner, TensorRtRunner
from maskclr_edge.runtime.trt_api import load_tensorrt

pytestmark = pytest.mark.gpu

KINDS: dict[str, type[TensorRtRunner]] = {"tensorrt": TensorRtRunner, "tensorrt-rtx": TensorRtRtxRunner}
#: largest error of a logit, as a share of the largest logit: TensorRT multiplies in TF32 where it may
TOLERANCE = 5e-3


@pytest.fixture(scope="module", params=KINDS)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundled model with engines of each flavour that is installed."""
    flavour = str(request.param)
    if reason := RUNNERS[flavour].why_not():
        pytest.skip(reason)
    try:
        gpu = open_gpu()
    except MaskclrEdgeError as error:
        pytest.skip(f"no GPU to use: {error}")
    sm = int(gpu.sm[2:])
    gpu.close()
    return build(flavour, sm, tmp_path_factory.mktemp(flavour) / "bundle")


def build(flavour: str, sm: int, folder: Path) -> Bundle:
    """The bundled bundle with engines for the GPU that is here. Skips where the flavour has none for it."""
    pytest.importorskip("onnx", reason="building engines needs onnx")
    from maskclr_edge.deploy import extend_bundle

    try:
        return extend_bundle(
            Bundle.open(bundled_bundle()), folder, engines=(flavour,), precisions=("fp32",), sms=(sm,)
        )
    except MaskclrEdgeError as error:
        pytest.skip(f"no {flavour} engine for SM{sm}: {error}")


@pytest.fixture(scope="module")
def runner(bundle: Bundle) -> Iterator[TensorRtRunner]:
    """The runner of the engines' flavour."""
    flavour = next(name for name in KINDS if bundle.precisions(name))
    with KINDS[flavour](bundle, "fp32") as opened:
        yield opened


@pytest.fixture(scope="module")
def reference() -> Iterator[Runner]:
    """ONNX Runtime on the CPU."""
    with open_runner(bundled_bundle(), "onnxruntime", "fp32") as opened:
        yield opened


def close_to(got: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether logits agree within what TF32 rounds off."""
    return bool(np.abs(got - wanted).max() <= TOLERANCE * max(1.0, float(np.abs(wanted).max())))


def test_logits_over_the_shape_grid(runner: TensorRtRunner, reference: Runner) -> None:
    """Three times each shape: as it comes, as its graph is recorded, and by the graph."""
    for seed, (count, persons, frames) in enumerate(shape_grid("full", runner.contract)):
        for turn in range(3):
            batch = probe_clips(count, persons, frames, seed=100 * seed + turn)
            assert close_to(runner.infer(batch), reference.infer(batch)), (count, persons, frames, turn)


def test_graphs_are_in_use(runner: TensorRtRunner) -> None:
    if runner.details["cuda_graphs"] is False:
        pytest.skip("cuda-bindings is not installed")
    for _ in range(3):
        runner.infer(probe_clips(1, 1, 24, seed=0))
    assert runner.details["cuda_graphs"] is True, runner.details["cuda_graphs"]
    assert all(isinstance(found, int) and found for found in runner.graphs()[0].values()), runner.graphs()


def test_from_many_threads(runner: TensorRtRunner, reference: Runner) -> None:
    batches = [probe_clips(1 + seed % 3, 2, (5, 24, 81, 243)[seed % 4], seed) for seed in range(40)]
    with ThreadPoolExecutor(6) as pool:
        for batch, got in zip(batches, pool.map(runner.infer, batches), strict=True):
            assert close_to(got, reference.infer(batch))


def test_an_engine_cut_short_is_refused_in_one_line(bundle: Bundle) -> None:
    engine = next(one for one in bundle.artifacts if one.kind != "onnx" and one.role == "encoder")
    file = bundle.path / engine.file
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(MaskclrEdgeError) as caught:
            KINDS[engine.kind](Bundle.open(bundle.path), "fp32")
        assert "\n" not in str(caught.value)
    finally:
        file.write_bytes(whole)


def test_a_second_build_starts_from_kept_timings(bundle: Bundle, tmp_path: Path) -> None:
    """Prints what the second build takes of the first one's time; TensorRT alone keeps kernel timings."""
    engine = next(one for one in bundle.artifacts if one.kind != "onnx" and one.role == "encoder")
    if engine.kind != "tensorrt":
        pytest.skip("TensorRT-RTX's builder measures no kernels: there is nothing to keep")
    gpu = find_gpu()
    assert gpu is not None
    model = (bundle.path / "encoder.fp32.onnx").read_bytes()
    profiles = default_profiles(engine.kind, bundle.contract).encoder()
    cache = TimingCache(load_tensorrt(engine.kind).version, gpu, tmp_path)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        assert build_engine(model, profiles, flavour=engine.kind, cache=cache)
        seconds.append(time.perf_counter() - began)
    kept = cache.path.stat().st_size
    assert kept > 1000, kept  # an empty one is a header
    print(
        f"\n{engine.kind} on {gpu.name}: first build {seconds[0]:.1f} s, second {seconds[1]:.1f} s, "
        f"{seconds[0] / seconds[1]:.2f} times as fast; {kept} bytes of timings"
    )


def test_compiled_kernels_are_kept(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prints what the first call of a shape takes with and without them; TensorRT-RTX alone compiles any."""
    if not bundle.precisions("tensorrt-rtx"):
        pytest.skip("TensorRT's engines come with their kernels")
    monkeypatch.setenv("MASKCLR_EDGE_CACHE", str(tmp_path))
    seconds = []
    for _ in range(2):
        with TensorRtRtxRunner(bundle, "fp32") as opened:
            began = time.perf_counter()
            opened.infer(probe_clips(1, 1, 24, seed=0))
            seconds.append(time.perf_counter() - began)
    kept = [file.stat().st_size for file in (tmp_path / "kernels").iterdir()]
    assert len(kept) == 2 and min(kept) > 0, kept  # encoder and head
    print(f"\nfirst call of a shape: {seconds[0]:.2f} s, with kept kernels {seconds[1]:.2f} s; {kept} bytes")


def test_latency(runner: TensorRtRunner) -> None:
    """Prints what a call takes; how fast it should be is not for a test to say."""
    for frames in (24, 81, 243):
        clips = probe_clips(1, 1, frames, seed=0)
        samples = []
        for _ in range(220):
            began = time.perf_counter()
            runner.infer(clips)
            samples.append((time.perf_counter() - began) * 1e3)
        p50, p99 = np.percentile(samples[20:], [50, 99])
        parts = ", ".join(f"{name} {ms:.3f}" for name, ms in runner.gpu_ms(1, frames).items())
        where = f"{runner.name} on {runner.details['gpu']}"
        print(f"\n{where}, T={frames}: p50 {p50:.3f} ms, p99 {p99:.3f}; {parts}")
