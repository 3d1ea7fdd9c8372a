"""CUDA graphs through cuda-python: a shape's copies and kernels as one launch.

PyCUDA has no graphs; these work on the stream of either layer, by its handle.
"""

from typing import Any

from maskclr_edge.errors import EngineError
from maskclr_edge.runtime.gpu import Stream
from maskclr_edge.runtime.gpu_cuda_python import Driver


class Graph:
    """Work that was recorded once, for the same buffers, and is launched as often as wanted."""

    def __init__(self, call: Driver, executable: Any, stream: Any) -> None:
        self._call = call
        self._executable = executable
        self._stream = stream
        self._launch = call.quick("cuGraphLaunch")

    def launch(self) -> None:
        """Put it on the stream that it was recorded on."""
        self._launch(self._executable, self._stream)

    def free(self) -> None:
        """Destroy it."""
        self._call("cuGraphExecDestroy", self._executable)


class GraphRecorder:
    """Records graphs. Raises MissingDependencyError without cuda-bindings."""

    def __init__(self) -> None:
        self._call = Driver()

    def record(self, stream: Stream, work: Any) -> Graph:
        """Record what ``work()`` puts on the stream. Raises what it raises, or EngineError."""
        api = self._call.api
        handle = api.CUstream(stream.handle)
        # thread-local: what other threads do meanwhile, such as allocating, must not break this capture
        self._call(
            "cuStreamBeginCapture", handle, api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        )
        try:
            work()
        except BaseException:
            error, graph = api.cuStreamEndCapture(handle)
            if not error:
                self._call("cuGraphDestroy", graph)
            raise
        graph = self._call("cuStreamEndCapture", handle)
        if not graph:
            raise EngineError("CUDA: the capture gave no graph")
        try:
            executable = self._call("cuGraphInstantiate", graph, 0)
        finally:
            self._call("cuGraphDestroy", graph)
        return Graph(self._call, executable, handle)
