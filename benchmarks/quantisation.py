"""What quantisation does to a model on real skeletons: calibrators, sensitive layers, budgets.

    python benchmarks/quantisation.py calibrators --data penn_action_coco17.pkl
    python benchmarks/quantisation.py sensitivity --data penn_action_coco17.pkl
    python benchmarks/quantisation.py budgets --data penn_action_coco17.pkl

All of it is INT8 in ONNX Runtime's form, but for what budgets name. Ranges come from 128 clips of the split;
accuracy is that of other clips of it, corrupted as ``export --max-drop`` does, since on clean clips that it
was trained on the model is sure of every answer. budgets types the commands that a user would.
Writes benchmarks/results/YYYY-MM-DD_calibrators.json, ..._sensitivity.json and ..._budgets.json.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_script import run_script, script_parser

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import newest_result, read_result, result_document, write_dated
from maskclr_edge.bench.suite import label
from maskclr_edge.checkpoint import Checkpoint, read_checkpoint
from maskclr_edge.data import read_annotations
from maskclr_edge.deploy import encoder_graph, head_graph
from maskclr_edge.deploy.budget import harder, measured
from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.calibrate import METHODS, calibrate, present_persons, saturation
from maskclr_edge.deploy.calibration_set import DEFAULT_COUNT, calibration_clips, held_out_clips
from maskclr_edge.deploy.manifest import now
from maskclr_edge.deploy.onnx_pair import open_network
from maskclr_edge.deploy.precision import get_precision
from maskclr_edge.deploy.quantise import quantisable, quantise
from maskclr_edge.deploy.sensitivity import RANKED, HeldOut, rank
from maskclr_edge.deploy.smooth import smoothed
from maskclr_edge.runtime import BUNDLED, bundled_checkpoint

INT8 = get_precision("int8")
FORM = INT8.forms[0]
SMOOTH = 0.5
#: options of an export beside the data; each shows one end that a budget can come to
BUDGETS = (
    ("--precision", "int8", "--max-drop", "0.5"),
    ("--precision", "int8", "--max-drop", "0.1"),
    ("--precision", "int8", "--max-drop", "0.3", "--clips", "1", "--method", "entropy"),
    ("--precision", "fp8", "--max-drop", "0.3"),
    ("--precision", "int8", "--max-drop", "0.3", *(f"--keep=backbone.blocks_{s}.2" for s in ("st", "ts"))),
)


def main() -> int:
    """Measure what was asked for and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("what", choices=("calibrators", "sensitivity", "budgets"))
    parser.add_argument("--data", type=Path, required=True, help="annotation file, pyskl pickle")
    parser.add_argument("--model", default=BUNDLED, help="or a checkpoint, whose name the result's ends in")
    parser.add_argument("--split", default="train", help="split that the model was trained on")
    parser.add_argument("--count", type=int, default=384, help="clips that the calibrators are judged on")
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """One of the three, and its result."""
    machine = describe_machine()
    settings: dict[str, Any] = {"data": arguments.data.name, "split": arguments.split}
    settings["model"] = label(arguments.model)
    name = arguments.what if arguments.model == BUNDLED else f"{arguments.what}_{Path(arguments.model).stem}"
    if arguments.what == "budgets":
        found = had(arguments.out, name, settings)
        for options in BUDGETS:
            words = shlex.join(options)
            if words not in found:
                found[words] = budget(arguments, options)
            rows = list(found.values())
            document = result_document(name, {"rows": rows}, settings=settings, machine=machine)
            path = write_dated(arguments.out, document)
        return path
    case = Case(arguments)
    settings |= {"calibration_clips": DEFAULT_COUNT}
    results = case.calibrators() if arguments.what == "calibrators" else case.sensitivity()
    document = result_document(name, results, settings=settings, machine=machine)
    return write_dated(arguments.out, document)


