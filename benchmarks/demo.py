"""What ``maskclr-edge demo`` prints, and how long it takes: the README shows it.

    python benchmarks/demo.py [--out FOLDER]

Writes benchmarks/results/YYYY-MM-DD_demo.json.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmark_script import run_script, script_parser

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.process import run_process
from maskclr_edge.bench.results import result_document, write_dated

WIDTH = 100


def main() -> int:
    """Run and write, and give the exit code."""
    return run_script(script_parser(__doc__), measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Run the demo, and write the result."""
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "demo")
        argv = [sys.executable, "-m", "maskclr_edge", "demo", "--out", place]
        run = run_process(argv, {"COLUMNS": str(WIDTH), "NO_COLOR": "1"})
    lines = [line.rstrip().replace(place, "maskclr-edge-demo") for line in run.output.splitlines()]
    results = {"seconds": run.seconds, "lines": lines}
    document = result_document("demo", results, settings={"width": WIDTH}, machine=machine)
    return write_dated(arguments.out, document)


if __name__ == "__main__":
    sys.exit(main())
