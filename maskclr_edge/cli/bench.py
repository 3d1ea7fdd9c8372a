"""``maskclr-edge bench``: latency and throughput of a model on this machine's runners."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from maskclr_edge.bench.machine import describe_machine, machine_line
from maskclr_edge.bench.measurement import NETWORK, PREPROCESSING, Measurement
from maskclr_edge.bench.results import result_document
from maskclr_edge.bench.suite import Plan, Suite, Variant, run_suite
from maskclr_edge.bench.timing import Budget
from maskclr_edge.cli.console import console, json_option, progress, write_json
from maskclr_edge.errors import EngineError

#: with fewer samples than this no interval is shown
FEW = 10


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Names with commas between them, each once."""
    return tuple(dict.fromkeys(word.strip() for word in (value or "").split(",") if word.strip()))


def _numbers(low: int, high: int) -> Callable[[click.Context, click.Parameter, str | None], tuple[int, ...]]:
    """Whole numbers with commas between them, each from `low` to `high`."""

    def convert(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
        words = _names(ctx, param, value)
        for word in words:
            # int() alone would take signs, underscores and other alphabets' digits
            if not (word.isascii() and word.isdigit() and len(word) < 10 and low <= int(word) <= high):
                raise click.BadParameter(f"{word!r} is not a whole number from {low} to {high}", ctx, param)
        return tuple(int(word) for word in words)

    return convert


@click.command()
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--runner", "runners", metavar="R,...", callback=_names, help="Runners; all by default.")
@click.option("--precision", "precisions", metavar="P,...", callback=_names, help="fp32, int8, ...; all that "
              "the model has by default.")  # fmt: skip
@click.option("--frames", metavar="T,...", callback=_numbers(1, 243), help="Clip lengths; the model's own, "
              "and 30, 81 and 243 where it takes them, by default.")  # fmt: skip
@click.option("--persons", metavar="M,...", callback=_numbers(1, 2), help="Persons in view; 1 and, where the "
              "model takes two, 2 by default.")  # fmt: skip
@click.option("--batch", type=click.IntRange(1, 1024), default=1, show_default=True, help="Clips in a query.")
@click.option("--seconds", type=click.FloatRange(0, 3600, min_open=True), default=1.0, show_default=True,
              help="Time for each row; a slow row takes longer, to have samples enough.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; the runner's choice by default.")
@click.option("--passes", type=click.IntRange(1, 100), default=1, show_default=True, help="Times to open and "
              "measure everything, for a result that compare can judge.")  # fmt: skip
@json_option("result")
def command(
    models: tuple[str, ...],
    runners: tuple[str, ...],
    precisions: tuple[str, ...],
    frames: tuple[int, ...],
    persons: tuple[int, ...],
    batch: int,
    seconds: float,
    threads: int | None,
    passes: int,
    json_to: str | None,
) -> None:
    """Measure the latency of a model on this machine's runners.

    MODEL is a bundle, a checkpoint, or the word "bundled" (the default). Each row is single-stream: the next
    query starts when the last one is answered, after a warm-up to a steady state. The clips are made up;
    latency depends on their shape alone.

    \b
    Examples:
      maskclr-edge bench
      maskclr-edge bench my-bundle --runner onnxruntime,openvino --frames 30 --persons 1
      maskclr-edge bench --seconds 5 --json result.json
    """
    plan = Plan(
        models or ("bundled",), runners, precisions, frames, persons, batch, threads,
        Budget(seconds=seconds), passes=passes,
    )  # fmt: skip
    screen = console(json_to)
    machine = describe_machine()
    with progress("measuring") as report:
        suite = run_suite(plan, report)
    document = result_document("bench", suite.to_dict(), settings=plan.to_dict(), machine=machine)
    screen.print(bench_view(suite, batch))
    screen.print(Text(machine_line(machine), style="dim"))
    if json_to:
        write_json(json_to, document)
    if not suite.measurements:
        raise EngineError("nothing could be measured: " + _reasons(suite.skipped))


def bench_view(suite: Suite, batch: int = 1) -> Group:
    """Everything that a suite has to say, as tables and lines."""
    network = [row for row in suite.measurements if row.part == NETWORK]
    around = [row for row in suite.measurements if row.part != NETWORK]
    parts: list[RenderableType] = []
    if network:
        query = "one clip" if batch == 1 else f"{batch} clips"
        parts.append(latency_table(network, f"The network alone: milliseconds for {query}"))
    if around:
        parts.append(latency_table(around, "Raw keypoints to ranked labels, and the preprocessing in it"))
    if suite.measurements:
        parts.append(Text(_legend(suite.measurements), style="dim"))
    parts += [_skipped_line(variant) for variant in suite.skipped]
    return Group(*parts)


def latency_table(rows: Sequence[Measurement], title: str) -> Table:
    """Rows grouped by what is comparable; the fastest of each group stands out."""
    several = len({row.model for row in rows}) > 1
    inner = rows[0].part == NETWORK
    names = ["runner", "precision"] if inner else ["what", "runner", "precision"]
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("T", "persons"):
        table.add_column(name, justify="right")
    for name in ["model", *names] if several else names:
        table.add_column(name)
    for name in ("p50", "± 95 %", "p90", "p95", "p99", "clips/s"):
        table.add_column(name, justify="right")
    ordered = sorted(rows, key=_shape)
    for _, group in groupby(ordered, key=_shape):
        members = list(group)
        whole = [row for row in members if row.part != PREPROCESSING]
        fastest = min(whole, key=lambda row: row.latency.p50_ms, default=None) if len(whole) > 1 else None
        for row in members:
            names = [row.runner, row.precision] if inner else [row.part, row.runner, row.precision]
            names = [row.model, *names] if several else names
            cells = [Text(name) for name in names] + _timings(row, row is fastest)
            table.add_row(str(row.frames), str(row.persons), *cells, end_section=row is members[-1])
    return table


def _shape(row: Measurement) -> tuple[int, int]:
    return row.frames, row.persons


def _timings(row: Measurement, fastest: bool) -> list[Text]:
    latency = row.latency
    half = (latency.p50_high_ms - latency.p50_low_ms) / 2
    mark = "" if row.warmup.steady else "~"
    cells = [
        Text(mark + _milliseconds(latency.p50_ms), style="bold green" if fastest else ""),
        # an interval from a handful of samples would be made of nothing
        Text(_milliseconds(half) if latency.count >= FEW else "", style="dim"),
    ]
    for q, value in ((90, latency.p90_ms), (95, latency.p95_ms), (99, latency.p99_ms)):
        cells.append(Text(_milliseconds(value), style="" if latency.resolves(q) else "dim"))
    rate = row.clips_per_second
    return [*cells, Text(f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}")]


def _milliseconds(value: float) -> str:
    """Three figures or so: a microsecond matters at 0.5 ms and not at 300."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _legend(rows: Sequence[Measurement]) -> str:
    parts = ["Percentiles by nearest rank"]
    if any(row.part != PREPROCESSING for row in rows):
        parts.append("Green: fastest of its group")
    if any(not row.latency.resolves(99) for row in rows):
        parts.append("Dim: too few samples to tell it from the slowest")
    if any(not row.warmup.steady for row in rows):
        parts.append("~: never became steady, the machine is busy or the call is slow")
    return ".\n".join(parts) + "."


def _skipped_line(variant: Variant) -> Text:
    precision = "" if variant.precision == "any" else f" {variant.precision}"
    return Text.assemble(
        ("not measured  ", "yellow"), f"{variant.runner}{precision}", (f": {variant.reason}", "dim")
    )


def _reasons(skipped: Iterable[Variant]) -> str:
    return "; ".join(f"{variant.runner}: {variant.reason}" for variant in skipped)
