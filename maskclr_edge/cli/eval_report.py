"""What ``maskclr-edge eval`` shows of its results: tables, JSON and figures."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import Console

from maskclr_edge.cli.console import console, table, write_json
from maskclr_edge.cli.eval_runs import Asked, Outcome
from maskclr_edge.evaluation import CLEAN, Evaluation, confusion_matrix

_ACCURACIES = {"top1": "top-1 %", "top5": "top-5 %", "mean_class": "mean class %"}


def present(asked: Asked, outcomes: Sequence[Outcome]) -> None:
    """Print the tables, write the figures and the JSON that were asked for."""
    screen = console(asked.json_to)
    if asked.corruptions:
        _corruption_table(screen, outcomes)
    else:
        _accuracy_table(screen, outcomes)
    if asked.per_class:
        for outcome in outcomes:
            _class_table(screen, outcome, len(outcomes) > 1)
    _figures(asked, outcomes)
    if asked.json_to:
        write_json(asked.json_to, _document(outcomes))


def _accuracy_table(screen: Console, outcomes: Sequence[Outcome]) -> None:
    first = outcomes[0].facts
    models, splits = _names(outcomes, "model"), _names(outcomes, "split")
    of_what = "made-up clips" if first["made_up"] else "clips"
    lead = [name for name, values in (("model", models), ("split", splits)) if len(values) > 1]
    columns = [*lead, *_ACCURACIES.values(), of_what, "T", "runner", "precision", "seconds"]
    keys = [*lead, *_ACCURACIES, "clips", "frames", "runner", "precision", "seconds"]
    if "exemplars" in first:
        columns, keys = [*columns, "exemplars"], [*keys, "exemplars"]
    rows = [[outcome.facts[key] for key in keys] for outcome in outcomes]
    title = f"{', '.join(models)} on {first['data']}, split {', '.join(splits)}{_views(first)}"
    screen.print(table(title, columns, rows))
    if len(splits) > 1:
        rows = [
            [model, *(f"{value['mean']:.2f} ± {value['spread']:.2f}" for value in summary.values())]
            for model, summary in _over_splits(outcomes).items()
        ]
        title = f"Over {len(splits)} splits: mean and standard deviation"
        screen.print(table(title, ["model", *_ACCURACIES.values()], rows))


def _corruption_table(screen: Console, outcomes: Sequence[Outcome]) -> None:
    """One row a corruption and severity, one column a model."""
    first = outcomes[0].facts
    models = _names(outcomes, "model")
    found: dict[tuple[str, float], dict[str, str]] = {}
    for outcome in outcomes:
        assert outcome.suite is not None
        for cell in outcome.suite.cells:
            text = f"{cell.top1:.2f}" + (f" ± {cell.top1_spread:.2f}" if cell.draws > 1 else "")
            found.setdefault((cell.corruption, cell.severity), {})[outcome.facts["model"]] = text
    rows = [
        [name, "" if name == CLEAN else f"{severity:g}", *(by_model.get(model, "") for model in models)]
        for (name, severity), by_model in found.items()
    ]
    of_what = "made-up clips" if first["made_up"] else "clips"
    title = (
        f"Top-1 % under corruption: {first['data']}, split {first['split']}, {first['clips']} {of_what}, "
        f"draws {first['draws']}{_views(first)}"
    )
    skipped = {name: why for one in outcomes if one.suite for name, why in one.suite.skipped.items()}
    note = "; ".join(f"{name} left out: {why}" for name, why in skipped.items())
    headers = [f"{one.facts['model']} ({one.facts['runner']} {one.facts['precision']})" for one in outcomes]
    screen.print(table(title, ["corruption", "severity", *headers], rows, note=note))


def _views(facts: dict[str, Any]) -> str:
    return ", each clip and its mirror image" if facts.get("mirror") else ""


def _class_table(screen: Console, outcome: Outcome, several: bool) -> None:
    assert outcome.evaluation is not None
    rows = sorted(_per_class(outcome.class_names, outcome.evaluation), key=lambda entry: entry["accuracy"])
    which = f": {outcome.facts['model']}, split {outcome.facts['split']}" if several else ""
    screen.print(
        table(
            f"Each class{which}",
            ("class", "accuracy %", "clips", "most often taken for"),
            [tuple(entry.values()) for entry in rows],
        )
    )


def _figures(asked: Asked, outcomes: Sequence[Outcome]) -> None:
    if not (asked.plot or asked.confusion):
        return
    from maskclr_edge.evaluation.figures import curve, draw_confusion, draw_robustness

    first = outcomes[0].facts
    where = f"{first['data']}, split {', '.join(_names(outcomes, 'split'))}"
    if asked.plot:
        curves = {one.facts["model"]: curve([one.suite.cells]) for one in outcomes if one.suite}
        draw_robustness(asked.plot, curves, title=where)
    if asked.confusion:
        found = [one.evaluation for one in outcomes if one.evaluation]
        total = np.sum([confusion_matrix(one.logits, one.labels) for one in found], axis=0)
        draw_confusion(asked.confusion, total, outcomes[0].class_names, title=f"{first['model']} on {where}")


def _document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The JSON: the facts of one model on one split, or a list of them with the means over splits."""
    entries = []
    for outcome in outcomes:
        entry = dict(outcome.facts)
        if outcome.evaluation is not None:
            entry["per_class"] = _per_class(outcome.class_names, outcome.evaluation)
        if outcome.suite is not None:
            entry["corruptions"] = [asdict(cell) for cell in outcome.suite.cells]
            entry["rows"] = [asdict(row) for row in outcome.suite.rows]
            entry["skipped"] = dict(outcome.suite.skipped)
        entries.append(entry)
    if len(entries) == 1:
        return entries[0]
    document: dict[str, Any] = {"results": entries}
    if len(_names(outcomes, "split")) > 1:
        document["over_splits"] = _over_splits(outcomes)
    return document


def _over_splits(outcomes: Sequence[Outcome]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and sample standard deviation of each accuracy over a model's splits, by model."""
    summaries = {}
    for model in _names(outcomes, "model"):
        mine = [outcome.facts for outcome in outcomes if outcome.facts["model"] == model]
        summaries[model] = {
            key: {
                "mean": statistics.fmean(facts[key] for facts in mine),
                "spread": statistics.stdev(facts[key] for facts in mine),
            }
            for key in _ACCURACIES
        }
    return summaries


def _names(outcomes: Sequence[Outcome], key: str) -> list[str]:
    return list(dict.fromkeys(outcome.facts[key] for outcome in outcomes))


def _per_class(class_names: Sequence[str], result: Evaluation) -> list[dict[str, Any]]:
    """One entry a class that has clips: its accuracy, how many, and its commonest wrong answer."""
    answers = result.logits.argmax(axis=1)
    entries = []
    for label, accuracy in enumerate(result.per_class):
        mine = result.labels == label
        if not mine.any():
            continue
        wrong = np.bincount(answers[mine & (answers != label)], minlength=len(class_names))
        entries.append(
            {
                "class": class_names[label],
                "accuracy": float(accuracy),
                "clips": int(mine.sum()),
                "taken_for": class_names[int(wrong.argmax())] if wrong.any() else None,
            }
        )
    return entries
