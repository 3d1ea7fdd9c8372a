"""Write the measured sections of README and model card from the newest result files, or check them.

    python benchmarks/readme.py            # after a benchmark: fill the sections
    python benchmarks/readme.py --check    # exit code 1 when a section is not what the result files say

A section stands between <!-- results:NAME --> and <!-- /results:NAME -->; NAME is a key of SECTIONS below.
One that has no result yet says so, and what measures it.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import readme_accuracy
import readme_engines
import readme_live
import readme_precision
import readme_speed

from maskclr_edge.bench.machine import machine_line
from maskclr_edge.bench.markdown import fill_sections, sections
from maskclr_edge.bench.results import newest_result, read_result
from maskclr_edge.errors import DataError, MaskclrEdgeError
from maskclr_edge.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "maskclr_edge" / "bundled" / "MODEL_CARD.md",
    ROOT / "export" / "README.md",
    ROOT / "docs" / "runtime.md",
    ROOT / "docs" / "benchmarks.md",
    ROOT / "docs" / "precision.md",
    ROOT / "docs" / "training.md",
)


#: section -> the result it is made from, and how
SECTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "demo": ("demo", readme_live.demo),
    "accuracy": ("accuracy", readme_accuracy.accuracy),
    "seeds": ("accuracy", readme_accuracy.seeds),
    "latency": ("latency", readme_speed.latency),
    "end_to_end": ("latency", readme_speed.end_to_end),
    "packing": ("latency", readme_speed.packing),
    "window": ("latency", readme_speed.window),
    "startup": ("latency", readme_speed.startup),
    "robustness": ("robustness", readme_accuracy.robustness),
    "robustness_cells": ("robustness", readme_accuracy.robustness_cells),
    "ablation": ("ablation", readme_accuracy.robustness),
    "folds": ("folds", readme_accuracy.folds),
    "precision": ("report", readme_accuracy.precision),
    "precision_clean": ("report_clean", readme_accuracy.precision),
    "precision_full_size": ("report_full_size", readme_accuracy.precision),
    "precision_full_size_clean": ("report_full_size_clean", readme_accuracy.precision),
    "precision_speed": ("precision_speed", readme_speed.precision_speed),
    "calibrators": ("calibrators", readme_precision.calibrators),
    "sensitivity": ("sensitivity", readme_precision.sensitivity),
    "sensitivity_full_size": ("sensitivity_full_size", readme_precision.sensitivity),
    "budgets": ("budgets", readme_precision.budgets),
    "builder_acceptance": ("builder_acceptance", readme_precision.builder_acceptance),
    "performance": ("peers", readme_speed.performance),
    "op_profile": ("op_profile", readme_speed.op_profile),
    "runtime_settings": ("runtime_settings", readme_speed.runtime_settings),
    "int8_scores": ("int8_scores", readme_speed.int8_scores),
    "compare_gate": ("compare_gate", readme_speed.compare_gate),
    "training": ("training_throughput", readme_speed.training),
    "trt_overhead": ("trt_overhead", readme_engines.trt_overhead),
    "live_stream": ("live_stream", readme_live.live_stream),
    "live_rates": ("live_rates", readme_live.live_rates),
    "live_identities": ("live_identities", readme_live.live_identities),
    "live_soak": ("live_soak", readme_live.live_soak),
    "full_size": ("export_full_size", readme_engines.full_size),
    "engine_build": ("engine_build", readme_engines.engine_build),
    "build_matrix": ("build_matrix", readme_engines.build_matrix),
}
#: what writes a result, where it is not the script of that name
WRITTEN_BY = {
    "ablation": "benchmarks/robustness.py --name ablation",
    "report": "maskclr-edge report --json",
    "report_clean": "maskclr-edge report --corrupt none --json",
    "report_full_size": "maskclr-edge report --precision fp32,int8 --frames 30 --sample 256 --json",
    "report_full_size_clean": "maskclr-edge report --corrupt none --frames 30 --sample 256 --json",
    "live_stream": "benchmarks/stream.py",
    "live_rates": "benchmarks/live.py rates",
    "live_identities": "benchmarks/live.py identities",
    "live_soak": "benchmarks/live.py soak",
    "build_matrix": "export/build_matrix.py",
    "builder_acceptance": "export/build_matrix.py --acceptance",
    "sensitivity_full_size": "benchmarks/quantisation.py sensitivity --model full_size.safetensors",
    **{
        name: f"benchmarks/quantisation.py {name} --data FILE"
        for name in ("calibrators", "sensitivity", "budgets")
    },
}


def section(name: str, folder: Path) -> str:
    """One section as Markdown, with date, machine and source file. DataError when there is none so named."""
    if name not in SECTIONS:
        raise DataError(f"there is no section {name}; there are {', '.join(SECTIONS)}")
    result, render = SECTIONS[name]
    path = newest_result(folder, result)
    if path is None:
        return f"*Not measured yet: `{WRITTEN_BY.get(result, f'benchmarks/{result}.py')}` does.*"
    document = read_result(path)
    source = f"{document['created'][:10]}, {machine_line(document['machine'])}"
    return f"{render(document['results'])}\n\n<sub>{source}; `benchmarks/results/{path.name}`</sub>"


def filled(text: str, folder: Path) -> str:
    """A document's text with all its sections as the result files have them."""
    return fill_sections(text, {name: section(name, folder) for name in sections(text)})


def main() -> int:
    """Fill or check, and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a section differs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("documents", nargs="*", type=Path, default=DOCUMENTS, help="README and model card")
    arguments = parser.parse_args()
    codes = [write(path, arguments.results, arguments.check) for path in arguments.documents]
    return max(codes)


def write(document: Path, results: Path, check: bool) -> int:
    """Fill or check one document, and give the exit code."""
    text = document.read_text(encoding="utf-8")
    try:
        wanted = filled(text, results)
    except MaskclrEdgeError as error:
        print(f"error: {document.name}: {error}", file=sys.stderr)
        return 1
    if wanted == text:
        print(f"{document.name}: {len(sections(text))} sections are what the results say")
        return 0
    if check:
        print(
            f"error: {document.name} differs from the results; run python benchmarks/readme.py",
            file=sys.stderr,
        )
        return 1
    write_atomically(document, wanted.encode())
    print(f"{document.name}: {len(sections(text))} sections written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
