"""What the TensorRT runner costs a call in Python: timed on an engine that computes nothing.

    python overhead.py --shared DIR --rig DIR --libcuda FILE [--site DIR]... --layer NAME --bundle DIR
                       [--calls N] [--leak-calls N]

Prints one JSON object. The stand-in's own time, measured inside it, is taken off.
"""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from rig_bench import Bench, parser_of_the_rig

from maskclr_edge.runtime.trt_lane import SHAPES_KEPT


def steady(bench: Bench, persons: int, graphs: bool, calls: int) -> dict[str, Any]:
    """Microseconds of one clip of some persons, all calls alike."""
    rig = bench.rig
    clip = np.ones((1, 2, 24, 17, 3), np.float32)
    clip[:, persons:] = 0
    with bench.runner(graphs=graphs) as runner:
        for _ in range(50):
            runner.infer(clip)
        before = rig.counts()
        samples = []
        for _ in range(calls):
            rig.seconds = 0.0
            began = time.perf_counter()
            runner.infer(clip)
            samples.append((time.perf_counter() - began - rig.seconds) * 1e6)
        after = rig.counts()
    made = sum(
        after[name] - before[name] for name in after if name not in ("launches", "copies", "graph_launches")
    )
    quantiles = np.percentile(samples, [10, 50, 99], method="inverted_cdf")
    return {
        "persons": persons,
        "cuda_graphs": graphs,
        "calls": calls,
        "p10_us": round(float(quantiles[0]), 1),
        "p50_us": round(float(quantiles[1]), 1),
        "p99_us": round(float(quantiles[2]), 1),
        "allocated_or_made": made,
    }


def leaks(bench: Bench, calls: int) -> dict[str, Any]:
    """What lives on the stand-in after 100 calls, after all, and once the runner is closed."""
    random = np.random.default_rng(0)
    start = bench.rig.counts()
    with bench.runner() as runner:
        for call in range(calls):
            frames = int(random.integers(1, 60)) if call % 5 else 24
            runner.infer(np.ones((int(random.integers(1, 4)), 1, frames, 17, 3), np.float32))
            if call == 99:
                early = _lives(bench.rig.counts())
        late = _lives(bench.rig.counts())
    closed = _lives(bench.rig.counts())
    return {
        "calls": calls, "after_100": early, "after_all": late, "closed": closed, "opened": _lives(start),
        "graphs_at_most": 2 * SHAPES_KEPT,
    }  # fmt: skip


def _lives(counts: dict[str, int]) -> dict[str, int]:
    names = ("device_memory", "pinned", "streams", "events", "graph_execs", "retained", "allocations")
    return {name: counts[name] for name in (*names, *(n for n in counts if n.startswith("alive")))}


def main() -> None:
    """Measure and print."""
    parser = parser_of_the_rig(__doc__)
    parser.add_argument("--leak-calls", type=int, default=10_000)
    arguments: argparse.Namespace = parser.parse_args()
    bench = Bench(arguments)
    bench.rig.compute_nothing()
    answer = {
        "steady": [
            steady(bench, persons, graphs, arguments.calls) for graphs in (True, False) for persons in (1, 2)
        ],
        "leaks": leaks(bench, arguments.leak_calls) if arguments.leak_calls else None,
    }
    shutil.rmtree(bench.root)
    print(json.dumps(answer), flush=True)
    os._exit(0)  # what the rig was taught on is not made to be collected


if __name__ == "__main__":
    main()
