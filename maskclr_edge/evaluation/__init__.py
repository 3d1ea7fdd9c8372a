"""How good logits are, whatever gave them. No torch."""

from maskclr_edge.evaluation.classes import match_classes
from maskclr_edge.evaluation.evaluate import Evaluation, Infer, evaluate, mirrored, score
from maskclr_edge.evaluation.identity import model_identity
from maskclr_edge.evaluation.metrics import (
    class_accuracies,
    confusion_matrix,
    mean_class_accuracy,
    top_k_accuracy,
)
from maskclr_edge.evaluation.oneshot import ONESHOT_CLASSES, evaluate_oneshot
from maskclr_edge.evaluation.recovery import CellRecovery, Recovery, recovery
from maskclr_edge.evaluation.robustness import CellResult, SuiteResult, run_suite, summarise
from maskclr_edge.evaluation.row_store import CLEAN, Row, RowStore, Task

__all__ = [
    "CLEAN",
    "ONESHOT_CLASSES",
    "CellRecovery",
    "CellResult",
    "Evaluation",
    "Infer",
    "Recovery",
    "Row",
    "RowStore",
    "SuiteResult",
    "Task",
    "class_accuracies",
    "confusion_matrix",
    "evaluate",
    "evaluate_oneshot",
    "match_classes",
    "mean_class_accuracy",
    "mirrored",
    "model_identity",
    "recovery",
    "run_suite",
    "score",
    "summarise",
    "top_k_accuracy",
]
