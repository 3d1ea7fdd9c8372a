"""``maskclr-edge eval``: how often a model is right on labelled recordings."""

from pathlib import Path
from typing import Any

import click

from maskclr_edge.cli.console import json_option, messages, progress
from maskclr_edge.cli.eval_report import present
from maskclr_edge.cli.eval_runs import Asked, run
from maskclr_edge.cli.eval_stream import present_stream, run_stream
from maskclr_edge.errors import ConfigError
from maskclr_edge.evaluation.oneshot import EXEMPLAR_SPLIT
from maskclr_edge.optional import require


@click.command()
@click.argument("model", default="bundled")
@click.option("--against", multiple=True, metavar="MODEL", help="Another model beside it; may be repeated.")
@click.option("--data", required=True, metavar="FILE", help="Annotation file, a pyskl pickle; or made-up, "
              "for generated motions, split val.")  # fmt: skip
@click.option("--split", "splits", multiple=True, metavar="NAME", help="Split of the file, such as val or "
              "xsub_val; repeated: the mean and spread over them too, as for k folds.")  # fmt: skip
@click.option("--layout", default="coco17", show_default=True, help="Joint layout of the file.")
@click.option("--runner", default="auto", show_default=True, help="What runs the model.")
@click.option("--precision", default="auto", show_default=True, help="fp32, int8, ... of a bundle.")
@click.option("--frames", type=click.IntRange(1, 243), help="Clip length T; the model's own by default.")
@click.option("--absent", type=click.Choice(["zeros"]), help="Give zeros for absent persons to a model that "
              "was trained without: faster; this command shows what it costs.")  # fmt: skip
@click.option("--mirror", is_flag=True, help="Ask about each clip and its mirror image, and take the mean of "
              "the two answers: twice the time, often a few tenths more.")  # fmt: skip
@click.option("--batch", type=click.IntRange(1, 1024), default=32, show_default=True, help="Clips at a time.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; the runner's choice by default.")
@click.option("--corrupt", "corruptions", multiple=True, metavar="SPEC", help="Corrupt the clips: joints:6, "
              "noise:0.01,0.1, noise for its grid of severities, or all; may be repeated.")  # fmt: skip
@click.option("--draws", type=click.IntRange(1, 100), default=3, show_default=True, help="Times each random "
              "corruption is drawn.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Of the draws.")
@click.option("--keep", metavar="DIR", help="Keep each finished pass of --corrupt here and go on from them.")
@click.option("--plot", metavar="FILE.png", help="Draw accuracy against severity, one line a model.")
@click.option("--stream", is_flag=True, help="Play the clips as one stream through the windows and "
              "decisions of live: time to detection, changes of label, false alarms.")  # fmt: skip
@click.option("--oneshot", is_flag=True, help="Name clips by the nearest exemplar (embedding head).")
@click.option("--exemplars", default=EXEMPLAR_SPLIT, show_default=True, metavar="NAME", help="Split of the "
              "exemplars of --oneshot.")  # fmt: skip
@click.option("--confusion", metavar="FILE.png", help="Draw the confusion matrix.")
@click.option("--per-class", is_flag=True, help="Also show each class, the weakest first.")
@json_option("result")
def command(**options: Any) -> None:
    """Top-1, top-5 and mean class accuracy of MODEL on labelled recordings.

    MODEL is a bundle, a checkpoint, or the word "bundled" (the default). No clip is dropped, and the
    recordings are prepared as the model's own contract says. With --corrupt the accuracy is that on clips
    with noise, missing joints or frames, boxes, swaps and more, clean ones first.

    \b
    Examples:
      maskclr-edge eval bundled --data penn_action_coco17.pkl --split val
      maskclr-edge eval my-bundle --data penn_action_coco17.pkl --split val --runner openvino --precision int8
      maskclr-edge eval bundled --data penn_action_coco17.pkl --split val --mirror
      maskclr-edge eval bundled --data made-up --split val
      maskclr-edge eval run/best.safetensors --data ntu60_hrnet.pkl --split xsub_val --json result.json
      maskclr-edge eval run/best.safetensors --data sbu_coco17.pkl --split val_1 --confusion confusion.png
      maskclr-edge eval a.safetensors --against b.safetensors --data penn_action_coco17.pkl --split val \\
          --corrupt joints --corrupt noise:0.05,0.2 --keep rows --plot robustness.png
      maskclr-edge eval bundled --data penn_action_coco17.pkl --split val --stream
      maskclr-edge eval run/best.safetensors --oneshot --data ntu120_hrnet_oneshot.pkl
    """
    asked = Asked(**options)
    _check(asked)
    if asked.stream:
        with progress("frames") as report:
            scores = run_stream(asked, report)
        present_stream(asked, scores)
        return
    try:
        with progress("reading") as report:
            outcomes = run(asked, report)
    except KeyboardInterrupt:
        if asked.keep:
            line = f"finished passes are kept in {asked.keep}; the same command goes on"
            messages().print(line, markup=False, soft_wrap=True)
        raise
    present(asked, outcomes)


def _check(asked: Asked) -> None:
    """Refuse options that exclude each other, and figures that could not be drawn at the end.

    Raises click.UsageError, ConfigError and MissingDependencyError.
    """
    if not asked.splits and not asked.oneshot:
        raise click.UsageError("Missing option '--split'")
    not_streamed = {
        "--corrupt": asked.corruptions, "--oneshot": asked.oneshot, "--confusion": asked.confusion,
        "--per-class": asked.per_class, "--frames": asked.frames, "--absent": asked.absent,
        "--mirror": asked.mirror,
    }  # fmt: skip
    refused = {
        f"--stream takes no {', '.join(not_streamed)}": asked.stream and any(not_streamed.values()),
        "--plot and --keep belong to --corrupt; add it": (asked.plot or asked.keep) and not asked.corruptions,
        "--corrupt takes one --split": bool(asked.corruptions) and len(asked.splits) > 1,
        "--corrupt gives no --per-class and no --confusion; ask for them without it": bool(asked.corruptions)
        and bool(asked.per_class or asked.confusion),
        "--oneshot takes one --split, no --corrupt and no --mirror": asked.oneshot
        and bool(asked.corruptions or asked.mirror or len(asked.splits) > 1),
        "--confusion is of one model; leave --against out": bool(asked.confusion) and len(asked.models) > 1,
    }
    for what, wrong in refused.items():
        if wrong:
            raise click.UsageError(what)
    for path in (asked.plot, asked.confusion):
        if path is None:
            continue
        require("matplotlib")
        if not Path(path).absolute().parent.is_dir():
            raise ConfigError(f"cannot write {path}: there is no folder {Path(path).parent}")
