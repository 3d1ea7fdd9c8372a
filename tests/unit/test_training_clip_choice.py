"""Which clips a run sees: the holdout is each class's last clips, one-shot batches group classes."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch")
from maskclr_edge.data import made_up_clips, read_annotations
from maskclr_edge.training.clip_choice import epoch_order, hold_out, two_person_classes


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


def test_classes_take_two_where_most_clips_show_two_for_most_of_the_time():
    data = made_up_clips(9, seed=0, frames=(20, 21), classes=("squat", "pullup", "situp"))
    clips = []
    for annotation in data.annotations:
        beside = np.array(annotation.keypoints) + np.array((50, 0, 0), np.float32)
        if annotation.label == 1:
            beside[:, 5:] = 0  # somebody passes by
        if annotation.label != 2:
            annotation = dataclasses.replace(
                annotation, keypoints=np.concatenate((annotation.keypoints, beside))
            )
        clips.append(annotation)
    assert two_person_classes(clips, data.class_names) == data.class_names[:1]


def test_every_class_of_sbu_takes_two_and_none_of_penn_action(shared_data):
    for name, two in (("sbu", True), ("penn_action", False)):
        data = read_annotations(shared_data / f"{name}_coco17.pkl")
        assert two_person_classes(data.annotations, data.class_names) == (data.class_names if two else ())


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
