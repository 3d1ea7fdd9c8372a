"""Kernels that TensorRT-RTX compiled for the shapes it met, kept between processes.

Its engines are finished where they run: a shape's kernels are compiled as the shape first comes. One file for
each engine, version and GPU; the library checks itself that what is kept fits, and takes it or leaves it.
"""

import logging
import re
from contextlib import suppress
from typing import Any

from maskclr_edge.files import cache_folder, write_atomically

_LARGEST = 1 << 30
_log = logging.getLogger(__name__)


class KernelCache:
    """The compiled kernels of one engine; inside ``gpu.current()``. Nothing of it can fail a call."""

    def __init__(self, engine: Any, sha256: str, version: str, gpu: str) -> None:
        words = re.sub(r"[^\w.]+", "-", f"{version}_{gpu}_{sha256[:16]}")
        self.path = cache_folder() / "kernels" / f"{words}.cache"
        #: TensorRT-RTX's own object, for the configuration of every context; None where it has none
        self.handle: Any = engine.create_runtime_config().create_runtime_cache()
        self._kept = self._read()
        if self.handle is not None and self._kept and not self.handle.deserialize(self._kept):
            _log.info("%s is of another driver or release, its kernels are compiled again", self.path)

    def keep(self) -> None:
        """Write what was compiled since; the last of two processes wins."""
        data = None if self.handle is None else self.handle.serialize()
        if data is None or (content := bytes(data)) == self._kept:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, content)
        except OSError as error:
            _log.warning("compiled kernels were not kept: %s", error)

    def _read(self) -> bytes:
        with suppress(OSError), self.path.open("rb") as file:
            data = file.read(_LARGEST + 1)
            return data if len(data) <= _LARGEST else b""
        return b""
