"""What every check of the runner on the rig stands on: the rig, bundles with its engines, an opener.

The rig is one release of TensorRT or TensorRT-RTX, told by its folder.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rig_files import engine_bytes

from maskclr_edge.errors import MaskclrEdgeError
from maskclr_edge.runtime import Runner, open_runner
from maskclr_edge.runtime.bundle import Bundle
from maskclr_edge.runtime.trt import TensorRtRtxRunner, TensorRtRunner
from maskclr_edge.runtime.trt_api import load_tensorrt

BUCKETS = ((1, 24, 32), (33, 81, 96), (97, 243, 243))
PERSONS = 4
RUNNERS = {one.name: one for one in (TensorRtRunner, TensorRtRtxRunner)}


class Bench:
    """The rig, the bundled model as a bundle with engines, and a runner opener."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        sys.path[:0] = [str(Path(__file__).parent), *map(str, arguments.site)]
        from fake_engine import Rig

        self.rig = Rig(arguments.shared, arguments.rig, arguments.libcuda)
        self.flavour: str = self.rig.flavour
        self.layer: str = arguments.layer
        self.calls: int = arguments.calls
        self.rig.log = load_tensorrt(self.flavour).log
        self.root = Path(tempfile.mkdtemp(prefix="maskclr-edge-rig-"))
        os.environ["MASKCLR_EDGE_CACHE"] = str(self.root / "cache")
        self.source: Path = arguments.bundle
        self.bundle = self.write("bundle")
        self.reference = open_runner(self.bundle, "onnxruntime", "fp32", threads=1)

    def write(self, name: str, **changes: Any) -> Path:
        """A copy of the tiny bundle with engines for encoder and head.

        changes: source (another bundle), onnx (role -> bytes), spoil (a function of an engine's bytes), or
        entries of an engine's header.
        """
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
            data = spoil(engine_bytes(self.flavour, onnx[role], shapes, **changes))
            (folder / f"{role}.engine").write_bytes(data)
            manifest["artifacts"].append({
                "file": f"{role}.engine", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data),
                "role": role, "kind": self.flavour, "precision": "fp32", "runners": [self.flavour],
                "read_back": {}, "shapes": {}, "parity": None,
                "built_for": {"version": "10.0.1", "sm": ["SM86"], "options": options},
            })  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    def open(self, folder: Path | None = None, **options: Any) -> TensorRtRunner:
        """A runner of the flavour, on the layer under test."""
        return RUNNERS[self.flavour](Bundle.open(folder or self.bundle), "fp32", layer=self.layer, **options)

    @contextmanager
    def runner(self, folder: Path | None = None, **options: Any) -> Iterator[TensorRtRunner]:
        """The same, after which nothing of it may be left on the GPU."""
        before, depth = self.rig.counts(), self.rig.depth()
        with self.open(folder, **options) as runner:
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
