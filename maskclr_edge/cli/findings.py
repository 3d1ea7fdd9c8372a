"""What ``doctor`` says: each thing it looked for, what is there of it, and what to do where it is not."""

import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from maskclr_edge.cli import probe

#: the mediapipe release whose wheel carries its pose models and that stays off the network
MEDIAPIPE = "0.10.14"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for: ``state`` is yes, no, broken, or info where there is nothing to miss."""

    name: str
    state: str
    what: str
    advice: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Surroundings:
    """What decides which advice fits: the platform, and whether there is an NVIDIA GPU or a Jetson."""

    linux_x86: bool
    jetson: dict[str, str] | None
    gpus: list[dict[str, str]]

    @property
    def nvidia(self) -> bool:
        """Whether TensorRT could run anything here."""
        return bool(self.gpus or self.jetson)


def machine_findings(around: Surroundings) -> list[Finding]:
    """Python, processor, memory, GPU, Jetson and CUDA."""
    from maskclr_edge.bench.machine import describe_machine

    machine = describe_machine()
    flags = ", ".join(machine["cpu_features"])
    findings = [
        Finding("Python", "info", f"{platform.python_version()} ({sys.prefix})"),
        Finding("system", "info", f"{machine['os']}, {machine['architecture']}"),
        Finding("CPU", "info", f"{machine['cpu'] or 'unknown'}, {machine['cores_usable']} cores"
                + (f"; {flags}" if flags else ""), facts={"features": machine["cpu_features"]}),
        Finding("memory", "info", f"{machine['memory_gb']} GB" if machine["memory_gb"] else "unknown"),
    ]  # fmt: skip
    if around.jetson:
        board = around.jetson
        what = f"{board['board']}, JetPack {board.get('jetpack', 'unknown')}"
        findings.append(Finding("Jetson", "yes", what, _jetpack_advice(board), facts=dict(board)))
    for gpu in around.gpus:
        what = ", ".join(
            [
                gpu["name"],
                *([gpu["memory.total"]] if "memory.total" in gpu else []),
                *([f"driver {gpu['driver_version']}"] if "driver_version" in gpu else []),
                *([f"SM{gpu['compute_cap'].replace('.', '')}"] if "compute_cap" in gpu else []),
            ]
        )
        findings.append(Finding("GPU", "yes", what, facts=dict(gpu)))
    if not around.nvidia:
        findings.append(Finding("GPU", "no", "no NVIDIA GPU: models run on the CPU"))
    toolkit = probe.cuda_toolkit()
    if toolkit or around.nvidia:
        advice = "" if toolkit else "only PyCUDA's build needs the CUDA toolkit"
        findings.append(Finding("CUDA", "yes" if toolkit else "no", toolkit or "no toolkit", advice))
    return findings


def package_findings(answers: dict[str, dict[str, Any]], around: Surroundings) -> list[Finding]:
    """Runtimes, exporters, TensorRT's flavours, and what live needs."""
    findings = [
        _package(answers, "onnxruntime", _providers, "pip install onnxruntime"),
        _package(answers, "openvino", lambda a: ", ".join(a["devices"]), _extra("openvino")),
        _package(answers, "onnx", lambda a: "", _extra("export"), why="to export"),
        _package(answers, "torch", _torch_build, _extra("train"), why="to train"),
        tensorrt_finding(answers["tensorrt"], around, probe.packages()),
        rtx_finding(around),
        pose_finding(answers["mediapipe"]),
        _package(answers, "cv2", _video, _extra("live"), label="OpenCV", why="to read video"),
    ]
    if around.nvidia:
        findings.append(cuda_finding(answers["pycuda"], answers["cuda.bindings"]))
    return findings


