"""What doctor reads from machines of every kind, and that it survives odd ones."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.cli import findings, probe
from maskclr_edge.cli.findings import Surroundings
from maskclr_edge.cli.main import main

# What the files and programs of real machines look like.
JETPACK_5 = (
    "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, "
    "EABI: aarch64, DATE: Tue Aug  1 19:57:35 UTC 2023\n",
    "NVIDIA Jetson Xavier NX Developer Kit\0",
    "libnvinfer-dev 8.5.2-1+cuda11.4 installed\nlibnvinfer8 8.5.2-1+cuda11.4 installed\n"
    "nvidia-jetpack 5.1.2-b104 installed\npython3-libnvinfer 8.5.2-1+cuda11.4 installed\n",
)
JETPACK_6 = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, "
    "EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n"
    "# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"
    "TARGET_USERSPACE_LIB_DIR_PATH=usr/lib/aarch64-linux-gnu/nvidia\n",
    "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "libnvinfer-bin 10.3.0.30-1+cuda12.5 installed\nlibnvinfer10 10.3.0.30-1+cuda12.5 installed\n"
    "libnvinfer8 8.6.2.3-1+cuda12.2 config-files\n"
    "python3-libnvinfer 10.3.0.30-1+cuda12.5 installed\ntensorrt 10.3.0.30-1+cuda12.5 installed\n",
)
JETPACK_7 = (
    "# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic, "
    "EABI: aarch64, DATE: Fri Aug 22 00:55:42 UTC 2025\n"
    "# KERNEL_VARIANT: oot\n",
    "NVIDIA Jetson AGX Thor Developer Kit\0",
    "nvidia-jetpack 7.0+b128 installed\nlibnvinfer10 10.13.3.9-1+cuda13.0 installed\n",
)


@pytest.mark.parametrize(
    ("texts", "expected", "tensorrt"),
    [
        (JETPACK_5, {"jetson_linux": "35.4.1", "jetpack": "5.1.2", "compute_cap": "7.2"}, "8.5.2"),
        (JETPACK_6, {"jetson_linux": "36.4.3", "jetpack": "6.2", "compute_cap": "8.7"}, "10.3.0.30"),
        (JETPACK_7, {"jetson_linux": "38.2", "jetpack": "7.0", "compute_cap": "11.0"}, "10.13.3.9"),
    ],
)
def test_jetsons_are_read(texts: tuple[str, str, str], expected: dict[str, str], tensorrt: str) -> None:
    release, model, dpkg = texts
    installed = probe.parse_packages(dpkg)
    assert probe.parse_jetson(release, model, installed) == {"board": model.strip("\0"), **expected}
    assert probe.system_tensorrt(installed) == tensorrt


@pytest.mark.parametrize(
    ("release", "model", "expected"),
    [
        ("", "", None),
        ("", "Raspberry Pi 5 Model B Rev 1.0\0", None),
        ("", "NVIDIA Jetson AGX Orin\0", {"board": "NVIDIA Jetson AGX Orin", "compute_cap": "8.7"}),
        ("# R36 (release), REVISION: 4.0, GCID: 1", "", {
            "board": "unknown Jetson", "jetson_linux": "36.4", "jetpack": "6.1"}),
        ("# R36 (release), REVISION: 9.9", "", {
            "board": "unknown Jetson", "jetson_linux": "36.9.9", "jetpack": "6"}),
        ("# R99 (release), REVISION: 1.0", "", {"board": "unknown Jetson", "jetson_linux": "99.1"}),
        ("garbage \x00\xff", "", None),
    ],
)  # fmt: skip
def test_half_known_boards(release: str, model: str, expected: dict[str, str] | None) -> None:
    assert probe.parse_jetson(release, model, {}) == expected


def test_gpus_are_read() -> None:
    text = (
        "NVIDIA GeForce RTX 3060, 12288 MiB, 550.120, 8.6\n"
        "Orin (nvgpu), [N/A], 540.4.0, [N/A]\n"
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"
        "\n"
    )
    assert probe.parse_gpus(text) == [
        {
            "name": "NVIDIA GeForce RTX 3060",
            "memory.total": "12288 MiB",
            "driver_version": "550.120",
            "compute_cap": "8.6",
        },
        {"name": "Orin (nvgpu)", "driver_version": "540.4.0"},
    ]


def test_cuda_versions_are_read() -> None:
    assert probe.parse_nvcc("Cuda compilation tools, release 12.6, V12.6.68\nBuild cuda_12.6.r12.6") == "12.6"
    assert probe.parse_nvcc("") is None
    assert probe.parse_cuda_file('{"cuda": {"name": "CUDA SDK", "version": "12.6.11"}}') == "12.6.11"
    for odd in ("", "[]", "{}", '{"cuda": 1}', '{"cuda": {"version": 12}}'):
        assert probe.parse_cuda_file(odd) is None


def _around(**changes: Any) -> Surroundings:
    return Surroundings(**({"linux_x86": True, "jetson": None, "gpus": []} | changes))


ABSENT = {"error": "ModuleNotFoundError: No module named 'tensorrt'"}
RTX_3060 = [{"name": "NVIDIA GeForce RTX 3060"}]


NO_PYCUDA = {"error": "ModuleNotFoundError: No module named 'pycuda'"}
NO_BINDINGS = {"error": "ModuleNotFoundError: No module named 'cuda'"}
PYCUDA, BINDINGS = {"version": "2026.1", "gpus": 1}, {"version": "12.9.4", "gpus": 1}


@pytest.mark.parametrize(
    ("pycuda", "bindings", "state", "words"),
    [
        (PYCUDA, BINDINGS, "yes", "PyCUDA 2026.1, 1 GPUs; graphs by cuda-bindings 12.9.4"),
        (PYCUDA, NO_BINDINGS, "yes", "for CUDA graphs: pip install cuda-bindings"),
        (NO_PYCUDA, BINDINGS, "yes", "cuda-bindings 12.9.4, 1 GPUs"),
        (NO_PYCUDA, NO_BINDINGS, "no", "pip install 'maskclr-edge[tensorrt]'"),
        ({"error": "ImportError: libcuda.so.1: no such file"}, BINDINGS, "broken", "libcuda.so.1"),
        (
            NO_PYCUDA,
            {"error": "RuntimeError: no CUDA-capable device is detected"},
            "broken",
            "no CUDA-capable",
        ),
    ],
)
def test_what_engines_reach_the_gpu_through(pycuda: Any, bindings: Any, state: str, words: str) -> None:
    finding = findings.cuda_finding(pycuda, bindings)
    assert finding.state == state
    assert words in f"{finding.what} {finding.advice}"


@pytest.mark.parametrize(
    ("answer", "around", "installed", "state", "words"),
    [
        ({"version": "10.3.0"}, _around(), {}, "yes", ""),
        ({"version": "8.5.2"}, _around(), {}, "yes", "10.3"),
        ({"version": "10.16.1", "works": True}, _around(gpus=RTX_3060), {}, "yes", ""),
        ({"version": "10.16.1", "works": False}, _around(), {}, "broken", "of no use"),
        ({"version": "10.16.1", "works": False}, _around(gpus=RTX_3060), {}, "broken", "newer driver"),
        ({"version": "10.3.0", "works": False}, _around(jetson={"board": "Orin"}), {}, "broken", "JetPack"),
        (ABSENT, _around(), {}, "no", "of no use"),
        (ABSENT, _around(gpus=RTX_3060), {}, "no", "pip install tensorrt"),
        (ABSENT, _around(jetson={"board": "Orin"}), {}, "no", "nvidia-jetpack"),
        (ABSENT, _around(jetson={"board": "Orin"}), {"libnvinfer10": "10.3.0.30-1"}, "broken", "system-site"),
        ({"error": "OSError: libnvinfer.so.10: cannot open"}, _around(), {}, "broken", "again"),
    ],
)
def test_tensorrt_advice_fits_the_machine(
    answer: dict[str, Any], around: Surroundings, installed: dict[str, str], state: str, words: str
) -> None:
    found = findings.tensorrt_finding(answer, around, installed)
    assert found.state == state
    assert words in found.advice


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"version": "0.10.14", "models": ["pose_detection.tflite"]}, "yes"),
        ({"version": "0.10.31", "models": []}, "broken"),
        ({"error": "ImportError: libGL.so.1: cannot open shared object file"}, "broken"),
        ({"error": "ModuleNotFoundError: No module named 'mediapipe'"}, "no"),
    ],
)
def test_pose_estimator(answer: dict[str, Any], state: str) -> None:
    found = findings.pose_finding(answer)
    assert found.state == state
    assert bool(found.advice) == (state != "yes")


def test_a_library_that_opencv_misses_is_named() -> None:
    answer = {"error": "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"}
    assert "apt install libgl1" in findings.pose_finding(answer).advice


def test_an_old_jetpack_is_told_so() -> None:
    around = _around(jetson=probe.parse_jetson(*JETPACK_5[:2], {}))
    advice = {finding.name: finding.advice for finding in findings.machine_findings(around)}
    assert "JetPack 6.1" in advice["Jetson"]


def test_a_package_that_kills_python_is_broken_not_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(probe.QUESTIONS, "json", "__import__('os').abort()")
    assert "ended with code" in probe.ask_package("json")["error"]
    monkeypatch.setitem(probe.QUESTIONS, "json", "print('noise') or 3")
    assert probe.ask_package("json") == {"error": "gave no answer"}
    monkeypatch.setitem(probe.QUESTIONS, "no_such_package", "{}")
    assert probe.missing(probe.ask_package("no_such_package"), "no_such_package")


def test_a_package_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "TIMEOUT_S", 0.5)
    monkeypatch.setitem(probe.QUESTIONS, "time", "m.sleep(60)")
    assert "TimeoutExpired" in probe.ask_package("time")["error"]


def _quick_answers(name: str) -> dict[str, Any]:
    if name == "onnxruntime":
        return {"version": "1.31.1", "providers": ["CPUExecutionProvider"]}
    return {"error": f"ModuleNotFoundError: No module named '{name}'"}


def test_the_command_gives_json_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "ask_package", _quick_answers)
    assert main(["doctor", "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["can_run"] is True
    assert {"Python", "CPU", "memory"} <= {finding["name"] for finding in result["machine"]}
    advice = {finding["name"]: finding["advice"] for finding in result["packages"]}
    assert "maskclr-edge[openvino]" in advice["openvino"]


def test_the_command_survives_a_machine_without_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "nvidia-smi")

    monkeypatch.setattr(probe, "ask_package", lambda name: {"error": "ImportError: broken"})
    monkeypatch.setattr(subprocess, "run", fail)
    read_text = Path.read_text
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path, **how: fail() if path.is_relative_to("/proc") else read_text(path, **how),
    )
    monkeypatch.setattr(findings, "self_test", lambda: findings.Finding("bundled model", "broken", "no"))
    monkeypatch.setattr("maskclr_edge.cli.doctor.self_test", findings.self_test)
    assert main(["doctor"]) == 1
    assert "No bundle can run here yet" in capsys.readouterr().out
