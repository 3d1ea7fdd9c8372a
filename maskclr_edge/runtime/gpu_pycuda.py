"""CUDA through PyCUDA."""

import threading
from types import TracebackType
from typing import Any, ClassVar

import numpy as np

from maskclr_edge.errors import EngineError
from maskclr_edge.optional import require
from maskclr_edge.runtime.gpu import DeviceBuffer, Event, Gpu, HostView, PinnedBuffer, Stream
from maskclr_edge.runtime.io_check import first_line

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING, which PyCUDA has no name for


class PyCudaGpu(Gpu):
    """One GPU through PyCUDA. Raises MissingDependencyError, and EngineError where there is no such GPU."""

    layer: ClassVar[str] = "pycuda"

    def __init__(self, index: int = 0) -> None:
        self._driver = driver = require("pycuda.driver")
        self.failures = (driver.Error,)
        try:
            driver.init()
            device = driver.Device(index)
            self.name = str(device.name())
            self.sm = "SM{}{}".format(*device.compute_capability())
            self._context = device.retain_primary_context()
        except driver.Error as error:
            raise EngineError(f"GPU {index} cannot be used through PyCUDA ({first_line(error)})") from error
        self._current = _Current(self._context)

    def current(self) -> "_Current":
        """Push the primary context, pop it at the end."""
        return self._current

    def device_buffer(self, size: int) -> "_Device":
        """Bytes on the GPU."""
        return _Device(self._driver.mem_alloc(size))

    def pinned_buffer(self, size: int) -> "_Pinned":
        """Page-locked bytes on the host."""
        return _Pinned(self._driver.pagelocked_empty(size, np.uint8))

    def stream(self) -> "_Stream":
        """A stream that does not wait for the default stream."""
        return _Stream(self._driver.Stream(_NON_BLOCKING))

    def event(self) -> "_Event":
        """An event that keeps its time."""
        return _Event(self._driver.Event())

    def copy_in(self, target: Any, source: HostView, stream: Any) -> None:
        """Copy to the GPU, asynchronously."""
        self._driver.memcpy_htod_async(target.address, source.array, stream.stream)

    def copy_out(self, target: HostView, source: Any, stream: Any) -> None:
        """Copy from the GPU, asynchronously."""
        self._driver.memcpy_dtoh_async(target.array, source.address, stream.stream)

    def close(self) -> None:
        """Let go of the primary context.

        PyCUDA's ``detach`` leaves a primary context on the calling thread's stack for good: so a thread does
        it whose stack ends with it.
        """

        def detach() -> None:
            self._context.push()
            self._context.detach()

        worker = threading.Thread(target=detach)
        worker.start()
        worker.join()


class _Current:
    """Pushes the primary context and pops it: a class, for a generator costs twice as much a call."""

    def __init__(self, context: Any) -> None:
        self._push, self._pop = context.push, context.pop

    def __enter__(self) -> None:
        self._push()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pop()


class _Device(DeviceBuffer):
    def __init__(self, allocation: Any) -> None:
        self._allocation = allocation
        self.address = int(allocation)

    def free(self) -> None:
        self._allocation.free()


class _Pinned(PinnedBuffer):
    def __init__(self, array: Any) -> None:
        self.array = array
        self.address = int(array.ctypes.data)

    def free(self) -> None:
        base: Any = self.array.base
        base.free()


class _Stream(Stream):
    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.handle = int(stream.handle)

    def synchronize(self) -> None:
        self.stream.synchronize()

    def free(self) -> None:
        # PyCUDA destroys a stream with its object
        del self.stream


class _Event(Event):
    def __init__(self, event: Any) -> None:
        self.event = event

    def record(self, stream: Any) -> None:
        self.event.record(stream.stream)

    def ms_since(self, earlier: Any) -> float:
        return float(self.event.time_since(earlier.event))

    def free(self) -> None:
        del self.event
