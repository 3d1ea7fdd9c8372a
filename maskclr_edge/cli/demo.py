"""``maskclr-edge demo``: the whole chain on the packaged model, offline, in about half a minute."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from maskclr_edge.cli import demo_chain
from maskclr_edge.cli.console import console, file_size, progress

if TYPE_CHECKING:
    from maskclr_edge.bench.suite import Suite
    from maskclr_edge.cli.demo_chain import Chain, Exported
    from maskclr_edge.live.figures import LabelChange

_PROMISE = "A checkpoint goes in, a bundle that proves itself comes out, and this machine runs it."


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("maskclr-edge-demo"),
              show_default=True, help="Folder for what is made.")  # fmt: skip
@click.option("--checkpoint", metavar="FILE", help="Another checkpoint than the packaged one.")
def command(out: Path, checkpoint: str | None) -> None:
    """See the whole chain run on the packaged model: bundle, evaluation, short bench, live replay.

    Works offline and without torch. Its clips are MADE UP: motions drawn by a program.

    \b
    Examples:
      maskclr-edge demo
      maskclr-edge demo --out somewhere --checkpoint best.safetensors
    """
    screen = console()
    begin = time.perf_counter()
    chain = demo_chain.begin(out, checkpoint)
    screen.print(Text("maskclr-edge demo", style="bold"))
    screen.print(Text(_PROMISE, style="dim"))
    with _step(screen, 1, "The checkpoint"):
        _show_checkpoint(screen, chain)
    with _step(screen, 2, "The bundle: ONNX, INT8, engines"):
        with progress("export") as report:
            made = demo_chain.export(chain, report)
        _show_bundle(screen, made)
    with _step(screen, 3, "Is it right? MADE-UP clips through every runner here"):
        _evaluate(screen, chain)
    with _step(screen, 4, "How fast is it? A short bench"):
        with progress("measuring") as report:
            suite = demo_chain.bench(chain, report)
        _show_bench(screen, suite)
    with _step(screen, 5, "Live: a made-up recording, replayed"):
        _replay(screen, chain)
    screen.print()
    screen.print(_made_table(chain, made, suite))
    screen.print(Text(f"Made in {time.perf_counter() - begin:.0f} s, in {chain.out}. What to type next:\n"))
    for command_line, why in _next_commands(chain):
        screen.print(Text.assemble((f"  # {why}\n", "dim"), (f"  {command_line}", "bold")), soft_wrap=True)


@contextmanager
def _step(screen: Console, number: int, title: str) -> Iterator[None]:
    screen.print()
    screen.print(Text.assemble((f"{number}  ", "bold cyan"), (title, "bold")))
    begin = time.perf_counter()
    yield
    _say(screen, Text(f"{time.perf_counter() - begin:.1f} s", style="dim"))


def _say(screen: Console, what: RenderableType, mark: str = "") -> None:
    """Print below a step's title, with its indent."""
    if isinstance(what, str):
        colours = {"✓": "green", "-": "yellow"}
        what = Text.assemble((f"{mark} ", colours[mark]), what) if mark else Text(what)
    screen.print(Padding(what, (0, 0, 0, 3), expand=False))


def _show_checkpoint(screen: Console, chain: "Chain") -> None:
    from maskclr_edge.checkpoint import parameter_count

    info, names = chain.checkpoint.info, chain.checkpoint.contract.class_names
    millions = parameter_count(chain.checkpoint.config) / 1e6
    size = file_size(chain.file.stat().st_size)
    _say(screen, f"{chain.name}: {millions:.2f} M parameters, {size}, knows {len(names)} actions")
    _say(screen, Text(", ".join(names), style="dim"))
    if "data" in info:
        _say(screen, f"trained on {info['data']}{_known_accuracy(info)}")


def _known_accuracy(info: dict[str, Any]) -> str:
    val = info.get("val")
    if not isinstance(val, dict) or not isinstance(val.get("top1"), float):
        return ""
    return f", where its top-1 on the split {val.get('split')} is {val['top1']:.1f} %"


def _show_bundle(screen: Console, made: "Exported") -> None:
    for precision, parity in made.bundle.parity.items():
        error, largest = f"{parity['max_abs_error']:.1e}", f"{parity['max_abs_logit']:.1f}"
        what = f"logits of up to {largest} are off by {error} at most, over {parity['shapes']} shapes"
        _say(screen, f"{precision} agrees with the checkpoint: {what}", mark="✓")
    for item in made.bundle.artifacts:
        if item.kind == demo_chain.ENGINE and item.role == "encoder":
            names = ", ".join((item.built_for or {}).get("sm", ()))
            _say(screen, f"{item.precision} TensorRT-RTX engine for {names}, built without a GPU", mark="✓")
    if made.without_engine:
        _say(screen, f"no TensorRT-RTX engine: {made.without_engine}", mark="-")
    calibrated = "int8 was calibrated on made-up motions; for real use give export a --calibration FILE"
    _say(screen, Text(calibrated, style="dim"))


