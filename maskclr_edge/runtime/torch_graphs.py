"""CUDA graphs for the torch runner: the kernels of a shape recorded once, then launched together."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from maskclr_edge.optional import require
from maskclr_edge.runtime.io_check import first_line

_LOG = logging.getLogger(__name__)

#: a function of one tensor on the device
Kernels = Callable[[Any], Any]
#: a function of one tensor on the CPU that gives one on the CPU
Call = Callable[[Any], Any]
Record = Callable[[Kernels, Any], Call]

#: shapes whose recording is kept, the last used ones; each holds its activations
SHAPES_KEPT = 32
#: calls before a capture, in which libraries choose kernels and take workspaces
_WARM_UP = 3


class GraphedCall:
    """A function of one tensor on the GPU, called with tensors on the CPU, and replayed from the second call.

    The first call of a shape runs as usual: many shapes are seen once. Where a shape cannot be recorded,
    ``reason`` and a warning say why, and no more are recorded. Calls take turns: a recording has one set of
    buffers.
    """

    def __init__(self, function: Kernels, device: str = "cuda", record: Record | None = None) -> None:
        self._function, self._device, self._record = function, device, record or record_graph
        self._shapes: OrderedDict[tuple[int, ...], Call | None] = OrderedDict()
        self._lock = threading.Lock()
        self.reason: str | None = None

    def __call__(self, tensor: Any) -> Any:
        """The function's result on the CPU."""
        shape = tuple(tensor.shape)
        with self._lock:
            if self.reason is None and shape in self._shapes and self._shapes[shape] is None:
                try:
                    self._shapes[shape] = self._record(self._function, tensor)
                except RuntimeError as error:
                    self.reason = first_line(error)
                    _LOG.warning("CUDA graphs are not used for shape %s: %s", shape, self.reason)
            replay = self._shapes.setdefault(shape, None)
            self._shapes.move_to_end(shape)
            while len(self._shapes) > SHAPES_KEPT:
                self._shapes.popitem(last=False)
            return replay(tensor) if replay else self._function(tensor.to(self._device)).cpu()


def record_graph(function: Kernels, tensor: Any) -> Call:
    """Record what a function of a CUDA tensor does for one shape. Raises RuntimeError where CUDA refuses.

    Warm-up on a side stream and capture follow PyTorch's notes on CUDA graphs. The capture is of this
    thread's work alone: what other threads do meanwhile must not break it.
    """
    torch = require("torch")
    given = tensor.to("cuda")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            function(given)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = function(given)

    def replay(tensor: Any) -> Any:
        given.copy_(tensor)
        graph.replay()
        return result.cpu()

    return replay
