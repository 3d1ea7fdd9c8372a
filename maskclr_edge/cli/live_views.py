"""What ``maskclr-edge live`` shows and keeps: the options for it, and the views that they open."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from maskclr_edge.cli.console import messages
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.live.figures import LabelChange
    from maskclr_edge.live.frame import Source
    from maskclr_edge.live.view import PictureSink, View

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--record", metavar="FILE", help="Write a video of what is drawn: .webm, .mp4, .avi."),
    click.option("--log", metavar="FILE", help="Write each change of a label as one line of JSON."),
    click.option("--importance", is_flag=True, help="Let joints glow as much as the model looks at them."),
    click.option("--terminal", is_flag=True, help="Show people and figures in the terminal."),
    click.option("--web", is_flag=True, help="Serve a page with the picture, timelines and buttons."),
    click.option("--web-address", default="127.0.0.1:8765", show_default=True, metavar="HOST:PORT",
                 help="Where; another host than this one needs --web-token."),
    click.option("--web-token", metavar="SECRET", envvar="MASKCLR_EDGE_WEB_TOKEN",
                 help="What a browser must know; also from MASKCLR_EDGE_WEB_TOKEN."),
    click.option("--save-to", default=".", show_default=True, metavar="FOLDER",
                 help="Where the page's snapshots and recordings go."),
    click.option("--headless", is_flag=True, help="No window, though there is a display."),
)  # fmt: skip


def view_options(command: Command) -> Command:
    """Add the options; the command gets them as the fields of ViewOptions."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class ViewOptions:
    """The options as they were given."""

    record: str | None
    log: str | None
    importance: bool
    terminal: bool
    web: bool
    web_address: str
    web_token: str | None
    save_to: str
    headless: bool


@dataclass
class Views:
    """What is open: views of a run, and what is told of each change of a label."""

    views: "list[View]" = field(default_factory=list)
    told: "list[Callable[[LabelChange], None]]" = field(default_factory=list)


@contextlib.contextmanager
def open_views(
    options: ViewOptions,
    source: "Source",
    layout: str | None,
    classes: tuple[str, ...],
    *,
    realtime: bool = False,
) -> Iterator[Views]:
    """Open what was asked for; closed again, and recordings put in their place, when the run ends.

    realtime: a recording must not hold up the run, as it need not that of a file.
    """
    result = Views()
    with contextlib.ExitStack() as stack:
        if options.log:
            result.told.append(stack.enter_context(_log(options.log, wall_clock=source.live)))
        if layout is not None:  # without one the run is refused, with its own words
            _open_drawn(options, source, layout, classes, realtime or source.live, result, stack)
        if options.terminal:
            from maskclr_edge.cli.live_terminal import terminal_view

            result.views.append(stack.enter_context(terminal_view(source.name, classes)))
        yield result


def _open_drawn(
    options: ViewOptions,
    source: "Source",
    layout: str,
    classes: tuple[str, ...],
    realtime: bool,
    result: Views,
    stack: contextlib.ExitStack,
) -> None:
    from maskclr_edge.live.overlay import Overlay
    from maskclr_edge.live.view import DrawnView
    from maskclr_edge.live.window import WindowSink, has_display

    windowed = has_display() and not (options.headless or options.web or options.terminal)
    if not (options.record or options.web or windowed):
        return
    overlay = Overlay(source.resolution_wh, layout)
    sinks: list[PictureSink] = []
    if options.record:
        sinks.append(_recording(options.record, overlay.size_wh, source.fps, realtime, stack))
    if options.web:
        from maskclr_edge.live.captures import Captures
        from maskclr_edge.live.page_state import PageState
        from maskclr_edge.live.web import WebServer, parse_address

        folder = Path(options.save_to)
        if not folder.is_dir():
            raise ConfigError(f"{folder}: there is no such folder; make it, or name another with --save-to")
        captures = Captures(folder, overlay.size_wh, source.fps)
        address = parse_address(options.web_address, options.web_token)
        server = WebServer(PageState(source.name, classes), captures, address, options.web_token)
        stack.callback(server.close)
        sinks += [server, captures]
        result.views.append(server)
        messages().print(f"the page: {server.url}", markup=False, soft_wrap=True)
    if windowed:
        window = WindowSink(overlay.size_wh)
        stack.callback(window.close)
        sinks.append(window)
    result.views.append(DrawnView(overlay, sinks))


def _recording(
    path: str, size_wh: tuple[int, int], fps: float, realtime: bool, stack: contextlib.ExitStack
) -> "PictureSink":
    from maskclr_edge.live.background import MOST_FPS, BackgroundRecorder
    from maskclr_edge.live.recorder import Recorder
    from maskclr_edge.live.view import RecordSink

    if not realtime:
        return RecordSink(stack.enter_context(Recorder(path, size_wh, fps)))
    sink = BackgroundRecorder(Recorder(path, size_wh, min(fps, MOST_FPS)))

    def say() -> None:
        if sink.lost:
            messages().print(f"note: {sink.lost}", markup=False, soft_wrap=True)

    stack.callback(say)
    return stack.enter_context(sink)


@contextlib.contextmanager
def _log(path: str, *, wall_clock: bool) -> "Iterator[Callable[[LabelChange], None]]":
    """A writer of JSON lines, each handed to the system before the next: a kill loses none that was written.

    wall_clock: say when by the clock, too; a file's moments have no such time.
    """
    with Path(path).open("w", encoding="utf-8", buffering=1) as file:

        def write(event: "LabelChange") -> None:
            facts = asdict(event)
            if wall_clock:
                facts = {"at": datetime.now().astimezone().isoformat(timespec="milliseconds")} | facts
            file.write(json.dumps(facts) + "\n")

        yield write
