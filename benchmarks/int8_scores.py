"""How much faster OpenVINO is with attention's scores in INT8, by the width of the network and of its heads.

    python benchmarks/int8_scores.py [--model CHECKPOINT]... [--frames 30,243] [--threads 1]

Each network is exported twice, with the scores in INT8 and without, whichever an export would choose; both
are run in turns, prepared for one person. Networks are of random weights and three layers deep, but for those
that --model names: weights decide nothing about the time. This is what ``WIDE_HEAD`` is chosen from.
Writes benchmarks/results/YYYY-MM-DD_int8_scores.json.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from benchmark_script import run_script, script_parser
from peer_model import random_network, weights_of

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.bench.scenarios import bench_clips
from maskclr_edge.bench.statistics import paired_ratio
from maskclr_edge.bench.timing import Budget, time_in_turns
from maskclr_edge.checkpoint import Checkpoint, ModelConfig, read_checkpoint
from maskclr_edge.deploy import export_bundle, quantised
from maskclr_edge.deploy.calibration_set import made_up_calibration
from maskclr_edge.runtime import Runner, open_runner

#: width, heads
NETWORKS = ((64, 1), (64, 2), (128, 2), (128, 4), (256, 4), (256, 8))


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="a checkpoint; may be given again"
    )
    parser.add_argument("--frames", default="30,243", help="clip lengths")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each network and length")
    parser.add_argument("--threads", type=int, default=1)
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Every network and length, and the result."""
    machine = describe_machine()
    rows = [row for one in networks(arguments.model) for row in compare(one, arguments)]
    settings = {"threads": arguments.threads, "persons": 1, "runner": "openvino"}
    document = result_document("int8_scores", {"rows": rows}, settings=settings, machine=machine)
    return write_dated(arguments.out, document)


def networks(models: list[Path]) -> Iterator[Checkpoint]:
    """Those of random weights, and those that were named."""
    for width, heads in NETWORKS:
        config = ModelConfig(15, dim_feat=width, dim_rep=width, depth=3, num_heads=heads, hidden_dim=256)
        yield random_network(config, frames=60)
    yield from map(read_checkpoint, models)


def compare(checkpoint: Checkpoint, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a length: how many times as fast the network is with its scores in INT8."""
    calibration, _ = made_up_calibration(checkpoint.contract, count=8)
    config = checkpoint.config
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        opened: dict[str, Runner] = {}
        for name, least in (("without", sys.maxsize), ("with", 0)):
            with mock.patch.object(quantised, "WIDE_HEAD", least):
                bundle = export_bundle(
                    checkpoint, Path(folder) / name, precisions=("int8",), calibration=calibration,
                    verify="corners",
                )  # fmt: skip
            runner = open_runner(bundle, "openvino", "int8", arguments.threads)
            opened[name] = stack.enter_context(runner)
        for frames in map(int, arguments.frames.split(",")):
            clips = bench_clips(checkpoint.contract, frames=frames, persons=1)
            for runner in opened.values():
                runner.prepare(1, frames)
            calls = {name: partial(runner.infer, clips) for name, runner in opened.items()}
            timings = time_in_turns(calls, Budget(seconds=arguments.seconds, min_samples=10))
            ratio = paired_ratio(timings["without"].samples_ms, timings["with"].samples_ms)
            print(
                f"{config.dim_feat} wide, heads of {config.head_dim}, T={frames}: {ratio.value:.3f}x",
                flush=True,
            )
            yield {
                "width": config.dim_feat, "heads": config.num_heads, "head_dim": config.head_dim,
                "depth": config.depth, "weights": weights_of(checkpoint),
                "frames": frames, "faster": asdict(ratio),
                "median_ms": {name: float(np.median(one.samples_ms)) for name, one in timings.items()},
            }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
