"""One pass of clips through anything that gives logits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ShapeError
from maskclr_edge.evaluation.metrics import class_accuracies, mean_class_accuracy, top_k_accuracy
from maskclr_edge.skeleton import flip_clips

#: clips (N, M, T, 17, 3) in, logits (N, K) out: a Runner's ``infer``, or a network behind a function
Infer = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Accuracies in percent, the number of clips, and the logits (N, K) and labels (N,) they come from."""

    top1: float
    top5: float
    mean_class: float
    count: int
    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    @property
    def per_class(self) -> npt.NDArray[np.float64]:
        """Accuracy of each class in percent, (K,); NaN for a class without clips."""
        return class_accuracies(self.logits, self.labels)

    def summary(self) -> dict[str, float | int]:
        """The figures that a report or a JSON file holds."""
        return {"top1": self.top1, "top5": self.top5, "mean_class": self.mean_class, "clips": self.count}


def evaluate(
    infer: Infer,
    clips: npt.NDArray[Any],
    labels: npt.ArrayLike,
    *,
    batch: int = 32,
    progress: Callable[[int, int, str], None] | None = None,
) -> Evaluation:
    """Run all clips (N, M, T, 17, 3), the last short batch included, and compare with labels (N,).

    ``progress`` is called with (done, total, what). Raises ShapeError when there are no clips, labels do not
    fit, or the logits hold NaN; whatever ``infer`` raises passes through.
    """
    truth = np.asarray(labels)
    total = len(clips)
    if total == 0 or truth.shape != (total,):
        raise ShapeError(f"{total} clips came with labels of shape {truth.shape}, expected one label a clip")
    if batch < 1:
        raise ShapeError(f"batch is {batch}, expected 1 or more")
    parts = []
    for start in range(0, total, batch):
        parts.append(np.asarray(infer(clips[start : start + batch]), dtype=np.float32))
        if progress is not None:
            progress(min(start + batch, total), total, "evaluating")
    return score(np.concatenate(parts), truth)


def mirrored(infer: Infer) -> Infer:
    """``infer`` asked twice, for clips and for their mirror images: logits (N, K) of the mean probability.

    Mirror images of actions are the same actions; asking about both costs twice the time.
    """

    def both(clips: npt.NDArray[Any]) -> npt.NDArray[Any]:
        views = [infer(view) for view in (clips, flip_clips(clips))]
        logs = [view - np.logaddexp.reduce(view, axis=-1, keepdims=True) for view in views]
        mean: npt.NDArray[Any] = np.logaddexp(*logs) - np.log(2)
        return mean

    return both


def score(logits: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> Evaluation:
    """The accuracies of logits (N, K) against labels (N,). Raises ShapeError as the metrics do."""
    return Evaluation(
        top1=top_k_accuracy(logits, labels, 1),
        top5=top_k_accuracy(logits, labels, 5),
        mean_class=mean_class_accuracy(logits, labels),
        count=len(logits),
        logits=logits,
        labels=labels.astype(np.int64),
    )
