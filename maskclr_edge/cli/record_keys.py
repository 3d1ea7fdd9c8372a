"""``record --keys``: which keys were pressed, in the window or the terminal, and what is said of it."""

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from maskclr_edge.cli.console import messages
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.live.keyed import Pressed
    from maskclr_edge.live.view import DrawnView


@contextlib.contextmanager
def terminal_keys() -> "Iterator[Pressed]":
    """Keys of the terminal one by one, without Enter; it is as before in the end.

    Raises ConfigError where stdin is no terminal, or cannot be read so.
    """
    if not sys.stdin.isatty() or sys.platform == "win32":
        raise ConfigError(
            "--keys needs a window, or a terminal to press keys in; label a video with --spans, or be told "
            "what to do with --labels alone"
        )
    import termios
    import tty

    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    tty.setcbreak(stdin)

    def pressed() -> str:
        ready, _, _ = select.select([stdin], [], [], 0)
        return os.read(stdin, 64).decode("ascii", "ignore") if ready else ""

    try:
        yield pressed
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


def telling(labels: Sequence[str], drawn: "DrawnView | None") -> "Callable[[str | None, int], None]":
    """Say which keys there are and what goes on, large in a window and as lines on stderr."""
    keys = "   ".join(f"{number} {label}" for number, label in enumerate(labels, start=1))
    if drawn is not None:
        drawn.caption = keys
    screen = messages()
    screen.print(f"{keys}   space ends, backspace takes back, q is done", markup=False, style="dim")

    def told(label: str | None, spans: int) -> None:
        line = f"NOW   {label}" if label is not None else f"{spans} spans"
        if drawn is not None:
            drawn.caption = line if label is not None else keys
        screen.print(line, markup=False, style="bold green" if label is not None else "dim")

    return told
