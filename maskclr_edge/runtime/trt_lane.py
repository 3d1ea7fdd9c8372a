"""A lane: one stream with the execution contexts, buffers and CUDA graphs of one call at a time.

All memory is taken as the lane is made, for the largest shapes of the engines: a call allocates nothing.
Contexts share one block for activations, for they run one after the other.
"""

import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from maskclr_edge.errors import EngineError, MaskclrEdgeError
from maskclr_edge.runtime.gpu import DeviceBuffer, Gpu, HostView, PinnedBuffer, Stream
from maskclr_edge.runtime.gpu_graph import Graph, GraphRecorder
from maskclr_edge.runtime.runner import Floats
from maskclr_edge.runtime.trt_engine import Engine, Profile, Shape

if TYPE_CHECKING:
    import tensorrt

#: shapes of one engine whose views and graphs a lane keeps
SHAPES_KEPT = 32

_log = logging.getLogger(__name__)


@dataclass
class _Context:
    """An execution context on one profile, and the input shape that it was last given."""

    handle: "tensorrt.IExecutionContext"
    shape: Shape | None = None


@dataclass
class _Plan:
    """What a call of one shape needs: where its arrays lie in the pinned buffers, and its graph."""

    shape: Shape
    profile: Profile
    source: HostView
    result: HostView
    calls: int = 0
    graph: Graph | None = None
    #: a graph's own context: changing a context breaks the graphs that were made of it
    context: _Context | None = None


class Lane:
    """Everything that one call at a time needs; made, used and closed inside ``gpu.current()``."""

    def __init__(
        self, gpu: Gpu, engines: Mapping[str, Engine], recorder: GraphRecorder | None,
        without_graphs: Callable[[str], None],
    ) -> None:  # fmt: skip
        """recorder: None for no CUDA graphs; where they fail, without_graphs is told why and calls go on."""
        self._gpu = gpu
        self.stream: Stream = gpu.stream()
        self._scratch: DeviceBuffer | None = None
        self._ports: dict[str, _Port] = {}
        try:
            size = max(engine.memory for engine in engines.values())
            self._scratch = gpu.device_buffer(size)
            for role, engine in engines.items():
                self._ports[role] = _Port(
                    gpu, engine, self.stream, (self._scratch, size), recorder, without_graphs
                )
        except BaseException:
            self.close()
            raise

    def run(self, role: str, array: Floats) -> Floats:
        """The output of one engine for an array whose shape one of its profiles takes; a new array."""
        return self._ports[role].run(array)

    def parts_ms(self, role: str, array: Floats) -> tuple[float, float, float]:
        """Milliseconds of the copy in, the engine and the copy out, by CUDA events and without a graph."""
        return self._ports[role].parts_ms(array)

    def graphs(self) -> dict[str, object]:
        """How many graphs there are by role, or why there are none."""
        return {role: port.why_no_graphs or port.graphs for role, port in self._ports.items()}

    def close(self) -> None:
        """Give everything back."""
        for port in self._ports.values():
            port.close()
        self._ports.clear()
        if self._scratch is not None:
            self._scratch.free()
            self._scratch = None
        self.stream.free()


