"""The report command: what precisions cost, as a page and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.bench.results import check_result
from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.cli.main import main
from maskclr_edge.data import MADE_UP_CLASSES, made_up_clips, write_annotations
from maskclr_edge.optional import available
from maskclr_edge.runtime import bundled_bundle
from maskclr_edge.runtime.bundled import bundled_checkpoint

pytest.importorskip("matplotlib")
deploy = pytest.importorskip("maskclr_edge.deploy")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    from maskclr_edge.runtime import Bundle

    names = [name for name in Bundle.open(bundled_bundle()).contract.class_names if name in MADE_UP_CLASSES]
    path = tmp_path_factory.mktemp("data") / "made_up.pkl"
    write_annotations(path, made_up_clips(30, seed=3, classes=names, split_fractions={"val": 1.0}))
    return str(path)


def test_a_bundle_s_precisions_side_by_side(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, facts = tmp_path / "report.html", tmp_path / "report.json"
    words = ["--corrupt", "joints:6", "--corrupt", "noise:0.2", "--clips", "12", "--seconds", "0.05"]
    destinations = ["--out", str(page), "--json", str(facts)]
    assert main(["report", "--data", data, "--split", "val", *words, *destinations]) == 0
    shown = capsys.readouterr().out
    assert "made-up clips" in shown and "agrees with fp32 %" in shown
    results = check_result(json.loads(facts.read_text()))["results"]
    first, second = results["precisions"]
    assert (first["precision"], first["agreement"], first["max_logit_error"]) == ("fp32", 100.0, 0.0)
    assert first["attention"]["overlap"] == 100
    assert (second["precision"], results["clips"], results["corrupted_clips"]) == ("int8", 30, 12)
    assert second["agreement"] >= 90 and 0 < second["mean_logit_error"] < second["max_logit_error"] < 1
    assert second["read_back"]["int8"] > 0.9 and second["bytes"] < first["bytes"]
    assert 80 <= second["attention"]["overlap"] <= 100
    assert [cell["corruption"] for cell in second["corrupted"]["cells"]] == ["clean", "joints", "noise"]
    runners = [name for name in ("onnxruntime", "openvino") if available(name)]
    assert [row["runner"] for row in second["latency"]] == runners
    assert [row["runner"] for row in second["on"]] == runners
    assert all(row["agreement"] >= 90 and row["clips"] == 30 for row in second["on"])
    if len(runners) == 2:  # each has a file of its own
        assert second["on"][0]["mean_logit_error"] != second["on"][1]["mean_logit_error"]
    text = page.read_text()
    assert text.count('src="data:image/png;base64,') == 2 and "int8: top-1" in text
    assert "http://" not in text and "https://" not in text


def test_accuracy_first_and_latency_later(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from maskclr_edge.cli import report_runs

    facts, kept = tmp_path / "report.json", tmp_path / "kept"
    words = ["report", "--data", data, "--split", "val", "--sample", "9", "--corrupt", "joints:6"]
    words += ["--keep", str(kept), "--out", str(tmp_path / "report.html"), "--json", str(facts)]
    assert main([*words, "--seconds", "0"]) == 0
    assert "not timed" in capsys.readouterr().out
    assert "Latency of one clip" not in (tmp_path / "report.html").read_text()
    first = json.loads(facts.read_text())["results"]
    assert (first["clips"], first["split_clips"], first["corrupted_clips"]) == (9, 30, 9)
    assert "9 (a sample by seed 0) of 30 made-up clips" in (tmp_path / "report.html").read_text()

    def no_more(*arguments: Any, **others: Any) -> Any:
        raise AssertionError("accuracy was computed again")

    for name in ("evaluate", "joint_importance"):
        monkeypatch.setattr(report_runs, name, no_more)
    assert main([*words, "--seconds", "0.05"]) == 0
    second = json.loads(facts.read_text())["results"]
    assert not first["precisions"][1]["latency"] and second["precisions"][1]["latency"]
    for before, after in zip(first["precisions"], second["precisions"], strict=True):
        for key in ("top1", "agreement", "corrupted", "attention"):
            assert before[key] == after[key]


def test_some_precisions_alone(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = tmp_path / "report.json"
    words = ["report", "--data", data, "--split", "val", "--corrupt", "none", "--seconds", "0", "--out"]
    words += [str(tmp_path / "report.html"), "--json", str(facts), "--precision"]
    assert main([*words, "fp32"]) == 0
    assert [one["precision"] for one in json.loads(facts.read_text())["results"]["precisions"]] == ["fp32"]
    assert main([*words, "int8,fp8"]) == 2
    line = capsys.readouterr().err
    assert "'fp8'" in line and "fp32, int8" in line and line.count("\n") == 1


def test_what_is_emulated_is_never_timed(
    random_checkpoint: Callable[..., Checkpoint], tmp_path: Path, data: str
) -> None:
    from dataclasses import replace

    from maskclr_edge.checkpoint import read_checkpoint
    from maskclr_edge.deploy.parity import probe_clips

    contract = read_checkpoint(bundled_checkpoint()).contract
    made = random_checkpoint(maxlen=243, depth=1, num_classes=len(contract.class_names))
    deploy.export_bundle(
        replace(made, contract=contract), tmp_path / "b", precisions=("fp32", "fp8"),
        calibration=probe_clips(6, 2, 20, seed=8),
    )  # fmt: skip
    page, facts = tmp_path / "r.html", tmp_path / "r.json"
    words = ["--split", "val", "--corrupt", "none", "--seconds", "0.05"]
    destinations = ["--out", str(page), "--json", str(facts)]
    assert main(["report", str(tmp_path / "b"), "--data", data, *words, *destinations]) == 0
    first, second = json.loads(facts.read_text())["results"]["precisions"]
    assert second["precision"] == "fp8" and first["latency"] and not second["latency"]
    assert second["corrupted"] is None
    assert "never timed: fp8" in page.read_text()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--out", "report.txt"], ["report.txt", ".html"]),
        (["--out", "nowhere/report.html"], ["nowhere/report.html", "folder"]),
        (["--corrupt", "none", "--corrupt", "joints"], ["none stands alone"]),
        (["--corrupt", "jointz"], ["jointz", "joints"]),
        (["--split", "test"], ["'test'", "val"]),
    ],
)
def test_what_does_not_fit_is_one_line_and_code_2(
    data: str, capsys: pytest.CaptureFixture[str], words: list[str], parts: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["report", "--data", data, "--split", "val", *words]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    for part in parts:
        assert part in line
    assert not list(tmp_path.iterdir())


def test_a_bundle_without_fp32_has_nothing_to_be_compared_with(
    tiny_bundle: Any, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny_bundle.write(precisions=("int8",))
    assert main(["report", str(path), "--data", data, "--split", "val"]) == 2
    assert "--precision fp32,int8" in capsys.readouterr().err
