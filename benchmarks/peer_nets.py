"""What a user would run instead: each peer as a call on clips (N, M, T, 17, 3), made when its turn comes.

A peer is opened for one length T and number of person slots M, as its own library is used without our help.
"""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from upstream_form import upstream_net

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.model import build_model

Call = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """The checkpoint, the clip's shape and the threads that a peer is opened for."""

    checkpoint: Checkpoint
    frames: int
    slots: int
    threads: int | None


@dataclass(frozen=True)
class Peer:
    """A peer by its name in tables; ``open`` gives its call. slots: person slots that it is measured with."""

    name: str
    open: Callable[[Setting], Any]
    slots: tuple[int, ...] = (2, 1)


def peers() -> tuple[Peer, ...]:
    """Those that can run here."""
    found = [
        Peer("upstream's form, PyTorch eager fp32", _eager(autocast=False)),
        Peer("upstream's form, PyTorch bf16 autocast", _eager(autocast=True)),
        Peer("naive torch.onnx.export, ONNX Runtime fp32", _naive_onnxruntime),
        Peer("naive torch.onnx.export, OpenVINO as it comes", _naive_openvino),
    ]
    if shutil.which("g++") or shutil.which("clang++"):
        found += [
            Peer("torch.compile fp32, our rearranged network", _compiled(autocast=False), (1,)),
            Peer("torch.compile bf16, our rearranged network", _compiled(autocast=True), (1,)),
        ]
    return tuple(found)


def absent() -> dict[str, str]:
    """Peers that cannot run here, and why."""
    missing = {}
    if not torch.cuda.is_available():
        missing["CUDA-graphed torch.compile"] = "no CUDA device"
    if find_spec("torch_tensorrt") is None:
        missing["torch-tensorrt"] = "the package torch-tensorrt is not installed"
    if shutil.which("trtexec") is None:
        missing["trtexec"] = "there is no trtexec on this machine"
    if not (shutil.which("g++") or shutil.which("clang++")):
        missing["torch.compile"] = "it needs a C++ compiler, and there is none"
    return missing


def _eager(*, autocast: bool) -> Callable[[Setting], Any]:
    @contextmanager
    def opened(setting: Setting) -> Iterator[Call]:
        _threads(setting)
        yield _torch_call(upstream_net(setting.checkpoint), autocast)

    return opened


def _compiled(*, autocast: bool) -> Callable[[Setting], Any]:
    """Frozen weights and static shapes, which is what made torch.compile fastest on CPUs."""

    @contextmanager
    def opened(setting: Setting) -> Iterator[Call]:
        _threads(setting)
        torch.compiler.reset()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = torch.compile(
                build_model(setting.checkpoint), dynamic=False, options={"freezing": True}
            )
            call = _torch_call(network, autocast)
            call(np.zeros((1, setting.slots, setting.frames, 17, 3), np.float32))
            yield call
        torch.compiler.reset()

    return opened


def _torch_call(network: Any, autocast: bool) -> Call:
    def call(clips: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            result: np.ndarray = network(torch.from_numpy(clips)).float().numpy()
        return result

    return call


@contextmanager
def _naive_onnxruntime(setting: Setting) -> Iterator[Call]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if setting.threads:
        options.intra_op_num_threads = setting.threads
    with _naive_export(setting) as path:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    yield lambda clips: session.run(None, {"clips": clips})[0]


@contextmanager
def _naive_openvino(setting: Setting) -> Iterator[Call]:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": setting.threads} if setting.threads else {}
    with _naive_export(setting) as path:
        model = openvino.compile_model(str(path), "CPU", settings)
    yield lambda clips: model(clips)[0]


@contextmanager
def _naive_export(setting: Setting) -> Iterator[Path]:
    """The network in upstream's form, traced as the exporter does without being asked for anything."""
    clips = torch.zeros(1, setting.slots, setting.frames, 17, 3)
    with tempfile.TemporaryDirectory(prefix="maskclr-edge-peer-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "naive.onnx"
        torch.onnx.export(
            upstream_net(setting.checkpoint), (clips,), str(path), input_names=["clips"], dynamo=False
        )
        yield path


def _threads(setting: Setting) -> None:
    if setting.threads:
        torch.set_num_threads(setting.threads)
