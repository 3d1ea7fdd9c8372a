"""The engine inspector of the rig: it gives the JSON that an engine's header has."""

from typing import Any


def teach_inspector(rig: Any, engine: Any) -> None:
    """Teach a rig on an engine of its own."""
    fake, trt, handlers = rig.fake, rig.trt, rig.fake.handlers
    fake.learn("ICudaEngine", "refittable", lambda: engine.refittable)
    fake.learn("ICudaEngine", "create_inspector", engine.create_engine_inspector)
    handlers["ICudaEngine.create_inspector"] = lambda this, a, d: fake.new("IEngineInspector")
    inspector = engine.create_engine_inspector()
    as_json = trt.LayerInformationFormat.JSON
    fake.learn("IEngineInspector", "information", lambda: inspector.get_engine_information(as_json))

    def information(this: Any, a: Any, d: Any) -> str:
        return str(this.engine.header["layers"]) if a[0] & 0xFFFFFFFF == int(as_json) else "not asked for"

    handlers["ICudaEngine.refittable"] = lambda this, a, d: int(this.header.get("refittable", False))
    handlers["ICudaEngine.create_inspector"] = lambda this, a, d: rig._new("IEngineInspector", engine=this)
    handlers["IEngineInspector.information"] = information
    rig._lessons_of_inspector = inspector  # taught on, and kept out of the count
