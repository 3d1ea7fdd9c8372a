"""Does the gate of ``maskclr-edge compare`` let equal runs pass and stop a slower one? On measured runs.

    python benchmarks/compare_gate.py [--runs 20] [--passes 20] [--calls 20] [--slower 10] [--clock cpu]

A reference, so many runs that are equal to it, and as many in which every call waits until it has taken
--slower percent longer. All take turns, pass by pass, as `bench OLD NEW --passes N` does with two models, so
that a busy machine is busy for all of them. With --clock cpu a call's time is that of its thread on the
processor (it needs --threads 1): what remains measurable where neighbours take the machine.
Writes benchmarks/results/YYYY-MM-DD_compare_gate.json.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from maskclr_edge.bench.compare import compare_results, parse_gate
from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.measurement import Measurement, join_passes, make_row
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.bench.scenarios import bench_clips
from maskclr_edge.bench.timing import Timing, Warmup
from maskclr_edge.errors import ConfigError, MaskclrEdgeError
from maskclr_edge.runtime import Runner, open_runner

RESULTS = Path(__file__).resolve().parent / "results"
KINDS = ("equal", "slower")
WARM_UP = 3
Clock = Callable[[], float]


def main() -> int:
    """Measure and write, and give the exit code: 1 when the gate judged a run wrongly."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--passes", type=int, default=20)
    parser.add_argument("--calls", type=int, default=20, help="of a run in each pass")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--slower", type=float, default=10.0, help="the planted regression, in percent")
    parser.add_argument("--gate", default="p50:+5%")
    parser.add_argument("--runner", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    try:
        machine = describe_machine()
        results = measure(arguments, machine)
        asked = {name: value for name, value in vars(arguments).items() if name != "out"}
        written = result_document("compare_gate", results, settings=asked, machine=machine)
        print(write_dated(arguments.out, written))
    except MaskclrEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    passed, caught, of = results["equal_passed"], results["slower_caught"], arguments.runs
    print(f"{passed} of {of} equal runs passed, {caught} of {of} slower ones were caught")
    return 0 if passed == caught == of else 1


def measure(arguments: argparse.Namespace, machine: dict[str, Any]) -> dict[str, Any]:
    """All runs in turns, and the gate's verdict on each against the reference."""
    gate = parse_gate(arguments.gate)
    if arguments.clock == "cpu" and arguments.threads != 1:
        raise ConfigError("--clock cpu counts one thread; give it --threads 1")
    clock = {"wall": time.perf_counter, "cpu": time.thread_time}[arguments.clock]
    names = ["reference", *(f"{kind} {number}" for number in range(arguments.runs) for kind in KINDS)]
    rows: dict[str, list[Measurement]] = {name: [] for name in names}
    with open_runner("bundled", arguments.runner, threads=arguments.threads) as runner:
        clips = bench_clips(runner.contract, frames=runner.contract.frames, persons=1)
        calls = {kind: slowed(runner, clips, factor, clock) for kind, factor in factors(arguments).items()}
        for turn in range(arguments.passes):
            first = turn * len(names) // arguments.passes
            for name in names[first:] + names[:first]:
                call = calls[name.split()[0]]
                timing = timed(call, arguments.calls, clock)
                rows[name].append(
                    make_row(
                        timing, part="network", scenario="single-stream", model="bundled", runner=runner.name,
                        precision=runner.precision, frames=runner.contract.frames, persons=1,
                        threads=arguments.threads,
                    )
                )  # fmt: skip
            print(f"pass {turn + 1} of {arguments.passes}", flush=True)
    found = []
    documents = {name: document(join_passes(several), machine) for name, several in rows.items()}
    for name in names[1:]:
        comparison = compare_results(documents["reference"], documents[name], [gate], turns=True)
        (change,) = [one for one in comparison.rows[0].changes if one.metric == gate.metric]
        found.append(
            {
                "run": name, "change": change.change, "low": change.low, "high": change.high,
                "p_value": change.p_value, "verdict": change.verdicts[str(gate)],
            }
        )  # fmt: skip
    return {
        "runs": found,
        "equal_passed": sum(
            one["verdict"] in ("passed", "within noise") for one in found if one["run"].startswith("equal")
        ),
        "slower_caught": sum(one["verdict"] == "failed" for one in found if one["run"].startswith("slower")),
        "gate": str(gate),
        "slower_percent": arguments.slower,
        "clock": arguments.clock,
        "of": arguments.runs,
    }


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
