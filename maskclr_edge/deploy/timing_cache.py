"""Kernel timings of earlier builds, kept between them: TensorRT then measures only what is new.

One file a TensorRT version, GPU and driver, because timings of another are refused or wrong. TensorRT-RTX
measures no kernels while it builds (its cache stays empty), so it gets none.
"""

import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskclr_edge.files import cache_folder, write_atomically
from maskclr_edge.runtime.cuda_device import CudaDevice

if TYPE_CHECKING:
    import tensorrt

_LARGEST = 1 << 30


class TimingCache:
    """The timings of one TensorRT version on one GPU, in a file. Nothing of it can fail a build."""

    def __init__(self, version: str, gpu: CudaDevice, folder: Path | None = None) -> None:
        words = re.sub(r"[^\w.]+", "-", f"{version}_{gpu.name}_sm{gpu.sm}_driver{gpu.driver}")
        self.path = (folder or cache_folder()) / "timing" / f"{words}.cache"

    def give(self, config: "tensorrt.IBuilderConfig") -> bool:
        """Hand what is kept to a build; returns whether there was something that it took."""
        kept = self._read()
        cache: Any = config.create_timing_cache(kept)
        # an older file that TensorRT does not take is replaced by this build's
        if cache is not None and config.set_timing_cache(cache, False):
            return bool(kept)
        cache = config.create_timing_cache(b"")
        if cache is not None:
            config.set_timing_cache(cache, False)
        return False

    def take(self, config: "tensorrt.IBuilderConfig") -> None:
        """Keep what a build has measured, over what was kept: the last of two builds at once wins."""
        cache: Any = config.get_timing_cache()
        data = None if cache is None else cache.serialize()
        if data is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, bytes(data))
        except OSError as error:
            logging.getLogger(__name__).warning("the timing cache was not kept: %s", error)

    def _read(self) -> bytes:
        with suppress(OSError), self.path.open("rb") as file:
            data = file.read(_LARGEST + 1)
            return data if len(data) <= _LARGEST else b""
        return b""
