"""``maskclr-edge report``: what each precision of a bundle costs, clean and corrupted, as one page."""

from pathlib import Path
from typing import Any

import click

from maskclr_edge.cli.console import console, json_option, progress, table, write_json
from maskclr_edge.errors import ConfigError


@click.command()
@click.argument("model", default="bundled")
@click.option("--data", required=True, metavar="FILE", help="Annotation file, a pyskl pickle.")
@click.option("--split", required=True, metavar="NAME", help="Split of the file, such as val.")
@click.option("--out", default="report.html", show_default=True, metavar="FILE.html", help="Page to write.")
@click.option("--layout", default="coco17", show_default=True, help="Joint layout of the file.")
@click.option("--precision", metavar="LIST", help="Some of the bundle's, such as fp32,int8; all by default.")
@click.option("--frames", type=click.IntRange(1, 243), help="Clip length T; the model's own by default.")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Take only N clips of the split, "
              "drawn by the seed; all by default.")  # fmt: skip
@click.option("--corrupt", "corruptions", multiple=True, default=("all",), show_default=True, metavar="SPEC",
              help="Corruptions, as of eval, or none; may be repeated.")  # fmt: skip
@click.option("--clips", type=click.IntRange(1), default=256, show_default=True, help="Of them, clips "
              "to corrupt, a seeded sample; clean accuracy is that of all.")  # fmt: skip
@click.option("--draws", type=click.IntRange(1, 100), default=1, show_default=True, help="Times each random "
              "corruption is drawn.")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Of samples and draws."
)
@click.option(
    "--keep", metavar="DIR", help="Keep each finished pass here; the same command goes on from them."
)
@click.option("--seconds", type=click.FloatRange(0, 3600), default=1.0, show_default=True,
              help="Time for each latency; 0 measures none.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; the runner's choice by default.")
@json_option("report")
def command(**options: Any) -> None:
    """What each precision of a bundle MODEL costs against its fp32.

    Accuracy, agreement with fp32, errors of the logits, size, and latency on every runner of this machine;
    top-1 under every corruption of a sample; and whether the network still looks at the same joints. One
    HTML page that needs no network, and JSON.

    With --keep accuracy and latency can be had apart: --seconds 0 on a busy machine, and the same command
    without it on a quiet one, which takes what is there and measures latency alone.

    \b
    Examples:
      maskclr-edge report bundled --data penn_action_coco17.pkl --split val
      maskclr-edge report my-bundle --data ntu60_hrnet.pkl --split xsub_val --corrupt joints --clips 1000
      maskclr-edge report my-bundle --data penn_action_coco17.pkl --split val --corrupt none --json -
      maskclr-edge report large --data ntu60_hrnet.pkl --split xsub_val --precision fp32,int8 --sample 256
    """
    from maskclr_edge.optional import require

    for package in ("matplotlib", "onnx", "onnxruntime"):
        require(package)
    from maskclr_edge.bench.machine import describe_machine, machine_line
    from maskclr_edge.bench.results import result_document
    from maskclr_edge.cli.report_page import report_page
    from maskclr_edge.cli.report_runs import Asked, measure
    from maskclr_edge.files import write_atomically
    from maskclr_edge.runtime import BUNDLED, Bundle, bundled_bundle

    asked = Asked(**{**options, "corruptions": _corruptions(options["corruptions"])})
    target = Path(asked.out)
    if target.suffix.lower() not in (".html", ".htm") or not target.absolute().parent.is_dir():
        raise ConfigError(
            f"--out is {asked.out}; expected the name of an .html file in a folder that is there"
        )
    path = Path(asked.model)
    if asked.model == BUNDLED and not path.exists():
        path = bundled_bundle()
    if path.is_file():
        raise ConfigError(f"{asked.model} is a file and a report is about a bundle; make one with export")
    machine = describe_machine()
    with progress("reading") as report:
        results = measure(asked, Bundle.open(path), report)
        report(0, 0, "drawing")
    settings = {
        key: value for key, value in options.items() if key not in ("out", "json_to", "model", "keep")
    }
    document = result_document(
        "report", results, settings=settings | {"data": results["data"]}, machine=machine
    )
    write_atomically(target, report_page(document, machine_line(machine)))
    screen = console(asked.json_to)
    rows = [_row(entry) for entry in results["precisions"]]
    columns = (
        "precision",
        "top-1 %",
        "agrees with fp32 %",
        "corrupted top-1 %",
        "same joints %",
        "MB",
        "fastest, ms",
    )
    of_what = "made-up clips" if results["made_up"] else "clips"
    screen.print(
        table(
            f"{asked.model} on {results['data']}, {asked.split}: {results['clips']} {of_what}", columns, rows
        )
    )
    screen.print(f"{asked.out} is written", markup=False)
    if asked.json_to:
        write_json(asked.json_to, document)


def _corruptions(words: tuple[str, ...]) -> tuple[str, ...]:
    if "none" not in words:
        return words
    if len(words) > 1:
        raise ConfigError("--corrupt none stands alone; leave it or the others out")
    return ()


def _row(entry: dict[str, Any]) -> list[object]:
    size = entry["bytes"] / 1e6
    if "reason" in entry:
        return [entry["precision"], entry["reason"], None, None, None, size, None]
    fastest = min(entry["latency"], key=lambda row: row["latency"]["p50_ms"], default=None)
    time = "emulated here" if entry["emulated"] else "not timed"
    if fastest:
        time = f"{fastest['latency']['p50_ms']:.2f} {fastest['runner']}"
    corrupted = entry["corrupted"]["mean_top1"] if entry["corrupted"] else None
    same = entry["attention"]["overlap"]
    return [entry["precision"], entry["top1"], entry["agreement"], corrupted, same, size, time]
