"""What ``maskclr-edge demo`` prints, and how long it takes: the README shows it.

    python benchmarks/demo.py [--out FOLDER]

Writes benchmarks/results/YYYY-MM-DD_demo.json.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.process import run_process
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.errors import MaskclrEdgeError

RESULTS = Path(__file__).resolve().parent / "results"
WIDTH = 100


def main() -> int:
    """Run and write, and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "demo")
        argv = [sys.executable, "-m", "maskclr_edge", "demo", "--out", place]
        try:
            run = run_process(argv, {"COLUMNS": str(WIDTH), "NO_COLOR": "1"})
        except MaskclrEdgeError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
    lines = [line.rstrip().replace(place, "maskclr-edge-demo") for line in run.output.splitlines()]
    results = {"seconds": run.seconds, "lines": lines}
    document = result_document("demo", results, settings={"width": WIDTH}, machine=machine)
    print(write_dated(arguments.out, document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
