"""CUDA graphs of the torch runner, as far as a machine without a GPU can tell: when what is recorded."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the runner is PyTorch's")

from maskclr_edge.errors import EngineError  # noqa: E402
from maskclr_edge.runtime import open_runner  # noqa: E402
from maskclr_edge.runtime import torch_graphs as graphs  # noqa: E402


class Recorder:
    """Stands for the GPU: a recording computes as the function does, and notes that it was replayed."""

    def __init__(self, refusal=None):
        self.recorded, self.replayed, self.refusal = [], [], refusal

    def __call__(self, function, tensor):
        if self.refusal:
            raise RuntimeError(self.refusal)
        self.recorded.append(tuple(tensor.shape))

        def replay(given):
            self.replayed.append(tuple(given.shape))
            return function(given)

        return replay


def test_the_second_call_of_a_shape_records_it_and_later_ones_replay():
    recorder = Recorder()
    call = graphs.GraphedCall(lambda x: x + 1, "cpu", recorder)
    for size in (2, 3, 2, 2, 3):
        assert call(torch.ones(size)).tolist() == [2.0] * size
    assert recorder.recorded == [(2,), (3,)]
    assert recorder.replayed == [(2,), (2,), (3,)]
    assert call.reason is None


def test_a_refusal_is_kept_said_once_and_calls_go_on(caplog):
    call = graphs.GraphedCall(lambda x: x + 1, "cpu", Recorder("operation not permitted\nwhen capturing"))
    assert [call(torch.ones(1)).item() for _ in range(4)] == [2.0] * 4
    assert call.reason == "operation not permitted"
    assert [one.getMessage() for one in caplog.records] == [
        "CUDA graphs are not used for shape (1,): operation not permitted"
    ]


def test_the_shapes_used_last_are_kept(monkeypatch):
    monkeypatch.setattr(graphs, "SHAPES_KEPT", 2)
    recorder = Recorder()
    call = graphs.GraphedCall(lambda x: x, "cpu", recorder)
    for size in (1, 1, 2, 2, 1, 3, 3, 1, 2, 2):
        call(torch.ones(size))
    # 2 was dropped for 3, and recorded anew
    assert recorder.recorded == [(1,), (2,), (3,), (2,)]


def test_an_error_of_the_function_is_not_one_of_the_recording():
    def fails(x):
        raise ValueError("bad")

    call = graphs.GraphedCall(fails, "cpu", Recorder())
    with pytest.raises(ValueError, match="bad"):
        call(torch.ones(1))
    assert call.reason is None


@pytest.fixture
def stand_in(monkeypatch):
    """A torch that says it has a GPU, whose tensors stay on the CPU."""
    recorder = Recorder()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: self)
    monkeypatch.setattr(graphs, "record_graph", recorder)
    return recorder


def test_the_runner_replays_and_says_so(stand_in, random_checkpoint, monkeypatch):
    checkpoint = random_checkpoint()
    clips = np.random.default_rng(0).normal(0, 0.5, (2, 2, 6, 17, 3)).astype(np.float32)
    with open_runner(checkpoint, "torch") as runner:
        assert (runner.details["device"], runner.details["cuda_graphs"]) == ("cuda", True)
        runner.prepare(4, 6)
        assert (4, 6, 17, 3) in stand_in.recorded
        logits = runner.infer(clips)
        assert (4, 6, 17, 3) in stand_in.replayed
        stand_in.refusal = "CUDA error: out of memory"
        for _ in range(2):
            runner.infer(clips[:1])
        assert runner.details["cuda_graphs"] == "CUDA error: out of memory"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with open_runner(checkpoint, "torch") as runner:
        assert runner.details["device"] == "cpu" and "cuda_graphs" not in runner.details
        assert np.allclose(runner.infer(clips), logits, atol=1e-6)


def test_a_gpu_that_cannot_be_used_is_one_line(monkeypatch, random_checkpoint):
    def no_room(self, device):
        raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "to", no_room)
    with pytest.raises(
        EngineError, match=r"^torch cannot use its GPU: CUDA error: out of memory; an empty CUDA"
    ):
        open_runner(random_checkpoint(), "torch")
