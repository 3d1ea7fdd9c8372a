"""Metrics against cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskclr_edge.errors import ShapeError
from maskclr_edge.evaluation import (
    class_accuracies,
    confusion_matrix,
    mean_class_accuracy,
    top_k_accuracy,
)

# best class:        1                  0                  2                  0
LOGITS = np.array([[0.1, 0.9, 0.0], [2.0, -1.0, 1.0], [0.0, 0.5, 0.6], [3.0, 2.0, 1.0]])
LABELS = np.array([1, 2, 2, 1])


@pytest.mark.parametrize(("k", "percent"), [(1, 50.0), (2, 100.0), (3, 100.0), (5, 100.0)])
def test_top_k_by_hand(k: int, percent: float) -> None:
    assert top_k_accuracy(LOGITS, LABELS, k) == percent


def test_a_tie_goes_to_the_lower_index_as_in_a_ranking() -> None:
    equal = np.zeros((3, 4))
    assert top_k_accuracy(equal, [0, 1, 3], 1) == pytest.approx(100 / 3)
    assert top_k_accuracy(equal, [0, 1, 3], 2) == pytest.approx(200 / 3)
    assert confusion_matrix(equal, [0, 1, 3])[:, 0].tolist() == [1, 1, 0, 1]


def test_confusion_matrix_has_the_truth_in_rows() -> None:
    assert confusion_matrix(LOGITS, LABELS).tolist() == [[0, 0, 0], [1, 1, 0], [1, 0, 1]]


def test_mean_class_accuracy_counts_a_rare_class_like_any_other_and_skips_empty_ones() -> None:
    logits = np.eye(3)[[0, 0, 0, 0]]  # always class 0
    labels = np.array([0, 0, 0, 1])
    assert top_k_accuracy(logits, labels) == 75.0
    assert mean_class_accuracy(logits, labels) == 50.0
    per_class = class_accuracies(logits, labels)
    assert per_class[:2].tolist() == [100.0, 0.0]
    assert np.isnan(per_class[2])


@pytest.mark.parametrize(
    ("logits", "labels", "words"),
    [
        (np.zeros((2, 3)), [0], "(2, 3)"),
        (np.zeros((0, 3)), [], "(0, 3)"),
        (np.zeros(3), [0, 1, 2], "(3,)"),
        (np.zeros((2, 3)), [0, 3], "0 to 3"),
        (np.zeros((2, 3)), [-1, 0], "-1"),
        (np.zeros((2, 3)), [0.0, 1.0], "float64"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), [0, 1], "clip 1"),
    ],
)
def test_what_does_not_fit_is_refused(logits: np.ndarray, labels: list[float], words: str) -> None:
    with pytest.raises(ShapeError) as caught:
        top_k_accuracy(logits, np.array(labels))
    assert words in str(caught.value)


def test_k_below_one_is_refused() -> None:
    with pytest.raises(ShapeError, match="k = 0"):
        top_k_accuracy(LOGITS, LABELS, 0)


@given(st.integers(1, 30), st.integers(1, 8), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_top_k_is_what_a_stable_sort_gives(clips: int, classes: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.integers(-2, 3, (clips, classes)).astype(np.float32)  # many ties
    labels = rng.integers(0, classes, clips)
    order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    expected = 100 * np.mean([label in row for label, row in zip(labels, order, strict=True)])
    assert top_k_accuracy(logits, labels, k) == pytest.approx(expected)
    matrix = confusion_matrix(logits, labels)
    assert matrix.sum() == clips
    assert 100 * np.trace(matrix) / clips == pytest.approx(top_k_accuracy(logits, labels, 1))
