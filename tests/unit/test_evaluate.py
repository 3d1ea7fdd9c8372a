"""The evaluation pass, and whether a model's classes fit the data's."""

import numpy as np
import pytest

from maskclr_edge.data import Annotation, AnnotationSet
from maskclr_edge.errors import DataError, ShapeError
from maskclr_edge.evaluation import evaluate, match_classes, mirrored
from maskclr_edge.skeleton import H36M_LEFT, H36M_RIGHT


def _first_value_as_class(clips: np.ndarray) -> np.ndarray:
    return np.eye(7, dtype=np.float32)[clips[:, 0, 0, 0, 0].astype(int)]


def _clips(classes: list[int]) -> np.ndarray:
    clips = np.zeros((len(classes), 1, 2, 17, 3), np.float32)
    clips[:, 0, 0, 0, 0] = classes
    return clips


def test_no_clip_is_dropped_and_progress_reaches_the_end() -> None:
    sizes: list[int] = []
    calls: list[tuple[int, int]] = []

    def infer(clips: np.ndarray) -> np.ndarray:
        sizes.append(len(clips))
        return _first_value_as_class(clips)

    truth = [0, 1, 2, 3, 4, 5, 6]
    result = evaluate(
        infer, _clips([0, 1, 2, 3, 4, 5, 0]), truth, batch=3, progress=lambda *call: calls.append(call[:2])
    )
    assert sizes == [3, 3, 1]
    assert calls == [(3, 7), (6, 7), (7, 7)]
    assert result.count == 7
    assert result.top1 == pytest.approx(600 / 7)
    assert result.mean_class == pytest.approx(600 / 7)
    # clip 6 is taken for class 0; of the others, all equal, 1 to 4 fill the five places
    assert result.top5 == pytest.approx(600 / 7)
    assert result.per_class.tolist() == [100.0] * 6 + [0.0]
    assert result.logits.shape == (7, 7)


def test_fewer_than_five_classes_make_top_five_certain() -> None:
    result = evaluate(lambda clips: np.zeros((len(clips), 3), np.float32), _clips([0, 0]), [1, 2])
    assert (result.top1, result.top5) == (0.0, 100.0)


@pytest.mark.parametrize(("count", "labels"), [(0, []), (2, [1]), (2, [[1], [2]])])
def test_clips_and_labels_must_match(count: int, labels: list[int]) -> None:
    with pytest.raises(ShapeError, match="one label a clip"):
        evaluate(_first_value_as_class, _clips([0] * count), np.array(labels))


def test_logits_that_are_not_numbers_are_an_error_not_a_score() -> None:
    with pytest.raises(ShapeError, match="NaN"):
        evaluate(lambda clips: np.full((len(clips), 3), np.nan, np.float32), _clips([0]), [0])


def test_mirrored_takes_the_mean_probability_of_both_views() -> None:
    def infer(clips: np.ndarray) -> np.ndarray:
        # which side the left wrist's joint is on decides: certain for the one view, even for the other
        x = clips[:, 0, 0, H36M_LEFT[0], 0]
        return np.log(np.where(x[:, None] > 0, [[0.9, 0.1]], [[0.5, 0.5]]))

    clips = np.zeros((2, 1, 2, 17, 3), np.float32)
    clips[0, 0, 0, H36M_LEFT[0], 0] = 0.4
    clips[1, 0, 0, H36M_RIGHT[0], 0] = -0.4  # the mirror image of the first
    logits = mirrored(infer)(clips)
    assert np.exp(logits) == pytest.approx(np.array([[0.7, 0.3], [0.7, 0.3]]))


def _data(names: tuple[str, ...], labels: tuple[int, ...]) -> AnnotationSet:
    keypoints = np.ones((1, 4, 17, 3), np.float32)
    annotations = tuple(
        Annotation(f"a{index}", label, keypoints, (64, 48), "coco17") for index, label in enumerate(labels)
    )
    return AnnotationSet(annotations, {"val": tuple(a.name for a in annotations)}, names, source="some.pkl")


def _labels(data: AnnotationSet) -> list[int]:
    return [annotation.label for annotation in data.annotations]


def test_names_decide_and_not_their_order() -> None:
    matched = match_classes(_data(("wave", "sit"), (0, 1, 1)), ("sit", "run", "wave"))
    assert _labels(matched) == [2, 0, 0]
    assert matched.class_names == ("sit", "run", "wave")


def test_a_file_without_names_is_taken_by_number() -> None:
    matched = match_classes(_data(("class 0", "class 1"), (1, 0)), ("sit", "run", "wave"))
    assert _labels(matched) == [1, 0]
    assert matched.class_names == ("sit", "run", "wave")


def test_a_model_without_names_takes_as_many_classes() -> None:
    assert _labels(match_classes(_data(("sit", "run"), (1, 0)), ("class 0", "class 1"))) == [1, 0]


@pytest.mark.parametrize(
    ("data_names", "model_names", "words"),
    [
        (("class 0", "class 1", "class 2"), ("sit", "run"), ("up to 2", "knows 2")),
        (("sit", "run", "wave"), ("0", "1"), ("3 classes", "2 without names")),
        (("sit", "run"), ("jump", "throw", "kick"), ("2 classes (sit, run)", "3 others (jump, throw, kick)")),
        (("sit", "wave"), ("sit", "waves"), ("'wave'", "waves")),
    ],
)
def test_classes_that_differ_are_one_line_naming_both(
    data_names: tuple[str, ...], model_names: tuple[str, ...], words: tuple[str, ...]
) -> None:
    with pytest.raises(DataError) as caught:
        match_classes(_data(data_names, tuple(range(len(data_names)))), model_names)
    message = str(caught.value)
    assert "\n" not in message
    assert "some.pkl" in message
    for word in words:
        assert word in message
