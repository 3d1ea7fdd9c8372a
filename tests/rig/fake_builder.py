"""A builder behind TensorRT's real Python bindings: it notes what it is told and gives made-up engines.

Run through ../shared/trt_rig/fake_trt.py, which finds out which virtual function each Python method calls.
"""

import ctypes
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class FakeBuilder:
    """``told`` is what the last build was told; ``refuse`` what it answers with."""

    def __init__(self, shared: Path, rig: Path) -> None:
        sys.path.insert(0, str(shared))
        import fake_trt

        self.fake = fake_trt
        fake_trt.install(rig)
        self.flavour = "tensorrt-rtx" if (rig / "tensorrt_rtx").is_dir() else "tensorrt"
        self.trt: Any = importlib.import_module(self.flavour.replace("-", "_"))
        self.log: Any = None
        self.monitor: Any = None
        self.told = SimpleNamespace()
        #: what goes wrong: (node, op, words) of the parser, or words of the builder
        self.refuse_node: tuple[str, str, str] | None = None
        self.refuse: str = ""
        self.refittable = True
        self.weights = b""
        #: called at each step of a build
        self.at_step: Callable[[int], None] = lambda step: None
        self.kept: list[Any] = []
        self._learn()
        self._handle()

    def handle(self, name: str, action: Callable[..., Any]) -> None:
        self.fake.handlers[name] = action

    def memory(self, content: bytes) -> int:
        """An IHostMemory with this content."""
        buffer = ctypes.create_string_buffer(content, len(content) or 1)
        self.kept.append(buffer)
        return int(self.fake.new("IHostMemory", address=ctypes.addressof(buffer), size=len(content)))

    def _learn(self) -> None:
        f, trt = self.fake, self.trt
        learn = f.learn
        self.kept.append(log := trt.Logger())
        builder = trt.Builder(log)
        for method, kind in (
            ("create_network", "INetworkDefinition"),
            ("create_builder_config", "IBuilderConfig"),
            ("create_optimization_profile", "IOptimizationProfile"),
        ):
            call = getattr(builder, method)
            learn("IBuilder", method, (lambda: call(0)) if method == "create_network" else call)  # noqa: B023
            self.handle(f"IBuilder.{method}", lambda s, a, d, kind=kind: f.new(kind))
        network, config = builder.create_network(0), builder.create_builder_config()
        profile = builder.create_optimization_profile()
        learn("IBuilder", "build", lambda: builder.build_serialized_network(network, config))
        self.handle("IBuilder.build", lambda s, a, d: self.memory(b""))
        host = builder.build_serialized_network(network, config)
        slots = sorted(set(learn("IHostMemory", "data", lambda: bytes(host))))
        f.names.update(zip((("IHostMemory", slot) for slot in slots), ("data", "size", "type"), strict=True))
        one = (1, 1)
        learn("IOptimizationProfile", "set_shape", lambda: profile.set_shape("x", one, one, one))
        flag = trt.BuilderFlag.TF32
        calls = {
            "add_profile": lambda: config.add_optimization_profile(profile),
            "set_level": lambda: setattr(config, "builder_optimization_level", 3),
            "set_verbosity": lambda: setattr(config, "profiling_verbosity", trt.ProfilingVerbosity.DETAILED),
            "set_limit": lambda: config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1),
            "set_flag": lambda: config.set_flag(flag),
            "clear_flag": lambda: config.clear_flag(flag),
            "set_hardware": lambda: setattr(
                config, "hardware_compatibility_level", trt.HardwareCompatibilityLevel.AMPERE_PLUS
            ),
            "create_cache": lambda: config.create_timing_cache(b"x"),
            "get_cache": lambda: config.get_timing_cache(),
        }
        if self.flavour == "tensorrt-rtx":
            calls |= {
                "set_sms": lambda: setattr(config, "num_compute_capabilities", 1),
                "set_sm": lambda: config.set_compute_capability(trt.ComputeCapability.SM86, 0),
            }
        for name, action in calls.items():
            learn("IBuilderConfig", name, action)
        self.handle("IBuilderConfig.create_cache", lambda s, a, d: f.new("ITimingCache"))
        cache = config.create_timing_cache(b"x")
        learn("IBuilderConfig", "set_cache", lambda: config.set_timing_cache(cache, False))
        learn("ITimingCache", "serialize", lambda: cache.serialize())
        parser = trt.OnnxParser(network, log)
        learn("IParser", "parse", lambda: parser.parse(b"x"))
        learn("IParser", "num_errors", lambda: parser.num_errors)
        learn("IParser", "get_error", lambda: parser.get_error(0))
        self.handle("IParser.get_error", lambda s, a, d: f.new("IParserError"))
        error = parser.get_error(0)
        for name in ("node_name", "node_operator", "desc"):
            learn("IParserError", name, getattr(error, name))
        self._learn_refitting(log)

    def _learn_refitting(self, log: Any) -> None:
        f, trt, learn = self.fake, self.trt, self.fake.learn
        runtime = trt.Runtime(log)
        learn("IRuntime", "deserialize", lambda: runtime.deserialize_cuda_engine(b"x"))
        self.handle("IRuntime.deserialize", lambda s, a, d: f.new("ICudaEngine"))
        engine = runtime.deserialize_cuda_engine(b"x")
        learn("ICudaEngine", "refittable", lambda: engine.refittable)
        learn("ICudaEngine", "create_config", lambda: engine.create_serialization_config())
        self.handle("ICudaEngine.create_config", lambda s, a, d: f.new("ISerializationConfig"))
        config = engine.create_serialization_config()
        flag = trt.SerializationFlag.EXCLUDE_WEIGHTS
        learn("ISerializationConfig", "clear_flag", lambda: config.clear_flag(flag))
        learn("ICudaEngine", "serialize", lambda: engine.serialize_with_config(config))
        refitter = trt.Refitter(engine, log)
        learn("IRefitter", "missing", lambda: refitter.get_missing_weights())
        learn("IRefitter", "refit", lambda: refitter.refit_cuda_engine())
        parser = trt.OnnxParserRefitter(refitter, log)
        learn("IParserRefitter", "refit", lambda: parser.refit_from_bytes(b"x"))
        learn("IParserRefitter", "num_errors", lambda: parser.num_errors)
        learn("IParserRefitter", "get_error", lambda: parser.get_error(0))

    def _handle(self) -> None:
        f = self.fake

        def note(name: str, value: Callable[[Any], Any] = lambda a: a[0], answer: int = 1) -> Any:
            def action(state: Any, a: Any, d: Any) -> int:
                getattr(self.told, name).append(value(a))
                return answer

            return action

        def create_network(state: Any, a: Any, d: Any) -> int:
            self.told.__dict__.update(
                network_flags=a[0], set_flags=[], cleared=[], limits=[], levels=[], hardware=[],
                profiles=[], verbosity=[], cache_in=[], cache_set=[], parsed=[],
            )  # fmt: skip
            return int(f.new("INetworkDefinition"))

        def set_shape(state: Any, a: Any, d: Any) -> int:
            if not hasattr(state, "shapes"):
                state.shapes = {}
                self.told.profiles.append(state.shapes)
            state.shapes.setdefault(f.cstr(a[0]), {})[int(a[1])] = f.dims(a[2])
            return 1

        def create_cache(state: Any, a: Any, d: Any) -> int:
            content = ctypes.string_at(a[0], a[1]) if a[1] else b""
            self.told.cache_in.append(content)
            return int(f.new("ITimingCache", content=content))

        def set_cache(state: Any, a: Any, d: Any) -> int:
            state.cache = a[0]
            bad = f.data[a[0]].content.startswith(b"another")
            self.told.cache_set.append(not bad)
            return 0 if bad else 1

        def parse(state: Any, a: Any, d: Any) -> int:
            self.told.parsed.append(a[1])
            return 0 if self.refuse_node else 1

        def build(state: Any, a: Any, d: Any) -> int:
            if self.refuse:
                self.log.log(self.trt.ILogger.Severity.ERROR, self.refuse)
                return 0
            self.monitor.phase_start("Build", None, 4)
            self.monitor.phase_start("Tactics", "Build", 2)
            self.monitor.step_complete("Tactics", 1)
            for step in range(4):
                self.at_step(step)
                if not self.monitor.step_complete("Build", step):
                    return 0
            self.monitor.phase_finish("Build")
            return self.memory(b"ENGINE" * 100)

        def deserialize(state: Any, a: Any, d: Any) -> int:
            content = ctypes.string_at(a[0], a[1])
            return int(f.new("ICudaEngine", content=content)) if content.startswith(b"ENGINE") else 0

        def serialize(state: Any, a: Any, d: Any) -> int:
            return self.memory(b"REFITTED" + self.weights)

        def refit(state: Any, a: Any, d: Any) -> int:
            self.weights = ctypes.string_at(a[0], a[1])[:8]
            return 0 if self.refuse_node else 1

        for name, action in {
            "IRuntime.deserialize": deserialize,
            "ICudaEngine.refittable": lambda s, a, d: int(self.refittable),
            "ICudaEngine.serialize": serialize,
            "ISerializationConfig.clear_flag": lambda s, a, d: 1,
            "IRefitter.missing": lambda s, a, d: 0,
            "IRefitter.refit": lambda s, a, d: 1,
            "IParserRefitter.refit": refit,
            "IParserRefitter.num_errors": lambda s, a, d: 1 if self.refuse_node else 0,
            "IParserRefitter.get_error": lambda s, a, d: f.new("IParserError"),
            "IBuilder.create_network": create_network,
            "IBuilder.build": build,
            "IOptimizationProfile.set_shape": set_shape,
            "IBuilderConfig.add_profile": lambda s, a, d: len(self.told.profiles) - 1,
            "IBuilderConfig.set_flag": note("set_flags"),
            "IBuilderConfig.clear_flag": note("cleared"),
            "IBuilderConfig.set_level": note("levels"),
            "IBuilderConfig.set_verbosity": note("verbosity"),
            "IBuilderConfig.set_limit": note("limits", lambda a: (a[0], a[1])),
            "IBuilderConfig.set_hardware": note("hardware"),
            "IBuilderConfig.set_sms": lambda s, a, d: 1,
            "IBuilderConfig.set_sm": lambda s, a, d: 1,
            "IBuilderConfig.create_cache": create_cache,
            "IBuilderConfig.set_cache": set_cache,
            "IBuilderConfig.get_cache": lambda s, a, d: getattr(s, "cache", 0),
            "ITimingCache.serialize": lambda s, a, d: self.memory(b"timings" + s.content[:0]),
            "IHostMemory.data": lambda s, a, d: s.address,
            "IHostMemory.size": lambda s, a, d: s.size,
            "IHostMemory.type": lambda s, a, d: int(self.trt.DataType.INT8),
            "IParser.parse": parse,
            "IParser.num_errors": lambda s, a, d: 1 if self.refuse_node else 0,
            "IParserError.node_name": lambda s, a, d: (self.refuse_node or ("", "", ""))[0],
            "IParserError.node_operator": lambda s, a, d: (self.refuse_node or ("", "", ""))[1],
            "IParserError.desc": lambda s, a, d: (self.refuse_node or ("", "", ""))[2],
        }.items():
            self.handle(name, action)
