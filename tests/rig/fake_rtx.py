"""What TensorRT-RTX has beside TensorRT, for the rig: runtime configurations, and contexts made of them.

A context that does not specialise its kernels eagerly would run slow ones at first, and one that has no
configuration takes memory of its own: the stand-in refuses both.
"""

from typing import Any


def teach_rtx(rig: Any, engine: Any, context: Any) -> None:
    """Teach a rig on an engine and a context of its own."""
    fake, trt, handlers = rig.fake, rig.trt, rig.fake.handlers
    fake.learn("ICudaEngine", "create_runtime_config", engine.create_runtime_config)
    handlers["ICudaEngine.create_runtime_config"] = lambda this, a, d: fake.new("IRuntimeConfig")
    config = engine.create_runtime_config()
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
        return int(rig.new_context(this))

    def capturable(this: Any, a: Any, d: Any) -> int:
        return int(a[0] != 0 and this.engine.header.get("capturable", True))

    handlers["ICudaEngine.create"] = lambda this, a, d: rig._error("a runtime configuration was expected")
    handlers["ICudaEngine.create_runtime_config"] = lambda this, a, d: rig._new("IRuntimeConfig")
    handlers["IRuntimeConfig.set_allocation"] = set_value("allocation")
    handlers["IRuntimeConfig.set_specialisation"] = set_value("specialisation")
    handlers["ICudaEngine.create_with_config"] = create
    handlers["IExecutionContext.is_stream_capturable"] = capturable
    rig._lessons_of_rtx = config  # taught on, and kept out of the count
