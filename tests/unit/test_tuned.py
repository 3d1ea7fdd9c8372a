"""What tune keeps, for what it holds, and what "auto" makes of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskclr_edge.bench import tune as tune_module
from maskclr_edge.bench.tune import agreement, tune
from maskclr_edge.errors import BundleError, ConfigError, EngineError
from maskclr_edge.optional import available
from maskclr_edge.runtime import Bundle, open_runner, tuned
from maskclr_edge.runtime.tuned import Row, Tuned

ROWS = (
    Row("onnxruntime", "fp32", 10.0, 100.0),
    Row("openvino", "fp32", 6.2, 100.0),
    Row("openvino", "int8", 6.0, 99.2),
    Row("onnxruntime", "int8", 3.0, 97.0),
)
needs_openvino = pytest.mark.skipif(not available("openvino"), reason="openvino is not installed")


def measured(*rows: Row) -> Tuned:
    return Tuned(rows or ROWS, 30, 1, "onnxruntime fp32", 128, "2026-01-01")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MASKCLR_EDGE_CACHE", str(folder))
    return folder


def test_the_fastest_that_agrees_and_of_equals_the_most_exact() -> None:
    assert measured().choose() == ROWS[1]  # int8 is 3 % faster: not worth it
    faster = Row("openvino", "int8", 5.0, 99.0)
    assert measured(*ROWS[:2], faster).choose() == faster
    assert measured(*ROWS[:2], Row("openvino", "int8", 5.0, 98.9)).choose() == ROWS[1]


def test_a_precision_that_is_asked_for_leaves_only_its_rows() -> None:
    assert measured().choose("int8") == ROWS[3]  # whatever it agrees with: it was asked for
    assert measured().choose("bf16") is None


@needs_openvino
def test_auto_takes_what_was_remembered_and_says_so(tiny_bundle: Any) -> None:
    bundle = Bundle.open(tiny_bundle.write(precisions=("fp32", "int8")))
    with open_runner(bundle) as runner:
        assert runner.name == "onnxruntime"
        assert runner.details["chosen"] == "not tuned: the first runner that is installed (onnxruntime)"
    tuned.remember(bundle, measured())
    with open_runner(bundle) as runner:
        assert (runner.name, runner.precision) == ("openvino", "fp32")
        assert runner.details["chosen"].startswith("by maskclr-edge tune, 2026-01-01: openvino fp32, 6.20 ms")
    with open_runner(bundle, precision="int8") as runner:
        assert (runner.name, runner.precision) == ("onnxruntime", "int8")
    with open_runner(bundle, "onnxruntime") as runner:
        assert (runner.name, runner.precision) == ("onnxruntime", "fp32")
        assert "chosen" not in runner.details
    assert tuned.forget(bundle) == 1
    with open_runner(bundle) as runner:
        assert runner.name == "onnxruntime"


@pytest.mark.parametrize("change", ["processor", "versions", "threads"])
def test_a_choice_holds_for_its_machine_alone(
    tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    bundle = Bundle.open(tiny_bundle.write())
    tuned.remember(bundle, measured())
    other = tuned.here() | {change: "another"}
    monkeypatch.setattr(tuned, "here", lambda: other)
    with open_runner(bundle) as runner:
        assert runner.name == "onnxruntime"
        assert runner.details["chosen"].startswith("tuned on another machine, or with other versions")


def test_a_choice_holds_for_its_bundle_alone(tiny_bundle: Any) -> None:
    first = Bundle.open(tiny_bundle.write("first"))
    tuned.remember(first, measured())
    other = Bundle.open(tiny_bundle.write("other", precisions=("fp32", "int8")))
    assert tuned.recall(first)[0] == measured()
    assert tuned.recall(other) == (None, "not tuned")
    same = Bundle.open(tiny_bundle.write("copied"))  # the same content in another folder
    assert tuned.recall(same)[0] == measured()


@needs_openvino
def test_a_chosen_runner_that_does_not_open_is_an_error(
    tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.open(tiny_bundle.write())
    tuned.remember(bundle, measured())

    def broken(*arguments: Any) -> None:
        raise EngineError("no device")

    monkeypatch.setattr("maskclr_edge.runtime.ov.OpenVinoRunner.open", broken)
    with pytest.raises(EngineError, match="no device"):
        open_runner(bundle)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"{}", b'{"format": "maskclr-edge-tuned"}',
        b'{"format": "maskclr-edge-tuned", "rows": [{"runner": "../../x", "precision": "fp32"}]}',
        b'{"format": "maskclr-edge-tuned", "rows": [{"runner": "a", "precision": "b", "p50_ms": NaN}]}',
        b'{"format": "maskclr-edge-tuned", "rows": [{"runner": "a", "precision": "b", "p50_ms": "1"}]}',
    ],
)  # fmt: skip
def test_a_broken_file_is_an_error_that_says_what_to_do(tiny_bundle: Any, content: bytes) -> None:
    bundle = Bundle.open(tiny_bundle.write())
    file = tuned.remember(bundle, measured())
    file.write_bytes(content)
    with pytest.raises(BundleError, match="remove it, or run maskclr-edge tune again") as caught:
        open_runner(bundle)
    assert "\n" not in str(caught.value)


def test_the_file_says_what_it_was_measured_on(tiny_bundle: Any) -> None:
    file = tuned.remember(Bundle.open(tiny_bundle.write()), measured())
    written = json.loads(file.read_text())
    assert written["machine"] == tuned.here()
    assert written["machine"]["versions"]["onnxruntime"]


def test_agreement() -> None:
    reference = np.eye(4, 3)
    assert agreement(reference, reference) == 100
    assert agreement(reference[[1, 1, 2, 3]], reference) == 75
    turned = np.array([[1, 0], [0.8, 0.6]])
    assert agreement(turned, np.array([[1, 0], [1, 0]]), embeds=True) == 50


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune_module, "CLIPS", 23)
    monkeypatch.setattr(tune_module, "PASSES", 2)


@pytest.mark.usefixtures("quick")
def test_tune_measures_every_variant(tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tiny_bundle.write(precisions=("int8", "fp32")))
    took = {"fp32": iter((9.0, 7.0)), "int8": iter((5.0, 6.0))}
    monkeypatch.setattr(tune_module, "_median_ms", lambda runner, *rest: next(took[runner.precision]))
    found = tune(path, runners=("onnxruntime", "torch"))
    assert found.tuned.rows == (
        Row("onnxruntime", "int8", 5.0, 100.0),
        Row("onnxruntime", "fp32", 7.0, 100.0),
    )
    assert (found.tuned.reference, found.tuned.frames, found.tuned.clips) == ("onnxruntime fp32", 30, 23)
    assert found.chosen == found.tuned.rows[0]
    assert [one.runner for one in found.skipped] == ["torch"]


@pytest.mark.usefixtures("quick")
def test_tune_leaves_out_what_answers_differently(tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tiny_bundle.write(precisions=("fp32", "int8")))
    head = __import__("maskclr_edge.runtime.ort", fromlist=["OrtRunner"]).OrtRunner._head

    def turned(self: Any, features: np.ndarray) -> np.ndarray:
        logits = head(self, features)
        return -logits if self.precision == "int8" else logits

    monkeypatch.setattr("maskclr_edge.runtime.ort.OrtRunner._head", turned)
    monkeypatch.setattr(tune_module, "_median_ms", lambda runner, *rest: 1.0 + (runner.precision == "fp32"))
    found = tune(path, runners=("onnxruntime",))
    assert found.chosen.precision == "fp32"
    assert [row.agreement for row in found.tuned.rows] == [100, 0]


@pytest.mark.usefixtures("quick")
def test_tune_says_what_failed(tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tiny_bundle.write(precisions=("fp32", "int8")))

    def median(runner: Any, *rest: Any) -> float:
        if runner.precision == "int8":
            raise EngineError("has no such product")
        return 1.0

    monkeypatch.setattr(tune_module, "_median_ms", median)
    found = tune(path, runners=("onnxruntime",))
    assert [(one.precision, one.reason) for one in found.skipped] == [("int8", "has no such product")]
    with pytest.raises(BundleError, match=r"nothing here can run it \(onnxruntime: has no such product\)"):
        tune(path, runners=("onnxruntime",), precisions=("int8",))
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="T=400"):
        tune(path, runners=("onnxruntime",), frames=400)
