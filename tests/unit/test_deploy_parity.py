"""The parity check: which shapes, what passes, what does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy import parity
from maskclr_edge.deploy.parity import Probe, compare, make_probes, probe_clips, shape_grid
from maskclr_edge.errors import ConfigError
from maskclr_edge.skeleton import SkeletonContract, check_clips

CONTRACT = SkeletonContract(("a", "b"), frames=30)


def test_grids() -> None:
    corners, full = shape_grid("corners", CONTRACT), shape_grid("full", CONTRACT)
    assert len(corners) == 6
    assert len(full) == 3 * 2 * 7
    assert set(corners) <= set(full)
    assert {frames for _, _, frames in full} == {1, 2, 17, 30, 81, 242, 243}
    with pytest.raises(ConfigError, match="corners, full"):
        shape_grid("all", CONTRACT)


def test_a_grid_stays_within_the_contract() -> None:
    contract = replace(CONTRACT, persons=1, min_frames=4, max_frames=50)
    for _, persons, frames in shape_grid("full", contract):
        assert persons == 1
        assert 4 <= frames <= 50


def test_probes_are_clips_with_gaps() -> None:
    clips = probe_clips(8, 2, 30, seed=3)
    assert np.array_equal(check_clips(clips), clips)
    assert np.array_equal(clips, probe_clips(8, 2, 30, seed=3))
    assert np.abs(clips).max() <= 1
    present = clips.any(axis=(2, 3, 4))
    assert present[:, 0].all()
    assert not present[:, 1].all()
    assert present[:, 1].any()
    unseen = ~clips[present].any(axis=-1)
    assert 0.02 < unseen.mean() < 0.1


def probe(logits: np.ndarray) -> Probe:
    return Probe(probe_clips(len(logits), 1, 3, seed=0), logits)


def test_what_passes() -> None:
    small, large = probe(np.array([[0.5, -0.2]])), probe(np.array([[80.0, 2.0]]))
    exact = [small.logits.copy(), large.logits.copy()]

    def check(first: float, second: float, exactly: bool = True) -> parity.Parity:
        results = iter([exact[0] + first, exact[1] + second])
        return compare(lambda clips: next(results), [small, large], exact=exactly, reference="numpy")

    assert check(0.9e-4, 7.9e-3).passed  # the tolerance is absolute below 1, and relative above
    assert not check(1.1e-4, 0).passed
    assert not check(0, 8.1e-3).passed
    assert check(0, 8.1e-3).worst_shape == (1, 1, 3)
    assert check(0.1, 0.1, exactly=False).passed
    assert not check(0, 60.0, exactly=False).passed
    assert check(0, 0.5).max_abs_error == pytest.approx(0.5)


@pytest.mark.parametrize("result", [np.array([[np.nan, 0]]), np.array([[np.inf, 0]]), np.array([[0.5]])])
def test_nan_and_other_shapes_fail(result: np.ndarray) -> None:
    for exact in (True, False):
        outcome = compare(
            lambda clips: result, [probe(np.array([[0.5, 0.1]]))], exact=exact, reference="numpy"
        )
        assert not outcome.passed


def test_both_references_agree(
    random_checkpoint: Callable[..., Checkpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    checkpoint = random_checkpoint()
    shapes = [(2, 2, 5), (1, 1, 40)]
    by_torch, name = make_probes(checkpoint, shapes)
    monkeypatch.setattr(parity, "available", lambda package: False)
    by_numpy, other = make_probes(checkpoint, shapes)
    assert (name, other) == ("pytorch", "numpy")
    for one, two in zip(by_torch, by_numpy, strict=True):
        assert np.array_equal(one.clips, two.clips)
        assert np.allclose(one.logits, two.logits, atol=2e-5)
