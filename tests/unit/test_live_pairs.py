"""Two people side by side are one clip for a model whose contract says that classes take two."""

import numpy as np
import pytest

from maskclr_edge.errors import ConfigError
from maskclr_edge.live.labeller import Labeller, LiveSettings
from maskclr_edge.live.pairs import Pairing
from maskclr_edge.live.tracking import Track
from maskclr_edge.skeleton import SkeletonContract

NAMES = ("hug", "wave")
BODY = np.random.default_rng(3).uniform((-20, -60), (20, 60), (17, 2))


def person(x, time_s=0.0, seed=0):
    """Somebody about 120 pixels high at ``x``, moving."""
    skeleton = np.full((17, 3), 0.9, np.float32)
    sway = 8 * np.sin(6 * time_s + np.arange(17) + seed)
    skeleton[:, :2] = BODY + np.array((x, 200)) + np.stack((sway, sway), axis=1)
    return skeleton


def tracks(**places):
    return [Track(int(name[1:]), person(x), 0.0, 0.0) for name, x in places.items()]


class Model:
    """Two in a clip hug, one waves; ``two_wave`` is how likely it holds waving of two."""

    def __init__(self, two_person, two_wave=0.05):
        self.contract = SkeletonContract(NAMES, 12, two_person=two_person)
        self.two_wave, self.persons = two_wave, []

    def classify_clips(self, clips):
        present = clips[..., 2].any(axis=(2, 3)).sum(axis=1)
        self.persons.append(present.tolist())
        waves = np.where(present == 2, self.two_wave, 0.95)
        return np.stack((1 - waves, waves), axis=1)


def labels(model, *places, seconds=3.0):
    """Labels of the people at ``places`` after some seconds."""
    labeller = Labeller(model, LiveSettings(), "coco17", (800, 400))
    for index in range(int(seconds * 10)):
        people = np.stack([person(x, index / 10, seed) for seed, x in enumerate(places)])
        shown, _ = labeller.update(people, index / 10)
    middles = [float(one.keypoints[:, 0].mean()) for one in shown]
    return [shown[int(np.abs(np.array(middles) - x).argmin())].label for x in places]


def test_the_nearest_are_together_nobody_twice_and_nobody_far_away():
    # someone between two others is with the nearer one; 2.5 times a body's height is too far
    assert Pairing().update(tracks(p1=100, p2=150, p3=230, p4=700)) == [(0, 1)]
    assert Pairing().update(tracks(p1=100, p2=150, p3=230, p4=300)) == [(0, 1), (2, 3)]
    assert Pairing().update(tracks(p1=100, p2=400)) == []


def test_who_is_together_stays_so_until_somebody_is_clearly_nearer():
    pairing = Pairing()
    assert pairing.update(tracks(p1=100, p2=180, p3=300)) == [(0, 1)]
    assert pairing.update(tracks(p1=100, p2=200, p3=290)) == [(0, 1)]  # 3 is nearer to 2, but not by much
    assert pairing.update(tracks(p1=100, p2=200, p3=230)) == [(1, 2)]


def test_two_side_by_side_share_a_label_and_who_is_alone_has_none_where_all_classes_take_two():
    model = Model(NAMES)
    assert labels(model, 100, 160, 600) == ["hug", "hug", "unknown"]
    assert {tuple(call) for call in model.persons} == {(2,)}  # one clip of both, in one call
    alone = Model(NAMES)
    assert labels(alone, 100) == ["unknown"] and not alone.persons


def test_where_some_classes_take_two_a_pair_is_asked_about_both_ways():
    assert labels(Model(("hug",)), 100, 160, 600) == ["hug", "hug", "wave"]
    # two who do nothing together are answered for one by one
    model = Model(("hug",), two_wave=0.9)
    assert labels(model, 100, 160) == ["wave", "wave"]
    assert model.persons[-1] == [2, 1, 1]


def test_without_such_classes_neighbours_are_asked_about_one_by_one():
    model = Model(())
    assert labels(model, 100, 160) == ["wave", "wave"]
    assert {tuple(call) for call in model.persons} == {(1, 1)}


@pytest.mark.parametrize("two_person", [NAMES, ("hug",)])
def test_importance_is_of_each_person_of_a_pair(two_person):
    seen = []

    def importance(clips):
        seen.append(clips)
        return np.ones((len(clips), 17), np.float32)

    labeller = Labeller(Model(two_person), LiveSettings(), "coco17", (800, 400), importance=importance)
    for index in range(15):
        shown, _ = labeller.update(np.stack([person(100, index / 10), person(160, index / 10)]), index / 10)
    first, second = seen[-1]
    np.testing.assert_array_equal(first, second[::-1])
    left = first[:, :, :, 0].mean(axis=(1, 2)).argmin()  # each comes first in the own clip
    assert int(left) == int(shown[0].keypoints[:, 0].mean() > shown[1].keypoints[:, 0].mean())
    assert all(one.importance is not None for one in shown)


def test_classes_that_take_two_can_be_named_where_the_contract_does_not_say():
    for named, together in (((), False), (("hug",), True), (("all",), True)):
        model = Model(())
        settings = LiveSettings(two_person=named)
        labeller = Labeller(model, settings, "coco17", (800, 400))
        for index in range(30):
            labeller.update(np.stack([person(x, index / 10) for x in (300, 360)]), index / 10)
        assert any(2 in clips for clips in model.persons) == together
    for contract, named, said in (
        (SkeletonContract(NAMES, 12), ("dance",), "no class 'dance'"),
        (SkeletonContract(NAMES, 12, persons=1), ("all",), "one person at a time"),
    ):
        model.contract = contract
        with pytest.raises(ConfigError, match=said):
            Labeller(model, LiveSettings(two_person=named), "coco17", (800, 400))
