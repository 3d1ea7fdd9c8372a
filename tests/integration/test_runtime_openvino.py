"""What is OpenVINO's alone: encoders compiled for a shape, persons shared out among threads, types."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from maskclr_edge.deploy.parity import probe_clips
from maskclr_edge.errors import EngineError
from maskclr_edge.optional import available
from maskclr_edge.runtime import open_runner

pytestmark = pytest.mark.skipif(not available("openvino"), reason="openvino is not installed")


def test_openvino_keeps_the_shapes_used_last(tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskclr_edge.runtime.ov.SHAPES_KEPT", 2)
    with open_runner(tiny_bundle.write(), "openvino", threads=1) as runner:
        runner.prepare(1, 4)
        runner.prepare(1, 5)
        runner.infer(probe_clips(1, 1, 4, seed=0))
        runner.prepare(1, 6)  # 5 was not used
        assert runner.details["shapes"] == [[1, 4], [1, 6]]
        compiled = dict(runner._shapes)
        runner.prepare(1, 4)
        assert dict(runner._shapes) == compiled
        # two people of 1500 frames in one call are two calls: what is compiled is the part
        monkeypatch.setattr(type(runner), "frames_per_call", 12)
        runner.prepare(5, 6)
        assert runner.details["shapes"] == [[2, 6], [1, 6]]
        for frames in (4, 5, 6):
            batch = probe_clips(3, 2, frames, seed=0)
            assert np.allclose(runner.infer(batch), tiny_bundle.logits(batch), atol=1e-4)


@pytest.mark.parametrize("prepared", [False, True], ids=["any shape", "prepared"])
def test_openvino_shares_many_persons_out(tiny_bundle: Any, prepared: bool) -> None:
    """Thirteen persons are not divided by three threads, twelve are; one frame is run by all threads."""
    with open_runner(tiny_bundle.write(), "openvino", threads=3) as runner:
        for persons in (13, 12):
            for frames in (1, 6, 40):
                batch = probe_clips(persons, 1, frames, seed=0)
                if prepared:
                    runner.prepare(persons, frames)
                with ThreadPoolExecutor(3) as pool:
                    found = list(pool.map(runner.infer, [batch, -batch, batch]))
                assert np.allclose(found[0], tiny_bundle.logits(batch), atol=1e-4)
                assert np.allclose(found[1], tiny_bundle.logits(-batch), atol=1e-4)
                assert np.array_equal(found[0], found[2])


def test_openvino_goes_on_after_a_part_that_failed(tiny_bundle: Any) -> None:
    batch = probe_clips(12, 1, 6, seed=0)
    with open_runner(tiny_bundle.write(), "openvino", threads=3) as runner:
        before = runner.infer(batch)
        request = runner._many._requests[1]
        request.request, kept = BrokenRequest(request.request), request.request
        with pytest.raises(EngineError, match=r"failed on an input of \(12, 6, 17, 3\): out of memory"):
            runner.infer(-batch)
        request.request = kept
        assert np.array_equal(runner.infer(batch), before)


class BrokenRequest:
    """A request that runs, and then says that it failed."""

    def __init__(self, request: Any) -> None:
        self.start_async, self._wait = request.start_async, request.wait

    def wait(self) -> None:
        self._wait()
        raise RuntimeError("out of memory")


def test_openvino_runs_fp32_as_fp32(tiny_bundle: Any) -> None:
    path = tiny_bundle.write(runners=("openvino",))
    with open_runner(path) as runner:
        assert runner.name == "openvino"
        assert runner.details["executed_in"] == "f32"
