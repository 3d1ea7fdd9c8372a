"""What is checked of the TensorRT runner on the rig, in a process for one release and one CUDA layer.

    python checks.py --shared DIR --rig DIR --libcuda FILE [--site DIR]... --layer NAME --bundle DIR
                     [--only CHECK]... [--calls N]

DIR of --bundle is a tiny network, for most checks are about the path and not about the arithmetic.

Prints one JSON object: check -> "ok" or what went wrong.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from maskclr_edge.errors import BundleError, EngineError, MaskclrEdgeError, ShapeError
from maskclr_edge.runtime import Runner, bundled_bundle, open_runner
from maskclr_edge.runtime.bundle import Bundle
from maskclr_edge.runtime.trt import TensorRtRunner
from maskclr_edge.runtime.trt_api import load_tensorrt
from maskclr_edge.runtime.trt_lane import SHAPES_KEPT

BUCKETS = ((1, 24, 32), (33, 81, 96), (97, 243, 243))
PERSONS = 4


class Bench:
    """The rig, the bundled model as a bundle with engines, and a runner opener."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        sys.path[:0] = [str(Path(__file__).parent), *map(str, arguments.site)]
        from fake_engine import Rig

        self.rig = Rig(arguments.shared, arguments.rig, arguments.libcuda)
        self.layer: str = arguments.layer
        self.calls: int = arguments.calls
        self.rig.log = load_tensorrt("tensorrt").log
        self.root = Path(tempfile.mkdtemp(prefix="maskclr-edge-rig-"))
        self.source: Path = arguments.bundle
        self.bundle = self.write("bundle")
        self.reference = open_runner(self.bundle, "onnxruntime", "fp32", threads=1)

    def write(self, name: str, **changes: Any) -> Path:
        """A copy of the tiny bundle with engines for encoder and head.

        changes: source (another bundle), onnx (role -> bytes), spoil (a function of an engine's bytes), or
        entries of an engine's header.
        """
        from fake_engine import engine_bytes

        folder = self.root / name
        shutil.copytree(changes.pop("source", self.source), folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        onnx = {
            one["role"]: (folder / one["file"]).read_bytes()
            for one in manifest["artifacts"]
            if one["precision"] == "fp32"
        } | changes.pop("onnx", {})
        options = changes.pop("options", {})
        spoil = changes.pop("spoil", lambda data: data)
        width = Bundle.open(folder).config.feature_size
        profiles = {
            "encoder": changes.pop("profiles", None)
            or [[(1, t[0], 17, 3), (1, t[1], 17, 3), (PERSONS, t[2], 17, 3)] for t in BUCKETS],
            "head": [[(1, 2, width), (1, 2, width), (3, 2, width)]],
        }
        for role, shapes in profiles.items():
            data = spoil(engine_bytes(onnx[role], shapes, **changes))
            (folder / f"{role}.engine").write_bytes(data)
            manifest["artifacts"].append({
                "file": f"{role}.engine", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data),
                "role": role, "kind": "tensorrt", "precision": "fp32", "runners": ["tensorrt"],
                "read_back": {}, "shapes": {}, "parity": None,
                "built_for": {"version": "10.0.1", "sm": ["SM86"], "options": options},
            })  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    @contextmanager
    def runner(self, folder: Path | None = None, **options: Any) -> Iterator[TensorRtRunner]:
        """A runner on the layer under test; afterwards nothing of it may be left on the GPU."""
        before, depth = self.rig.counts(), self.rig.depth()
        bundle = Bundle.open(folder or self.bundle)
        with TensorRtRunner(bundle, "fp32", layer=self.layer, **options) as runner:
            yield runner
        self.nothing_left(before, depth)

    def nothing_left(self, before: dict[str, int], depth: int) -> None:
        """Fail where something lives that did not before."""
        after = self.rig.counts()
        lives = ("device_memory", "pinned", "streams", "events", "graphs", "graph_execs", "retained")
        for name in (*lives, *(name for name in after if name.startswith("alive"))):
            assert after[name] == before.get(name, 0), (
                f"{name}: {before.get(name, 0)} before, {after[name]} after"
            )
        assert self.rig.depth() == depth, "a context is left on the stack"

    def same(self, runner: Runner, batch: np.ndarray, reference: Runner | None = None) -> None:
        """The runner must give what ONNX Runtime gives for the bundle's ONNX files."""
        wanted, got = (reference or self.reference).infer(batch), runner.infer(batch)
        assert got.shape == wanted.shape and np.allclose(got, wanted, atol=1e-4), np.abs(got - wanted).max()


