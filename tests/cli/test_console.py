"""Tables, progress and JSON."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from maskclr_edge.cli.console import console, json_option, progress, table, write_json


@dataclass
class Point:
    x: float
    where: Path


def test_json_takes_what_reports_hold_and_stays_json(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    data = {
        "point": Point(1.5, Path("a/b")),
        "array": np.arange(3, dtype=np.float32),
        "scalar": np.int64(7),
        "missing": float("nan"),
        "endless": np.float32(np.inf),
        "names": ("a", "b"),
        3: "key",
    }
    write_json(str(target), data)
    assert json.loads(target.read_text()) == {
        "point": {"x": 1.5, "where": "a/b"},
        "array": [0.0, 1.0, 2.0],
        "scalar": 7,
        "missing": None,
        "endless": None,
        "names": ["a", "b"],
        "3": "key",
    }
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_json_to_stdout_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    screen = console("-")
    screen.print("a table")
    write_json("-", {"a": 1})
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")
    with pytest.raises(TypeError):
        write_json(str(target), {"a": object()})
    assert target.read_text() == "old"
    with pytest.raises(OSError, match="No such file") as caught:
        write_json(str(tmp_path / "nowhere" / "result.json"), {})
    assert caught.value.filename == str(tmp_path / "nowhere" / "result.json")
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_a_place_for_json_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    worked = []

    @click.command()
    @json_option("result")
    def command(json_to: str | None) -> None:
        worked.append(json_to)

    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    refused = [tmp_path, tmp_path / "nowhere" / "a.json"]
    if not os.access(locked, os.W_OK):  # root may write anywhere
        refused.append(locked / "a.json")
    for place in refused:
        result = CliRunner().invoke(command, ["--json", str(place)])
        assert result.exit_code == 2 and "folder" in result.stderr and not worked
    for place in ("-", str(tmp_path / "a.json")):
        assert CliRunner().invoke(command, ["--json", place]).exit_code == 0
    assert worked == ["-", str(tmp_path / "a.json")] and not (tmp_path / "a.json").exists()


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("work") as report:
        for done in range(5):
            report(done, 5, "step")
        report(0, 0, "of unknown length")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_progress_draws_on_a_terminal_and_survives_a_new_phase(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the stream for a terminal
    monkeypatch.setenv("TERM", "xterm")
    with progress("work") as report:
        report(3, 3, "first phase")
        report(1, 9, "second phase")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "second phase" in captured.err


def test_a_table_shows_text_as_it_is_and_numbers_flush_right(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a[bold]b", 1.234), ("c", 100.0), ("d", None)]
    console().print(table("Sizes of [red] x", ("file", "MB"), rows, note="of [/y]"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "Sizes of [red] x" and lines[-1].strip() == "of [/y]"
    assert "a[bold]b" in lines[4]
    assert lines[4].rstrip(" │").endswith("1.23")
    assert lines[5].index("100.00") + 6 == lines[4].index("1.23") + 4


def test_codes_in_a_name_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    code = "\x1b]0;title\x07\x1b[31mred\r"
    console().print(table(code, (code,), [(code,)], note=code))
    shown = capsys.readouterr().out
    assert "[31mred" in shown and not {"\x1b", "\x07", "\r"} & set(shown)


def test_no_colour_codes_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(table("T", ("a",), [("[red]x[/red]",)]), style="bold red")
    assert "\x1b" not in capsys.readouterr().out


def test_lines_stay_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 60 + "end"
    console().print(table(long, ("a",), [(1,)], note=long))
    console().print(long)
    assert capsys.readouterr().out.count(long) == 3
