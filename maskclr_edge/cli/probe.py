"""Finding out what a machine has, one question at a time; a question that goes wrong is an answer too.

Packages are asked in a process of their own: an import that crashes or hangs (a driver that is not there, a
library of another version) must not take ``doctor`` with it.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

TIMEOUT_S = 60
_GPU_FIELDS = ("name", "memory.total", "driver_version", "compute_cap")

#: Jetson Linux release -> JetPack, by NVIDIA's JetPack archive, where the package nvidia-jetpack is absent
_JETPACKS = {
    **{"35.1": "5.0.2", "35.2.1": "5.1", "35.3.1": "5.1.1", "35.4.1": "5.1.2", "35.5": "5.1.3"},
    **{"35.6": "5.1.4", "36.2": "6.0 DP", "36.3": "6.0", "36.4": "6.1", "36.4.3": "6.2", "36.4.4": "6.2.1"},
    **{"38.2": "7.0", "38.4": "7.1"},
}
_JETPACK_MAJOR = {32: "4", 34: "5", 35: "5", 36: "6", 38: "7", 39: "7"}
#: word in the board's name -> compute capability
_TEGRA_SM = {"thor": "11.0", "orin": "8.7", "xavier": "7.2"}

#: what each package is asked, as an expression over the module m; the answer is JSON
QUESTIONS = {
    "onnxruntime": "{'version': m.__version__, 'providers': m.get_available_providers()}",
    "openvino": "{'version': m.__version__.split('-')[0], 'devices': m.Core().available_devices}",
    "onnx": "{'version': m.__version__}",
    "torch": "{'version': m.__version__, 'cuda': m.version.cuda, 'gpu': m.cuda.is_available()}",
    "tensorrt": "{'version': m.__version__, 'works': makes_runtime(m)}",
    "pycuda": "{'version': m.VERSION_TEXT, 'gpus': count(m)}",
    "cuda.bindings": "{'version': m.__version__, 'gpus': driver_count(m)}",
    "mediapipe": "{'version': m.__version__, 'models': sorted(file.name for file in"
    " pathlib.Path(m.__file__).parent.glob('modules/pose_*/*.tflite'))}",
    "cv2": "{'version': m.__version__, 'gstreamer':"
    " bool(re.search('GStreamer: +YES', m.getBuildInformation()))}",
}
_PROGRAM = """
import json, pathlib, re, {name} as m
def count(m):
    import pycuda.driver
    pycuda.driver.init()
    return pycuda.driver.Device.count()
def driver_count(m):
    from cuda.bindings import driver
    error, = driver.cuInit(0)
    if error:
        raise RuntimeError(driver.cuGetErrorString(error)[1].decode())
    return driver.cuDeviceGetCount()[1]
def makes_runtime(m):
    try:  # where driver, CUDA and library do not fit each other it makes none
        m.Runtime(m.Logger(m.Logger.INTERNAL_ERROR))
    except TypeError:
        return False
    return True
print(json.dumps({question}))
"""


def ask_package(name: str) -> dict[str, Any]:
    """What an optional package says of itself; ``{"error": ...}`` where it is missing or broken."""
    program = _PROGRAM.format(name=name, question=QUESTIONS[name])
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return {"error": _short(f"{type(error).__name__}: {error}")}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"]
        return {"error": _short(lines[-1])}
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": "gave no answer"}
    return answer if isinstance(answer, dict) else {"error": "gave no answer"}


def missing(answer: Mapping[str, Any], name: str) -> bool:
    """Whether the package is not installed at all, as opposed to broken."""
    return f"No module named '{name}'" in str(answer.get("error", ""))


def version_of(*distributions: str) -> str | None:
    """Version of the first of these distributions that is installed."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def gpus() -> list[dict[str, str]]:
    """NVIDIA GPUs as nvidia-smi gives them; none where it is missing, broken or slow."""
    return parse_gpus(_output("nvidia-smi", f"--query-gpu={','.join(_GPU_FIELDS)}", "--format=csv,noheader"))


def parse_gpus(text: str) -> list[dict[str, str]]:
    """Rows of nvidia-smi's CSV; a field that the machine cannot tell is left out."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == len(_GPU_FIELDS):
            found.append(
                {k: v for k, v in zip(_GPU_FIELDS, cells, strict=True) if v and not v.startswith("[")}
            )
    return [gpu for gpu in found if "name" in gpu]


def jetson() -> dict[str, str] | None:
    """Board, Jetson Linux release, JetPack and compute capability; None where this is no Jetson."""
    return parse_jetson(_read("/etc/nv_tegra_release"), _read("/proc/device-tree/model"), packages())


def parse_jetson(release: str, model: str, installed: Mapping[str, str]) -> dict[str, str] | None:
    """The same from the text of /etc/nv_tegra_release, the device tree's model and the Debian packages."""
    match = re.search(r"R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)", release)
    model = model.strip("\0\n ")
    if not match and not re.search(r"jetson|tegra", model, re.IGNORECASE):
        return None
    found = {"board": model or "unknown Jetson"}
    if match:
        number = f"{match[1]}.{match[2]}"
        while number.endswith(".0"):  # R36 REVISION 4.0 is 36.4
            number = number[:-2]
        found["jetson_linux"] = number
        major = _JETPACK_MAJOR.get(int(match[1]))
        jetpack = re.split(r"[-+]", installed.get("nvidia-jetpack", ""))[0] or _JETPACKS.get(number) or major
        if jetpack:
            found["jetpack"] = jetpack
    for word, capability in _TEGRA_SM.items():
        if word in model.lower():
            found["compute_cap"] = capability
    return found


def packages() -> dict[str, str]:
    """Versions of the Debian packages of TensorRT and JetPack."""
    patterns = ("libnvinfer*", "python3-libnvinfer*", "tensorrt*", "nvidia-jetpack")
    return parse_packages(
        _output("dpkg-query", "-W", "-f=${Package} ${Version} ${db:Status-Status}\n", *patterns)
    )


def parse_packages(text: str) -> dict[str, str]:
    """``package version status`` lines; those that are not installed are left out."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] == "installed"}


def system_tensorrt(installed: Mapping[str, str]) -> str | None:
    """TensorRT version of the system's own packages, such as JetPack's."""
    for name, version in sorted(installed.items(), reverse=True):
        if re.fullmatch(r"libnvinfer\d+|tensorrt", name):
            return version.partition("-")[0]
    return None


def cuda_toolkit() -> str | None:
    """Version of the CUDA toolkit, by nvcc or by the file that it brings."""
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    return parse_nvcc(_output(nvcc, "--version")) or parse_cuda_file(_read("/usr/local/cuda/version.json"))


def parse_nvcc(text: str) -> str | None:
    """12.6 from ``Cuda compilation tools, release 12.6, V12.6.68``."""
    match = re.search(r"release (\d+\.\d+)", text)
    return match[1] if match else None


def parse_cuda_file(text: str) -> str | None:
    """12.6.11 from CUDA's version.json."""
    try:
        version = json.loads(text)["cuda"]["version"]
    except (ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, str) else None


def _output(*words: str) -> str:
    """What a program prints; nothing where it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    # dpkg-query fails when one of several patterns matches nothing, and still prints the others
    return done.stdout


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")[:100_000]
    except OSError:
        return ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:157] + "..."
