"""One-shot recognition: a clip belongs to the class of the exemplar whose embedding is nearest by cosine.

The protocol of NTU RGB+D 120 (Liu et al. 2019): 20 classes that training has not seen, one exemplar each.
Source of the form: MotionBERT train_action_1shot.py, with split ``oneshot_train`` (the exemplars) and
``oneshot_val`` (all other clips of those classes) of ``ntu120_hrnet_oneshot.pkl``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import DataError, ShapeError
from maskclr_edge.evaluation.evaluate import Evaluation, Infer, score

#: labels of the classes that have exemplars; the other 100 are trained on
ONESHOT_CLASSES = tuple(range(0, 120, 6))
EXEMPLAR_SPLIT = "oneshot_train"
TEST_SPLIT = "oneshot_val"


def evaluate_oneshot(
    embed: Infer,
    exemplars: npt.NDArray[Any],
    exemplar_labels: npt.NDArray[np.int64],
    clips: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    *,
    batch: int = 32,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[Evaluation, npt.NDArray[np.int64]]:
    """Name clips (N, M, T, 17, 3) by exemplars (E, M, T, 17, 3); ``embed`` gives embeddings (N, D).

    Gives the evaluation, in which "logits" (N, K) are the cosine similarities to the nearest exemplar of each
    of the K exemplar classes, and the labels (K,) that its columns stand for, ascending. Raises DataError for
    a clip whose class has no exemplar, ShapeError for no exemplar or clip, labels that do not fit, and
    embeddings that are not finite.
    """
    for what, some, given in (("exemplars", exemplars, exemplar_labels), ("clips", clips, labels)):
        if len(some) == 0 or np.shape(given) != (len(some),):
            raise ShapeError(
                f"{len(some)} {what} came with labels of shape {np.shape(given)}, expected one each"
            )
    classes, columns = np.unique(exemplar_labels, return_inverse=True)
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise DataError(
            f"clips of class {int(unknown[0])} are to be named and there is no exemplar of it; "
            f"the exemplars are of {', '.join(map(str, classes[:20]))}"
        )
    total = len(exemplars) + len(clips)
    anchors = _embeddings(embed, exemplars, batch, 0, total, progress)
    tested = _embeddings(embed, clips, batch, len(exemplars), total, progress)
    similarity = tested @ anchors.T  # (N, E)
    best = np.full((len(clips), len(classes)), -np.inf, np.float32)
    for exemplar, column in enumerate(columns):
        np.maximum(best[:, column], similarity[:, exemplar], out=best[:, column])
    return score(best, np.searchsorted(classes, labels)), classes.astype(np.int64)


def _embeddings(
    embed: Infer,
    clips: npt.NDArray[Any],
    batch: int,
    before: int,
    total: int,
    progress: Callable[[int, int, str], None] | None,
) -> npt.NDArray[np.float32]:
    """Embeddings (N, D) of length 1, or 0 where the network gives nothing."""
    parts = []
    for start in range(0, len(clips), batch):
        parts.append(np.asarray(embed(clips[start : start + batch]), dtype=np.float32))
        if progress is not None:
            progress(before + min(start + batch, len(clips)), total, "embedding")
    found = np.concatenate(parts)
    if found.ndim != 2 or not np.isfinite(found).all():
        raise ShapeError(f"embeddings have shape {found.shape} or are not finite, check the model's weights")
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1e-12), dtype=np.float32)
