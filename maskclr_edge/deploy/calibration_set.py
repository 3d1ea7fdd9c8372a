"""Which clips a quantised export is calibrated on, and at which lengths; made-up ones without data.

Classes take turns, and within a class kinds of recording do: one person or two, short or long, seen well or
badly. A quarter of the clips has the model's own length, the others lengths spread over all that it takes.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.data import Annotation, AnnotationSet, made_up_clips, make_clips
from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.evaluation import match_classes
from maskclr_edge.skeleton import SkeletonContract

Progress = Callable[[int, int, str], None]

Floats = npt.NDArray[np.float32]

DEFAULT_COUNT = 128
_LENGTHS = 12


def calibration_clips(
    data: AnnotationSet,
    split: str,
    contract: SkeletonContract,
    *,
    count: int = DEFAULT_COUNT,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[list[Floats], dict[str, Any]]:
    """At most ``count`` clips of a split, by length, and what they are, for the manifest.

    The clips are arrays (N, persons, T, 17, 3), one for each length T, ascending. Labels need not be the
    model's. The manifest gets the source, the split, how many clips of how many classes, how many of each
    length, the seed, and a SHA-256 of the chosen names.
    Raises DataError for an unknown split, ConfigError for a count below 1.
    """
    if count < 1:
        raise ConfigError(f"calibration clips are {count}; expected 1 or more")
    chosen = choose(data.split(split), count, seed)
    clips = clips_of_all_lengths(chosen, contract, seed=seed, progress=progress)
    names = "\n".join(sorted(item.name for item in chosen))
    return clips, {
        "source": data.source,
        "split": split,
        "made_up": data.made_up,
        "count": len(chosen),
        "classes": len({item.label for item in chosen}),
        "frames": {str(part.shape[2]): len(part) for part in clips},
        "seed": seed,
        "names_sha256": hashlib.sha256(names.encode()).hexdigest(),
    }


def clips_of_all_lengths(
    annotations: Sequence[Annotation],
    contract: SkeletonContract,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Floats]:
    """Clips (N, persons, T, 17, 3), one array for each of the lengths that :func:`lengths` gives."""
    by_length: dict[int, list[Annotation]] = defaultdict(list)
    for frames, item in zip(lengths(contract, len(annotations), seed), annotations, strict=True):
        # labels play no part here, and another data set's may lie beyond the model's classes
        by_length[frames].append(replace(item, label=0))
    made, done = [], 0
    for frames in sorted(by_length):
        made.append(make_clips(by_length[frames], replace(contract, frames=frames))[0])
        done += len(made[-1])
        if progress is not None:
            progress(done, len(annotations), "clips")
    return made


def coverage(
    contract: SkeletonContract, data: AnnotationSet, chosen: Sequence[Annotation], clips: Sequence[Floats]
) -> dict[str, Any]:
    """What calibration clips cover, and the gaps by name. chosen: the annotations that they are made of."""
    recorded = sorted(item.keypoints.shape[1] for item in chosen)
    present = sorted({int(n) for part in clips for n in part.any(axis=(2, 3, 4)).sum(axis=1)} - {0})
    labels = {item.label for item in chosen}
    seen = [name for label, name in enumerate(data.class_names) if label in labels]
    missing = [name for label, name in enumerate(data.class_names) if label not in labels]
    frames = [part.shape[2] for part in clips]
    gaps = []
    if frames[0] > contract.min_frames:
        gaps.append(f"frames {contract.min_frames} to {frames[0] - 1}")
    if frames[-1] < contract.max_frames:
        gaps.append(f"frames {frames[-1] + 1} to {contract.max_frames}")
    gaps += [f"{count} persons" for count in range(2, contract.persons + 1) if count not in present]
    gaps += [f"class {name}" for name in missing]
    gaps += [f"class {name}" for name in contract.class_names if name not in data.class_names]
    return {
        "frames": frames,
        "recorded_frames": {
            "least": recorded[0],
            "median": recorded[len(recorded) // 2],
            "most": recorded[-1],
        },
        "persons": present,
        "classes": seen,
        "gaps": gaps,
    }


def lengths(contract: SkeletonContract, count: int, seed: int = 0) -> list[int]:
    """Frames of each of ``count`` clips: a quarter the contract's own, the others evenly on a log scale."""
    own = max(1, round(count / 4))
    spread = np.unique(np.geomspace(contract.min_frames, contract.max_frames, _LENGTHS).round().astype(int))
    others = spread[np.linspace(0, len(spread) - 1, count - own).round().astype(int)]
    drawn = np.random.default_rng(seed).permutation([*[contract.frames] * own, *others])
    return [int(frames) for frames in drawn]


def held_out_clips(
    data: AnnotationSet, split: str, contract: SkeletonContract, *, count: int, most: int, seed: int = 0
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """At most ``most`` clips (N, persons, frames, 17, 3) that ``calibration_clips`` leaves, and labels.

    Raises DataError where it leaves none, or one whose class the model does not know.
    """
    known = match_classes(data, contract.class_names)
    everyone = known.split(split)
    taken = {item.name for item in choose(everyone, count, seed)}
    rest = choose([item for item in everyone if item.name not in taken], most, seed)
    if not rest:
        raise DataError(
            f"{data.source}: calibration takes all {len(everyone)} clips of {split}, and accuracy is "
            "measured on others; lower --clips"
        )
    return make_clips(rest, contract)


def made_up_calibration(
    contract: SkeletonContract, *, count: int = DEFAULT_COUNT, seed: int = 0
) -> tuple[list[Floats], dict[str, Any]]:
    """The same from made-up motions: enough to see INT8 run, no ground for trusting its accuracy."""
    data = made_up_clips(count, seed=seed, persons=(1, contract.persons))
    annotations = replace(data, splits={"all": tuple(item.name for item in data.annotations)})
    return calibration_clips(annotations, "all", contract, count=count, seed=seed)


def choose(annotations: Sequence[Annotation], count: int, seed: int) -> list[Annotation]:
    """``count`` annotations: classes take turns, kinds of recording within them; else random, but seeded."""
    persons = [int(_present(item).sum()) for item in annotations]
    length = _thirds([item.keypoints.shape[1] for item in annotations])
    seen = _thirds([float((item.keypoints[_present(item)][..., 2] > 0).mean()) for item in annotations])
    by_class: dict[int, dict[tuple[int, ...], list[Annotation]]] = defaultdict(lambda: defaultdict(list))
    for place in np.random.default_rng(seed).permutation(len(annotations)):
        kind = (persons[place], length[place], seen[place])
        by_class[annotations[place].label][kind].append(annotations[place])
    return _turns([_turns(list(by_class[label].values())) for label in sorted(by_class)])[:count]


def _present(annotation: Annotation) -> npt.NDArray[np.bool_]:
    """Which persons of a recording are there: all of them where none is, so that nothing is empty."""
    there = np.asarray((annotation.keypoints[..., 2] > 0).any(axis=(1, 2)))
    return there if there.any() else np.ones_like(there)


def _thirds(values: Sequence[float]) -> list[int]:
    """0, 1 or 2 for each value: which third of all of them it lies in."""
    if not values:
        return []
    ends = np.quantile(values, [1 / 3, 2 / 3])
    return [int(third) for third in np.searchsorted(ends, values)]


def _turns(queues: Sequence[Sequence[Annotation]]) -> list[Annotation]:
    """The first of each queue, then the second of each, and so on."""
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
