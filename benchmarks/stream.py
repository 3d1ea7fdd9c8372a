"""Labelled clips joined into a stream: time to detection, changes of labels, false alarms, spans.

    python benchmarks/stream.py PENN_ACTION.pkl --split val [--model bundled] [--clips N]

The clips go through the tracks, windows and decisions of `maskclr-edge live` with its defaults, which were
chosen on a part of train. Writes benchmarks/results/YYYY-MM-DD_live_stream.json.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.data import read_annotations
from maskclr_edge.errors import MaskclrEdgeError
from maskclr_edge.live.labeller import LiveSettings
from maskclr_edge.live.stream import Stream, score_stream
from maskclr_edge.runtime import Classifier

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="bundled")
    parser.add_argument(
        "--clips", type=int, default=None, help="so many of the stream's clips, all by default"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    machine = describe_machine()
    try:
        with Classifier.open(arguments.model) as classifier:
            known = read_annotations(arguments.data).for_classes(classifier.contract.class_names)
            stream = Stream(known.split(arguments.split), known.class_names, clips=arguments.clips)
            settings = LiveSettings()
            scores = score_stream(stream, classifier, settings)
        asked = {"model": arguments.model, "data": known.source, "split": arguments.split, "fps": stream.fps}
        document = result_document(
            "live_stream", scores.to_dict(), settings=asked | {"live": asdict(settings)}, machine=machine
        )
        print(scores)
        print(write_dated(arguments.out, document))
    except MaskclrEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
