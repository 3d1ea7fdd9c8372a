"""The runner without a GPU: NVIDIA's real Python bindings of TensorRT and TensorRT-RTX on stand-ins.

What is under test runs in a process of its own for each release, see tests/rig; an engine computes with ONNX
Runtime, so that logits are true. The libcuda is stricter than a real one about contexts, streams and graphs.
"""

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scripts import load_script

RIG = Path(__file__).resolve().parents[1] / "rig"
RELEASES = ("10.3", "10.16", "11.4")
#: TensorRT-RTX has the same bindings, and more: runtime configurations, from which its contexts are made
WITH_RTX = (*RELEASES, "rtx-1.7")
NAMES = [
    name
    for file in sorted(RIG.glob("checks_*.py"))
    for name in re.findall(r"^def check_(\w+)\(", file.read_text(), re.MULTILINE)
]
Answers = Callable[..., dict[str, str]]


def _stand_in() -> ModuleType:
    return load_script("tests/rig/stand_in.py")


stand_in = _stand_in()


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_maker: Any) -> Answers:
    """Runs the checks for a release and a CUDA layer, once in all of pytest's processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def ask(release: str, layer: str, *flags: str) -> dict[str, str]:
        file = shared / f"{'_'.join(['rig', release, layer, *flags])}.json"
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                bundle = tiny_bundle_maker(tmp_path_factory.mktemp("tiny")).write()
                file.write_text(json.dumps(_run(release, layer, bundle, *flags)))
        found: dict[str, str] = json.loads(file.read_text())
        return found

    return ask


def _run(release: str, layer: str, bundle: Path, *flags: str) -> dict[str, str]:
    try:
        words = stand_in.command("checks.py", release, layer, bundle)
    except stand_in.Unavailable as reason:
        pytest.skip(str(reason))
    done = subprocess.run(
        [*words, *flags],
        capture_output=True, text=True, check=False, timeout=550,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(RIG.parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


# xdist gives a group to one process: a release is then run once
@pytest.mark.parametrize(
    "release", [pytest.param(r, marks=pytest.mark.xdist_group(f"rig-{r}")) for r in WITH_RTX]
)
@pytest.mark.parametrize("check", NAMES)
def test_with_cuda_python(answers: Answers, release: str, check: str) -> None:
    assert answers(release, "cuda-python")[check] == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("release", WITH_RTX)
def test_with_pycuda(answers: Answers, release: str) -> None:
    found = answers(release, "pycuda")
    assert set(found) == set(NAMES)
    assert [text for text in found.values() if text != "ok"] == []


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["cuda-python", "pycuda"])
def test_ten_thousand_calls_with_changing_shapes_leak_nothing(answers: Answers, layer: str) -> None:
    name = "leaks_over_calls_with_changing_shapes"
    assert answers("11.4", layer, "--only", name, "--calls", "10000") == {name: "ok"}


@pytest.mark.full
@pytest.mark.parametrize("release", RELEASES)
def test_the_code_fits_the_types_of_each_release(tmp_path: Path, release: str) -> None:
    """mypy against .pyi files generated from the bindings, for all that touches TensorRT."""
    pytest.importorskip("mypy")
    try:
        stubs = stand_in.stubs(release)
    except stand_in.Unavailable as reason:
        pytest.skip(str(reason))
    config = tmp_path / "mypy.ini"
    config.write_text(
        "[mypy]\nstrict = True\npython_version = 3.10\nignore_missing_imports = True\n"
        "[mypy-tensorrt.*]\nignore_errors = True\n"
    )
    wrong = tmp_path / "wrong.py"  # that the types are read at all
    wrong.write_text(
        "import tensorrt\ndef f(c: tensorrt.IExecutionContext) -> None:\n    c.set_binding_shape(0)\n"
    )
    sources = sorted(
        str(file)
        for part in ("runtime", "deploy")
        for file in (RIG.parents[1] / "maskclr_edge" / part).glob("*.py")
        if "import tensorrt" in file.read_text()
    )

    mypy = (sys.executable, "-m", "mypy", "--config-file", str(config))

    def check(*files: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*mypy, "--cache-dir", str(tmp_path), *files],
            capture_output=True, text=True, check=False, cwd=RIG.parents[1],
            env={**os.environ, "MYPYPATH": str(stubs)},
        )  # fmt: skip

    assert 'has no attribute "set_binding_shape"' in check(str(wrong)).stdout
    assert len(sources) > 3
    done = check(*sources)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["cuda-python", "pycuda"])
def test_what_is_run_on_gpus_runs_on_the_stand_in(layer: str) -> None:
    """The tests of ``make gpu-test`` themselves, as far as they need no engine."""
    try:
        sites = [stand_in.cuda_python(), *([stand_in.pycuda()] if layer == "pycuda" else [])]
        libcuda = stand_in.libcuda(sites[1] if layer == "pycuda" else None)
    except stand_in.Unavailable as reason:
        pytest.skip(str(reason))
    words = ["-m", "gpu", "tests/gpu/test_gpu_layer.py", "-k", layer]
    path = ":".join(map(str, [RIG.parents[1], *sites]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        capture_output=True, text=True, check=False, cwd=RIG.parents[1],
        env={**os.environ, "LD_PRELOAD": str(libcuda), "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout, done.stdout


def test_a_machine_without_a_gpu(tiny_bundle: Any) -> None:
    """The driver is there and finds no GPU: one line."""
    program = (
        "import sys, ctypes; sys.path[:0] = sys.argv[2:]; ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)\n"
        "from maskclr_edge.errors import EngineError\n"
        "from maskclr_edge.runtime.gpu import open_gpu\n"
        "try:\n    open_gpu('cuda-python')\nexcept EngineError as error:\n    print(error)"
    )
    try:
        words = [str(stand_in.libcuda(None)), str(stand_in.cuda_python())]
    except stand_in.Unavailable as reason:
        pytest.skip(str(reason))
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False,
        env={**os.environ, "STAND_IN_NO_GPU": "1", "PYTHONPATH": str(RIG.parents[1])},
    )  # fmt: skip
    assert done.stdout == "CUDA: cuInit failed: no CUDA-capable device is detected\n", done.stderr
