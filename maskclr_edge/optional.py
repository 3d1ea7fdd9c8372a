"""Optional packages: imported where they are used, and named with the command that brings them."""

import importlib
from importlib.util import find_spec
from types import ModuleType

from maskclr_edge.errors import MissingDependencyError

#: import name of an optional package -> the extra of maskclr-edge that installs it
EXTRAS = {
    "torch": "train",
    "matplotlib": "train",
    "sklearn": "train",
    "tensorboard": "tensorboard",
    "onnx": "export",
    "scipy": "export",
    "openvino": "openvino",
    "pycuda": "tensorrt",
    "cuda": "tensorrt",
    "tensorrt_rtx": "rtx",
    "tensorrt_rtx_bindings": "rtx",
    "onnxruntime_ep_nv_tensorrt_rtx": "rtx",
    "mediapipe": "live",
    "cv2": "live",
    "aiohttp": "web",
}

#: what no extra brings: NVIDIA keeps TensorRT's libraries on an index of its own, and JetPack has them
COMMANDS = {"tensorrt": "pip install --extra-index-url https://pypi.nvidia.com tensorrt"}


def require(name: str) -> ModuleType:
    """Import an optional package by its import name, e.g. ``require("openvino")``.

    Raises MissingDependencyError with the pip command that installs it when it is absent or broken.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        extra = EXTRAS.get(package)
        command = COMMANDS.get(package) or "pip install " + (f"'maskclr-edge[{extra}]'" if extra else name)
        raise MissingDependencyError(
            f"{name} cannot be imported ({error}); install it with: {command}"
        ) from error


def available(name: str) -> bool:
    """Whether a package can be found, without importing it."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
