"""CUDA through cuda-python's driver bindings (package cuda-bindings): needs no compiler to install."""

import ctypes
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import EngineError
from maskclr_edge.optional import require
from maskclr_edge.runtime.gpu import DeviceBuffer, Event, Gpu, HostView, PinnedBuffer, Stream
from maskclr_edge.runtime.io_check import first_line

_CAPABILITY = "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_"


class Driver:
    """The CUDA driver API by the names of its functions; a call that fails is an EngineError."""

    def __init__(self) -> None:
        self.api = require("cuda.bindings.driver")

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Call ``cuName`` and give its result: one value, several, or None."""
        try:
            error, *values = getattr(self.api, name)(*arguments)
        except (RuntimeError, OSError) as failure:  # the driver library, or the function in it, is not there
            raise EngineError(f"the CUDA driver cannot be used ({first_line(failure)})") from failure
        if error:
            raise self._failed(name, error)
        return values[0] if len(values) == 1 else values or None

    def quick(self, name: str) -> Callable[..., None]:
        """``cuName`` for calls that are made again and again and give nothing back.

        The driver is there: it has made what they are about.
        """
        function = getattr(self.api, name)

        def call(*arguments: Any) -> None:
            error = function(*arguments)[0]
            if error:
                raise self._failed(name, error)

        return call

    def _failed(self, name: str, error: Any) -> EngineError:
        found, text = self.api.cuGetErrorString(error)
        words = f"error {int(error)}" if found or text is None else str(text.decode())
        return EngineError(f"CUDA: {name} failed: {words}")


class CudaPythonGpu(Gpu):
    """One GPU through cuda-python. Raises MissingDependencyError, and EngineError where there is none."""

    layer: ClassVar[str] = "cuda-python"

    def __init__(self, index: int = 0) -> None:
        self._call = call = Driver()
        call("cuInit", 0)
        self._device = device = call("cuDeviceGet", index)
        self.name = call("cuDeviceGetName", 256, device).partition(b"\0")[0].decode(errors="replace")
        major, minor = (
            call("cuDeviceGetAttribute", getattr(call.api.CUdevice_attribute, _CAPABILITY + part), device)
            for part in ("MAJOR", "MINOR")
        )
        self.sm = f"SM{major}{minor}"
        self._current = _Current(call, call("cuDevicePrimaryCtxRetain", device))
        self._to_device, self._to_host = call.quick("cuMemcpyHtoDAsync"), call.quick("cuMemcpyDtoHAsync")

    def current(self) -> "_Current":
        """Push the primary context, pop it at the end."""
        return self._current

    def device_buffer(self, size: int) -> "_Device":
        """Bytes on the GPU."""
        return _Device(self._call, self._call("cuMemAlloc", size))

    def pinned_buffer(self, size: int) -> "_Pinned":
        """Page-locked bytes on the host."""
        return _Pinned(self._call, self._call("cuMemHostAlloc", size, 0), size)

    def stream(self) -> "_Stream":
        """A stream that does not wait for the default stream."""
        return _Stream(self._call)

    def event(self) -> "_Event":
        """An event that keeps its time."""
        return _Event(self._call)

    def copy_in(self, target: Any, source: HostView, stream: Any) -> None:
        """Copy to the GPU, asynchronously."""
        self._to_device(target.address, source.address, source.array.nbytes, stream.stream)

    def copy_out(self, target: HostView, source: Any, stream: Any) -> None:
        """Copy from the GPU, asynchronously."""
        self._to_host(target.address, source.address, target.array.nbytes, stream.stream)

    def close(self) -> None:
        """Let go of the primary context."""
        self._call("cuDevicePrimaryCtxRelease", self._device)


class _Current:
    def __init__(self, call: Driver, context: Any) -> None:
        self._context = context
        self._push, self._pop = call.quick("cuCtxPushCurrent"), call.quick("cuCtxPopCurrent")

    def __enter__(self) -> None:
        self._push(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pop()


class _Device(DeviceBuffer):
    def __init__(self, call: Driver, pointer: Any) -> None:
        self._call = call
        self.address = int(pointer)

    def free(self) -> None:
        self._call("cuMemFree", self.address)


class _Pinned(PinnedBuffer):
    def __init__(self, call: Driver, address: Any, size: int) -> None:
        self._call = call
        self.address = int(address)
        block = (ctypes.c_uint8 * size).from_address(self.address)
        self.array: npt.NDArray[np.uint8] = np.ctypeslib.as_array(block)

    def free(self) -> None:
        self._call("cuMemFreeHost", self.address)


class _Stream(Stream):
    def __init__(self, call: Driver) -> None:
        self._call: Callable[..., Any] = call
        self._synchronize = call.quick("cuStreamSynchronize")
        self.stream = call("cuStreamCreate", int(call.api.CUstream_flags.CU_STREAM_NON_BLOCKING))
        self.handle = int(self.stream)

    def synchronize(self) -> None:
        self._synchronize(self.stream)

    def free(self) -> None:
        self._call("cuStreamDestroy", self.stream)


class _Event(Event):
    def __init__(self, call: Driver) -> None:
        self._call = call
        self.event = call("cuEventCreate", 0)

    def record(self, stream: Any) -> None:
        self._call("cuEventRecord", self.event, stream.stream)

    def ms_since(self, earlier: Any) -> float:
        return float(self._call("cuEventElapsedTime", earlier.event, self.event))

    def free(self) -> None:
        self._call("cuEventDestroy", self.event)
