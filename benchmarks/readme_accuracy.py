"""Sections of README and model card on accuracy, clean and corrupted, and what a precision costs."""

import statistics
from pathlib import Path
from typing import Any

from maskclr_edge.bench.markdown import markdown_table
from maskclr_edge.cli.report_page import runner_words


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


def seeds(results: dict[str, Any]) -> str:
    """Top-1 of the committed checkpoints NAME_sSEED, their mean, and both again with mirror images."""
    names = {"top1": "top-1 % of each seed", "mirrored_top1": "with mirror images"}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in results["rows"]:
        name, _, seed = Path(row["model"]).stem.rpartition("_s")
        if seed.isdigit():
            found.setdefault(name, []).append(row)
    rows = []
    for name, models in found.items():
        line = [name.replace("_", " ")]
        for key in names:
            values = [model[key] for model in models]
            line += [", ".join(f"{value:.2f}" for value in values), f"{statistics.fmean(values):.2f}"]
        rows.append(line)
    headers = ["model"] + [text for name in names.values() for text in (name, "mean")]
    return markdown_table(headers, rows, "lrrrr")


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


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


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
    float_cells = _cells(next((e for e in results["precisions"] if e["precision"] == "fp32"), {}))
    rows = []
    for entry in results["precisions"]:
        for place, row in enumerate(entry.get("on", ())):  # a precision that nothing here takes has none
            line = [
                entry["precision"], runner_words(entry, row), f"{entry['bytes'] / 1e6:.2f}",
                f"{row['top1']:.2f}", f"{row['agreement']:.2f}", f"{row['mean_logit_error']:.4f}",
                "" if place else f"{entry['attention']['overlap']:.1f}",
            ]  # fmt: skip
            if results["timed"]:
                timed = {times["runner"]: times["latency"]["p50_ms"] for times in entry["latency"]}
                line.append(f"{timed[row['runner']]:.2f}" if row["runner"] in timed else "")
            if float_cells:
                cells = {} if place else _cells(entry)
                worst = min((top1 - float_cells[cell] for cell, top1 in cells.items()), default=None)
                line.append("" if not cells else f"{entry['corrupted']['mean_top1']:.2f}")
                line.append("" if worst is None else f"{worst:+.2f}")
            rows.append(line)
    headers = ["precision", "runner", "MB", "top-1 %", "agreement %", "mean Δ logit", "same top joints %"]
    said = f"Clean on {clean}, T={results['frames']}"
    if results["timed"]:
        headers.append("p50 ms")
    if float_cells:
        headers += ["corrupted top-1 %", "worst cell against fp32"]
        said += f"; {len(float_cells)} corrupted cells on {results['corrupted_clips']} of them"
    return f"{said}.\n\n{markdown_table(headers, rows, 'll' + 'r' * (len(headers) - 2))}"


def _cells(entry: dict[str, Any]) -> dict[tuple[str, float], float]:
    """Top-1 at each corruption and severity of one precision of a report."""
    cells = (entry.get("corrupted") or {"cells": ()})["cells"]
    return {(c["corruption"], c["severity"]): c["top1"] for c in cells if c["corruption"] != "clean"}
