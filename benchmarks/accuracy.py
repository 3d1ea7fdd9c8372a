"""Top-1, top-5 and mean class accuracy of models on a real annotation file, per runner and precision.

    python benchmarks/accuracy.py --data penn_action_coco17.pkl [--split val] [MODEL]...

MODEL is "bundled" (the default), a bundle, or a checkpoint, such as those of other seeds; a checkpoint is run
on the first runner that takes it. Torch is asked about each clip's mirror image too.
Writes benchmarks/results/YYYY-MM-DD_accuracy.json.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmark_script import run_script, script_parser

from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.bench.suite import Variant, label, opened, variants
from maskclr_edge.data import make_clips, read_annotations
from maskclr_edge.errors import DataError, MaskclrEdgeError
from maskclr_edge.evaluation import evaluate, match_classes, mirrored
from maskclr_edge.runtime import BUNDLED, Classifier
from maskclr_edge.skeleton import SkeletonContract


def main() -> int:
    """Evaluate and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("models", nargs="*", default=[BUNDLED], metavar="MODEL")
    parser.add_argument("--data", type=Path, required=True, help="annotation file, pyskl pickle")
    parser.add_argument("--split", default="val")
    parser.add_argument("--runner", action="append", default=[], help="may be given again; all by default")
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Evaluate every model and write the result."""
    annotations = read_annotations(arguments.data)
    made: dict[SkeletonContract, Any] = {}
    rows, skipped = [], []
    for model in arguments.models:
        for variant, classifier in opened(chosen(model, arguments.runner)):
            if isinstance(classifier, MaskclrEdgeError):
                skipped.append({"model": label(model), "runner": variant.runner, "reason": str(classifier)})
                continue
            contract = classifier.contract
            if contract not in made:
                known = match_classes(annotations, contract.class_names)
                made[contract] = make_clips(known.split(arguments.split), contract)
            rows.append(row(model, variant, classifier, *made[contract]))
            top1 = rows[-1]["top1"]
            print(f"{label(model)} {variant.runner} {variant.precision}: {top1:.2f} %", flush=True)
    if not rows:
        raise DataError("nothing was evaluated: no runner here can run the models given")
    settings = {"data": arguments.data.name, "split": arguments.split}
    document = result_document("accuracy", {"rows": rows, "skipped": skipped}, settings=settings)
    return write_dated(arguments.out, document)


def chosen(model: str, runners: list[str]) -> list[Variant]:
    """All variants of a bundle; of a checkpoint one is enough, and torch needs no export."""
    found = [variant for variant in variants(model, runners) if not variant.reason]
    if model == BUNDLED or Path(model).is_dir():
        return found
    return sorted(found, key=lambda variant: variant.runner != "torch")[:1]


def row(model: str, variant: Variant, classifier: Classifier, clips: Any, labels: Any) -> dict[str, Any]:
    """One line of the result, in percent."""
    infer = classifier.runner.infer
    result = evaluate(infer, clips, labels)
    found = {
        "model": label(model), "runner": variant.runner, "precision": variant.precision,
        "count": result.count, "top1": result.top1, "top5": result.top5, "mean_class": result.mean_class,
    }  # fmt: skip
    if variant.runner == "torch":
        found["mirrored_top1"] = evaluate(mirrored(infer), clips, labels).top1
    return found


if __name__ == "__main__":
    sys.exit(main())
