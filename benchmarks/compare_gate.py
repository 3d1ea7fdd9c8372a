"""Does the gate of ``maskclr-edge compare`` let equal runs pass and stop a slower one? On measured runs.

    python benchmarks/compare_gate.py [--runs 20] [--passes 20] [--seconds 0.1] [--slower 10] [--runner NAME]

A reference, so many runs that are equal to it, and as many in which every call waits until it has taken
--slower percent longer. All take turns, pass by pass, as `bench OLD NEW --passes N` does with two models, so
that a busy machine is busy for all of them. Writes benchmarks/results/YYYY-MM-DD_compare_gate.json.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskclr_edge.bench.compare import compare_results, parse_gate
from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.measurement import Measurement, join_passes, make_row
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.bench.scenarios import bench_clips
from maskclr_edge.bench.timing import Budget, time_call
from maskclr_edge.errors import MaskclrEdgeError
from maskclr_edge.runtime import Runner, open_runner

RESULTS = Path(__file__).resolve().parent / "results"
KINDS = ("equal", "slower")


def main() -> int:
    """Measure and write, and give the exit code: 1 when the gate judged a run wrongly."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--passes", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a run in each pass")
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
    names = ["reference", *(f"{kind} {number}" for number in range(arguments.runs) for kind in KINDS)]
    rows: dict[str, list[Measurement]] = {name: [] for name in names}
    with open_runner("bundled", arguments.runner, threads=arguments.threads) as runner:
        clips = bench_clips(runner.contract, frames=runner.contract.frames, persons=1)
        calls = {kind: slowed(runner, clips, factor) for kind, factor in factors(arguments).items()}
        for turn in range(arguments.passes):
            first = turn * len(names) // arguments.passes
            for name in names[first:] + names[:first]:
                call = calls[name.split()[0]]
                timing = time_call(call, Budget(seconds=arguments.seconds, patience=100))
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
        "of": arguments.runs,
    }


def factors(arguments: argparse.Namespace) -> dict[str, float]:
    """How many times as long a call of each kind of run takes."""
    return {"reference": 1.0, "equal": 1.0, "slower": 1 + arguments.slower / 100}


def slowed(runner: Runner, clips: Any, factor: float) -> Callable[[], None]:
    """A call of the runner that returns when `factor` times its own time has passed."""

    def call() -> None:
        begin = time.perf_counter()
        runner.infer(clips)
        end = begin + (time.perf_counter() - begin) * factor
        while time.perf_counter() < end:
            pass

    return call


def document(row: Measurement, machine: dict[str, Any]) -> dict[str, Any]:
    """One run as ``bench --json`` would write it."""
    return result_document("bench", {"measurements": [row.to_dict()]}, settings={}, machine=machine)


if __name__ == "__main__":
    sys.exit(main())
