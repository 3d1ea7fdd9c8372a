"""``maskclr-edge live``: what people do, in a video or a keypoint recording, as it plays."""

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from maskclr_edge.cli.console import console, json_option, messages, progress, table, write_json
from maskclr_edge.cli.lists import comma_names
from maskclr_edge.cli.live_views import ViewOptions, open_views, view_options

if TYPE_CHECKING:
    from maskclr_edge.live.figures import LabelChange, Summary


@click.command()
@click.argument("source")
@click.option("--model", default="bundled", show_default=True, help='Bundle, checkpoint, or "bundled".')
@click.option("--pose", default="mediapipe", show_default=True, help="For images: mediapipe, an "
              "RTMPose .onnx file, or none.")  # fmt: skip
@click.option("--runner", default="auto", show_default=True, help="What runs the model.")
@click.option("--precision", default="auto", show_default=True, help="fp32, int8, ... of a bundle.")
@click.option("--window", type=click.FloatRange(0.2, 20), default=2.5, show_default=True, metavar="SECONDS",
              help="How far back an answer looks.")  # fmt: skip
@click.option("--hz", type=click.FloatRange(0.1, 60), default=4, show_default=True, help="Answers a second.")
@click.option(
    "--max-people", type=click.IntRange(1, 8), default=8, show_default=True, help="People followed."
)
@click.option("--two-person", metavar="CLASSES|all", callback=comma_names, help="Classes that two "
              "people do together, of a model that does not say.")  # fmt: skip
@click.option(
    "--realtime", is_flag=True, help="Play a file by its times and drop what comes too fast, as a camera."
)
@click.option("--layout", help="Joint layout of a recording that does not say.")
@click.option("--resolution", metavar="WxH", help="Image size of a recording that does not say.")
@click.option("--name", default="", help="Which recording of an annotation file (.pkl).")
@view_options
@json_option("summary")
def command(
    source: str,
    model: str,
    pose: str,
    runner: str,
    precision: str,
    window: float,
    hz: float,
    max_people: int,
    two_person: tuple[str, ...],
    realtime: bool,
    layout: str | None,
    resolution: str | None,
    name: str,
    json_to: str | None,
    **shown: Any,
) -> None:
    """Name what each person in SOURCE does, and print a line whenever that changes.

    SOURCE is a camera: its number or v4l2:///dev/video0, rtsp://..., http://... (MJPEG), csi://0 on a Jetson;
    a video file, a folder of images, a keypoint recording (.npz, .json, .pkl); or - for keypoints of another
    program, one frame a line of JSON on standard input. A camera that goes away is waited for.
    Every frame of a file is looked at. From a camera, and with --realtime, the newest is, and the summary
    says how many were dropped and how old frames were when they were shown. Besides the model's classes there
    are "unknown", when none is clear, and "idle", when a person hardly moves. A window opens where there is
    a display; q closes it. Ctrl-C stops and keeps what was recorded.

    \b
    Examples:
      maskclr-edge live exercise.mp4
      maskclr-edge live exercise.mp4 --record labelled.webm --log events.jsonl
      maskclr-edge live recording.npz --window 2 --json -
      maskclr-edge live rtsp://camera.local/stream --log events.jsonl
      tracker --json | maskclr-edge live - --layout coco17 --resolution 1280x720
      maskclr-edge live exercise.mp4 --pose rtmpose-m.onnx
      maskclr-edge live exercise.mp4 --realtime --terminal
      maskclr-edge live 0 --web
      maskclr-edge live 0 --web --web-address 0.0.0.0:8765 --web-token SECRET --save-to pictures
      maskclr-edge live 0 --model my-bundle --max-people 1
      maskclr-edge live 0 --model old.safetensors --two-person hugging,shaking_hands
    """
    from maskclr_edge.live.labeller import LiveSettings, threads_beside_pose
    from maskclr_edge.live.pipeline import run
    from maskclr_edge.live.pose import open_pose
    from maskclr_edge.live.sources import open_source
    from maskclr_edge.runtime import Classifier
    from maskclr_edge.runtime.importance import JointImportance

    options, screen = ViewOptions(**shown), console(json_to)
    settings = LiveSettings(window_s=window, hz=hz, most=max_people, two_person=two_person)
    with contextlib.ExitStack() as stack:
        opened = open_source(source, layout=layout, resolution_wh=size_wh(resolution), name=name)
        stack.callback(opened.close)
        classifier = stack.enter_context(Classifier.open(model, runner, precision, threads_beside_pose()))
        classifier.prepare()
        needs_pose = opened.layout is None and pose != "none"
        estimator = stack.enter_context(open_pose(pose, max_people)) if needs_pose else None
        shown_as = opened.layout or (estimator.layout if estimator else None)
        looks = JointImportance(model) if options.importance else None
        classes = classifier.contract.class_names
        open_now = stack.enter_context(open_views(options, opened, shown_as, classes, realtime=realtime))
        report = None if options.terminal else stack.enter_context(progress("frames"))

        def change(event: "LabelChange") -> None:
            if not options.terminal:
                screen.print(_line(event), markup=False)
            for told in open_now.told:
                told(event)

        summary = run(
            opened, classifier, estimator, settings,
            realtime=realtime, importance=looks, views=open_now.views, change=change, progress=report,
        )  # fmt: skip
    _report(summary, options.record, json_to)
    if json_to:
        write_json(json_to, asdict(summary) | {"source": opened.name, "recorded": options.record})


def size_wh(text: str | None) -> tuple[int, int] | None:
    """``640x480`` as two numbers."""
    if text is None:
        return None
    width, cross, height = text.lower().partition("x")
    if not cross or not width.isdigit() or not height.isdigit():
        raise click.BadParameter(f"{text!r} is not WIDTHxHEIGHT, as in 1920x1080", param_hint="--resolution")
    return int(width), int(height)


def _line(event: "LabelChange") -> str:
    return f"{event.time_s:8.1f} s  person {event.person}  {event.label:<20} {100 * event.probability:3.0f} %"


def _report(summary: "Summary", record: str | None, json_to: str | None) -> None:
    """Frames, pace and the time that each stage takes; then what the source had to say."""
    screen = console(json_to)
    screen.print(
        f"{summary.frames} frames ({summary.source_s:.1f} s) at {summary.fps:.1f} frames/s, "
        f"{summary.persons} people, {summary.windows} windows, {summary.change_count} changes of label"
    )
    if summary.realtime:
        age, frames = summary.age_ms, "frame" if summary.dropped == 1 else "frames"
        screen.print(
            f"{summary.dropped} {frames} dropped; a frame was {age['p50']:.0f} ms old when it was shown, "
            f"99 of 100 at most {age['p99']:.0f} ms"
        )
    rows = [(stage, took["p50"], took["p99"]) for stage, took in summary.stages_ms.items()]
    screen.print(table("Milliseconds a frame", ("stage", "p50", "p99"), rows))
    if record:
        screen.print(f"recorded {record}", markup=False, soft_wrap=True)
    for note in summary.notes:
        messages().print(f"note: {note}", markup=False, soft_wrap=True)
