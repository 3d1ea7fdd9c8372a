"""``maskclr-edge refit``: new weights into engines, without a new build."""

import time

import click

from maskclr_edge.cli import export_report
from maskclr_edge.cli.console import json_option, progress, write_json


@click.command()
@click.argument("engines", metavar="ENGINES")
@click.argument("weights", metavar="WEIGHTS")
@click.option("--out", required=True, metavar="BUNDLE", help="Folder to write; an old bundle is replaced.")
@json_option("result")
def command(engines: str, weights: str, out: str, json_to: str | None) -> None:
    """Give the engines of the bundle ENGINES the weights of the bundle WEIGHTS.

    Both are of the same network, in the same precisions; the engines were built with --weights refit, or with
    --weights strip, which leaves the weights out: then WEIGHTS may be the bundle itself. Runs on the GPU that
    the engines are for. The new bundle is WEIGHTS with these engines.

    \b
    Examples:
      maskclr-edge export first.safetensors --out engines --engine tensorrt --weights refit
      maskclr-edge export second.safetensors --out second
      maskclr-edge refit engines second --out bundle
      maskclr-edge refit stripped stripped --out bundle
    """
    from maskclr_edge.deploy.refit import refit_bundle
    from maskclr_edge.runtime import Bundle

    start = time.perf_counter()
    with progress("refit") as report:
        bundle = refit_bundle(Bundle.open(engines), Bundle.open(weights), out, report)
    seconds = time.perf_counter() - start
    export_report.show(bundle, out, seconds, json_to, made=False)
    if json_to:
        write_json(json_to, export_report.facts(bundle, seconds))
