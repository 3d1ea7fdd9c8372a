"""What the scripts of this folder have around their measurement: help, --out, one line for an error."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from maskclr_edge.errors import MaskclrEdgeError

RESULTS = Path(__file__).resolve().parent / "results"
INTERRUPTED = 130


def script_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that shows a script's docstring as it is written, with the folder for its result."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of dated results")
    return parser


def run_script(parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], Path]) -> int:
    """Measure what was asked for, print the result's path, and give the exit code."""
    try:
        print(measure(parser.parse_args()))
    except MaskclrEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0
