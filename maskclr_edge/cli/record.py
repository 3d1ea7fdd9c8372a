"""``maskclr-edge record``: actions of your own, from a video or a camera, as a file to train on."""

import contextlib
import math
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskclr_edge.cli.console import console, json_option, messages, progress, table, write_json
from maskclr_edge.cli.live import size_wh
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.data import AnnotationSet
    from maskclr_edge.live.keyed import KeyedKeeper
    from maskclr_edge.live.own_clips import Cut, Prompt
    from maskclr_edge.live.spans import Span
    from maskclr_edge.live.view import DrawnView
    from maskclr_edge.live.window import WindowSink


@click.command()
@click.argument("source")
@click.option("--out", required=True, metavar="FILE.pkl", help="Annotation file to write.")
@click.option("--add", is_flag=True, help="Keep the clips that --out has, and add these.")
@click.option("--spans", metavar="FILE.csv", help="Who did what when: lines of start, end, label[, person].")
@click.option("--labels", metavar="A,B,...", help="Call these out in turn while you perform.")
@click.option("--keys", is_flag=True, help="Begin and end --labels yourself with the keys 1, 2, ...")
@click.option("--rounds", type=click.IntRange(1, 100), default=4, show_default=True, help="How often each.")
@click.option("--hold", type=click.FloatRange(1, 600), default=8, show_default=True, metavar="SECONDS",
              help="How long each is performed.")  # fmt: skip
@click.option("--rest", type=click.FloatRange(0, 600), default=4, show_default=True, metavar="SECONDS",
              help="Rest before each.")  # fmt: skip
@click.option("--clip", "clip_s", type=click.FloatRange(0.7, 20), default=2.5, show_default=True,
              metavar="SECONDS", help="Length of a clip; live looks back as far.")  # fmt: skip
@click.option("--val", "val_share", type=click.FloatRange(0, 0.9), default=0.25, show_default=True,
              metavar="SHARE", help="Share of each label's spans, the last, kept to measure by.")  # fmt: skip
@click.option("--pose", default="mediapipe", show_default=True, help="Pose estimator for images, or none.")
@click.option(
    "--max-people", type=click.IntRange(1, 8), default=4, show_default=True, help="People followed."
)
@click.option("--realtime", is_flag=True, help="Play a file by its times, as a camera.")
@click.option("--headless", is_flag=True, help="No window, though there is a display.")
@click.option("--layout", help="Joint layout of a recording that does not say.")
@click.option("--resolution", metavar="WxH", help="Image size of a recording that does not say.")
@click.option("--name", default="", help="Which recording of an annotation file (.pkl).")
@json_option("summary")
def command(
    source: str,
    out: str,
    add: bool,
    spans: str | None,
    labels: str | None,
    keys: bool,
    rounds: int,
    hold: float,
    rest: float,
    clip_s: float,
    val_share: float,
    pose: str,
    max_people: int,
    realtime: bool,
    headless: bool,
    layout: str | None,
    resolution: str | None,
    name: str,
    json_to: str | None,
) -> None:
    """Cut labelled clips of people in SOURCE, and write them as an annotation file that train takes.

    SOURCE is what live takes. With --labels you are told what to do and when, in a window where there is a
    display, so that nobody has to touch the keyboard; with --keys as well, somebody presses 1 when the first
    label begins, and again when it ends, in the window or the terminal. With --spans a file says what was
    done when, as seconds or minutes:seconds. The nearest person is meant, or the one whose track's number is
    in a fourth column, or all. Spans become overlapping clips; the last spans of each label are the split
    val, the others train.

    \b
    Examples:
      maskclr-edge record 0 --labels wave,clap,squat --out mine.pkl
      maskclr-edge record 0 --labels wave,clap,squat --keys --out mine.pkl
      maskclr-edge record exercise.mp4 --spans spans.csv --out mine.pkl
      maskclr-edge record more.mp4 --spans more.csv --out mine.pkl --add
      maskclr-edge train own_actions --data mine.pkl --pretrained bundled --out run
    """
    from maskclr_edge.data.writer import write_annotations
    from maskclr_edge.live.labeller import LiveSettings
    from maskclr_edge.live.own_clips import REACTION_S, SpanKeeper, cut_clips
    from maskclr_edge.live.pipeline import run
    from maskclr_edge.live.pose import open_pose
    from maskclr_edge.live.sources import open_source
    from maskclr_edge.live.window import has_display

    chosen = _spans(spans, labels, keys, rounds, hold, rest)
    _check_out(out, add)
    with contextlib.ExitStack() as stack:
        opened = open_source(source, layout=layout, resolution_wh=size_wh(resolution), name=name)
        stack.callback(opened.close)
        needs_pose = opened.layout is None and pose != "none"
        estimator = stack.enter_context(open_pose(pose, max_people)) if needs_pose else None
        joints = opened.layout or (estimator.layout if estimator else "")
        older = _older(out, joints) if add else None
        windowed = bool(labels and joints) and has_display() and not headless
        drawn, window = (
            stack.enter_context(_window(opened.resolution_wh, joints)) if windowed else (None, None)
        )
        report = None if labels else stack.enter_context(progress("frames"))
        if keys:
            keeper: SpanKeeper = _keyed(_split(labels), drawn, window, stack)
        else:
            prompt = _prompting(drawn) if labels else None
            keeper = SpanKeeper(chosen, prompt, REACTION_S if labels else 0.0)
        summary = run(
            opened, None, estimator, LiveSettings(most=max_people),
            realtime=realtime or keys, views=[keeper, drawn] if drawn else [keeper], progress=report,
        )  # fmt: skip
        keeper.finish()
        cut = cut_clips(
            keeper, name=opened.name, layout=joints, resolution_wh=opened.resolution_wh, fps=opened.fps,
            clip_s=clip_s, val_share=val_share, older=older,
        )  # fmt: skip
    write_annotations(out, cut.annotations)
    cut.notes += summary.notes
    _report(cut, out, joints, json_to)


