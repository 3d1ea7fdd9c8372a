"""Accuracy of logits (N, K) against labels (N,), in percent.

Ties are broken as everywhere in this package: of equal logits the class with the lower index comes first.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ShapeError


def top_k_accuracy(logits: npt.ArrayLike, labels: npt.ArrayLike, k: int = 1) -> float:
    """Percent of clips whose label is among the ``k`` largest logits; 100 where K <= k.

    Raises ShapeError for logits that are not (N, K), hold NaN, or do not fit the labels (N,), and for k < 1.
    """
    scores, truth = _checked(logits, labels)
    if k < 1:
        raise ShapeError(f"top-k accuracy was asked for k = {k}, expected 1 or more")
    return 100.0 * float(np.mean(_ranks(scores, truth) < k))


def class_accuracies(logits: npt.ArrayLike, labels: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Percent of each class's clips that are named rightly, (K,); NaN for a class without clips."""
    matrix = confusion_matrix(logits, labels)
    counts = matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        result: npt.NDArray[np.float64] = 100.0 * np.diagonal(matrix) / counts
    return result


def mean_class_accuracy(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean accuracy of the classes that have clips, in percent: a rare class counts like any other."""
    return float(np.nanmean(class_accuracies(logits, labels)))


def confusion_matrix(logits: npt.ArrayLike, labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Counts (K, K): row the true class, column the class with the largest logit."""
    scores, truth = _checked(logits, labels)
    classes = scores.shape[1]
    pairs = truth * classes + scores.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def _ranks(scores: npt.NDArray[Any], truth: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Place (N,) of the true class among the classes, 0 for the best."""
    own = np.take_along_axis(scores, truth[:, None], axis=1)  # (N, 1)
    before = np.arange(scores.shape[1]) < truth[:, None]
    ranks: npt.NDArray[np.int64] = ((scores > own) | ((scores == own) & before)).sum(axis=1)
    return ranks


def _checked(logits: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    scores, truth = np.asarray(logits), np.asarray(labels)
    if scores.ndim != 2 or 0 in scores.shape or truth.shape != scores.shape[:1]:
        raise ShapeError(
            f"logits have shape {scores.shape} and labels {truth.shape}, "
            "expected (N, K) and (N,) with N, K >= 1"
        )
    if not np.issubdtype(truth.dtype, np.integer):
        raise ShapeError(f"labels are {truth.dtype}, expected whole numbers")
    if truth.min() < 0 or truth.max() >= scores.shape[1]:
        raise ShapeError(
            f"labels go from {truth.min()} to {truth.max()}, "
            f"the logits know classes 0 to {scores.shape[1] - 1}"
        )
    if np.isnan(scores).any():  # a NaN compares as false and would count as a right answer
        bad = int(np.isnan(scores).any(axis=1).argmax())
        raise ShapeError(f"logits hold NaN (first in clip {bad}), check the model's weights")
    return scores, truth.astype(np.int64)
