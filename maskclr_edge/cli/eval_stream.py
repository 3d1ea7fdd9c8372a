"""``maskclr-edge eval --stream``: clips as one stream through the live windows and decisions."""

from typing import Any

from maskclr_edge.cli.console import ProgressCallback, console, table, write_json
from maskclr_edge.cli.eval_runs import Asked, annotations_for, check_head, facts_of
from maskclr_edge.live.labeller import LiveSettings
from maskclr_edge.live.stream import OVERLAPS, Stream, score_stream
from maskclr_edge.runtime import Classifier

_COLUMNS = {
    "detected_percent": "detected %", "detection_s": "median s to it", "detection_p90_s": "p90 s",
    "changes_per_minute": "changes a minute", "false_alarms_per_hour": "false alarms an hour",
    "right_percent": "right % of time", "unknown_percent": "unlabelled %",
}  # fmt: skip


def run_stream(asked: Asked, report: ProgressCallback) -> list[dict[str, Any]]:
    """Every model on every split, models in order; facts and scores of each."""
    outcomes = []
    for model in asked.models:
        with Classifier.open(model, asked.runner, asked.precision, asked.threads) as classifier:
            check_head(model, classifier.runner, oneshot=False)
            contract = classifier.contract
            known = annotations_for(asked, contract.class_names)
            for split in asked.splits:
                stream = Stream(known.split(split), known.class_names, seed=asked.seed)
                scores = score_stream(stream, classifier, LiveSettings(), report)
                outcomes.append(facts_of(model, classifier.runner, contract, known, split) | scores.to_dict())
    return outcomes


def present_stream(asked: Asked, outcomes: list[dict[str, Any]]) -> None:
    """Print the table, and write the JSON where it was asked for."""
    first = outcomes[0]
    overlaps = [f"F1@{overlap:g}" for overlap in OVERLAPS]
    rows = [
        [
            one["model"], one["split"], one["actions"],
            *("never" if one[key] is None else one[key] for key in _COLUMNS),
            *one["f1"].values(),
        ]
        for one in outcomes
    ]  # fmt: skip
    title = f"{first['data']} as a stream of {sum(one['minutes'] for one in outcomes):.1f} minutes"
    note = "seconds from an action's start until its label shows; never: not in so many of them"
    columns = ["model", "split", "actions", *_COLUMNS.values(), *overlaps]
    console(asked.json_to).print(table(title, columns, rows, note=note))
    if asked.json_to:
        write_json(asked.json_to, outcomes[0] if len(outcomes) == 1 else {"results": outcomes})
