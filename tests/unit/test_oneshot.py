"""One-shot recognition on embeddings that are laid out by hand."""

import numpy as np
import pytest

from maskclr_edge.errors import DataError, ShapeError
from maskclr_edge.evaluation import ONESHOT_CLASSES, evaluate_oneshot


def clips_of(*angles):
    """Clips that carry an angle in degrees in their first value."""
    clips = np.zeros((len(angles), 1, 1, 17, 3), np.float32)
    clips[:, 0, 0, 0, 0] = angles
    return clips


def embed(clips):
    """Vectors at that angle, of different lengths: cosine must not care."""
    angle = np.deg2rad(clips[:, 0, 0, 0, 0])
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 + np.abs(angle))[:, None]


def test_the_nearest_exemplar_names_the_clip():
    result, classes = evaluate_oneshot(
        embed, clips_of(0, 90, 180), np.array([12, 0, 6]), clips_of(10, 80, 100, 179, 44, 46),
        np.array([12, 0, 6, 6, 12, 12]), batch=4,
    )  # fmt: skip
    assert classes.tolist() == [0, 6, 12]
    assert classes[result.logits.argmax(axis=1)].tolist() == [12, 0, 0, 6, 12, 0]
    assert result.top1 == pytest.approx(100 * 4 / 6)
    assert result.mean_class == pytest.approx(100 * (1 + 1 / 2 + 2 / 3) / 3)
    np.testing.assert_allclose(result.logits[0], np.cos(np.deg2rad([80, 170, 10])), atol=1e-6)


def test_several_exemplars_of_a_class_are_all_near_it():
    result, classes = evaluate_oneshot(
        embed, clips_of(0, 90, 180), np.array([1, 5, 1]), clips_of(170, 100), np.array([1, 5])
    )
    assert classes.tolist() == [1, 5] and result.top1 == 100


def test_every_clip_is_embedded_once_and_progress_reaches_the_end():
    seen, calls = [], []

    def counted(clips):
        calls.append(len(clips))
        return embed(clips)

    evaluate_oneshot(
        counted, clips_of(0, 90), np.array([0, 1]), clips_of(*range(5)), np.zeros(5, int), batch=2,
        progress=lambda done, total, what: seen.append((done, total)),
    )  # fmt: skip
    assert sum(calls) == 7 and seen[-1] == (7, 7)


def test_the_classes_of_the_protocol():
    assert len(ONESHOT_CLASSES) == 20 and ONESHOT_CLASSES[:3] == (0, 6, 12) and ONESHOT_CLASSES[-1] == 114


def test_what_is_refused():
    some, labels = clips_of(0, 90), np.array([0, 1])
    with pytest.raises(DataError, match="no exemplar of it"):
        evaluate_oneshot(embed, some, labels, some, np.array([0, 7]))
    for exemplars, given, clips, wanted in (
        (some[:0], labels[:0], some, labels),
        (some, labels, some[:0], labels[:0]),
        (some, labels[:1], some, labels),
        (some, labels, some, labels[:1]),
    ):
        with pytest.raises(ShapeError):
            evaluate_oneshot(embed, exemplars, given, clips, wanted)
    with pytest.raises(ShapeError, match="not finite"):
        evaluate_oneshot(lambda clips: embed(clips) * np.nan, some, labels, some, labels)
