"""Which NVIDIA GPU is here, asked of the driver itself: no package for CUDA is needed to name it."""

import ctypes
import sys
from dataclasses import dataclass

_LIBRARIES = ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1", "libcuda.so")
# of CUdevice_attribute
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76


@dataclass(frozen=True)
class CudaDevice:
    """A GPU: its name, its compute capability ``sm`` (87 for SM87), and the CUDA version of its driver."""

    name: str
    sm: int
    driver: int


def find_gpu(index: int = 0) -> CudaDevice | None:
    """The GPU of this number, or None where there is no driver or no such GPU."""
    cuda = _driver()
    if cuda is None or cuda.cuInit(0):
        return None
    device, name, version = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_int()
    if cuda.cuDeviceGet(ctypes.byref(device), index) or cuda.cuDeviceGetName(name, len(name), device):
        return None
    parts = []
    for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
        value = ctypes.c_int()
        if cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
            return None
        parts.append(value.value)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    return CudaDevice(name.value.decode(errors="replace"), 10 * parts[0] + parts[1], version.value)


def _driver() -> ctypes.CDLL | None:
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
