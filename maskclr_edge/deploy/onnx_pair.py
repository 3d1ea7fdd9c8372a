"""Encoder and head run straight from their ONNX files, for the checks of an export."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from maskclr_edge.deploy.precision import ORT, Precision
from maskclr_edge.errors import ExportError
from maskclr_edge.optional import require


def open_session(model: Path | bytes, threads: int | None = None, *, basic: bool = False) -> Any:
    """ONNX Runtime session on the CPU. Raises ExportError when it does not take the model.

    basic: few graph optimisations; the others have no rules for FP8 and make an invalid graph of it.
    """
    options = onnxruntime.SessionOptions()
    if basic:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    source = str(model) if isinstance(model, Path) else model
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exception classes have no common public base
        name = model.name if isinstance(model, Path) else "graph"
        raise ExportError(f"ONNX Runtime does not take the {name}: {_first_line(error)}") from error


def open_pair(precision: Precision, encoder: Path | bytes, head: Path | bytes) -> "OnnxPair":
    """The pair of a precision, on the first runner that takes it. Raises ExportError."""
    if ORT in precision.runners:
        return OnnxPair(encoder, head, basic=precision.name == "fp8")
    return _OpenVinoPair(encoder, head)


class OnnxPair:
    """``infer`` of clips by an encoder and a head, persons neither packed nor padded."""

    def __init__(self, encoder: Path | bytes, head: Path | bytes, *, basic: bool = False) -> None:
        self._encoder, self._head = open_session(encoder, basic=basic), open_session(head)

    def infer(self, clips: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits (N, K) of clips (N, M, T, 17, 3): the mean is over the M persons given."""
        count, persons = clips.shape[:2]
        features = self._run(self._encoder, {"persons": clips.reshape(-1, *clips.shape[2:])})
        return self._run(self._head, {"features": features.reshape(count, persons, -1)})

    def _run(self, session: Any, feed: Mapping[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        try:
            result: npt.NDArray[np.float32] = session.run(None, feed)[0]
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot run the exported graph: {_first_line(error)}") from error
        return result

    def __enter__(self) -> "OnnxPair":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._encoder, self._head


class _OpenVinoPair(OnnxPair):
    """The same on OpenVINO, for what ONNX Runtime has no kernels for."""

    def __init__(self, encoder: Path | bytes, head: Path | bytes) -> None:
        core = require("openvino").Core()
        self._encoder, self._head = (self._compile(core, model) for model in (encoder, head))
        # the first shape must not be T = 1, see runtime/ov.py
        self._run(self._encoder, {"persons": np.zeros((1, 16, 17, 3), np.float32)})

    def _compile(self, core: Any, model: Path | bytes) -> Any:
        try:
            # the types of the graph are what is judged, not the plugin's own choice of faster ones
            settings = {"INFERENCE_PRECISION_HINT": "f32"}
            return core.compile_model(core.read_model(model), "CPU", settings)
        except Exception as error:
            raise ExportError(f"OpenVINO does not take the graph: {_first_line(error)}") from error

    def _run(self, session: Any, feed: Mapping[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        try:
            result: npt.NDArray[np.float32] = session(feed)[0]
        except Exception as error:
            raise ExportError(f"OpenVINO cannot run the exported graph: {_first_line(error)}") from error
        return result


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