def had(folder: Path, name: str, settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows of today's budgets, by their options: each takes minutes, and a run that was stopped goes on."""
    path = newest_result(folder, name)
    if path is None or not path.name.startswith(now()[:10]):
        return {}
    document = read_result(path)
    rows = document["results"]["rows"] if document["settings"] == settings else []
    return {row["options"]: row for row in rows}


class Case:
    """A model, persons to calibrate on, and corrupted clips that calibration left."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        named = arguments.model != BUNDLED
        self.checkpoint = read_checkpoint(arguments.model if named else bundled_checkpoint())
        data, contract = read_annotations(arguments.data), self.checkpoint.contract
        clips, _ = calibration_clips(data, arguments.split, contract)
        self.persons = present_persons(clips, contract.absent)
        clips, self.labels = held_out_clips(
            data, arguments.split, contract, count=DEFAULT_COUNT, most=arguments.count
        )
        self.others = present_persons([clips], contract.absent)
        self.clips = harder(clips, contract.absent)

    def held_out(self, encoder: bytes) -> HeldOut:
        """The clips, with the logits of a float encoder."""
        head = to_bytes(head_graph(self.checkpoint))
        return HeldOut(self.clips, self.labels, precision=INT8, encoder=encoder, head=head)

    def calibrators(self) -> dict[str, Any]:
        """A row for every method, without and with outliers moved into the weights."""
        plain = encoder_graph(self.checkpoint, flat=False)
        held_out = self.held_out(to_bytes(plain))
        rows = []
        for smooth in (None, SMOOTH):
            checkpoint: Checkpoint = self.checkpoint
            if smooth is not None:
                checkpoint = smoothed(checkpoint, plain, self.persons, smooth)
            graph = encoder_graph(checkpoint, flat=False)
            tensors = list(dict.fromkeys(quantisable(graph).values()))
            for method in METHODS:
                ranges = calibrate(graph, self.persons, tensors, method=method)
                beyond = list(saturation(graph, self.others, ranges).values())
                quantised = quantise(
                    graph, ranges, skip=INT8.kept, activation=FORM.activation, weight_bits=FORM.weight_bits
                )
                logits = held_out.run(open_network(INT8, to_bytes(quantised)))
                rows.append(
                    {
                        "method": method, "smooth": smooth, **asdict(measured(logits, held_out)),
                        "mean_logit_error": float(np.abs(logits - held_out.logits).mean()),
                        "saturated_mean": float(np.mean(beyond)), "saturated_most": max(beyond),
                    }
                )  # fmt: skip
                print(json.dumps(rows[-1]), file=sys.stderr)
        return {"rows": rows, **self._facts(held_out)}

    def sensitivity(self) -> dict[str, Any]:
        """The groups of layers by what quantising each one alone does, the worst first."""
        graph = encoder_graph(self.checkpoint, flat=False)
        ranges = calibrate(
            graph, self.persons, list(dict.fromkeys(quantisable(graph).values())), method="minmax"
        )
        self.clips, self.labels = self.clips[:RANKED], self.labels[:RANKED]
        held_out = self.held_out(to_bytes(graph))
        ranking = rank(
            graph,
            lambda skip: quantise(
                graph, ranges, skip=skip, activation=FORM.activation, weight_bits=FORM.weight_bits
            ),
            held_out,
            INT8,
        )
        return {"rows": [asdict(one) for one in ranking], **self._facts(held_out)}

    def _facts(self, held_out: HeldOut) -> dict[str, Any]:
        top1 = 100 * float(np.mean(held_out.logits.argmax(axis=1) == self.labels))
        return {"clips": len(self.labels), "float_top1": top1}


def budget(arguments: argparse.Namespace, options: tuple[str, ...]) -> dict[str, Any]:
    """One export as a user types it: exit code, what it says where it fails, else what the manifest has."""
    with tempfile.TemporaryDirectory() as folder:
        data = ["--calibration", str(arguments.data), "--split", arguments.split]
        words = [sys.executable, "-m", "maskclr_edge", "export", arguments.model, "--out", f"{folder}/bundle"]
        words += ["--json", "-", *data, *options]
        run = subprocess.run(words, capture_output=True, text=True, check=False)
    row: dict[str, Any] = {"options": shlex.join(options), "exit_code": run.returncode}
    if run.returncode:
        row["said"] = run.stderr.strip().splitlines()[-1]
    else:
        ((precision, kept),) = json.loads(run.stdout)["built_by"]["calibration"]["budget"].items()
        row |= {"precision": precision, **{key: kept[key] for key in kept if key != "ranking"}}
        row["groups"] = len(kept["ranking"])
    print(json.dumps(row), file=sys.stderr)
    return row


if __name__ == "__main__":
    sys.exit(main())