def _evaluate(screen: Console, chain: "Chain") -> None:
    if not chain.classes:
        _say(screen, "left out: there are no made-up motions of this model's classes", mark="-")
        return
    data = demo_chain.made_up(chain)
    _say(
        screen,
        Text.assemble(
            ("MADE UP: ", "bold yellow"),
            f"these {len(data.annotations)} clips of {len(chain.classes)} actions were drawn by a program, "
            "nobody was recorded. They show that the chain works, not how good the model is.",
        ),
    )
    with progress("evaluating") as report:
        scores = demo_chain.evaluate_all(chain, data, report)
    table = Table()
    for name in ("runner", "precision"):
        table.add_column(name)
    for name in ("top-1 %", "top-5 %", f"same answer as {scores[0].runner} {scores[0].precision} %"):
        table.add_column(name, justify="right")
    for score in scores:
        figures = (score.result.top1, score.result.top5, score.same)
        table.add_row(score.runner, score.precision, *(f"{figure:.1f}" for figure in figures))
    _say(screen, table)


def _show_bench(screen: Console, suite: "Suite") -> None:
    from maskclr_edge.bench.machine import describe_machine, machine_line
    from maskclr_edge.bench.measurement import NETWORK, PREPROCESSING
    from maskclr_edge.cli.bench_view import latency_table

    network = [row for row in suite.measurements if row.part == NETWORK]
    if network:
        _say(screen, latency_table(network, "One person, one clip, in milliseconds: the network alone"))
    for row in suite.measurements:
        if row.part == PREPROCESSING:
            _say(screen, f"preparing the raw keypoints takes {row.latency.p50_ms:.2f} ms more")
    left_out = ", ".join(dict.fromkeys(variant.runner for variant in suite.skipped))
    if left_out:
        _say(screen, f"not measured: {left_out} (maskclr-edge bench says why)", mark="-")
    _say(screen, Text(machine_line(describe_machine()), style="dim"))


def _replay(screen: Console, chain: "Chain") -> None:
    if not chain.classes:
        _say(screen, "left out: there are no made-up motions of this model's classes", mark="-")
        return
    recording, motions = demo_chain.recording(chain)
    seconds = recording.frames / recording.fps
    _say(screen, f"{seconds:.0f} s of MADE-UP people, one after another: {', '.join(motions)}")

    def change(event: "LabelChange") -> None:
        when, sure = f"{event.time_s:5.1f} s  person {event.person}  ", f"{100 * event.probability:.0f} %"
        _say(screen, Text.assemble(when, (f"{event.label:<18}", "bold"), sure))

    summary = demo_chain.replay(chain, recording, change)
    _say(screen, Text(f"{summary.windows} windows of {summary.persons} people", style="dim"))


def _made_table(chain: "Chain", made: "Exported", suite: "Suite") -> Table:
    table = Table(title="What was made", title_justify="left", title_style="bold")
    table.add_column("file", no_wrap=True)
    table.add_column("what it is")
    for name in ("size", "largest error", "fastest p50"):
        table.add_column(name, justify="right")
    for file, what, size, parity, p50 in demo_chain.files(chain, made.bundle, suite):
        table.add_row(*(Text(cell) for cell in (file, what, file_size(size), parity, p50)))
    return table


def _next_commands(chain: "Chain") -> Iterator[tuple[str, str]]:
    yield (
        f"maskclr-edge bench {chain.bundle}",
        "every runner and precision, more lengths, one and two persons",
    )
    if chain.classes:
        model = "" if chain.name == "bundled" else f" --model {chain.bundle}"
        yield (
            f"maskclr-edge live {chain.out / 'made-up.npz'}{model}",
            "the replay again, with its settings to try",
        )
        yield (
            f"maskclr-edge eval {chain.bundle} --data {chain.out / 'made-up.pkl'} --split all",
            "accuracy on an annotation file, or on one of yours",
        )
    yield "maskclr-edge live VIDEO.mp4", "what people do in a video (needs the extra live)"
    yield "maskclr-edge export CHECKPOINT --out BUNDLE", "a bundle of your own checkpoint"
    yield "maskclr-edge doctor", "what else this machine could run, and how to get it"
