"""Encoder and head run straight from their ONNX files, for the checks of an export."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from maskclr_edge.deploy.precision import OPENVINO, ORT, Precision
from maskclr_edge.errors import ExportError
from maskclr_edge.optional import require
from maskclr_edge.runtime.cores import default_threads
from maskclr_edge.runtime.ov import plugin_settings

Floats = npt.NDArray[np.float32]
#: a network of one input and one output
Network = Callable[[Floats], Floats]


def open_session(model: Path | bytes, threads: int | None = None, *, basic: bool = False) -> Any:
    """ONNX Runtime session on the CPU. Raises ExportError when it does not take the model.

    basic: few graph optimisations, so that Q/DQ pairs are computed as they stand, see runtime/ort.py.
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


def open_network(
    precision: Precision, model: Path | bytes, threads: int | None = None, *, runner: str = ""
) -> Network:
    """A file of a precision on a runner, by default the first that takes it: ONNX Runtime if it does.

    OpenVINO computes in the graph's own types by default, and in those that its runner would choose here
    where it is asked for by name. Raises ExportError, and so does what is returned.
    """
    if runner == OPENVINO or ORT not in precision.runners:
        return _on_openvino(model, precision.name if runner else "")
    session = open_session(model, threads, basic=precision.emulated)
    name = session.get_inputs()[0].name
    return _reporting("ONNX Runtime", lambda array: session.run(None, {name: array})[0])


def open_pair(precision: Precision, encoder: Path | bytes, head: Path | bytes) -> "OnnxPair":
    """Encoder and head of a precision. Raises ExportError."""
    return OnnxPair(open_network(precision, encoder), open_network(precision, head))


@dataclass(frozen=True)
class OnnxPair:
    """``infer`` of clips by an encoder and a head, persons neither packed nor padded."""

    encoder: Network
    head: Network

    def infer(self, clips: Floats) -> Floats:
        """Logits (N, K) of clips (N, M, T, 17, 3): the mean is over the M persons given."""
        count, persons = clips.shape[:2]
        features = self.encoder(clips.reshape(-1, *clips.shape[2:]))
        return self.head(features.reshape(count, persons, -1))


def _on_openvino(model: Path | bytes, precision: str) -> Network:
    """For what ONNX Runtime has no kernels for, and for what OpenVINO will run.

    precision: whose settings the runner's are; "" for float32 wherever the graph has it, not the plugin's
    own choice of faster types.
    """
    core = require("openvino").Core()
    try:
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        if precision:
            settings = plugin_settings(core, precision, default_threads())
        compiled = core.compile_model(core.read_model(model), "CPU", settings)
    except Exception as error:
        raise ExportError(f"OpenVINO does not take the graph: {_first_line(error)}") from error
    network = _reporting("OpenVINO", lambda array: compiled(array)[0])
    if len(compiled.inputs[0].partial_shape) == 4:
        network(np.zeros((1, 16, 17, 3), np.float32))  # the first shape must not be T = 1, see runtime/ov.py
    return network


def _reporting(backend: str, run: Callable[[Floats], Any]) -> Network:
    def network(array: Floats) -> Floats:
        try:
            result: Floats = run(array)
        except Exception as error:
            raise ExportError(f"{backend} cannot run the exported graph: {_first_line(error)}") from error
        return result

    return network


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
