"""Which clips a run trains on, which it holds out, and whether they fit the config."""

import hashlib
import itertools

import numpy as np

from maskclr_edge.data import Annotation, AnnotationSet
from maskclr_edge.errors import DataError
from maskclr_edge.training.config import TrainConfig


def hold_out(
    annotations: list[Annotation], share: float, seed: int
) -> tuple[list[Annotation], list[Annotation]]:
    """Split a training split into (train, holdout), class by class; the same for the same seed."""
    if not share:
        return annotations, []
    rng = np.random.default_rng([seed, 0x401D])
    kept: set[int] = set()
    labels = np.array([annotation.label for annotation in annotations])
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        kept.update(members[: round(share * len(members))].tolist())
    inside = [a for i, a in enumerate(annotations) if i not in kept]
    return inside, [a for i, a in enumerate(annotations) if i in kept]


def check_classes(config: TrainConfig, data: AnnotationSet) -> None:
    """Raise DataError where the file has another number of classes than the config."""
    if config.model.num_classes != len(data.class_names):
        raise DataError(
            f"{data.source} has {len(data.class_names)} classes, the config action_classes "
            f"{config.model.num_classes}; set action_classes to the number of classes"
        )


def check_every_class(annotations: list[Annotation], names: tuple[str, ...]) -> None:
    """Raise DataError for a class that no clip to train on has."""
    present = {annotation.label for annotation in annotations}
    empty = [name for label, name in enumerate(names) if label not in present]
    if empty:
        shown = ", ".join(itertools.islice(empty, 5))
        raise DataError(
            f"the training split has no clip of {len(empty)} classes ({shown}); add clips of them"
        )


def data_hash(annotations: list[Annotation]) -> str:
    """A fingerprint of names, labels and shapes: a run is resumed on the clips that it began with."""
    text = "\n".join(f"{a.name} {a.label} {a.keypoints.shape}" for a in annotations)
    return hashlib.sha256(text.encode()).hexdigest()
