"""What ``maskclr-edge eval`` computes: a model on the splits of a file, clean, corrupted, or one-shot."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskclr_edge.cli.console import ProgressCallback
from maskclr_edge.data import (
    MADE_UP_CLASSES,
    AnnotationSet,
    made_up_clips,
    make_clips,
    read_annotations,
)
from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.evaluation import (
    Evaluation,
    SuiteResult,
    evaluate,
    evaluate_oneshot,
    match_classes,
    mirrored,
    model_identity,
    run_suite,
)
from maskclr_edge.evaluation.oneshot import EXEMPLAR_SPLIT, TEST_SPLIT
from maskclr_edge.runtime import Runner, open_runner
from maskclr_edge.skeleton import Cell, SkeletonContract, parse_corruptions

#: the word for motions that need no file
MADE_UP = "made-up"
MADE_UP_PER_CLASS = 10
#: none of the motions that training on made-up ones sees by default
MADE_UP_SEED = 1


@dataclass(frozen=True)
class Asked:
    """The options of the command, by their names."""

    model: str
    against: tuple[str, ...]
    data: str
    splits: tuple[str, ...]
    layout: str
    runner: str
    precision: str
    frames: int | None
    absent: str | None
    mirror: bool
    batch: int
    threads: int | None
    corruptions: tuple[str, ...]
    draws: int
    seed: int
    keep: str | None
    plot: str | None
    stream: bool
    oneshot: bool
    exemplars: str
    confusion: str | None
    per_class: bool
    json_to: str | None

    @property
    def models(self) -> tuple[str, ...]:
        """All models, each once."""
        return tuple(dict.fromkeys((self.model, *self.against)))


@dataclass(frozen=True)
class Outcome:
    """One model on one split: facts for a report, class names, and what was evaluated of the two."""

    facts: dict[str, Any]
    class_names: tuple[str, ...]
    evaluation: Evaluation | None = None
    suite: SuiteResult | None = None


def run(asked: Asked, report: ProgressCallback) -> list[Outcome]:
    """Every model on every split, models in order."""
    cells = parse_corruptions(asked.corruptions) if asked.corruptions else ()
    outcomes = []
    read: dict[tuple[str, ...], AnnotationSet] = {}  # a large file is read once, not once a model
    for model in asked.models:
        with open_runner(model, asked.runner, asked.precision, asked.threads, absent=asked.absent) as opened:
            check_head(model, opened, asked.oneshot)
            contract = opened.contract
            if asked.frames is not None:
                contract = replace(contract, frames=asked.frames)
            if asked.oneshot:
                outcomes.append(_oneshot(asked, model, opened, contract, report))
                continue
            names = contract.class_names
            if names not in read:
                read[names] = annotations_for(asked, names)
            for split in asked.splits:
                outcomes.append(_split(asked, model, opened, contract, read[names], split, cells, report))
    return outcomes


def _split(
    asked: Asked,
    model: str,
    opened: Runner,
    contract: SkeletonContract,
    known: AnnotationSet,
    split: str,
    cells: Sequence[Cell],
    report: ProgressCallback,
) -> Outcome:
    clips, labels = make_clips(known.split(split), contract, progress=report)
    facts = facts_of(model, opened, contract, known, split) | {"mirror": asked.mirror}
    infer = mirrored(opened.infer) if asked.mirror else opened.infer
    start = time.perf_counter()
    if not cells:
        result = evaluate(infer, clips, labels, batch=asked.batch, progress=report)
        facts |= result.summary() | {"seconds": round(time.perf_counter() - start, 3)}
        return Outcome(facts, known.class_names, evaluation=result)
    of = model_identity(model, opened) | ({"mirror": True} if asked.mirror else {})
    suite = run_suite(
        infer, clips, labels, cells, draws=asked.draws, seed=asked.seed, absent=contract.absent,
        batch=asked.batch, keep=Path(asked.keep) if asked.keep else None, of=of, progress=report,
    )  # fmt: skip
    clean = suite.rows[0]
    facts |= {"top1": clean.top1, "top5": clean.top5, "mean_class": clean.mean_class, "clips": clean.clips}
    facts |= {"draws": asked.draws, "seed": asked.seed, "seconds": round(time.perf_counter() - start, 3)}
    return Outcome(facts, known.class_names, suite=suite)


def _oneshot(
    asked: Asked, model: str, opened: Runner, contract: SkeletonContract, report: ProgressCallback
) -> Outcome:
    # the classes are the file's own: those that the network was trained on are others
    data = read_annotations(asked.data, layout=asked.layout)
    contract = replace(contract, class_names=data.class_names)
    split = asked.splits[0] if asked.splits else TEST_SPLIT
    exemplars, exemplar_labels = make_clips(data.split(asked.exemplars), contract, progress=report)
    clips, labels = make_clips(data.split(split), contract, progress=report)
    start = time.perf_counter()
    result, classes = evaluate_oneshot(
        opened.infer, exemplars, exemplar_labels, clips, labels, batch=asked.batch, progress=report
    )
    facts = facts_of(model, opened, contract, data, split) | result.summary()
    facts |= {"exemplars": len(exemplars), "seconds": round(time.perf_counter() - start, 3)}
    return Outcome(facts, tuple(data.class_names[label] for label in classes), evaluation=result)


def facts_of(
    model: str, opened: Runner, contract: SkeletonContract, known: AnnotationSet, split: str
) -> dict[str, Any]:
    """What was run on what."""
    return {
        "model": model,
        "runner": opened.name,
        "precision": opened.precision,
        "chosen": opened.details.get("chosen"),
        "absent": contract.absent,
        "data": known.source,
        "made_up": known.made_up,
        "split": split,
        "frames": contract.frames,
    }


def annotations_for(asked: Asked, class_names: Sequence[str]) -> AnnotationSet:
    """What was asked for, its labels counted in a model's classes."""
    return match_classes(_read(asked.data, asked.layout, class_names), class_names)


def _read(data: str, layout: str, class_names: Sequence[str]) -> AnnotationSet:
    """An annotation file, or made-up motions of those of the model's classes that there are some of."""
    if data != MADE_UP or Path(data).exists():
        return read_annotations(data, layout=layout)
    classes = [name for name in class_names if name in MADE_UP_CLASSES]
    if not classes:
        raise DataError(
            f"there are made-up motions of {len(MADE_UP_CLASSES)} classes ({', '.join(MADE_UP_CLASSES[:3])}, "
            f"...) and the model knows none of them ({', '.join(class_names[:3])}, ...); give a file"
        )
    count = MADE_UP_PER_CLASS * len(classes)
    return made_up_clips(count, seed=MADE_UP_SEED, classes=classes, split_fractions={"val": 1.0})


def check_head(model: str, opened: Runner, oneshot: bool) -> None:
    """Refuse a model whose head does not answer what is asked. Raises ConfigError."""
    if oneshot and opened.config.head != "embed":
        raise ConfigError(
            f"{model} has a class head; --oneshot compares embeddings, give a model that was trained with "
            "model_version embed"
        )
    if not oneshot and opened.config.head != "class":
        raise ConfigError(
            f"{model} has an embedding head and knows no classes; give a model with a class head, or "
            f"--oneshot and data that has the splits {EXEMPLAR_SPLIT} and {TEST_SPLIT}"
        )
