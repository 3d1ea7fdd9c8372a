"""Build every shipped checkpoint for every target that this machine can build for; write down what came out.

    python export/build_matrix.py [--target NAME]... [--also] [--keep FOLDER]
    python export/build_matrix.py --acceptance

A target whose engines are built on the device gets its ONNX files; the command that finishes it there is
noted. --also builds what a target takes beside its own precisions. Writes
benchmarks/results/DATE_build_matrix.json, from which benchmarks/readme.py makes export/README.md's table.
--acceptance gives every precision to TensorRT-RTX's builder for every GPU generation by itself, whatever a
target says, and writes DATE_builder_acceptance.json.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.checkpoint import read_checkpoint
from maskclr_edge.deploy import export_bundle, extend_bundle
from maskclr_edge.deploy.build_options import EngineSettings
from maskclr_edge.deploy.precision import PRECISIONS
from maskclr_edge.deploy.scale_table import read_table
from maskclr_edge.deploy.targets import Plan, Target, find_target, finish_command, plan, target_names
from maskclr_edge.errors import MaskclrEdgeError
from maskclr_edge.runtime import Bundle
from maskclr_edge.runtime.bundled import bundled_checkpoint
from maskclr_edge.runtime.trt_api import load_tensorrt

ROOT = Path(__file__).resolve().parents[1]
#: checkpoint that ships -> the scale table that its INT8 is made with
ACCEPTANCE_SMS = (75, 86, 89, 120)
SHIPPED = {bundled_checkpoint(): ROOT / "calibration" / "penn_action_small.json"}


def main() -> int:
    """Build, write, and give the exit code: 1 where a target refused what it says that it takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", action="append", default=[], help="these only, and not all")
    parser.add_argument("--also", action="store_true", help="every precision that a target takes")
    parser.add_argument("--keep", type=Path, help="leave the bundles in this folder")
    parser.add_argument("--acceptance", action="store_true", help="each precision and GPU, and no targets")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    machine = describe_machine()
    try:
        if arguments.acceptance:
            print(accept(arguments.out, list(PRECISIONS), ACCEPTANCE_SMS))
            return 0
        targets = [find_target(name) for name in arguments.target or target_names()]
        with tempfile.TemporaryDirectory() as folder:
            rows = build_all(targets, arguments.also, arguments.keep or Path(folder))
        settings = {"also": arguments.also, "checkpoints": [path.name for path in SHIPPED]}
        document = result_document("build_matrix", {"rows": rows}, settings=settings, machine=machine)
        print(write_dated(arguments.out, document))
    except MaskclrEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return int(any(row["state"] == "refused" for row in rows))


def build_all(targets: Sequence[Target], also: bool, folder: Path) -> list[dict[str, Any]]:
    """A row for each checkpoint, target and precision."""
    rows = []
    for checkpoint, table in SHIPPED.items():
        wanted = {name for target in targets for name in chosen(target, also)}
        source = export_bundle(
            read_checkpoint(checkpoint),
            folder / f"{checkpoint.stem}.onnx-only",
            precisions=[name for name in PRECISIONS if name in wanted],
            calibration=read_table(table),
            name=checkpoint.name,
        )
        for target in targets:
            for precision in chosen(target, also):
                out = folder / f"{checkpoint.stem}.{target.name}.{precision}"
                row = build(source, target, precision, out)
                rows.append({"checkpoint": checkpoint.name, **row})
                print(f"{target.name} {precision}: {row['state']}", file=sys.stderr)
    return rows


def accept(out: Path, precisions: Sequence[str], sms: Sequence[int]) -> Path:
    """Each precision of the packaged model built for each compute capability alone, and the result."""
    machine = describe_machine()
    checkpoint, table = next(iter(SHIPPED.items()))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = export_bundle(
            read_checkpoint(checkpoint),
            Path(folder) / "onnx-only",
            precisions=precisions,
            calibration=read_table(table),
        )
        for precision in precisions:
            for sm in sms:
                settings = [EngineSettings("tensorrt-rtx", sms=(sm,))]
                start = time.perf_counter()
                row = {"precision": precision, "sm": sm}
                try:
                    extend_bundle(source, Path(folder) / "engines", engines=settings, precisions=[precision])
                    rows.append(row | {"built": True, "seconds": round(time.perf_counter() - start, 1)})
                except MaskclrEdgeError as error:
                    rows.append(row | {"built": False, "reason": str(error)})
                print(json.dumps(rows[-1]), file=sys.stderr)
    results = {"rows": rows, "version": load_tensorrt("tensorrt-rtx").version}
    settings_said = {"checkpoint": checkpoint.name}
    return write_dated(
        out, result_document("builder_acceptance", results, settings=settings_said, machine=machine)
    )


def chosen(target: Target, also: bool) -> tuple[str, ...]:
    """Precisions to build for a target."""
    return target.takes if also else target.precisions


def build(source: Bundle, target: Target, precision: str, out: Path) -> dict[str, Any]:
    """One precision for one target: its engines where they can be built here."""
    made: Plan = plan([target], precisions=[precision])
    onnx = next(a for a in source.artifacts if a.precision == precision and a.role == "encoder")
    row: dict[str, Any] = {
        "target": target.name,
        "what": target.what,
        "precision": precision,
        "engine": target.engine,
        "sm": list(target.sms),
        "onnx_bytes": onnx.bytes,
        "products": dict(onnx.read_back.get("gemm_flops", {})),
        "parity": dict(source.parity[precision]),
    }
    if not made.engines:
        left = [shlex.join(finish_command(one, one.name, "bundle")) for one in made.left]
        return row | {"state": "on the device" if left else "onnx", "finish": left}
    start = time.perf_counter()
    try:
        bundle = extend_bundle(source, out, engines=made.engines, precisions=[precision])
    except MaskclrEdgeError as error:
        return row | {"state": "refused", "reason": str(error)}
    seconds = time.perf_counter() - start
    engines = {item.file: item.bytes for item in bundle.artifacts if item.kind == target.engine}
    version = load_tensorrt(target.engine).version
    return row | {"state": "built", "seconds": round(seconds, 1), "engines": engines, "version": version}


if __name__ == "__main__":
    sys.exit(main())
