"""Write the measured sections of README and model card from the newest result files, or check them.

    python benchmarks/readme.py            # after a benchmark: fill the sections
    python benchmarks/readme.py --check    # exit code 1 when a section is not what the result files say

A section stands between <!-- results:NAME --> and <!-- /results:NAME -->; NAME is a key of SECTIONS below.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskclr_edge.bench.machine import machine_line
from maskclr_edge.bench.markdown import fill_sections, markdown_table, sections
from maskclr_edge.bench.results import newest_result, read_result
from maskclr_edge.errors import DataError, MaskclrEdgeError
from maskclr_edge.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "maskclr_edge" / "bundled" / "MODEL_CARD.md",
    ROOT / "export" / "README.md",
)


def accuracy(results: dict[str, Any]) -> str:
    """Top-1 of the packaged model per runner and precision."""
    rows = [
        [
            row["runner"],
            row["precision"],
            f"{row['top1']:.2f}",
            f"{row['top5']:.2f}",
            f"{row['mean_class']:.2f}",
        ]
        for row in results["rows"]
        if row["model"] == "bundled"
    ]
    return markdown_table(["runner", "precision", "top-1 %", "top-5 %", "mean class %"], rows, "llrrr")


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


def startup(results: dict[str, Any]) -> str:
    """What a user waits for before the first answer."""
    rows = [[row["what"], f"{row['median_s']:.2f}", f"{row['worst_s']:.2f}"] for row in results["startup"]]
    return markdown_table(["what", "median s", "slowest s"], rows, "lrr")


def full_size(results: dict[str, Any]) -> str:
    """Export of the published size of network, step by step."""
    rows = [
        [
            row["step"], f"{row['seconds']:.1f}", f"{row['cpu_seconds']:.1f}", f"{row['peak_memory_mb']:.0f}",
            f"{row['bytes'] / 1e6:.1f}" if row["bytes"] else "",
        ]
        for row in results["steps"]
    ]  # fmt: skip
    lines = [
        f"- {precision}: max |Δ logit| {parity['max_abs_error']:.2g}, at a largest |logit| of "
        f"{parity['max_abs_logit']:.3g}"
        for precision, parity in results["parity"].items()
    ]
    table = markdown_table(["step", "s", "processor s", "peak memory MB", "written MB"], rows, "lrrrr")
    return f"{results['parameters'] / 1e6:.1f} M parameters.\n\n{table}\n\n" + "\n".join(lines)


def robustness(results: dict[str, Any]) -> str:
    """Clean accuracy of each group of seeds, and how much of the baseline's losses it wins back."""
    compared = {entry["method"]: entry for entry in results["comparisons"]}
    rows = []
    for group in results["groups"]:
        cells = [cell for model in group["models"] for cell in model["cells"]]
        clean = [cell["top1"] for cell in cells if cell["corruption"] == "clean"]
        spread = f" ± {statistics.stdev(clean):.2f}" if len(clean) > 1 else ""
        entry = compared.get(group["name"])
        shares = ["", "", ""]
        if entry is not None:
            won = [_percent(entry[key]) for key in ("mean_share", "pooled_share")]
            shares = [str(len(entry["cells"])), *won]
        rows.append([group["name"], str(len(clean)), f"{statistics.fmean(clean):.2f}{spread}", *shares])
    headers = ["model", "seeds", "clean top-1 %", "cells", "won back, mean of cells %", "all together %"]
    return markdown_table(headers, rows, "lrrrrr")


def robustness_cells(results: dict[str, Any]) -> str:
    """Top-1 of every group at each corruption and severity, means over seeds and draws."""
    found: dict[tuple[str, float], dict[str, list[float]]] = {}
    names = [group["name"] for group in results["groups"]]
    for group in results["groups"]:
        for cell in (cell for model in group["models"] for cell in model["cells"]):
            by_name = found.setdefault((cell["corruption"], cell["severity"]), {})
            by_name.setdefault(group["name"], []).append(cell["top1"])
    rows = [
        [
            corruption if corruption == "clean" else f"{corruption}:{severity:g}",
            *(f"{statistics.fmean(by_name[name]):.1f}" if name in by_name else "" for name in names),
        ]
        for (corruption, severity), by_name in found.items()
    ]
    return markdown_table(["corruption", *names], rows, "l" + "r" * len(names))


def folds(results: dict[str, Any]) -> str:
    """Cross-validation, fold by fold and on average."""
    rows = [
        [row["split"], str(row["count"]), f"{row['top1']:.2f}", f"{row['mean_class']:.2f}"]
        for row in results["rows"]
    ]
    mean = results["mean"]
    rows.append(["mean of folds", "", f"{mean['top1']:.2f}", f"{mean['mean_class']:.2f}"])
    return markdown_table(["split", "clips", "top-1 %", "mean class %"], rows, "lrrr")


