"""Labelled clips joined into a stream: time to detection, changes of labels, false alarms, spans.

    python benchmarks/stream.py PENN_ACTION.pkl --split val [--model bundled] [--clips N]

The clips go through the tracks, windows and decisions of `maskclr-edge live` with its defaults, which were
chosen on the last quarter of train with models that were trained on the rest. Writes
benchmarks/results/YYYY-MM-DD_live_stream.json.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from benchmark_script import run_script, script_parser

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.data import read_annotations
from maskclr_edge.live.labeller import LiveSettings
from maskclr_edge.live.stream import Stream, score_stream
from maskclr_edge.runtime import Classifier


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("data")
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="bundled")
    parser.add_argument(
        "--clips", type=int, default=None, help="so many of the stream's clips, all by default"
    )
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Score the stream and write the result."""
    machine = describe_machine()
    with Classifier.open(arguments.model) as classifier:
        known = read_annotations(arguments.data).for_classes(classifier.contract.class_names)
        stream = Stream(known.split(arguments.split), known.class_names, clips=arguments.clips)
        settings = LiveSettings()
        scores = score_stream(stream, classifier, settings)
    asked = {
        "model": arguments.model, "data": known.source, "split": arguments.split,
        "clips": len(stream.spans), "fps": stream.fps,
    }  # fmt: skip
    document = result_document(
        "live_stream", scores.to_dict(), settings=asked | {"live": asdict(settings)}, machine=machine
    )
    print(scores)
    return write_dated(arguments.out, document)


if __name__ == "__main__":
    sys.exit(main())
