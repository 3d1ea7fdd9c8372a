"""Which clips an INT8 export is calibrated on: every class in turn, or made-up ones without data."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.data import Annotation, AnnotationSet, made_up_clips, make_clips
from maskclr_edge.errors import ConfigError
from maskclr_edge.skeleton import SkeletonContract

Progress = Callable[[int, int, str], None]

DEFAULT_COUNT = 128


def calibration_clips(
    data: AnnotationSet,
    split: str,
    contract: SkeletonContract,
    *,
    count: int = DEFAULT_COUNT,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """At most ``count`` clips (N, persons, frames, 17, 3) of a split, and what they are, for the manifest.

    Classes take turns, so that rare ones are seen too; labels need not be the model's. The manifest gets the
    source, the split, how many of how many classes, the seed, and a SHA-256 of the chosen names.
    Raises DataError for an unknown split, ConfigError for a count below 1.
    """
    if count < 1:
        raise ConfigError(f"calibration clips are {count}; expected 1 or more")
    chosen = choose(data.split(split), count, seed)
    # labels play no part here, and another data set's may lie beyond the model's classes
    clips, _ = make_clips([replace(item, label=0) for item in chosen], contract, progress=progress)
    names = "\n".join(sorted(item.name for item in chosen))
    return clips, {
        "source": data.source,
        "split": split,
        "made_up": data.made_up,
        "count": len(chosen),
        "classes": len({item.label for item in chosen}),
        "seed": seed,
        "names_sha256": hashlib.sha256(names.encode()).hexdigest(),
    }


def made_up_calibration(
    contract: SkeletonContract, *, count: int = DEFAULT_COUNT, seed: int = 0
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """The same from made-up motions: enough to see INT8 run, no ground for trusting its accuracy."""
    data = made_up_clips(count, seed=seed, persons=(1, contract.persons))
    annotations = replace(data, splits={"all": tuple(item.name for item in data.annotations)})
    return calibration_clips(annotations, "all", contract, count=count, seed=seed)


def choose(annotations: Sequence[Annotation], count: int, seed: int) -> list[Annotation]:
    """``count`` annotations: classes take turns, and within a class the order is random but seeded."""
    by_class: dict[int, list[Annotation]] = defaultdict(list)
    for position in np.random.default_rng(seed).permutation(len(annotations)):
        by_class[annotations[position].label].append(annotations[position])
    queues = [by_class[label] for label in sorted(by_class)]
    chosen: list[Annotation] = []
    for turn in range(max(map(len, queues), default=0)):
        chosen += [queue[turn] for queue in queues if turn < len(queue)]
    return chosen[:count]
