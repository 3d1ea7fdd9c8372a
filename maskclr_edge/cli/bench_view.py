"""What a bench says in a terminal: its tables, how to read them, and what was left out."""

from collections.abc import Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from maskclr_edge.bench.measurement import NETWORK, PREPROCESSING, SINGLE_STREAM, Measurement
from maskclr_edge.bench.suite import Suite, Variant

#: with fewer samples than this no interval is shown
FEW = 10


def bench_view(suite: Suite) -> Group:
    """Everything that a suite has to say, as tables and lines."""
    parts: list[RenderableType] = []
    network = [row for row in suite.measurements if row.part == NETWORK]
    for scenario in dict.fromkeys(row.scenario for row in network):
        rows = [row for row in network if row.scenario == scenario]
        query = "one clip" if rows[0].batch == 1 else f"{rows[0].batch} clips"
        how = "" if scenario == SINGLE_STREAM else f", {scenario}"
        parts.append(latency_table(rows, f"The network alone{how}: milliseconds for {query}"))
        parts += [Text(server_line(row)) for row in rows if row.server]
    around = [row for row in suite.measurements if row.part != NETWORK]
    if around:
        parts.append(latency_table(around, "Raw keypoints to ranked labels, and the preprocessing in it"))
    if suite.measurements:
        parts.append(Text(".\n".join(notes(suite)) + ".", style="dim"))
    parts += [_skipped_line(variant) for variant in suite.skipped]
    return Group(*parts)


def server_line(row: Measurement) -> str:
    """What the search of a server row found, in words."""
    assert row.server is not None
    where = f"{row.runner} {row.precision}, T={row.frames}, {row.persons} in view"
    if not row.server.rate_per_s:
        return f"{where}: no rate holds p99 within {row.server.bound_ms:g} ms"
    few = "" if row.latency.resolves(99) else ", on fewer queries than p99 needs"
    return (
        f"{where}: {row.server.rate_per_s:.3g} queries/s arriving by chance hold p99 within "
        f"{row.server.bound_ms:g} ms{few}"
    )


def notes(suite: Suite) -> list[str]:
    """How to read the numbers: rules, peaks, sensors; sentences without their full stops."""
    rows = suite.measurements
    lines = ["Percentiles by nearest rank, as trtexec's"]
    if any(row.part != PREPROCESSING for row in rows):
        lines.append("Green: fastest of its group")
    if any(not row.latency.resolves(99) for row in rows):
        lines.append("Dim: too few samples to tell it from the slowest")
    if any(not row.warmup.steady for row in rows):
        lines.append("~: never became steady, the machine is busy or the call is slow")
    if suite.peaks:
        peaks = ", ".join(
            f"{peak.library} {peak.precision} {peak.gflops:.0f}"
            for peak in {(peak.library, peak.precision): peak for _, peak in suite.peaks}.values()
        )
        lines.append(f"Of peak: share of the fastest matrix product measured here, GFLOP/s: {peaks}")
    held = [row.resources.host_peak_mb for row in rows if row.resources.host_peak_mb]
    if held:
        lines.append(f"Memory of this process at most: {max(held):.0f} MB")
    used = {
        name: value for row in rows[:1] for name, value in row.resources.joules_per_clip.items()
    }  # the first row: a sample of what the JSON has for each
    lines += [f"Energy by {name}: {value:.3g} J a clip in the first row" for name, value in used.items()]
    if not used and suite.no_sensors:
        lines.append("No energy: " + "; ".join(suite.no_sensors))
    return lines


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
    peaks = any(row.resources.peak_share for row in rows)
    numbers = ["p50", "± 95 %", "p90", "p99", "p99.9", "clips/s", *(["of peak"] if peaks else [])]
    for name in numbers:
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
            share = row.resources.peak_share
            cells += [Text(f"{share:.0%}" if share else "")] if peaks else []
            table.add_row(str(row.frames), str(row.persons), *cells, end_section=row is members[-1])
    return table


def _shape(row: Measurement) -> tuple[int, int]:
    return row.frames, row.persons


def _timings(row: Measurement, fastest: bool) -> list[Text]:
    latency = row.latency
    half = (latency.p50_high_ms - latency.p50_low_ms) / 2
    mark = "" if row.warmup.steady else "~"
    cells = [
        Text(mark + milliseconds(latency.p50_ms), style="bold green" if fastest else ""),
        # an interval from a handful of samples would be made of nothing
        Text(milliseconds(half) if latency.count >= FEW else "", style="dim"),
    ]
    for q, value in ((90, latency.p90_ms), (99, latency.p99_ms), (99.9, latency.p99_9_ms)):
        cells.append(Text(milliseconds(value), style="" if latency.resolves(q) else "dim"))
    rate = row.clips_per_second
    return [*cells, Text(f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}")]


def milliseconds(value: float) -> str:
    """Three figures or so: a microsecond matters at 0.5 ms and not at 300."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _skipped_line(variant: Variant) -> Text:
    precision = "" if variant.precision == "any" else f" {variant.precision}"
    return Text.assemble(
        ("not measured  ", "yellow"), f"{variant.runner}{precision}", (f": {variant.reason}", "dim")
    )
