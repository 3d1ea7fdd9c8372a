"""How long TensorRT-RTX builds the encoder of the published size for three generations of GPUs, no GPU here.

    python benchmarks/engine_build.py [--repeats 3] [--precision fp32,fp16,int8] [--sm 86,89,120]

Every build is a process of its own, as a user's is; wall time and processor time are of the build alone. Each
is followed by a second one that is given the first one's kernel timings. TensorRT-RTX's builder measures no
kernels, so they are empty but for a header and the second build takes as long: what a timing cache gives to
TensorRT is measured where a GPU is, by `make gpu-test`.

Weights are random. Scales of int8, mixed and fp8 are the extremes over one made-up clip: builds take as long
whatever the scales are. Writes benchmarks/results/YYYY-MM-DD_engine_build.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from benchmark_script import run_script, script_parser

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.checkpoint import Checkpoint, ModelConfig, parameter_count, weight_shapes
from maskclr_edge.deploy import encoder_graph
from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.parity import probe_clips
from maskclr_edge.deploy.precision import Precision, get_precision
from maskclr_edge.deploy.quantised import Quantised
from maskclr_edge.errors import EngineError
from maskclr_edge.skeleton import SkeletonContract

#: in a process of its own: builds, and prints seconds and bytes
BUILD = """
import json, sys, time
from pathlib import Path
from maskclr_edge.deploy.engine import build_engine
from maskclr_edge.deploy.engine_profiles import Profiles, Range
from maskclr_edge.deploy.timing_cache import TimingCache
from maskclr_edge.runtime.cuda_device import CudaDevice
model, sms, folder = Path(sys.argv[1]).read_bytes(), json.loads(sys.argv[2]), Path(sys.argv[3])
cache = TimingCache("rtx", CudaDevice("none", 0, 0), folder)
given = cache.path.stat().st_size if cache.path.exists() else 0
profiles = Profiles((Range(1, 81, 243),)).encoder()
wall, own = time.perf_counter(), time.process_time()
engine = build_engine(model, profiles, sms=sms, cache=cache)
wall, own = time.perf_counter() - wall, time.process_time() - own
print(json.dumps({"seconds": wall, "cpu_seconds": own, "bytes": len(engine), "cache_bytes": given}))
"""


def main() -> int:
    """Build, write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", default="fp32,fp16,int8")
    parser.add_argument("--sm", default="86,89,120")
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Build each precision, and write the result."""
    machine = describe_machine()
    sms = [int(word) for word in arguments.sm.split(",")]
    checkpoint = made_up()
    clip = probe_clips(1, 1, checkpoint.contract.frames, seed=0)
    quantised = Quantised(checkpoint, clip, "minmax", (), None, None)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in arguments.precision.split(","):
            graph = encoder(checkpoint, get_precision(precision), quantised)
            file = Path(folder, f"{precision}.onnx")
            file.write_bytes(to_bytes(graph))
            rows.append({"precision": precision, "sm": sms} | builds(file, sms, arguments.repeats))
            print(json.dumps(rows[-1]), file=sys.stderr)
    results = {"parameters": parameter_count(checkpoint.config), "rows": rows}
    settings = {
        "repeats": arguments.repeats,
        "weights": "random, seed 0",
        "calibration": "extremes over one made-up clip of one person",
        "frames": "1:81:243",
        "persons": "1:1:16",
        "niceness": os.nice(0),  # below 0 where other work on the machine had to stand back
    }
    document = result_document("engine_build", results, settings=settings, machine=machine)
    return write_dated(arguments.out, document)


def encoder(checkpoint: Checkpoint, precision: Precision, quantised: Quantised) -> onnx.ModelProto:
    """The graph that an export gives TensorRT in a precision: signed activations where it is quantised."""
    if not precision.quantised:
        return encoder_graph(checkpoint, compute=precision.compute)
    return quantised.graph(precision, next(form for form in precision.forms if form.activation == "int8"))


def made_up() -> Checkpoint:
    """The published size of network, with random weights."""
    config = ModelConfig(num_classes=60)
    draw = np.random.default_rng(0)
    weights = {
        name: (0.02 * draw.standard_normal(shape)).astype(np.float32)
        for name, shape in weight_shapes(config).items()
    }
    contract = SkeletonContract(tuple(f"class {index}" for index in range(60)), 81)
    return Checkpoint(config, contract, weights)


def builds(file: Path, sms: list[int], repeats: int) -> dict[str, Any]:
    """Pairs of builds, without and with the kernel timings of the one before."""
    first, second = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            for found in (first, second):
                words = [sys.executable, "-c", BUILD, str(file), json.dumps(sms), cache]
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                if done.returncode:
                    lines = done.stderr.strip().splitlines() or ["the build ended without a word"]
                    raise EngineError(lines[-1])
                found.append(json.loads(done.stdout.splitlines()[-1]))
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(first, second, strict=True)]
    return {
        "median_s": statistics.median(run["seconds"] for run in first),
        "best_s": min(run["seconds"] for run in first),
        "cpu_s": statistics.median(run["cpu_seconds"] for run in first),
        "bytes": first[0]["bytes"],
        "second": {
            "median_s": statistics.median(run["seconds"] for run in second),
            "cache_bytes": second[0]["cache_bytes"],
            "times_faster": statistics.median(ratios),
        },
        "runs": {"first": first, "second": second},
    }


if __name__ == "__main__":
    sys.exit(main())