def precision(results: dict[str, Any]) -> str:
    """What each precision costs against fp32, as ``maskclr-edge report`` found it."""
    clean = f"{results['clips']} clips of {Path(results['data']).name} `{results['split']}`"
    rows = []
    for entry in results["precisions"]:
        if "reason" in entry:
            continue
        corrupted = entry["corrupted"]
        rows.append(
            [
                entry["precision"], entry["runner"], f"{entry['bytes'] / 1e6:.2f}", f"{entry['top1']:.2f}",
                f"{entry['agreement']:.2f}", f"{entry['mean_logit_error']:.4f}",
                "" if corrupted is None else f"{corrupted['mean_top1']:.2f}",
                f"{entry['attention']['overlap']:.1f}",
            ]
        )  # fmt: skip
    headers = [
        "precision", "runner", "MB", "top-1 %", "agreement %", "mean Δ logit",
        f"corrupted top-1 % ({results['corrupted_clips']} clips)", "same top joints %",
    ]  # fmt: skip
    return f"Clean on {clean}.\n\n{markdown_table(headers, rows, 'llrrrrrr')}"


def precision_speed(results: dict[str, Any]) -> str:
    """How many times fp32's speed a precision has, on each runner and length."""
    rows = [
        [
            str(row["frames"]), row["runner"], row["precision"], f"{row['latency']['p50_ms']:.2f}",
            f"{row['faster']['value']:.2f} ({row['faster']['low']:.2f} to {row['faster']['high']:.2f})",
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
    notes += [
        f"The bundled model in {one['precision']} on {one['runner']} answers as its fp32 on "
        f"{one['same_percent']:.2f} % of {one['count']} clips."
        for one in results["agreement"]
    ]
    notes += [f"Not run: {name} ({why})." for name, why in results["absent"].items()]
    return table + "\n\n" + "\n".join(f"- {note}" for note in notes)


def _times(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    ratio = row["ratio"]
    interval = f"{ratio['low']:.2f} to {ratio['high']:.2f}"
    return f"{ratio['value']:.2f}x ({interval}), {row['latency']['p50_ms']:.1f} ms"


def compare_gate(results: dict[str, Any]) -> str:
    """What the gate of `compare` said to equal runs and to slower ones."""
    of, percent = results["of"], results["slower_percent"]
    rows = [
        ["equal to the reference", f"{results['equal_passed']} of {of} passed"],
        [f"every call {percent:g} % longer", f"{results['slower_caught']} of {of} failed, as they must"],
    ]
    clock = "on the clock" if results["clock"] == "wall" else "by processor time"
    return markdown_table([f"runs measured {clock}", f"gate {results['gate']}"], rows, "lr")


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


def _part(row: dict[str, Any]) -> str:
    """What a row measures; version 1 of the results called it its scenario."""
    return str(row.get("part", row["scenario"]))


def trt_overhead(results: dict[str, Any]) -> str:
    """What the TensorRT runner costs a call in Python, and what is left over."""
    rows = [
        [
            row["release"], row["layer"], "yes" if row["cuda_graphs"] else "no", str(row["persons"]),
            f"{row['p10_us']:.0f}", f"{row['p50_us']:.0f}", str(row["allocated_or_made"]),
        ]
        for row in results["steady"]
    ]  # fmt: skip
    headers = ["TensorRT", "CUDA through", "graphs", "persons", "p10 µs", "p50 µs", "allocated in all calls"]
    table = markdown_table(headers, rows, "lllrrrr")
    calls = sum(entry["calls"] for entry in results["leaks"])
    taken = sum(
        entry["after_all"]["allocations"] - entry["after_100"]["allocations"] for entry in results["leaks"]
    )
    left = sum(
        max(0, entry["closed"][name] - entry["opened"].get(name, 0))
        for entry in results["leaks"]
        for name in entry["closed"]
        if name != "allocations"
    )
    return (
        f"{table}\n\nOver {calls} calls with changing shapes: "
        f"{taken} allocations after each runner's first 100 calls, {left} objects left once it was closed."
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def demo(results: dict[str, Any]) -> str:
    """The end of what the demo prints: the table of what was made."""
    lines = results["lines"]
    first = next(index for index, line in enumerate(lines) if line.startswith("What was made"))
    last = next(index for index, line in enumerate(lines) if line.startswith("Made in"))
    return "```text\n" + "\n".join(lines[first : last + 1]) + "\n```"


#: section -> the result it is made from, and how
def engine_build(results: dict[str, Any]) -> str:
    """Builds of the published size of network with no GPU, and what a second one gains from timings kept."""
    rows = [
        [
            row["precision"], ", ".join(f"SM{sm}" for sm in row["sm"]), f"{row['median_s']:.1f}",
            f"{row['best_s']:.1f}", f"{row['cpu_s']:.1f}", f"{row['bytes'] / 1e6:.1f}",
            f"{row['second']['median_s']:.1f}", f"{row['second']['times_faster']:.2f}",
        ]
        for row in results["rows"]
    ]  # fmt: skip
    headers = [
        "precision",
        "for",
        "median s",
        "best s",
        "processor s",
        "engine MB",
        "second s",
        "times faster",
    ]
    return markdown_table(headers, rows, "llrrrrrr")


def build_matrix(results: dict[str, Any]) -> str:
    """What every target gets on the machine that built it."""
    rows = []
    for row in results["rows"]:
        engines = row.get("engines", {})
        made = f"{sum(engines.values()) / 1e6:.1f}" if engines else row["state"]
        seconds = f"{row['seconds']:.1f}" if "seconds" in row else ""
        for_sm = ", ".join(f"SM{sm}" for sm in row["sm"])
        error = f"{row['parity']['max_abs_error']:.1e}"
        rows.append([row["target"], row["precision"], row["engine"], for_sm, made, seconds, error])
    headers = ["target", "precision", "engine", "for", "engines, MB", "s", "largest error of the ONNX"]
    return markdown_table(headers, rows, "llllrrr")


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
    rows = [
        ["minutes", f"{run['work_s'] / 60:.1f}"],
        ["frames looked at, dropped", f"{run['frames']}, {run['dropped']}"],
        ["frames/s", f"{run['fps']:.1f}"],
        ["processor time a frame, all threads", f"{run['processor_ms_per_frame']:.0f} ms"],
        ["age of what is shown, p50 and p99", f"{run['age_ms']['p50']:.0f}, {run['age_ms']['p99']:.0f} ms"],
        [f"... in the second of {len(minutes)} parts, in the last", "{:.0f}, {:.0f} ms".format(
            *(minutes[at]["age_p50_ms"] for at in (1, -1)))],
        [f"memory in the second of {len(minutes)} parts, in the last", "{:.0f}, {:.0f} MB".format(
            *(minutes[at]["rss_mb"] for at in (1, -1)))],
        ["classification, part of the pose estimator's time", f"{run['classify_percent_of_pose']:.0f} %"],
    ]  # fmt: skip
    return markdown_table(["what", "value"], rows, "lr")


SECTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "demo": ("demo", demo),
    "accuracy": ("accuracy", accuracy),
    "latency": ("latency", latency),
    "end_to_end": ("latency", end_to_end),
    "packing": ("latency", packing),
    "startup": ("latency", startup),
    "robustness": ("robustness", robustness),
    "robustness_cells": ("robustness", robustness_cells),
    "folds": ("folds", folds),
    "precision": ("report", precision),
    "precision_speed": ("precision_speed", precision_speed),
    "performance": ("peers", performance),
    "compare_gate": ("compare_gate", compare_gate),
    "training": ("training_throughput", training),
    "trt_overhead": ("trt_overhead", trt_overhead),
    "live_stream": ("live_stream", live_stream),
    "live_identities": ("live_identities", live_identities),
    "live_soak": ("live_soak", live_soak),
    "full_size": ("export_full_size", full_size),
    "engine_build": ("engine_build", engine_build),
    "build_matrix": ("build_matrix", build_matrix),
}


def section(name: str, folder: Path) -> str:
    """One section as Markdown, with date, machine and source file. DataError when there is no result."""
    if name not in SECTIONS:
        raise DataError(f"there is no section {name}; there are {', '.join(SECTIONS)}")
    result, render = SECTIONS[name]
    path = newest_result(folder, result)
    if path is None:
        raise DataError(f"section {name} needs a result {result}: run python benchmarks/{result}.py first")
    document = read_result(path)
    source = f"{document['created'][:10]}, {machine_line(document['machine'])}"
    return f"{render(document['results'])}\n\n<sub>{source}; `benchmarks/results/{path.name}`</sub>"


def filled(text: str, folder: Path) -> str:
    """A document's text with all its sections as the result files have them."""
    return fill_sections(text, {name: section(name, folder) for name in sections(text)})


def main() -> int:
    """Fill or check, and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a section differs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("documents", nargs="*", type=Path, default=DOCUMENTS, help="README and model card")
    arguments = parser.parse_args()
    codes = [write(path, arguments.results, arguments.check) for path in arguments.documents]
    return max(codes)


def write(document: Path, results: Path, check: bool) -> int:
    """Fill or check one document, and give the exit code."""
    text = document.read_text(encoding="utf-8")
    try:
        wanted = filled(text, results)
    except MaskclrEdgeError as error:
        print(f"error: {document.name}: {error}", file=sys.stderr)
        return 1
    if wanted == text:
        print(f"{document.name}: {len(sections(text))} sections are what the results say")
        return 0
    if check:
        print(
            f"error: {document.name} differs from the results; run python benchmarks/readme.py",
            file=sys.stderr,
        )
        return 1
    write_atomically(document, wanted.encode())
    print(f"{document.name}: {len(sections(text))} sections written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
