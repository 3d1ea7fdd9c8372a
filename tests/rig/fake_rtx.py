"""What TensorRT-RTX has beside TensorRT, for the rig: runtime configurations, contexts made of them, kernels.

A context that does not specialise its kernels eagerly would run slow ones at first, and one that has no
configuration takes memory of its own: the stand-in refuses both.
"""

import ctypes
from typing import Any

#: what a cache of compiled kernels begins with
KERNELS = b"kernels"


def teach_rtx(rig: Any, engine: Any, context: Any) -> None:
    """Teach a rig on an engine and a context of its own."""
    fake, trt, handlers = rig.fake, rig.trt, rig.fake.handlers
    fake.learn("ICudaEngine", "create_runtime_config", engine.create_runtime_config)
    handlers["ICudaEngine.create_runtime_config"] = lambda this, a, d: fake.new("IRuntimeConfig")
    config = engine.create_runtime_config()
    fake.learn("IRuntimeConfig", "create_cache", config.create_runtime_cache)
    handlers["IRuntimeConfig.create_cache"] = lambda this, a, d: fake.new("IRuntimeCache")
    cache = config.create_runtime_cache()
    fake.learn("IRuntimeConfig", "set_cache", lambda: config.set_runtime_cache(cache))
    fake.learn("IRuntimeCache", "deserialize", lambda: cache.deserialize(b"x"))
    fake.learn("IRuntimeCache", "serialize", lambda: cache.serialize())
    handlers["IRuntimeCache.serialize"] = lambda this, a, d: fake.new("IHostMemory")
    host = cache.serialize()
    slots = sorted(set(fake.learn("IHostMemory", "data", lambda: bytes(host))))
    names = ("data", "size", "type")
    fake.names.update(zip((("IHostMemory", slot) for slot in slots), names, strict=True))
    alone = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
    for name, call in {
        "set_allocation": lambda: config.set_execution_context_allocation_strategy(alone),
        "set_specialisation": lambda: setattr(config, "dynamic_shapes_kernel_specialization_strategy", eager),
    }.items():
        fake.learn("IRuntimeConfig", name, call)
    fake.learn("ICudaEngine", "create_with_config", lambda: engine.create_execution_context(config))
    fake.learn("IExecutionContext", "is_stream_capturable", lambda: context.is_stream_capturable(1))

    def set_value(name: str) -> Any:
        return lambda this, a, d: setattr(this, name, a[0] & 0xFFFFFFFF)

    def create(this: Any, a: Any, d: Any) -> int:
        if rig._refuse("create_execution_context"):
            return 0
        given = fake.data[a[0]].__dict__
        if given.get("allocation") != int(alone) or given.get("specialisation") != int(eager):
            return int(rig._error(f"the runner is meant to bring the memory and to be eager: {given}"))
        if (cache := given.get("cache")) is not None:
            cache.content += b"."  # a context more, and the kernels that it compiles
        return int(rig.new_context(this))

    def set_cache(this: Any, a: Any, d: Any) -> int:
        this.cache = fake.data[a[0]]
        return 1

    def deserialize(this: Any, a: Any, d: Any) -> int:
        given = ctypes.string_at(a[0], a[1])
        if not given.startswith(KERNELS):
            return 0
        this.content = given
        return 1

    def serialize(this: Any, a: Any, d: Any) -> int:
        buffer = ctypes.create_string_buffer(this.content, len(this.content))
        return int(rig._new("IHostMemory", buffer=buffer))

    def capturable(this: Any, a: Any, d: Any) -> int:
        return int(a[0] != 0 and this.engine.header.get("capturable", True))

    handlers["ICudaEngine.create"] = lambda this, a, d: rig._error("a runtime configuration was expected")
    handlers["ICudaEngine.create_runtime_config"] = lambda this, a, d: rig._new("IRuntimeConfig")
    handlers["IRuntimeConfig.set_allocation"] = set_value("allocation")
    handlers["IRuntimeConfig.set_specialisation"] = set_value("specialisation")
    handlers["ICudaEngine.create_with_config"] = create
    handlers["IRuntimeConfig.create_cache"] = lambda this, a, d: rig._new("IRuntimeCache", content=KERNELS)
    handlers["IRuntimeConfig.set_cache"] = set_cache
    handlers["IRuntimeCache.deserialize"] = deserialize
    handlers["IRuntimeCache.serialize"] = serialize
    handlers["IHostMemory.data"] = lambda this, a, d: ctypes.addressof(this.buffer)
    handlers["IHostMemory.size"] = lambda this, a, d: len(this.buffer)
    handlers["IHostMemory.type"] = lambda this, a, d: int(trt.DataType.INT8)
    handlers["IExecutionContext.is_stream_capturable"] = capturable
    rig._lessons_of_rtx = (config, cache, host)  # taught on, and kept out of the count
