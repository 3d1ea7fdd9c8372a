"""``maskclr-edge bench`` from the outside."""

import json
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.bench.results import read_result
from maskclr_edge.cli.main import main

QUICK = ["--seconds", "0.01", "--frames", "8", "--threads", "1"]


@pytest.fixture(autouse=True)
def plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")


def test_table_names_everything(tiny_bundle: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(tiny_bundle.write(precisions=("fp32", "int8")))
    assert main(["bench", bundle, *QUICK]) == 0
    out = capsys.readouterr().out
    for word in (
        "onnxruntime",
        "openvino",
        "fp32",
        "int8",
        "p50",
        "p99",
        "clips/s",
        "preprocessing",
        "end-to-end",
    ):
        assert word in out
    assert "not measured" in out
    assert "tensorrt-rtx" in out
    assert "Python" in out
    assert max(len(line) for line in out.splitlines() if line[:1] in tuple("┏┃│└")) <= 120


def test_json_alone(tiny_bundle: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["bench", str(tiny_bundle.write()), *QUICK, "--runner", "onnxruntime", "--persons", "1,2"]
    assert main([*arguments, "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["format"] == "maskclr-edge-benchmark"
    assert main([*arguments, "--json", str(tmp_path / "result.json")]) == 0
    again = read_result(tmp_path / "result.json")
    shapes = [
        [(row["part"], row["persons"]) for row in one["results"]["measurements"]] for one in (document, again)
    ]
    assert shapes[0] == shapes[1]
    assert document["settings"]["persons"] == [1, 2]


def test_scenarios_markdown_and_page(
    tiny_bundle: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bundle = str(tiny_bundle.write(precisions=("fp32", "int8")))
    files = {kind: tmp_path / f"bench.{kind}" for kind in ("json", "md", "html")}
    scenarios = "single-stream,multi-stream,server,offline"
    arguments = [
        "bench",
        bundle,
        *QUICK,
        "--persons",
        "1",
        "--runner",
        "onnxruntime",
        "--scenario",
        scenarios,
    ]
    arguments += ["--latency-bound", "500", "--json", str(files["json"]), "--markdown", str(files["md"])]
    assert main([*arguments, "--html", str(files["html"])]) == 0
    out = capsys.readouterr().out
    assert "queries/s arriving by chance hold p99 within 500 ms" in out
    rows = read_result(files["json"])["results"]["measurements"]
    network = {
        row["scenario"]: row for row in rows if row["part"] == "network" and row["precision"] == "fp32"
    }
    assert {name: row["batch"] for name, row in network.items()} == {
        **{"single-stream": 1, "multi-stream": 8, "server": 1, "offline": 16}
    }
    assert network["server"]["server"]["trials"]
    assert network["server"]["clips_per_second"] == network["server"]["server"]["rate_per_s"]
    assert network["offline"]["resources"]["gflop_per_clip"] > 0
    markdown = files["md"].read_text()
    assert "## The network alone, server" in markdown
    assert "nearest rank" in markdown
    page = files["html"].read_text()
    assert page.count("<svg") >= 4
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert str(tmp_path) not in page + markdown


def test_names_in_a_page_are_no_markup(tiny_bundle: Any, tmp_path: Path) -> None:
    models = [str(tiny_bundle.write(name)) for name in ("<b>a|b", "plain")]
    page, markdown = tmp_path / "bench.html", tmp_path / "bench.md"
    arguments = ["bench", *models, *QUICK, "--runner", "onnxruntime", "--persons", "1", "--html", str(page)]
    assert main([*arguments, "--markdown", str(markdown)]) == 0
    assert "<b>" not in page.read_text()
    assert "a\\|b" in markdown.read_text()


def test_several_models_are_told_apart(tiny_bundle: Any, capsys: pytest.CaptureFixture[str]) -> None:
    models = [str(tiny_bundle.write(name)) for name in ("first", "second")]
    assert main(["bench", *models, *QUICK, "--runner", "onnxruntime"]) == 0
    out = capsys.readouterr().out
    assert "first" in out
    assert "second" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--frames", "0"], 2, "'0' is not a whole number from 1 to 243"),
        (["--frames", "244"], 2, "'244' is not a whole number from 1 to 243"),
        (["--frames", "30;81"], 2, "'30;81' is not a whole number"),
        (["--persons", "3"], 2, "'3' is not a whole number from 1 to 2"),
        (["--runner", "tensorflow"], 2, "unknown runner 'tensorflow'"),
        (["--precision", "fp7", "--runner", "onnxruntime"], 1, "has no fp7 for onnxruntime, only fp32"),
        (["--seconds", "0"], 2, "--seconds"),
        (["--seconds", "nan"], 2, "3600 seconds"),
        (["--batch", "0"], 2, "--batch"),
        (["--scenario", "burst"], 2, "'burst' is none of single-stream, multi-stream, server, offline"),
        (["--latency-bound", "0"], 2, "--latency-bound"),
        (["--html", "-"], 2, "a file is expected"),
        (["--markdown", "no-such-folder/x.md"], 2, "there is no folder 'no-such-folder'"),
        (["--json", "no-such-folder/result.json"], 2, "there is no folder 'no-such-folder'"),
    ],
)
def test_one_line_for_what_is_wrong(
    tiny_bundle: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert main(["bench", str(tiny_bundle.write()), *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_missing_model_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", str(tmp_path / "nothing"), *QUICK]) != 0
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    out = capsys.readouterr().out
    assert "maskclr-edge bench" in out
    assert "--precision" in out
