"""The Runner's part that every backend shares: packing, chunks, absent features, threads, closing."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from maskclr_edge.checkpoint import ModelConfig
from maskclr_edge.errors import ConfigError, EngineError, ShapeError
from maskclr_edge.runtime import Runner
from maskclr_edge.runtime import runner as runner_module
from maskclr_edge.skeleton import SkeletonContract

CONFIG = ModelConfig(3, dim_feat=8, dim_rep=2, depth=1, num_heads=2, hidden_dim=8)


class Counting(Runner):
    """Features are means of a nonlinear function; every encoder call is written down."""

    name = "counting"

    def __init__(self, **contract: Any) -> None:
        super().__init__(CONFIG, SkeletonContract(("a", "b", "c"), 30, **contract), "fp32")
        self.calls: list[tuple[int, ...]] = []
        self.released = 0
        self.wait: threading.Event | None = None

    @classmethod
    def open(cls, source: Any, precision: str, threads: int | None) -> "Counting":
        return cls()

    def _encode(self, persons: np.ndarray) -> np.ndarray:
        self.calls.append(persons.shape)
        assert persons.flags.c_contiguous
        if self.wait is not None:
            self.wait.wait(10)
        return np.cos(persons[..., :2]).sum(axis=1).reshape(len(persons), 34)

    def _head(self, features: np.ndarray) -> np.ndarray:
        assert features.shape[1:] == (self.contract.persons, 34)
        return features.mean(axis=1)[:, :3]

    def _close(self) -> None:
        self.released += 1

    @property
    def persons(self) -> int:
        return sum(shape[0] for shape in self.calls)


def clips(*present: tuple[int, ...], frames: int = 6, seed: int = 0) -> np.ndarray:
    """Clips whose persons are there (1) or exact zeros (0)."""
    there = np.array(present, np.float32)
    points = np.random.default_rng(seed).normal(size=(*there.shape, frames, 17, 3))
    return points.astype(np.float32) * there[..., None, None, None]


def padded(batch: np.ndarray) -> np.ndarray:
    """What an unpacked run of the same network gives."""
    return np.cos(batch[..., :2]).sum(axis=2).reshape(len(batch), 2, 34).mean(axis=1)[:, :3]


@pytest.mark.parametrize(
    "present",
    [
        [(1, 1)],
        [(1, 0)],
        [(0, 1)],
        [(0, 0)],
        [(1, 1), (1, 0), (0, 1), (0, 0), (1, 1)],
        [(0, 0), (0, 0)],
    ],
)
def test_packing_equals_padding(present: list[tuple[int, int]]) -> None:
    runner = Counting()
    batch = clips(*present)
    assert np.allclose(runner.infer(batch), padded(batch), atol=1e-6)
    absent = any(0 in slots for slots in present)
    assert runner.persons == sum(map(sum, present)) + absent


def test_absent_persons_cost_nothing_after_the_first_of_a_length() -> None:
    runner = Counting()
    for _ in range(3):
        runner.infer(clips((1, 0)))
    assert runner.persons == 3 + 1
    runner.infer(clips((1,)))
    assert runner.persons == 5
    runner.infer(clips((0, 0)))
    assert runner.persons == 5
    runner.infer(clips((1, 0), frames=7))
    assert runner.calls[-2:] == [(1, 7, 17, 3), (1, 7, 17, 3)]


def test_features_of_absent_persons_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "ABSENT_KEPT", 2)
    runner = Counting()
    for frames in (1, 2, 1, 3, 1, 2):  # 2 is the one least used when 3 comes
        runner.infer(clips((0, 0), frames=frames))
    assert [shape[1] for shape in runner.calls] == [1, 2, 3, 2]


def test_one_person_given_is_one_slot_filled() -> None:
    runner = Counting()
    one = clips((1,), (1,))
    both = np.concatenate([one, np.zeros_like(one)], axis=1)
    assert np.array_equal(runner.infer(one), runner.infer(both))
    assert np.array_equal(runner.infer(one[0]), runner.infer(both)[:1])


def test_a_person_whose_zeros_are_negative_is_absent() -> None:
    runner = Counting()
    runner.infer(-np.zeros((1, 2, 4, 17, 3), np.float32))
    assert runner.persons == 1


def test_one_slot_models() -> None:
    runner = Counting(persons=1)
    assert runner.infer(clips((1,), (0,))).shape == (2, 3)
    with pytest.raises(ShapeError, match="2 persons"):
        runner.infer(clips((1, 1)))


def test_projected_persons_are_all_run() -> None:
    runner = Counting(absent="projected")
    runner.infer(clips((1, 0), (1, 1)))
    assert runner.persons == 4
    with pytest.raises(ShapeError, match="absent='zeros'"):
        runner.infer(clips((1,)))
    runner.use_absent(None)
    runner.use_absent("projected")
    runner.use_absent("zeros")
    runner.infer(clips((1,)))
    assert runner.persons == 4 + 2
    with pytest.raises(ConfigError, match="takes zeros only"):
        runner.use_absent("projected")
    with pytest.raises(ConfigError, match="takes zeros only"):
        runner.use_absent("maybe")


def test_huge_batches_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "frames_per_call", 20)
    monkeypatch.setattr(runner_module, "CLIPS_AT_ONCE", 4)
    runner = Counting()
    batch = clips(*[(1, 1), (1, 0)] * 5)
    assert np.allclose(runner.infer(batch), padded(batch), atol=1e-6)
    assert max(shape[0] for shape in runner.calls) == 3
    assert np.allclose(runner.infer(clips((1, 1), frames=50)), padded(clips((1, 1), frames=50)), atol=1e-5)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros((1, 2, 0, 17, 3)), "frames"),
        (np.zeros((1, 2, 244, 17, 3)), "244 frames"),
        (np.zeros((1, 3, 5, 17, 3)), "3 persons"),
        (np.zeros((0, 2, 5, 17, 3)), "at least 1 clip"),
        (np.zeros((1, 2, 5, 18, 3)), "18 joints"),
        (np.full((1, 2, 5, 17, 3), np.nan), "NaN"),
        (np.zeros((5, 17, 3)), "shape"),
        (np.array([["a"]]), "dtype"),
    ],
)
def test_clips_are_checked_before_anything_runs(bad: np.ndarray, says: str) -> None:
    runner = Counting()
    with pytest.raises(ShapeError, match=says):
        runner.infer(bad)
    assert runner.calls == []


def test_fewest_frames() -> None:
    with pytest.raises(ShapeError, match="5 frames, expected at least 6"):
        Counting(min_frames=6).infer(clips((1, 1), frames=5))


def test_close_is_idempotent_and_final() -> None:
    with Counting() as runner:
        runner.infer(clips((1, 0)))
        assert not runner.closed
    runner.close()
    assert (runner.closed, runner.released) == (True, 1)
    with pytest.raises(EngineError, match="counting runner is closed"):
        runner.infer(clips((1, 0)))


def test_close_waits_for_running_calls() -> None:
    runner = Counting()
    runner.wait = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(runner.infer, clips((1, 1)))
        while not runner.calls:
            time.sleep(0.001)
        closing = pool.submit(runner.close)
        while not runner.closed:
            time.sleep(0.001)
        assert runner.released == 0
        with pytest.raises(EngineError):
            runner.infer(clips((1, 1)))
        runner.wait.set()
        assert np.allclose(answer.result(10), padded(clips((1, 1))), atol=1e-6)
        closing.result(10)
    assert runner.released == 1


def test_a_failing_backend_leaves_the_runner_usable() -> None:
    runner = Counting()

    def fail(persons: np.ndarray) -> np.ndarray:
        raise EngineError("out of memory")

    works = runner._encode
    runner._encode = fail  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="out of memory"):
        runner.infer(clips((1, 0)))
    runner._encode = works  # type: ignore[method-assign]
    assert runner.infer(clips((1, 0))).shape == (1, 3)
    runner.close()
    assert runner.released == 1


def test_clips_of_different_lengths_are_one_call_a_length() -> None:
    runner = Counting()
    mixed = [
        clips(present, frames=frames, seed=seed)[0]
        for seed, (present, frames) in enumerate(
            [((1, 1), 6), ((1,), 9), ((1, 0), 6), ((1,), 6), ((0, 1), 9), ((0, 0), 2)]
        )
    ]
    logits = runner.infer_each(mixed)
    two = [np.concatenate([clip, np.zeros_like(clip[:1])])[None, :2] for clip in mixed]
    assert np.allclose(logits, np.concatenate([padded(clip) for clip in two]), atol=1e-6)
    assert logits.dtype == np.float32
    # the absent features of each length, then its persons in one call
    assert runner.calls == [(1, 6, 17, 3), (4, 6, 17, 3), (1, 9, 17, 3), (2, 9, 17, 3), (1, 2, 17, 3)]


def test_projected_persons_are_never_padded() -> None:
    runner = Counting(absent="projected")
    mixed = [clips((1, 1), frames=frames)[0] for frames in (4, 6, 4)]
    assert len(runner.infer_each(mixed)) == 3
    assert runner.calls == [(4, 4, 17, 3), (2, 6, 17, 3)]
    with pytest.raises(ShapeError, match="clips have 1 persons, expected 2"):
        runner.infer_each([*mixed, clips((1,), frames=4)[0]])


def test_what_is_no_list_of_clips() -> None:
    runner = Counting()
    with pytest.raises(ShapeError, match="there are no clips"):
        runner.infer_each([])
    good = clips((1,))[0]
    with pytest.raises(ShapeError, match=r"clip 1 of 2 has shape \(6, 17, 3\), expected \(persons, frames"):
        runner.infer_each([good, good[0]])
    with pytest.raises(ShapeError, match="18"):
        runner.infer_each([good, np.zeros((1, 6, 18, 3), np.float32)])
    with pytest.raises(ShapeError, match="300"):
        runner.infer_each([good, np.zeros((1, 300, 17, 3), np.float32)])
