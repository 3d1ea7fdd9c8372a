"""Engines of TensorRT and TensorRT-RTX from ONNX, by one code path.

Precision lives in the ONNX: networks are strongly typed and no precision flag is set. TensorRT builds for the
GPU of the machine it runs on; TensorRT-RTX for any it is told, ahead of time, with no GPU at all.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from maskclr_edge.deploy.build_options import HARDWARE, BuildOptions
from maskclr_edge.deploy.engine_errors import translate, translate_parser
from maskclr_edge.deploy.engine_profiles import ShapeRange
from maskclr_edge.deploy.timing_cache import TimingCache
from maskclr_edge.errors import ConfigError, EngineError
from maskclr_edge.runtime.cuda_device import find_gpu
from maskclr_edge.runtime.trt_api import TensorRt, load_tensorrt

if TYPE_CHECKING:
    import tensorrt

Progress = Callable[[int, int, str], None]


def build_engine(
    model: bytes,
    profiles: Sequence[Mapping[str, ShapeRange]],
    *,
    flavour: str = "tensorrt-rtx",
    sms: Sequence[int] = (),
    options: BuildOptions | None = None,
    cache: TimingCache | None = None,
    what: str = "engine",
    progress: Progress | None = None,
) -> bytes:
    """Serialised engine of an ONNX model.

    profiles: for each, input name -> (least, typical, largest) shape. sms: compute capabilities that
    TensorRT-RTX builds for (86 for SM86); TensorRT builds for the GPU here and takes none. cache: kernel
    timings of earlier builds, which this one adds to. Ctrl-C cancels the build.
    Raises ConfigError for settings that the flavour does not have, EngineError with the builder's reason, and
    MissingDependencyError where the flavour is not installed.
    """
    options = options or BuildOptions()
    options.check(flavour, sms)
    api = load_tensorrt(flavour)
    capabilities = _capabilities(api, sms)
    _check_gpu(api, options, what)
    api.log.messages.clear()
    builder = api.make("Builder", api.log)
    network = builder.create_network(api.network_flags())
    _parse(api, network, model, what)
    config = builder.create_builder_config()
    if capabilities:
        config.num_compute_capabilities = len(capabilities)
        for index, capability in enumerate(capabilities):
            config.set_compute_capability(capability, index)
    _add_profiles(builder, config, profiles, what)
    _configure(api, config, options)
    if cache is not None:
        cache.give(config)
    engine = _build(api.trt, builder, network, config, what, progress)
    if engine is None:
        raise EngineError(translate(what, api.log.errors()))
    if cache is not None:
        cache.take(config)
    return bytes(engine)


def known_sms(flavour: str) -> list[int]:
    """Compute capabilities that a flavour builds for ahead of time; none for TensorRT."""
    members = getattr(load_tensorrt(flavour).trt, "ComputeCapability", None)
    if members is None or flavour != "tensorrt-rtx":
        return []
    return sorted(int(name[2:]) for name in members.__members__ if re.fullmatch(r"SM\d+", name))


def _capabilities(api: TensorRt, sms: Sequence[int]) -> list[Any]:
    known = known_sms(api.flavour) if sms else []
    for sm in sms:
        if sm not in known:
            listed = ", ".join(map(str, known))
            raise ConfigError(f"TensorRT-RTX {api.version} builds for no SM {sm}; expected some of {listed}")
    return [api.trt.ComputeCapability.__members__[f"SM{sm}"] for sm in dict.fromkeys(sms)]


def _check_gpu(api: TensorRt, options: BuildOptions, what: str) -> None:
    """Say at once what a build would only fail on after seconds."""
    if api.flavour == "tensorrt" and find_gpu() is None:
        raise EngineError(
            f"{what}: TensorRT builds only on the GPU that it is for, and no NVIDIA GPU was found here; run "
            "the same command on the device, or take --engine tensorrt-rtx"
        )
    if api.flavour == "tensorrt-rtx" and options.weights != "fixed" and find_gpu() is None:
        raise EngineError(
            f"{what}: TensorRT-RTX builds engines whose weights can be changed only where there is a GPU, "
            "and none was found; leave --weights out, or build on a machine with one"
        )


def _parse(api: TensorRt, network: "tensorrt.INetworkDefinition", model: bytes, what: str) -> None:
    parser = api.make("OnnxParser", network, api.log)
    if parser.parse(model):
        return
    if not parser.num_errors:
        raise EngineError(translate_parser(what, "", "", api.log.first_error()))
    error = parser.get_error(0)
    raise EngineError(
        translate_parser(what, error.node_name() or "", error.node_operator() or "", error.desc() or "")
    )


def _add_profiles(
    builder: "tensorrt.Builder",
    config: "tensorrt.IBuilderConfig",
    profiles: Sequence[Mapping[str, ShapeRange]],
    what: str,
) -> None:
    for inputs in profiles:
        profile = builder.create_optimization_profile()
        for name, shapes in inputs.items():
            profile.set_shape(name, *shapes)
        if config.add_optimization_profile(profile) < 0:
            raise EngineError(
                f"{what}: TensorRT refuses the profile {dict(inputs)}; check the ranges of shapes"
            )


def _configure(api: TensorRt, config: "tensorrt.IBuilderConfig", options: BuildOptions) -> None:
    trt = api.trt
    config.builder_optimization_level = options.level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for `inspect`; kernels are the same
    if options.workspace_mb is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mb << 20)
    flags = {"TF32": options.tf32, "VERSION_COMPATIBLE": options.version_compatible}
    flags |= {"REFIT": options.weights == "refit", "STRIP_PLAN": options.weights == "strip"}
    for name, wanted in flags.items():
        flag = getattr(trt.BuilderFlag, name)
        if wanted:
            config.set_flag(flag)
        else:
            config.clear_flag(flag)  # TF32 is on unless it is cleared
    if options.hardware != "none":
        name = HARDWARE[options.hardware]
        level = getattr(trt.HardwareCompatibilityLevel, name, None)
        if level is None:
            raise ConfigError(
                f"TensorRT {api.version} has no hardware compatibility {options.hardware}, newer ones have; "
                "take ampere-plus or none"
            )
        config.hardware_compatibility_level = level


def make_monitor(trt: Any, progress: Callable[[int, int], None], cancelled: threading.Event) -> Any:
    """A progress monitor that passes on the builder's outermost phase, and stops the build when asked."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                self.steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self.steps:
                progress(min(step + 1, self.steps[phase_name]), self.steps[phase_name])
            return not cancelled.is_set()

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()


def _build(
    trt: Any, builder: Any, network: Any, config: Any, what: str, progress: Progress | None
) -> Any | None:
    """Build in a thread of its own: Python hears Ctrl-C only while its main thread waits in Python."""
    cancelled = threading.Event()
    report = progress or (lambda done, total, what: None)
    config.progress_monitor = monitor = make_monitor(
        trt, lambda done, total: report(done, total, what), cancelled
    )
    results: list[Any] = []
    finished = threading.Event()

    def work() -> None:
        try:
            if not cancelled.is_set():
                results.append(builder.build_serialized_network(network, config))
        finally:
            finished.set()

    thread = threading.Thread(target=work, daemon=True)
    try:
        thread.start()  # Ctrl-C may come as early as here, with the build under way
        # not join(): interrupted, it takes a running thread for an ended one, and the library for idle
        while not finished.wait(0.1):
            pass
    except BaseException:
        cancelled.set()
        raise
    finally:
        if thread.ident is not None:  # a build may not outlast Python: the process would abort
            finished.wait()
            thread.join()
    del monitor
    return results[0] if results else None
