"""What ``maskclr-edge report`` measures: each precision of a bundle against its fp32."""

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
from maskclr_edge.data import make_clips, read_annotations
from maskclr_edge.deploy.calibrate import present_persons
from maskclr_edge.deploy.importance import joint_importance, top_overlap
from maskclr_edge.deploy.precision import get_precision
from maskclr_edge.errors import ConfigError
from maskclr_edge.evaluation import CLEAN, Evaluation, evaluate, match_classes, model_identity, run_suite
from maskclr_edge.runtime import RUNNERS, Bundle, Runner, open_runner
from maskclr_edge.skeleton import SkeletonContract, parse_corruptions

REFERENCE = "fp32"
#: joints whose place among the most important is compared
TOP_JOINTS = 5
#: persons whose attention is compared
ATTENTION_PERSONS = 128

Clips = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """The options of the command, by their names."""

    model: str
    data: str
    split: str
    out: str
    layout: str
    frames: int | None
    corruptions: tuple[str, ...]
    clips: int
    draws: int
    seed: int
    keep: str | None
    seconds: float
    threads: int | None
    json_to: str | None


def measure(asked: Asked, bundle: Bundle, report: ProgressCallback) -> dict[str, Any]:
    """Every precision of a bundle, fp32 first: facts for the page and the JSON.

    Raises ConfigError for a bundle without fp32 or with an embedding head, and as evaluation does.
    """
    precisions = _precisions(asked.model, bundle)
    contract = bundle.contract
    if asked.frames is not None:
        contract = replace(contract, frames=asked.frames)
    data = match_classes(read_annotations(asked.data, layout=asked.layout), contract.class_names)
    clips, labels = make_clips(data.split(asked.split), contract, progress=report)
    chosen = _sample(len(clips), asked.clips, asked.seed)
    persons = np.concatenate(present_persons([clips[chosen]], contract.absent))[:ATTENTION_PERSONS]
    entries: list[dict[str, Any]] = []
    reference: Evaluation | None = None
    attention: Clips | None = None
    for name in precisions:
        runners = [runner for runner in bundle.runners() if name in bundle.precisions(runner)]
        usable = [runner for runner in runners if RUNNERS[runner].why_not() is None]
        entry: dict[str, Any] = {
            "precision": name,
            "bytes": sum(item.bytes for item in bundle.select((usable or runners)[0], name).values()),
            "read_back": _share(bundle, name),
        }
        entries.append(entry)
        if not usable:
            entry["reason"] = f"no runner here takes it; it has files for {', '.join(runners)}"
            continue
        with open_runner(bundle, usable[0], name, asked.threads) as opened:
            result = evaluate(opened.infer, clips, labels, progress=report)
            reference = reference or result
            entry |= {"runner": opened.name, "details": opened.details, **result.summary()}
            entry |= _differences(result, reference)
            entry["corrupted"] = _corrupted(asked, opened, contract, clips[chosen], labels[chosen], report)
        importance = joint_importance(
            _encoder(bundle, usable[0], name), persons, config=bundle.config, precision=get_precision(name),
            progress=report,
        )  # fmt: skip
        attention = importance if attention is None else attention
        entry["attention"] = {
            "persons": len(persons),
            "top_joints": TOP_JOINTS,
            "overlap": top_overlap(importance, attention, TOP_JOINTS),
            "first": 100 * float(np.mean(importance.argmax(axis=1) == attention.argmax(axis=1))),
            "mean": importance.mean(axis=0).tolist(),
        }
        entry["latency"] = (
            [] if get_precision(name).emulated else _latencies(asked, bundle, contract, name, usable, report)
        )
    return {
        "model": label(asked.model),
        "checkpoint": bundle.checkpoint.get("name", ""),
        "data": data.source,
        "made_up": data.made_up,
        "split": asked.split,
        "frames": contract.frames,
        "clips": len(clips),
        "corrupted_clips": len(chosen) if asked.corruptions else 0,
        "precisions": entries,
    }


def _precisions(model: str, bundle: Bundle) -> list[str]:
    if bundle.config.head != "class":
        raise ConfigError(f"{model} has an embedding head and knows no classes; a report is about accuracy")
    names = list(dict.fromkeys(item.precision for item in bundle.artifacts if item.kind == "onnx"))
    if REFERENCE not in names:
        raise ConfigError(
            f"{model} has {', '.join(names)} and a report compares with {REFERENCE}; export the checkpoint "
            f"with --precision {REFERENCE},{','.join(names)}"
        )
    return [REFERENCE, *(name for name in names if name != REFERENCE)]


def _sample(total: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Places of the clips to corrupt, in order."""
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


def _corrupted(
    asked: Asked,
    opened: Runner,
    contract: SkeletonContract,
    clips: Clips,
    labels: npt.NDArray[np.int64],
    report: ProgressCallback,
) -> dict[str, Any] | None:
    if not asked.corruptions:
        return None
    suite = run_suite(
        opened.infer, clips, labels, parse_corruptions(asked.corruptions), draws=asked.draws,
        seed=asked.seed, absent=contract.absent, keep=Path(asked.keep) if asked.keep else None,
        of=model_identity(asked.model, opened), progress=report,
    )  # fmt: skip
    cells = suite.cells
    return {
        "mean_top1": float(np.mean([cell.top1 for cell in cells if cell.corruption != CLEAN])),
        "cells": [asdict(cell) for cell in cells],
        "skipped": dict(suite.skipped),
    }


def _latencies(
    asked: Asked,
    bundle: Bundle,
    contract: SkeletonContract,
    precision: str,
    runners: Sequence[str],
    report: ProgressCallback,
) -> list[dict[str, Any]]:
    rows = []
    for done, runner in enumerate(runners):
        report(done, len(runners), f"latency {precision}")
        with open_runner(bundle, runner, precision, asked.threads) as opened:
            row = measure_network(
                opened, model=label(asked.model), frames=contract.frames, threads=asked.threads,
                budget=Budget(seconds=asked.seconds),
            )  # fmt: skip
        rows.append(row.to_dict() | {"samples_ms": None})  # a page shows the summary alone
    return rows


def _encoder(bundle: Bundle, runner: str, precision: str) -> bytes:
    return bundle.read(bundle.select(runner, precision)["encoder"])


def _share(bundle: Bundle, precision: str) -> dict[str, Any]:
    """Share of the encoder's GEMM operations by type, as the export read it back."""
    for item in bundle.artifacts:
        if (item.precision, item.kind, item.role) == (precision, "onnx", "encoder"):
            return dict(item.read_back.get("gemm_flops") or item.read_back.get("gemm_weights") or {})
    return {}
