"""What the TensorRT runner costs a call in Python, what it allocates, and whether it leaks: without a GPU.

    python benchmarks/trt_overhead.py [--calls 2000] [--leak-calls 10000] [--release 11.4]... [--no-pycuda]

NVIDIA's real Python bindings run on stand-ins (tests/rig, which needs ../shared/trt_rig): the engine computes
nothing, and the time that the stand-ins take is taken off.
Writes benchmarks/results/YYYY-MM-DD_trt_overhead.json.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark_script import run_script, script_parser

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.errors import ConfigError, EngineError

ROOT = Path(__file__).resolve().parents[1]
RIG = ROOT / "tests" / "rig"
#: how pip builds PyCUDA; the tests spare themselves the time
OPTIMISE = "-O2"


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--calls", type=int, default=2000, help="for each row")
    parser.add_argument("--leak-calls", type=int, default=10_000, help="with changing shapes")
    parser.add_argument("--release", action="append", default=[], help="may be given again; all by default")
    parser.add_argument(
        "--no-pycuda", action="store_true", help="spare the minutes that building PyCUDA takes"
    )
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Every release and layer in a process of its own, and the result."""
    machine = describe_machine()
    stand_in = _module("stand_in", RIG / "stand_in.py")
    rows: list[dict[str, Any]] = []
    leaks: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        bundle = _module("tests_conftest", ROOT / "tests" / "conftest.py").TinyBundle(Path(folder)).write()
        for release in arguments.release or stand_in.VERSIONS:
            for layer in ("cuda-python",) if arguments.no_pycuda else ("pycuda", "cuda-python"):
                print(f"TensorRT {release}, {layer}", flush=True)
                names = {"release": release, "layer": layer}
                found = one(stand_in, bundle, arguments, **names)
                rows += [names | row for row in found["steady"]]
                leaks.append(names | found["leaks"])
    settings = {
        "calls": arguments.calls,
        "leak_calls": arguments.leak_calls,
        "frames": 24,
        "clips": 1,
        "pycuda_built_with": OPTIMISE,
    }
    results = {"steady": rows, "leaks": leaks}
    return write_dated(
        arguments.out, result_document("trt_overhead", results, settings=settings, machine=machine)
    )


def one(
    stand_in: ModuleType, bundle: Path, arguments: argparse.Namespace, *, release: str, layer: str
) -> dict[str, Any]:
    """What tests/rig/overhead.py measures for a release and a layer."""
    try:
        words = stand_in.command("overhead.py", release, layer, bundle, OPTIMISE)
    except stand_in.Unavailable as reason:
        raise ConfigError(f"the rig cannot be made here: {reason}") from reason
    except KeyError as error:
        raise ConfigError(f"no release {release}; expected some of {', '.join(stand_in.VERSIONS)}") from error
    words += ["--calls", str(arguments.calls), "--leak-calls", str(arguments.leak_calls)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise EngineError(f"the measurement failed: {(done.stderr.strip().splitlines() or ['silent'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is missing: this benchmark runs in a checkout with its tests")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
