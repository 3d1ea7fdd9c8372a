"""``maskclr-edge compare`` from the outside: what it says and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.cli.main import main


@pytest.fixture
def results(tiny_bundle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A real bench's file with samples that no neighbour disturbs, and one half as slow again."""
    monkeypatch.setenv("NO_COLOR", "1")
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    bench = ["bench", str(tiny_bundle.write()), "--runner", "onnxruntime", "--frames", "8", "--persons", "1"]
    assert main([*bench, "--seconds", "0.01", "--threads", "1", "--json", str(old)]) == 0
    document = json.loads(old.read_text())
    for path, factor in ((old, 1.0), (new, 1.5)):
        for row in document["results"]["measurements"]:
            row["samples_ms"] = " ".join(f"{factor * (5 + at % 7 / 100):.4f}" for at in range(100))
            row["passes"] = [100]
        path.write_text(json.dumps(document))
    return str(old), str(new)


def test_the_gate_is_the_exit_code(results: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    old, new = results
    capsys.readouterr()
    assert main(["compare", old, new]) == 0
    out = capsys.readouterr().out
    assert "+50.0 %" in out
    assert "end-to-end" in out
    assert main(["compare", old, old, "--fail-on", "p50:+1%", "--fail-on", "throughput:-1%"]) == 0
    assert "passed: p50:+1%, throughput:-1%" in capsys.readouterr().out
    assert main(["compare", old, new, "--fail-on", "p50:+5%"]) == 1
    captured = capsys.readouterr()
    assert captured.out.count("failed  ") == 3
    assert captured.err == ""


def test_json_alone(results: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    old, new = results
    capsys.readouterr()
    assert main(["compare", old, new, "--fail-on", "p50:+5%", "--json", "-"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["format"] == "maskclr-edge-comparison"
    assert document["passed"] is False
    assert document["rows"][0]["changes"][0]["change"] == pytest.approx(0.5)


@pytest.mark.parametrize("gate", ["p99", "p98:+5%", "p50:-5%"])
def test_a_gate_that_is_none_is_one_line(
    results: tuple[str, str], capsys: pytest.CaptureFixture[str], gate: str
) -> None:
    capsys.readouterr()
    assert main(["compare", *results, "--fail-on", gate]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_files_that_are_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    for name in ("missing.json", "x.json"):
        assert main(["compare", str(tmp_path / name), str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert name in error
        assert len(error.splitlines()) == 1
