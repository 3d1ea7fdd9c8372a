"""Models compiled by OpenVINO, and how their requests are run: one with all threads, or one a thread."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from maskclr_edge.errors import BundleError, EngineError
from maskclr_edge.optional import require
from maskclr_edge.runtime.bundle import Artifact, Bundle
from maskclr_edge.runtime.io_check import first_line
from maskclr_edge.runtime.runner import Floats


class Compiled:
    """One compiled model, and its requests behind a lock: a call has all of its threads.

    streams: 1 for one request with every thread; or as many requests, with a thread each, which share the
    persons of a call. Threads that work on one person hand each other all that they compute, and where they
    share no cache that takes longer than the work; requests hand each other nothing.
    """

    def __init__(self, core: Any, graph: Any, settings: Mapping[str, Any], streams: int = 1) -> None:
        self._core, self._graph, self._settings = core, graph, settings
        shared_out = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": streams} if streams > 1 else {}
        self._model = core.compile_model(graph, "CPU", {**settings, **shared_out})
        self._requests = [_Request(self._model.create_infer_request()) for _ in range(streams)]
        self._lock = threading.Lock()

    @classmethod
    def read(cls, core: Any, bundle: Bundle, artifact: Artifact, settings: Mapping[str, Any]) -> "Compiled":
        """Compile an artifact for any shape. Raises BundleError."""
        data = bundle.read(artifact)
        try:
            return cls(core, core.read_model(data), settings)
        except Exception as error:
            file = bundle.path / artifact.file
            raise BundleError(f"{file}: not taken by OpenVINO ({first_line(error)})") from error

    def again(self, *, streams: int, shape: list[int] | None = None) -> "Compiled":
        """The same model with other streams, which take only ``shape`` if it is given. Raises EngineError."""
        try:
            graph = self._graph
            if shape is not None:
                graph = graph.clone()  # the weights are shared
                graph.reshape(shape)
            return Compiled(self._core, graph, self._settings, streams)
        except Exception as error:
            what = "many persons" if shape is None else shape
            raise EngineError(f"openvino cannot compile for {what}: {first_line(error)}") from error

    def run(self, array: Floats) -> Floats:
        """The model's output for its one input. Raises EngineError."""
        count = min(len(self._requests), len(array))
        parts = np.array_split(array, count) if count > 1 else [array]
        try:
            with self._lock:
                return _run(self._requests[:count], parts)
        except Exception as error:
            raise EngineError(f"openvino failed on an input of {array.shape}: {first_line(error)}") from error

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


class _Request:
    """An infer request that reads from one buffer, set anew where the shape changes.

    To pass an array to each call costs a tenth of a millisecond more, three times what a small head takes.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        self._input: Floats = np.empty(0, np.float32)

    def take(self, array: Floats) -> None:
        """Copy an input to where the request reads it."""
        if array.shape != self._input.shape:
            buffer = np.empty_like(array)
            self.request.set_input_tensor(require("openvino").Tensor(buffer, shared_memory=True))
            self._input = buffer
        np.copyto(self._input, array)

    def output(self) -> Floats:
        """A copy of what the request gave."""
        output: Floats = self.request.get_output_tensor().data.copy()
        return output


def _run(requests: Sequence[_Request], parts: Sequence[Floats]) -> Floats:
    for one, part in zip(requests, parts, strict=True):
        one.take(part)
    if len(requests) == 1:
        requests[0].request.infer()  # in this thread, which saves waking another
        return requests[0].output()
    errors: list[Exception] = []
    for one in requests:
        one.request.start_async()
    for one in requests:  # every one, whatever became of the others: they read from our buffers
        try:
            one.request.wait()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return np.concatenate([one.output() for one in requests])
