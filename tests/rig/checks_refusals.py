"""Engines, bundles and shapes that are refused, each in one line."""

from typing import Any

from rig_bench import Bench, clips, refuses

from maskclr_edge.errors import BundleError, EngineError, ShapeError
from maskclr_edge.runtime import bundled_bundle, open_runner
from maskclr_edge.runtime.bundle import Bundle


def check_lengths_that_the_engine_does_not_take(bench: Bench) -> None:
    shapes = [[(1, low, 17, 3), (1, high, 17, 3), (2, high, 17, 3)] for low, high in ((5, 30), (40, 90))]
    folder = bench.write("narrow", profiles=shapes)
    with bench.runner(folder) as runner:
        bench.same(runner, clips(1, 1, 30))
        for frames in (4, 31, 91, 243):
            with refuses(ShapeError, f"have {frames} frames", "encoder.engine takes 5 to 30, 40 to 90"):
                runner.infer(clips(1, 1, frames))
        bench.same(runner, clips(1, 1, 40))


def check_engines_that_are_not_for_this_machine(bench: Bench) -> None:
    here = f"{bench.flavour} {bench.rig.trt.__version__} on Stand-in GPU (SM87)"
    made = "built with 10.0.1 for SM86"
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "another version": ({"version": "10.0.1.6"}, "another version built it"),
        "another GPU": ({"compute": "8.6"}, "it was built for another GPU"),
        "truncated": ({"spoil": lambda data: data[: len(data) // 2]}, "it was cut short"),
        "no engine": ({"spoil": lambda data: data[24:]}, "it is no engine of this kind"),
    }
    for name, (changes, reason) in cases.items():
        folder = bench.write(name.replace(" ", "_"), **changes)
        before, depth = bench.rig.counts(), bench.rig.depth()
        with refuses(EngineError, "encoder.engine", here, made, reason, "export the bundle again"):
            bench.open(folder)
        bench.nothing_left(before, depth)


def check_version_compatible_engines(bench: Bench) -> None:
    """They carry code for the host: allowed where the manifest says so, and only there."""
    with bench.runner(
        bench.write("compatible", host_code=True, options={"version_compatible": True})
    ) as runner:
        bench.same(runner, clips())
    for name, options in (
        ("plain", {}),
        ("odd", {"version_compatible": "yes"}),
        ("list", ["version_compatible"]),
    ):
        folder = bench.write(name, host_code=True, options=options)
        with refuses(EngineError, "encoder.engine", "a runtime of its own, which its manifest does not say"):
            bench.open(folder)


def check_engines_of_another_model(bench: Bench) -> None:
    onnx = {
        one.role: bench.bundle / one.file for one in Bundle.open(bench.bundle).artifacts if one.kind == "onnx"
    }
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "swapped": (
            {"onnx": {"head": onnx["encoder"].read_bytes()}},
            "has persons where the head has features",
        ),
        "half": ({"dtype": "HALF"}, "persons is not float32"),
    }
    for name, (changes, words) in cases.items():
        folder = bench.write(name, **changes)
        before, depth = bench.rig.counts(), bench.rig.depth()
        with refuses(BundleError, ".engine", words):
            bench.open(folder)
        bench.nothing_left(before, depth)


def check_a_damaged_file_is_found_by_its_hash(bench: Bench) -> None:
    folder = bench.write("damaged")
    file = folder / "encoder.engine"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with refuses(BundleError, "encoder.engine", "SHA-256"):
        open_runner(folder, bench.flavour)


def check_a_bundle_without_engines(bench: Bench) -> None:
    with refuses(BundleError, f"nothing for runner {bench.flavour} in fp32", "onnxruntime"):
        open_runner(bundled_bundle(), bench.flavour, "fp32")


def check_failures_on_the_way(bench: Bench) -> None:
    """TensorRT says no: one line with its words, and the runner goes on afterwards."""
    with bench.runner() as runner:
        methods = [
            "create_execution_context",
            "set_optimization_profile_async",
            "set_input_shape",
            "execute_async_v3",
        ]
        if bench.rig.trt.__version__.startswith("10.3."):
            methods.remove("set_optimization_profile_async")  # its bindings raise without the GIL: a crash
        for method in methods:
            bench.rig.fail[method] = "the stand-in\nhas had enough"
            with refuses(EngineError, "the stand-in has had enough"):
                runner.infer(clips(1, 1, 24))
            bench.rig.fail.clear()
        for frames in (24, 25, 24):
            bench.same(runner, clips(1, 1, frames))