def cuda_finding(pycuda: dict[str, Any], bindings: dict[str, Any]) -> Finding:
    """What the TensorRT runners reach the GPU through: PyCUDA, or cuda-python, which also has graphs."""
    name, facts = "CUDA in Python", {"pycuda": pycuda, "cuda.bindings": bindings}
    if "version" in pycuda:
        what, advice = f"PyCUDA {pycuda['version']}, {pycuda['gpus']} GPUs", ""
        if "version" in bindings:
            what += f"; graphs by cuda-bindings {bindings['version']}"
        else:
            advice = "for CUDA graphs: pip install cuda-bindings"
        return Finding(name, "yes", what, advice, facts)
    if not probe.missing(pycuda, "pycuda"):
        advice = "pip install --force-reinstall --no-cache-dir pycuda, or without it: cuda-bindings"
        return Finding(name, "broken", pycuda["error"], advice, facts)
    if "version" in bindings:
        return Finding(
            name, "yes", f"cuda-bindings {bindings['version']}, {bindings['gpus']} GPUs", "", facts
        )
    if not probe.missing(bindings, "cuda") and not probe.missing(bindings, "cuda.bindings"):
        return Finding(
            name, "broken", bindings["error"], "pip install --force-reinstall cuda-bindings", facts
        )
    return Finding(name, "no", "not installed", _extra("tensorrt"), facts)


def tensorrt_finding(answer: dict[str, Any], around: Surroundings, installed: dict[str, str]) -> Finding:
    """TensorRT proper: its Python package, and the system's libraries that may stand without it."""
    library = probe.system_tensorrt(installed)
    facts = {"python": answer.get("version"), "system": library}
    if "version" in answer:
        advice = _tensorrt_age(answer["version"])
        if answer.get("works", True):
            return Finding("TensorRT", "yes", answer["version"], advice, facts)
        what = f"{answer['version']}, which cannot work here: no GPU, or a driver that does not fit"
        return Finding("TensorRT", "broken", what, advice or _driver_advice(around), facts)
    if library:
        advice = "make the environment with python3 -m venv --system-site-packages, and: "
        return Finding("TensorRT", "broken", f"libraries {library}, but not for this Python",
                       advice + "apt install python3-libnvinfer", facts)  # fmt: skip
    if not probe.missing(answer, "tensorrt"):
        return Finding("TensorRT", "broken", answer["error"], "install tensorrt again", facts)
    if around.jetson:
        return Finding("TensorRT", "no", "not installed", "apt install nvidia-jetpack", facts)
    if around.gpus:
        return Finding(
            "TensorRT", "no", "not installed", "pip install tensorrt (libraries: NVIDIA's index)", facts
        )
    return Finding("TensorRT", "no", "not installed", "of no use without an NVIDIA GPU", facts)


def rtx_finding(around: Surroundings) -> Finding:
    """TensorRT-RTX: builds engines with no GPU where its libraries are."""
    own = probe.version_of("tensorrt-rtx", "tensorrt_rtx")
    bindings = probe.version_of("tensorrt-rtx-cu13-bindings")
    libraries = probe.version_of("onnxruntime-ep-nv-tensorrt-rtx-cu13")
    facts = {"tensorrt_rtx": own, "bindings": bindings, "libraries": libraries}
    if own or (bindings and libraries):
        return Finding(
            "TensorRT-RTX", "yes", f"{own or bindings}: builds engines, no GPU needed", facts=facts
        )
    if bindings or libraries:
        return Finding("TensorRT-RTX", "broken", "one of its two packages is missing", _extra("rtx"), facts)
    advice = _extra("rtx") if around.linux_x86 else "for x86-64 Linux only; build engines on such a machine"
    return Finding("TensorRT-RTX", "no", "not installed", advice, facts)


def pose_finding(answer: dict[str, Any]) -> Finding:
    """The pose estimator that reads people from video."""
    if "version" in answer:
        version, models = answer["version"], answer.get("models") or []
        if version == MEDIAPIPE and models:
            return Finding(
                "pose estimator", "yes", f"mediapipe {version}, {len(models)} models", facts=answer
            )
        return Finding("pose estimator", "broken", f"mediapipe {version} does not carry the pose models",
                       f"pip install mediapipe=={MEDIAPIPE}", answer)  # fmt: skip
    if not probe.missing(answer, "mediapipe"):
        advice = _libraries(answer) or f"pip install mediapipe=={MEDIAPIPE}"
        return Finding("pose estimator", "broken", answer["error"], advice, answer)
    if sys.version_info >= (3, 13):
        what = "no mediapipe for this Python carries the pose models"
        return Finding("pose estimator", "no", what, "use Python 3.10 to 3.12 to read video", answer)
    return Finding("pose estimator", "no", "not installed", _extra("live"), answer)


