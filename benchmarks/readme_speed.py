"""Sections of the README on speed: latency, peers, precisions, the gate of compare, training."""

import statistics
from typing import Any

from maskclr_edge.bench.markdown import markdown_table


def latency(results: dict[str, Any]) -> str:
    """Latency of the network alone, one clip of one person at a time."""
    rows = [
        [
            str(row["frames"]), row["runner"], row["precision"],
            *(f"{row['latency'][key]:.2f}" for key in ("p50_ms", "p90_ms", "p95_ms", "p99_ms")),
            f"{row['clips_per_second']:.0f}",
        ]
        for row in sorted(results["measurements"], key=lambda row: row["frames"])
        if _part(row) == "network" and row["persons"] == 1
    ]  # fmt: skip
    headers = ["T", "runner", "precision", "p50 ms", "p90", "p95", "p99", "clips/s"]
    return markdown_table(headers, rows, "rllrrrrr")


def end_to_end(results: dict[str, Any]) -> str:
    """Raw keypoints to ranked labels, and the preprocessing in it."""
    rows = [
        [
            _part(row), row["runner"], row["precision"], str(row["frames"]), str(row["persons"]),
            f"{row['latency']['p50_ms']:.2f}", f"{row['latency']['p99_ms']:.2f}",
        ]
        for row in results["measurements"]
        if _part(row) != "network"
    ]  # fmt: skip
    headers = ["what", "runner", "precision", "T", "persons", "p50 ms", "p99 ms"]
    return markdown_table(headers, rows, "lllrrrr")


def _part(row: dict[str, Any]) -> str:
    """What a row measures; version 1 of the results called it its scenario."""
    return str(row.get("part", row["scenario"]))


def packing(results: dict[str, Any]) -> str:
    """One person in a two-person model against one person alone."""
    rows = [
        [
            row["runner"], row["precision"], str(row["frames"]), f"{row['one_of_two_ms']:.2f}",
            f"{row['one_ms']:.2f}", f"{row['ratio']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
        ]
        for row in results["packing"]
    ]  # fmt: skip
    headers = ["runner", "precision", "T", "M=2, one absent, ms", "M=1, ms", "ratio (95 % interval)"]
    return markdown_table(headers, rows, "llrrrr")


def window(results: dict[str, Any]) -> str:
    """Two seconds of one person on one thread, keypoints to labels."""
    if "window" not in results:
        return "*This result does not have it: a new run of `benchmarks/latency.py` does.*"
    rows = [
        [
            row["runner"], row["precision"], str(row["given_frames"]), str(row["frames"]),
            *(f"{row['latency'][key]:.2f}" for key in ("p50_ms", "p90_ms", "p99_ms")),
        ]
        for row in results["window"]
    ]  # fmt: skip
    headers = ["runner", "precision", "frames given", "T", "p50 ms", "p90", "p99"]
    return markdown_table(headers, rows, "llrrrrr")


def startup(results: dict[str, Any]) -> str:
    """What a user waits for before the first answer."""
    rows = [[row["what"], f"{row['median_s']:.2f}", f"{row['worst_s']:.2f}"] for row in results["startup"]]
    return markdown_table(["what", "median s", "slowest s"], rows, "lrr")


def precision_speed(results: dict[str, Any]) -> str:
    """How many times fp32's speed a precision has, on each runner and length."""
    rows = [
        [
            str(row["frames"]), row["runner"], row["precision"], f"{row['latency']['p50_ms']:.2f}",
            _ratio(row["faster"]),
        ]
        for row in sorted(results["rows"], key=lambda row: row["frames"])
    ]  # fmt: skip
    headers = ["T", "runner", "precision", "p50 ms", "times fp32's speed (95 % interval)"]
    return markdown_table(headers, rows, "rllrr")


def performance(results: dict[str, Any]) -> str:
    """How many times as long each peer takes as ours, by clip length; then what ours takes."""
    rows = results["rows"]
    lengths = sorted({row["frames"] for row in rows})
    found = {(row["peer"], row["slots"], row["frames"]): row for row in rows}
    lines = []
    for peer, slots in dict.fromkeys((row["peer"], row["slots"]) for row in rows):
        given = "" if peer.startswith("ours") else "and the padded second" if slots == 2 else "alone"
        cells = [found.get((peer, slots, frames)) for frames in lengths]
        lines.append([peer, given, *(_times(cell) for cell in cells)])
    ours = [
        statistics.median(row["ours"]["p50_ms"] for row in rows if row["frames"] == frames)
        for frames in lengths
    ]
    lines.append(["**ours, p50 ms**", "", *(f"**{value:.1f}**" for value in ours)])
    headers = ["instead of ours", "one person", *(f"T={frames}" for frames in lengths)]
    table = markdown_table(headers, lines, "ll" + "r" * len(lengths))
    notes = ["Times as long as ours in the same turns, with 95 % interval, and p50 in ms."]
    if peak := results["peak"]:
        shares = ", ".join(f"{share:.0%} at T={frames}" for frames, share in peak["share"].items())
        notes.append(
            f"Ours reaches {shares} of the {peak['gflops']:.0f} G operations/s of the fastest "
            f"{peak['precision']} matrix product that {peak['library']} does here."
        )
    if grown := results["growth"]:
        notes.append(_growth(grown))
    if results["agreement"]["of"] == "bundled":
        notes.append(
            "The weights are random: no trained checkpoint of this size was at hand, and how often it agrees "
            "with its fp32 was not measured."
        )
    if trained := results["trained"]:
        how = ", ".join(f"{key} {value}" for key, value in trained.items())
        notes.append(f"The weights are trained ({how}).")
    whose = {"bundled": "The bundled model", "measured": "This network"}[results["agreement"]["of"]]
    notes += [
        f"{whose} in {one['precision']} on {one['runner']} answers as its fp32 on "
        f"{one['same_percent']:.2f} % of {one['count']} clips."
        for one in results["agreement"]["rows"]
    ]
    notes += [f"Not run: {name} ({why})." for name, why in results["absent"].items()]
    notes += [f"Failed: {name} ({why})." for name, why in results["failed"].items()]
    if missing := results["missing"]:
        notes.append(f"Not measured yet: {'; '.join(missing)}.")
    return table + "\n\n" + "\n".join(f"- {note}" for note in notes)


