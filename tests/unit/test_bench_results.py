"""Result files, the machine in them, README sections."""

import getpass
import json
import platform
import socket
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.bench.machine import describe_machine, machine_line
from maskclr_edge.bench.markdown import fill_sections, markdown_table, sections
from maskclr_edge.bench.process import run_process, run_python
from maskclr_edge.bench.results import newest_result, read_result, result_document, write_dated, write_result
from maskclr_edge.errors import ConfigError, DataError, MaskclrEdgeError

ONE, ONE_END = "<!-- results:one -->\n", "<!-- /results:one -->\n"
TWO, TWO_END = "<!-- results:two -->\n", "<!-- /results:two -->\n"


@pytest.fixture
def document() -> dict[str, Any]:
    return result_document("latency", {"rows": [{"p50_ms": 1.5}]}, settings={"seconds": 2.0})


def test_result_goes_round(tmp_path: Path, document: dict[str, Any]) -> None:
    path = write_dated(tmp_path / "results", document)
    assert path.name == f"{document['created'][:10]}_latency.json"
    assert read_result(path) == document
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_newest_by_date_in_the_name(tmp_path: Path, document: dict[str, Any]) -> None:
    for name in (
        "2026-01-02_latency.json",
        "2025-12-31_latency.json",
        "2027-01-01_latency_gpu.json",
        "notes.json",
    ):
        write_result(tmp_path / name, document)
    assert newest_result(tmp_path, "latency") == tmp_path / "2026-01-02_latency.json"
    assert newest_result(tmp_path, "accuracy") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "version 3; this release reads versions 1 and 2"),
        ({"format": "other"}, "not a result file"),
        ({"extra": 1}, "unknown keys: extra"),
        ({"name": "../latency"}, "lower case words"),
        ({"results": []}, '"results"'),
        ({"results": {"rows": [{"p50": float("nan")}]}}, r"results.rows\[0\].p50 is nan"),
        ({"results": {"path": Path("/tmp")}}, "PosixPath"),
    ],
)
def test_bad_results_are_refused(
    document: dict[str, Any], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        write_result(tmp_path / "x.json", {**document, **change})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": NaN}', "[" * 100_000])
def test_unreadable_results_are_data_errors(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"x\.json"):
        read_result(path)
    with pytest.raises(DataError, match="cannot read"):
        read_result(tmp_path / "missing.json")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, document: dict[str, Any]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        write_result(tmp_path / "file" / "x.json", document)


def test_machine_says_what_counts_and_nothing_private() -> None:
    machine = describe_machine()
    assert machine["python"] == platform.python_version()
    assert machine["cores_usable"] >= 1
    assert "numpy" in machine["packages"]
    text = json.dumps(machine)
    for private in {socket.gethostname(), str(Path.home()), str(Path.cwd())} - {"", "/"}:
        assert private not in text
    assert "hostname" not in text
    assert getpass.getuser() not in machine
    assert f"Python {platform.python_version()}" in machine_line(machine)
    assert machine_line({**machine, "load_average": 0.3}).endswith(f"Python {platform.python_version()}")
    assert "NOT QUIET: load average 7.5" in machine_line({**machine, "load_average": 7.5})


def test_process_is_measured() -> None:
    run, answer = run_python(
        "import json, sys; block = bytearray(60_000_000); print(json.dumps(sys.argv[1:]))", "a", "b"
    )
    assert answer == ["a", "b"]
    assert run.peak_memory_mb > 60
    assert run.seconds > 0
    assert run.cpu_seconds > 0
    with pytest.raises(MaskclrEdgeError, match="ended with 1: ValueError: so it is"):
        run_python("raise ValueError('so it is')")
    with pytest.raises(MaskclrEdgeError, match="should print JSON"):
        run_python("print('hello')")
    with pytest.raises(MaskclrEdgeError, match="cannot start"):
        run_process(["/nowhere/at/all"])


def test_sections_are_filled_and_stay() -> None:
    text = f"a\n{ONE}old\n{ONE_END}b\n{TWO}{TWO_END}"
    assert sections(text) == ["one", "two"]
    filled = fill_sections(text, {"one": "1", "two": "| 2 |\n", "three": "3"})
    assert filled == f"a\n{ONE}1\n{ONE_END}b\n{TWO}| 2 |\n{TWO_END}"
    assert fill_sections(filled, {"one": "1", "two": "| 2 |"}) == filled
    with pytest.raises(DataError, match="no results for the sections two"):
        fill_sections(text, {"one": "1"})
    with pytest.raises(DataError, match="lacks its"):
        sections("<!-- results:one -->\n")


def test_markdown_table() -> None:
    assert markdown_table(["a", "b"], [["1", "x|y"]], "lr") == "| a | b |\n| :--- | ---: |\n| 1 | x\\|y |"
    with pytest.raises(DataError, match="3 cells"):
        markdown_table(["a", "b"], [["1", "2", "3"]], "lr")
