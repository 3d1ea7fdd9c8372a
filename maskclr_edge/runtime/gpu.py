"""What the TensorRT runner needs of CUDA: memory, pinned buffers, streams, events, by whichever package.

PyCUDA comes first, cuda-python takes over where PyCUDA is not installed. Both work in the device's primary
context, the one that PyTorch and the CUDA runtime use too; it is pushed around every use, so that any thread
may call, and popped again, so that nobody else's context is disturbed.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import MissingDependencyError
from maskclr_edge.optional import available

#: layer -> the import name of its package, in the order of preference
LAYERS = {"pycuda": "pycuda", "cuda-python": "cuda.bindings"}


class Stream(ABC):
    """A queue of work on the GPU; ``handle`` is its cudaStream_t."""

    handle: int

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all its work is done; other Python threads run meanwhile."""

    @abstractmethod
    def free(self) -> None:
        """Destroy it."""


class Event(ABC):
    """A point in a stream, with its time."""

    @abstractmethod
    def record(self, stream: Stream) -> None:
        """Put it at the stream's end."""

    @abstractmethod
    def ms_since(self, earlier: "Event") -> float:
        """Milliseconds between two recorded events, once the stream was synchronised."""

    @abstractmethod
    def free(self) -> None:
        """Destroy it."""


class DeviceBuffer(ABC):
    """Bytes on the GPU, at ``address``."""

    address: int

    @abstractmethod
    def free(self) -> None:
        """Give them back."""


@dataclass(frozen=True)
class HostView:
    """The front of a pinned buffer as an array of some shape; ``address`` is where it begins."""

    array: npt.NDArray[np.float32]
    address: int


class PinnedBuffer(ABC):
    """Page-locked bytes on the host: only they are copied asynchronously."""

    address: int
    #: all of it, uint8
    array: npt.NDArray[np.uint8]

    def view(self, shape: Sequence[int]) -> HostView:
        """Its front as float32 of a shape."""
        front = self.array[: 4 * math.prod(shape)]
        return HostView(front.view(np.float32).reshape(shape), self.address)

    @abstractmethod
    def free(self) -> None:
        """Give them back; no view may be used any more."""


class Gpu(ABC):
    """One GPU and its primary context. All that it hands out is made, used and freed inside ``current()``."""

    layer: ClassVar[str]
    #: what its calls raise besides EngineError
    failures: tuple[type[BaseException], ...] = ()
    name: str
    #: compute capability, such as SM87
    sm: str

    @abstractmethod
    def current(self) -> AbstractContextManager[Any]:
        """Make the primary context this thread's, and put back what was."""

    @abstractmethod
    def device_buffer(self, size: int) -> DeviceBuffer:
        """Bytes on the GPU."""

    @abstractmethod
    def pinned_buffer(self, size: int) -> PinnedBuffer:
        """Page-locked bytes on the host."""

    @abstractmethod
    def stream(self) -> Stream:
        """A stream that does not wait for the default stream."""

    @abstractmethod
    def event(self) -> Event:
        """An event that keeps its time."""

    @abstractmethod
    def copy_in(self, target: DeviceBuffer, source: HostView, stream: Stream) -> None:
        """Copy to the GPU, asynchronously."""

    @abstractmethod
    def copy_out(self, target: HostView, source: DeviceBuffer, stream: Stream) -> None:
        """Copy from the GPU, asynchronously."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the primary context; outside ``current()``."""


def missing_layer() -> str | None:
    """Why no CUDA package can be used here, in one line, or None when there is one."""
    if any(available(package) for package in LAYERS.values()):
        return None
    return "neither pycuda nor cuda-python is installed; pip install pycuda, or (no compiler) cuda-bindings"


def open_gpu(layer: str = "auto", index: int = 0) -> Gpu:
    """The GPU number ``index``, through "pycuda", "cuda-python", or the first of them that is installed.

    A package that is installed and broken is an error and not a reason to take the other. Raises
    MissingDependencyError without a package, EngineError without a GPU.
    """
    if layer == "auto":
        if reason := missing_layer():
            raise MissingDependencyError(reason)
        layer = next(name for name, package in LAYERS.items() if available(package))
    if layer == "pycuda":
        from maskclr_edge.runtime.gpu_pycuda import PyCudaGpu

        return PyCudaGpu(index)
    from maskclr_edge.runtime.gpu_cuda_python import CudaPythonGpu

    return CudaPythonGpu(index)
