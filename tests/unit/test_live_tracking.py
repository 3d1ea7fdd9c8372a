"""Identities hold when people move, cross, come and go, at 30 and at 2 frames a second."""

import numpy as np
import pytest

from maskclr_edge.live.geometry import box_of, likeness, overlap, without_doubles
from maskclr_edge.live.tracking import Tracker

BODY = np.random.default_rng(3).uniform((-20, -60), (20, 60), (17, 2))


def person(x, y=200.0, confidence=0.9, size=1.0):
    skeleton = np.empty((17, 3), np.float32)
    skeleton[:, :2] = BODY * size + (x, y)
    skeleton[:, 2] = confidence
    return skeleton


def numbers(tracks):
    return {track.number: round(float(np.mean(track.keypoints[:, 0]))) for track in tracks}


@pytest.mark.parametrize("fps", [30, 10, 5])
def test_two_people_who_walk_keep_their_numbers_whatever_their_order(fps):
    tracker, rng = Tracker(), np.random.default_rng(0)
    for index in range(2 * fps):
        people = [person(100 + 40 * index / fps), person(400 - 40 * index / fps)]
        order = rng.permutation(2)
        tracks = tracker.update(np.stack(people)[order], index / fps)
        places = numbers(tracks)
        if index == 0:
            assert places == {}  # a single sight takes no number
            continue
        assert len(places) == 2
        if index == 1:
            left = min(places, key=places.__getitem__)
        assert places[left] < 250


def test_someone_who_is_away_for_a_moment_returns_as_the_same_and_after_long_as_another():
    tracker = Tracker(patience_s=1.0)
    assert tracker.update(np.stack([person(100)]), 0.0) == []
    first = tracker.update(np.stack([person(100)]), 0.1)[0].number
    assert tracker.update(np.zeros((0, 17, 3), np.float32), 0.5) == []
    assert tracker.update(np.stack([person(104)]), 0.9)[0].number == first
    assert tracker.update(np.stack([person(104)]), 3.0) == []
    assert tracker.update(np.stack([person(104)]), 3.1)[0].number != first


def test_who_is_elsewhere_from_one_frame_to_the_next_is_someone_else():
    tracker = Tracker()
    for index in range(5):
        before = tracker.update(np.stack([person(100)]), index / 30)
    assert tracker.update(np.stack([person(130)]), 5 / 30) == []  # a quarter of a body in a thirtieth second
    after = tracker.update(np.stack([person(130)]), 6 / 30)
    assert after[0].number != before[0].number
    # the first one's place is taken: they do not come back into their old track
    assert tracker.update(np.stack([person(100)]), 7 / 30) == []
    assert tracker.update(np.stack([person(100)]), 8 / 30)[0].number not in (
        before[0].number,
        after[0].number,
    )


@pytest.mark.parametrize("size", [1.0, 1.4])
def test_after_a_cut_the_newcomer_in_the_same_place_is_nobody_s_continuation(size):
    tracker = Tracker()
    for index in range(5):
        before = tracker.update(np.stack([person(100)]), index / 30)
    # two frames later the old track might be as far: only likeness tells that this is the one seen just now
    other = person(123, size=size)
    assert tracker.update(np.stack([other]), 5 / 30) == []
    after = tracker.update(np.stack([other]), 6 / 30)
    assert [track.number for track in after] == [before[0].number + 1]


def test_who_was_away_does_not_come_back_as_someone_far_off():
    tracker = Tracker()
    for index in range(3):
        tracker.update(np.stack([person(100)]), index / 10)
    tracker.update(np.zeros((0, 17, 3), np.float32), 0.3)
    for index in range(11, 13):  # 38 pixels in 0.9 s could be walked, but the boxes hardly overlap
        tracks = tracker.update(np.stack([person(138)]), index / 10)
    assert [track.number for track in tracks] == [2]


def test_a_single_frame_that_is_wrong_costs_no_number():
    tracker = Tracker()
    for index in range(10):
        tracks = tracker.update(np.stack([person(400 if index == 5 else 100)]), index / 30)
        assert [track.number for track in tracks] == ([] if index in (0, 5) else [1])


def test_no_more_than_the_most_and_no_ghosts():
    tracker = Tracker(most=3)
    crowd = np.stack([person(60 * index, confidence=0.5 + 0.02 * index) for index in range(20)])
    assert tracker.update(crowd, 0.0) == []
    tracks = tracker.update(crowd, 0.1)
    assert len(tracks) == 3
    assert min(numbers(tracks).values()) > 900  # the clearest
    for confidence in (0.05, 0.9):  # too faint at every sight, and clear but gone again
        tracker = Tracker()
        assert tracker.update(np.stack([person(100, confidence=confidence)]), 0.0) == []
        faint = (
            np.stack([person(100, confidence=0.05)]) if confidence < 0.2 else np.zeros((0, 17, 3), np.float32)
        )
        assert tracker.update(faint, 0.1) == []


def test_likeness_and_overlap_of_the_same_and_of_strangers():
    here, near, far = person(100), person(103), person(500)
    assert likeness(here, here) == pytest.approx(1)
    assert overlap(box_of(here), box_of(here)) == pytest.approx(1)
    assert 0.5 < likeness(here, near) < 1
    assert likeness(here, far) == pytest.approx(0, abs=1e-6) and overlap(box_of(here), box_of(far)) == 0
    unseen = person(100, confidence=0.0)
    assert likeness(here, unseen) == 0


def test_doubles_of_one_person_become_one():
    kept = without_doubles([person(100), person(101, confidence=0.8), person(400)], most=8)
    assert len(kept) == 2
