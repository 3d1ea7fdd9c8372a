"""Accuracy under corruption of many checkpoints, and how much of what it costs a method wins back.

    python benchmarks/robustness.py --data penn_action_coco17.pkl \\
        --baseline 'cross-entropy=runs/ce_s*/best.safetensors' \\
        --method 'MaskCLR=runs/maskclr_s*/best.safetensors' [--method 'NAME=GLOB']... \\
        [--corrupt all] [--draws 3] [--runner openvino] [--keep runs/robustness] [--missing]

A group is a name and a pattern of checkpoints or bundles, one a seed, compared in sorted order. Each finished
pass is kept under --keep at once: a run that was stopped goes on, and --missing names what is left to do.
Writes benchmarks/results/YYYY-MM-DD_robustness.json and the figure docs/robustness.png. With --holdout 0.25
--split train --name ablation it does the same for models trained with --set holdout=0.25, away from val.
"""

import argparse
import glob
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maskclr_edge.bench.markdown import markdown_table
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.data import AnnotationSet, make_clips, read_annotations
from maskclr_edge.errors import ConfigError, MaskclrEdgeError
from maskclr_edge.evaluation import (
    CellResult,
    Recovery,
    SuiteResult,
    match_classes,
    model_identity,
    recovery,
    run_suite,
)
from maskclr_edge.evaluation.figures import Curve, curve, draw_robustness
from maskclr_edge.evaluation.recovery import LEAST_LOSS
from maskclr_edge.evaluation.robustness import open_store, plan, usable_cells
from maskclr_edge.runtime import Runner, open_runner
from maskclr_edge.skeleton import Cell, SkeletonContract, parse_corruptions

ROOT = Path(__file__).resolve().parents[1]
INTERRUPTED = 130
Clips = tuple[Any, Any]


def main() -> int:
    """Run what is missing, write the results, and give the exit code."""
    arguments = parser().parse_args()
    try:
        suite = Suite(arguments)
        if arguments.missing:
            for line in suite.missing():
                print(line)
            return 0
        print(suite.write())
    except MaskclrEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"interrupted; finished passes are kept in {arguments.keep}", file=sys.stderr)
        return INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = result.add_argument
    option("--data", type=Path, required=True, help="annotation file, pyskl pickle")
    option("--split", default="val")
    option("--holdout", type=float, default=0.0, help="only what training holds out of the split: its share")
    option("--baseline", required=True, metavar="[NAME=]GLOB")
    option("--method", action="append", required=True, metavar="[NAME=]GLOB", help="may be repeated")
    option("--corrupt", action="append", metavar="SPEC", help="may be repeated; all by default")
    option("--draws", type=int, default=3)
    option("--seed", type=int, default=0)
    option("--runner", default="auto")
    option("--precision", default="auto")
    option("--threads", type=int)
    option("--batch", type=int, default=64)
    option("--keep", type=Path, default=Path("runs/robustness"), help="folder of finished passes")
    option("--missing", action="store_true", help="name the passes that are left, and stop")
    option("--name", default="robustness", help="of the result file and the figure")
    option("--out", type=Path, default=ROOT / "benchmarks" / "results")
    option("--plots", type=Path, default=ROOT / "docs", help="folder of the figure")
    return result


