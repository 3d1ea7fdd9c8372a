"""Latency of the packaged model: every runner and precision, person packing, a window of live, start-up.

    python benchmarks/latency.py [--seconds 2] [--threads N] [--model BUNDLE] [--out FOLDER]

About five minutes on two quiet cores. Writes benchmarks/results/YYYY-MM-DD_latency.json.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark_script import run_script, script_parser

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.packing import measure_packing
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.bench.scenarios import bench_annotations
from maskclr_edge.bench.startup import first_answer_waits, help_wait
from maskclr_edge.bench.statistics import summarize
from maskclr_edge.bench.suite import Plan, Variant, opened, run_suite, variants
from maskclr_edge.bench.timing import Budget, time_call
from maskclr_edge.errors import MaskclrEdgeError
from maskclr_edge.runtime import Classifier

#: two seconds at 30 fps; the contract resamples them to the model's own length
WINDOW_FRAMES = 60


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--runner", action="append", default=[], help="may be given again; all by default")
    parser.add_argument("--frames", type=int, action="append", default=[], help="may be given again")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each row")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--runs", type=int, default=5, help="fresh processes for each start-up time")
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Run every part, the suite first, and write the result."""
    plan = Plan(
        (arguments.model,), tuple(arguments.runner), frames=tuple(arguments.frames),
        threads=arguments.threads,
        budget=Budget(seconds=arguments.seconds, min_samples=100, patience=10),
    )  # fmt: skip
    machine = describe_machine()
    suite = run_suite(plan, lambda done, total, what: print(f"{done + 1}/{total} {what}", flush=True))
    found = variants(arguments.model, plan.runners)
    packing = []
    for variant, classifier in opened(found, plan.threads):
        if isinstance(classifier, MaskclrEdgeError) or classifier.contract.absent != "zeros":
            continue
        for frames in plan.frames or (classifier.contract.frames,):
            print(f"packing {variant.runner} {variant.precision} T={frames}", flush=True)
            packing.append(asdict(measure_packing(classifier.runner, frames=frames, budget=plan.budget)))
    windows = [
        window(variant, classifier, plan.budget)
        for variant, classifier in opened(found, threads=1)
        if isinstance(classifier, Classifier) and classifier.runner.config.head == "class"
    ]
    waits = [help_wait(arguments.runs)]
    for variant in found:
        if not variant.reason and variant.runner != "torch":
            print(f"start-up {variant.runner} {variant.precision}", flush=True)
            waits += first_answer_waits(arguments.model, variant.runner, variant.precision, arguments.runs)
    measured = suite.to_dict()
    for row in measured["measurements"]:
        row["samples_ms"] = None  # of no use in a committed file, and long
    results = {
        **measured, "packing": packing, "window": windows, "startup": [asdict(wait) for wait in waits]
    }  # fmt: skip
    document = result_document("latency", results, settings=plan.to_dict(), machine=machine)
    return write_dated(arguments.out, document)


def window(variant: Variant, classifier: Classifier, budget: Budget) -> dict[str, Any]:
    """Two seconds of one person from a camera of 30 fps, keypoints to labels on one thread."""
    print(f"window {variant.runner} {variant.precision}", flush=True)
    (raw,) = bench_annotations(WINDOW_FRAMES, 1)
    classifier.prepare()
    timing = time_call(lambda: classifier(raw.keypoints, raw.layout, raw.resolution_wh), budget)
    return {
        "runner": variant.runner, "precision": variant.precision, "given_frames": WINDOW_FRAMES,
        "frames": classifier.contract.frames, "latency": summarize(timing.samples_ms).to_dict(),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
