"""A window of this machine's screen, through OpenCV."""

import os
import sys
from typing import Any

from maskclr_edge.errors import ConfigError
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.quiet import quiet
from maskclr_edge.live.view import EndRun
from maskclr_edge.optional import require

_TITLE = "maskclr-edge live (q ends)"
_END_KEYS, _NO_KEY = (ord("q"), 27), 0xFF


def has_display() -> bool:
    """Whether there is a screen to open a window on."""
    if sys.platform in ("darwin", "win32"):
        return not os.environ.get("SSH_CONNECTION")
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class WindowSink:
    """Shows each picture. Closing the window, q or Escape ends the run; other keys wait to be asked for.

    Raises ConfigError where no window can be opened, say without rights to the display.
    """

    wanted = True

    def __init__(self, size_wh: tuple[int, int]) -> None:
        self._cv2: Any = require("cv2")
        self._keys = ""
        try:
            with quiet():
                self._cv2.namedWindow(_TITLE, self._cv2.WINDOW_NORMAL | self._cv2.WINDOW_KEEPRATIO)
                self._cv2.resizeWindow(_TITLE, *size_wh)
        except self._cv2.error as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise ConfigError(f"no window can be opened ({reason}); use --headless") from error

    def take(self, picture: Array, time_s: float) -> None:
        """Show one picture. Raises EndRun when the user is done."""
        self._cv2.imshow(_TITLE, picture)
        key = self._cv2.waitKey(1) & 0xFF
        if key in _END_KEYS or self._cv2.getWindowProperty(_TITLE, self._cv2.WND_PROP_VISIBLE) < 1:
            raise EndRun
        if key != _NO_KEY:
            self._keys += chr(key)

    def pressed(self) -> str:
        """The keys that were pressed since the last call."""
        keys, self._keys = self._keys, ""
        return keys

    def close(self) -> None:
        """Close the window."""
        self._cv2.destroyAllWindows()
