"""``maskclr-edge bench``: latency and throughput of a model on this machine's runners."""

from collections.abc import Callable, Iterable

import click
from rich.text import Text

from maskclr_edge.bench.machine import describe_machine, machine_line
from maskclr_edge.bench.results import result_document
from maskclr_edge.bench.scenarios import LATENCY_BOUND_MS, SCENARIOS
from maskclr_edge.bench.suite import Plan, Variant, run_suite
from maskclr_edge.bench.timing import Budget
from maskclr_edge.cli.bench_page import bench_markdown, bench_page
from maskclr_edge.cli.bench_view import bench_view
from maskclr_edge.cli.console import console, file_option, json_option, progress, write_json
from maskclr_edge.cli.lists import comma_names
from maskclr_edge.errors import EngineError
from maskclr_edge.files import write_atomically


def _numbers(low: int, high: int) -> Callable[[click.Context, click.Parameter, str | None], tuple[int, ...]]:
    """Whole numbers with commas between them, each from `low` to `high`."""

    def convert(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
        words = comma_names(ctx, param, value)
        for word in words:
            # int() alone would take signs, underscores and other alphabets' digits
            if not (word.isascii() and word.isdigit() and len(word) < 10 and low <= int(word) <= high):
                raise click.BadParameter(f"{word!r} is not a whole number from {low} to {high}", ctx, param)
        return tuple(int(word) for word in words)

    return convert


def _scenarios(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    words = comma_names(ctx, param, value)
    for word in words:
        if word not in SCENARIOS:
            raise click.BadParameter(f"{word!r} is none of {', '.join(SCENARIOS)}", ctx, param)
    return words


@click.command()
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--runner", "runners", metavar="R,...", callback=comma_names, help="Runners; all by default.")
@click.option("--precision", "precisions", metavar="P,...", callback=comma_names, help="fp32, int8, ...; all "
              "that the model has by default.")  # fmt: skip
@click.option("--frames", metavar="T,...", callback=_numbers(1, 243), help="Clip lengths; the model's own, "
              "and 30, 81 and 243 where it takes them, by default.")  # fmt: skip
@click.option("--persons", metavar="M,...", callback=_numbers(1, 2), help="Persons in view; 1 and, where the "
              "model takes two, 2 by default.")  # fmt: skip
@click.option("--scenario", "scenarios", metavar="S,...", callback=_scenarios, help="How queries come: "
              f"{', '.join(SCENARIOS)}; single-stream by default.")  # fmt: skip
@click.option("--batch", type=click.IntRange(1, 1024), help="Clips in a query; by default 1, in "
              "multi-stream 8 and in offline 16.")  # fmt: skip
@click.option("--latency-bound", "bound_ms", type=click.FloatRange(0, 600_000, min_open=True),
              default=LATENCY_BOUND_MS, show_default=True, help="Server: most ms for p99.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Server: of the "
              "arrivals.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, 3600, min_open=True), default=1.0, show_default=True,
              help="Time for each row; a slow row takes longer, to have samples enough.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; the runner's choice by default.")
@click.option("--passes", type=click.IntRange(1, 100), default=1, show_default=True, help="Times to open and "
              "measure everything, for a result that compare can judge.")  # fmt: skip
@json_option("result")
@file_option("--markdown", "the tables as Markdown")
@file_option("--html", "one page with tables and plots, that needs no network,")
def command(
    models: tuple[str, ...],
    runners: tuple[str, ...],
    precisions: tuple[str, ...],
    frames: tuple[int, ...],
    persons: tuple[int, ...],
    scenarios: tuple[str, ...],
    batch: int | None,
    bound_ms: float,
    seed: int,
    seconds: float,
    threads: int | None,
    passes: int,
    json_to: str | None,
    markdown: str | None,
    html: str | None,
) -> None:
    """Measure latency, throughput, memory and energy of a model on this machine's runners.

    MODEL is a bundle, a checkpoint, or the word "bundled" (the default). Each row is measured after a warm-up
    to a steady state. The clips are made up; latency depends on their shape alone.

    \b
    Scenarios, after MLPerf LoadGen:
      single-stream  the next query starts when the last one is answered
      multi-stream   the same with several clips in a query, as with several people in view
      server         queries arrive by chance; the highest rate that holds the latency bound at p99
      offline        large queries, for throughput

    \b
    Examples:
      maskclr-edge bench
      maskclr-edge bench my-bundle --runner onnxruntime,openvino --frames 30 --persons 1
      maskclr-edge bench --seconds 5 --json result.json --html result.html
      maskclr-edge bench --runner openvino --precision int8 --frames 60 --persons 1 --threads 1
      maskclr-edge bench --scenario server,offline --latency-bound 50 --frames 60
    """
    plan = Plan(
        models or ("bundled",), runners, precisions, frames, persons, batch, threads,
        Budget(seconds=seconds), passes=passes, scenarios=scenarios or ("single-stream",), bound_ms=bound_ms,
        seed=seed, peak=True,
    )  # fmt: skip
    screen = console(json_to)
    machine = describe_machine()
    with progress("measuring") as report:
        suite = run_suite(plan, report)
    document = result_document("bench", suite.to_dict(), settings=plan.to_dict(), machine=machine)
    screen.print(bench_view(suite))
    screen.print(Text(machine_line(machine), style="dim"))
    if json_to:
        write_json(json_to, document)
    if markdown:
        write_atomically(markdown, bench_markdown(suite, document).encode())
    if html:
        write_atomically(html, bench_page(suite, document))
    if not suite.measurements:
        raise EngineError("nothing could be measured: " + _reasons(suite.skipped))


def _reasons(skipped: Iterable[Variant]) -> str:
    return "; ".join(f"{variant.runner}: {variant.reason}" for variant in skipped)
