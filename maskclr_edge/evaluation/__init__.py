"""How good logits are, whatever gave them. No torch."""

from maskclr_edge.evaluation.classes import match_classes
from maskclr_edge.evaluation.evaluate import Evaluation, evaluate
from maskclr_edge.evaluation.metrics import (
    class_accuracies,
    confusion_matrix,
    mean_class_accuracy,
    top_k_accuracy,
)

__all__ = [
    "Evaluation",
    "class_accuracies",
    "confusion_matrix",
    "evaluate",
    "match_classes",
    "mean_class_accuracy",
    "top_k_accuracy",
]
