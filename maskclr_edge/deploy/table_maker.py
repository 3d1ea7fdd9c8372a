"""From annotations to a scale table: ranges on some clips of a split, saturation on others of it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.data import Annotation, AnnotationSet
from maskclr_edge.deploy.calibrate import calibrate, present_persons, saturation
from maskclr_edge.deploy.calibration_set import (
    DEFAULT_COUNT,
    Floats,
    calibration_clips,
    choose,
    clips_of_all_lengths,
)
from maskclr_edge.deploy.graph import encoder_graph
from maskclr_edge.deploy.manifest import built_by, fingerprint
from maskclr_edge.deploy.quantise import quantisable
from maskclr_edge.deploy.scale_table import ScaleTable

Progress = Callable[[int, int, str], None]


def make_table(
    checkpoint: Checkpoint,
    data: AnnotationSet,
    split: str,
    *,
    count: int = DEFAULT_COUNT,
    method: str = "minmax",
    seed: int = 0,
    data_sha256: str = "",
    made: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ScaleTable:
    """Ranges of every tensor that int8 quantises, from the same clips that an export takes from this data.

    Saturation is measured on at most ``count`` further clips of the split; where it has no more, there is
    none. Raises DataError for an unknown split, ConfigError for an unknown method or clips without a person,
    ExportError when the network gives NaN.
    """
    contract = checkpoint.contract
    clips, info = calibration_clips(data, split, contract, count=count, seed=seed, progress=progress)
    everyone = data.split(split)
    chosen = choose(everyone, count, seed)
    names = {item.name for item in chosen}
    held = choose([item for item in everyone if item.name not in names], count, seed)
    graph = encoder_graph(checkpoint, flat=False)
    tensors = list(dict.fromkeys(quantisable(graph).values()))
    persons = present_persons(clips, contract.absent)
    ranges = calibrate(graph, persons, tensors, method=method, progress=progress)
    beyond: Mapping[str, float | None] = dict.fromkeys(tensors)
    if held:
        rest = clips_of_all_lengths(held, contract, seed=seed, progress=progress)
        others = present_persons(rest, contract.absent)
        if others:
            beyond = saturation(graph, others, ranges, progress=progress)
    return ScaleTable(
        model=fingerprint(checkpoint),
        method=method,
        ranges=ranges,
        saturation=beyond,
        clips=info | ({"sha256": data_sha256} if data_sha256 else {}) | {"names": sorted(names)},
        coverage=_coverage(checkpoint, data, chosen, clips),
        held_out={"count": len(held), "names_sha256": _hash([item.name for item in held])},
        built_by=built_by(()),
        made=dict(made or {}),
    )


def _coverage(
    checkpoint: Checkpoint, data: AnnotationSet, chosen: Sequence[Annotation], clips: Sequence[Floats]
) -> dict[str, Any]:
    """What the calibration clips cover, and the gaps by name."""
    contract = checkpoint.contract
    lengths = sorted(item.keypoints.shape[1] for item in chosen)
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
        "recorded_frames": {"least": lengths[0], "median": lengths[len(lengths) // 2], "most": lengths[-1]},
        "persons": present,
        "classes": seen,
        "gaps": gaps,
    }


def _hash(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
