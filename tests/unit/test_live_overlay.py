"""What the overlay shows, read back from its pixels."""

import numpy as np
import pytest

pytest.importorskip("cv2", reason="drawing needs OpenCV")
from maskclr_edge.live.figures import Figures
from maskclr_edge.live.labeller import Labelled
from maskclr_edge.live.overlay import Overlay, colour_of
from maskclr_edge.live.view import DrawnView

SIZE = (640, 480)
BODY = np.random.default_rng(0).uniform((250, 200), (390, 430), (17, 2))
FIGURES = Figures(1.0, 29.7, 40.0, 0, 1, {"pose": 20.0})


def person(number=1, *, confidence=0.95, dx=0.0, **more):
    keypoints = np.concatenate((BODY + np.array((dx, 0)), np.full((17, 1), confidence)), axis=1).astype(
        np.float32
    )
    given = {"trail": (), "label": "squat", "probability": 0.8, "top": (("squat", 0.8), ("bowl", 0.1))}
    return Labelled(number, keypoints, **(given | more))


def drawn(*people, size=SIZE, image=None, **more):
    return Overlay(size, "coco17").draw(image, people, more.pop("figures", FIGURES), **more)


def count(picture, colour, within=12):
    """Pixels of about a colour."""
    return int((np.abs(picture.astype(int) - colour).max(axis=-1) <= within).sum())


def test_a_skeleton_is_green_where_it_is_clear_and_orange_where_not():
    green, orange = (150, 225, 80), (60, 120, 245)
    clear, vague = drawn(person(confidence=1.0)), drawn(person(confidence=0.3))
    assert count(clear, green) > 300 and count(clear, orange) == 0
    assert count(vague, orange) > 300 and count(vague, green) == 0
    unseen = drawn(person(confidence=0.0))
    assert count(unseen, green) + count(unseen, orange) == 0


def test_each_person_has_a_card_of_their_own_and_cards_keep_apart():
    alone = [count(drawn(person(number, dx=dx)), colour_of(number)) for number, dx in ((1, -20), (2, 20))]
    both = drawn(person(1, dx=-20), person(2, dx=20))
    for number, expected in zip((1, 2), alone, strict=True):
        # nothing of one card lies under the other; skeletons may cross the edge of one
        assert count(both, colour_of(number)) > 0.9 * expected > 150


def test_the_bar_is_as_long_as_the_class_is_likely():
    def bar(share):
        return count(drawn(person(top=(("squat", share),))), colour_of(1), within=60)

    assert bar(0.2) + 300 < bar(0.6) < bar(0.9) - 200


def test_a_joint_glows_as_much_as_the_model_looks_at_it():
    plain = drawn(person())
    importance = np.full(17, 0.01, np.float32)
    importance[13] = 0.84  # the left wrist, in H36M order
    lit = drawn(person(importance=importance))
    changed = np.argwhere((plain != lit).any(axis=-1)).mean(axis=0)[::-1]
    assert np.abs(changed - BODY[9]).max() < 6  # coco17's left wrist


def test_a_trail_is_drawn():
    trail = tuple((50.0 + 4 * step, 420.0) for step in range(30))
    assert count(drawn(person(trail=trail)), colour_of(1)) > count(drawn(person()), colour_of(1)) + 30


def test_what_is_dropped_and_what_the_source_says_stands_out():
    amber = (80, 190, 255)
    calm = count(drawn(), amber, 40)
    dropping = Figures(1.0, 29.7, 40.0, 12, 0, {})
    away = Figures(1.0, 0.0, 40.0, 0, 0, {}, ("camera 0 is away",))
    assert calm == 0 < count(drawn(figures=dropping), amber, 40) < count(drawn(figures=away), amber, 40)


def test_a_picture_of_any_size_and_names_of_any_kind():
    odd = "é" * 300 + "\N{SNOWMAN}_" + "long" * 80
    for size in ((32, 24), (101, 67), (384, 288), (1920, 1080)):
        image = np.full((size[1], size[0], 3), 90, np.uint8)
        overlay = Overlay(size, "coco17")
        there = person(9, label=odd, top=((odd, 1.0),) * 3)
        picture = overlay.draw(image, [there], FIGURES, odd)
        assert picture.shape == (overlay.size_wh[1], overlay.size_wh[0], 3)
        assert (image == 90).all()  # a moment is shared: nothing is drawn on its image


def test_a_picture_is_drawn_once_and_only_where_it_is_wanted():
    class Sink:
        def __init__(self, wanted):
            self.wanted, self.pictures = wanted, []

        def take(self, picture, time_s):
            self.pictures.append(picture)

    class Moment:
        image, people, figures, time_s = None, (), FIGURES, 0.0

    first, second, closed = Sink(True), Sink(True), Sink(False)
    DrawnView(Overlay(SIZE, "coco17"), [first, closed, second]).show(Moment())
    assert first.pictures[0] is second.pictures[0] and not closed.pictures
