"""``live --terminal``: people, their likeliest classes and timelines, and figures, drawn with rich."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from maskclr_edge.cli.console import console, visible
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.live.page_state import PageState
    from maskclr_edge.live.view import Moment

_A_SECOND = 8.0
_BAR, _LINE = 16, 40
_TONES = ("green", "yellow", "blue", "magenta", "cyan", "red", "bright_green", "bright_blue")
_CHANGES = 6


@contextlib.contextmanager
def terminal_view(name: str, classes: tuple[str, ...]) -> "Iterator[TerminalView]":
    """A view of the terminal while a run lasts. Raises ConfigError where stdout is none."""
    from maskclr_edge.live.page_state import PageState

    screen = console()
    if not screen.is_terminal:
        raise ConfigError("--terminal needs a terminal, and stdout is none; leave the option out")
    state = PageState(name, classes)
    with Live(console=screen, auto_refresh=False, transient=True) as live:
        yield TerminalView(state, live)


class TerminalView:
    """Redraws the terminal a few times a second."""

    def __init__(self, state: "PageState", live: Live) -> None:
        self._state, self._live, self._drawn_s = state, live, 0.0

    def show(self, moment: "Moment") -> None:
        """Take one moment, and draw when it is time."""
        self._state.show(moment)
        now = time.monotonic()
        if now - self._drawn_s >= 1 / _A_SECOND:
            self._drawn_s = now
            self._live.update(render(self._state.snapshot()), refresh=True)


def render(facts: dict[str, Any]) -> Group:
    """The whole view of a PageState's facts."""
    head = Text(visible(facts["source"]), style="bold")
    figures = (
        f"   {facts['time_s']:.1f} s   {facts['fps']:.1f} fps   {facts['age_ms']} ms old   "
        f"{facts['dropped']} dropped   {len(facts['seen'])} in view"
    )
    head.append(figures, style="not bold")
    stages = "   ".join(f"{stage} {took:.1f}" for stage, took in facts["stages_ms"].items())
    parts: list[Any] = [head, Text(f"ms: {stages}", style="dim")]
    parts += [Text(visible(note), style="yellow") for note in facts["notes"]]
    people = Table(expand=True, box=None, padding=(0, 1), header_style="dim")
    for column in ("", "does", "likeliest", f"last {facts['span_s']:.0f} s"):
        people.add_column(column)
    for person in facts["people"]:
        style = "" if person["number"] in facts["seen"] else "dim"
        label = Text(_words(person["label"]), style=f"bold {_tone(person['label'], facts['classes'])}")
        line = _timeline(person["line"], facts)
        people.add_row(
            str(person["number"]), label, _bars(person["top"], facts["classes"]), line, style=style
        )
    parts.append(people if facts["people"] else Text("Nobody is in view.", style="dim"))
    for change in reversed(facts["changes"][-_CHANGES:]):
        text = f"{change['time_s']:8.1f} s  person {change['person']}  {_words(change['label'])}"
        parts.append(Text(text, style="dim"))
    return Group(*parts)


def _bars(top: list[list[Any]], classes: list[str]) -> Text:
    text = Text()
    for row, (label, probability) in enumerate(top):
        filled = round(_BAR * probability)
        text.append("\n" if row else "")
        text.append("━" * filled, style=_tone(label, classes))
        text.append("━" * (_BAR - filled), style="bright_black")
        text.append(f" {100 * probability:3.0f} {_words(label)}")
    return text


def _timeline(line: list[list[Any]], facts: dict[str, Any]) -> Text:
    """A cell of text for each stretch of time, in the colour of what was done then."""
    text, begin, step = Text(), facts["time_s"] - facts["span_s"], facts["span_s"] / _LINE
    for cell in range(_LINE):
        moment = begin + (cell + 0.5) * step
        label = next((name for start, end, name in line if start <= moment <= end), None)
        text.append("▆" if label else " ", style=_tone(label, facts["classes"]) if label else "")
    return text


def _tone(label: str, classes: list[str]) -> str:
    return _TONES[classes.index(label) % len(_TONES)] if label in classes else "bright_black"


def _words(label: str) -> str:
    return visible(label.replace("_", " "))
