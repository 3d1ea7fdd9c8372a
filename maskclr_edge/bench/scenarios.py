"""What is measured, the network alone, the preprocessing before it, or both through the Classifier, and how.

How, after MLPerf LoadGen: single-stream, the next query when the last one is answered; multi-stream, the same
with several clips in a query, as when several people are in view; offline, large queries, for throughput;
server, queries that arrive by chance (bench/server.py).
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from maskclr_edge.bench.measurement import (
    END_TO_END,
    MULTI_STREAM,
    NETWORK,
    OFFLINE,
    PREPROCESSING,
    SERVER,
    SINGLE_STREAM,
    Measurement,
    make_row,
)
from maskclr_edge.bench.server import search_rate
from maskclr_edge.bench.timing import Budget, time_call
from maskclr_edge.data import Annotation, made_up_clips
from maskclr_edge.errors import ConfigError
from maskclr_edge.runtime import Classifier, Runner
from maskclr_edge.skeleton import SkeletonContract, preprocess

#: scenario -> clips in a query where nobody says
SCENARIOS = {SINGLE_STREAM: 1, MULTI_STREAM: 8, SERVER: 1, OFFLINE: 16}
#: what a live picture may lag behind before people notice, in milliseconds
LATENCY_BOUND_MS = 100.0


def bench_annotations(frames: int, persons: int, count: int = 1) -> list[Annotation]:
    """MADE-UP recordings of exactly this shape: latency depends on shapes, not on what people do."""
    made_up = made_up_clips(count, seed=0, frames=(frames, frames), persons=(persons, persons))
    return list(made_up.annotations)


def bench_clips(
    contract: SkeletonContract, *, frames: int, persons: int, batch: int = 1
) -> npt.NDArray[np.float32]:
    """Made-up clips (batch, persons, frames, 17, 3) as this contract's preprocessing gives them.

    ConfigError when the contract does not allow that length or so many persons.
    """
    if not contract.min_frames <= frames <= contract.max_frames:
        raise ConfigError(
            f"T={frames}: this model takes {contract.min_frames} to {contract.max_frames} frames"
        )
    if not 1 <= persons <= contract.persons:
        raise ConfigError(f"{persons} persons: this model has slots for 1 to {contract.persons}")
    if not 1 <= batch <= 1024:
        raise ConfigError(f"a batch holds 1 to 1024 clips; got {batch}")
    clips = np.stack([_preprocess(one, contract) for one in bench_annotations(frames, persons, batch)])
    # an absent person that is projected is not zeros: it has to be run, as preprocessing gives it
    return clips if contract.absent == "projected" else np.ascontiguousarray(clips[:, :persons])


def measure_network(
    runner: Runner,
    *,
    model: str,
    frames: int,
    persons: int = 1,
    batch: int | None = None,
    threads: int | None = None,
    budget: Budget | None = None,
    scenario: str = SINGLE_STREAM,
    bound_ms: float = LATENCY_BOUND_MS,
    seed: int = 0,
) -> Measurement:
    """Latency of `runner.infer` alone: clips ready in host memory in, logits in host memory out.

    ``bound_ms`` and ``seed`` are the server scenario's. ConfigError for what the contract does not allow.
    """
    if scenario not in SCENARIOS:
        raise ConfigError(f"unknown scenario {scenario!r}; known: {', '.join(SCENARIOS)}")
    batch = SCENARIOS[scenario] if batch is None else batch
    clips = bench_clips(runner.contract, frames=frames, persons=persons, batch=batch)
    runner.prepare(len(clips) * clips.shape[1], frames)
    found = None
    if scenario == SERVER:
        timing, found = search_rate(lambda: runner.infer(clips), bound_ms=bound_ms, seed=seed, budget=budget)
    else:
        timing = time_call(lambda: runner.infer(clips), budget)
    row = make_row(
        timing, part=NETWORK, scenario=scenario, model=model, runner=runner.name,
        precision=runner.precision, frames=frames, persons=persons, batch=batch, threads=threads,
    )  # fmt: skip
    return replace(row, server=found, clips_per_second=found.rate_per_s * batch) if found else row


def measure_preprocessing(
    contract: SkeletonContract, *, model: str, frames: int, persons: int = 1, budget: Budget | None = None
) -> Measurement:
    """Latency of turning raw COCO-17 keypoints of `frames` frames into the contract's clip."""
    (annotation,) = bench_annotations(frames, persons)
    timing = time_call(lambda: _preprocess(annotation, contract), budget)
    return make_row(
        timing, part=PREPROCESSING, scenario=SINGLE_STREAM, model=model, runner="numpy", precision="fp32",
        frames=frames, persons=persons, threads=None,
    )  # fmt: skip


def measure_end_to_end(
    classifier: Classifier,
    *,
    model: str,
    persons: int = 1,
    threads: int | None = None,
    budget: Budget | None = None,
) -> Measurement:
    """Latency from raw keypoints to ranked labels through the Classifier, at the contract's clip length."""
    runner = classifier.runner
    frames = runner.contract.frames
    (raw,) = bench_annotations(frames, persons)
    answer = classifier if runner.config.head == "class" else classifier.embed
    classifier.prepare(persons)
    timing = time_call(lambda: answer(raw.keypoints, raw.layout, raw.resolution_wh), budget)
    return make_row(
        timing, part=END_TO_END, scenario=SINGLE_STREAM, model=model, runner=runner.name,
        precision=runner.precision, frames=frames, persons=persons, threads=threads,
    )  # fmt: skip


def _preprocess(annotation: Annotation, contract: SkeletonContract) -> npt.NDArray[np.float32]:
    return preprocess(
        annotation.keypoints,
        contract,
        layout=annotation.layout,
        resolution_wh=annotation.resolution_wh,
        frames=None,
    )
