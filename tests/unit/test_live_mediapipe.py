"""mediapipe on real footage: everyone is found, near and far, and who is known costs one look."""

import numpy as np
import pytest

pytest.importorskip("mediapipe", reason="needs the extra live, which has no wheel for this Python")
import cv2

from maskclr_edge.live import mediapipe_graphs
from maskclr_edge.live.geometry import box_of
from maskclr_edge.live.mediapipe_pose import MediapipePose
from maskclr_edge.live.search import search_squares


@pytest.fixture(scope="module")
def frames(shared_footage):
    capture = cv2.VideoCapture(str(shared_footage / "exercise.avi"))
    return [capture.read()[1] for _ in range(6)]


def test_three_people_stay_three_and_cost_one_look_each(frames, monkeypatch):
    looks = []
    run = mediapipe_graphs.PoseNetworks.run

    def counted(self, image, regions, squares=()):
        looks.append(len(regions))
        return run(self, image, regions, squares)

    monkeypatch.setattr(mediapipe_graphs.PoseNetworks, "run", counted)
    with MediapipePose() as pose:
        first = pose.estimate(frames[0])
        for image in frames[1:]:
            looks.clear()
            people = pose.estimate(image)
            assert people.shape == (3, 17, 3) and people.dtype == np.float32
            assert sum(looks) == 3
    lefts = sorted(float(box_of(person)[0]) for person in people)
    assert np.diff(lefts).min() > 30  # three places
    assert np.abs(np.array(sorted(float(box_of(person)[0]) for person in first)) - lefts).max() < 30
    unseen = people[people[..., 2] == 0]
    assert not unseen.any()


def test_people_who_are_small_in_the_picture_are_found_and_those_who_leave_are_gone(frames):
    far = np.full((720, 960, 3), 90, np.uint8)
    far[300:588, 500:884] = frames[0]  # the footage in a sixth of the picture
    with MediapipePose() as pose:
        looks = (pose.estimate(far) for _ in range(60))
        people = next(seen for seen in looks if len(seen) == 3)
        boxes = np.array([box_of(person) for person in people])
        assert (boxes[:, :2] >= (495, 295)).all() and (boxes[:, 2:] <= (890, 594)).all()
        assert len(pose.estimate(np.full_like(far, 90))) == 0


def test_no_more_people_than_asked_for(frames):
    with MediapipePose(max_people=2) as pose:
        assert len(pose.estimate(frames[0])) == 2 and len(pose.estimate(frames[1])) == 2


@pytest.mark.parametrize("part", [0.6, 0.35])
@pytest.mark.parametrize("size", [(1, 1), (640, 480), (100, 1000)])
def test_every_part_of_a_picture_is_in_a_square(size, part):
    covered = np.zeros((size[1], size[0]), bool)
    for x0, y0, x1, y1 in search_squares(*size, part):
        assert 0 <= x0 < x1 <= size[0] and 0 <= y0 < y1 <= size[1]
        covered[y0:y1, x0:x1] = True
    assert covered.all()
