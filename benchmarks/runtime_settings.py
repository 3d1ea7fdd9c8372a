"""What the runtime's own choices give, as ratios measured in turns: OpenVINO's encoder compiled for a shape
against the one for any shape, and many persons in requests with a thread each against one with all threads;
ONNX Runtime's threads as the runner sets them against its defaults, alone and beside a busy process, and its
run against bound buffers.

    python benchmarks/runtime_settings.py [BUNDLE] [--frames 24,81] [--seconds 20] [--threads N] [--realtime]

Times are of the wall and of the processor: on a machine that is not quiet, or with threads that wait by
spinning, the two tell different things. --realtime gives what is measured a priority above everything else on
the machine (Linux, root), which is as near to a quiet machine as a busy one comes; keep --seconds short then.
Writes DIR/YYYY-MM-DD_runtime_settings[_realtime].json; --out DIR is benchmarks/results by default.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_script import run_script, script_parser

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.process import run_python
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.bench.scenarios import bench_clips
from maskclr_edge.bench.statistics import paired_ratio
from maskclr_edge.bench.suite import label
from maskclr_edge.optional import available
from maskclr_edge.runtime import Bundle, bundled_bundle, open_runner
from maskclr_edge.runtime.ov import MANY

Call = Callable[[], object]
#: processes of each kind that a comparison of threads starts, in turns
ROUNDS = 8
_HERE = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parents[1]), *sys.path])}
#: prints the medians of wall and processor time of one person's encoder, in ms
_ENCODER_ALONE = """
import json, sys, time
import numpy as np
from benchmarks.runtime_settings import priority
from maskclr_edge.runtime import Bundle, open_runner
kind, path, precision, frames, seconds, threads, realtime = sys.argv[1:]
persons = np.random.default_rng(0).uniform(-1, 1, (1, int(frames), 17, 3)).astype(np.float32)
if kind == "runner":
    runner = open_runner(path, "onnxruntime", precision, int(threads) or None)
    call = lambda: runner._encode(persons)
else:
    import onnxruntime
    onnxruntime.set_default_logger_severity(3)
    bundle = Bundle.open(path)
    data = bundle.read(bundle.select("onnxruntime", precision)["encoder"])
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    call = lambda: session.run(None, {"persons": persons})
for _ in range(3):
    call()
with priority(realtime == "1"):
    call()
    wall, processor, begin = [], [], time.perf_counter()
    while time.perf_counter() - begin < float(seconds) or len(wall) < 5:
        start, used = time.perf_counter(), time.process_time()
        call()
        wall.append(1000 * (time.perf_counter() - start))
        processor.append(1000 * (time.process_time() - used))
print(json.dumps([float(np.median(wall)), float(np.median(processor))]))
"""


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("bundle", nargs="?", default=str(bundled_bundle()))
    parser.add_argument("--frames", default="24,81", help="clip lengths")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each comparison")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--realtime", action="store_true", help="before all else on the machine; needs root")
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Every comparison, and the result."""
    machine, bundle = describe_machine(), Bundle.open(arguments.bundle)
    rows: list[dict[str, Any]] = []
    for frames in map(int, arguments.frames.split(",")):
        for compare, runner in COMPARISONS:
            for precision in bundle.precisions(runner) if available(runner) else ():
                row = compare(bundle, precision, frames, arguments)
                rows.append({"runner": runner, "precision": precision, "frames": frames, **row})
                wall, cpu = row["wall"]["value"], row["processor"]["value"]
                print(
                    f"{row['what']}, {precision}, T={frames}: {wall:.2f}x, processor {cpu:.2f}x", flush=True
                )
    settings = {"model": label(arguments.bundle), "persons": 1, "threads": arguments.threads}
    settings["realtime"] = arguments.realtime
    name = "runtime_settings_realtime" if arguments.realtime else "runtime_settings"
    document = result_document(name, {"rows": rows}, settings=settings, machine=machine)
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
        calls = (lambda: plain.infer(clips), lambda: prepared.infer(clips))
        for call in calls * 2:
            call()
        with priority(arguments.realtime):
            ratios = in_turns(*calls, arguments.seconds)
        details = dict(prepared.details)
    return {"what": "compiled for its shape against any shape", **ratios, "cost": cost, "details": details}


