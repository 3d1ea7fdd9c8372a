"""Fixtures that every test may use; real data where this checkout has it beside it."""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from maskclr_edge.checkpoint import Checkpoint, ModelConfig, weight_shapes
from maskclr_edge.skeleton import SkeletonContract

# Deadlines and slow-data checks measure the machine, not the code. `make test-full` takes the profile "full".
settings.register_profile(
    "quick", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "full", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("quick")

# Tests open no windows on the screen of whoever runs them.
for name in ("DISPLAY", "WAYLAND_DISPLAY"):
    os.environ.pop(name, None)

# GNU readline, loaded by pytest, exports the size of a terminal that is not there to pytest-xdist's workers.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

# The scripts of benchmarks/ import one another, as Python lets them where they are run; tests share stand-ins
# from this folder.
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "benchmarks"), str(Path(__file__).parent)]

# What was tuned or cached on the machine that tests run on must not decide their outcome.
os.environ["MASKCLR_EDGE_CACHE"] = str(Path(tempfile.gettempdir()) / "maskclr-edge-tests-have-no-cache")

SIZES = {"dim_feat": 16, "dim_rep": 24, "depth": 2, "num_heads": 2, "hidden_dim": 20, "maxlen": 40}
SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(folder: str) -> Path:
    if not SHARED.is_dir():
        pytest.skip("needs the real data set folder ../shared, which is not beside this checkout")
    return SHARED / folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real pyskl annotation files."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_footage() -> Path:
    """Folder of real video footage."""
    return _shared("footage")


class TinyBundle:
    """A bundle written by hand: a small network in two ONNX graphs, and the same network in NumPy.

    The encoder is 0.05 * sum over T of tanh(x W + b), so that an absent person's features depend on T.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        rng = np.random.default_rng(7)
        self.w1, self.b1 = (rng.normal(size=size).astype(np.float32) for size in ((3, 4), (4,)))
        self.w2, self.b2 = (rng.normal(size=size).astype(np.float32) for size in ((68, 5), (5,)))

    def logits(self, clips: np.ndarray, slots: int = 2) -> np.ndarray:
        """The padded run: every slot of every clip through the encoder, absent or not."""
        count, persons, frames = clips.shape[:3]
        padded = np.zeros((count, slots, frames, 17, 3), np.float64)
        padded[:, :persons] = clips
        features = 0.05 * np.tanh(padded @ self.w1 + self.b1).sum(axis=2).reshape(count, slots, 68)
        return features.mean(axis=1) @ self.w2 + self.b2

    def write(
        self,
        folder: str = "bundle",
        *,
        contract: dict[str, Any] | None = None,
        model: dict[str, Any] | None = None,
        runners: Sequence[str] = ("onnxruntime", "openvino"),
        precisions: Sequence[str] = ("fp32",),
    ) -> Path:
        """Write the bundle, with changes to its contract and model, and return its folder."""
        path = self.root / folder
        path.mkdir()
        graphs = {"encoder": self._encoder(), "head": self._head()}
        artifacts = []
        for precision in precisions:
            for role, data in graphs.items():
                file = f"{role}.{precision}.onnx"
                (path / file).write_bytes(data)
                artifacts.append(
                    {
                        **{"file": file, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)},
                        **{"role": role, "kind": "onnx", "precision": precision, "read_back": {}},
                        **{"runners": list(runners), "shapes": {}, "built_for": None, "parity": None},
                    }
                )
        names = ("clap", "jump", "sit", "squat", "wave")
        sizes = {"num_classes": 5, "dim_feat": 8, "dim_rep": 4, "depth": 1, "num_heads": 2, "hidden_dim": 8}
        manifest = {
            "format": "maskclr-edge-bundle",
            "version": 1,
            "model": sizes | (model or {}),
            "contract": SkeletonContract(names, 30).to_dict() | (contract or {}),
            "checkpoint": {"name": "tiny", "sha256": "", "info": {}},
            "built_by": {"maskclr_edge": "0.1.0"},
            "created": "2026-01-01T00:00:00Z",
            "artifacts": artifacts,
            "parity": {},
        }
        (path / "manifest.json").write_text(json.dumps(manifest))
        return path

    def _encoder(self) -> bytes:
        from onnx import TensorProto, helper, numpy_helper

        nodes = [
            helper.make_node("MatMul", ["persons", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["sum"]),
            helper.make_node("Tanh", ["sum"], ["tanh"]),
            helper.make_node("ReduceSum", ["tanh", "axis"], ["summed"], keepdims=0),
            helper.make_node("Mul", ["summed", "factor"], ["scaled"]),
            helper.make_node("Reshape", ["scaled", "shape"], ["features"]),
        ]
        constants = {
            **{"w": self.w1, "b": self.b1, "axis": np.array([1]), "factor": np.float32(0.05)},
            "shape": np.array([-1, 68]),
        }
        return self._model(
            nodes,
            helper.make_tensor_value_info("persons", TensorProto.FLOAT, ["P", "T", 17, 3]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["P", 68]),
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        )

    def _head(self) -> bytes:
        from onnx import TensorProto, helper, numpy_helper

        nodes = [
            helper.make_node("ReduceMean", ["features", "axis"], ["mean"], keepdims=0),
            helper.make_node("Gemm", ["mean", "w", "b"], ["logits"]),
        ]
        constants = {"w": self.w2, "b": self.b2, "axis": np.array([1])}
        return self._model(
            nodes,
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", "S", 68]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5]),
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )

    @staticmethod
    def _model(nodes: Any, source: Any, result: Any, constants: Any) -> bytes:
        from onnx import helper

        graph = helper.make_graph(nodes, "tiny", [source], [result], constants)
        opsets = [helper.make_opsetid("", 20)]
        data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
        return data


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> TinyBundle:
    """Writer of hand-made bundles in a folder of the test's own."""
    return TinyBundle(tmp_path)


@pytest.fixture(scope="session")
def tiny_bundle_maker() -> type[TinyBundle]:
    """The same for fixtures that outlive a test: give it a folder."""
    return TinyBundle


@pytest.fixture(scope="session")
def random_checkpoint() -> Callable[..., Checkpoint]:
    """Maker of small checkpoints with random weights: ``random_checkpoint(seed=0, depth=1, ...)``.

    The weights are large enough for attention, fusion and norms all to matter in the result.
    """

    def make(seed: int = 0, **changes: Any) -> Checkpoint:
        config = ModelConfig(**({"num_classes": 5} | SIZES | changes))
        rng = np.random.default_rng(seed)
        weights = {}
        for name, shape in weight_shapes(config).items():
            value = rng.standard_normal(shape) * (1.5 / np.sqrt(shape[-1]) if len(shape) == 2 else 0.5)
            if "norm" in name or name.startswith("head.bn"):
                value = value * 0.2 + (0 if name.endswith(("bias", "mean")) else 1)
            weights[name] = value.astype(np.float32)
        names = tuple(f"class {index}" for index in range(max(config.num_classes, 1)))
        frames = min(config.maxlen, 243)
        contract = SkeletonContract(names, frames=frames, max_frames=frames)
        return Checkpoint(config, contract, weights, {"seed": seed})

    return make
