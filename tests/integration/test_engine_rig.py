"""The builder's path on the real Python bindings of three TensorRT releases, on a stand-in library."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scripts import load_script

RIG = Path(__file__).resolve().parents[1] / "rig"
SHARED = RIG.parents[2] / "shared" / "trt_rig"
CHECKS = (
    "a_bundle_gets_engines",
    "precision_is_the_networks",
    "options_reach_the_builder",
    "several_profiles",
    "timings_of_another_build_are_left_out",
    "progress_and_interruption",
    "refusals_of_the_parser",
    "refusals_of_the_builder",
    "engines_take_the_weights_of_another_training",
)


def load(name: str) -> ModuleType:
    return load_script(f"tests/rig/{name}.py")


def run_checks(release: str, *names: str) -> dict[str, str]:
    """What the checks say on a release; all of them where none are named."""
    stand_in = load("stand_in")
    try:
        folder = stand_in.rig(release)
    except stand_in.Unavailable as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, str(RIG / "builder_checks.py"), str(SHARED), str(folder), *names],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(RIG), *sys.path])},
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("release", ["10.3", "10.16", "11.4"])
def test_the_builder(release: str) -> None:
    results = run_checks(release)
    assert results == dict.fromkeys(CHECKS, "ok"), "\n".join(results.values())


def test_new_weights_for_engines_of_tensorrt_rtx() -> None:
    """Its builder is checked for real elsewhere; engines whose weights can be changed need a GPU."""
    name = "engines_take_the_weights_of_another_training"
    assert run_checks("rtx-1.7", name) == {name: "ok"}


def ask_doctor(folder: Path) -> dict[str, Any]:
    """What doctor hears of the TensorRT in a folder."""
    program = (
        "import json; from maskclr_edge.cli import probe; print(json.dumps(probe.ask_package('tensorrt')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, timeout=100,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("release", ["10.3", "10.16", "11.4"])
def test_a_library_that_makes_nothing(release: str, tmp_path: Path) -> None:
    """As TensorRT with a driver that is too old: its Python classes raise TypeError, which is one line."""
    stand_in = load("stand_in")
    try:
        folder = stand_in.rig(release, fake=False)
    except stand_in.Unavailable as error:
        pytest.skip(str(error))
    file = tmp_path / "encoder.engine"
    file.write_bytes(b"ftrt" + bytes(100))
    program = (
        "import sys\n"
        "from maskclr_edge.deploy import engine\n"
        "from maskclr_edge.deploy.inspection import engine_layers\n"
        "from maskclr_edge.errors import EngineError\n"
        "from maskclr_edge.runtime.cuda_device import CudaDevice\n"
        "engine.find_gpu = lambda index=0: CudaDevice('Orin', 87, 12060)\n"
        "for call in (lambda: engine.build_engine(b'', [], flavour='tensorrt'),\n"
        "             lambda: engine_layers(sys.argv[1])):\n"
        "    try:\n        call()\n"
        "    except EngineError as error:\n        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        capture_output=True, text=True, check=False, timeout=100,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    assert ask_doctor(folder) == {"version": stand_in.VERSIONS[release], "works": False}
    assert ask_doctor(stand_in.rig(release))["works"] is True
    for line, kind in zip(lines, ("Builder", "Runtime"), strict=True):
        assert f"makes no {kind} here: no GPU, or a driver or CUDA that does not fit it" in line
