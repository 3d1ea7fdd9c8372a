"""From annotations to a scale table: ranges on some clips of a split, saturation on others of it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.data import AnnotationSet
from maskclr_edge.deploy.calibrate import calibrate, present_persons, saturation
from maskclr_edge.deploy.calibration_set import (
    DEFAULT_COUNT,
    calibration_clips,
    choose,
    clips_of_all_lengths,
    coverage,
)
from maskclr_edge.deploy.graph import encoder_graph
from maskclr_edge.deploy.manifest import built_by, fingerprint
from maskclr_edge.deploy.quantised import quantised_tensors
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
    tensors = quantised_tensors(checkpoint, graph)
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
        coverage=coverage(checkpoint.contract, data, chosen, clips),
        held_out={"count": len(held), "names_sha256": _hash([item.name for item in held])},
        built_by=built_by(()),
        made=dict(made or {}),
    )


def _hash(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