def ort_threads(bundle: Bundle, precision: str, frames: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """How many times as fast the encoder is in the runner's session as in one as it comes.

    Each run is a process of its own: threads that spin after a call would slow down whoever comes next.
    """
    ratios = _ort_processes(bundle, precision, frames, arguments)
    return {"what": "threads of the runner against ONNX Runtime's defaults", **ratios}


def ort_threads_beside(
    bundle: Bundle, precision: str, frames: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The same beside a process that never rests, as a pose estimator hardly does."""
    with busy_process():
        ratios = _ort_processes(bundle, precision, frames, arguments)
    return {"what": "the same, beside a process that keeps a core busy", **ratios}


def _ort_processes(
    bundle: Bundle, precision: str, frames: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    shared = [str(bundle.path), precision, str(frames), str(arguments.seconds / (2 * ROUNDS))]
    shared += [str(arguments.threads or 0), str(int(arguments.realtime))]
    runs: dict[str, list[list[float]]] = {"defaults": [], "runner": []}
    for turn in range(ROUNDS):
        for kind in list(runs) if turn % 2 else reversed(list(runs)):
            runs[kind].append(run_python(_ENCODER_ALONE, kind, *shared, environment=_HERE)[1])
    old, new = np.array(runs["defaults"]), np.array(runs["runner"])  # (rounds, 2)
    return {
        "wall": asdict(paired_ratio(old[:, 0], new[:, 0])),
        "processor": asdict(paired_ratio(old[:, 1], new[:, 1])),
        "median_ms": [float(np.median(old[:, 0])), float(np.median(new[:, 0]))],
        "rounds": ROUNDS,
    }


def request_pool(
    bundle: Bundle, precision: str, frames: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """How many times as fast many persons are in requests of one thread each as in one with all threads."""
    with open_runner(bundle, "openvino", precision, arguments.threads) as runner:
        threads = runner.details["threads"]
        persons = bench_clips(runner.contract, frames=frames, persons=1, batch=MANY * threads)[:, 0]
        calls = (lambda: runner._encoder.run(persons), lambda: runner._encode(persons))
        expected, found = (call() for call in calls)
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())
        with priority(arguments.realtime):
            ratios = in_turns(*calls, arguments.seconds)
    return {"what": f"{len(persons)} persons in {threads} requests against one", **ratios}


def bound_buffers(
    bundle: Bundle, precision: str, frames: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """How many times as fast ONNX Runtime's encoder is with input and output bound as by ``run``."""
    with open_runner(bundle, "onnxruntime", precision, arguments.threads) as runner:
        persons = bench_clips(runner.contract, frames=frames, persons=1)[:, 0]
        session, binding = runner._encoder, runner._encoder.io_binding()
        features = np.empty((1, runner.config.feature_size), np.float32)
        for bind, name, array in (
            (binding.bind_input, session.get_inputs()[0].name, persons),
            (binding.bind_output, session.get_outputs()[0].name, features),
        ):
            bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        session.run_with_iobinding(binding)
        np.testing.assert_allclose(features, runner._encode(persons), rtol=1e-5, atol=1e-6)
        with priority(arguments.realtime):
            ratios = in_turns(
                lambda: runner._encode(persons),
                lambda: session.run_with_iobinding(binding),
                arguments.seconds,
            )
    return {"what": "bound buffers against run", **ratios}


def in_turns(old: Call, new: Call, seconds: float) -> dict[str, Any]:
    """Ratio old / new of wall and processor time, one call of each a round, turned by one every round."""
    calls = (old, new)
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


#: what is compared, and the runner that it is about
COMPARISONS = (
    (static_shape, "openvino"),
    (request_pool, "openvino"),
    (ort_threads, "onnxruntime"),
    (ort_threads_beside, "onnxruntime"),
    (bound_buffers, "onnxruntime"),
)


@contextmanager
def busy_process() -> Iterator[None]:
    """Another process that keeps a core busy."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        try:
            yield
        finally:
            neighbour.kill()


@contextmanager
def priority(realtime: bool) -> Iterator[None]:
    """Run every thread of this process before all else on the machine, where ``realtime``; then no more."""
    if not realtime:
        yield
        return

    def everyone(policy: int, level: int) -> None:
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(level))

    everyone(os.SCHED_FIFO, 10)
    try:
        yield
    finally:
        everyone(os.SCHED_OTHER, 0)


def resident_mb() -> float:
    """Memory of this process; 0 where /proc does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
    except OSError:
        return 0.0


if __name__ == "__main__":
    sys.exit(main())
