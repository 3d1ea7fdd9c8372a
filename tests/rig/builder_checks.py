"""What is checked of the engine builder on the rig; run in a process of its own, for one TensorRT release.

    python builder_checks.py SHARED RIG [CHECK]...

Prints one JSON object: check -> "ok" or what went wrong.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fake_builder import FakeBuilder

from maskclr_edge.deploy import engine, engine_set, extend_bundle
from maskclr_edge.deploy.build_options import SUFFIXES, BuildOptions, EngineSettings
from maskclr_edge.deploy.engine import build_engine
from maskclr_edge.deploy.engine_profiles import Profiles, Range
from maskclr_edge.deploy.refit import refit_bundle, refit_engine
from maskclr_edge.errors import ConfigError, EngineError
from maskclr_edge.runtime import Bundle, bundled_bundle
from maskclr_edge.runtime.cuda_device import CudaDevice
from maskclr_edge.runtime.trt_api import load_tensorrt

RIG = FakeBuilder(Path(sys.argv[1]), Path(sys.argv[2]))
TRT = RIG.trt
FLAVOUR = RIG.flavour
RIG.log = load_tensorrt(FLAVOUR).log
#: TensorRT-RTX builds for GPUs that it is told
SMS = (86,) if FLAVOUR == "tensorrt-rtx" else ()
GPU = CudaDevice("Orin", 87, 12060)
SHAPES = [{"persons": ((1, 1, 17, 3), (1, 30, 17, 3), (4, 243, 17, 3))}]
#: flags that TensorRT 11 has no more: none may ever be set
PRECISION_FLAGS = ("FP16", "BF16", "INT8", "FP8", "FP4", "INT4", "OBEY_PRECISION_CONSTRAINTS")


def setup() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & leaves it ignored
    engine.find_gpu = engine_set.find_gpu = lambda index=0: GPU
    make = engine.make_monitor

    def keep(*arguments: Any) -> Any:
        RIG.monitor = make(*arguments)
        return RIG.monitor

    engine.make_monitor = keep


@contextlib.contextmanager
def refused(kind: type[BaseException], *words: str) -> Iterator[None]:
    try:
        yield
    except kind as error:
        text = str(error)
        assert "\n" not in text, text
        for word in words:
            assert word in text, f"{word!r} is not in: {text}"
    else:
        raise AssertionError("was not refused")


def flags(names: list[int]) -> set[str]:
    by_number = {int(value): name for name, value in TRT.BuilderFlag.__members__.items()}
    return {by_number[number] for number in names}


def check_a_bundle_gets_engines() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out, cache = Path(folder) / "bundle", Path(folder) / "cache"
        told = []
        original = engine.build_engine

        def spy(*arguments: Any, **options: Any) -> bytes:
            data = original(*arguments, **options)
            told.append(dict(RIG.told.__dict__))
            return data

        engine.build_engine = spy
        try:
            settings = EngineSettings("tensorrt", cache=cache)
            bundle = extend_bundle(Bundle.open(bundled_bundle()), out, engines=[settings])
        finally:
            engine.build_engine = original
        assert bundle.precisions("tensorrt"), bundle.runners()
        made = {item.file: item for item in bundle.artifacts if item.kind == "tensorrt"}
        assert "encoder.fp32.trt.engine" in made, made
        item = made["encoder.fp32.trt.engine"]
        assert item.built_for is not None
        assert item.built_for["gpu"] == "Orin", item.built_for
        assert (item.built_for["sm"], item.built_for["version"]) == (["SM87"], TRT.__version__)
        frames = bundle.contract.frames
        assert item.shapes["profiles"] == [[1, frames, 32], [33, 96, 96], [97, 243, 243]], item.shapes
        assert bundle.read(item) == b"ENGINE" * 100
        encoder = told[0]
        assert [one["persons"][2] for one in encoder["profiles"]] == [
            (16, 32, 17, 3), (16, 96, 17, 3), (16, 243, 17, 3),
        ], encoder["profiles"]  # fmt: skip
        assert "features" in told[1]["profiles"][0]
        # the second build starts from what the first has measured
        assert [one["cache_in"] for one in told[:2]] == [[b""], [b"timings"]], told
        (file,) = (cache / "timing").iterdir()
        assert TRT.__version__ in file.name, file
        assert "Orin_sm87" in file.name, file


def check_precision_is_the_networks() -> None:
    build_engine(b"onnx", SHAPES, flavour="tensorrt")
    told = RIG.told
    assert told.network_flags == 1 << int(TRT.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert told.set_flags == [], flags(told.set_flags)
    assert {"TF32", "REFIT"} <= flags(told.cleared)
    assert not flags(told.set_flags) & set(PRECISION_FLAGS)
    assert told.parsed == [4]


def check_options_reach_the_builder() -> None:
    options = BuildOptions(
        level=5, workspace_mb=512, tf32=True, version_compatible=True, hardware="ampere-plus", weights="strip"
    )
    build_engine(b"onnx", SHAPES, flavour="tensorrt", options=options)
    told = RIG.told
    assert flags(told.set_flags) == {"TF32", "VERSION_COMPATIBLE", "STRIP_PLAN"} or flags(told.set_flags) == {
        "TF32",
        "VERSION_COMPATIBLE",
        "WEIGHTLESS",
    }  # 10.x has two names for one number
    assert told.levels == [5]
    assert told.limits == [(int(TRT.MemoryPoolType.WORKSPACE), 512 << 20)]
    assert told.hardware == [int(TRT.HardwareCompatibilityLevel.AMPERE_PLUS)]
    build_engine(b"onnx", SHAPES, flavour="tensorrt", options=BuildOptions(weights="refit"))
    assert flags(RIG.told.set_flags) == {"REFIT"}
    same = BuildOptions(hardware="same-capability")
    if TRT.__version__.startswith("10.3"):
        with refused(ConfigError, "10.3.0 has no hardware compatibility same-capability"):
            build_engine(b"onnx", SHAPES, flavour="tensorrt", options=same)
    else:
        build_engine(b"onnx", SHAPES, flavour="tensorrt", options=same)
        assert RIG.told.hardware == [int(TRT.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY)]


def check_several_profiles() -> None:
    ranges = (Range(1, 8, 16), Range(17, 64, 100))
    build_engine(b"onnx", Profiles(ranges, Range(1, 2, 4)).encoder(), flavour="tensorrt")
    assert RIG.told.profiles == [
        {"persons": {0: (1, 1, 17, 3), 1: (2, 8, 17, 3), 2: (4, 16, 17, 3)}},
        {"persons": {0: (1, 17, 17, 3), 1: (2, 64, 17, 3), 2: (4, 100, 17, 3)}},
    ], RIG.told.profiles


def check_timings_of_another_build_are_left_out() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = engine_set.TimingCache(TRT.__version__, GPU, Path(folder))
        cache.path.parent.mkdir()
        cache.path.write_bytes(b"another version's")
        build_engine(b"onnx", SHAPES, flavour="tensorrt", cache=cache)
        assert RIG.told.cache_set == [False, True], RIG.told.cache_set
        assert cache.path.read_bytes() == b"timings"


def check_progress_and_interruption() -> None:
    seen: list[tuple[int, int, str]] = []
    build_engine(b"onnx", SHAPES, flavour="tensorrt", what="it", progress=lambda *step: seen.append(step))
    assert seen == [(1, 4, "it"), (2, 4, "it"), (3, 4, "it"), (4, 4, "it")], seen
    reached = []

    def interrupt(step: int) -> None:
        reached.append(step)
        if step == 1:
            signal.raise_signal(signal.SIGINT)
            # the main thread hears it while this one works on
            deadline = time.monotonic() + 60
            while not cancelled() and time.monotonic() < deadline:
                time.sleep(0.01)

    def cancelled() -> bool:
        return not RIG.monitor.step_complete("elsewhere", 0)

    RIG.at_step = interrupt
    with tempfile.TemporaryDirectory() as folder:
        settings = EngineSettings("tensorrt", cache=Path(folder) / "cache")
        with refused(KeyboardInterrupt):
            extend_bundle(Bundle.open(bundled_bundle()), Path(folder) / "out", engines=[settings])
        assert list(Path(folder).iterdir()) == []
    assert reached == [0, 1], reached
    RIG.at_step = lambda step: None


def check_refusals_of_the_parser() -> None:
    no_plugin = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
    RIG.refuse_node = ("backbone.blocks_st.2.mlp_t/Gelu", "Gelu", no_plugin)
    with refused(EngineError, "the MLP of block 2, stream ST", "(Gelu)", "it has no Gelu; opset 20"):
        build_engine(b"onnx", SHAPES, flavour="tensorrt", what="engine of encoder.fp32.onnx")
    RIG.refuse_node = ("", "", "Failed to parse the ONNX model")
    with refused(EngineError, "no ONNX file that TensorRT reads"):
        build_engine(b"onnx", SHAPES, flavour="tensorrt")
    RIG.refuse_node = None


def check_refusals_of_the_builder() -> None:
    for words, meaning in {
        "Error Code 2: OutOfMemory (Requested size was 9 bytes.)": "ran out of memory",
        "Could not find any implementation for node backbone.blocks_ts.0.attn_t.scores/MatMul": "--workspace",
        "CUDA initialization failure with error: 35": "no GPU here with a fitting driver",
        "something else at backbone.pre_logits.fc/MatMul": "the representation layer before pooling",
        "": "the builder gave no reason",
    }.items():
        RIG.refuse = words or " "
        with refused(EngineError, meaning):
            build_engine(b"onnx", SHAPES, flavour="tensorrt")
    RIG.refuse = ""
    with refused(ConfigError, "not for SM 86"):
        build_engine(b"onnx", SHAPES, flavour="tensorrt", sms=[86])
    engine.find_gpu = lambda index=0: None
    with refused(EngineError, "no NVIDIA GPU was found"):
        build_engine(b"onnx", SHAPES, flavour="tensorrt")
    engine.find_gpu = lambda index=0: GPU


def check_engines_take_the_weights_of_another_training() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Bundle.open(bundled_bundle())
        stripped = BuildOptions(weights="strip")
        settings = EngineSettings(FLAVOUR, SMS, options=stripped, cache=Path(folder) / "cache")
        empty = extend_bundle(source, Path(folder) / "empty", engines=[settings])
        assert empty.precisions(FLAVOUR) == ()  # no runner takes an engine without weights
        made = refit_bundle(empty, source, Path(folder) / "made")
        assert set(made.precisions(FLAVOUR)) == {"fp32", "int8"}
        encoder = next(a for a in made.artifacts if a.file == f"encoder.fp32.{SUFFIXES[FLAVOUR]}.engine")
        onnx = (bundled_bundle() / "encoder.fp32.onnx").read_bytes()
        assert made.read(encoder) == b"REFITTED" + onnx[:8]
        RIG.refittable = False
        with refused(EngineError, "fixed weights", "--weights refit"):
            refit_bundle(empty, source, Path(folder) / "again")
        RIG.refittable = True
        RIG.refuse_node = ("backbone.norm/LayerNormalization", "LayerNormalization", "wrong shape")
        with refused(EngineError, "the last LayerNorm", "wrong shape"):
            refit_bundle(empty, source, Path(folder) / "again")
        RIG.refuse_node = None
        with refused(ConfigError, "has no engines"):
            refit_bundle(source, source, Path(folder) / "again")
        with refused(EngineError, "to be refitted"):
            refit_engine(b"no engine", b"", flavour=FLAVOUR)
        assert not (Path(folder) / "again").exists()


def main() -> None:
    setup()
    checks: dict[str, Callable[[], None]] = {
        name.removeprefix("check_"): value for name, value in globals().items() if name.startswith("check_")
    }
    results = {}
    for name, check in checks.items():
        if sys.argv[3:] and name not in sys.argv[3:]:
            continue
        try:
            check()
            results[name] = "ok"
        except BaseException:
            results[name] = traceback.format_exc()
    print(json.dumps(results), flush=True)
    # the stand-in calls Python when an object is destroyed, which is too late once Python has begun to end
    os._exit(0)


if __name__ == "__main__":
    main()
