"""The export command: what it makes, says, warns of and refuses."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskclr_edge.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from maskclr_edge.cli.engine_options import compute_capabilities
from maskclr_edge.cli.main import main
from maskclr_edge.data import AnnotationSet, made_up_clips, write_annotations
from maskclr_edge.errors import ConfigError
from maskclr_edge.optional import available
from maskclr_edge.runtime import Bundle


@pytest.fixture
def checkpoint(random_checkpoint: Callable[..., Checkpoint], tmp_path: Path) -> str:
    made = random_checkpoint(depth=1, maxlen=60)
    for name, value in made.weights.items():
        if value.ndim > 1:
            made.weights[name] = value.astype(np.float16).astype(np.float32)
    file = tmp_path / "best.safetensors"
    write_checkpoint(file, replace(made, contract=replace(made.contract, frames=20)), dtype="float16")
    return str(file)


def run(*words: str) -> int:
    return main(["export", *words])


def test_a_bundle_and_what_is_said_of_it(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle"
    assert run(checkpoint, "--out", str(out)) == 0
    captured = capsys.readouterr()
    for word in (
        "encoder.fp32.onnx",
        "head.onnx",
        "float32 100 %",
        "onnxruntime, openvino",
        "maskclr-edge bench",
    ):
        assert word in captured.out
    assert captured.err == ""
    bundle = Bundle.open(out)
    assert bundle.precisions("onnxruntime") == ("fp32",)
    assert bundle.checkpoint["name"] == "best.safetensors"
    assert "float16" in bundle.artifacts[0].read_back["initializers"]  # stored by halves, at no loss
    assert run(checkpoint, "--out", str(out), "--storage", "float32") == 0
    assert "float16" not in Bundle.open(out).artifacts[0].read_back["initializers"]


def test_int8_without_data_is_warned_of(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(checkpoint, "--out", str(tmp_path / "b"), "--precision", "fp32,int8", "--clips", "4") == 0
    captured = capsys.readouterr()
    assert "MADE-UP" in captured.err
    assert "--calibration" in captured.err
    assert "int8" in captured.out
    built_by = Bundle.open(tmp_path / "b").built_by
    assert built_by["calibration"]["clips"]["made_up"] is True
    assert built_by["calibration"]["clips"]["count"] == 4


def test_int8_with_data(checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "data.pkl", tmp_path / "b"
    write_annotations(data, made_up_clips(30, seed=3))
    words = ["--precision", "int8", "--calibration", str(data), "--clips", "5", "--method", "percentile"]
    assert run(checkpoint, "--out", str(out), *words, "--split", "train", "--json", "-") == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("not covered by the calibration clips: 2 persons, class golf_swing")
    assert captured.err.endswith("and 16 more\n")
    facts: dict[str, Any] = json.loads(captured.out)
    assert facts["built_by"]["calibration"]["method"] == "percentile"
    assert len(facts["built_by"]["calibration"]["clips"]["sha256"]) == 64
    assert facts["parity"]["int8"]["passed"] is True
    assert {item["precision"] for item in facts["artifacts"]} == {"int8"}
    assert run(checkpoint, "--out", str(out), *words) == 2
    assert "needs a --split" in capsys.readouterr().err
    assert run(checkpoint, "--out", str(out), *words, "--split", "vall") == 2
    assert "train, val" in capsys.readouterr().err


@pytest.mark.skipif(
    not available("tensorrt_rtx_bindings"), reason="TensorRT-RTX (extra rtx) is not installed"
)
def test_engines_into_a_bundle(checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "b")
    assert run(checkpoint, "--out", out) == 0
    assert run(out, "--out", out, "--engine", "tensorrt-rtx", "--sm", "SM86") == 0
    text = capsys.readouterr().out
    assert "encoder.fp32.rtx.engine" in text
    assert "SM86" in text
    assert "needs the GPU" in text
    assert Bundle.open(out).precisions("tensorrt-rtx") == ("fp32",)
    assert run(out, "--out", out, "--engine", "tensorrt-rtx", "--sm", "75") == 1
    assert "leave 75 out" in capsys.readouterr().err
    assert Bundle.open(out).precisions("tensorrt-rtx") == ("fp32",)
    assert run(out, "--out", out) == 2
    assert "is a bundle already" in capsys.readouterr().err


def test_an_upstream_checkpoint(
    random_checkpoint: Callable[..., Checkpoint], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    made = random_checkpoint(depth=1, num_heads=4, maxlen=30)
    weights = {f"module.{name}": torch.from_numpy(value) for name, value in made.weights.items()}
    file, config = tmp_path / "best.bin", tmp_path / "net.yaml"
    torch.save({"epoch": 3, "model": weights}, file)
    sizes = {"maxlen": 30, "dim_feat": 16, "dim_rep": 24, "depth": 1, "num_heads": 4, "hidden_dim": 20}
    lines = [f"{key}: {value}" for key, value in (sizes | {"action_classes": 5, "mlp_ratio": 2}).items()]
    config.write_text("\n".join(lines))
    assert run(str(file), "--config", str(config), "--out", str(tmp_path / "b")) == 0
    bundle = Bundle.open(tmp_path / "b")
    assert bundle.config.num_heads == 4
    assert bundle.contract.absent == "projected"
    capsys.readouterr()
    config.write_text("dim_feat: [")
    assert run(str(file), "--config", str(config), "--out", str(tmp_path / "b")) == 2
    assert "not a YAML file" in capsys.readouterr().err


def test_what_is_refused(checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, cut, foreign = str(tmp_path / "b"), tmp_path / "cut.safetensors", tmp_path / "notes.txt"
    cut.write_bytes(Path(checkpoint).read_bytes()[:-100])
    foreign.write_text("not a checkpoint at all")
    for words, expected in (
        ([str(tmp_path / "none")], "cannot be read"),
        ([str(cut)], "not a whole safetensors file"),
        ([str(foreign)], "not a whole safetensors file"),
        ([checkpoint, "--precision", "fp23"], "fp23"),
        ([checkpoint, "--engine", "openvino"], "openvino"),
        ([checkpoint, "--config", "x.yaml"], "leave --config out"),
        ([checkpoint, "--sm", "86,many"], "compute capabilities such as 86,89,120"),
        ([checkpoint, "--verify", "none"], "corners"),
        ([str(tmp_path)], "is not a bundle"),
    ):
        assert run(*words, "--out", out) == 2, words
        error = capsys.readouterr().err
        assert expected in error, words
        assert len(error.strip().splitlines()) == 1
        assert not Path(out).exists()
    assert run(checkpoint, "--out", str(foreign)) == 2
    assert foreign.read_text() == "not a checkpoint at all"


def test_calibration_without_int8_is_refused_and_not_ignored(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(checkpoint, "--out", str(tmp_path / "b"), "--calibration", "penn.pkl", "--split", "train") == 2
    assert "add --precision fp32,int8" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_failing_parity_is_exit_code_1(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from maskclr_edge.deploy import parity

    monkeypatch.setattr(parity, "FP32_TOLERANCE", 1e-12)
    assert run(checkpoint, "--out", str(tmp_path / "b")) == 1
    assert "does not agree with the checkpoint" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


def test_ctrl_c(checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskclr_edge.deploy import parity

    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parity, "make_probes", interrupt)
    assert run(checkpoint, "--out", str(tmp_path / "b")) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


def test_compute_capabilities_as_people_write_them() -> None:
    assert compute_capabilities("86, SM89 sm_120 8.6") == (86, 89, 120)
    with pytest.raises(ConfigError):
        compute_capabilities("ampere")


def test_an_accuracy_budget_is_measured_on_clips_that_calibration_left(
    checkpoint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = read_checkpoint(checkpoint).contract.class_names
    made = made_up_clips(30, seed=3, frames=(10, 20))
    clips = tuple(replace(one, label=index % len(names)) for index, one in enumerate(made.annotations))
    everything = AnnotationSet(clips, {"train": tuple(one.name for one in clips)}, names, made_up=True)
    data = tmp_path / "data.pkl"
    write_annotations(data, everything)
    words = [checkpoint, "--out", str(tmp_path / "b"), "--precision", "int8", "--max-drop", "40"]
    calibration = ["--calibration", str(data), "--split", "train", "--clips"]
    assert run(*words, *calibration, "20", "--json", "-") == 0
    kept = json.loads(capsys.readouterr().out)["built_by"]["calibration"]["budget"]["int8"]
    runners = {"onnxruntime"} | ({"openvino"} if available("openvino") else set())
    assert kept["clips"] == 10 and set(kept["measured"]) == runners
    assert all(one["lost"] <= 1 and one["drop_at_most"] <= 40 for one in kept["measured"].values())
    assert (kept["skip"], kept["ranking"]) == ([], [])  # what need not be ranked is not
    monkeypatch.setattr("maskclr_edge.deploy.quantised.available", lambda name: False)
    assert run(*words, *calibration, "20") == 0
    assert "not measured on openvino: openvino is not installed" in capsys.readouterr().out
    for wrong, said in (
        ([*calibration, "30"], "lower --clips"),
        ([], "labelled clips"),
        ([*calibration, "20", "--max-drop", "5"], "cannot be shown on 10 held-out clips"),
        ([*calibration, "20", "--max-drop", "0"], "a drop of 0 points cannot be shown"),
    ):
        assert run(*words, *wrong) == 2
        assert said in capsys.readouterr().err
    assert run(checkpoint, "--out", str(tmp_path / "c"), "--max-drop", "1") == 2
    assert "for int8, mixed and fp8" in capsys.readouterr().err


def test_a_narrow_network_over_long_clips_has_int8_in_name_only(
    random_checkpoint: Callable[..., Checkpoint], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attention products stay in floating point, and at width 16 and 243 frames they are most of the work."""
    made, file, out = random_checkpoint(depth=1, maxlen=243), tmp_path / "narrow.safetensors", tmp_path / "b"
    words = [str(file), "--out", str(out), "--precision", "int8", "--clips", "4"]
    write_checkpoint(file, replace(made, contract=replace(made.contract, frames=30)))
    assert run(*words) == 0
    captured = capsys.readouterr()
    assert "warning: of the operations of its matrix products at 243 frames the int8 graph" in captured.err
    for item in json.loads((out / "manifest.json").read_text())["artifacts"]:
        if item["role"] == "encoder":
            own, longest = (item["read_back"][key] for key in ("gemm_flops", "gemm_flops_longest"))
            assert own["frames"] == 30 and own["int8"] > 0.6 > longest["int8"] and longest["frames"] == 243
    write_checkpoint(file, replace(made, contract=replace(made.contract, frames=243)))
    assert run(*words) == 1
    error = capsys.readouterr().err.splitlines()
    assert "and int8 means over 60 % int8: keep fewer modules" in error[-1]
    assert json.loads((out / "manifest.json").read_text())["contract"]["frames"] == 30  # the old one stays
