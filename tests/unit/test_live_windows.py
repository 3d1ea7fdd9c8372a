"""Windows by time: any rate gives the same clip, gaps stay missing, short spans wait."""

import numpy as np
import pytest

from maskclr_edge.live.windows import Window


def skeleton(time_s):
    result = np.ones((17, 3), np.float32)
    result[:, 0] = 100 + 50 * time_s + np.arange(17)
    return result


def filled(times, seconds=2.0):
    window = Window(seconds)
    for time_s in times:
        window.add(time_s, skeleton(time_s))
    return window


def test_a_window_is_a_span_of_time_whatever_the_rate():
    fast = filled(np.arange(0, 5, 1 / 60)).sample(20)
    slow = filled(np.arange(0, 5, 1 / 20)).sample(20)
    assert fast.shape == slow.shape == (1, 20, 17, 3)
    # the same two seconds, to within half a frame of the slower source
    np.testing.assert_allclose(fast[..., 0], slow[..., 0], atol=50 * 0.05)
    assert fast[0, -1, 0, 0] - fast[0, 0, 0, 0] == pytest.approx(50 * 2 * 19 / 20, abs=2)


def test_irregular_times_are_read_by_their_stamps():
    times = np.concatenate((np.arange(0, 1, 0.02), np.arange(1, 2.01, 0.1)))
    clip = filled(times).sample(10)[0, :, 0, 0]
    np.testing.assert_allclose(clip, 100 + 50 * (np.arange(10) + 0.5) / 10 * times[-1], atol=2.6)


def test_a_gap_stays_missing():
    clip = filled([*np.arange(0, 0.5, 0.05), *np.arange(1.5, 2.0, 0.05)]).sample(20)[0]
    missing = ~clip.any(axis=(1, 2))
    assert missing[8:12].all() and not missing[:4].any() and not missing[-4:].any()


def test_too_little_is_not_ready_and_fullness_grows():
    window = filled([0.0, 0.1])
    assert not window.ready
    window = filled(np.arange(0, 1.01, 0.1))
    assert window.ready and window.fullness == pytest.approx(0.5, abs=0.01)
    assert filled(np.arange(0, 5, 0.1)).fullness == pytest.approx(1.0, abs=0.06)
    assert not filled([3.0]).ready


def test_motion_is_of_the_body_and_not_of_its_drift():
    still = filled(np.arange(0, 2, 0.1))  # every joint drifts alike
    assert still.motion() == pytest.approx(0, abs=1e-6)
    waving = Window(2.0)
    for time_s in np.arange(0, 2, 0.1):
        pose = skeleton(0)
        pose[5:9, 1] += 10 * np.sin(6 * time_s)
        waving.add(float(time_s), pose)
    assert waving.motion() > 0.1
    unseen = Window(2.0)
    unseen.add(0.0, np.zeros((17, 3), np.float32))
    unseen.add(1.0, np.zeros((17, 3), np.float32))
    assert unseen.motion() == 0
