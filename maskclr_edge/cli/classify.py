"""``maskclr-edge classify``: name the action in a keypoint recording."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
import numpy as np
from rich.table import Table

from maskclr_edge.cli.console import ProgressCallback, console, json_option, progress, table, write_json
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.data.recording import Recording
    from maskclr_edge.runtime import Answer, Classifier

#: recordings that are prepared and classified together
BATCH = 32


def _resolution(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Width and height of 1920x1080; the recording reader holds the bounds."""
    if value is None:
        return None
    words = value.lower().split("x")
    if len(words) != 2 or not all(word.isascii() and word.isdigit() and len(word) < 7 for word in words):
        raise click.BadParameter(f"{value!r} is not a size such as 1920x1080", ctx, param)
    return int(words[0]), int(words[1])


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--model", metavar="MODEL", default="bundled", show_default=True, help="Bundle or checkpoint.")
@click.option("--layout", metavar="NAME", help="Joint layout the file does not say; for .pkl, coco17.")
@click.option("--resolution", metavar="WxH", callback=_resolution, help="Image size the file does not say.")
@click.option("--split", metavar="NAME", help="Split of an annotation file; all of it by default.")
@click.option("--runner", metavar="NAME", default="auto", show_default=True, help="What runs the model.")
@click.option("--precision", metavar="NAME", default="auto", show_default=True, help="One of the bundle's.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; by default the runner's choice.")
@click.option(
    "--absent",
    type=click.Choice(["zeros"]),
    help="Give zeros for absent persons to a model of upstream weights: one person then costs one.",
)
@click.option("--top", type=click.IntRange(1, 1000), default=5, show_default=True, help="Most answers shown.")
@json_option("answers")
def command(
    file: str,
    model: str,
    layout: str | None,
    resolution: tuple[int, int] | None,
    split: str | None,
    runner: str,
    precision: str,
    threads: int | None,
    absent: str | None,
    top: int,
    json_to: str | None,
) -> None:
    """Name the action in a keypoint recording.

    FILE is a recording, .npz or .json with the key "keypoints" (persons, frames, joints, 3) in pixels with
    confidence and, where it knows them, "resolution_wh", "layout" and "fps"; or a pyskl annotation file
    (.pkl), of which every annotation is classified.

    \b
    Examples:
      maskclr-edge classify squat.npz
      maskclr-edge classify squat.json --layout halpe26 --resolution 1920x1080 --top 3
      maskclr-edge classify annotations.pkl --split val --model my-bundle --json answers.json
    """
    from maskclr_edge.data.recording import read_recordings
    from maskclr_edge.runtime import Classifier

    recordings = read_recordings(file, layout, resolution, split=split)
    if not recordings:
        raise ConfigError(f"{file}: nothing to classify, the split {split!r} is empty")
    with Classifier.open(model, runner, precision, threads, absent=absent) as classifier:
        with progress("classifying") as report:
            results = list(_classified(classifier, recordings, top, report))
        used = {"model": model, "runner": classifier.runner.name, "precision": classifier.runner.precision}
        chosen = classifier.runner.details.get("chosen")
    screen = console(json_to)
    screen.print(_title(recordings), style="bold", markup=False)
    screen.print(_table(recordings, results))
    why = f" ({chosen})" if chosen else ""
    screen.print("{model} on {runner}, {precision}".format(**used) + why, style="dim", markup=False)
    if json_to:
        rows = [
            {"name": one.name, "frames": one.frames, "persons": len(one.keypoints), "answers": answers}
            for one, answers in zip(recordings, results, strict=True)
        ]
        write_json(json_to, {**used, "chosen": chosen, "recordings": rows})


def _classified(
    classifier: "Classifier", recordings: Sequence["Recording"], top: int, report: ProgressCallback
) -> Iterator[list["Answer"]]:
    from maskclr_edge.skeleton import preprocess

    for start in range(0, len(recordings), BATCH):
        report(start, len(recordings), "classifying")
        clips = [
            preprocess(one.keypoints, classifier.contract, layout=one.layout, resolution_wh=one.resolution_wh)
            for one in recordings[start : start + BATCH]
        ]
        for probabilities in classifier.classify_clips(np.stack(clips)):
            yield classifier.rank(probabilities, top)


def _title(recordings: Sequence["Recording"]) -> str:
    if len(recordings) > 1:
        return f"{len(recordings)} recordings"
    one = recordings[0]
    return f"{one.name}: {one.frames} frames, {len(one.keypoints)} in view"


def _table(recordings: Sequence["Recording"], results: Sequence[Sequence["Answer"]]) -> Table:
    """All answers of one recording, or the best answer of each of several."""
    if len(recordings) == 1:
        return table("", ("action", "probability"), [(a.label, _percent(a)) for a in results[0]])
    rows = [
        (one.name, answers[0].label, _percent(answers[0]))
        for one, answers in zip(recordings, results, strict=True)
    ]
    return table("", ("recording", "action", "probability"), rows)


def _percent(answer: "Answer") -> str:
    return f"{100 * answer.probability:.1f} %"
