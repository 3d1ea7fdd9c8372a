"""What the benchmark scripts share: a path on success, one line and a code where something is wrong."""

import sys
from pathlib import Path

import benchmark_script
import pytest

from maskclr_edge.errors import ConfigError


def run(monkeypatch: pytest.MonkeyPatch, measure, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["some_script.py", *words])
    return benchmark_script.run_script(benchmark_script.script_parser("What it measures."), measure)


def test_it_prints_the_path_and_ends_with_0(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, lambda arguments: arguments.out / "x.json", "--out", str(tmp_path)) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'x.json'}\n"
    run(monkeypatch, lambda arguments: arguments.out)
    assert Path(capsys.readouterr().out.strip()).parts[-2:] == ("benchmarks", "results")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("no such split"), 2, "error: no such split\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_what_goes_wrong_is_one_line(monkeypatch, capsys, error, code, line):
    def fail(arguments):
        raise error

    assert run(monkeypatch, fail) == code
    assert capsys.readouterr().err == line


def test_help_is_the_docstring(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, lambda arguments: None, "--help")
    assert "What it measures." in capsys.readouterr().out
