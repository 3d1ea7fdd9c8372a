"""The script that builds every shipped checkpoint for every target."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scripts import load_script

from maskclr_edge.deploy import targets


@pytest.fixture
def script() -> ModuleType:
    return load_script("export/build_matrix.py")


def target(folder: Path, name: str, engine: str, sm: int) -> str:
    file = folder / f"{name}.yaml"
    file.write_text(
        f"name: {name}\nwhat: A box\nprecisions: [fp16]\nengine: {engine}\nsms: [{sm}]\n"
        "frames: [[1, model, 243]]\n"
    )
    return str(file)


def test_a_row_for_each_target(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["build_matrix.py", "--out", str(tmp_path / "results"), "--keep", str(tmp_path / "made")]
    wanted = [target(tmp_path, "cpu", "none", 1), target(tmp_path, "board", "tensorrt", 87)]
    if targets.rtx_here():
        wanted.append(target(tmp_path, "turing", "tensorrt-rtx", 75))
        wanted.append(target(tmp_path, "nobody", "tensorrt-rtx", 99))
    monkeypatch.setattr(sys, "argv", words + [word for name in wanted for word in ("--target", name)])
    code = script.main()
    (file,) = (tmp_path / "results").iterdir()
    rows = {row["target"]: row for row in json.loads(file.read_text())["results"]["rows"]}
    assert rows["cpu"]["state"] == "onnx"
    assert rows["board"]["state"] == "on the device"
    assert rows["board"]["finish"] == [
        "maskclr-edge export bundle --out bundle --target board --engine tensorrt"
    ]
    assert rows["cpu"]["parity"]["passed"]
    if targets.rtx_here():
        assert rows["turing"]["state"] == "built"
        assert set(rows["turing"]["engines"]) == {"encoder.fp16.rtx.engine", "head.fp16.rtx.engine"}
        assert rows["nobody"]["state"] == "refused"
        assert "no SM 99" in rows["nobody"]["reason"]
        assert code == 1
    else:
        assert code == 0
