"""Bundles on NVIDIA GPUs: engines of TensorRT and TensorRT-RTX, run by one code path."""

import threading
from types import TracebackType
from typing import ClassVar

import numpy as np

from maskclr_edge.errors import EngineError
from maskclr_edge.optional import available
from maskclr_edge.runtime.bundle import Bundle
from maskclr_edge.runtime.gpu import open_gpu
from maskclr_edge.runtime.gpu_graph import GraphRecorder
from maskclr_edge.runtime.io_check import check_tensors, first_line
from maskclr_edge.runtime.runner import Floats, Runner
from maskclr_edge.runtime.trt_api import load_tensorrt
from maskclr_edge.runtime.trt_engine import Engine
from maskclr_edge.runtime.trt_lane import Lane

#: calls that run side by side on the GPU when the user names no number
LANES = 2


class TensorRtRunner(Runner):
    """Encoder and head as two engines. ``threads`` is the number of lanes: calls that run side by side.

    A lane is a stream with contexts and buffers of its own; the first call makes one, and another is made
    when two calls come at once. CUDA graphs are used where cuda-bindings is installed, ``details`` says so.
    """

    name: ClassVar[str] = "tensorrt"

    def __init__(
        self, bundle: Bundle, precision: str, threads: int | None = None, *,
        graphs: bool = True, layer: str = "auto",
    ) -> None:  # fmt: skip
        """graphs: use CUDA graphs where possible. layer: "pycuda", "cuda-python", or what is installed."""
        super().__init__(bundle.config, bundle.contract, precision)
        chosen = bundle.select(self.name, precision)
        api = load_tensorrt(self.name)
        self._most_lanes = threads or LANES
        self._idle: list[Lane] = []
        self._lanes: list[Lane] = []
        self._free = threading.Condition()
        self._waiting = 0
        #: the lane that a thread has at the moment
        self._mine = threading.local()
        self._engines: dict[str, Engine] = {}
        self._recorder = GraphRecorder() if graphs and available("cuda.bindings") else None
        self._gpu = open_gpu(layer)
        self._current = self._gpu.current()
        # some bindings of TensorRT raise RuntimeError where others return False
        self._failures: tuple[type[BaseException], ...] = (RuntimeError, *self._gpu.failures)
        self._no_room: tuple[type[BaseException], ...] = (EngineError, *self._failures)
        try:
            with self._gpu.current():
                for role in ("encoder", "head"):
                    self._engines[role] = Engine(api, self._gpu, bundle, chosen[role])
                encoder, head = (self._engines[role] for role in ("encoder", "head"))
                check_tensors(bundle, chosen, (encoder.inputs, encoder.outputs), (head.inputs, head.outputs))
        except BaseException:
            self._release()
            raise
        self.details = {
            self.name: api.version,
            "gpu": self._gpu.name,
            "sm": self._gpu.sm,
            "cuda_through": self._gpu.layer,
            "cuda_graphs": self._recorder is not None,
            "lanes": self._most_lanes,
            "profiles": [
                {"frames": [profile.least[1], profile.best[1], profile.most[1]],
                 "persons": [profile.least[0], profile.best[0], profile.most[0]]}
                for profile in encoder.profiles
            ],
        }  # fmt: skip

    @classmethod
    def open(cls, source: Bundle, precision: str, threads: int | None) -> "TensorRtRunner":
        """Open a bundle on the first GPU.

        Raises BundleError when it has no engines for this runner, MissingDependencyError, and EngineError,
        in one line that names both sides, when the engines are not for this machine.
        """
        return cls(source, precision, threads)

    def gpu_ms(self, persons: int, frames: int) -> dict[str, float]:
        """Milliseconds by CUDA events of the encoder for made-up persons: copy in, compute, copy out.

        Apart from a graph and one lane at a time, as trtexec gives them. Raises what ``infer`` raises.
        """
        shape = (persons, frames, self.config.num_joints, 3)
        array = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        with self._running_call(), self._lane(array) as lane:
            parts = lane.parts_ms("encoder", array)
        return dict(zip(("copy_in_ms", "compute_ms", "copy_out_ms"), parts, strict=True))

    def graphs(self) -> list[dict[str, object]]:
        """For each lane the number of graphs by role, or why there are none."""
        return [lane.graphs() for lane in self._lanes]

    def _infer_chunk(self, clips: Floats) -> Floats:
        """One lane and one push of the context for all that a chunk needs: encoder, absent persons, head."""
        with self._lane(clips):
            return super()._infer_chunk(clips)

    def _encode(self, persons: Floats) -> Floats:
        return self._run("encoder", persons)

    def _head(self, features: Floats) -> Floats:
        return self._run("head", features)

    def _prepare(self, persons: int, frames: int) -> None:
        """The first call of a shape runs as it is, the second one records its graph."""
        zeros = np.zeros((persons, frames, self.config.num_joints, 3), np.float32)
        for _ in range(2):
            self._run("encoder", zeros)

    def _run(self, role: str, array: Floats) -> Floats:
        """One engine's output, in as many calls as its profiles make necessary."""
        lane: Lane | None = getattr(self._mine, "lane", None)
        if lane is None:
            with self._lane(array):
                return self._run(role, array)
        rows = self._engines[role].rows(array.shape)
        if len(array) <= rows:
            return lane.run(role, array)
        pieces = [array[start : start + rows] for start in range(0, len(array), rows)]
        return np.concatenate([lane.run(role, piece) for piece in pieces])

    def _lane(self, array: Floats) -> "_Held":
        """A lane for this thread, with the context current. What fails inside is an EngineError."""
        return _Held(self, array)

    def _take(self) -> Lane:
        """An idle lane, the last used first; a new one where there may be another."""
        try:
            return self._idle.pop()  # one step of the interpreter, so no lock
        except IndexError:
            pass
        with self._free:
            self._waiting += 1
            try:
                while True:
                    try:
                        return self._idle.pop()  # others take lanes without the lock
                    except IndexError:
                        pass
                    if len(self._lanes) < self._most_lanes:
                        return self._make_lane()
                    self._free.wait()
            finally:
                self._waiting -= 1

    def _make_lane(self) -> Lane:
        """Another lane. Raises EngineError where there is no room for it."""
        try:
            with self._gpu.current():
                lane = Lane(self._gpu, self._engines, self._recorder, self._without_graphs)
        except self._no_room as error:
            raise EngineError(
                f"{self.name}: no room on {self._gpu.name} for lane {len(self._lanes) + 1} "
                f"({first_line(error)}); give it fewer with --threads 1, or free GPU memory"
            ) from error
        self._lanes.append(lane)
        return lane

    def _give(self, lane: Lane) -> None:
        self._idle.append(lane)
        if self._waiting:  # whoever waits has said so before it looked at the idle ones
            with self._free:
                self._free.notify()

    def _without_graphs(self, reason: str) -> None:
        """Say in ``details`` that graphs were wanted and are not used."""
        self.details["cuda_graphs"] = reason

    def _close(self) -> None:
        self._release()

    def _release(self) -> None:
        """Everything back to the GPU, in the order in which it leans on each other."""
        try:
            with self._gpu.current():
                for lane in self._lanes:
                    lane.close()
                self._lanes.clear()
                self._idle.clear()
                for engine in self._engines.values():
                    engine.close()
                self._engines.clear()
        finally:
            self._gpu.close()


class _Held:
    """A lane of a runner that a thread has for a while: a class, for a generator costs each call more."""

    __slots__ = ("_lane", "_runner", "_shape")

    def __init__(self, runner: TensorRtRunner, array: Floats) -> None:
        self._runner, self._shape = runner, array.shape

    def __enter__(self) -> Lane:
        runner = self._runner
        lane = self._lane = runner._take()
        try:
            runner._current.__enter__()
        except BaseException as error:
            runner._give(lane)
            self._explain(error)
            raise
        runner._mine.lane = lane
        return lane

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        runner = self._runner
        runner._mine.lane = None
        try:
            runner._current.__exit__(kind, error, trace)
        finally:
            runner._give(self._lane)
        if error is not None:
            self._explain(error)

    def _explain(self, error: BaseException) -> None:
        if isinstance(error, self._runner._failures):
            raise EngineError(f"{self._runner.name} failed on {self._shape}: {first_line(error)}") from error


class TensorRtRtxRunner(TensorRtRunner):
    """The same with engines of TensorRT-RTX, which it finishes for the GPU as they are loaded."""

    name: ClassVar[str] = "tensorrt-rtx"