def clips(count: int = 1, persons: int = 2, frames: int = 24, seed: int = 0) -> np.ndarray:
    """Clips with some absent persons."""
    random = np.random.default_rng([seed, count, persons, frames])
    batch = random.uniform(-1, 1, (count, persons, frames, 17, 3)).astype(np.float32)
    batch[:, 1:][random.random((count, persons - 1)) < 0.4] = 0
    return batch


@contextmanager
def refuses(kind: type[MaskclrEdgeError], *words: str) -> Iterator[None]:
    """One line of this kind of error, with these words in it."""
    try:
        yield
    except kind as error:
        text = str(error)
        print(text, file=sys.stderr)
        assert "\n" not in text, text
        assert len(text) < 700, len(text)
        for word in words:
            assert word in text, f"{word!r} is not in: {text}"
        return
    raise AssertionError(f"no {kind.__name__} was raised")


def check_logits_are_those_of_onnx_runtime(bench: Bench) -> None:
    """Every clip count, person count and length, each three times: first call, capture, graph."""
    with bench.runner() as runner:
        for frames in (1, 2, 24, 32, 33, 81, 96, 97, 243):
            for count, persons in ((1, 1), (1, 2), (3, 2), (5, 2)):
                for seed in range(3):
                    bench.same(runner, clips(count, persons, frames, seed))


def check_true_logits_of_the_bundled_model(bench: Bench) -> None:
    folder = bench.write("bundled", source=bundled_bundle())
    with bench.runner(folder) as runner, open_runner(folder, "onnxruntime", "fp32", threads=1) as reference:
        for frames in (24, 24, 24, 1, 40, 243):
            bench.same(runner, clips(1, 2, frames), reference)


def check_without_graphs(bench: Bench) -> None:
    with bench.runner(graphs=False) as runner:
        for frames in (1, 24, 33, 243, 24, 24):
            bench.same(runner, clips(2, 2, frames))
        assert runner.details["cuda_graphs"] is False
        assert bench.rig.counts()["graph_execs"] == 0


def check_the_profile_is_chosen_by_length(bench: Bench) -> None:
    with bench.runner(graphs=False) as runner:
        for frames, profile in ((1, 0), (32, 0), (33, 1), (96, 1), (97, 2), (243, 2), (5, 0)):
            bench.rig.profiles_used.clear()
            runner.infer(np.ones((1, 2, frames, 17, 3), np.float32))
            assert bench.rig.profiles_used == [profile, 0], bench.rig.profiles_used  # encoder, head
        assert [one["frames"] for one in runner.details["profiles"]] == [list(one) for one in BUCKETS]


def check_among_profiles_the_nearest_is_chosen(bench: Bench) -> None:
    shapes = [[(1, 1, 17, 3), (p, t, 17, 3), (8, 243, 17, 3)] for p, t in ((1, 24), (8, 24), (1, 243))]
    folder = bench.write("overlapping", profiles=shapes)
    with bench.runner(folder, graphs=False) as runner:
        for count, frames, profile in ((1, 30, 0), (4, 20, 1), (1, 200, 2)):
            bench.rig.profiles_used.clear()
            runner.infer(np.ones((count, 2, frames, 17, 3), np.float32))
            assert bench.rig.profiles_used[0] == profile, bench.rig.profiles_used


def check_more_persons_than_the_engine_takes(bench: Bench) -> None:
    with bench.runner() as runner:
        batch = np.random.default_rng(0).uniform(-1, 1, (7, 2, 24, 17, 3)).astype(np.float32)
        for _ in range(3):
            bench.same(runner, batch)


def check_graphs_take_over_on_the_second_call_of_a_shape(bench: Bench) -> None:
    with bench.runner() as runner:
        batch = np.ones((1, 2, 24, 17, 3), np.float32)
        seen = []
        for _ in range(4):
            before = bench.rig.counts()
            bench.same(runner, batch)
            after = bench.rig.counts()
            seen.append([after[key] - before[key] for key in ("graph_execs", "graph_launches", "launches")])
        # encoder and head: plain; warm-up and capture; one launch each
        assert seen == [[0, 0, 2], [2, 0, 4], [0, 2, 0], [0, 2, 0]], seen
        assert runner.graphs() == [{"encoder": 1, "head": 1}]


def check_graphs_are_bounded(bench: Bench) -> None:
    with bench.runner() as runner:
        for _ in range(2):
            for frames in range(1, SHAPES_KEPT + 9):
                for _ in range(2):
                    bench.same(runner, np.ones((1, 2, frames, 17, 3), np.float32))
        assert runner.graphs() == [{"encoder": SHAPES_KEPT, "head": 1}], runner.graphs()
        assert bench.rig.counts()["graph_execs"] == SHAPES_KEPT + 1
        # one context a graph, and those of the shapes without
        assert bench.rig.counts()["alive IExecutionContext"] <= SHAPES_KEPT + 1 + 4


