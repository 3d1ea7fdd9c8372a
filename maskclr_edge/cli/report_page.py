"""The page of ``maskclr-edge report``, from the document that its JSON holds."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from maskclr_edge.evaluation.figures import COLOURS, curve, new_figure, robustness_figure, to_png
from maskclr_edge.evaluation.robustness import CellResult
from maskclr_edge.evaluation.row_store import CLEAN
from maskclr_edge.page import heading, html_page, html_table, paragraph, picture
from maskclr_edge.skeleton.layouts import H36M_JOINTS

Entries = Sequence[Mapping[str, Any]]


def report_page(document: Mapping[str, Any], machine: str) -> bytes:
    """The whole page. ``machine``: one line that says where it was measured."""
    results = document["results"]
    entries = [entry for entry in results["precisions"] if "reason" not in entry]
    of_what = "made-up clips" if results["made_up"] else "clips"
    count = f"{results['clips']}"
    if results["clips"] < results["split_clips"]:
        count = f"{count} (a sample by seed {document['settings']['seed']}) of {results['split_clips']}"
    about = f"{count} {of_what} of {results['data']}, split {results['split']}, T={results['frames']}"
    parts = [
        paragraph(f"{about}. {document['created']}. {machine}", note=True),
        *_summary(entries),
        *_left_out(results["precisions"]),
        heading("Accuracy, agreement with fp32, and size"),
        _accuracy(entries),
        heading("What the files hold"),
        paragraph("Share of the matrix products' operations by type, read back from each encoder."),
        _types(results["precisions"]),
        *(_latency(entries) if results["timed"] else []),
        heading("Where the network looks"),
        *_attention(entries),
    ]
    if any(entry["corrupted"] for entry in entries):
        parts += [heading("Under corruption"), *_corruption(entries, results, document["settings"])]
    return html_page(f"{results['model']}: what each precision costs", parts)


def _summary(entries: Entries) -> list[str]:
    """A sentence for each precision but the first."""
    reference = entries[0]
    lines = []
    for entry in entries[1:]:
        words = [
            f"{entry['precision']}: top-1 {entry['top1']:.2f} % "
            f"({entry['top1'] - reference['top1']:+.2f} points against fp32)",
            f"the same answer on {entry['agreement']:.2f} % of the clips",
        ]
        if entry["corrupted"] and reference["corrupted"]:
            change = entry["corrupted"]["mean_top1"] - reference["corrupted"]["mean_top1"]
            words.append(f"{change:+.2f} points over the corruptions")
        words.append(f"{100 * entry['bytes'] / reference['bytes']:.0f} % of the size")
        lines.append(paragraph("; ".join(words) + "."))
    return lines


def _left_out(entries: Entries) -> list[str]:
    return [
        paragraph(f"{one['precision']}: {one['reason']}.", note=True) for one in entries if "reason" in one
    ]


def _accuracy(entries: Entries) -> str:
    columns = ("precision", "runner", "top-1 %", "top-5 %", "mean class %", "agrees with fp32 %",
               "mean logit error", "largest logit error", "MB")  # fmt: skip
    rows = [
        (
            entry["precision"], runner_words(entry, row), row["top1"], row["top5"], row["mean_class"],
            row["agreement"], f"{row['mean_logit_error']:.2g}", f"{row['max_logit_error']:.2g}",
            entry["bytes"] / 1e6,
        )
        for entry in entries
        for row in entry["on"]
    ]  # fmt: skip
    largest = entries[0]["largest_logit"]
    return html_table(columns, rows) + paragraph(
        f"Errors of the logits are absolute, against fp32 on {entries[0]['runner']}, whose largest is "
        f"{largest:.1f}. What is emulated is computed in floating point as the file says.",
        note=True,
    )


def runner_words(entry: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """A runner, the type that it chose where it says so, and whether the precision is only imitated there."""
    words = [row["runner"]]
    if chose := row["details"].get("executed_in"):
        words.append(f"in {chose}")
    if entry["emulated"]:
        words.append("emulated")
    return ", ".join(words)


def _types(entries: Entries) -> str:
    kinds = sorted({kind for entry in entries for kind in entry["read_back"] if kind != "frames"})
    rows = [
        (entry["precision"], *(f"{100 * entry['read_back'].get(kind, 0):.1f} %" for kind in kinds))
        for entry in entries
    ]
    return html_table(("precision", *kinds), rows)


def _latency(entries: Entries) -> list[str]:
    rows = [row for entry in entries for row in entry["latency"]]
    slowest = {row["runner"]: row["latency"]["p50_ms"] for row in rows if row["precision"] == "fp32"}
    columns = ("runner", "precision", "p50 ms", "95 % interval", "p99 ms", "against fp32")
    cells = []
    for row in sorted(rows, key=lambda row: row["runner"]):
        latency = row["latency"]
        ratio = f"{slowest[row['runner']] / latency['p50_ms']:.2f}x" if row["runner"] in slowest else ""
        interval = f"{latency['p50_low_ms']:.2f} to {latency['p50_high_ms']:.2f}"
        cells.append((row["runner"], row["precision"], latency["p50_ms"], interval, latency["p99_ms"], ratio))
    emulated = [entry["precision"] for entry in entries if entry["emulated"]]
    note = f" Emulated on this machine and never timed: {', '.join(emulated)}." if emulated else ""
    says = "One person in view, made-up motion, the network alone." + note
    return [heading("Latency of one clip"), html_table(columns, cells), paragraph(says, note=True)]


def _attention(entries: Entries) -> list[str]:
    first = entries[0]["attention"]
    count = first["top_joints"]
    columns = (
        "precision",
        f"of the {count} most important joints, the same %",
        "most important joint the same %",
    )
    rows = [
        (entry["precision"], entry["attention"]["overlap"], entry["attention"]["first"]) for entry in entries
    ]
    figure = new_figure(9.5, 3.2)
    panel = figure.subplots()
    width = 0.8 / len(entries)
    for place, entry in enumerate(entries):
        where = [joint + place * width for joint in range(len(H36M_JOINTS))]
        colour = COLOURS[place % len(COLOURS)]
        panel.bar(where, entry["attention"]["mean"], width, label=entry["precision"], color=colour)
    panel.set_xticks(range(len(H36M_JOINTS)), H36M_JOINTS, rotation=45, ha="right", fontsize=8)
    panel.set_ylabel("mean importance")
    panel.legend(fontsize=8)
    says = (
        f"Importance is the attention that a joint receives, over {first['persons']} persons; fp32 against "
        "itself is 100."
    )
    return [
        html_table(columns, rows),
        paragraph(says, note=True),
        picture(to_png(figure), "mean importance of each joint, by precision"),
    ]


def _corruption(entries: Entries, results: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    cells = {
        entry["precision"]: [CellResult(**cell) for cell in entry["corrupted"]["cells"]]
        for entry in entries
        if entry["corrupted"]
    }
    names = list(dict.fromkeys(cell.corruption for cell in next(iter(cells.values()))))
    rows = [
        (
            name,
            *(statistics.fmean(cell.top1 for cell in of if cell.corruption == name) for of in cells.values()),
        )
        for name in names
    ]
    rows.append(
        ("all corruptions", *(entry["corrupted"]["mean_top1"] for entry in entries if entry["corrupted"]))
    )
    figure = robustness_figure({name: curve([of]) for name, of in cells.items()}, title=" ")
    says = (
        f"Top-1 % on {results['corrupted_clips']} of the clips, drawn by seed {settings['seed']}, each "
        "precision on the first of its runners; mean over the severities of each corruption, "
        f"{settings['draws']} draw(s); {CLEAN}: the same clips as they are."
    )
    skipped = {
        name: why
        for entry in entries
        if entry["corrupted"]
        for name, why in entry["corrupted"]["skipped"].items()
    }
    left = [paragraph(f"{name} left out: {why}", note=True) for name, why in skipped.items()]
    return [
        paragraph(says),
        html_table(("corruption", *cells), rows),
        *left,
        picture(to_png(figure), "top-1 against severity, one panel a corruption, one line a precision"),
    ]
