"""``maskclr-edge calibrate``: a model's activation ranges as a file that people review and exports reuse."""

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maskclr_edge.cli.console import ProgressCallback, console, messages, progress, table
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.data import AnnotationSet
    from maskclr_edge.deploy.scale_table import ScaleTable
    from maskclr_edge.skeleton import SkeletonContract

_SHOWN = 8


@click.command()
@click.argument("model", default="bundled")
@click.option("--data", "file", required=True, metavar="FILE", help="Annotation file to calibrate on.")
@click.option("--split", metavar="NAME", help="Its split: one that the model was trained on.")
@click.option("--out", required=True, metavar="TABLE.json", help="The scale table to write.")
@click.option("--layout", default="coco17", show_default=True, help="Joint layout of the annotation file.")
@click.option("--clips", type=click.IntRange(1, 100_000), default=128, show_default=True,
              help="Clips to calibrate on, of every class in turn.")  # fmt: skip
@click.option("--method", type=click.Choice(["minmax", "entropy", "percentile", "mse"]), default="minmax",
              show_default=True, help="How calibration turns values into ranges.")  # fmt: skip
def command(model: str, file: str, split: str | None, out: str, layout: str, clips: int, method: str) -> None:
    """Write the activation ranges of MODEL that int8 uses to a scale table.

    MODEL is a checkpoint, or the word "bundled" (the default). As many further clips of the split, where it
    has them, say how much of each tensor lies beyond its range. The same input gives the same file.

    \b
    Examples:
      maskclr-edge calibrate bundled --data penn_action.pkl --split train --out table.json
      maskclr-edge export bundled --out bundle --precision fp32,int8 --calibration table.json
    """
    from maskclr_edge.optional import require

    require("onnx")
    from maskclr_edge.checkpoint import read_checkpoint
    from maskclr_edge.data import read_annotations
    from maskclr_edge.deploy.table_maker import make_table
    from maskclr_edge.files import write_atomically
    from maskclr_edge.runtime.bundled import BUNDLED, bundled_checkpoint

    target = Path(out)
    if target.suffix.lower() != ".json":
        raise ConfigError(f"--out is {out}; a scale table's name ends in .json, by which export knows it")
    if target.is_dir() or not target.parent.is_dir():
        raise ConfigError(f"--out {out} is a folder, or in a folder that is not there; make it first")
    path = bundled_checkpoint() if model == BUNDLED else Path(model)
    if path.is_dir():
        raise ConfigError(f"{model} is a folder; calibrate the checkpoint that the bundle was made from")
    checkpoint = read_checkpoint(path)
    checkpoint.check(model)
    with progress("calibrate") as report:
        data = read_annotations(file, layout=layout)
        made = make_table(
            checkpoint,
            data,
            _named(split, file, data),
            count=clips,
            method=method,
            data_sha256=sha256(Path(file)),
            progress=report,
        )
    write_atomically(target, made.to_bytes())
    _show(made, model, out)


def calibration_for(
    contract: "SkeletonContract",
    file: str | None,
    split: str | None,
    layout: str,
    count: int,
    report: ProgressCallback,
    *,
    max_drop: float | None,
) -> tuple[Any, dict[str, Any] | None, tuple[Any, Any] | None]:
    """What an export calibrates on: clips, or a scale table; and what that is, its gaps among it.

    max_drop: accuracy budget; for one there are labelled clips of the split that calibration leaves, as many
    as show it.
    """
    from maskclr_edge.data import read_annotations
    from maskclr_edge.deploy.budget import clips_needed
    from maskclr_edge.deploy.calibration_set import (
        calibration_clips,
        choose,
        coverage,
        held_out_clips,
        made_up_calibration,
    )

    if max_drop is not None and (file is None or split is None or is_table(file)):
        raise ConfigError(
            "--max-drop measures accuracy on labelled clips: give --calibration an annotation file, and "
            "its --split"
        )
    if file is None:
        messages().print(
            "[bold yellow]warning:[/] quantisation is calibrated on MADE-UP motions, because no "
            "--calibration was given: fine for a try, but its accuracy on real skeletons is unknown",
            soft_wrap=True,
        )
        return *made_up_calibration(contract, count=count), None
    if is_table(file):
        from maskclr_edge.deploy.scale_table import read_table

        scales = read_table(file)
        gaps = scales.coverage.get("gaps")
        return scales, {"gaps": gaps if isinstance(gaps, list) else []}, None
    data = read_annotations(file, layout=layout)
    split = _named(split, file, data)
    clips, info = calibration_clips(data, split, contract, count=count, progress=report)
    chosen = choose(data.split(split), count, info["seed"])
    info |= {"sha256": sha256(Path(file)), "gaps": coverage(contract, data, chosen, clips)["gaps"]}
    kept = None
    if max_drop is not None:
        kept = held_out_clips(data, split, contract, count=count, most=clips_needed(max_drop))
    return clips, info, kept


def is_table(file: str | None) -> bool:
    """Whether a --calibration file is a scale table, by its name."""
    return file is not None and Path(file).suffix.lower() == ".json"


def sha256(path: Path) -> str:
    """Hash of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _show(made: "ScaleTable", model: str, out: str) -> None:
    held = made.held_out["count"]
    order = sorted(made.ranges, key=lambda name: (-(made.saturation[name] or 0), name))
    rows = [
        (name, f"{made.ranges[name][0]:.4g}", f"{made.ranges[name][1]:.4g}", _share(made.saturation[name]))
        for name in order[:_SHOWN]
    ]
    use = shlex.join(["maskclr-edge", "export", model, "--precision", "int8", "--calibration", out])
    note = (
        f"{len(rows)} of {len(made.ranges)} tensors, those most often beyond their range on {held} clips "
        f"held out from calibration. Next: {use} --out bundle"
    )
    console().print(table(f"Scale table {out}", ("tensor", "low", "high", "beyond"), rows, note=note))
    warn = messages()
    if not held:
        warn.print("warning: the split has no clip beyond the calibration's, so saturation is unknown")
    warn_of_gaps(made.coverage["gaps"])


def warn_of_gaps(gaps: Sequence[object]) -> None:
    """Say what calibration clips do not cover."""
    if gaps:
        more = f" and {len(gaps) - _SHOWN} more" if len(gaps) > _SHOWN else ""
        listed = ", ".join(map(str, gaps[:_SHOWN])) + more
        messages().print(f"not covered by the calibration clips: {listed}", markup=False, soft_wrap=True)


def _named(split: str | None, file: str, data: "AnnotationSet") -> str:
    """A split's name. Raises ConfigError that lists those there are."""
    if split is None:
        raise ConfigError(f"calibration needs a --split of {file}; it has {', '.join(data.splits)}")
    return split


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.4f} %"
