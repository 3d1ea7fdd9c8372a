"""One way out for every error: one line, the right exit code, a traceback only when asked for."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from maskclr_edge.cli import main as cli
from maskclr_edge.errors import ConfigError, DataError, EngineError, ExportError, MissingDependencyError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """Puts a command ``doctor`` in place that raises what it is told to."""

    def place(error: BaseException) -> None:
        @click.command()
        @click.option("--count", type=int)
        def command(count: int | None) -> None:
            raise error

        monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: command)

    return place


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (ConfigError("no such key"), "error: no such key", 2),
        (DataError("two\nlines"), "error: two lines", 2),
        (ExportError("parity failed"), "error: parity failed", 1),
        (EngineError("wrong GPU"), "error: wrong GPU", 1),
        (MissingDependencyError("pip install it"), "error: pip install it", 1),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/encoder.onnx"),
         "error: No space left on device: out/encoder.onnx", 1),
        (MemoryError(), "error: out of memory", 1),
        (KeyboardInterrupt(), "interrupted", 130),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_a_code(
    failing, capsys: pytest.CaptureFixture[str], error: BaseException, line: str, code: int
) -> None:
    failing(error)
    assert cli.main(["doctor"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == line + "\n"


def test_sigterm_unwinds_and_the_handler_goes_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = []

    @click.command()
    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            steps.append("tidied up")

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: command)
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["doctor"]) == 143 and steps == ["tidied up"]
    assert capsys.readouterr().err == "terminated\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("words", [["--debug", "doctor"], ["doctor", "--debug"]])
def test_debug_shows_where(failing, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    failing(DataError("bad file"))
    assert cli.main(words) == 2
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert text.splitlines()[-1] == "error: bad file"


def test_a_bug_is_called_unexpected(failing, capsys: pytest.CaptureFixture[str]) -> None:
    failing(ValueError("shapes differ"))
    assert cli.main(["doctor"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: unexpected ValueError: shapes differ")
    assert text.count("\n") == 1


def test_a_broken_pipe_is_quiet(failing, capsys: pytest.CaptureFixture[str]) -> None:
    failing(BrokenPipeError())
    with capsys.disabled():  # the real stdout is replaced for what is left of this process' life
        kept = os.dup(sys.stdout.fileno())
        try:
            assert cli.main(["doctor"]) == 141
        finally:
            os.dup2(kept, sys.stdout.fileno())
            os.close(kept)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["doctr"], "did you mean doctor?"),
        (["xyzzy"], "the commands are demo, doctor"),
        (["--what"], "--what"),
        (["doctor", "--count", "many"], "'many' is not a valid integer"),
        (["doctor", "--cuont", "1"], "--count"),
        (["doctor", "extra"], "extra"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    failing, capsys: pytest.CaptureFixture[str], words: list[str], part: str
) -> None:
    failing(AssertionError("must not run"))
    assert cli.main(words) == 2
    text = capsys.readouterr().err
    assert part in text
    assert text.startswith("error: ")
    assert text.count("\n") == 1


def test_a_reader_that_leaves_early_gets_no_complaint(tmp_path: Path) -> None:
    program = (
        "import sys, click\n"
        "from maskclr_edge.cli import main as cli\n"
        "@click.command()\n"
        "def command():\n"
        "    for _ in range(200_000): click.echo('line')\n"
        "cli.LazyGroup.get_command = lambda *_: command\n"
        "sys.exit(cli.main(['doctor']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141
