"""Export of the published size of network: an upstream-format checkpoint of random weights, to a bundle.

    python benchmarks/export_full_size.py --precision fp32,fp16,int8 \\
        --calibration penn_action_coco17.pkl --split train [--classes 60] [--keep FOLDER]

Every step is the command a user types, in a process of its own, with its time and peak memory.
Making the checkpoint and converting it need torch.
Writes benchmarks/results/YYYY-MM-DD_export_full_size.json.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmark_script import run_script, script_parser

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.process import ProcessRun, run_process
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.runtime import Bundle

#: what upstream's training leaves behind: prefix, optimiser state, and layers that actions never use
MAKE = """
import sys, torch
from maskclr_edge.checkpoint import ModelConfig
from maskclr_edge.model import ActionNet
torch.manual_seed(0)
config = ModelConfig(num_classes=int(sys.argv[2]))
net = ActionNet(config).eval()
state = {f"module.{name}": value for name, value in net.state_dict().items()}
state["module.backbone.head.weight"] = torch.zeros(3, config.dim_rep)
state["module.backbone.head.bias"] = torch.zeros(3)
best = torch.tensor(0.0)
torch.save({"epoch": 0, "lr": 1e-4, "optimizer": {}, "model": state, "best_acc": best}, sys.argv[1])
print(sum(value.numel() for value in net.parameters()))
"""


def main() -> int:
    """Run the steps and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--classes", type=int, default=60)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--calibration", help="annotation file that int8 is calibrated on; made-up without")
    parser.add_argument("--split", default="train", help="its split")
    parser.add_argument("--keep", type=Path, help="leave checkpoint and bundle in this folder")
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Run the steps in the folder to keep, or in one that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        return measure_in(arguments.keep or Path(folder), arguments)


def measure_in(folder: Path, arguments: argparse.Namespace) -> Path:
    """Make, convert, export; collect what each took and the parity that the bundle states."""
    machine = describe_machine()
    folder.mkdir(parents=True, exist_ok=True)
    upstream, checkpoint, bundle = (
        folder / "upstream.bin",
        folder / "checkpoint.safetensors",
        folder / "bundle",
    )
    edge = [sys.executable, "-m", "maskclr_edge"]
    made = run_process([sys.executable, "-c", MAKE, str(upstream), str(arguments.classes)])
    steps = [step("make an upstream checkpoint", made, upstream)]
    converted = run_process([*edge, "convert", str(upstream), "--out", str(checkpoint)])
    steps.append(step("maskclr-edge convert", converted, checkpoint))
    export = [*edge, "export", str(checkpoint), "--out", str(bundle), "--precision", arguments.precision]
    if arguments.calibration:
        export += ["--calibration", arguments.calibration, "--split", arguments.split]
    steps.append(step(f"maskclr-edge export --precision {arguments.precision}", run_process(export), bundle))
    parity = {name: dict(values) for name, values in Bundle.open(bundle).parity.items()}
    results = {"parameters": int(made.output.split()[-1]), "steps": steps, "parity": parity}
    settings = {
        "classes": arguments.classes,
        "precision": arguments.precision,
        "calibration": Path(arguments.calibration).name if arguments.calibration else None,
        "weights": "random, seed 0",
    }
    return write_dated(
        arguments.out, result_document("export_full_size", results, settings=settings, machine=machine)
    )


def step(what: str, run: ProcessRun, written: Path) -> dict[str, Any]:
    """One line of the result."""
    files = [written] if written.is_file() else [path for path in written.rglob("*") if path.is_file()]
    found = {
        "step": what, "seconds": run.seconds, "cpu_seconds": run.cpu_seconds,
        "peak_memory_mb": run.peak_memory_mb, "bytes": sum(path.stat().st_size for path in files),
    }  # fmt: skip
    print(json.dumps(found), file=sys.stderr)
    return found


if __name__ == "__main__":
    sys.exit(main())
