"""A bench as a page for people: Markdown tables, or one HTML file with tables and plots."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from maskclr_edge.bench.charts import Bar, bar_chart, distribution_chart
from maskclr_edge.bench.machine import machine_line
from maskclr_edge.bench.markdown import markdown_table
from maskclr_edge.bench.measurement import NETWORK, SERVER, Measurement
from maskclr_edge.bench.statistics import PERCENTILES
from maskclr_edge.bench.suite import Suite
from maskclr_edge.cli.bench_view import milliseconds, notes, server_line
from maskclr_edge.page import chart, heading, html_page, html_table, paragraph

#: lines that can be told apart in one plot, and bars that a reader still looks through
_LINES, _BARS = 7, 40
_TOO_FEW = "–"
_AXIS = "latency in ms, logarithmic; upwards the share of queries that took no longer"


def bench_markdown(suite: Suite, document: Mapping[str, Any]) -> str:
    """The whole bench as Markdown."""
    parts = ["# Bench", f"{document['created']}. {machine_line(document['machine'])}."]
    for title, rows in _groups(suite):
        columns, cells = _cells(rows)
        texts = [[str(cell) for cell in line] for line in cells]
        parts += [f"## {title}", markdown_table(columns, texts, _alignment(columns))]
        parts += [f"- {server_line(row)}" for row in rows if row.server]
    parts.append("\n".join(f"- {line}." for line in _notes(suite, document)))
    return "\n\n".join(parts) + "\n"


def bench_page(suite: Suite, document: Mapping[str, Any]) -> bytes:
    """The whole bench as one HTML page with plots."""
    parts = [paragraph(f"{document['created']}. {machine_line(document['machine'])}.", note=True)]
    for title, rows in _groups(suite):
        columns, cells = _cells(rows)
        parts += [heading(title), html_table(columns, cells)]
        parts += [paragraph(server_line(row)) for row in rows if row.server]
        parts += _plots(rows)
    parts += [heading("How to read it"), *(paragraph(line + ".") for line in _notes(suite, document))]
    return html_page("maskclr-edge bench", parts)


def _groups(suite: Suite) -> list[tuple[str, list[Measurement]]]:
    """Rows by what may be looked at together, each with a title."""
    groups: dict[str, list[Measurement]] = {}
    for row in suite.measurements:
        what = (
            f"The network alone, {row.scenario}" if row.part == NETWORK else "Raw keypoints to ranked labels"
        )
        groups.setdefault(what, []).append(row)
    return [
        (title, sorted(rows, key=lambda row: (row.frames, row.persons))) for title, rows in groups.items()
    ]


def _cells(rows: Sequence[Measurement]) -> tuple[list[str], list[list[object]]]:
    """Columns and cells of one table; columns that would be empty are left out."""
    sensors = list(dict.fromkeys(name for row in rows for name in row.resources.joules_per_clip))
    lines: list[dict[str, object]] = []
    for row in rows:
        took, latency = row.resources, row.latency
        interval = latency.intervals["p50"]
        line: dict[str, object] = {
            "T": row.frames, "persons": row.persons, "model": row.model, "what": row.part,
            "runner": row.runner, "precision": row.precision, "clips a query": row.batch,
            "p50 ms": milliseconds(latency.p50_ms),
            "95 % interval": " to ".join(map(milliseconds, interval)) if interval else _TOO_FEW,
        }  # fmt: skip
        for name, q in list(PERCENTILES.items())[1:]:
            line[name] = milliseconds(latency.percentile_ms(name)) if latency.resolves(q) else _TOO_FEW
        interval = latency.intervals["p99"]
        line["p99 interval"] = " to ".join(map(milliseconds, interval)) if interval else _TOO_FEW
        line |= {
            "clips/s": f"{row.clips_per_second:.4g}",
            "GFLOP a clip": f"{took.gflop_per_clip:.3g}" if took.gflop_per_clip else "",
            "of peak": f"{took.peak_share:.0%}" if took.peak_share else "",
            "memory MB": f"{took.host_peak_mb:.0f}" if took.host_peak_mb else "",
            "GPU MB": f"{took.device_mb:.0f}" if took.device_mb else "",
            **{
                f"{name}, J a clip": f"{took.joules_per_clip[name]:.3g}" if took.joules_per_clip else ""
                for name in sensors
            },
            "warm-up": f"{row.warmup.calls} calls" + ("" if row.warmup.steady else ", not steady"),
            "samples": latency.count,
        }
        lines.append(line)
    needless = {
        name
        for name in lines[0]
        if all(line[name] in ("", _TOO_FEW) for line in lines)
        or (name in ("model", "what", "clips a query") and len({line[name] for line in lines}) == 1)
    }
    columns = [name for name in lines[0] if name not in needless]
    return columns, [[line[name] for name in columns] for line in lines]


def _alignment(columns: Sequence[str]) -> str:
    return "".join("l" if name in ("model", "what", "runner", "precision") else "r" for name in columns)


def _plots(rows: Sequence[Measurement]) -> list[str]:
    several = len({row.model for row in rows}) > 1

    def name(row: Measurement) -> str:
        words = [row.model] if several else []
        words += [row.runner, row.precision] if row.part == NETWORK else [row.part, row.runner, row.precision]
        return " ".join([*words, f"T={row.frames} M={row.persons}"])

    bars = [
        Bar(name(row), row.latency.p50_ms, row.latency.p99_ms if row.latency.resolves(99) else None)
        for row in rows[:_BARS]
    ]
    parts = [
        chart(bar_chart(bars, "ms"), "median latency of each row, and its p99"),
        paragraph("Bars: p50. Whiskers: p99, where there are samples enough.", note=True),
    ]
    # one plot for each shape: lines of different lengths say nothing beside each other
    for shape in dict.fromkeys((row.frames, row.persons) for row in rows):
        some = [row for row in rows if (row.frames, row.persons) == shape][:_LINES]
        if some[0].scenario != SERVER:
            lines = [(name(row), np.array(row.samples_ms)) for row in some]
            says = f"distribution of latencies, T={shape[0]}, {shape[1]} in view"
            parts.append(
                chart(
                    distribution_chart(lines, _AXIS),
                    says,
                )
            )
    return parts


def _notes(suite: Suite, document: Mapping[str, Any]) -> list[str]:
    settings = document["settings"]
    kept = [line for line in notes(suite) if not line.startswith(("Green", "Dim", "~"))]
    kept.append(f"{_TOO_FEW}: too few samples to tell the percentile from the slowest one")
    kept.append(f"Intervals: {settings['interval']}")
    kept.append(f"Steady after warm-up: {settings['steady_state']}")
    kept.append(f"Against trtexec: {settings['as_trtexec']}")
    kept += [f"Not measured: {one.runner} {one.precision}: {one.reason}" for one in suite.skipped]
    return kept
