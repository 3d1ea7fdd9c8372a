"""Bundles on OpenVINO's CPU plugin: the fastest on Intel processors."""

import threading
from collections import OrderedDict
from typing import Any, ClassVar

import numpy as np

from maskclr_edge.optional import require
from maskclr_edge.runtime.bundle import Bundle
from maskclr_edge.runtime.cores import default_threads
from maskclr_edge.runtime.io_check import check_tensors
from maskclr_edge.runtime.ov_compiled import Compiled
from maskclr_edge.runtime.runner import Floats, Runner

#: precision of the bundle -> type in which OpenVINO is to run it, and the capability that it takes. Without
#: the hint an AMX machine runs an fp32 model in bf16; int8 keeps the plugin's choice: bf16 beside int8 is
#: fastest. Where the processor lacks the type, float32 holds all its values: ``executed_in`` says so.
PRECISION_HINTS = {"fp32": ("f32", "FP32"), "bf16": ("bf16", "BF16"), "fp16": ("f16", "FP16")}

#: shapes (P, T) whose own compiled encoder is kept; each holds the weights once more
SHAPES_KEPT = 8
#: persons for each thread that make a call one of many, which requests of one thread each share
MANY = 4


class OpenVinoRunner(Runner):
    """Encoder and head compiled for the CPU, one call at a time: a call uses all of the runner's threads.

    The encoder takes any shape. ``prepare`` compiles it for one shape besides, which is faster; it is never
    done unasked, for it costs the time of many calls and the weights' memory again. The first call of many
    persons compiles it for such calls: they take long enough to be worth it.
    """

    name: ClassVar[str] = "openvino"

    def __init__(self, bundle: Bundle, precision: str, threads: int | None) -> None:
        super().__init__(bundle.config, bundle.contract, precision)
        openvino = require("openvino")
        chosen = bundle.select(self.name, precision)
        core, threads = openvino.Core(), threads or default_threads()
        self._threads = threads
        settings = plugin_settings(core, precision, threads)
        self._encoder = Compiled.read(core, bundle, chosen["encoder"], settings)
        self._header = Compiled.read(core, bundle, chosen["head"], settings)
        check_tensors(bundle, chosen, self._encoder.tensors(), self._header.tensors())
        self._shapes: OrderedDict[tuple[int, int], Compiled] = OrderedDict()
        self._shapes_lock, self._compile_lock = threading.Lock(), threading.Lock()
        self._many: Compiled | None = None
        if self.contract.max_frames > 1:
            # OpenVINO 2026.4 fuses attention for the first shape that it meets: after T = 1 it gives wrong
            # numbers for every T >= 16, for good; after any other T all lengths are right, 1 included.
            frames = max(2, self.contract.frames)
            self._encoder.run(np.zeros((1, frames, 17, 3), np.float32))
        self.details = {
            "openvino": openvino.__version__.partition("-")[0],
            "threads": threads,
            "executed_in": self._encoder.executed_in(),
        }

    @classmethod
    def open(cls, source: Bundle, precision: str, threads: int | None) -> "OpenVinoRunner":
        """Open a bundle. Raises BundleError when it has nothing for this runner or its files are broken."""
        return cls(source, precision, threads)

    def _encode(self, persons: Floats) -> Floats:
        shape = persons.shape[:2]
        with self._shapes_lock:
            if encoder := self._shapes.get(shape):
                self._shapes.move_to_end(shape)
        return (encoder or self._for_any(*shape)).run(persons)

    def _for_any(self, persons: int, frames: int) -> Compiled:
        if self._threads == 1 or persons < MANY * self._threads or frames == 1:  # T = 1 first: see above
            return self._encoder
        if self._many is None:  # once there is one, a call does not wait for what else is compiled
            with self._compile_lock:
                self._many = self._many or self._encoder.again(streams=self._threads)
        return self._many

    def _prepare(self, persons: int, frames: int) -> None:
        shape = (persons, frames)
        streams = 1 if persons % self._threads else self._threads
        with self._compile_lock:  # calls go on meanwhile, on what there is
            encoder = self._shapes.get(shape) or self._encoder.again(
                streams=streams, shape=[persons // streams, frames, self.config.num_joints, 3]
            )
            with self._shapes_lock:
                self._shapes[shape] = encoder
                self._shapes.move_to_end(shape)
                while len(self._shapes) > SHAPES_KEPT:
                    self._shapes.popitem(last=False)  # a call that has it keeps it until it is done
                self.details["shapes"] = [list(kept) for kept in self._shapes]

    def _head(self, features: Floats) -> Floats:
        return self._header.run(features)

    def _close(self) -> None:
        self._shapes.clear()
        self._many = None
        del self._encoder, self._header


def plugin_settings(core: Any, precision: str, threads: int) -> dict[str, Any]:
    """What the CPU plugin is told when it compiles a model of a bundle."""
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    if precision in PRECISION_HINTS:
        hint, capability = PRECISION_HINTS[precision]
        able = capability in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        settings["INFERENCE_PRECISION_HINT"] = hint if able else "f32"
    return settings
