"""Which clips a run trains on, in which order, which it holds out, and whether they fit the config."""

import hashlib
import itertools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from maskclr_edge.data import Annotation, AnnotationSet
from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.evaluation.oneshot import EXEMPLAR_SPLIT, ONESHOT_CLASSES
from maskclr_edge.training.config import TrainConfig


def choose_clips(config: TrainConfig, data: AnnotationSet) -> tuple[list[Annotation], list[Annotation]]:
    """The clips to train on and those held out, checked against the config's classes.

    A class head trains on the config's split; an embedding head on all clips of the classes that one-shot
    evaluation has no exemplar of. Raises DataError and ConfigError for what does not fit.
    """
    if config.model.head == "embed":
        if config.holdout:
            raise ConfigError("holdout is for a class head; one-shot training keeps the last epoch")
        return auxiliary_clips(data), []
    check_classes(config, data)
    chosen, held_out = hold_out(data.split(config.train_split), config.holdout)
    check_every_class(chosen, data.class_names)
    return chosen, held_out


def auxiliary_clips(data: AnnotationSet) -> list[Annotation]:
    """What one-shot training may see: clips of all classes that are not exemplars'.

    Those are the classes of the split ``oneshot_train`` where the file has it, else every sixth of NTU RGB+D
    120's (MotionBERT lib/data/dataset_action.py, NTURGBD1Shot). Raises DataError where too few are left.
    """
    novel = set(ONESHOT_CLASSES)
    if EXEMPLAR_SPLIT in data.splits:
        novel = {annotation.label for annotation in data.split(EXEMPLAR_SPLIT)}
    chosen = [annotation for annotation in data.annotations if annotation.label not in novel]
    classes = {annotation.label for annotation in chosen}
    if len(classes) < 2:
        raise DataError(
            f"{data.source} has {len(classes)} classes besides the {len(novel)} that one-shot evaluation "
            "keeps for itself; training needs 2 at least: give the file of all classes (ntu120_hrnet.pkl)"
        )
    return chosen


def epoch_order(
    labels: npt.NDArray[np.int64], per_class: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """An epoch's clips in random order, in groups of ``per_class`` of a class; who fills no group waits."""
    if per_class == 1:
        return rng.permutation(len(labels))
    groups = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        groups.append(members[: len(members) // per_class * per_class].reshape(-1, per_class))
    return rng.permutation(np.concatenate(groups)).reshape(-1)


def hold_out(annotations: list[Annotation], share: float) -> tuple[list[Annotation], list[Annotation]]:
    """Split a training split into (train, holdout): the last ``share`` of each class, by the clips' names.

    Neighbours in a data set are often cut from one video, or show one subject: a random choice would hold out
    what training has all but seen.
    """
    by_class: dict[int, list[Annotation]] = {}
    for annotation in sorted(annotations, key=lambda annotation: annotation.name):
        by_class.setdefault(annotation.label, []).append(annotation)
    held = {
        annotation.name
        for members in by_class.values()
        for annotation in members[round((1 - share) * len(members)) :]
    }
    return [a for a in annotations if a.name not in held], [a for a in annotations if a.name in held]


def two_person_classes(annotations: Iterable[Annotation], names: tuple[str, ...]) -> tuple[str, ...]:
    """The classes that take two: in most of their clips two persons are there for most of the time."""
    votes: dict[int, list[bool]] = {}
    for annotation in annotations:
        there = (annotation.keypoints[..., 2] > 0).any(axis=-1).sum(axis=0)  # persons in each frame
        votes.setdefault(annotation.label, []).append(bool((there >= 2).mean() > 0.5))
    return tuple(name for label, name in enumerate(names) if np.mean(votes.get(label, [False])) > 0.5)


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