def runner_findings() -> list[Finding]:
    """Each runner that the package knows, and why it cannot run where it cannot."""
    from maskclr_edge.runtime import RUNNERS

    findings = []
    for entry in RUNNERS.values():
        reason = entry.why_not()
        facts = {"takes": entry.takes, "package": entry.package}
        what = reason or f"runs a {entry.takes}"
        findings.append(Finding(f"runner {entry.name}", "no" if reason else "yes", what, facts=facts))
    return findings


def tuned_finding() -> Finding:
    """What "auto" takes for the bundled model, and why."""
    from maskclr_edge.errors import BundleError
    from maskclr_edge.runtime import Bundle, bundled_bundle
    from maskclr_edge.runtime.tuned import recall

    name, again = "runner auto", "maskclr-edge tune"
    try:
        found, why_not = recall(Bundle.open(bundled_bundle(), verify=False))
    except BundleError as error:
        return Finding(name, "broken", str(error), again)
    row = found.choose() if found else None
    if found and row:
        return Finding(name, "yes", found.why(row), facts={"tuned": found})
    return Finding(name, "info", f"the bundled model is {why_not}: the first that is installed", again)


def self_test() -> Finding:
    """Open the bundled model and ask it once: the proof that this install works."""
    import numpy as np

    from maskclr_edge.errors import BundleError
    from maskclr_edge.runtime import bundled_bundle, open_runner

    name = "bundled model"
    try:
        bundled_bundle()
    except BundleError as error:
        return Finding(name, "no", str(error))
    try:
        start = time.perf_counter()
        with open_runner("bundled") as runner:
            logits = runner.infer(np.zeros((1, 1, runner.contract.frames, 17, 3), np.float32))
            seconds = time.perf_counter() - start
            if not np.isfinite(logits).all():
                return Finding(
                    name, "broken", f"gives no numbers on {runner.name}", "install onnxruntime again"
                )
            what = f"answers {seconds:.2f} s after opening, on {runner.name} in {runner.precision}"
        return Finding(name, "yes", what, facts={"seconds": round(seconds, 3)})
    except Exception as error:  # whatever goes wrong on an odd machine is what this command is asked for
        return Finding(name, "broken", f"{type(error).__name__}: {error}", "see the rows above")


def _package(
    answers: dict[str, dict[str, Any]], name: str, detail: Callable[[dict[str, Any]], str], advice: str,
    *, label: str = "", why: str = "",
) -> Finding:  # fmt: skip
    answer, label = answers[name], label or name
    if "version" in answer:
        more = detail(answer)
        return Finding(label, "yes", str(answer["version"]) + (f": {more}" if more else ""), facts=answer)
    if probe.missing(answer, name):
        return Finding(label, "no", "not installed", f"{why}: {advice}" if why else advice, answer)
    return Finding(label, "broken", answer["error"], _libraries(answer) or advice, answer)


def _libraries(answer: dict[str, Any]) -> str:
    """What OpenCV's wheel misses on a system without a desktop."""
    error = answer["error"]
    return (
        "apt install libgl1 libglib2.0-0"
        if "libGL" in error or "libgthread" in error or "libglib" in error
        else ""
    )


def _providers(answer: dict[str, Any]) -> str:
    return ", ".join(name.removesuffix("ExecutionProvider") for name in answer["providers"])


def _torch_build(answer: dict[str, Any]) -> str:
    if not answer["cuda"]:
        return "CPU build"
    return f"CUDA {answer['cuda']}, GPU {'found' if answer['gpu'] else 'not found'}"


def _video(answer: dict[str, Any]) -> str:
    return "with GStreamer" if answer["gstreamer"] else "without GStreamer"


def _extra(name: str) -> str:
    return f"pip install 'maskclr-edge[{name}]'"


def _jetpack_advice(board: dict[str, str]) -> str:
    if board.get("jetpack", "").split(".")[0] in ("4", "5"):
        return "its TensorRT is older than the 10.3 that engines need: JetPack 6.1 or newer has it"
    return ""


def _driver_advice(around: Surroundings) -> str:
    if around.jetson:
        return "apt install --reinstall nvidia-jetpack, so that TensorRT and driver are of one JetPack"
    if around.gpus:
        return "a newer driver, or the release for its CUDA: pip install tensorrt-cu12 for CUDA 12"
    return "of no use without an NVIDIA GPU"


def _tensorrt_age(version: str) -> str:
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    return "engines need TensorRT 10.3 or newer" if len(numbers) == 2 and numbers < [10, 3] else ""
