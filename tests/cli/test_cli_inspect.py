"""``maskclr-edge inspect``: what it tells of each kind of file, and what it makes of hostile ones."""

import hashlib
import json
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.cli.main import main
from maskclr_edge.optional import available
from maskclr_edge.runtime import bundled_bundle
from maskclr_edge.runtime.bundled import bundled_checkpoint


def run(*words: object) -> int:
    return main(["inspect", *map(str, words)])


def facts(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert run(*words, "--json", "-") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0  # the model in the package
    text = capsys.readouterr().out
    for words in ("encoder.fp32.onnx", "float32 100 %", "runs on onnxruntime", "15: baseball_pitch"):
        assert words in text
    found = facts(capsys, bundled_bundle())
    assert found["kind"] == "bundle"
    assert "int8" in found["runners"]["onnxruntime"]
    assert found["built_by"]["maskclr_edge"]


def test_a_bundle_that_has_its_precision_in_name_only_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The manifest is right about size and hash, and says int8 of a float32 file."""
    folder = tmp_path / "b"
    shutil.copytree(bundled_bundle(), folder)
    data = (folder / "encoder.fp32.onnx").read_bytes()
    (folder / "encoder.int8.onnx").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    for item in manifest["artifacts"]:
        if item["file"] == "encoder.int8.onnx":
            item |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert run(folder) == 2
    line = capsys.readouterr().err
    assert "runs 100 % float32, and int8 means over 60 % int8" in line
    assert line.count("\n") == 1
    assert main(["export", str(folder), "--out", str(tmp_path / "c"), "--engine", "tensorrt-rtx"]) != 0
    assert not (tmp_path / "c").exists()
    for item in manifest["artifacts"]:
        if item["file"] == "encoder.fp32.onnx":
            item["read_back"]["gemm_flops"] = {"float16": 1.0, "frames": 32}
    manifest["artifacts"] = [item for item in manifest["artifacts"] if item["precision"] == "fp32"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert run(folder) == 2
    assert "the manifest says {'float16': 1.0" in capsys.readouterr().err


def test_an_onnx_file_and_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, bundled_bundle() / "encoder.fp32.onnx")
    assert found["kind"] == "onnx"
    assert found["inputs"]["persons"] == {"type": "float", "shape": ["persons", "frames", 17, 3]}
    assert found["gemm_flops"] == {"float32": 1.0, "frames": 30}
    assert found["nodes"]["Gelu"] > 0
    found = facts(capsys, bundled_checkpoint())
    assert found["kind"] == "checkpoint"
    assert found["parameters"] > 100_000
    assert run(bundled_checkpoint()) == 0
    assert "DSTformer" in capsys.readouterr().out


def test_a_graph_of_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x\x1b[31m", TensorProto.FLOAT, [None, 3])
    node = helper.make_node("Elu", ["x\x1b[31m"], ["y"])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])
    file = tmp_path / "other.onnx"
    file.write_bytes(helper.make_model(helper.make_graph([node], "g", [value], [output])).SerializeToString())
    assert run(file) == 0
    text = capsys.readouterr().out
    assert "Elu 1" in text
    assert "none whose shapes are known" in text
    assert "\x1b[31m" not in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "neither a bundle's folder"),
        (b"\x00" * 4096, "neither a bundle's folder"),
        (b"\x08" * 4096, "neither a bundle's folder"),
        (bytes(range(256)) * 64, "neither a bundle's folder"),
        (b'{"a": 1}', "is JSON"),
        (b"\x80\x04\x95", "maskclr-edge convert"),
        (struct.pack("<Q", 90 << 20) + b"{" + b"x" * 100, "not a whole safetensors file"),
        (struct.pack("<Q", 2) + b"{}", "safetensors"),
    ],
)
def test_hostile_files_are_refused_in_a_line(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert run(file) == 2
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1


def test_a_cut_file_a_folder_and_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (bundled_bundle() / "encoder.fp32.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole[: len(whole) // 2])
    torch = tmp_path / "a.pth"
    with zipfile.ZipFile(torch, "w") as archive:
        archive.writestr("data.pkl", b"cos\nsystem\n")
    for source, words in (
        (cut, "neither a bundle's folder"),
        (torch, "is a PyTorch file"),
        (tmp_path, "is not a bundle"),
        (tmp_path / "none", "No such file"),
    ):
        assert run(source) == 2
        line = capsys.readouterr().err
        assert words in line
        assert line.count("\n") == 1


def test_an_engine_alone_and_its_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "encoder.engine"
    file.write_bytes(b"vtrt" + bytes(1000))
    found = facts(capsys, file)
    assert (found["kind"], found["flavour"], found["in_bundle"]) == ("engine", "tensorrt-rtx", False)
    assert run(bundled_bundle() / "head.onnx", "--layers") == 2
    assert "--layers is for an engine file" in capsys.readouterr().err
    if available("tensorrt_rtx_bindings"):
        assert run(file, "--layers") == 1
        line = capsys.readouterr().err
        assert "ask on the GPU that it is for" in line
        assert line.count("\n") == 1
