"""The suite: what it runs, what it leaves out and why, and what it writes."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from maskclr_edge.bench.measurement import Measurement
from maskclr_edge.bench.packing import measure_packing
from maskclr_edge.bench.results import check_result, result_document
from maskclr_edge.bench.scenarios import bench_annotations, bench_clips
from maskclr_edge.bench.suite import Plan, label, opened, run_suite, variants
from maskclr_edge.bench.timing import Budget
from maskclr_edge.errors import BundleError, ConfigError, DataError
from maskclr_edge.runtime import RUNNERS, open_runner
from maskclr_edge.skeleton import SkeletonContract

QUICK = Budget(seconds=0.01, min_samples=3, max_samples=20, patience=6000)


def plan(model: object, **changes: Any) -> Plan:
    defaults: dict[str, Any] = {"runners": ("onnxruntime",), "frames": (8,), "threads": 1, "budget": QUICK}
    return Plan((str(model),), **{**defaults, **changes})


def test_rows_for_every_combination(tiny_bundle: Any) -> None:
    path = tiny_bundle.write(precisions=("fp32", "int8"))
    calls: list[tuple[int, int, str]] = []
    suite = run_suite(plan(path, frames=(4, 9)), lambda *call: calls.append(call))
    network = [row for row in suite.measurements if row.part == "network"]
    combinations = {(row.precision, row.frames, row.persons) for row in network}
    assert combinations == {(p, t, m) for p in ("fp32", "int8") for t in (4, 9) for m in (1, 2)}
    assert {row.part for row in suite.measurements} == {"network", "preprocessing", "end-to-end"}
    assert all(row.latency.count >= 3 and row.clips_per_second > 0 for row in suite.measurements)
    assert [done for done, _, _ in calls] == list(range(8))
    assert {total for _, total, _ in calls} == {8}
    assert suite.skipped == ()


def test_every_shape_is_prepared_before_it_is_timed(
    tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "maskclr_edge.runtime.ort.OrtRunner._prepare", lambda self, *shape: prepared.append(shape)
    )
    run_suite(plan(tiny_bundle.write(), frames=(4,), batch=3))
    # a batch of three with one and with two in view, then end to end at the contract's length
    assert prepared == [(3, 4), (6, 4), (1, 30), (2, 30)]


def test_default_covers_the_contract_and_common_lengths(tiny_bundle: Any) -> None:
    path = tiny_bundle.write(contract={"frames": 20, "max_frames": 90})
    suite = run_suite(plan(path, frames=(), persons=(1,), end_to_end=False))
    assert [row.frames for row in suite.measurements] == [20, 30, 81]


def test_what_cannot_run_is_named_with_its_reason(tiny_bundle: Any) -> None:
    path = tiny_bundle.write(runners=("onnxruntime",))
    found = variants(str(path))
    assert {variant.runner for variant in found} == set(RUNNERS)
    reasons = {variant.runner: variant.reason for variant in found}
    assert reasons["onnxruntime"] is None
    assert all(reason for name, reason in reasons.items() if name != "onnxruntime")
    assert "holds nothing for openvino" in str(reasons["openvino"])
    suite = run_suite(plan(path, precisions=("fp32", "int8"), end_to_end=False))
    assert {row.precision for row in suite.measurements} == {"fp32"}
    (skipped,) = suite.skipped
    assert skipped.precision == "int8"
    assert "has no int8 for onnxruntime, only fp32" in str(skipped.reason)


def test_a_runner_that_fails_to_open_does_not_stop_the_others(tiny_bundle: Any) -> None:
    path = tiny_bundle.write(precisions=("fp32", "int8"))
    manifest = json.loads((path / "manifest.json").read_text())
    broken = b"x" * 100
    (path / "encoder.int8.onnx").write_bytes(broken)
    for artifact in manifest["artifacts"]:
        if artifact["file"] == "encoder.int8.onnx":
            artifact |= {"sha256": hashlib.sha256(broken).hexdigest(), "bytes": len(broken)}
    (path / "manifest.json").write_text(json.dumps(manifest))
    suite = run_suite(plan(path, end_to_end=False))
    assert {row.precision for row in suite.measurements} == {"fp32"}
    assert "encoder.int8.onnx" in str(suite.skipped[0].reason)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": (91,)}, "T=91: this model takes 1 to 90 frames"),
        ({"persons": (2,)}, "2 persons: this model has slots for 1 to 1"),
        ({"runners": ("tensorflow",)}, "unknown runner 'tensorflow'"),
        ({"runners": ("auto",)}, "the choice among runners, not one to measure; name some of onnxruntime"),
        ({"batch": 5000}, "1 to 1024 clips; got 5000"),
    ],
)
def test_what_the_user_gave_wrong_is_an_error(
    tiny_bundle: Any, changes: dict[str, Any], message: str
) -> None:
    path = tiny_bundle.write(contract={"max_frames": 90, "persons": 1})
    with pytest.raises(ConfigError, match=message):
        run_suite(plan(path, **changes))


def test_no_bundle_is_an_error(tmp_path: Any) -> None:
    tmp_path.joinpath("empty").mkdir()
    with pytest.raises(BundleError, match="is not a bundle"):
        run_suite(plan(tmp_path / "empty"))


def test_result_is_json_without_paths(tiny_bundle: Any, tmp_path: Any) -> None:
    path = tiny_bundle.write()
    asked = plan(path, runners=())
    suite = run_suite(asked)
    document = check_result(result_document("bench", suite.to_dict(), settings=asked.to_dict()))
    text = json.dumps(document)
    assert str(tmp_path) not in text
    assert document["settings"]["percentile_rule"] == "nearest rank"
    again = [Measurement.from_dict(row) for row in json.loads(text)["results"]["measurements"]]
    assert tuple(again) == suite.measurements
    assert {row["runner"] for row in document["results"]["skipped"]} >= {"tensorrt", "torch"}
    with pytest.raises(DataError, match="missing or unknown keys: scenario"):
        Measurement.from_dict({k: v for k, v in suite.measurements[0].to_dict().items() if k != "scenario"})


def test_labels_do_not_tell_where() -> None:
    assert [label(name) for name in ("bundled", "runs/a/bundle", "./bundle", "/home/me/b", "../../me/b")] == [
        *("bundled", "runs/a/bundle", "bundle", "b", "b")
    ]


def test_clips_are_what_was_asked_for() -> None:
    zeros = SkeletonContract(("a", "b"), 30)
    clips = bench_clips(zeros, frames=17, persons=1, batch=3)
    assert clips.shape == (3, 1, 17, 17, 3)
    assert clips.any(axis=(2, 3, 4)).all()
    projected = SkeletonContract(("a", "b"), 30, absent="projected")
    assert bench_clips(projected, frames=17, persons=1).shape == (1, 2, 17, 17, 3)
    two = bench_clips(zeros, frames=1, persons=2)
    assert two.shape == (1, 2, 1, 17, 3)
    assert two.any(axis=(2, 3, 4)).all()
    (raw,) = bench_annotations(243, 2)
    assert raw.keypoints.shape == (2, 243, 17, 3)


def test_packing_compares_the_same_clip(tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_runner(tiny_bundle.write(), "onnxruntime") as runner:
        seen: dict[int, np.ndarray] = {}
        infer = runner.infer
        monkeypatch.setattr(runner, "infer", lambda clips: seen.setdefault(clips.shape[1], infer(clips)))
        packing = measure_packing(runner, frames=12, budget=QUICK)
        assert set(seen) == {1, 2}
        np.testing.assert_array_equal(seen[1], seen[2])
        assert packing.ratio == pytest.approx(packing.one_of_two_ms / packing.one_ms)
        assert packing.low <= packing.ratio <= packing.high
    other = open_runner(tiny_bundle.write("other", contract={"absent": "projected"}), "onnxruntime")
    with other, pytest.raises(ConfigError, match="absent persons are zeros"):
        measure_packing(other, frames=12)


def test_two_models_take_turns_and_every_other_pass_goes_backwards(
    tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = str(tiny_bundle.write("old")), str(tiny_bundle.write("new"))
    seen: list[str] = []

    def noted(found: Any, threads: Any) -> Any:
        for variant, classifier in opened(found, threads):
            seen.append(label(variant.model))
            yield variant, classifier

    monkeypatch.setattr("maskclr_edge.bench.suite.opened", noted)
    asked = Plan((old, new), ("onnxruntime",), (), (8,), (1,), threads=1, budget=QUICK, passes=3)
    suite = run_suite(asked)
    assert seen == ["old", "new", "new", "old", "old", "new"]
    names = list(dict.fromkeys(row.model for row in suite.measurements))
    assert names == ["old", "new"]  # compare takes the first as the old one
    assert all(len(row.passes) == 3 for row in suite.measurements)
