"""What the runtime's own choices give, as ratios measured in turns: OpenVINO's encoder compiled for a shape
against the one for any shape, and ONNX Runtime's threads as the runner sets them against its defaults.

    python benchmarks/runtime_settings.py [BUNDLE] [--frames 24,81] [--seconds 20] [--threads N] [--out DIR]

Times are of the wall and of the processor: on a machine that is not quiet, or with threads that wait by
spinning, the two tell different things. Writes DIR/YYYY-MM-DD_runtime_settings.json.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.bench.scenarios import bench_clips
from maskclr_edge.bench.statistics import paired_ratio
from maskclr_edge.bench.suite import label
from maskclr_edge.errors import MaskclrEdgeError
from maskclr_edge.optional import available
from maskclr_edge.runtime import Bundle, Runner, bundled_bundle, open_runner

RESULTS = Path(__file__).resolve().parent / "results"
Call = Callable[[], object]


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", nargs="?", default=str(bundled_bundle()))
    parser.add_argument("--frames", default="24,81", help="clip lengths")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each comparison")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    try:
        print(measure(arguments))
    except MaskclrEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def measure(arguments: argparse.Namespace) -> Path:
    """Every comparison, and the result."""
    machine, bundle = describe_machine(), Bundle.open(arguments.bundle)
    rows: list[dict[str, Any]] = []
    for frames in map(int, arguments.frames.split(",")):
        for compare, runner in ((static_shape, "openvino"), (ort_threads, "onnxruntime")):
            for precision in bundle.precisions(runner) if available(runner) else ():
                row = compare(bundle, precision, frames, arguments)
                rows.append({"runner": runner, "precision": precision, "frames": frames, **row})
                wall, cpu = row["wall"]["value"], row["processor"]["value"]
                print(
                    f"{row['what']}, {precision}, T={frames}: {wall:.2f}x, processor {cpu:.2f}x", flush=True
                )
    settings = {"model": label(arguments.bundle), "persons": 1, "threads": arguments.threads}
    document = result_document("runtime_settings", {"rows": rows}, settings=settings, machine=machine)
    return write_dated(arguments.out, document)


def static_shape(
    bundle: Bundle, precision: str, frames: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """How many times as fast a call is after ``prepare`` as before, and what preparing costs."""
    with ExitStack() as stack:
        plain, prepared = (
            stack.enter_context(open_runner(bundle, "openvino", precision, arguments.threads)) for _ in "12"
        )
        clips = bench_clips(plain.contract, frames=frames, persons=1)
        before, memory = time.process_time(), resident_mb()
        prepared.prepare(1, frames)
        cost = {"processor_s": time.process_time() - before, "memory_mb": resident_mb() - memory}
        ratios = in_turns(lambda: plain.infer(clips), lambda: prepared.infer(clips), arguments.seconds)
        details = dict(prepared.details)
    return {"what": "compiled for its shape against any shape", **ratios, "cost": cost, "details": details}


def ort_threads(bundle: Bundle, precision: str, frames: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """How many times as fast the runner is as the same encoder and head in sessions as they come."""
    import onnxruntime

    chosen = bundle.select("onnxruntime", precision)
    # the level of errors alone: a default session warns of each constant it folds
    onnxruntime.set_default_logger_severity(3)
    encoder, head = (
        onnxruntime.InferenceSession(bundle.read(chosen[role]), providers=["CPUExecutionProvider"])
        for role in ("encoder", "head")
    )
    with open_runner(bundle, "onnxruntime", precision, arguments.threads) as runner:
        clips = bench_clips(runner.contract, frames=frames, persons=1)
        absent = features_of(runner, np.zeros_like(clips[0]))

        def default() -> object:
            (features,) = encoder.run(None, {"persons": clips[0]})
            return head.run(None, {"features": np.stack((features, absent), axis=1)})

        ratios = in_turns(default, lambda: runner.infer(clips), arguments.seconds)
        details = dict(runner.details)
    return {"what": "threads of the runner against ONNX Runtime's defaults", **ratios, "details": details}


def features_of(runner: Runner, persons: Any) -> Any:
    """Features (P, F) of persons, from the runner's encoder alone."""
    return runner._encode(persons)


def in_turns(old: Call, new: Call, seconds: float) -> dict[str, Any]:
    """Ratio old / new of wall and processor time, one call of each a round, turned by one every round."""
    calls = (old, new)
    for call in calls * 2:
        call()
    wall: tuple[list[float], list[float]] = ([], [])
    processor: tuple[list[float], list[float]] = ([], [])
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or len(wall[0]) < 10:
        for index in (0, 1) if len(wall[0]) % 2 else (1, 0):
            start, used = time.perf_counter(), time.process_time()
            calls[index]()
            processor[index].append(1000 * (time.process_time() - used))
            wall[index].append(1000 * (time.perf_counter() - start))
    return {
        "wall": asdict(paired_ratio(np.array(wall[0]), np.array(wall[1]))),
        "processor": asdict(paired_ratio(np.array(processor[0]), np.array(processor[1]))),
        "median_ms": [float(np.median(samples)) for samples in wall],
        "rounds": len(wall[0]),
    }


def resident_mb() -> float:
    """Memory of this process; 0 where /proc does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
    except OSError:
        return 0.0


if __name__ == "__main__":
    sys.exit(main())
