"""Encoder and head run straight from their ONNX files, for the checks of an export."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from maskclr_edge.errors import ExportError


def open_session(model: Path | bytes, threads: int | None = None) -> Any:
    """ONNX Runtime session on the CPU. Raises ExportError when it does not take the model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    source = str(model) if isinstance(model, Path) else model
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exception classes have no common public base
        name = model.name if isinstance(model, Path) else "graph"
        raise ExportError(f"ONNX Runtime does not take the {name}: {_first_line(error)}") from error


class OnnxPair:
    """``infer`` of clips by an encoder and a head, persons neither packed nor padded."""

    def __init__(self, encoder: Path | bytes, head: Path | bytes) -> None:
        self._encoder, self._head = open_session(encoder), open_session(head)

    def infer(self, clips: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits (N, K) of clips (N, M, T, 17, 3): the mean is over the M persons given."""
        count, persons = clips.shape[:2]
        features = _run(self._encoder, {"persons": clips.reshape(-1, *clips.shape[2:])})
        return _run(self._head, {"features": features.reshape(count, persons, -1)})

    def __enter__(self) -> "OnnxPair":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._encoder, self._head


def _run(session: Any, feed: Mapping[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    try:
        result: npt.NDArray[np.float32] = session.run(None, feed)[0]
    except Exception as error:
        raise ExportError(f"ONNX Runtime cannot run the exported graph: {_first_line(error)}") from error
    return result


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
