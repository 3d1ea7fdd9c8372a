"""Engines for the rig: TensorRT's real Python bindings above, ONNX Runtime as the GPU's arithmetic below.

The stand-in holds its caller to TensorRT's rules: a current context for every call, shapes within the
profile, addresses and activation memory before a run, and a context that no longer changes once a CUDA graph
was made of it: where that is broken, the graph gives NaN.
"""

import ctypes
import importlib
import itertools
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from fake_inspector import teach_inspector
from fake_rtx import teach_rtx
from rig_files import Refused, read_engine

CONTEXT_DEPTH = 11
#: stand_in_count's numbers
COUNTS = (
    *("device_memory", "pinned", "streams", "events", "graphs", "graph_execs", "retained", "launches"),
    *("copies", "allocations", "graph_launches"),
)
Kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Rig:
    """TensorRT of one release and libcuda, both stand-ins, ready for the runner; one a process."""

    def __init__(self, shared: Path, rig: Path, libcuda: Path) -> None:
        self.cuda = ctypes.CDLL(str(libcuda), mode=ctypes.RTLD_GLOBAL)
        self.cuda.stand_in_launch.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        self.cuda.stand_in_is_capturing.argtypes = [ctypes.c_void_p]
        self.cuda.stand_in_count.restype = ctypes.c_long
        sys.path.insert(0, str(shared))
        import fake_trt

        self.fake: Any = fake_trt
        self.alive: dict[str, int] = {}
        self._learning = True
        self._count_destructions()
        self.fake.install(rig)
        self.flavour = "tensorrt-rtx" if (rig / "tensorrt_rtx").is_dir() else "tensorrt"
        self.trt: Any = importlib.import_module(self.flavour.replace("-", "_"))
        #: what to fail next, by method name
        self.fail: dict[str, str] = {}
        #: profile that each run used
        self.profiles_used: list[int] = []
        self.sm = "8.7"
        self.log: Any = None
        self._launches: dict[int, Any] = {}
        self._numbers = itertools.count(1)
        self._kernel: Any = Kernel(self._compute)
        #: time spent in here and not in what is tested
        self.seconds = 0.0
        self._teach()
        self._learning = False

    def counts(self) -> dict[str, int]:
        """What lives on the stand-in GPU, what happened there, and TensorRT objects that live."""
        found = {name: self.cuda.stand_in_count(index) for index, name in enumerate(COUNTS)}
        return found | {f"alive {kind}": number for kind, number in self.alive.items()}

    def compute_nothing(self) -> None:
        """Let kernels do nothing, for timing what is around them."""
        self._kernel = ctypes.cast(self.cuda.stand_in_nothing, ctypes.c_void_p)

    def depth(self) -> int:
        """How many CUDA contexts are on this thread's stack."""
        return int(self.cuda.stand_in_count(CONTEXT_DEPTH))

    def _count_destructions(self) -> None:
        fake, call = self.fake, self.fake._call
        kinds = (
            *("ICudaEngine", "IExecutionContext", "IRuntime", "IEngineInspector"),
            *("IRuntimeConfig", "IRuntimeCache", "IHostMemory"),
        )

        def counting(this: Any, slot: int, *rest: Any) -> None:
            began = time.perf_counter()
            if slot == 1 and fake.kinds.get(this) in kinds:
                self.alive[fake.kinds.pop(this)] -= 1
                self._forget(this)
            call(this, slot, *rest)
            # while learning, a method without a handler succeeds: 10.3 crashes where one fails
            if self._learning and fake.kinds.get(this) == "IExecutionContext":
                rest[3][0] = rest[3][0] or 1
            if slot == -2:
                self.alive["IRuntime"] = self.alive.get("IRuntime", 0) + 1
            self.seconds += time.perf_counter() - began

        fake._call = counting

    def _forget(self, this: int) -> None:
        self.fake.data.pop(this, None)

    def _new(self, kind: str, **values: Any) -> int:
        self.alive[kind] = self.alive.get(kind, 0) + 1
        return int(self.fake.new(kind, **values))

    def _error(self, text: str) -> int:
        self.log.log(self.trt.ILogger.Severity.ERROR, text)
        return 0

    def _refuse(self, method: str) -> bool:
        """Whether a method is to fail: because a test says so, or because no context is current."""
        if method in self.fail:
            self._error(self.fail[method])
            return True
        if not self.depth():
            self._error(f"{method}: CUDA error 201: invalid device context")
            return True
        return False

    def _teach(self) -> None:
        fake, trt, handlers = self.fake, self.trt, self.fake.handlers
        logger = trt.Logger()
        runtime = trt.Runtime(logger)
        fake.learn("IRuntime", "host_code", lambda: setattr(runtime, "engine_host_code_allowed", True))
        handlers["IRuntime.host_code"] = self._allow_host_code
        fake.learn("IRuntime", "deserialize", lambda: runtime.deserialize_cuda_engine(b"x"))
        handlers["IRuntime.deserialize"] = lambda this, a, d: fake.new("ICudaEngine")
        engine = runtime.deserialize_cuda_engine(b"x")
        own = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        fake.learn("ICudaEngine", "create", lambda: engine.create_execution_context(own), last=True)
        handlers["ICudaEngine.create"] = lambda this, a, d: fake.new("IExecutionContext")
        context = engine.create_execution_context(own)
        for name, call in {
            "num_io_tensors": lambda: engine.num_io_tensors,
            "get_tensor_name": lambda: engine.get_tensor_name(0),
            "get_tensor_mode": lambda: engine.get_tensor_mode("x"),
            "get_tensor_dtype": lambda: engine.get_tensor_dtype("x"),
            "get_tensor_shape": lambda: engine.get_tensor_shape("x"),
            "num_optimization_profiles": lambda: engine.num_optimization_profiles,
            "get_tensor_profile_shape": lambda: engine.get_tensor_profile_shape("x", 0),
            "device_memory_size_v2": lambda: engine.device_memory_size_v2,
        }.items():
            fake.learn("ICudaEngine", name, call)
            handlers[f"ICudaEngine.{name}"] = getattr(self, f"_engine_{name}")
        for name, call in {
            "set_device_memory": lambda: context.set_device_memory(256, 256),
            "set_optimization_profile_async": lambda: context.set_optimization_profile_async(0, 1),
            "set_tensor_address": lambda: context.set_tensor_address("x", 256),
            "set_input_shape": lambda: context.set_input_shape("x", (1,)),
            "execute_async_v3": lambda: context.execute_async_v3(1),
        }.items():
            fake.learn("IExecutionContext", name, call)
            handlers[f"IExecutionContext.{name}"] = getattr(self, f"_context_{name}")
        handlers["IRuntime.deserialize"] = self._deserialize
        handlers["ICudaEngine.create"] = self._create
        teach_inspector(self, engine)
        if self.flavour == "tensorrt-rtx":
            teach_rtx(self, engine, context)
        self.alive.clear()
        self._lessons = (logger, runtime, engine, context)  # taught on, and out of the count

    # ---- IRuntime
    @staticmethod
    def _allow_host_code(this: Any, a: Any, d: Any) -> None:
        this.host_code = bool(a[0] & 0xFF)

    def _deserialize(self, this: Any, a: Any, d: Any) -> int:
        import onnxruntime

        if self._refuse("deserialize"):
            return 0
        try:
            header, onnx = read_engine(
                ctypes.string_at(a[0], a[1]),
                self.flavour,
                self.trt.__version__,
                self.sm,
                getattr(this, "host_code", False),
            )
        except Refused as refused:
            return self._error(str(refused))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        tensors = [*session.get_inputs(), *session.get_outputs()]
        return self._new("ICudaEngine", session=session, header=header, tensors=tensors)

    # ---- ICudaEngine
    @staticmethod
    def _engine_num_io_tensors(this: Any, a: Any, d: Any) -> int:
        return len(this.tensors)

    @staticmethod
    def _engine_get_tensor_name(this: Any, a: Any, d: Any) -> str:
        return str(this.tensors[a[0]].name)

    def _engine_get_tensor_mode(self, this: Any, a: Any, d: Any) -> int:
        given = self.fake.cstr(a[0]) in [one.name for one in this.session.get_inputs()]
        return int(self.trt.TensorIOMode.INPUT if given else self.trt.TensorIOMode.OUTPUT)

    def _engine_get_tensor_dtype(self, this: Any, a: Any, d: Any) -> int:
        return int(getattr(self.trt.DataType, this.header.get("dtype", "FLOAT")))

    def _engine_get_tensor_shape(self, this: Any, a: Any, d: Any) -> list[int]:
        tensor = next(one for one in this.tensors if one.name == self.fake.cstr(a[0]))
        return [size if isinstance(size, int) else -1 for size in tensor.shape]

    @staticmethod
    def _engine_num_optimization_profiles(this: Any, a: Any, d: Any) -> int:
        return len(this.header["profiles"])

    @staticmethod
    def _engine_get_tensor_profile_shape(this: Any, a: Any, d: Any) -> list[int]:
        return list(this.header["profiles"][a[1] & 0xFFFFFFFF][a[2] & 0xFFFFFFFF])

    @staticmethod
    def _engine_device_memory_size_v2(this: Any, a: Any, d: Any) -> int:
        return int(this.header["memory"])

    def _create(self, this: Any, a: Any, d: Any) -> int:
        if self._refuse("create_execution_context"):
            return 0
        wanted = int(self.trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if a[0] & 0xFFFFFFFF != wanted:
            return self._error("the runner is meant to bring the memory")
        return self.new_context(this)

    def new_context(self, this: Any) -> int:
        """A context of an engine, which still has no memory."""
        return self._new(
            "IExecutionContext",
            engine=this, shape=None, addresses={}, memory=(0, 0), profile=None, version=0,
        )  # fmt: skip

    # ---- IExecutionContext
    @staticmethod
    def _context_set_device_memory(this: Any, a: Any, d: Any) -> None:
        this.memory = (a[0], a[1])
        this.version += 1

    def _context_set_optimization_profile_async(self, this: Any, a: Any, d: Any) -> int:
        index = a[0] & 0xFFFFFFFF
        if self._refuse("set_optimization_profile_async") or index >= len(this.engine.header["profiles"]):
            return 0
        this.profile, this.shape = index, None
        this.version += 1
        return 1

    def _context_set_tensor_address(self, this: Any, a: Any, d: Any) -> int:
        if a[1] % 256:
            return self._error("address is not aligned")
        this.addresses[self.fake.cstr(a[0])] = a[1]
        this.version += 1
        return 1

    def _context_set_input_shape(self, this: Any, a: Any, d: Any) -> int:
        if self._refuse("set_input_shape"):
            return 0
        shape = self.fake.dims(a[1])
        least, _, most = this.engine.header["profiles"][this.profile]
        if not all(low <= size <= high for low, size, high in zip(least, shape, most, strict=True)):
            return self._error(f"Static dimension mismatch: {shape} is not in profile {this.profile}")
        this.shape = shape
        this.version += 1
        return 1

    def _context_execute_async_v3(self, this: Any, a: Any, d: Any) -> int:
        if self._refuse("execute_async_v3"):
            return 0
        names = [tensor.name for tensor in this.engine.tensors]
        ready = this.shape is not None and all(name in this.addresses for name in names)
        if not ready or this.memory[1] < this.engine.header["memory"]:
            return self._error("shape, address or device memory is not set")
        if self.cuda.stand_in_is_capturing(a[0]) and not this.engine.header.get("capturable", True):
            return self._error("operation not permitted when stream is capturing")
        number = next(self._numbers)  # at once: calls below let other threads in
        captured = bool(self.cuda.stand_in_is_capturing(a[0]))
        work = (this, this.version, this.shape, dict(this.addresses), this.memory)
        self._launches[number] = (captured, *work)
        self.profiles_used.append(this.profile)
        return int(not self.cuda.stand_in_launch(a[0], self._kernel, number))

    def _compute(self, number: int) -> None:
        """The kernel: runs when the stream does, for a graph each time it is launched."""
        try:
            captured, context, version, shape, addresses, memory = self._launches[number]
            if not captured:
                del self._launches[number]
            source, result = (tensor.name for tensor in context.engine.tensors)
            array = _floats(addresses[source], shape)
            ctypes.memset(memory[0], 0x7F, memory[1])  # activations: whoever reads them later finds nonsense
            output = context.engine.session.run([result], {source: array})[0]
            if context.version != version:
                output = np.full_like(output, np.nan)
            _floats(addresses[result], output.shape)[:] = output
        except BaseException as error:
            print("kernel failed:", repr(error), file=sys.stderr)


def _floats(address: int, shape: Any) -> Any:
    block = (ctypes.c_float * math.prod(shape)).from_address(address)
    return np.ctypeslib.as_array(block).reshape(shape)
