"""Scores of a stream: worked out by hand on small ones, and a real run over made-up clips."""

import numpy as np
import pytest

from maskclr_edge.data import made_up_clips
from maskclr_edge.errors import DataError
from maskclr_edge.live.figures import LabelChange
from maskclr_edge.live.spans import Span
from maskclr_edge.live.stream import Stream, scores_of

NOTHING = frozenset()
SPANS = [Span(0, 2, "squat"), Span(2, 4, "wave"), Span(4, 6, "squat")]


def shown(text):
    """One letter a frame of 10 a second: s squat, w wave, . nothing."""
    return [{"s": frozenset({"squat"}), "w": frozenset({"wave"}), ".": NOTHING}[letter] for letter in text]


def change(time_s, label):
    return LabelChange(time_s, 1, label, 0.9, [])


def test_scores_by_hand():
    frames = shown("..........ssssssssss" + "sssss.....wwwwwwwwww" + "wwwwwwwwww..........")
    changes = [change(1.0, "squat"), change(2.5, "unknown"), change(3.0, "wave")]
    scores = scores_of(SPANS, 10.0, frames, changes)
    assert scores.minutes == pytest.approx(0.1) and scores.actions == 3
    assert scores.detected_percent == pytest.approx(200 / 3)
    assert scores.detection_s == pytest.approx(1.0) and scores.detection_p90_s is None
    assert scores.changes_per_minute == pytest.approx(10)  # the fall back to unknown
    assert scores.false_alarms_per_hour == 0
    assert scores.right_percent == pytest.approx(100 * 20 / 60)
    assert scores.unknown_percent == pytest.approx(100 * 25 / 60)
    # squat 1.0 to 2.5 overlaps 0 to 2 by 1 of 2.5; wave 3 to 5 overlaps 2 to 4 by 1 of 3
    assert scores.f1 == {"0.1": pytest.approx(80), "0.25": pytest.approx(80), "0.5": 0}


def test_a_wrong_label_is_a_false_alarm_and_flicker_is_counted():
    frames = shown("ww.s.s.s............" + "." * 40)
    changes = [change(0.0, "wave"), change(0.2, "unknown")]
    changes += [change(t, label) for t, label in ((0.3, "squat"), (0.4, "unknown"), (0.5, "squat"))]
    scores = scores_of(SPANS, 10.0, frames, changes)
    assert scores.false_alarms_per_hour == pytest.approx(600)
    assert scores.changes_per_minute == pytest.approx(40)  # all but the first squat
    assert scores.detection_s is None


def test_clips_become_one_stream_in_a_picture_of_one_size():
    clips = made_up_clips(6, seed=2, frames=(20, 30), classes=("squat", "pullup"))
    stream = Stream(clips.annotations, clips.class_names, seed=3)
    frames = list(stream.frames())
    assert len(frames) == stream.total == sum(one.keypoints.shape[1] for one in clips.annotations)
    assert stream.spans[-1].end_s == pytest.approx(stream.total / 30)
    assert [span.label for span in stream.spans].count("squat") == 3
    assert max(frame.people[..., :2].max() for frame in frames if len(frame.people)) <= 1001
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 1 / 30, atol=1e-9)
    assert len(Stream(clips.annotations, clips.class_names, clips=2).spans) == 2
    with pytest.raises(DataError, match="one clip"):
        Stream([], clips.class_names)
