"""Which clips a run sees: the holdout is each class's last clips, one-shot batches group classes."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch")
from maskclr_edge.data import made_up_clips
from maskclr_edge.training.clip_choice import epoch_order, hold_out


def test_the_holdout_is_the_last_clips_of_each_class_by_name():
    data = made_up_clips(40, seed=0, classes=("squat", "pullup", "situp"))
    mixed = [data.annotations[i] for i in np.random.default_rng(0).permutation(40)]
    kept, held = hold_out(mixed, 0.25)
    assert sorted(a.name for a in kept + held) == sorted(a.name for a in mixed)
    assert [a.name for a in kept] == [a.name for a in mixed if a in kept]  # the order is the caller's
    for label in range(3):
        names = [{a.name for a in part if a.label == label} for part in (kept, held)]
        assert max(names[0]) < min(names[1])
        assert len(names[1]) == len(names[0] | names[1]) - round(0.75 * len(names[0] | names[1]))
    assert hold_out(mixed, 0.0) == (mixed, [])
    again = [dataclasses.replace(a) for a in sorted(mixed, key=lambda a: a.name)]
    assert {a.name for a in hold_out(again, 0.25)[1]} == {a.name for a in held}


@pytest.mark.parametrize("per_class", [2, 3])
def test_an_epoch_groups_clips_of_a_class_and_repeats_none(per_class):
    labels = np.random.default_rng(0).integers(5, size=83)
    order = epoch_order(labels, per_class, np.random.default_rng(1))
    groups = order.reshape(-1, per_class)
    assert (labels[groups] == labels[groups][:, :1]).all()
    assert (
        len(set(order.tolist())) == len(order) == sum(n // per_class * per_class for n in np.bincount(labels))
    )
    assert len(set(labels[groups][:8, 0].tolist())) > 1  # classes are mixed
    other = epoch_order(labels, per_class, np.random.default_rng(2))
    assert order.tolist() != other.tolist()


def test_an_epoch_of_single_clips_holds_each_once():
    order = epoch_order(np.zeros(9, int), 1, np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(9))
