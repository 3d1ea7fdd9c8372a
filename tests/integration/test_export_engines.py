"""Engines of an export: real ones by TensorRT-RTX's builder, which needs no GPU, in every precision."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from exports import Maker, export, leftovers, one_block

from maskclr_edge.checkpoint import Checkpoint, parameter_count
from maskclr_edge.deploy import extend_bundle, graph
from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.engine import build_engine
from maskclr_edge.deploy.parity import probe_clips
from maskclr_edge.deploy.precision import get_precision
from maskclr_edge.deploy.quantised import Quantised
from maskclr_edge.errors import BundleError, ConfigError, EngineError
from maskclr_edge.optional import available
from maskclr_edge.runtime import Bundle

needs_rtx = pytest.mark.skipif(
    not available("tensorrt_rtx_bindings"), reason="TensorRT-RTX (extra rtx) is not installed"
)
#: precision -> GeForce RTX 30, 40 and 50 as far as they have it
GENERATIONS = {**dict.fromkeys(("fp32", "fp16", "bf16", "int8", "mixed"), (86, 89, 120)), "fp8": (89, 120)}


@pytest.fixture
def checkpoint(random_checkpoint: Maker) -> Checkpoint:
    return one_block(random_checkpoint)


@needs_rtx
def test_engines_of_every_precision(checkpoint: Checkpoint, tmp_path: Path) -> None:
    plain = export(checkpoint, tmp_path / "plain")
    (plain.path / "CARD.md").write_text("a model card")
    bundle = extend_bundle(plain, tmp_path / "b", engines=["tensorrt-rtx"], sms=[86])
    assert bundle.precisions("tensorrt-rtx") == ("fp32", "int8")
    made = [item for item in bundle.artifacts if item.kind == "tensorrt-rtx"]
    assert {item.file for item in made} == {
        "encoder.fp32.rtx.engine",
        "encoder.int8.rtx.engine",
        "head.rtx.engine",
    }
    assert all(item.built_for is not None and item.built_for["sm"] == ["SM86"] for item in made)
    assert all(item.bytes > 50_000 for item in made)
    assert made[2].read_back["gemm_flops"]["int8"] > 0.7
    kept = {item.file: item.sha256 for item in plain.artifacts}
    assert kept.items() <= {item.file: item.sha256 for item in bundle.artifacts}.items()
    assert bundle.unlisted() == ("CARD.md",)
    assert bundle.created >= plain.created

    # in its own place, for one precision and other GPUs: the engines that were there go
    again = extend_bundle(bundle, bundle.path, engines=["tensorrt-rtx"], precisions=["fp32"], sms=[89])
    built_for = {item.file: item.built_for for item in again.artifacts if item.kind == "tensorrt-rtx"}
    assert set(built_for) == {"encoder.fp32.rtx.engine", "head.rtx.engine"}
    assert all(entry["sm"] == ["SM89"] for entry in built_for.values())
    assert not (again.path / "encoder.int8.rtx.engine").exists()
    assert leftovers(tmp_path) == ["b", "plain"]


@needs_rtx
def test_what_the_builder_refuses_is_explained(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"SM75.*leave 75 out") as caught:
        export(checkpoint, tmp_path / "b", precisions=("fp32",), engines=["tensorrt-rtx"], sms=[75])
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="no SM 99; expected some of 75"):
        export(checkpoint, tmp_path / "b", precisions=("fp32",), engines=["tensorrt-rtx"], sms=[86, 99])
    with pytest.raises(ConfigError, match="no compute capability"):
        export(checkpoint, tmp_path / "b", precisions=("fp32",), engines=["tensorrt-rtx"], sms=[])
    with pytest.raises(EngineError, match="no ONNX file that TensorRT reads"):
        build_engine(b"no onnx", [], sms=[86])
    assert leftovers(tmp_path) == []


@needs_rtx
@pytest.mark.parametrize("late", [0, 0.3], ids=["waiting", "starting"])
def test_ctrl_c_stops_a_build(checkpoint: Checkpoint, tmp_path: Path, late: float) -> None:
    """In a process of its own: a build still running when Python ends would take the process down.

    late: seconds that the starting of a thread takes, as on a busy machine where the build has its first step
    done before the main thread goes on.
    """
    model = tmp_path / "encoder.onnx"
    model.write_bytes(to_bytes(graph.encoder_graph(checkpoint)))
    program = (
        "import signal, sys, threading, time\n"
        "from maskclr_edge.deploy.engine import build_engine\n"
        "start = threading.Thread.start\n"
        "def slow_start(self):\n"
        "    start(self)\n"
        "    time.sleep(float(sys.argv[2]))\n"
        "threading.Thread.start = slow_start\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's & leaves it ignored
        "pressed = []\n"
        "def interrupt(done, total, what):\n"
        "    if not pressed:\n"
        "        pressed.append(what)\n"
        "        signal.raise_signal(signal.SIGINT)\n"  # handled by the main thread, as a key press is
        "shapes = ((1, 1, 17, 3), (1, 30, 17, 3), (4, 243, 17, 3))\n"
        "model = open(sys.argv[1], 'rb').read()\n"
        "try:\n"
        "    build_engine(model, [{'persons': shapes}], sms=[86], progress=interrupt)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted,', threading.active_count(), 'thread left')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(model), str(late)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("interrupted, 1 thread left\n", "")


def test_extending_needs_what_it_extends(checkpoint: Checkpoint, tmp_path: Path) -> None:
    bundle = export(checkpoint, tmp_path / "b", precisions=("fp32",))
    if available("tensorrt_rtx_bindings"):
        with pytest.raises(ConfigError, match=r"no int8 ONNX, it has fp32.*--precision int8"):
            extend_bundle(bundle, tmp_path / "c", engines=["tensorrt-rtx"], precisions=["int8"])
    with pytest.raises(ConfigError, match="tensorflow"):
        extend_bundle(bundle, tmp_path / "c", engines=["tensorflow"])
    shutil.copytree(bundle.path, tmp_path / "changed")
    with (tmp_path / "changed" / "encoder.fp32.onnx").open("r+b") as file:
        file.write(b"X")
    if available("tensorrt_rtx_bindings"):
        changed = Bundle.open(tmp_path / "changed", verify=False)
        with pytest.raises(BundleError, match=r"encoder\.fp32\.onnx"):
            extend_bundle(changed, tmp_path / "c", engines=["tensorrt-rtx"])
    assert not (tmp_path / "c").exists()


@pytest.mark.full
@needs_rtx
@pytest.mark.parametrize(("precision", "sms"), GENERATIONS.items())
def test_the_builder_takes_every_type_where_the_gpu_has_it(
    checkpoint: Checkpoint, tmp_path: Path, precision: str, sms: tuple[int, ...]
) -> None:
    bundle = export(checkpoint, tmp_path / "b", precisions=[precision], engines=["tensorrt-rtx"], sms=sms)
    assert bundle.precisions("tensorrt-rtx") == (precision,)
    engines = [item for item in bundle.artifacts if item.kind == "tensorrt-rtx"]
    assert all(item.built_for and item.built_for["sm"] == [f"SM{sm}" for sm in sms] for item in engines)


@pytest.fixture(scope="module")
def full_size(random_checkpoint: Maker) -> tuple[Checkpoint, Quantised]:
    """60 M parameters, NTU RGB+D 60, and what quantises them, with ranges of one clip."""
    sizes = {"dim_feat": 512, "dim_rep": 512, "depth": 5, "num_heads": 8, "hidden_dim": 2048}
    made = random_checkpoint(**sizes, maxlen=243, num_classes=60)
    assert 60e6 < parameter_count(made.config) < 61e6
    return made, Quantised(made, probe_clips(1, 1, 20, seed=1), "minmax", (), None, None)


@pytest.mark.full
@needs_rtx
@pytest.mark.parametrize("precision", ["fp16", "bf16", "mixed", "fp8"])  # fp32 and int8: with their export
def test_the_full_size_network_in_every_type(full_size: tuple[Checkpoint, Quantised], precision: str) -> None:
    checkpoint, quantised = full_size
    kind = get_precision(precision)
    if kind.quantised:
        model = quantised.graph(kind, kind.forms[0])
    else:
        model = graph.encoder_graph(checkpoint, compute=kind.compute)
    shapes = ((1, 1, 17, 3), (1, 81, 17, 3), (16, 243, 17, 3))
    engine = build_engine(to_bytes(model), [{"persons": shapes}], sms=GENERATIONS[precision])
    assert 30e6 < len(engine) < 150e6


@needs_rtx
def test_int8_scores_of_wide_heads_are_taken(random_checkpoint: Maker, tmp_path: Path) -> None:
    wide = random_checkpoint(maxlen=60, depth=1, dim_feat=64, num_heads=1)
    bundle = export(wide, tmp_path / "b", precisions=["int8"], engines=["tensorrt-rtx"], sms=[86])
    assert bundle.precisions("tensorrt-rtx") == ("int8",)


@needs_rtx
def test_float8_for_a_gpu_that_lacks_it_names_those_that_have_it(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=r"SM89 \(RTX 40\) or SM120"):
        export(checkpoint, tmp_path / "b", precisions=["fp8"], engines=["tensorrt-rtx"], sms=[86])
    assert leftovers(tmp_path) == []


@needs_rtx
def test_turing_takes_what_multiplies_no_float32(checkpoint: Checkpoint, tmp_path: Path) -> None:
    bundle = export(checkpoint, tmp_path / "b", precisions=["fp16"], engines=["tensorrt-rtx"], sms=[75])
    assert bundle.precisions("tensorrt-rtx") == ("fp16",)
    head = next(item for item in bundle.artifacts if item.file == "head.fp16.onnx")
    assert head.read_back["gemm_flops"] == {"float16": 1.0}


@pytest.mark.full
@needs_rtx
def test_turing_takes_int8_beside_float16(checkpoint: Checkpoint, tmp_path: Path) -> None:
    bundle = export(checkpoint, tmp_path / "b", precisions=["mixed"], engines=["tensorrt-rtx"], sms=[75])
    assert bundle.precisions("tensorrt-rtx") == ("mixed",)


@pytest.mark.full
@needs_rtx
@pytest.mark.parametrize("sm", [80, 86, 89, 120, 121])
def test_every_gpu_generation_takes_both_precisions(checkpoint: Checkpoint, tmp_path: Path, sm: int) -> None:
    bundle = export(checkpoint, tmp_path / "b", engines=["tensorrt-rtx"], sms=[sm])
    assert bundle.precisions("tensorrt-rtx") == ("fp32", "int8")