class _Port:
    """One engine in a lane."""

    def __init__(
        self, gpu: Gpu, engine: Engine, stream: Stream, scratch: tuple[DeviceBuffer, int],
        recorder: GraphRecorder | None, without_graphs: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._gpu, self._engine, self._stream, self._scratch = gpu, engine, stream, scratch
        self._recorder, self._without_graphs = recorder, without_graphs
        self._failures: tuple[type[BaseException], ...] = (MaskclrEdgeError, RuntimeError, *gpu.failures)
        self.why_no_graphs = "" if recorder is not None else "off"
        largest = engine.largest()
        self._width: Shape = tuple(int(value or 1) for value in engine.outputs[engine.result][1:])
        given, taken = 4 * math.prod(largest), 4 * largest[0] * math.prod(self._width)
        self._host: list[PinnedBuffer] = [gpu.pinned_buffer(given), gpu.pinned_buffer(taken)]
        self._buffers: list[DeviceBuffer] = [gpu.device_buffer(given), gpu.device_buffer(taken)]
        self._contexts: dict[int, _Context] = {}
        self._plans: OrderedDict[Shape, _Plan] = OrderedDict()

    @property
    def graphs(self) -> int:
        """How many shapes have a graph."""
        return sum(plan.graph is not None for plan in self._plans.values())

    def run(self, array: Floats) -> Floats:
        plan = self._plan(array)
        np.copyto(plan.source.array, array)
        if plan.graph is not None:
            plan.graph.launch()
            self._stream.synchronize()
        else:
            plan.calls += 1
            # a shape that comes once is not worth a graph
            if plan.calls > 1 and not self.why_no_graphs:
                self._run_and_record(plan)
            else:
                self._enqueue(plan, self._shared(plan))
                self._stream.synchronize()
        result: Floats = plan.result.array.copy()
        return result

    def parts_ms(self, array: Floats) -> tuple[float, float, float]:
        plan = self._plan(array)
        np.copyto(plan.source.array, array)
        context = self._shared(plan)
        events = [self._gpu.event() for _ in range(4)]
        try:
            events[0].record(self._stream)
            self._gpu.copy_in(self._buffers[0], plan.source, self._stream)
            events[1].record(self._stream)
            self._execute(context)
            events[2].record(self._stream)
            self._gpu.copy_out(plan.result, self._buffers[1], self._stream)
            events[3].record(self._stream)
            self._stream.synchronize()
            parts = [later.ms_since(before) for before, later in pairwise(events)]
        finally:
            for event in events:
                event.free()
        return parts[0], parts[1], parts[2]

    def close(self) -> None:
        for plan in self._plans.values():
            self._forget(plan)
        self._plans.clear()
        self._contexts.clear()
        for pinned in self._host:
            pinned.free()
        for buffer in self._buffers:
            buffer.free()

    def _plan(self, array: Floats) -> _Plan:
        plan = self._plans.get(array.shape)
        if plan is not None:
            self._plans.move_to_end(array.shape)
            return plan
        plan = _Plan(
            array.shape,
            self._engine.choose(array.shape),
            self._host[0].view(array.shape),
            self._host[1].view((len(array), *self._width)),
        )
        if len(self._plans) >= SHAPES_KEPT:
            self._forget(self._plans.popitem(last=False)[1])
        self._plans[array.shape] = plan
        return plan

    @staticmethod
    def _forget(plan: _Plan) -> None:
        if plan.graph is not None:
            plan.graph.free()
        plan.graph = plan.context = None

    def _shared(self, plan: _Plan) -> _Context:
        """The context of a plan's profile, which all shapes without a graph use, set to the plan's shape."""
        context = self._contexts.get(plan.profile.index)
        if context is None:
            context = self._contexts[plan.profile.index] = self._make_context(plan.profile)
        self._set_shape(context, plan.shape)
        return context

    def _make_context(self, profile: Profile) -> _Context:
        handle = self._engine.context(profile, self._stream.handle)
        handle.set_device_memory(self._scratch[0].address, self._scratch[1])
        names = (self._engine.source, self._engine.result)
        for name, buffer in zip(names, self._buffers, strict=True):
            if not handle.set_tensor_address(name, buffer.address):
                raise EngineError(f"{self._engine.file}: {name} took no address ({self._engine.words()})")
        return _Context(handle)

    def _set_shape(self, context: _Context, shape: Shape) -> None:
        if context.shape == shape:
            return
        context.shape = None
        if not context.handle.set_input_shape(self._engine.source, shape):
            raise EngineError(f"{self._engine.file}: input {shape} was refused ({self._engine.words()})")
        context.shape = shape

    def _enqueue(self, plan: _Plan, context: _Context) -> None:
        self._gpu.copy_in(self._buffers[0], plan.source, self._stream)
        self._execute(context)
        self._gpu.copy_out(plan.result, self._buffers[1], self._stream)

    def _execute(self, context: _Context) -> None:
        if not context.handle.execute_async_v3(self._stream.handle):
            raise EngineError(
                f"{self._engine.file}: input {context.shape} could not be run ({self._engine.words()})"
            )

    def _run_and_record(self, plan: _Plan) -> None:
        """Answer this call, and record the same work as a graph for the next ones."""
        assert self._recorder is not None
        context = self._make_context(plan.profile)
        self._set_shape(context, plan.shape)
        self._enqueue(plan, context)  # also the warm-up that a capture needs after a change of shape
        self._stream.synchronize()
        try:
            if not self._engine.capturable(context.handle, self._stream.handle):
                raise EngineError("the engine cannot be captured")
            plan.graph = self._recorder.record(self._stream, lambda: self._enqueue(plan, context))
            plan.context = context
        except self._failures as error:
            self.why_no_graphs = f"not possible: {error}"
            self._without_graphs(self.why_no_graphs)
            _log.warning("%s runs without CUDA graphs: %s", self._engine.file, error)
