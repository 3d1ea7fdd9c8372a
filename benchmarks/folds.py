"""Cross-validation: each fold's checkpoint on the split that its own training reports, and the mean of all.

    for k in 1 2 3 4 5; do
        maskclr-edge train sbu_small --data sbu_coco17.pkl --set fold=$k --out runs/sbu_$k
    done
    python benchmarks/folds.py --data sbu_coco17.pkl 'runs/sbu_*/best.safetensors'

Writes benchmarks/results/YYYY-MM-DD_folds.json.
"""

import argparse
import glob
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmark_script import run_script, script_parser

from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.checkpoint import read_checkpoint
from maskclr_edge.data import AnnotationSet, make_clips, read_annotations
from maskclr_edge.errors import ConfigError
from maskclr_edge.evaluation import evaluate, match_classes
from maskclr_edge.runtime import open_runner


def main() -> int:
    """Evaluate and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("checkpoints", metavar="GLOB", help="one checkpoint a fold; quote the pattern")
    parser.add_argument("--data", type=Path, required=True, help="annotation file, pyskl pickle")
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Evaluate every fold and write the result. ConfigError for no checkpoint, or a fold given twice."""
    found = sorted(glob.glob(arguments.checkpoints))  # noqa: PTH207 (patterns may be absolute)
    if not found:
        raise ConfigError(f"no checkpoint fits {arguments.checkpoints!r}; quote the pattern")
    data = read_annotations(arguments.data)
    rows = [row(path, data) for path in found]
    splits = [one["split"] for one in rows]
    if len(set(splits)) < len(splits):
        raise ConfigError(f"the checkpoints are of the folds {', '.join(splits)}; give one a fold")
    results = {name: [one[name] for one in rows] for name in ("top1", "mean_class")}
    means = {name: statistics.fmean(values) for name, values in results.items()}
    print(f"mean of {len(rows)} folds: {means['top1']:.2f} %")
    settings = {"data": arguments.data.name}
    return write_dated(
        arguments.out, result_document("folds", {"rows": rows, "mean": means}, settings=settings)
    )


def row(path: str, data: AnnotationSet) -> dict[str, Any]:
    """One fold, in percent."""
    checkpoint = read_checkpoint(path)
    if "val" not in checkpoint.info:
        raise ConfigError(f"{path} does not say which split its training reported; give best.safetensors")
    split = checkpoint.info["val"]["split"]
    with open_runner(checkpoint) as runner:
        known = match_classes(data, runner.contract.class_names)
        result = evaluate(runner.infer, *make_clips(known.split(split), runner.contract))
        name = runner.name
    print(f"{split}: {result.top1:.2f} % of {result.count}", flush=True)
    summary = {"split": split, "runner": name, "trained_on": checkpoint.info["split"]}
    keys = ("msk_type", "epochs", "seed")
    config = {key: checkpoint.info["config"][key] for key in keys}
    scores = {"count": result.count, "top1": result.top1, "mean_class": result.mean_class}
    return summary | config | scores


if __name__ == "__main__":
    sys.exit(main())
