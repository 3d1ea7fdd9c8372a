"""What ``maskclr-edge report`` measures: each precision of a bundle against its fp32."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.bench.scenarios import measure_network
from maskclr_edge.bench.suite import label
from maskclr_edge.bench.timing import Budget
from maskclr_edge.cli.console import ProgressCallback
from maskclr_edge.cli.lists import word_list
from maskclr_edge.data import make_clips, read_annotations
from maskclr_edge.deploy.calibrate import present_persons
from maskclr_edge.deploy.importance import joint_importance, top_overlap
from maskclr_edge.deploy.precision import get_precision
from maskclr_edge.errors import ConfigError
from maskclr_edge.evaluation import (
    CLEAN,
    Evaluation,
    evaluate,
    match_classes,
    model_identity,
    run_suite,
    score,
)
from maskclr_edge.evaluation.kept_array import kept_array
from maskclr_edge.evaluation.robustness import facts_of_clips
from maskclr_edge.runtime import RUNNERS, Bundle, Runner, open_runner
from maskclr_edge.skeleton import SkeletonContract, parse_corruptions

REFERENCE = "fp32"
#: joints whose place among the most important is compared
TOP_JOINTS = 5
#: persons whose attention is compared
ATTENTION_PERSONS = 128
#: clips in a query: a processor's cache holds what so few become, and 64 take a third longer a clip
BATCH = 8

Clips = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """The options of the command, by their names."""

    model: str
    data: str
    split: str
    out: str
    layout: str
    precision: str | None
    frames: int | None
    sample: int | None
    corruptions: tuple[str, ...]
    clips: int
    draws: int
    seed: int
    keep: str | None
    seconds: float
    threads: int | None
    json_to: str | None


def measure(asked: Asked, bundle: Bundle, report: ProgressCallback) -> dict[str, Any]:
    """Every precision of a bundle that is asked for, fp32 first: facts for the page and the JSON.

    Raises ConfigError for a bundle without fp32 or with an embedding head, and as evaluation does.
    """
    names = _precisions(asked, bundle)
    contract = bundle.contract
    if asked.frames is not None:
        contract = replace(contract, frames=asked.frames)
    data = match_classes(read_annotations(asked.data, layout=asked.layout), contract.class_names)
    recordings = data.split(asked.split)
    taken = _sample(len(recordings), asked.sample or len(recordings), asked.seed)
    clips, labels = make_clips([recordings[place] for place in taken], contract, progress=report)
    chosen = _sample(len(clips), asked.clips, asked.seed)
    run = _Run(asked, bundle, contract, clips, labels, chosen, report)
    return {
        "model": label(asked.model),
        "checkpoint": bundle.checkpoint.get("name", ""),
        "data": data.source,
        "made_up": data.made_up,
        "split": asked.split,
        "split_clips": len(recordings),
        "frames": contract.frames,
        "clips": len(clips),
        "corrupted_clips": len(chosen) if asked.corruptions else 0,
        "timed": bool(asked.seconds),
        "precisions": [run.entry(name) for name in names],
    }


class _Run:
    """The clips of one report, and what fp32 makes of them once it was run."""

    def __init__(
        self,
        asked: Asked,
        bundle: Bundle,
        contract: SkeletonContract,
        clips: Clips,
        labels: npt.NDArray[np.int64],
        chosen: npt.NDArray[np.int64],
        report: ProgressCallback,
    ) -> None:
        self._asked, self._bundle, self._contract, self._report = asked, bundle, contract, report
        self._clips, self._labels, self._chosen = clips, labels, chosen
        self._facts = facts_of_clips(clips, labels)
        self._keep = Path(asked.keep) if asked.keep else None
        self._persons = np.concatenate(present_persons([clips[chosen]], contract.absent))[:ATTENTION_PERSONS]
        self._reference: Evaluation | None = None
        self._attention: Clips | None = None

    def entry(self, name: str) -> dict[str, Any]:
        """The facts of one precision; of fp32 first, since the others are compared with it."""
        bundle = self._bundle
        runners = [runner for runner in bundle.runners() if name in bundle.precisions(runner)]
        usable = [runner for runner in runners if RUNNERS[runner].why_not() is None]
        entry: dict[str, Any] = {
            "precision": name,
            "emulated": get_precision(name).emulated,
            "bytes": sum(item.bytes for item in bundle.select((usable or runners)[0], name).values()),
            "read_back": _share(bundle, name),
        }
        if not usable:
            return entry | {"reason": f"no runner here takes it; it has files for {', '.join(runners)}"}
        entry["on"] = []
        for place, runner in enumerate(usable):
            with open_runner(bundle, runner, name, self._asked.threads) as opened:
                result = self._evaluate(opened)
                self._reference = self._reference or result
                entry["on"].append(
                    {"runner": opened.name, "details": opened.details, **result.summary()}
                    | _differences(result, self._reference)
                )
                if place == 0:
                    entry |= entry["on"][0] | {"corrupted": self._corrupted(opened)}
        return entry | {
            "attention": self._looked_at(name, usable[0]),
            "latency": [] if entry["emulated"] or not self._asked.seconds else self._latencies(name, usable),
        }

    def _evaluate(self, opened: Runner) -> Evaluation:
        """Clean accuracy, from logits that an earlier run kept where it did."""

        def compute() -> Clips:
            result = evaluate(opened.infer, self._clips, self._labels, batch=BATCH, progress=self._report)
            return result.logits

        of = model_identity(self._asked.model, opened) | self._facts
        return score(kept_array(self._keep, "logits", of, len(self._clips), compute), self._labels)

    def _looked_at(self, name: str, runner: str) -> dict[str, Any]:
        """Where the encoder looks, and how much of that is where fp32 looks."""
        encoder = self._bundle.read(self._bundle.select(runner, name)["encoder"])

        def compute() -> Clips:
            return joint_importance(
                encoder, self._persons, config=self._bundle.config, precision=get_precision(name),
                progress=self._report,
            )  # fmt: skip

        of = {"encoder": hashlib.sha256(encoder).hexdigest(), **facts_of_clips(self._persons)}
        importance = kept_array(self._keep, "attention", of, len(self._persons), compute)
        if self._attention is None:
            self._attention = importance
        return {
            "persons": len(self._persons),
            "top_joints": TOP_JOINTS,
            "overlap": top_overlap(importance, self._attention, TOP_JOINTS),
            "first": 100 * float(np.mean(importance.argmax(axis=1) == self._attention.argmax(axis=1))),
            "mean": importance.mean(axis=0).tolist(),
        }

    def _corrupted(self, opened: Runner) -> dict[str, Any] | None:
        asked = self._asked
        if not asked.corruptions:
            return None
        suite = run_suite(
            opened.infer, self._clips[self._chosen], self._labels[self._chosen],
            parse_corruptions(asked.corruptions), draws=asked.draws, seed=asked.seed,
            absent=self._contract.absent, batch=BATCH, keep=self._keep,
            of=model_identity(asked.model, opened), progress=self._report,
        )  # fmt: skip
        cells = suite.cells
        return {
            "mean_top1": float(np.mean([cell.top1 for cell in cells if cell.corruption != CLEAN])),
            "cells": [asdict(cell) for cell in cells],
            "skipped": dict(suite.skipped),
        }

    def _latencies(self, precision: str, runners: Sequence[str]) -> list[dict[str, Any]]:
        asked, rows = self._asked, []
        for done, runner in enumerate(runners):
            self._report(done, len(runners), f"latency {precision}")
            with open_runner(self._bundle, runner, precision, asked.threads) as opened:
                row = measure_network(
                    opened, model=label(asked.model), frames=self._contract.frames, threads=asked.threads,
                    budget=Budget(seconds=asked.seconds),
                )  # fmt: skip
            rows.append(row.to_dict() | {"samples_ms": None})  # a page shows the summary alone
        return rows


def _precisions(asked: Asked, bundle: Bundle) -> list[str]:
    if bundle.config.head != "class":
        raise ConfigError(
            f"{asked.model} has an embedding head and knows no classes; a report is about accuracy"
        )
    names = list(dict.fromkeys(item.precision for item in bundle.artifacts if item.kind == "onnx"))
    if REFERENCE not in names:
        raise ConfigError(
            f"{asked.model} has {', '.join(names)} and a report compares with {REFERENCE}; export the "
            f"checkpoint with --precision {REFERENCE},{','.join(names)}"
        )
    wanted = names if asked.precision is None else word_list(asked.precision) or (asked.precision,)
    for name in wanted:
        if name not in names:
            raise ConfigError(f"{asked.model} has no {name!r}; its precisions are {', '.join(names)}")
    return [REFERENCE, *dict.fromkeys(name for name in wanted if name != REFERENCE)]


def _sample(total: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Places of ``count`` of so many, in order; all where there are no more."""
    return np.sort(np.random.default_rng(seed).permutation(total)[:count])


def _differences(result: Evaluation, reference: Evaluation) -> dict[str, float]:
    error = np.abs(result.logits - reference.logits)
    same = result.logits.argmax(axis=1) == reference.logits.argmax(axis=1)
    return {
        "agreement": 100 * float(np.mean(same)),
        "max_logit_error": float(error.max()),
        "mean_logit_error": float(error.mean()),
        "largest_logit": float(np.abs(reference.logits).max()),
    }


def _share(bundle: Bundle, precision: str) -> dict[str, Any]:
    """Share of the encoder's GEMM operations by type, as the export read it back."""
    for item in bundle.artifacts:
        if (item.precision, item.kind, item.role) == (precision, "onnx", "encoder"):
            return dict(item.read_back.get("gemm_flops") or item.read_back.get("gemm_weights") or {})
    return {}
