"""TensorRT 10.3 to 11.x and TensorRT-RTX by one set of names.

The only module that knows that versions and flavours differ: builder, runner and inspection use the API that
all of them share (strongly typed networks, ``*_v2`` sizes, enum members by name) and come here for the rest.
"""

import ctypes
import threading
from collections import deque
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from maskclr_edge.errors import EngineError, MissingDependencyError
from maskclr_edge.optional import available, require
from maskclr_edge.runtime.rtx_kernels import KernelCache

if TYPE_CHECKING:
    import tensorrt

#: flavour -> import names of its Python API, in the order of preference
PACKAGES = {"tensorrt": ("tensorrt",), "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings")}
FLAVOURS = tuple(PACKAGES)
OLDEST = (10, 3)
_KEPT_MESSAGES = 200
#: one flavour is loaded at a time, whichever thread asks first
_loading = threading.Lock()


class TensorRt:
    """One flavour of TensorRT: its module ``trt``, and the logger ``log`` that keeps its last messages.

    The library takes the first logger of a process and no other, so there is one for builder and runner.
    """

    def __init__(self, flavour: str, module: ModuleType) -> None:
        self.flavour = flavour
        self.trt: Any = module
        self.version = str(module.__version__)
        self.log = _make_log(module)

    def network_flags(self) -> int:
        """Flags of a strongly typed network; from TensorRT-RTX on there is no other kind and no flag."""
        flag = getattr(self.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        return 0 if flag is None else 1 << int(flag)

    def runtime(self, host_code: bool = False) -> "tensorrt.Runtime":
        """A runtime, which deserialises engines. host_code: also those that carry a runtime of their own."""
        runtime: tensorrt.Runtime = self.make("Runtime", self.log)
        if host_code:
            runtime.engine_host_code_allowed = True
        return runtime

    def make(self, kind: str, *arguments: Any) -> Any:
        """An object of a class that only the library can make: Builder, Runtime, OnnxParser, Refitter.

        Raises EngineError where it makes none, which the bindings tell by a TypeError: with a driver that
        does not fit, say.
        """
        try:
            return getattr(self.trt, kind)(*arguments)
        except TypeError as error:
            words = next((text for _, text in self.log.messages if "CUDA" in text), "") or str(error)
            raise EngineError(
                f"{self.flavour} {self.version} makes no {kind} here: no GPU, or a driver or CUDA that does "
                f"not fit it, see maskclr-edge doctor ({' '.join(words.split())[:200]})"
            ) from error

    def is_input(self, engine: "tensorrt.ICudaEngine", name: str) -> bool:
        """Whether a tensor is an input."""
        if TYPE_CHECKING:
            import tensorrt as trt
        else:
            trt = self.trt
        return bool(engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT)

    def is_float32(self, engine: "tensorrt.ICudaEngine", name: str) -> bool:
        """Whether a tensor holds float32."""
        if TYPE_CHECKING:
            import tensorrt as trt
        else:
            trt = self.trt
        return bool(engine.get_tensor_dtype(name) == trt.DataType.FLOAT)

    def kernel_cache(self, engine: "tensorrt.ICudaEngine", sha256: str, gpu: str) -> KernelCache | None:
        """Kernels that earlier processes compiled for an engine; None for TensorRT, which compiles none."""
        if self.flavour != "tensorrt-rtx":
            return None
        return KernelCache(engine, sha256, self.version, gpu)

    def context(
        self, engine: "tensorrt.ICudaEngine", kernels: KernelCache | None = None
    ) -> "tensorrt.IExecutionContext | None":
        """An execution context without memory of its own: give it some with ``set_device_memory``."""
        if TYPE_CHECKING:
            import tensorrt as trt
        else:
            trt = self.trt
        alone = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        kinds = getattr(trt, "DynamicShapesKernelSpecializationStrategy", None)
        if kinds is None:
            return engine.create_execution_context(alone)
        # TensorRT-RTX compiles a shape's kernels as the shape comes. By default it does so in the background
        # and runs slow ones meanwhile, which a captured graph would keep for good.
        with_config: Any = engine  # TensorRT 10.3 has no such thing
        config = with_config.create_runtime_config()
        config.set_execution_context_allocation_strategy(alone)
        config.dynamic_shapes_kernel_specialization_strategy = kinds.EAGER
        if kernels is not None and kernels.handle is not None:
            config.set_runtime_cache(kernels.handle)
        made: tensorrt.IExecutionContext | None = with_config.create_execution_context(config)
        return made

    def select_profile(self, context: "tensorrt.IExecutionContext", index: int, stream: int) -> bool:
        """Put a context on a profile, and say whether that went well.

        The bindings of 10.16 and 11.4 raise where it fails. Those of 10.3 do so without holding the GIL,
        which ends the process: nothing can be done about it from here.
        """
        try:
            return bool(context.set_optimization_profile_async(index, stream))
        except RuntimeError:
            return False

    def capturable(self, context: "tensorrt.IExecutionContext", stream: int) -> bool:
        """Whether a CUDA graph can be made of a context; TensorRT-RTX can tell, TensorRT has to be tried."""
        ask = getattr(context, "is_stream_capturable", None)
        return True if ask is None else bool(ask(stream))


def sizes(shape: "tensorrt.Dims") -> tuple[int, ...]:
    """A shape as the API gives it, as numbers; -1 where it is dynamic."""
    return tuple(int(shape[axis]) for axis in range(len(shape)))


def load_tensorrt(flavour: str) -> TensorRt:
    """Load a flavour, "tensorrt" or "tensorrt-rtx", once in a process.

    Raises MissingDependencyError where it is not installed, EngineError for one older than 10.3.
    """
    with _loading:
        return _load(flavour)


@lru_cache(maxsize=len(FLAVOURS))
def _load(flavour: str) -> TensorRt:
    module = _rtx() if flavour == "tensorrt-rtx" else require("tensorrt")
    version = str(module.__version__)
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if flavour == "tensorrt" and numbers < OLDEST:
        raise EngineError(
            f"TensorRT {version} is installed, expected 10.3 or newer: on Jetson JetPack 6.1 has it"
        )
    return TensorRt(flavour, module)


def _rtx() -> ModuleType:
    """NVIDIA's own package, or PyPI's bindings with the libraries that ONNX Runtime's plug-in carries."""
    if available("tensorrt_rtx"):
        return require("tensorrt_rtx")
    folder = Path(str(require("onnxruntime_ep_nv_tensorrt_rtx").__file__)).parent
    for library in ("libtensorrt_rtx", "libtensorrt_onnxparser_rtx"):
        found = sorted(folder.glob(f"{library}.so.*.*"))
        if not found:
            raise MissingDependencyError(
                f"{folder} has no {library}; install it again: pip install 'maskclr-edge[rtx]'"
            )
        ctypes.CDLL(str(found[0]), mode=ctypes.RTLD_GLOBAL)
    return require("tensorrt_rtx_bindings")


def _make_log(trt: Any) -> Any:
    class Log(trt.ILogger):  # type: ignore[misc]
        """Keeps the last warnings and errors, to explain a failure."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: deque[tuple[str, str]] = deque(maxlen=_KEPT_MESSAGES)

        def log(self, severity: Any, message: str) -> None:
            """Called by the library, from any thread."""
            if severity.name not in ("VERBOSE", "INFO"):
                self.messages.append((severity.name, message))

        def errors(self) -> list[str]:
            """The errors since ``messages`` was cleared, each in one line."""
            wanted = ("ERROR", "INTERNAL_ERROR")
            return [" ".join(text.split()) for severity, text in self.messages if severity in wanted]

        def first_error(self) -> str:
            """The first of them: while loading and running, the later ones only follow from it."""
            return next(iter(self.errors()), "")

    return Log()
