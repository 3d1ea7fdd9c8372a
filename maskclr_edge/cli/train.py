"""``maskclr-edge train``: annotations and a config in, a checkpoint out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maskclr_edge.cli.console import console, json_option, messages, table, write_json

if TYPE_CHECKING:
    from maskclr_edge.training import Event, TrainConfig, TrainResult


@click.command()
@click.argument("config")
@click.option("--data", metavar="FILE", help="Annotation file (pyskl pickle), or made-up; the config's.")
@click.option("--out", default="run", show_default=True, metavar="DIR", help="Where the run is kept.")
@click.option("--resume", is_flag=True, help="Continue the run in --out exactly where it stopped.")
@click.option(
    "--pretrained",
    metavar="CKPT",
    help="Start from the backbone of a checkpoint, ours or not, or of the bundled one.",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set one key of the config.")
@click.option("--print-config", is_flag=True, help="Print the config that would be used, and stop.")
@click.option("--tensorboard", is_flag=True, help="Also write the figures to OUT/tensorboard.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; all cores by default.")
@json_option("result")
def command(
    config: str,
    data: str | None,
    out: str,
    resume: bool,
    pretrained: str | None,
    overrides: tuple[str, ...],
    print_config: bool,
    tensorboard: bool,
    threads: int | None,
    json_to: str | None,
) -> None:
    """Train a network by CONFIG: a YAML file, MaskCLR's and MotionBERT's own among them, or a shipped name.

    The run keeps best.safetensors (the checkpoint to use), latest.safetensors, the state that --resume
    continues from, log.jsonl and config.yaml. The val split is evaluated once, at the end. Ctrl-C loses
    at most the current epoch.

    \b
    Examples:
      maskclr-edge train made_up_tiny --out run
      maskclr-edge train penn_action_small --data penn_action_coco17.pkl --out run
      maskclr-edge train penn_action_small --data penn_action_coco17.pkl --out run --resume
      maskclr-edge train penn_action_small --set epochs=10 --set msk_type=none --print-config
      maskclr-edge train own_actions --data mine.pkl --pretrained bundled --out run
      maskclr-edge train ntu120_oneshot --data ntu120_hrnet.pkl --out run --tensorboard
      torchrun --nproc-per-node 4 -m maskclr_edge train maskclr_train_NTU60_xsub.yaml --data ntu60_hrnet.pkl
    """
    from maskclr_edge.optional import require

    torch = require("torch")
    from maskclr_edge.runtime.bundled import BUNDLED, bundled_checkpoint
    from maskclr_edge.training import (
        STATE_FILE,
        TensorBoardLog,
        TrainConfig,
        distributed,
        find_config,
        open_dataset,
        parse_override,
        train,
    )

    if pretrained == BUNDLED:
        pretrained = str(bundled_checkpoint())
    chosen = dict(parse_override(text) for text in overrides)
    if data is not None:
        chosen["dataset"] = data
    settings = TrainConfig.from_yaml(find_config(config), chosen)
    if print_config:
        click.echo(settings.to_yaml(), nl=False)
        return
    if threads:
        torch.set_num_threads(threads)
    annotations = open_dataset(settings)
    silent = distributed.launched_rank() != 0
    with ExitStack() as stack:
        observe = None if silent else stack.enter_context(_watching(settings))
        if tensorboard and observe is not None:
            observe = _both(observe, stack.enter_context(closing(TensorBoardLog(out))))
        try:
            result = train(settings, annotations, out, resume=resume, pretrained=pretrained, observe=observe)
        except KeyboardInterrupt:
            if (Path(out) / STATE_FILE).is_file():
                hint = f"the last whole epoch is in {out}: go on with the same command and --resume"
            else:
                hint = "no epoch was whole yet: start again with the same command"
            messages().print(f"stopped; {hint}", markup=False, soft_wrap=True)
            raise
    if not silent:
        _report(result, annotations.made_up, json_to)


def _both(first: Callable[[Event], None], second: Callable[[Event], None]) -> Callable[[Event], None]:
    def observe(event: Event) -> None:
        first(event)
        second(event)

    return observe


@contextmanager
def _watching(settings: TrainConfig) -> Iterator[Callable[[Event], None]]:
    """A progress bar and a line an epoch on stderr; a line an epoch alone where that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = messages()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("training", total=None, figures="")

        def observe(event: Event) -> None:
            done = (event.epoch - 1) * event.steps_per_epoch + event.step
            line = _line(event)
            total = settings.epochs * event.steps_per_epoch
            bar.update(task, completed=done, total=total, description=f"epoch {event.epoch}", figures=line)
            if event.kind == "epoch":
                screen.print(f"epoch {event.epoch:>3}/{settings.epochs}  {line}")

        yield observe


def _line(event: Event) -> str:
    """The figures of a step or an epoch in one line."""
    losses = [f"{name} {value:.3f}" for name, value in event.figures.items() if name in _LOSSES]
    shares = [f"{label} {event.figures[name]:.1f} %" for name, label in _SHARES if name in event.figures]
    return "  ".join([*losses, *shares, f"{event.figures['clips_per_second']:.0f} clips/s"])


_LOSSES = ("loss", "ce", "ce_masked", "supcon", "supcon_masked", "scl", "ccl")
_SHARES = (("train_top1", "train top-1"), ("top1", "holdout top-1"), ("top5", "holdout top-5"))


def _report(result: TrainResult, made_up: bool, json_to: str | None) -> None:
    size = Path(result.checkpoint).stat().st_size / 1e6
    facts: dict[str, Any] = {
        "checkpoint": str(result.checkpoint),
        "megabytes": round(size, 3),
        "epochs": result.epochs,
        "made_up": made_up,
        "val": result.val.summary() if result.val else None,
        "history": result.history,
    }
    screen = console(json_to)
    if result.val is not None:
        kind = "made-up clips" if made_up else "clips"
        row = (result.val.top1, result.val.top5, result.val.mean_class, result.val.count)
        columns = ("top-1 %", "top-5 %", "mean class %", kind)
        screen.print(table("Val split, evaluated once", columns, [row]))
    count = f"{result.epochs} epoch{'s' if result.epochs != 1 else ''}"
    screen.print(f"{result.checkpoint}  {size:.2f} MB, {count}", markup=False, soft_wrap=True)
    next_one = f"maskclr-edge export {shlex.quote(str(result.checkpoint))} --out bundle --precision fp32,int8"
    screen.print(f"next: {next_one}", markup=False, soft_wrap=True)
    if json_to:
        write_json(json_to, facts)