def _spans(
    spans: str | None, labels: str | None, keys: bool, rounds: int, hold_s: float, rest_s: float
) -> "list[Span]":
    from maskclr_edge.live.spans import called_out, read_spans

    if (spans is None) == (labels is None):
        raise ConfigError("give either --spans FILE.csv, or --labels A,B,... to be told what to do")
    if spans is not None and keys:
        raise ConfigError("--keys begins and ends --labels; --spans says when by itself")
    if spans is not None:
        return read_spans(spans)
    return [] if keys else called_out(_split(labels), rounds, hold_s, rest_s)


def _split(labels: str | None) -> list[str]:
    return [label.strip() for label in (labels or "").split(",")]


def _keyed(
    labels: list[str], drawn: "DrawnView | None", window: "WindowSink | None", stack: contextlib.ExitStack
) -> "KeyedKeeper":
    """Spans by keys: of the window where there is one, else of the terminal."""
    from maskclr_edge.cli.record_keys import telling, terminal_keys
    from maskclr_edge.live.keyed import KeyedKeeper

    pressed = window.pressed if window is not None else stack.enter_context(terminal_keys())
    return KeyedKeeper(labels, pressed, telling(labels, drawn))


def _check_out(out: str, add: bool) -> None:
    """What would be refused in the end is refused before anybody performs."""
    path = Path(out)
    if path.suffix.lower() != ".pkl":
        raise ConfigError(f"{out}: an annotation file ends in .pkl; name it so")
    if not path.parent.is_dir():
        raise ConfigError(f"{out}: the folder {path.parent} does not exist; make it first")
    if path.exists() and not add:
        raise ConfigError(f"{out} exists; add to it with --add, or choose another --out")


def _older(out: str, layout: str) -> "AnnotationSet | None":
    from maskclr_edge.data import read_annotations

    return read_annotations(out, layout=layout) if Path(out).exists() else None


@contextlib.contextmanager
def _window(resolution_wh: tuple[int, int], layout: str) -> "Iterator[tuple[DrawnView, WindowSink]]":
    from maskclr_edge.live.overlay import Overlay
    from maskclr_edge.live.view import DrawnView
    from maskclr_edge.live.window import WindowSink

    overlay = Overlay(resolution_wh, layout)
    window = WindowSink(overlay.size_wh)
    try:
        yield DrawnView(overlay, [window]), window
    finally:
        window.close()


def _prompting(drawn: "DrawnView | None") -> "Prompt":
    """Say what to do, large in a window, and on stderr: a line when it begins, on a terminal a count-down."""
    screen = messages()
    last: tuple[str, int] = ("", -1)

    def prompt(now: "Span | None", later: "Span | None", time_s: float) -> None:
        nonlocal last
        if now is not None:
            line, left_s = f"NOW   {now.label}", math.ceil(now.end_s - time_s)
        elif later is not None:
            line, left_s = f"next  {later.label}", math.ceil(later.start_s - time_s)
        else:
            return
        if drawn is not None:
            drawn.caption = f"{line}   {left_s}"
        state = line, left_s if screen.is_terminal else 0
        if state == last:
            return
        if screen.is_terminal and line != last[0]:
            screen.bell()
        last = state
        count_down = f"   {left_s} s" if screen.is_terminal else ""
        screen.print(line + count_down, markup=False, style="bold green" if now else "dim")

    return prompt


def _report(cut: "Cut", out: str, layout: str, json_to: str | None) -> None:
    screen, found = console(json_to), cut.annotations
    counts = {
        split: Counter(found.class_names[annotation.label] for annotation in found.split(split))
        for split in found.splits
    }
    rows = [(name, *(count[name] for count in counts.values())) for name in found.class_names]
    screen.print(table("Clips", ("label", *counts), rows))
    for note in cut.notes:
        messages().print(f"note: {note}", markup=False, soft_wrap=True)
    screen.print(f"{out}  {len(found.annotations)} clips", markup=False, soft_wrap=True)
    sets = f" --set action_classes={len(found.class_names)}" if len(found.class_names) != 3 else ""
    sets += f" --set layout={layout}" if layout != "coco17" else ""
    line = f"maskclr-edge train own_actions --data {shlex.quote(out)} --pretrained bundled --out run{sets}"
    screen.print(f"next: {line}", markup=False, soft_wrap=True)
    if json_to:
        facts = {"file": out, "classes": found.class_names, "clips": counts, "notes": cut.notes, "next": line}
        write_json(json_to, facts)
