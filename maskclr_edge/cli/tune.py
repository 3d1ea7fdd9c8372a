"""``maskclr-edge tune``: find out once what runs a bundle fastest on this machine, and remember it."""

from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.table import Table

from maskclr_edge.cli.console import ProgressCallback, console, json_option, progress, table, write_json
from maskclr_edge.cli.lists import comma_names

if TYPE_CHECKING:
    from maskclr_edge.bench.tune import Tuning
    from maskclr_edge.runtime import Bundle

#: clips of a file whose answers are compared; one of 256 is 0.4 %
MOST_CLIPS = 256


@click.command()
@click.argument("model", metavar="[BUNDLE]", default="bundled")
@click.option("--runner", "runners", metavar="R,...", callback=comma_names, help="Runners; all by default.")
@click.option("--precision", "precisions", metavar="P,...", callback=comma_names, help="Only these; all that "
              "the bundle has by default.")  # fmt: skip
@click.option(
    "--frames", type=click.IntRange(1, 243), help="Clip length to time; the bundle's own by default."
)
@click.option("--persons", type=click.IntRange(1, 2), default=1, show_default=True, help="Persons in view.")
@click.option("--seconds", type=click.FloatRange(0, 3600, min_open=True), default=3.0, show_default=True,
              help="Time for each runner and precision.")  # fmt: skip
@click.option("--data", metavar="FILE", help="Annotation file whose clips, 256 at most, must get the same "
              "answers; made-up motions by default.")  # fmt: skip
@click.option("--split", metavar="NAME", help="Split of that file; all of it by default.")
@click.option(
    "--layout", metavar="NAME", default="coco17", show_default=True, help="Joint layout of that file."
)
@click.option("--forget", is_flag=True, help="Forget what was measured for this bundle, and measure nothing.")
@json_option("measurements")
def command(
    model: str,
    runners: tuple[str, ...],
    precisions: tuple[str, ...],
    frames: int | None,
    persons: int,
    seconds: float,
    data: str | None,
    split: str | None,
    layout: str,
    forget: bool,
    json_to: str | None,
) -> None:
    """Find out what runs a bundle fastest on this machine, and remember it for the runner "auto".

    Every installed runner and precision is timed and asked for the same answers. Taken is the fastest of
    those that agree with the most exact precision on 99 % of the clips; within 5 % of it, a more exact one.
    What was chosen holds for this bundle, this machine and the installed versions, until the next time.

    \b
    Examples:
      maskclr-edge tune
      maskclr-edge tune my-bundle --data annotations.pkl --split val
      maskclr-edge tune my-bundle --precision fp32 --frames 81
      maskclr-edge tune my-bundle --forget
    """
    from maskclr_edge.bench.tune import tune
    from maskclr_edge.runtime import BUNDLED, Bundle, bundled_bundle, tuned

    bundle = Bundle.open(bundled_bundle() if model == BUNDLED else model)
    screen = console(json_to)
    if forget:
        count = tuned.forget(bundle)
        screen.print(f"forgot {count} measurement{'' if count == 1 else 's'} of {model}", markup=False)
        if json_to:
            write_json(json_to, {"model": model, "forgotten": count})
        return
    with progress("tuning") as report:
        clips = _clips(bundle, data, split, layout, report) if data else None
        found = tune(
            model, runners=runners, precisions=precisions, frames=frames, persons=persons, seconds=seconds,
            clips=clips, progress=report,
        )  # fmt: skip
    file = tuned.remember(bundle, found.tuned)
    screen.print(_table(found))
    for one in found.skipped:
        screen.print(f"not measured: {one.runner} {one.precision}, {one.reason}", style="dim", markup=False)
    screen.print(f"runner auto: {found.tuned.why(found.chosen)}", markup=False)
    if json_to:
        write_json(json_to, {"model": model, "file": file, "machine": tuned.here(), "chosen": found.chosen,
                             "tuned": found.tuned, "skipped": found.skipped})  # fmt: skip


def _clips(
    bundle: "Bundle", data: str, split: str | None, layout: str, report: ProgressCallback
) -> np.ndarray[Any, Any]:
    from maskclr_edge.data import read_annotations
    from maskclr_edge.data.clips import make_clips

    found = read_annotations(data, layout=layout)
    annotations = found.split(split) if split else found.annotations
    step = -(-len(annotations) // MOST_CLIPS) or 1  # spread over the split, whose classes may be in order
    return make_clips(annotations[::step], bundle.contract, progress=report)[0]


def _table(found: "Tuning") -> Table:
    rows = [
        (
            row.runner, row.precision, f"{row.p50_ms:.2f}", f"{row.agreement:.1f}",
            "chosen" if row == found.chosen else "",
        )
        for row in sorted(found.tuned.rows, key=lambda row: row.p50_ms)
    ]  # fmt: skip
    columns = ("runner", "precision", "p50 ms", f"same answer as {found.tuned.reference} %", "")
    shape = f"{found.tuned.persons} in view, T={found.tuned.frames}; {found.tuned.clips} clips compared"
    return table("", columns, rows, note=shape)
