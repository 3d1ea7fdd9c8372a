"""What the runner makes of the refusals of the real TensorRT-RTX library, which loads without a GPU."""

import hashlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

from maskclr_edge.errors import BundleError, EngineError
from maskclr_edge.optional import available
from maskclr_edge.runtime import Bundle
from maskclr_edge.runtime.trt_api import load_tensorrt
from maskclr_edge.runtime.trt_engine import Engine

pytestmark = pytest.mark.skipif(
    not (available("onnxruntime_ep_nv_tensorrt_rtx") and available("tensorrt_rtx_bindings")),
    reason="TensorRT-RTX is not installed: pip install 'maskclr-edge[rtx]'",
)
#: an engine is opened on a GPU of which only its name is asked
GPU: Any = SimpleNamespace(name="some GPU", sm="SM87")


def write(tiny_bundle: Any, data: bytes, **changes: Any) -> Bundle:
    """A bundle whose encoder is an engine with this content."""
    folder = tiny_bundle.write(runners=("tensorrt-rtx",))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "encoder.engine").write_bytes(data)
    manifest["artifacts"][0] |= {
        "file": "encoder.engine", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
        "kind": "tensorrt-rtx", "built_for": {"version": "1.2.0", "sm": ["SM86", "SM89"]},
    } | changes  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Bundle.open(folder)


def refusal(bundle: Bundle, kind: type[Exception] = EngineError) -> str:
    with pytest.raises(kind) as caught:
        Engine(load_tensorrt("tensorrt-rtx"), GPU, bundle, bundle.artifacts[0])
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"x" * 1000, "it is no engine of this kind"),
        (b"\x08\x0a\x12\x04" * 300, "it is no engine of this kind"),
        (b"", "it was cut short"),
    ],
)
def test_files_that_are_no_engine(tiny_bundle: Any, data: bytes, words: str) -> None:
    text = refusal(write(tiny_bundle, data))
    here = load_tensorrt("tensorrt-rtx").version
    assert "encoder.engine: an engine built with 1.2.0 for SM86, SM89, not taken by" in text
    assert f"tensorrt-rtx {here} on some GPU (SM87): {words}; export the bundle again" in text


def test_a_real_engine_cut_short_and_whole(tiny_bundle: Any) -> None:
    pytest.importorskip("onnx", reason="building an engine needs onnx")
    from maskclr_edge.deploy.engine import build_engine

    shapes = ((1, 1, 17, 3), (1, 30, 17, 3), (2, 60, 17, 3))
    whole = build_engine(tiny_bundle._encoder(), [{"persons": shapes}], sms=(86,))
    assert "it was cut short" in refusal(write(tiny_bundle, whole[: len(whole) // 2]))
    tiny_bundle.root = tiny_bundle.root / "whole"
    tiny_bundle.root.mkdir()
    bundle = write(tiny_bundle, whole)
    # the machine of the tests may have a GPU: then the engine is refused, or taken, for what it is
    try:
        Engine(load_tensorrt("tensorrt-rtx"), GPU, bundle, bundle.artifacts[0])
    except EngineError as error:
        assert "an engine built with 1.2.0" in str(error)


def test_a_manifest_that_says_something_else(tiny_bundle: Any) -> None:
    bundle = write(tiny_bundle, b"x" * 1000, kind="tensorrt")
    assert "is of kind tensorrt, runner tensorrt-rtx takes tensorrt-rtx" in refusal(bundle, BundleError)


@pytest.mark.parametrize(
    "built_for", [None, {}, {"sm": "SM86", "version": ["x"]}, {"sm": [1] * 500, "gpu": "g" * 500}]
)
def test_manifests_from_anyone(tiny_bundle: Any, built_for: Any) -> None:
    assert len(refusal(write(tiny_bundle, b"x" * 1000, built_for=built_for))) < 900
