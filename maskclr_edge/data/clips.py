"""Annotations to the arrays that networks take."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from maskclr_edge.data.annotations import Annotation
from maskclr_edge.errors import DataError, MaskclrEdgeError
from maskclr_edge.skeleton import SkeletonContract, preprocess


def make_clips(
    annotations: Sequence[Annotation],
    contract: SkeletonContract,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Prepare annotations by the contract: clips float32 (N, persons, frames, 17, 3) and labels int64 (N,).

    ``progress`` is called with (done, total, what). Raises DataError for no annotations, and for a label
    that the contract's classes do not reach; errors of a recording name its annotation.
    """
    if not annotations:
        raise DataError("there are no annotations to make clips of; choose a split that has some")
    total, classes = len(annotations), len(contract.class_names)
    clips = np.empty((total, contract.persons, contract.frames, 17, 3), dtype=np.float32)
    labels = np.empty(total, dtype=np.int64)
    for position, annotation in enumerate(annotations):
        if not 0 <= annotation.label < classes:
            raise DataError(
                f"annotation {annotation.name!r} has label {annotation.label}, the model knows "
                f"{classes} classes (0 to {classes - 1}); use data of the classes it was trained on"
            )
        try:
            clips[position] = preprocess(
                annotation.keypoints,
                contract,
                layout=annotation.layout,
                resolution_wh=annotation.resolution_wh,
            )
        except MaskclrEdgeError as error:
            raise type(error)(f"annotation {annotation.name!r}: {error}") from error
        labels[position] = annotation.label
        if progress is not None:
            progress(position + 1, total, "clips")
    return clips, labels