def check_an_engine_that_cannot_be_captured(bench: Bench) -> None:
    folder = bench.write("uncapturable", capturable=False)
    with bench.runner(folder) as runner:
        for seed in range(4):
            bench.same(runner, clips(1, 2, 24, seed))
        assert all("not possible" in str(why) for why in runner.graphs()[0].values()), runner.graphs()
        assert "not possible" in runner.details["cuda_graphs"]


def check_many_threads(bench: Bench) -> None:
    batches = [clips(1 + seed % 4, 2, (3, 24, 40, 120)[seed % 4], seed) for seed in range(60)]
    wanted = [bench.reference.infer(batch) for batch in batches]
    with bench.runner(threads=3) as runner:
        for _ in range(2):
            with ThreadPoolExecutor(8) as pool:
                for got, right in zip(pool.map(runner.infer, batches), wanted, strict=True):
                    assert np.allclose(got, right, atol=1e-4)
        assert 1 <= len(runner.graphs()) <= 3


def check_one_thread_makes_one_lane(bench: Bench) -> None:
    with bench.runner(threads=4) as runner:
        for _ in range(5):
            bench.same(runner, clips())
        assert len(runner.graphs()) == 1
        assert bench.rig.counts()["streams"] == 1


def check_steady_calls_allocate_nothing(bench: Bench) -> None:
    with bench.runner() as runner:
        shapes = [clips(2, 2, frames) for frames in (1, 24, 81, 243)]
        for _ in range(2):
            for batch in shapes:
                runner.infer(batch)
        before = bench.rig.counts()
        for _ in range(20):
            for batch in shapes:
                runner.infer(batch)
        after = bench.rig.counts()
        for key in after:
            if key not in ("graph_launches",):
                assert after[key] == before[key], f"{key}: {before[key]}, then {after[key]}"


def check_only_the_first_call_allocates(bench: Bench) -> None:
    """Buffers are taken for the largest shapes at once: later shapes, however large, take no more."""
    with bench.runner() as runner:
        runner.infer(clips(1, 1, 1))
        before = bench.rig.counts()["allocations"]
        for frames in (24, 243, 97, 3):
            for count in (1, 4):
                for _ in range(3):
                    runner.infer(clips(count, 2, frames))
        assert bench.rig.counts()["allocations"] == before


def check_leaks_over_calls_with_changing_shapes(bench: Bench) -> None:
    """Live objects stay within their bounds throughout, and nothing is left at the end."""
    with bench.runner() as runner:
        random = np.random.default_rng(0)
        for call in range(bench.calls):
            frames = int(random.integers(1, 60)) if call % 5 else 24
            runner.infer(np.ones((int(random.integers(1, 4)), 1, frames, 17, 3), np.float32))
            if call == 20:
                first = bench.rig.counts()
        last = bench.rig.counts()
        for key in ("device_memory", "pinned", "streams", "events", "graphs", "retained", "allocations"):
            assert last[key] == first[key], f"{key}: {first[key]}, then {last[key]}"
        assert last["graph_execs"] <= 2 * SHAPES_KEPT
        assert last["alive IExecutionContext"] <= 2 * SHAPES_KEPT + 4


def check_results_do_not_change_under_a_later_call(bench: Bench) -> None:
    with bench.runner() as runner:
        for seed in range(3):
            first = runner.infer(clips(seed=seed))
            kept = first.copy()
            runner.infer(clips(seed=seed + 10))
            assert np.array_equal(first, kept)


def check_another_context_stays_current(bench: Bench) -> None:
    """As beside PyTorch: a context that the caller has made current is so again after every call."""
    import ctypes

    bench.rig.cuda.cuCtxPushCurrent_v2.argtypes = [ctypes.c_void_p]
    other, now = ctypes.create_string_buffer(8), ctypes.c_void_p()
    address = ctypes.addressof(other)
    bench.rig.cuda.cuCtxPushCurrent_v2(address)
    try:
        with bench.runner() as runner:
            for seed in range(3):
                bench.same(runner, clips(seed=seed))
                bench.rig.cuda.cuCtxGetCurrent(ctypes.byref(now))
                assert now.value == address
    finally:
        bench.rig.cuda.cuCtxPopCurrent_v2(None)


