"""Bundles on OpenVINO's CPU plugin: the fastest on Intel processors."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from maskclr_edge.errors import BundleError, EngineError
from maskclr_edge.optional import require
from maskclr_edge.runtime.bundle import Artifact, Bundle
from maskclr_edge.runtime.cores import default_threads
from maskclr_edge.runtime.io_check import check_tensors, first_line
from maskclr_edge.runtime.runner import Floats, Runner

#: precision of the bundle -> type in which OpenVINO is to run it, and the capability that it takes. Without
#: the hint an AMX machine runs an fp32 model in bf16; int8 keeps the plugin's choice: bf16 beside int8 is
#: fastest. Where the processor lacks the type, float32 holds all its values: ``executed_in`` says so.
PRECISION_HINTS = {"fp32": ("f32", "FP32"), "bf16": ("bf16", "BF16"), "fp16": ("f16", "FP16")}

#: shapes (P, T) whose own compiled encoder is kept; each holds the weights once more
SHAPES_KEPT = 8


class OpenVinoRunner(Runner):
    """Encoder and head compiled for the CPU, one call at a time: a call uses all of the runner's threads.

    The encoder takes any shape. ``prepare`` compiles it for one shape besides, which saves a
    twentieth of a small model's time; it is never done unasked, for it costs the time of many calls and the
    weights' memory again.
    """

    name: ClassVar[str] = "openvino"

    def __init__(self, bundle: Bundle, precision: str, threads: int | None) -> None:
        super().__init__(bundle.config, bundle.contract, precision)
        openvino = require("openvino")
        chosen = bundle.select(self.name, precision)
        core, threads = openvino.Core(), threads or default_threads()
        settings = plugin_settings(core, precision, threads)
        self._encoder = _Compiled.read(core, bundle, chosen["encoder"], settings)
        self._header = _Compiled.read(core, bundle, chosen["head"], settings)
        check_tensors(bundle, chosen, self._encoder.tensors(), self._header.tensors())
        self._shapes: OrderedDict[tuple[int, int], _Compiled] = OrderedDict()
        self._shapes_lock, self._compile_lock = threading.Lock(), threading.Lock()
        if self.contract.max_frames > 1:
            # OpenVINO 2026.4 fuses attention for the first shape that it meets: after T = 1 it gives wrong
            # numbers for every T >= 16, for good; after any other T all lengths are right, 1 included.
            frames = max(2, self.contract.frames)
            self._encoder.run(np.zeros((1, frames, 17, 3), np.float32))
        self.details = {
            "openvino": openvino.__version__.partition("-")[0],
            "threads": threads,
            "executed_in": self._encoder.executed_in(),
        }

    @classmethod
    def open(cls, source: Bundle, precision: str, threads: int | None) -> "OpenVinoRunner":
        """Open a bundle. Raises BundleError when it has nothing for this runner or its files are broken."""
        return cls(source, precision, threads)

    def _encode(self, persons: Floats) -> Floats:
        shape = persons.shape[:2]
        with self._shapes_lock:
            if encoder := self._shapes.get(shape):
                self._shapes.move_to_end(shape)
        return (encoder or self._encoder).run(persons)

    def _prepare(self, persons: int, frames: int) -> None:
        shape = (persons, frames)
        with self._compile_lock:  # calls go on meanwhile, on what there is
            encoder = self._shapes.get(shape)
            encoder = encoder or self._encoder.of_shape([persons, frames, self.config.num_joints, 3])
            with self._shapes_lock:
                self._shapes[shape] = encoder
                self._shapes.move_to_end(shape)
                while len(self._shapes) > SHAPES_KEPT:
                    self._shapes.popitem(last=False)  # a call that has it keeps it until it is done
                self.details["shapes"] = [list(kept) for kept in self._shapes]

    def _head(self, features: Floats) -> Floats:
        return self._header.run(features)

    def _close(self) -> None:
        self._shapes.clear()
        del self._encoder, self._header


def plugin_settings(core: Any, precision: str, threads: int) -> dict[str, Any]:
    """What the CPU plugin is told when it compiles a model of a bundle."""
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    if precision in PRECISION_HINTS:
        hint, capability = PRECISION_HINTS[precision]
        able = capability in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        settings["INFERENCE_PRECISION_HINT"] = hint if able else "f32"
    return settings


class _Compiled:
    """One compiled model and its one infer request."""

    def __init__(self, core: Any, graph: Any, settings: Mapping[str, Any]) -> None:
        self._core, self._graph, self._settings = core, graph, settings
        self._model = core.compile_model(graph, "CPU", dict(settings))
        # one request behind a lock: with the latency hint a call has all threads, and others would only wait
        self._request = self._model.create_infer_request()
        self._lock = threading.Lock()
        self._input: Floats = np.empty(0, np.float32)

    @classmethod
    def read(cls, core: Any, bundle: Bundle, artifact: Artifact, settings: Mapping[str, Any]) -> "_Compiled":
        """Compile an artifact for any shape. Raises BundleError."""
        data = bundle.read(artifact)
        try:
            return cls(core, core.read_model(data), settings)
        except Exception as error:
            file = bundle.path / artifact.file
            raise BundleError(f"{file}: not taken by OpenVINO ({first_line(error)})") from error

    def of_shape(self, shape: list[int]) -> "_Compiled":
        """The same model for inputs of one shape only. Raises EngineError."""
        try:
            graph = self._graph.clone()  # the weights are shared
            graph.reshape(shape)
            return _Compiled(self._core, graph, self._settings)
        except Exception as error:
            raise EngineError(f"openvino cannot compile for {shape}: {first_line(error)}") from error

    def run(self, array: Floats) -> Floats:
        """The model's output for its one input. Raises EngineError.

        The request reads from one buffer, set anew where the shape changes: to pass an array to each call
        costs a tenth of a millisecond more, three times what a small head takes.
        """
        try:
            with self._lock:
                if array.shape != self._input.shape:
                    buffer = np.empty_like(array)
                    self._request.set_input_tensor(require("openvino").Tensor(buffer, shared_memory=True))
                    self._input = buffer
                np.copyto(self._input, array)
                self._request.infer()
                output: Floats = self._request.get_output_tensor().data.copy()
        except Exception as error:
            raise EngineError(f"openvino failed on an input of {array.shape}: {first_line(error)}") from error
        return output

    def tensors(self) -> tuple[dict[str, list[int | None]], dict[str, list[int | None]]]:
        """Inputs and outputs: name -> shape, with None for what is dynamic."""
        inputs, outputs = (
            {
                port.any_name: [size.get_length() if size.is_static else None for size in port.partial_shape]
                for port in ports
            }
            for ports in (self._model.inputs, self._model.outputs)
        )
        return inputs, outputs

    def executed_in(self) -> str:
        """The float type that the plugin settled on, read back from it."""
        return str(self._model.get_property("INFERENCE_PRECISION_HINT").to_string())
