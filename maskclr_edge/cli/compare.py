"""``maskclr-edge compare``: two bench results against each other, with gates for CI."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskclr_edge.cli.console import console, json_option, table, visible, write_json

if TYPE_CHECKING:
    from maskclr_edge.bench.compare import Change, Comparison


@click.command()
@click.argument("old", metavar="OLD.json")
@click.argument("new", metavar="[NEW.json]", required=False)
@click.option("--fail-on", "gates", multiple=True, metavar="METRIC:+N%", help="Exit with 1 when a row got "
              "worse by more: p50, p90, p95, p99, p99.9, mean or throughput; may be repeated.")  # fmt: skip
@json_option("comparison")
def command(old: str, new: str | None, gates: tuple[str, ...], json_to: str | None) -> None:
    """Compare two results of ``bench --json``, or two models in one: what changed, and whether it is noise.

    Rows match by what they measure: part, scenario, model, runner, precision, T, persons, batch, threads. A
    change is judged by a permutation test over blocks of neighbouring samples, or over passes where there
    are eight or more (``bench --passes 40``). A gate fails a row whose change is beyond the limit and is not
    noise; a row that is gone and a percentile with too few samples fail it too. Exit code 1 when one failed.
    On a machine that is not quiet, measure both models in one bench with --passes: they then take turns.

    \b
    Examples:
      maskclr-edge compare old.json new.json
      maskclr-edge compare old.json new.json --fail-on p50:+5% --fail-on p99:+10%
      maskclr-edge compare old.json new.json --fail-on throughput:-5% --json -
      maskclr-edge bench old-bundle new-bundle --passes 40 --seconds 0.2 --json both.json
      maskclr-edge compare both.json --fail-on p50:+5%
    """
    from maskclr_edge.bench.compare import compare_results, parse_gate, split_models
    from maskclr_edge.bench.results import read_result

    asked = [parse_gate(gate) for gate in gates]
    before = read_result(Path(old))
    before, after = split_models(before) if new is None else (before, read_result(Path(new)))
    result = compare_results(before, after, asked, turns=new is None)
    screen = console(json_to)
    screen.print(_table(result))
    for line in _notes(result):
        screen.print(visible(line), markup=False, style="dim")
    for line in result.failures:
        screen.print(f"failed  {visible(line)}", markup=False, style="red")
    if result.gates and not result.failures:
        screen.print(f"passed: {', '.join(map(str, result.gates))}", markup=False, style="green")
    if json_to:
        write_json(json_to, result.to_dict())
    if result.failures:
        raise click.exceptions.Exit(1)


def _table(result: "Comparison") -> object:
    several = len({row.row["model"] for row in result.rows}) > 1
    names = ["part", "scenario", *(["model"] if several else []), "runner", "precision", "frames", "persons"]
    columns = ["T" if name == "frames" else name for name in names]
    metrics = [change.metric for change in result.rows[0].changes]
    rows = [
        [*(row.row[name] for name in names), *(_cell(change) for change in row.changes)]
        for row in result.rows
    ]
    return table("Change from old to new, with its 95 % interval", [*columns, *metrics], rows)


def _cell(change: "Change") -> str:
    if not change.resolved:
        return "too few"
    text = f"{100 * change.change:+.1f} % ({100 * change.low:+.1f} to {100 * change.high:+.1f})"
    return text + (f" {'!' if 'failed' in change.verdicts.values() else '~'}" if _flagged(change) else "")


def _flagged(change: "Change") -> bool:
    return bool({"failed", "within noise"} & set(change.verdicts.values()))


def _notes(result: "Comparison") -> list[str]:
    from maskclr_edge.bench.compare import row_name

    notes = [f"only in the old result: {row_name(row)}" for row in result.missing]
    notes += [f"only in the new result: {row_name(row)}" for row in result.added]
    notes += [f"note: {line}" for line in result.warnings]
    if any("within noise" in change.verdicts.values() for row in result.rows for change in row.changes):
        notes.append("~: beyond a limit, but no more than such runs differ by chance; measure longer to know")
    return notes
