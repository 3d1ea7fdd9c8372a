"""Sections on quantisation: calibrators, sensitive layers, accuracy budgets, what the builder takes."""

from typing import Any

from maskclr_edge.bench.markdown import markdown_table

#: groups of layers that a table of sensitivity has
SHOWN = 10


def calibrators(results: dict[str, Any]) -> str:
    """INT8 of each calibrator, without and with outliers moved into the weights."""
    rows = [
        [
            row["method"], "" if row["smooth"] is None else f"{row['smooth']:g}", f"{row['top1']:.2f}",
            f"{row['agreement']:.2f}", str(row["lost"]), f"{row['mean_logit_error']:.4f}",
            f"{100 * row['saturated_mean']:.2g}", f"{100 * row['saturated_most']:.2g}",
        ]
        for row in results["rows"]
    ]  # fmt: skip
    headers = [
        "method", "smooth", "top-1 %", "agreement %", "lost", "mean Δ logit", "beyond range, mean %",
        "most %",
    ]  # fmt: skip
    return f"{_clips(results)}\n\n{markdown_table(headers, rows, 'lrrrrrrr')}"


def sensitivity(results: dict[str, Any]) -> str:
    """The groups of layers by what quantising each alone does to the logits, the worst first."""
    rows = [
        [
            f"`{row['module']}`", f"{row['kl']:.2e}", f"{1 - row['cosine']:.1e}", f"{row['agreement']:.1f}",
            f"{100 * row['weights']:.1f}",
        ]
        for row in results["rows"][:SHOWN]
    ]  # fmt: skip
    headers = ["quantised alone", "KL, nats", "1 - cosine of the logits", "same answer %", "weights %"]
    text = f"{_clips(results)}\n\n{markdown_table(headers, rows, 'lrrrr')}"
    if rest := results["rows"][SHOWN:]:
        text += f"\n\nThe other {len(rest)}: KL of {rest[0]['kl']:.2e} nats at most."
    return text


def budgets(results: dict[str, Any]) -> str:
    """What exports with an accuracy budget come to."""
    rows = []
    for row in results["rows"]:
        if row["exit_code"]:
            rows.append(
                [f"`{row['options']}`", "refused" if row["exit_code"] == 2 else "failed", row["said"]]
            )
            continue
        of = f" of {row['groups']} groups" if row["skip"] else ""
        names = ", ".join(f"`{name}`" for name in row["skip"])
        stay = f"{len(row['skip'])}{of} in floating point: {names}" if names else "nothing stays"
        tries = ", ".join(f"{one['lost']} with {one['kept']} kept" for one in row["tried"])
        most = max(one["drop_at_most"] for one in row["measured"].values())
        rows.append(
            [
                f"`{row['options']}`",
                "met",
                f"{stay}; of {row['clips']} clips lost {tries}, on the worst of "
                f"{', '.join(row['measured'])}; a drop of at most {most:.2f} points",
            ]
        )
    return markdown_table(["export", "budget", "what came out"], rows, "lll")


def builder_acceptance(results: dict[str, Any]) -> str:
    """Precision by GPU generation: seconds that TensorRT-RTX's builder took, or its refusal."""
    sms = list(dict.fromkeys(row["sm"] for row in results["rows"]))
    found = {(row["precision"], row["sm"]): row for row in results["rows"]}
    names = list(dict.fromkeys(row["precision"] for row in results["rows"]))
    rows, reasons = [], []
    for name in names:
        cells = [found[name, sm] for sm in sms]
        rows.append([name, *(f"{cell['seconds']:.1f} s" if cell["built"] else "refused" for cell in cells)])
        reasons += [
            f"- {name}, SM{cell['sm']}: {_reason(cell['reason'])}" for cell in cells if not cell["built"]
        ]
    table = markdown_table(["precision", *(f"SM{sm}" for sm in sms)], rows, "l" + "r" * len(sms))
    return f"TensorRT-RTX {results['version']}.\n\n{table}\n\n" + "\n".join(reasons)


def _reason(text: str) -> str:
    """What the builder's refusal means, without the file's name and the builder's own words after it."""
    return text.split(".onnx: ", 1)[-1].split(" (the builder said", 1)[0]


def _clips(results: dict[str, Any]) -> str:
    return (
        f"{results['clips']} corrupted clips that calibration left; float has {results['float_top1']:.2f} % "
        "of them right."
    )
