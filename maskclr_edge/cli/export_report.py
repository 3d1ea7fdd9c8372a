"""What ``maskclr-edge export`` says of the bundle that it made."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from maskclr_edge.cli.console import console, file_size, messages, table
from maskclr_edge.cli.shares import product_words

if TYPE_CHECKING:
    from rich.table import Table

    from maskclr_edge.runtime.bundle import Artifact, Bundle

#: groups of a sensitivity ranking that are printed, at least those that stay
SHOWN = 8


def show(bundle: "Bundle", out: str, seconds: float, json_to: str | None, *, made: bool) -> None:
    """Print one row a file: size, precision as read back, error against the checkpoint, what runs it.

    made: the ONNX files were made now, and what their precisions cost is to be said.
    """
    files: dict[str, list[Artifact]] = {}
    for item in bundle.artifacts:
        files.setdefault(item.file, []).append(item)  # precisions may share a head
    rows = [
        (
            file,
            ", ".join(dict.fromkeys(item.precision for item in items)),
            file_size(items[0].bytes),
            product_words(items[0].read_back),
            _parity(items[0]),
            _for(items[0]),
        )
        for file, items in files.items()
    ]
    columns = ("file", "precision", "size", "products read back", "largest error", "runs on")
    took = f"made in {seconds:.1f} s"
    note = f"errors are of logits, against the checkpoint; {took}. Try: maskclr-edge bench {shlex.quote(out)}"
    screen = console(json_to)
    screen.print(table(f"Bundle {out}", columns, rows, note=note))
    if not made:
        return
    for line in _thin(bundle):
        messages().print(f"warning: {line}", markup=False, soft_wrap=True)
    for precision, kept in bundle.built_by.get("calibration", {}).get("budget", {}).items():
        screen.print(_budget(precision, kept), markup=False, soft_wrap=True)
        if kept["ranking"]:
            screen.print(_ranking(precision, kept))


def _thin(bundle: "Bundle") -> list[str]:
    """What is below its precision's share at the longest clips, and not at the model's own length."""
    from maskclr_edge.deploy.precision import PRECISIONS
    from maskclr_edge.deploy.read_back import in_name_only

    found = []
    for item in bundle.artifacts:
        longest = item.read_back.get("gemm_flops_longest")
        if item.kind == "onnx" and longest and item.precision in PRECISIONS:
            found.append(in_name_only(PRECISIONS[item.precision], longest))
    return [f"{line}; attention products grow with the length" for line in dict.fromkeys(found) if line]


def _budget(precision: str, kept: dict[str, Any]) -> str:
    """What an accuracy budget left in floating point, and what it measured."""
    names = ", ".join(kept["skip"]) or "nothing"
    if kept["skip"]:
        names += f" ({len(kept['skip'])} of {len(kept['ranking'])} groups)"
    words = [
        f"{one['lost']} lost on {runner}, a drop of at most {one['drop_at_most']:.2f} points (top-1 "
        f"{one['top1']:.2f} %, {one['agreement']:.2f} % of the answers are float's)"
        for runner, one in kept["measured"].items()
    ] + [f"not measured on {runner}: {why}" for runner, why in kept["unmeasured"].items()]
    return (
        f"{precision}: {names} stays in floating point; of {kept['clips']} held-out clips, corrupted, float "
        f"has {kept['float_top1']:.2f} % right: {'; '.join(words)}; allowed {kept['max_drop']:g}, "
        f"confidence {100 * kept['confidence']:.0f} %"
    )


def _ranking(precision: str, kept: dict[str, Any]) -> "Table":
    """The groups that quantisation hurts most, those that stay in floating point among them."""
    shown = max(SHOWN, len(kept["skip"]))
    rows = [
        (
            one["module"], f"{one['kl']:.2e}", f"{one['cosine']:.5f}", f"{one['agreement']:.1f}",
            f"{100 * one['weights']:.1f}", "yes" if one["module"] in kept["skip"] else "",
        )
        for one in kept["ranking"][:shown]
    ]  # fmt: skip
    columns = ("group, quantised alone", "KL, nats", "cosine", "same answer %", "weights %", "stays")
    note = f"{len(rows)} of {len(kept['ranking'])} groups, the worst first; all are in the manifest"
    return table(f"What {precision} does to the logits", columns, rows, note=note)


def _parity(item: "Artifact") -> str:
    if item.role != "encoder":
        return ""
    if item.parity is None:
        return "needs the GPU"
    error, largest = item.parity["max_abs_error"], item.parity["max_abs_logit"]
    return f"{error:.1e} of {largest:.3g}"


def _for(item: "Artifact") -> str:
    built_for: Sequence[str] = (item.built_for or {}).get("sm", ())
    return ", ".join(item.runners) + (f" ({', '.join(built_for)})" if built_for else "")


def facts(bundle: "Bundle", seconds: float) -> dict[str, Any]:
    """The bundle as ``--json`` has it."""
    return {
        "bundle": bundle.path,
        "seconds": round(seconds, 2),
        "artifacts": list(bundle.artifacts),
        "parity": dict(bundle.parity),
        "built_by": dict(bundle.built_by),
        "checkpoint": {key: bundle.checkpoint.get(key) for key in ("name", "sha256")},
    }
