"""CUDA through PyCUDA and cuda-python on a real GPU: copies, streams, events, graphs, contexts."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from maskclr_edge.errors import MaskclrEdgeError
from maskclr_edge.optional import available
from maskclr_edge.runtime.gpu import LAYERS, Gpu, open_gpu
from maskclr_edge.runtime.gpu_graph import GraphRecorder

pytestmark = pytest.mark.gpu


@pytest.fixture(params=LAYERS)
def gpu(request: pytest.FixtureRequest) -> Iterator[Gpu]:
    """A GPU through each layer that is installed."""
    if not available(LAYERS[request.param]):
        pytest.skip(f"{request.param} is not installed")
    try:
        found = open_gpu(request.param)
    except MaskclrEdgeError as error:
        pytest.skip(f"no GPU to use: {error}")
    yield found
    found.close()


def _round_trip(gpu: Gpu, values: np.ndarray) -> np.ndarray:
    """Values to the GPU and back, through two pinned buffers."""
    with gpu.current():
        stream, buffer = gpu.stream(), gpu.device_buffer(values.nbytes)
        given, taken = gpu.pinned_buffer(values.nbytes), gpu.pinned_buffer(values.nbytes)
        source, result = given.view(values.shape), taken.view(values.shape)
        source.array[:] = values
        result.array[:] = 0
        gpu.copy_in(buffer, source, stream)
        gpu.copy_out(result, buffer, stream)
        stream.synchronize()
        copy = result.array.copy()
        for one in (buffer, given, taken, stream):
            one.free()
    return copy


def test_what_goes_in_comes_out(gpu: Gpu) -> None:
    values = np.random.default_rng(0).normal(size=(3, 243, 17, 3)).astype(np.float32)
    assert np.array_equal(_round_trip(gpu, values), values)
    assert gpu.name
    assert gpu.sm.startswith("SM")


def test_any_thread_may_call(gpu: Gpu) -> None:
    values = np.arange(1000, dtype=np.float32)
    results: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: results.append(_round_trip(gpu, values))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(np.array_equal(result, values) for result in results)


def test_beside_pytorch(gpu: Gpu) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no GPU")
    before = torch.arange(1000, device="cuda") * 2
    _round_trip(gpu, np.ones(1000, np.float32))
    assert int((before + torch.ones(1000, device="cuda")).sum()) == 999 * 1000 + 1000


def test_events_tell_time(gpu: Gpu) -> None:
    with gpu.current():
        stream, first, second = gpu.stream(), gpu.event(), gpu.event()
        buffer, pinned = gpu.device_buffer(64 << 20), gpu.pinned_buffer(64 << 20)
        view = pinned.view((16 << 20,))
        first.record(stream)
        gpu.copy_in(buffer, view, stream)
        second.record(stream)
        stream.synchronize()
        ms = second.ms_since(first)
        for one in (first, second, buffer, pinned, stream):
            one.free()
    assert 0 < ms < 1000
    print(f"\n{gpu.name}, {gpu.layer}: 64 MiB to the GPU in {ms:.2f} ms")


@pytest.mark.skipif(not available("cuda.bindings"), reason="cuda-bindings is not installed")
def test_a_graph_repeats_what_was_recorded(gpu: Gpu) -> None:
    with gpu.current():
        stream, buffer = gpu.stream(), gpu.device_buffer(4000)
        given, taken = gpu.pinned_buffer(4000), gpu.pinned_buffer(4000)
        source, result = given.view((1000,)), taken.view((1000,))

        def work() -> None:
            gpu.copy_in(buffer, source, stream)
            gpu.copy_out(result, buffer, stream)

        result.array[:] = -1
        graph = GraphRecorder().record(stream, work)
        stream.synchronize()
        assert (result.array == -1).all(), "recording must not run"
        for value in (1.0, 2.0):
            source.array[:] = value
            graph.launch()
            stream.synchronize()
            assert (result.array == value).all()
        graph.free()
        for one in (buffer, given, taken, stream):
            one.free()


def test_opened_and_closed_many_times() -> None:
    for _ in range(20):
        try:
            gpu = open_gpu()
        except MaskclrEdgeError as error:
            pytest.skip(f"no GPU to use: {error}")
        _round_trip(gpu, np.ones(10, np.float32))
        gpu.close()