def groups(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Models by group name, the baseline first. ConfigError for a pattern that finds none."""
    found: dict[str, list[str]] = {}
    for text, default in [(arguments.baseline, "baseline"), *((text, "method") for text in arguments.method)]:
        name, equals, pattern = text.rpartition("=")
        name = name if equals else default
        models = sorted(glob.glob(pattern))  # noqa: PTH207 (patterns may be absolute)
        if not models:
            raise ConfigError(f"no checkpoint or bundle fits {pattern!r} (group {name}); quote the pattern")
        if name in found:
            raise ConfigError(f"two groups are called {name!r}; name them as in --method NAME=GLOB")
        found[name] = models
    return found


class Suite:
    """All models on all cells; clips are made once for each skeleton contract."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.cells = parse_corruptions(arguments.corrupt or ["all"])
        self.groups = groups(arguments)
        self.annotations: AnnotationSet = read_annotations(arguments.data)
        self.made: dict[SkeletonContract, Clips] = {}

    def missing(self) -> list[str]:
        """One line for every pass that is not kept yet."""
        lines = []
        for name, model in ((name, model) for name, models in self.groups.items() for model in models):
            with self.open(model) as runner:
                clips, labels = self.clips(runner)
                of = model_identity(model, runner)
                rows = open_store(self.arguments.keep, of, clips, labels, seed=self.arguments.seed).rows
                usable, _ = usable_cells(self.cells, clips)
            tasks = plan(usable, self.arguments.draws)
            lines += [f"{name} {model}: {task}" for task in tasks if task not in rows]
        return lines

    def write(self) -> Path:
        """Run every model, write figure and result file."""
        results: dict[str, list[SuiteResult]] = {}
        described = []
        for name, models in self.groups.items():
            results[name], entries = [], []
            for model in models:
                result, facts = self.run(model)
                results[name].append(result)
                entries.append(facts | {"cells": [asdict(cell) for cell in result.cells]})
            described.append({"name": name, "models": entries})
        cells = {name: [one.cells for one in found] for name, found in results.items()}
        compared = self.compare(cells)
        for name, comparison in compared.items():
            print(f"{name} against {next(iter(cells))}\n{as_table(comparison)}\n")
        skipped: dict[str, str] = {}
        for one in (one for found in results.values() for one in found):
            skipped |= one.skipped
        self.arguments.plots.mkdir(parents=True, exist_ok=True)
        title = f"{self.arguments.data.stem}, {self.arguments.split}"
        if self.arguments.holdout:
            title += f", its last {100 * self.arguments.holdout:g} % held out of training"
        draw_robustness(self.arguments.plots / f"{self.arguments.name}.png", self.curves(cells), title=title)
        content = {
            "groups": described,
            "comparisons": [{"method": name, **as_facts(one)} for name, one in compared.items()],
            "skipped": skipped,
        }
        settings = {
            "data": self.arguments.data.name, "split": self.arguments.split,
            "holdout": self.arguments.holdout, "draws": self.arguments.draws,
            "seed": self.arguments.seed, "corrupt": [cell.spec for cell in self.cells],
            "least_loss": LEAST_LOSS,
        }  # fmt: skip
        return write_dated(
            self.arguments.out, result_document(self.arguments.name, content, settings=settings)
        )

    def open(self, model: str) -> Runner:
        """A runner of a model."""
        asked = self.arguments
        return open_runner(model, asked.runner, asked.precision, asked.threads)

    def clips(self, runner: Runner) -> Clips:
        """The split's clips and labels as a model wants them."""
        contract = runner.contract
        if contract not in self.made:
            known = match_classes(self.annotations, contract.class_names)
            chosen = known.split(self.arguments.split)
            if self.arguments.holdout:
                from maskclr_edge.training.clip_choice import hold_out

                chosen = hold_out(chosen, self.arguments.holdout)[1]
            self.made[contract] = make_clips(chosen, contract)
        return self.made[contract]

    def run(self, model: str) -> tuple[SuiteResult, dict[str, Any]]:
        """One model on every cell, and the facts about it."""
        with self.open(model) as runner:
            clips, labels = self.clips(runner)
            of = model_identity(model, runner)
            result = run_suite(
                runner.infer, clips, labels, self.cells, draws=self.arguments.draws, seed=self.arguments.seed,
                absent=runner.contract.absent, batch=self.arguments.batch, keep=self.arguments.keep, of=of,
                progress=reporter(named(model)),
            )  # fmt: skip
        return result, {"model": named(model), **of}

    def compare(self, cells: dict[str, list[list[CellResult]]]) -> dict[str, Recovery]:
        """Every other group against the first."""
        baseline, *methods = cells
        return {name: recovery(cells[baseline], cells[name]) for name in methods}

    def curves(self, cells: dict[str, list[list[CellResult]]]) -> dict[str, Curve]:
        """One line of the figure for each group."""
        return {f"{name}, seeds: {len(runs)}": curve(runs) for name, runs in cells.items()}


def named(model: str) -> str:
    """A model's name in the results: its folder says which seed it is, and no path of this machine."""
    path = Path(model)
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name


def reporter(name: str) -> Callable[[int, int, str], None]:
    """Progress on stderr: a line for each pass as it begins."""
    last = ""

    def report(done: int, total: int, what: str) -> None:
        nonlocal last
        if what != last:
            last = what
            print(f"{name}: {what} ({100 * done // total} %)", file=sys.stderr, flush=True)

    return report


def as_facts(comparison: Recovery) -> dict[str, Any]:
    """A comparison as JSON holds it."""
    return asdict(comparison) | {"clean_difference": comparison.clean_difference}


def as_table(comparison: Recovery) -> str:
    """A comparison as a Markdown table and a line of totals."""
    rows = [
        [
            Cell(cell.corruption, cell.severity).spec, f"{cell.baseline:.1f}", f"{cell.method:.1f}",
            f"{cell.lost:.1f}", f"{cell.won_back:+.1f}", f"{100 * (cell.share or 0):.0f}",
        ]
        for cell in comparison.cells
    ]  # fmt: skip
    headers = ["corruption", "baseline %", "method %", "lost", "won back", "share %"]
    pairs = ", ".join(f"{100 * ratio:.0f}" for ratio in comparison.pooled_by_pair) or "-"
    shares = [
        "-" if share is None else f"{100 * share:.1f} %"
        for share in (comparison.mean_share, comparison.pooled_share)
    ]
    return (
        f"{markdown_table(headers, rows, 'lrrrrr')}\n\nclean {comparison.baseline_clean:.2f} and "
        f"{comparison.method_clean:.2f} ({comparison.clean_difference:+.2f}); won back: "
        f"mean of {len(rows)} cells {shares[0]}, all together {shares[1]} (pairs of seeds: {pairs} %)"
    )


if __name__ == "__main__":
    sys.exit(main())
