"""``maskclr-edge doctor``: what this machine has, what it can run, and what to install for the rest."""

import platform
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from maskclr_edge import __version__
from maskclr_edge.cli import probe
from maskclr_edge.cli.console import console, json_option, progress, write_json
from maskclr_edge.cli.findings import (
    Finding,
    Surroundings,
    machine_findings,
    package_findings,
    runner_findings,
    self_test,
    tuned_finding,
)

MARKS = {"yes": ("yes", "green"), "no": ("no", "dim"), "broken": ("broken", "red"), "info": ("", "")}


@click.command()
@json_option("findings")
def command(json_to: str | None) -> None:
    """Say what this machine has, what it can run, and what to install for the rest.

    The exit code is 0 when the bundled model, or with none in the package a bundle of yours, can run here.

    \b
    Examples:
      maskclr-edge doctor
      maskclr-edge doctor --json -
    """
    answers = _ask_all()
    around = Surroundings(
        platform.system() == "Linux" and platform.machine() in ("x86_64", "AMD64"),
        probe.jetson(),
        probe.gpus(),
    )
    groups = {
        "machine": machine_findings(around),
        "packages": package_findings(answers, around),
        "runners": (runners := runner_findings()),
    }
    proof = self_test()
    can_run = proof.state == "yes" or (proof.state == "no" and any(_works(one, answers) for one in runners))
    groups["runners"] = [*runners, tuned_finding(), proof]
    console(json_to).print(_view(groups, can_run))
    if json_to:
        write_json(json_to, {"maskclr_edge": __version__, "can_run": can_run, **groups})
    if not can_run:
        raise click.exceptions.Exit(1)


def _works(runner: Finding, answers: dict[str, dict[str, Any]]) -> bool:
    """Whether a runner takes bundles and its package could be imported."""
    facts = runner.facts
    return (
        runner.state == "yes"
        and facts["takes"] == "bundle"
        and "version" in answers.get(facts["package"], {})
    )


def _ask_all() -> dict[str, dict[str, Any]]:
    """Ask every package at once: most of the time is spent in their imports."""
    answers = {}
    with ThreadPoolExecutor(max_workers=4) as pool, progress("looking around") as report:
        for name, answer in zip(probe.QUESTIONS, pool.map(probe.ask_package, probe.QUESTIONS), strict=True):
            answers[name] = answer
            report(len(answers), len(probe.QUESTIONS), f"asked {name}")
    return answers


def _view(groups: dict[str, list[Finding]], can_run: bool) -> RenderableType:
    table = Table(
        title=f"maskclr-edge {__version__} on this machine", title_justify="left", title_style="bold"
    )
    for column in ("", "", "what is here", "what to do"):
        table.add_column(column, overflow="fold")
    for findings in groups.values():
        for finding in findings:
            mark, style = MARKS[finding.state]
            last = finding is findings[-1]
            table.add_row(finding.name, Text(mark, style=style), Text(finding.what), Text(finding.advice),
                          end_section=last)  # fmt: skip
    line = (
        Text("A bundle can run here. Next: maskclr-edge demo", style="green")
        if can_run
        else Text("No bundle can run here yet: see the right column.", style="red")
    )
    return Group(table, line)