def check_torch_is_not_needed(bench: Bench) -> None:
    with bench.runner() as runner:
        bench.same(runner, clips())
    assert "torch" not in sys.modules
    assert "onnx" not in sys.modules


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
    here = f"tensorrt {bench.rig.trt.__version__} on Stand-in GPU (SM87)"
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
            TensorRtRunner(Bundle.open(folder), "fp32", layer=bench.layer)
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
        with refuses(EngineError, "encoder.engine", "host code is not allowed"):
            TensorRtRunner(Bundle.open(folder), "fp32", layer=bench.layer)


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
            TensorRtRunner(Bundle.open(folder), "fp32", layer=bench.layer)
        bench.nothing_left(before, depth)


def check_a_damaged_file_is_found_by_its_hash(bench: Bench) -> None:
    folder = bench.write("damaged")
    file = folder / "encoder.engine"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with refuses(BundleError, "encoder.engine", "SHA-256"):
        open_runner(folder, "tensorrt")


def check_a_bundle_without_engines(bench: Bench) -> None:
    with refuses(BundleError, "nothing for runner tensorrt in fp32", "onnxruntime"):
        open_runner(bundled_bundle(), "tensorrt", "fp32")


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


def check_out_of_memory(bench: Bench) -> None:
    folder = bench.write("huge", memory=7 << 30)
    with (
        bench.runner(folder) as runner,
        refuses(EngineError, "no room on Stand-in GPU for lane 1", "out of memory", "--threads 1"),
    ):
        runner.infer(clips())


def check_closing(bench: Bench) -> None:
    with bench.runner() as runner:
        bench.same(runner, clips())
        runner.close()
        runner.close()
        with refuses(EngineError, "closed"):
            runner.infer(clips())
    with bench.runner(threads=2) as runner:  # closed from another thread, while calls run
        with ThreadPoolExecutor(3) as pool:
            calls = [pool.submit(runner.infer, clips(seed=seed)) for seed in range(6)]
            pool.submit(runner.close).result()
        for call in calls:
            error = call.exception()
            assert error is None or (isinstance(error, EngineError) and "closed" in str(error)), error


def check_two_runners_side_by_side(bench: Bench) -> None:
    with bench.runner() as first:
        for seed in range(4):
            bench.same(first, clips(seed=seed))
        with bench.runner() as second:
            for seed in range(4):
                bench.same(first, clips(seed=seed))
                bench.same(second, clips(seed=seed, frames=100))
        bench.same(first, clips(seed=9))


def check_opened_by_name(bench: Bench) -> None:
    with open_runner(bench.bundle, "tensorrt", "fp32") as runner:
        bench.same(runner, clips())
        assert runner.name == "tensorrt"
        assert runner.details["tensorrt"] == bench.rig.trt.__version__
        assert (runner.details["gpu"], runner.details["sm"]) == ("Stand-in GPU", "SM87")
        assert runner.details["cuda_through"] == bench.layer


def check_prepared_shapes_have_their_graph(bench: Bench) -> None:
    with bench.runner() as runner:
        runner.prepare(2, 24)
        before = bench.rig.counts()
        bench.same(runner, np.ones((1, 2, 24, 17, 3), np.float32))
        after = bench.rig.counts()
        assert after["graph_launches"] - before["graph_launches"] == 1  # the encoder's
        assert after["allocations"] == before["allocations"]


def check_times_by_events(bench: Bench) -> None:
    with bench.runner() as runner:
        bench.same(runner, clips())
        times = runner.gpu_ms(2, 24)
        assert list(times) == ["copy_in_ms", "compute_ms", "copy_out_ms"]
        assert times["compute_ms"] > times["copy_in_ms"] >= 0
        with refuses(ShapeError, "takes"):
            runner.gpu_ms(1, 300)
        bench.same(runner, clips(seed=2))


CHECKS = {name[6:]: function for name, function in globals().items() if name.startswith("check_")}


def parser_of_the_rig(description: str | None) -> argparse.ArgumentParser:
    """The options that every program on the rig takes."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("--shared", "--rig", "--libcuda", "--bundle"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--site", type=Path, action="append", default=[])
    parser.add_argument("--layer", required=True)
    parser.add_argument("--calls", type=int, default=300)
    return parser


def main() -> None:
    """Run the checks that were asked for and print what came of them."""
    parser = parser_of_the_rig(__doc__)
    parser.add_argument("--only", choices=CHECKS, action="append")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    answers = {}
    for name, check in CHECKS.items():
        if name in (arguments.only or CHECKS):
            began = time.monotonic()
            try:
                check(bench)
                answers[name] = "ok"
            except Exception:
                answers[name] = traceback.format_exc()
            print(f"-- {name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    shutil.rmtree(bench.root)
    print(json.dumps(answers), flush=True)
    os._exit(0)  # what the rig was taught on is not made to be collected


if __name__ == "__main__":
    main()
