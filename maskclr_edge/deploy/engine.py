"""TensorRT-RTX engines, built ahead of time on machines without a GPU.

Precision lives in the ONNX: networks are strongly typed and no precision flag is set. Enum members are taken
by name, because their numbers change between TensorRT releases.
"""

import ctypes
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from maskclr_edge.errors import ConfigError, EngineError
from maskclr_edge.optional import available, require

Progress = Callable[[int, int, str], None]
#: least, typical and largest shape of an input
ShapeRange = tuple[Sequence[int], Sequence[int], Sequence[int]]

#: compute capabilities that an engine is built for when none are named: GeForce RTX 30, 40 and 50
DEFAULT_SMS = (86, 89, 120)

# what the builder says -> what it means and what to do
_TRANSLATIONS = (
    (
        r"FP32 GEMM is not supported",
        "TensorRT-RTX multiplies no FP32 matrices on SM75 (RTX 20): leave 75 out of --sm",
    ),
    (
        r"[Nn]on-zero zero point|UINT8",
        "TensorRT takes only symmetric int8 (zero point 0): export int8 again with maskclr-edge",
    ),
    (
        r"(?i)fp8|e4m3",
        "FP8 needs SM89 (RTX 40) or SM120 (RTX 50): leave the others out of --sm",
    ),
    (
        r"(?i)out of memory|bad_alloc",
        "the builder ran out of memory: close other programs, or build elsewhere",
    ),
)


def build_engine(
    model: bytes,
    inputs: Mapping[str, ShapeRange],
    *,
    sms: Sequence[int] = DEFAULT_SMS,
    what: str = "engine",
    progress: Progress | None = None,
) -> bytes:
    """Serialised engine of an ONNX model for GPUs of the compute capabilities ``sms`` (86 for SM86).

    inputs: name -> (least, typical, largest) shape, one optimisation profile. Ctrl-C cancels the build.
    Raises ConfigError for an unknown compute capability, EngineError with the builder's reason, and
    MissingDependencyError without the extra ``rtx``.
    """
    trt, log = load_rtx()
    capabilities = _capabilities(trt, sms)
    log.messages.clear()
    builder = trt.Builder(log)
    flags = 0
    strongly_typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    if strongly_typed is not None:
        flags |= 1 << int(strongly_typed)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        first = f"{errors[0].node_name()} ({errors[0].node_operator()}): {errors[0].desc()}" if errors else ""
        raise EngineError(_translate(what, first or "the parser gave no reason"))
    config = builder.create_builder_config()
    config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        config.set_compute_capability(capability, index)
    profile = builder.create_optimization_profile()
    for name, shapes in inputs.items():
        profile.set_shape(name, *(tuple(shape) for shape in shapes))
    config.add_optimization_profile(profile)
    engine = _build(trt, builder, network, config, what, progress)
    if engine is None:
        reasons = [text for severity, text in log.messages if severity in ("ERROR", "INTERNAL_ERROR")]
        raise EngineError(_translate(what, reasons[0] if reasons else "the builder gave no reason"))
    return bytes(engine)


@lru_cache(maxsize=1)
def load_rtx() -> tuple[Any, Any]:
    """The TensorRT-RTX API and a logger for it, from NVIDIA's package or from the extra ``rtx``.

    The library takes the first logger of a process and no other, so there is one, kept.
    """
    if available("tensorrt_rtx"):
        trt = require("tensorrt_rtx")
    else:
        folder = Path(str(require("onnxruntime_ep_nv_tensorrt_rtx").__file__)).parent
        for library in ("libtensorrt_rtx", "libtensorrt_onnxparser_rtx"):
            found = sorted(folder.glob(f"{library}.so.*.*"))
            if not found:
                raise EngineError(
                    f"{folder} has no {library}; install it again: pip install 'maskclr-edge[rtx]'"
                )
            ctypes.CDLL(str(found[0]), mode=ctypes.RTLD_GLOBAL)
        trt = require("tensorrt_rtx_bindings")

    class Log(trt.ILogger):  # type: ignore[misc, name-defined]
        """Keeps the last messages, to explain a failure."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: list[tuple[str, str]] = []

        def log(self, severity: Any, message: str) -> None:
            if severity.name not in ("VERBOSE", "INFO") and len(self.messages) < 1000:
                self.messages.append((severity.name, message))

    return trt, Log()


def rtx_version() -> str:
    """Version of the TensorRT-RTX that ``build_engine`` uses."""
    return str(load_rtx()[0].__version__)


def _capabilities(trt: Any, sms: Sequence[int]) -> list[Any]:
    members = trt.ComputeCapability.__members__
    known = sorted(int(name[2:]) for name in members if re.fullmatch(r"SM\d+", name))
    for sm in sms:
        if sm not in known:
            listed = ", ".join(map(str, known))
            raise ConfigError(
                f"TensorRT-RTX {trt.__version__} builds for no SM {sm}; expected some of {listed}"
            )
    if not sms:
        raise ConfigError("no compute capability to build for; name some, e.g. --sm 86,89")
    return [members[f"SM{sm}"] for sm in dict.fromkeys(sms)]


def _build(
    trt: Any, builder: Any, network: Any, config: Any, what: str, progress: Progress | None
) -> Any | None:
    """Build in a thread of its own: Python hears Ctrl-C only while its main thread waits in Python."""
    cancelled = threading.Event()

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Passes on the builder's outermost phase, and stops it when asked."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            if parent is None:
                self.steps[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            if progress is not None and phase in self.steps:
                progress(min(step + 1, self.steps[phase]), self.steps[phase], what)
            return not cancelled.is_set()

        def phase_finish(self, phase: str) -> None:
            self.steps.pop(phase, None)

    config.progress_monitor = monitor = Monitor()
    results: list[Any] = []
    finished = threading.Event()

    def work() -> None:
        try:
            results.append(builder.build_serialized_network(network, config))
        finally:
            finished.set()

    threading.Thread(target=work, daemon=True).start()
    try:
        # not join(): interrupted, it takes a running thread for an ended one, and the library for idle
        while not finished.wait(0.1):
            pass
    except BaseException:
        cancelled.set()
        finished.wait()
        raise
    del monitor
    return results[0] if results else None


def _translate(what: str, reason: str) -> str:
    """One line for a refusal: what it means where that is known, then the builder's own words."""
    words = " ".join(reason.split())
    for pattern, meaning in _TRANSLATIONS:
        if re.search(pattern, words):
            return f"{what}: {meaning} (the builder said: {words[:200]})"
    return f"{what} cannot be built: {words[:400]}"
