"""``maskclr-edge eval``: how often a model is right on labelled recordings."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from maskclr_edge.cli.console import console, progress, table, write_json
from maskclr_edge.data import (
    MADE_UP_CLASSES,
    AnnotationSet,
    made_up_clips,
    make_clips,
    read_annotations,
)
from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.evaluation import Evaluation, evaluate, match_classes
from maskclr_edge.runtime import Runner, open_runner

#: the word for motions that need no file
MADE_UP = "made-up"
MADE_UP_PER_CLASS = 10
#: none of the motions that training on made-up ones sees by default
MADE_UP_SEED = 1


@click.command()
@click.argument("model", default="bundled")
@click.option("--data", required=True, metavar="FILE", help="Annotation file, a pyskl pickle; or made-up, "
              "for generated motions, split val.")  # fmt: skip
@click.option("--split", required=True, metavar="NAME", help="Split of the file, such as val or xsub_val.")
@click.option("--layout", default="coco17", show_default=True, help="Joint layout of the file.")
@click.option("--runner", default="auto", show_default=True, help="What runs the model.")
@click.option("--precision", default="auto", show_default=True, help="fp32, int8, ... of a bundle.")
@click.option("--frames", type=click.IntRange(1, 243), help="Clip length T; the model's own by default.")
@click.option("--absent", type=click.Choice(["zeros"]), help="Give zeros for absent persons to a model that "
              "was trained without: faster; this command shows what it costs.")  # fmt: skip
@click.option("--batch", type=click.IntRange(1, 1024), default=32, show_default=True, help="Clips at a time.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; the runner's choice by default.")
@click.option("--per-class", is_flag=True, help="Also show each class, the weakest first.")
@click.option("--json", "json_to", metavar="FILE|-", help="Write the result as JSON; - prints it alone.")
def command(
    model: str,
    data: str,
    split: str,
    layout: str,
    runner: str,
    precision: str,
    frames: int | None,
    absent: str | None,
    batch: int,
    threads: int | None,
    per_class: bool,
    json_to: str | None,
) -> None:
    """Top-1, top-5 and mean class accuracy of MODEL on labelled recordings.

    MODEL is a bundle, a checkpoint, or the word "bundled" (the default). No clip is dropped, and the
    recordings are prepared as the model's own contract says.

    \b
    Examples:
      maskclr-edge eval bundled --data penn_action_coco17.pkl --split val
      maskclr-edge eval my-bundle --data penn_action_coco17.pkl --split val --runner openvino --precision int8
      maskclr-edge eval bundled --data made-up --split val
      maskclr-edge eval run/best.safetensors --data ntu60_hrnet.pkl --split xsub_val --json result.json
    """
    with (
        open_runner(model, runner, precision, threads, absent=absent) as opened,
        progress("reading") as report,
    ):
        _needs_classes(opened)
        contract = opened.contract if frames is None else replace(opened.contract, frames=frames)
        known = match_classes(_read(data, layout, contract.class_names), contract.class_names)
        clips, labels = make_clips(known.split(split), contract, progress=report)
        start = time.perf_counter()
        result = evaluate(opened.infer, clips, labels, batch=batch, progress=report)
        seconds = time.perf_counter() - start
    facts = {
        "model": model,
        "runner": opened.name,
        "precision": opened.precision,
        "absent": contract.absent,
        "data": known.source,
        "made_up": known.made_up,
        "split": split,
        "frames": contract.frames,
        **result.summary(),
        "seconds": round(seconds, 3),
    }
    _show(facts, known, result, per_class, json_to)
    if json_to:
        write_json(json_to, facts | {"per_class": _per_class(known, result)})


def _read(data: str, layout: str, class_names: Sequence[str]) -> AnnotationSet:
    """An annotation file, or made-up motions of those of the model's classes that there are some of."""
    if data != MADE_UP or Path(data).exists():
        return read_annotations(data, layout=layout)
    classes = [name for name in class_names if name in MADE_UP_CLASSES]
    if not classes:
        raise DataError(
            f"there are made-up motions of {len(MADE_UP_CLASSES)} classes ({', '.join(MADE_UP_CLASSES[:3])}, "
            f"...) and the model knows none of them ({', '.join(class_names[:3])}, ...); give a file"
        )
    count = MADE_UP_PER_CLASS * len(classes)
    return made_up_clips(count, seed=MADE_UP_SEED, classes=classes, split_fractions={"val": 1.0})


def _needs_classes(runner: Runner) -> None:
    if runner.config.head != "class":
        raise ConfigError("this model has an embedding head and knows no classes; eval needs a class head")


def _show(
    facts: dict[str, Any], known: AnnotationSet, result: Evaluation, per_class: bool, json_to: str | None
) -> None:
    screen = console(json_to)
    of_what = "made-up clips" if known.made_up else "clips"
    columns = ("top-1 %", "top-5 %", "mean class %", of_what, "T", "runner", "precision", "seconds")
    row = (
        result.top1, result.top5, result.mean_class, result.count, facts["frames"],
        facts["runner"], facts["precision"], facts["seconds"],
    )  # fmt: skip
    screen.print(table(f"{facts['model']} on {known.source}, split {facts['split']}", columns, [row]))
    if per_class:
        rows = sorted(_per_class(known, result), key=lambda entry: entry["accuracy"])
        screen.print(
            table(
                "Each class",
                ("class", "accuracy %", "clips", "most often taken for"),
                [tuple(entry.values()) for entry in rows],
            )
        )


def _per_class(known: AnnotationSet, result: Evaluation) -> list[dict[str, Any]]:
    """One entry a class that has clips: its accuracy, how many, and its commonest wrong answer."""
    answers = result.logits.argmax(axis=1)
    entries = []
    for label, accuracy in enumerate(result.per_class):
        mine = result.labels == label
        if not mine.any():
            continue
        wrong = np.bincount(answers[mine & (answers != label)], minlength=len(known.class_names))
        entries.append(
            {
                "class": known.class_names[label],
                "accuracy": float(accuracy),
                "clips": int(mine.sum()),
                "taken_for": known.class_names[int(wrong.argmax())] if wrong.any() else None,
            }
        )
    return entries