def _growth(grown: dict[str, Any]) -> str:
    """How the times grow with the length: ours, our other precisions and runners, and the peers."""
    (short, long), flops = grown["frames"], grown["flops"]
    text = (
        f"From T={short} to {long} the operations grow {flops:.2f} times, and what ours takes "
        f"{_ratio(grown['latency'])} times"
    )
    others = {row["peer"]: row["latency"] for row in grown["peers"] if row["peer"].startswith("ours, ")}
    peers = [row["latency"] for row in grown["peers"] if row["peer"] not in others]
    if others:
        listed = (f"{name.removeprefix('ours, ')} {value:.1f}" for name, value in others.items())
        text += f" ({', '.join(listed)})"
    if peers:
        text += f"; the peers {min(peers):.1f} to {max(peers):.1f}"
    return f"{text}."


def _times(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return f"{_ratio(row['ratio'])}, {row['latency']['p50_ms']:.1f} ms"


def compare_gate(results: dict[str, Any]) -> str:
    """What the gate of `compare` said to equal runs and to slower ones."""
    of, percent = results["of"], results["slower_percent"]
    rows = [
        ["equal to the reference", f"{results['equal_passed']} of {of} passed"],
        [f"every call {percent:g} % longer", f"{results['slower_caught']} of {of} failed, as they must"],
    ]
    clock = "on the clock" if results["clock"] == "wall" else "by processor time"
    return markdown_table([f"runs measured {clock}", f"gate {results['gate']}"], rows, "lr")


def op_profile(results: dict[str, Any]) -> str:
    """Milliseconds of a call by kind of operator, before and after."""
    rows = results["rows"]
    kinds = list(dict.fromkeys(kind for row in rows for kind in row["kinds"]))
    lines = [
        [
            str(row["frames"]), row["network"], f"{row['total_ms']:.1f}",
            *(f"{row['kinds'].get(kind, 0.0):.1f}" for kind in kinds),
        ]
        for row in rows
    ]  # fmt: skip
    return markdown_table(["T", "network", "ms", *kinds], lines, "rl" + "r" * (len(kinds) + 1))


def int8_scores(results: dict[str, Any]) -> str:
    """How many times as fast a network is with attention's scores in INT8, by the width of its heads."""
    rows = [
        [
            str(row["width"]), f"{row['heads']} of {row['head_dim']}", str(row["depth"]), row["weights"],
            str(row["frames"]), _ratio(row["faster"]), f"{row['median_ms']['with']:.2f}",
        ]
        for row in sorted(results["rows"], key=lambda row: row["head_dim"])
    ]  # fmt: skip
    headers = ["width", "heads", "layers", "weights", "T", "times as fast (95 % interval)", "ms"]
    return markdown_table(headers, rows, "rlrlrrr")


def runtime_settings(results: dict[str, Any]) -> str:
    """What the runners' own choices give: shapes compiled ahead, and threads."""
    rows = [
        [
            row["what"], row["runner"], row["precision"], str(row["frames"]), _ratio(row["wall"]),
            _ratio(row["processor"]), f"{row['median_ms'][1]:.2f}",
        ]
        for row in results["rows"]
    ]  # fmt: skip
    headers = ["what", "runner", "precision", "T", "times as fast (95 % interval)", "in processor time", "ms"]
    return markdown_table(headers, rows, "lllrrrr")


def _ratio(value: dict[str, float]) -> str:
    return f"{value['value']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


def training(results: dict[str, Any]) -> str:
    """Training clips a second of the upstream loop's form and of ours."""
    names = {
        "upstream_form": "the upstream loop's form",
        "ours": "`maskclr-edge train`, one process",
        "ours_torchrun": "`torchrun -m maskclr_edge train`, one process a core",
    }
    median = results["median"]
    rows = [
        [name, f"{median[key]:.0f}", f"{median[key] / median['upstream_form']:.2f}"]
        for key, name in names.items()
    ]
    return markdown_table(["training", "clips/s", "times upstream's"], rows, "lrr")
