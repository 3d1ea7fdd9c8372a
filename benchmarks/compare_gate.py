"""Does the gate of ``maskclr-edge compare`` let equal runs pass and stop a slower one? On measured runs.

    python benchmarks/compare_gate.py [--runs 20] [--passes 40] [--calls 6] [--slower 10] [--clock cpu]

So many times three runs of one model: a reference, one that is equal to it, and one in which every call waits
until it has taken --slower percent longer. The three take turns, pass by pass and in an order that turns, as
`bench OLD NEW --passes N` does with two models, so that a busy machine is busy for all of them; each of the
other two is then held against its own reference. Many short passes tell more than few long ones: what the
machine does is the same for two runs only while they are close. With --clock cpu a call's time is that of its
thread on the processor (it needs --threads 1): what remains measurable where neighbours take the machine.
Some three minutes on a quiet machine. Writes benchmarks/results/YYYY-MM-DD_compare_gate.json.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_script import run_script, script_parser

from maskclr_edge.bench.compare import compare_results, parse_gate
from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.measurement import Measurement, join_passes, make_row
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.bench.scenarios import bench_clips
from maskclr_edge.bench.timing import Timing, Warmup
from maskclr_edge.errors import ConfigError
from maskclr_edge.runtime import Runner, open_runner

KINDS = ("reference", "equal", "slower")
WARM_UP = 1
Clock = Callable[[], float]


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--passes", type=int, default=40)
    parser.add_argument("--calls", type=int, default=6, help="of a run in each pass")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--slower", type=float, default=10.0, help="the planted regression, in percent")
    parser.add_argument("--gate", default="p50:+5%")
    parser.add_argument("--runner", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """All runs in turns, the gate's verdict on each against its reference, and the result."""
    gate, machine = parse_gate(arguments.gate), describe_machine()
    if arguments.clock == "cpu" and arguments.threads != 1:
        raise ConfigError("--clock cpu counts one thread; give it --threads 1")
    rows = measured(arguments)
    found = []
    documents = {name: document(join_passes(several), machine) for name, several in rows.items()}
    for number in range(arguments.runs):
        for kind in KINDS[1:]:
            old, new = documents[f"reference {number}"], documents[f"{kind} {number}"]
            comparison = compare_results(old, new, [gate], turns=True)
            (change,) = [one for one in comparison.rows[0].changes if one.metric == gate.metric]
            found.append(
                {
                    "run": f"{kind} {number}", "change": change.change, "low": change.low,
                    "high": change.high, "p_value": change.p_value, "verdict": change.verdicts[str(gate)],
                }
            )  # fmt: skip
    verdicts = {kind: [run["verdict"] for run in found if run["run"].startswith(kind)] for kind in KINDS[1:]}
    results = {
        "runs": found,
        "equal_passed": sum(verdict in ("passed", "within noise") for verdict in verdicts["equal"]),
        "slower_caught": verdicts["slower"].count("failed"),
        "gate": str(gate),
        "slower_percent": arguments.slower,
        "clock": arguments.clock,
        "of": arguments.runs,
    }
    print(f"{results['equal_passed']} of {arguments.runs} equal runs passed, ", end="")
    print(f"{results['slower_caught']} of {arguments.runs} slower ones were caught")
    asked = {name: value for name, value in vars(arguments).items() if name != "out"}
    written = result_document("compare_gate", results, settings=asked, machine=machine)
    return write_dated(arguments.out, written)


def measured(arguments: argparse.Namespace) -> dict[str, list[Measurement]]:
    """The passes of each run, by its name: a kind and a number."""
    clock = {"wall": time.perf_counter, "cpu": time.thread_time}[arguments.clock]
    rows: dict[str, list[Measurement]] = {}
    with open_runner("bundled", arguments.runner, threads=arguments.threads) as runner:
        clips = bench_clips(runner.contract, frames=runner.contract.frames, persons=1)
        calls = {kind: slowed(runner, clips, factor, clock) for kind, factor in factors(arguments).items()}
        for turn in range(arguments.passes):
            order = [*KINDS[turn % len(KINDS) :], *KINDS[: turn % len(KINDS)]]
            for name in (f"{kind} {number}" for number in range(arguments.runs) for kind in order):
                timing = timed(calls[name.split()[0]], arguments.calls, clock)
                row = make_row(
                    timing, part="network", scenario="single-stream", model="bundled", runner=runner.name,
                    precision=runner.precision, frames=runner.contract.frames, persons=1,
                    threads=arguments.threads,
                )  # fmt: skip
                rows.setdefault(name, []).append(row)
            print(f"pass {turn + 1} of {arguments.passes}", flush=True)
    return rows


def factors(arguments: argparse.Namespace) -> dict[str, float]:
    """How many times as long a call of each kind of run takes."""
    return {"reference": 1.0, "equal": 1.0, "slower": 1 + arguments.slower / 100}


def timed(call: Callable[[], None], calls: int, clock: Clock) -> Timing:
    """So many calls in a row by a clock, after a few that are not counted."""
    samples = []
    for _ in range(WARM_UP + calls):
        begin = clock()
        call()
        samples.append(1000 * (clock() - begin))
    warmup = Warmup(WARM_UP, sum(samples[:WARM_UP]) / 1000, samples[0], steady=True)
    return Timing(np.array(samples[WARM_UP:]), warmup)


def slowed(runner: Runner, clips: Any, factor: float, clock: Clock) -> Callable[[], None]:
    """A call of the runner that returns when `factor` times its own time has passed."""

    def call() -> None:
        begin = clock()
        runner.infer(clips)
        end = begin + (clock() - begin) * factor
        while clock() < end:
            pass

    return call


def document(row: Measurement, machine: dict[str, Any]) -> dict[str, Any]:
    """One run as ``bench --json`` would write it."""
    return result_document("bench", {"measurements": [row.to_dict()]}, settings={}, machine=machine)


if __name__ == "__main__":
    sys.exit(main())
