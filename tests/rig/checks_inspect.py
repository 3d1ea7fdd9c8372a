"""The layers of an engine, through the inspector of the real bindings."""

import json

from rig_bench import BUCKETS, PERSONS, Bench, refuses

from maskclr_edge.deploy.inspection import engine_layers, inspect
from maskclr_edge.errors import EngineError
from maskclr_edge.runtime.gpu import open_gpu

LAYER = {
    "Name": "gemm",
    "LayerType": "gemm",
    "Outputs": [{"Name": "features", "Dimensions": [-1, 68], "Format/Datatype": "Half"}],
    "TacticName": "sm87_kernel",
}


def check_layers_of_an_engine(bench: Bench) -> None:
    folder = bench.write("layers", layers=json.dumps({"Layers": [LAYER], "Bindings": []}), refittable=True)
    before = bench.rig.counts()
    facts = inspect(folder / "encoder.engine")
    assert (facts["flavour"], facts["in_bundle"]) == (bench.flavour, True), facts
    gpu = open_gpu(bench.layer)
    with gpu.current():
        found = engine_layers(folder / "encoder.engine")
    assert found["tensors"] == ["persons", "features"], found
    assert found["profiles"] == [
        {"persons": [[1, low, 17, 3], [1, opt, 17, 3], [PERSONS, high, 17, 3]]} for low, opt, high in BUCKETS
    ]
    assert found["output_types"] == {"float16": 1}
    assert found["layers"][0]["kernel"] == "sm87_kernel"
    assert found["refittable"] is True
    after = bench.rig.counts()
    for name in after:
        if name.startswith("alive"):
            assert after[name] == before.get(name, 0), name
    gpu.close()


def check_layers_that_cannot_be_told(bench: Bench) -> None:
    gpu = open_gpu(bench.layer)
    with gpu.current():
        for name, layers, words in (("torn", '{"Layers": [', "no JSON"), ("other", "[]", "without Layers")):
            folder = bench.write(f"layers_{name}", layers=layers)
            with refuses(EngineError, "inspector gave", words):
                engine_layers(folder / "encoder.engine")
        # a version compatible engine is allowed its own runtime where the manifest beside it says so
        whole = json.dumps({"Layers": []})
        options = {"version_compatible": True}
        folder = bench.write("layers_compatible", layers=whole, host_code=True, options=options)
        assert engine_layers(folder / "encoder.engine")["layers"] == []
        folder = bench.write("layers_alone", layers=whole, host_code=True)
        with refuses(EngineError, "cannot be loaded", "EngineHostCodeAllowed"):
            engine_layers(folder / "encoder.engine")
    gpu.close()
