"""The parts of a manifest that say what a bundle was made of, and with what."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from maskclr_edge import __version__
from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.runtime.bundle import Artifact
from maskclr_edge.runtime.trt_api import load_tensorrt


def fingerprint(checkpoint: Checkpoint) -> str:
    """SHA-256 of a checkpoint's config, contract and weights: the same however and wherever it is stored."""
    digest = hashlib.sha256()
    for part in (checkpoint.config.to_dict(), checkpoint.contract.to_dict()):
        digest.update(json.dumps(part, sort_keys=True).encode() + b"\0")
    for name in sorted(checkpoint.weights):
        digest.update(name.encode() + b"\0")
        digest.update(np.ascontiguousarray(checkpoint.weights[name], "<f4").tobytes())
    return digest.hexdigest()


def as_entry(artifact: Artifact) -> dict[str, Any]:
    """An artifact as the manifest has it."""
    return asdict(artifact) | {"runners": list(artifact.runners)}


def built_by(engines: Sequence[str]) -> dict[str, Any]:
    """Versions of the packages that make a bundle with these engines."""
    made_with = {"maskclr_edge": __version__}
    for package in ("onnx", "onnxruntime", "numpy"):
        try:
            made_with[package] = version(package)
        except PackageNotFoundError:  # a build of its own, as on Jetson: importable, and without metadata
            made_with[package] = "unknown"
    for kind in engines:
        made_with[kind] = load_tensorrt(kind).version
    return made_with


def now() -> str:
    """UTC time, or that of SOURCE_DATE_EPOCH, which makes the same bundle twice."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = time.gmtime(int(seconds)) if seconds.isdigit() else time.gmtime()
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)
