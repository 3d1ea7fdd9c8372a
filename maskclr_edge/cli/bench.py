"""``maskclr-edge bench``: latency and throughput of a model on this machine's runners."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from maskclr_edge.bench.machine import machine_line
from maskclr_edge.bench.results import result_document
from maskclr_edge.bench.scenarios import NETWORK, Measurement
from maskclr_edge.bench.suite import Plan, Suite, Variant, run_suite
from maskclr_edge.bench.timing import Budget
from maskclr_edge.cli.console import console, progress, write_json
from maskclr_edge.errors import EngineError

PERCENTILES = ((50, "p50_ms"), (90, "p90_ms"), (95, "p95_ms"), (99, "p99_ms"))


class Names(click.ParamType):
    """Names with commas between them."""

    name = "A,B,..."

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split, without blanks, each name once."""
        if isinstance(value, tuple):
            return value
        return tuple(dict.fromkeys(word.strip() for word in str(value).split(",") if word.strip()))


class Numbers(Names):
    """Whole numbers with commas between them, each within bounds."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:  # type: ignore[override]
        """Split and check."""
        numbers = []
        for word in super().convert(value, param, ctx):
            if not str(word).isascii() or not str(word).isdigit() or not self.low <= int(word) <= self.high:
                self.fail(f"{word!r} is not a whole number from {self.low} to {self.high}", param, ctx)
            numbers.append(int(word))
        return tuple(numbers)


@click.command()
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--runner", "runners", type=Names(), default="", help="Runners to measure; all by default.")
@click.option(
    "--precision", "precisions", type=Names(), default="", help="Precisions; all the model has by default."
)
@click.option(
    "--frames",
    type=Numbers(1, 243),
    default="",
    help="Clip lengths T; the model's own and 30,81,243 by default.",
)
@click.option(
    "--persons",
    type=Numbers(1, 2),
    default="",
    help="Persons in view; all numbers the model takes by default.",
)
@click.option(
    "--batch", type=click.IntRange(1, 1024), default=1, show_default=True, help="Clips in one query."
)
@click.option("--seconds", type=click.FloatRange(0, 3600, min_open=True), default=1.0, show_default=True,
              help="Time for each row; slow rows take longer, to have samples enough.")  # fmt: skip
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    default=None,
    help="CPU threads of a runner; its own choice by default.",
)
@click.option(
    "--json", "json_to", metavar="FILE|-", default=None, help="Write the result as JSON; - prints it alone."
)
def command(
    models: tuple[str, ...],
    runners: tuple[str, ...],
    precisions: tuple[str, ...],
    frames: tuple[int, ...],
    persons: tuple[int, ...],
    batch: int,
    seconds: float,
    threads: int | None,
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
        models or ("bundled",), runners, precisions, frames, persons, batch, threads, Budget(seconds=seconds)
    )
    screen = console(json_to)
    with progress("measuring") as report:
        suite = run_suite(plan, report)
    document = result_document("bench", suite.to_dict(), settings=plan.to_dict())
    screen.print(bench_view(suite, batch))
    screen.print(Text(machine_line(document["machine"]), style="dim"))
    if json_to:
        write_json(json_to, document)
    if not suite.measurements:
        raise EngineError("nothing could be measured: " + _reasons(suite.skipped))


def bench_view(suite: Suite, batch: int = 1) -> Group:
    """Everything that a suite has to say, as tables and lines."""
    network = [row for row in suite.measurements if row.scenario == NETWORK]
    around = [row for row in suite.measurements if row.scenario != NETWORK]
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
    inner = rows[0].scenario == NETWORK
    names = [*(["model"] if several else []), *([] if inner else ["what"]), "runner", "precision"]
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("T", "persons"):
        table.add_column(name, justify="right")
    for name in names:
        table.add_column(name)
    for name in ("p50", "± 95 %", "p90", "p95", "p99", "clips/s"):
        table.add_column(name, justify="right")
    ordered = sorted(rows, key=_shape)
    for _, group in groupby(ordered, key=_shape):
        members = list(group)
        whole = [row for row in members if row.scenario != "preprocessing"]
        fastest = min(whole, key=lambda row: row.latency.p50_ms, default=None) if len(whole) > 1 else None
        for row in members:
            cells = [
                *([row.model] if several else []),
                *([] if inner else [row.scenario]),
                row.runner,
                row.precision,
            ]
            table.add_row(
                str(row.frames), str(row.persons), *(Text(cell) for cell in cells), *_numbers(row, row is fastest),
                end_section=row is members[-1],
            )  # fmt: skip
    return table


def _shape(row: Measurement) -> tuple[int, int]:
    return row.frames, row.persons


def _numbers(row: Measurement, fastest: bool) -> Iterable[Text]:
    latency = row.latency
    for q, key in PERCENTILES:
        value = Text(_milliseconds(getattr(latency, key)), style="" if latency.resolves(q) else "dim")
        if q == 50:
            mark = "" if row.warmup.steady else "~"
            yield Text(mark) + (Text(value.plain, style="bold green") if fastest else value)
            yield Text(_milliseconds((latency.p50_high_ms - latency.p50_low_ms) / 2), style="dim")
        else:
            yield value
    yield Text(
        f"{row.clips_per_second:,.0f}" if row.clips_per_second >= 10 else f"{row.clips_per_second:.2f}"
    )


def _milliseconds(value: float) -> str:
    """Three figures or so: a microsecond matters at 0.5 ms and not at 300."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _legend(rows: Sequence[Measurement]) -> str:
    parts = ["Percentiles by nearest rank"]
    if any(row.scenario != "preprocessing" for row in rows):
        parts.append("green: fastest of its group")
    if any(not row.latency.resolves(99) for row in rows):
        parts.append("dim: too few samples to tell it from the slowest")
    if any(not row.warmup.steady for row in rows):
        parts.append("~: never became steady, the machine is busy or the call is slow")
    return "; ".join(parts) + "."


def _skipped_line(variant: Variant) -> Text:
    precision = "" if variant.precision == "any" else f" {variant.precision}"
    return Text.assemble(
        ("not measured  ", "yellow"), f"{variant.runner}{precision}", (f": {variant.reason}", "dim")
    )


def _reasons(skipped: Iterable[Variant]) -> str:
    return "; ".join(f"{variant.runner}: {variant.reason}" for variant in skipped)
