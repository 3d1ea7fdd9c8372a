"""The slot between two threads, and the figures that are kept of a run."""

import numpy as np
import pytest

from maskclr_edge.live.figures import Spread
from maskclr_edge.live.mailbox import Mailbox


def test_a_mailbox_ends_after_what_lies_in_it() -> None:
    box: Mailbox[int] = Mailbox(wait=False)
    assert box.put(1) and box.put(2)
    box.finish()
    assert (box.get(), box.get(), box.dropped) == (2, None, 1)
    box = Mailbox(wait=True)
    box.put(1)
    box.stop()
    assert box.get() is None and not box.put(2)


def test_percentiles_of_many_durations_to_a_hundredth() -> None:
    took = np.random.default_rng(1).lognormal(3, 1, 20_000)
    spread = Spread()
    for one in took:
        spread.add(one)
    for percent in (1, 50, 99):
        assert spread.percentile(percent) == pytest.approx(np.percentile(took, percent), rel=0.02)
    assert spread.facts()["mean"] == pytest.approx(took.mean()) and Spread().facts()["p99"] == 0
    spread.add(0.0)
    spread.add(1e12)
