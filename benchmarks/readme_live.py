"""Sections of the README on what is seen: the demo's end, streams, identities, the soak."""

from typing import Any

from maskclr_edge.bench.markdown import markdown_table


def demo(results: dict[str, Any]) -> str:
    """The end of what the demo prints: the table of what was made."""
    lines = results["lines"]
    first = next(index for index, line in enumerate(lines) if line.startswith("What was made"))
    last = next(index for index, line in enumerate(lines) if line.startswith("Made in"))
    return "```text\n" + "\n".join(lines[first : last + 1]) + "\n```"


def live_stream(results: dict[str, Any]) -> str:
    """Clips joined into one stream, labelled as live does."""
    rows = [
        ["actions", f"{results['actions']} in {results['minutes']:.1f} minutes"],
        ["detected before they ended", f"{results['detected_percent']:.1f} %"],
        ["time to detection, median", _or_never(results["detection_s"])],
        ["changes of a label within one action, a minute", f"{results['changes_per_minute']:.1f}"],
        ["false alarms, an hour", f"{results['false_alarms_per_hour']:.0f}"],
        *([f"F1 of spans at overlap {overlap}", f"{f1:.1f} %"] for overlap, f1 in results["f1"].items()),
    ]
    return markdown_table(["what", "value"], rows, "lr")


def _or_never(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.2f} s"


def live_rates(results: dict[str, Any]) -> str:
    """The pipeline on footage as a camera of 30 fps, by how many people are followed."""
    columns = {
        "people": lambda row: f"{row['people']}",
        "frames/s": lambda row: f"{row['fps']:.1f}",
        "age when shown, p50": lambda row: f"{row['age_ms']['p50']:.0f} ms",
        "p99": lambda row: f"{row['age_ms']['p99']:.0f} ms",
        "dropped": lambda row: f"{row['dropped']} of {row['frames'] + row['dropped']}",
        "pose, p50": lambda row: f"{row['stages_ms']['pose']['p50']:.1f} ms",
        "answers/s": lambda row: f"{row['answers_a_second']:.1f}",
        "model's time of pose's": lambda row: f"{row['classify_percent_of_pose']:.1f} %",
        "model on": lambda row: f"{row['runner']} {row['precision']}",
    }
    rows = [[show(row) for show in columns.values()] for row in results["rows"]]
    return markdown_table(list(columns), rows, "r" * (len(columns) - 1) + "l")


def live_identities(results: dict[str, Any]) -> str:
    """Who is who, against marks set by eye."""
    rows = [
        [
            f"{row['fps']:.1f}",
            str(row["marks"]),
            str(row["switches"]),
            str(row["missed"]),
            str(row["numbers"]),
        ]
        for row in results["rows"]
    ]
    return markdown_table(["frames/s", "marks", "switches", "missed", "numbers given"], rows, "rrrrr")


def live_soak(results: dict[str, Any]) -> str:
    """Looped footage as a camera: does anything grow."""
    run, minutes = results["run"], results["minutes"]
    second, last = minutes[1], minutes[-1]
    early_and_late = f"... in minute 2, in minute {len(minutes)}"
    rows = [
        ["minutes", f"{run['work_s'] / 60:.1f}"],
        ["frames/s", f"{run['fps']:.1f}"],
        ["frames looked at, dropped", f"{run['frames']}, {run['dropped']}"],
        ["age of what is shown, p50 and p99", f"{run['age_ms']['p50']:.0f}, {run['age_ms']['p99']:.0f} ms"],
        [f"{early_and_late}, p50", f"{second['age_p50_ms']:.0f}, {last['age_p50_ms']:.0f} ms"],
        [
            f"memory {early_and_late.removeprefix('... ')}",
            f"{second['rss_mb']:.0f}, {last['rss_mb']:.0f} MB ({results['memory_growth_percent']:+.1f} %)",
        ],
        ["processor time a frame, all threads", f"{run['processor_ms_per_frame']:.0f} ms"],
        ["classification, part of the pose estimator's time", f"{run['classify_percent_of_pose']:.1f} %"],
    ]
    return markdown_table(["what", "value"], rows, "lr")
