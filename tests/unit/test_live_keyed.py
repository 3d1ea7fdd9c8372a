"""Spans by keys, from an injected source of them."""

from types import SimpleNamespace

import numpy as np
import pytest

from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.live.keyed import KeyedKeeper
from maskclr_edge.live.own_clips import cut_clips
from maskclr_edge.live.view import EndRun

PERSON = np.linspace((50, 50, 0.9), (150, 250, 0.9), 17).astype(np.float32)


def watched(keys, seconds=20.0, labels=("wave", "clap")):
    """A keeper of one person at 10 fps while ``keys``, {second: keys}, were pressed; and what it told."""
    waiting, told = [""], []

    def pressed():
        now, waiting[0] = waiting[0], ""
        return now

    keeper = KeyedKeeper(labels, pressed, lambda label, spans: told.append((label, spans)))
    for index in range(int(10 * seconds)):
        waiting[0] += keys.get(index / 10, "")
        people = [SimpleNamespace(number=1, keypoints=PERSON)]
        keeper.show(SimpleNamespace(time_s=index / 10, people=people))
    return keeper, told


def spans(keys, **more):
    keeper, _ = watched(keys, **more)
    keeper.finish()
    return [(span.start_s, span.end_s, span.label) for span in keeper.spans]


def test_a_key_begins_a_label_and_ends_it_and_another_takes_over():
    assert spans({2.0: "1", 5.0: "1", 6.0: "2", 9.0: "1", 12.0: " "}) == [
        (2, 5, "wave"), (6, 9, "clap"), (9, 12, "wave"),
    ]  # fmt: skip


def test_what_goes_on_ends_with_the_run_and_keys_that_mean_nothing_do_nothing():
    assert spans({2.0: "x3 \x1b[A", 4.0: "2", 6.0: "zz9"}, seconds=10) == [(4, 9.9, "clap")]


def test_backspace_takes_back_what_goes_on_or_else_the_last():
    assert spans({1.0: "1", 3.0: "\x7f", 4.0: "2", 8.0: "2", 9.0: "1", 12.0: "1", 13.0: "\b"}) == [
        (4, 8, "clap")
    ]
    assert spans({1.0: "\x7f", 2.0: "11", 3.0: "2", 6.0: " "}) == [(3, 6, "clap")]  # no span without time


def test_q_ends_the_run():
    with pytest.raises(EndRun):
        watched({1.0: "1", 3.0: "q"})


def test_each_change_is_told():
    _, told = watched({1.0: "1", 4.0: "2", 7.0: " ", 8.0: "\x7f", 9.0: "?"})
    assert told == [("wave", 1), ("clap", 2), (None, 2), (None, 1)]


def test_keyed_spans_become_clips_of_who_was_seen_then():
    keeper, _ = watched({1.0: "1", 6.0: "2", 11.0: " "})
    keeper.finish()
    found = cut_clips(keeper, name="me", layout="coco17", resolution_wh=(640, 480), fps=10.0).annotations
    assert found.class_names == ("wave", "clap")
    assert {found.class_names[one.label] for one in found.split("val")} == {"wave", "clap"}


def test_nothing_pressed_and_labels_without_keys_are_said():
    keeper, _ = watched({})
    with pytest.raises(DataError, match="1 wave, 2 clap"):
        keeper.finish()
    for labels in (["a"] * 2, [f"label {n}" for n in range(10)], [""]):
        with pytest.raises(ConfigError):
            watched({}, labels=labels)
