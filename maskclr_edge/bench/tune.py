"""What runs a bundle fastest here, of what still answers as its most exact form does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.bench.scenarios import bench_clips
from maskclr_edge.bench.suite import Variant, label, opened, variants
from maskclr_edge.bench.timing import Budget, Progress, time_call
from maskclr_edge.data import made_up_clips
from maskclr_edge.errors import BundleError, ConfigError, MaskclrEdgeError
from maskclr_edge.runtime import Runner, get_runner
from maskclr_edge.runtime.precisions import exactness
from maskclr_edge.runtime.tuned import Row, Tuned
from maskclr_edge.skeleton import SkeletonContract, preprocess

#: made-up recordings whose answers are compared where the user gives no clips
CLIPS = 128
#: two embeddings are the same answer from this cosine on
SAME_DIRECTION = 0.99
#: everything is opened and timed so many times, so that a neighbour's load falls on all of it
PASSES = 3

Clips = npt.NDArray[Any]


@dataclass(frozen=True)
class Tuning:
    """What was measured, the row to run, and the variants that could not be run, with their reasons."""

    tuned: Tuned
    chosen: Row
    skipped: tuple[Variant, ...]


def tune(
    model: str,
    *,
    runners: Sequence[str] = (),
    precisions: Sequence[str] = (),
    frames: int | None = None,
    persons: int = 1,
    seconds: float = 3.0,
    clips: Clips | None = None,
    progress: Progress | None = None,
) -> Tuning:
    """Time every runner and precision of a bundle, and hold each one's answers against the reference's.

    The reference is the most exact precision, on the first runner that has it. Times are for ``persons`` in
    view and ``frames`` (the contract's when None), ``seconds`` for each variant, and the least of the medians
    of three passes. ``clips`` (N, M, T, 17, 3) are those whose answers are compared, made-up ones when None.
    Raises BundleError when nothing can run it, and ConfigError for what its contract does not allow.
    """
    found = variants(model, runners, precisions)
    failed = {variant: variant.reason for variant in found if variant.reason}
    failed |= {one: "runs checkpoints" for one in found if get_runner(one.runner).takes != "bundle"}
    answers: dict[Variant, npt.NDArray[np.float32]] = {}
    times: dict[Variant, float] = {}
    embeds = False
    for done in range(PASSES):
        able = [variant for variant in found if variant not in failed]
        for number, (variant, classifier) in enumerate(opened(able)):
            if progress:
                what = f"{variant.runner} {variant.precision}"
                progress(done * len(able) + number, PASSES * len(able), what)
            try:
                if isinstance(classifier, MaskclrEdgeError):
                    raise classifier
                runner = classifier.runner
                frames, embeds = frames or runner.contract.frames, runner.config.head == "embed"
                time_ms = _median_ms(runner, frames, persons, seconds / PASSES)
                if variant not in answers:
                    clips = _clips(runner.contract) if clips is None else clips
                    answers[variant] = runner.infer(clips)
                times[variant] = min(time_ms, times.get(variant, time_ms))
            except ConfigError:
                raise  # of what was asked for, not of this variant
            except MaskclrEdgeError as error:
                failed[variant] = str(error)
    skipped = tuple(replace(variant, reason=reason) for variant, reason in failed.items())
    able = [variant for variant in found if variant not in failed]
    if not able or frames is None or clips is None:
        reasons = "; ".join(f"{one.runner}: {one.reason}" for one in skipped)
        raise BundleError(f"{label(model)}: nothing here can run it ({reasons})")
    reference = min(able, key=lambda one: exactness(one.precision))
    rows = tuple(
        Row(one.runner, one.precision, times[one], agreement(answers[one], answers[reference], embeds))
        for one in able
    )
    created = datetime.now(timezone.utc).date().isoformat()
    name = f"{reference.runner} {reference.precision}"
    tuned = Tuned(rows, frames, persons, name, len(clips), created)
    chosen = tuned.choose()
    assert chosen is not None  # the reference agrees with itself
    return Tuning(tuned, chosen, skipped)


def agreement(answers: npt.NDArray[Any], reference: npt.NDArray[Any], embeds: bool = False) -> float:
    """The share in percent of N clips with the same best class in logits (N, K), or the same direction of
    embeddings (N, D), as the reference.
    """
    if embeds:
        return float(100 * np.mean((answers * reference).sum(axis=1) >= SAME_DIRECTION))
    return float(100 * np.mean(answers.argmax(axis=1) == reference.argmax(axis=1)))


def _median_ms(runner: Runner, frames: int, persons: int, seconds: float) -> float:
    """Median latency of one clip, ready in memory, after a warm-up. ConfigError for a shape not allowed."""
    clips = bench_clips(runner.contract, frames=frames, persons=persons)
    runner.prepare(clips.shape[1], frames)
    timing = time_call(lambda: runner.infer(clips), Budget(seconds=seconds, min_samples=5))
    return float(np.median(timing.samples_ms))


def _clips(contract: SkeletonContract) -> Clips:
    """Made-up clips by the contract, of every motion there is, of one person or of as many as it takes."""
    found = made_up_clips(CLIPS, seed=0, persons=(1, contract.persons)).annotations
    return np.stack(
        [
            preprocess(one.keypoints, contract, layout=one.layout, resolution_wh=one.resolution_wh)
            for one in found
        ]
    )
