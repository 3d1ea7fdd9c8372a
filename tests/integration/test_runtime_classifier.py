"""The Classifier on a hand-made bundle: keypoints of any layout in, ranked labels or embeddings out."""

from typing import Any

import numpy as np
import pytest
from backends import BACKENDS

import maskclr_edge
from maskclr_edge.deploy.parity import probe_clips
from maskclr_edge.errors import ConfigError, EngineError, ShapeError
from maskclr_edge.runtime import Classifier


@pytest.mark.parametrize(("absent", "wanted"), [("zeros", [1, 2]), ("projected", [2, 2])])
def test_the_classifier_prepares_what_its_calls_need(
    tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch, absent: str, wanted: list[int]
) -> None:
    keypoints = np.random.default_rng(3).uniform(0, 400, (2, 40, 17, 3))
    with Classifier.open(tiny_bundle.write(contract={"absent": absent})) as classifier:
        runner = classifier.runner
        prepared: list[tuple[int, ...]] = []
        used: list[tuple[int, ...]] = []
        monkeypatch.setattr(runner, "_prepare", lambda *shape: prepared.append(shape))
        classifier.prepare()
        classifier.prepare(2)
        encode = runner._encode
        monkeypatch.setattr(runner, "_encode", lambda array: (used.append(array.shape[:2]), encode(array))[1])
        classifier(keypoints[:1], "coco17", (640, 480))
        classifier(keypoints, "coco17", (640, 480))
        assert prepared == used == [(persons, 30) for persons in wanted]


def test_classifier(tiny_bundle: Any) -> None:
    keypoints = np.random.default_rng(3).uniform(0, 400, (40, 17, 3))
    keypoints[..., 2] = 0.9
    with maskclr_edge.Classifier.open(tiny_bundle.write()) as classifier:
        answers = classifier(keypoints, layout="coco17", resolution_wh=(640, 480), top=3)
        probabilities = classifier.probabilities(keypoints[None], "coco17", (640, 480))
        assert [answer.index for answer in answers] == np.argsort(-probabilities)[:3].tolist()
        assert answers[0].label == classifier.contract.class_names[answers[0].index]
        assert answers[0].probability == probabilities.max()
        assert (probabilities.dtype, probabilities.shape) == (np.float64, (5,))
        assert probabilities.sum() == pytest.approx(1)
        assert len(classifier(keypoints, "coco17", (640, 480), top=50)) == 5
        with pytest.raises(ConfigError, match="top is 0"):
            classifier(keypoints, "coco17", (640, 480), top=0)
        with pytest.raises(ConfigError, match="coco17"):
            classifier(keypoints, "coco71", (640, 480))
        with pytest.raises(ShapeError, match=r"\(persons, frames, 17, 3\)"):
            classifier(keypoints[..., :2], "coco17", (640, 480))
        with pytest.raises(ConfigError, match="gives no embeddings"):
            classifier.embed(keypoints, "coco17", (640, 480))
    with pytest.raises(EngineError, match="closed"):
        classifier(keypoints, "coco17", (640, 480))


@pytest.mark.parametrize("backend", BACKENDS)
def test_classifier_takes_a_list_of_mixed_lengths(tiny_bundle: Any, backend: str) -> None:
    mixed = [
        probe_clips(1, 1 + index % 2, frames, seed=index)[0] for index, frames in enumerate((3, 30, 3, 7, 30))
    ]
    with Classifier.open(tiny_bundle.write(), backend, threads=1) as classifier:
        alone = np.concatenate([classifier.classify_clips(clip[None]) for clip in mixed])
        assert np.allclose(classifier.classify_clips(mixed), alone, atol=1e-5)
    path = tiny_bundle.write("embed", model={"head": "embed", "hidden_dim": 5})
    with Classifier.open(path, backend, threads=1) as classifier:
        alone = np.concatenate([classifier.embed_clips(clip[None]) for clip in mixed])
        assert np.allclose(classifier.embed_clips(mixed), alone, atol=1e-4)


def test_classifier_ranks_equals_by_index(tiny_bundle: Any) -> None:
    with Classifier.open(tiny_bundle.write()) as classifier:
        assert [answer.index for answer in classifier.rank(np.array([0.1, 0.4, 0.1, 0.4, 0.0]))] == [
            1,
            3,
            0,
            2,
            4,
        ]


def test_classifier_of_embeddings(tiny_bundle: Any) -> None:
    path = tiny_bundle.write(model={"head": "embed", "hidden_dim": 5})
    keypoints = np.random.default_rng(3).uniform(0, 400, (40, 17, 3))
    with Classifier.open(path) as classifier:
        assert classifier.embed(keypoints, "coco17", (640, 480)).shape == (5,)
        assert classifier.embed_clips(probe_clips(3, 2, 6, seed=0)).shape == (3, 5)
        for call in (classifier, classifier.probabilities):
            with pytest.raises(ConfigError, match=r"knows no classes; use embed\(\)"):
                call(keypoints, "coco17", (640, 480))
