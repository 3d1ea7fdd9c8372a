"""How much faster each precision of a bundle is than its fp32, on every runner: ratios measured in turns.

    python benchmarks/precision_speed.py BUNDLE [--frames 30,81,243] [--seconds 20] [--threads N]

fp32 is true float32: on OpenVINO the hint says so, and what it executed in is in the result.
Writes benchmarks/results/YYYY-MM-DD_precision_speed.json.
"""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmark_script import run_script, script_parser

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.bench.scenarios import bench_clips
from maskclr_edge.bench.statistics import paired_ratio, summarize
from maskclr_edge.bench.suite import label, variants
from maskclr_edge.bench.timing import Budget, time_in_turns
from maskclr_edge.deploy.precision import PRECISIONS
from maskclr_edge.errors import ConfigError
from maskclr_edge.runtime import Runner, open_runner

REFERENCE = "fp32"


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("model", metavar="BUNDLE")
    parser.add_argument("--frames", default="30,81,243", help="clip lengths")
    parser.add_argument("--runner", action="append", default=[], help="may be given again; all by default")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each runner and length")
    parser.add_argument("--threads", type=int, default=None)
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Every runner and length, and the result."""
    machine = describe_machine()
    found = [one for one in variants(arguments.model, arguments.runner) if not one.reason]
    rows: list[dict[str, Any]] = []
    for runner in dict.fromkeys(one.runner for one in found):
        # what a CPU emulates has no time worth knowing
        names = [
            one.precision for one in found if one.runner == runner and not PRECISIONS[one.precision].emulated
        ]
        if REFERENCE in names and len(names) > 1:
            for frames in map(int, arguments.frames.split(",")):
                rows += compare(arguments, runner, names, frames)
    if not rows:
        raise ConfigError(f"{arguments.model} has no runner here with {REFERENCE} and another precision")
    settings = {"model": label(arguments.model), "persons": 1, "threads": arguments.threads}
    document = result_document("precision_speed", {"rows": rows}, settings=settings, machine=machine)
    return write_dated(arguments.out, document)


def compare(
    arguments: argparse.Namespace, runner: str, names: list[str], frames: int
) -> list[dict[str, Any]]:
    """One line a precision: its latency for one person, and how many times fp32's it is in speed."""
    with ExitStack() as stack:
        opened: dict[str, Runner] = {
            name: stack.enter_context(open_runner(arguments.model, runner, name, arguments.threads))
            for name in names
        }
        clips = bench_clips(opened[REFERENCE].contract, frames=frames, persons=1)
        calls = {name: partial(one.infer, clips) for name, one in opened.items()}
        timings = time_in_turns(calls, Budget(seconds=arguments.seconds, min_samples=10))
        details = {name: dict(one.details) for name, one in opened.items()}
    rows = []
    for name in names:
        ratio = paired_ratio(timings[REFERENCE].samples_ms, timings[name].samples_ms)
        print(f"{runner} {name} T={frames}: {ratio.value:.2f}x", flush=True)
        rows.append(
            {
                "runner": runner, "precision": name, "frames": frames, "faster": asdict(ratio),
                "latency": summarize(timings[name].samples_ms).to_dict(), "details": details[name],
            }
        )  # fmt: skip
    return rows


if __name__ == "__main__":
    sys.exit(main())
