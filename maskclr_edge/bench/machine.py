"""The machine a result was measured on: enough to compare, nothing that names a person or a host."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

#: distributions whose version changes what is measured
PACKAGES = (
    "maskclr-edge", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "openvino", "torch", "tensorrt",
    "pycuda", "cuda-python", "tensorrt-rtx-cu13-bindings", "onnxruntime-ep-nv-tensorrt-rtx-cu13",
)  # fmt: skip
#: instruction sets that decide how fast matrix products run, by their name in /proc/cpuinfo
CPU_FEATURES = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm",
)  # fmt: skip
_SMALL_FILE = 1_000_000


def describe_machine() -> dict[str, Any]:
    """CPU, memory, GPUs, system, Python and package versions as JSON-able values; None where unknown."""
    cpu = _proc_fields("/proc/cpuinfo")
    flags = (cpu.get("flags") or cpu.get("Features") or "").split()
    return {
        "cpu": cpu.get("model name") or _board() or platform.processor() or None,
        "architecture": platform.machine(),
        "cpu_features": [name for name in CPU_FEATURES if name in flags],
        "cores": os.cpu_count(),
        "cores_usable": usable_cores(),
        "memory_gb": _memory_gb(),
        "gpus": _gpus(),
        "os": _operating_system(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "load_average": _load_average(),
    }


def machine_line(machine: dict[str, Any]) -> str:
    """The description as one line for a table's caption."""
    parts = [
        str(machine.get("cpu") or machine.get("architecture")),
        f"{machine.get('cores_usable')} cores",
        *(gpu.get("name", "GPU") for gpu in machine.get("gpus") or []),
        str(machine.get("os")),
        f"Python {machine.get('python')}",
    ]
    # one busy core, whoever keeps it busy, is enough to spoil a latency
    if (load := machine.get("load_average") or 0) >= 1:
        parts.append(f"NOT QUIET: load average {load:.1f} when it began")
    return ", ".join(parts)


def usable_cores() -> int:
    """Cores that this process may run on (its affinity), not those the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _proc_fields(path: str) -> dict[str, str]:
    """The first value of every `key : value` line of a file under /proc; empty where there is none."""
    try:
        text = Path(path).read_text(errors="replace")[:_SMALL_FILE]
    except OSError:
        return {}
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            values.setdefault(key.strip(), value.strip())
    return values


def _board() -> str | None:
    """The board's name where the CPU has none, e.g. "NVIDIA Jetson Orin Nano Developer Kit"."""
    try:
        return Path("/proc/device-tree/model").read_text(errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def _memory_gb() -> float | None:
    total = _proc_fields("/proc/meminfo").get("MemTotal", "").split()
    return round(int(total[0]) / 1024**2, 1) if total and total[0].isdigit() else None


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}".strip()


def _gpus() -> list[dict[str, str]]:
    """NVIDIA GPUs as nvidia-smi names them; none where it is missing, broken or slow."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = (line.split(", ") for line in answer.splitlines())
    return [{"name": row[0], "memory": row[1], "driver": row[2]} for row in rows if len(row) == 3]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _load_average() -> float | None:
    """Runnable processes in the last minute: a result measured on a busy machine says so itself."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
