"""Annotation files, written in pyskl's pickle form."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from maskclr_edge.data.annotations import Annotation, AnnotationSet
from maskclr_edge.errors import DataError
from maskclr_edge.files import write_atomically


def write_annotations(path: str | os.PathLike[str], annotation_set: AnnotationSet) -> None:
    """Write a pyskl annotation pickle, whole or not at all; ``read_annotations`` gives back an equal set.

    Raises DataError when it cannot be written; an older file at ``path`` then stays as it was.
    """
    content: dict[str, Any] = {
        "split": {name: list(members) for name, members in annotation_set.splits.items()},
        "annotations": [_entry(annotation) for annotation in annotation_set.annotations],
        "classes": list(annotation_set.class_names),
        "note": "MADE-UP motions, not recordings of people"
        if annotation_set.made_up
        else annotation_set.source,
        "made_up": annotation_set.made_up,
    }
    try:
        write_atomically(Path(path), pickle.dumps(content, protocol=4))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); nothing was changed"
        ) from error


def _entry(annotation: Annotation) -> dict[str, Any]:
    width, height = annotation.resolution_wh
    return {
        "frame_dir": annotation.name,
        "label": annotation.label,
        "img_shape": (height, width),
        "original_shape": (height, width),
        "total_frames": annotation.keypoints.shape[1],
        "keypoint": np.ascontiguousarray(annotation.keypoints[..., :2]),
        "keypoint_score": np.ascontiguousarray(annotation.keypoints[..., 2]),
    }
