"""What a user would run instead: each peer as a call on clips (N, M, T, 17, 3), made when its turn comes.

A peer is opened for one length T and number of person slots M, as its own library is used without our help.
What was exported or compiled for one is kept in the folder of the run, so that it is made once.
"""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from upstream_form import upstream_net

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.model import build_model
from maskclr_edge.optional import available

Call = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """The checkpoint, the clip's shape, the threads, and the folder for files, that a peer is opened for."""

    checkpoint: Checkpoint
    frames: int
    slots: int
    threads: int | None
    keep: Path


@dataclass(frozen=True)
class Peer:
    """A peer by its name in tables; ``open`` gives its call. slots: person slots that it is measured with."""

    name: str
    open: Callable[[Setting], Any]
    slots: tuple[int, ...] = (2, 1)


def peers(device: str = "cpu") -> tuple[Peer, ...]:
    """Those that can run here, those that ours is held to first; PyTorch's on a device, "cpu" or "cuda"."""
    half = has_bf16(device)
    found = [
        Peer("naive torch.onnx.export, ONNX Runtime fp32", _naive_onnxruntime),
        Peer("upstream's form, PyTorch bf16 autocast", _eager(device, autocast=True)),
    ]
    if can_compile():
        kind = "bf16" if half else "fp32"
        graphs = " with CUDA graphs" if device == "cuda" else ""
        found += [
            Peer(f"torch.compile {kind}{how}, our rearranged network", _compiled(device, half, tune), (1,))
            for tune, how in ((False, ""), (True, f" max-autotune{graphs}"))
        ]
    found += [
        Peer("naive torch.onnx.export, OpenVINO as it comes", _naive_openvino),
        Peer("upstream's form, PyTorch eager fp32", _eager(device, autocast=False)),
    ]
    if device == "cuda" and available("torch_tensorrt"):
        found.append(Peer("torch-tensorrt fp16, our rearranged network", _torch_tensorrt, (1,)))
    return tuple(found)


def absent(device: str = "cpu") -> dict[str, str]:
    """Peers that cannot run here, and why."""
    missing = {}
    if device != "cuda":
        why = "ours ran on the CPU" if torch.cuda.is_available() else "no CUDA device"
        missing["torch.compile with CUDA graphs"] = why
    if not available("torch_tensorrt"):
        missing["torch-tensorrt"] = "the package torch-tensorrt is not installed"
    if shutil.which("trtexec") is None:
        missing["trtexec"] = "there is no trtexec on this machine"
    if not can_compile():
        missing["torch.compile"] = "it needs a C++ compiler, and there is none"
    return missing


def has_bf16(device: str) -> bool:
    """Whether products in bfloat16 are faster than in float32: elsewhere torch.compile is fastest in fp32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool({"avx512_bf16", "amx_bf16"} & set(describe_machine()["cpu_features"]))


def can_compile() -> bool:
    """Whether torch.compile finds the compiler that it needs."""
    return bool(shutil.which("g++") or shutil.which("clang++"))


def _eager(device: str, *, autocast: bool) -> Callable[[Setting], Any]:
    @contextmanager
    def opened(setting: Setting) -> Iterator[Call]:
        _threads(setting)
        yield _torch_call(upstream_net(setting.checkpoint).to(device), device, autocast)

    return opened


def _compiled(device: str, autocast: bool, tune: bool) -> Callable[[Setting], Any]:
    """On CPUs with frozen weights and static shapes, which is what made torch.compile fastest there.

    tune: try every kernel there is for a matrix product; on a GPU that mode replays CUDA graphs as well. On
    a CPU they are timed anew in each process, as a choice made beside other work would be kept otherwise;
    what is compiled is kept.
    """
    options: dict[str, Any] = {"freezing": True}
    if tune:
        options |= {"max_autotune": True, "fx_graph_cache": False, "autotune_local_cache": False}
    how: dict[str, Any] = {"options": options}
    if device == "cuda":
        how = {"mode": "max-autotune" if tune else None}

    @contextmanager
    def opened(setting: Setting) -> Iterator[Call]:
        _threads(setting)
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(setting.keep / "inductor"))
        torch.compiler.reset()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = torch.compile(build_model(setting.checkpoint).to(device), dynamic=False, **how)
            call = _torch_call(network, device, autocast)
            call(np.zeros((1, setting.slots, setting.frames, 17, 3), np.float32))
            yield call
        torch.compiler.reset()

    return opened


@contextmanager
def _torch_tensorrt(setting: Setting) -> Iterator[Call]:
    import torch_tensorrt

    clips = torch.zeros(1, setting.slots, setting.frames, 17, 3, device="cuda")
    network = torch_tensorrt.compile(
        build_model(setting.checkpoint).to("cuda"), ir="dynamo", inputs=[clips],
        enabled_precisions={torch.float32, torch.float16},
    )  # fmt: skip
    yield _torch_call(network, "cuda", autocast=False)


def _torch_call(network: Any, device: str, autocast: bool) -> Call:
    """Clips in host memory in, logits in host memory out, as ours."""

    def call(clips: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=autocast):
            result: np.ndarray = network(torch.from_numpy(clips).to(device)).float().cpu().numpy()
        return result

    return call


@contextmanager
def _naive_onnxruntime(setting: Setting) -> Iterator[Call]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if setting.threads:
        options.intra_op_num_threads = setting.threads
    session = onnxruntime.InferenceSession(
        str(naive_export(setting)), options, providers=["CPUExecutionProvider"]
    )
    yield lambda clips: session.run(None, {"clips": clips})[0]


@contextmanager
def _naive_openvino(setting: Setting) -> Iterator[Call]:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": setting.threads} if setting.threads else {}
    model = openvino.compile_model(str(naive_export(setting)), "CPU", settings)
    yield lambda clips: model(clips)[0]


def naive_export(setting: Setting) -> Path:
    """The network in upstream's form, traced as the exporter does without being asked for anything."""
    path = setting.keep / f"naive_{setting.slots}x{setting.frames}.onnx"
    if not path.exists():
        clips, unfinished = torch.zeros(1, setting.slots, setting.frames, 17, 3), path.with_suffix(".part")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                upstream_net(setting.checkpoint), (clips,), str(unfinished), input_names=["clips"],
                dynamo=False,
            )  # fmt: skip
        unfinished.rename(path)
    return path


def _threads(setting: Setting) -> None:
    if setting.threads:
        torch.set_num_threads(setting.threads)
