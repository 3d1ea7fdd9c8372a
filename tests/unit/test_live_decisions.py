"""Labels hold against flicker, and admit not to know."""

from itertools import pairwise

import numpy as np

from maskclr_edge.live.decisions import IDLE, UNKNOWN, Decider

NAMES = ("clap", "squat", "wave")


def answer(name, probability=0.9):
    values = np.full(3, (1 - probability) / 2)
    values[NAMES.index(name)] = probability
    return values


def play(decider, answers, motion=0.2, hz=4, start=0.0, fullness=1.0):
    labels = []
    for index, one in enumerate(answers):
        decider.update(one, fullness, motion, start + index / hz)
        labels.append(decider.label)
    return labels


def changes(labels):
    return sum(a != b for a, b in pairwise(labels))


def test_a_steady_answer_becomes_the_label_and_single_strangers_do_not():
    answers = [answer("squat")] * 12
    answers[6] = answer("wave")
    labels = play(Decider(NAMES), answers)
    assert labels[0] == "squat" and changes(labels) == 0


def test_flicker_is_held_down():
    rng = np.random.default_rng(0)
    answers = [answer(NAMES[i], 0.55) for i in rng.integers(0, 3, 80)]
    raw = [NAMES[int(one.argmax())] for one in answers]
    assert changes(play(Decider(NAMES), answers)) < changes(raw) / 4


def test_a_new_action_is_taken_up_within_a_second():
    decider = Decider(NAMES)
    play(decider, [answer("squat")] * 12)
    labels = play(decider, [answer("wave")] * 8, start=3.0)
    assert labels[4] == "wave"


def test_nothing_clear_is_unknown():
    labels = play(Decider(NAMES), [np.full(3, 1 / 3)] * 8)
    assert set(labels) == {UNKNOWN}


def test_a_part_of_a_window_counts_less():
    half, whole = Decider(NAMES), Decider(NAMES)
    play(half, [answer("wave", 0.7)], fullness=0.3)
    play(whole, [answer("wave", 0.7)])
    assert half.label == UNKNOWN and whole.label == "wave"
    assert half.top()[0][0] == "wave" and half.top()[0][1] < whole.top()[0][1] == 0.7


def test_a_first_label_comes_sooner_than_another_in_its_place():
    decider = Decider(NAMES)
    assert play(decider, [answer("wave", 0.75)])[-1] == "wave"
    assert set(play(decider, [answer("squat", 0.75)] * 12, start=2.0)) == {"wave"}
    assert play(decider, [answer("squat", 0.95)] * 12, start=6.0)[-1] == "squat"


def test_what_follows_a_label_that_goes_needs_less_than_a_first_label():
    first = Decider(NAMES)
    assert play(first, [answer("squat", 0.65)] * 4)[-1] == UNKNOWN
    after = Decider(NAMES)
    play(after, [answer("wave")] * 4)
    # the wave is over, and neither of the others is as clear as a first label must be
    parted = np.array([0.33, 0.65, 0.02])
    assert set(play(after, [parted] * 4, start=1.0)) - {"wave"} == {"squat"}
    nothing = Decider(NAMES)
    play(nothing, [answer("wave")] * 4)
    assert play(nothing, [np.array([0.5, 0.48, 0.02])] * 6, start=1.0)[-1] == UNKNOWN


def test_someone_who_hardly_moves_is_idle():
    decider = Decider(NAMES)
    assert play(decider, [answer("wave")] * 4, motion=0.001)[-1] == IDLE
    assert play(decider, [answer("wave")] * 8, motion=0.2, start=1.0)[-1] == "wave"
