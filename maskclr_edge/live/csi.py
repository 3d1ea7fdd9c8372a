"""The ribbon camera of a Jetson, through the pipe of gst-launch: OpenCV's wheels have no GStreamer."""

import shutil
import subprocess
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from maskclr_edge.errors import SourceError
from maskclr_edge.live.cameras import Device
from maskclr_edge.live.geometry import Array

_LAUNCH = "gst-launch-1.0"
_DEFAULTS = {"width": 1280, "height": 720, "fps": 30}
_MOST = {"width": 8192, "height": 8192, "fps": 240}


def connect_csi(address: str) -> Callable[[], tuple[Device, tuple[int, int], float]]:
    """How to open ``csi://SENSOR``, with ``?width=1280&height=720&fps=30`` where another size is wanted.

    Raises SourceError for an address that is not of this form.
    """
    parts = urlsplit(address)
    asked = dict(_DEFAULTS)
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key not in asked or not value.isascii() or not value.isdigit() or not 0 < int(value) <= _MOST[key]:
            raise SourceError(f"{address}: expected csi://0?width=1280&height=720&fps=30")
        asked[key] = int(value)
    if not parts.netloc.isdigit() or parts.path not in ("", "/"):
        raise SourceError(f"{address}: expected csi:// and the number of the sensor, as in csi://0")

    def connect() -> tuple[Device, tuple[int, int], float]:
        return _Pipe(address, int(parts.netloc), **asked), (asked["width"], asked["height"]), asked["fps"]

    return connect


class _Pipe:
    """A running gst-launch; pictures come as raw bytes of a known size."""

    def __init__(self, address: str, sensor: int, width: int, height: int, fps: int) -> None:
        launch = shutil.which(_LAUNCH)
        if launch is None:
            raise SourceError(f"{address}: {_LAUNCH} is not installed; apt install gstreamer1.0-tools")
        self._shape = (height, width, 3)
        size = f"width={width},height={height}"
        # the camera's own memory, then BGRx by the converter hardware, then the three bytes that OpenCV has
        stages = (
            f"nvarguscamerasrc sensor-id={sensor}",
            f"video/x-raw(memory:NVMM),{size},framerate={fps}/1",
            "nvvidconv",
            f"video/x-raw,{size},format=BGRx",
            "videoconvert",
            "video/x-raw,format=BGR",
            "fdsink fd=1 sync=false",
        )
        command = [launch, "-q", *" ! ".join(stages).split(" ")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def read(self) -> tuple[bool, Array | None]:
        assert self._process.stdout is not None
        wanted = int(np.prod(self._shape))
        data = self._process.stdout.read(wanted)
        if len(data) < wanted:
            return False, None
        return True, np.frombuffer(bytearray(data), np.uint8).reshape(self._shape)

    def release(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
