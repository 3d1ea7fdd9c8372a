"""What the README and the pages beside it tell people to type is there and works."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from maskclr_edge.cli.main import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(file.relative_to(ROOT)) for file in ROOT.glob("docs/*.md")),
    *sorted(str(file.relative_to(ROOT)) for file in ROOT.glob("*/README.md")),
)
#: every page about a device, and what it must lead to
DEVICES = {
    "docs/jetson.md": {"export", "doctor", "inspect", "bench", "calibrate"},
    "docs/rtx.md": {"export", "inspect", "bench"},
    "docs/datacentre.md": {"export", "doctor", "bench"},
    "docs/no-gpu.md": {"export", "inspect"},
}
BLOCK = re.compile(r"(?:<!-- (runnable(?:, slow)?) -->\n)?```(console|python)\n(.*?)```", re.DOTALL)


def _blocks(page: str) -> list[tuple[str, str, str]]:
    """Mark ("runnable", "runnable, slow" or none), language and text of every fenced block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [(mark, kind, body) for mark, kind, body in BLOCK.findall(text)]


def _commands(body: str) -> list[list[str]]:
    # where a line shows what may be added, as in `live SOURCE [--pose NAME]`, the rest is the command
    lines = (re.sub(r" \[[^]]*\]", "", line[2:]) for line in body.splitlines() if line.startswith("$ "))
    return [shlex.split(line, comments=True) for line in lines]


ALL = [
    words
    for page in PAGES
    for _, kind, body in _blocks(page)
    if kind == "console"
    for words in _commands(body)
]
OURS = [words for words in ALL if words[0] == "maskclr-edge"]
RUNNABLE = [
    pytest.param(kind, body, marks=[pytest.mark.full] if "slow" in mark else [], id=f"{kind} {number}")
    for page in PAGES
    for number, (mark, kind, body) in enumerate(_blocks(page))
    if mark
]


def test_the_blocks_are_found() -> None:
    assert len(OURS) >= 5
    assert {param.values[0] for param in RUNNABLE} == {"console", "python"}


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_a_command_parses(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for word in words:
        if Path(word).suffix in {".pkl", ".bin", ".yaml", ".safetensors", ".npz", ".webm", ".mp4"}:
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            Path(word).touch()
    if words[1] in ("--help", "--version"):
        return
    assert words[1] in COMMANDS
    command = importlib.import_module(f"maskclr_edge.cli.{words[1]}").command
    command.make_context(words[1], words[2:], parent=click.Context(cli))


@pytest.mark.parametrize("words", [words for words in ALL if words[0] == "make"], ids=" ".join)
def test_a_make_target_exists(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in words[1:]:
        if "=" not in target:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_named_extra_exists() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for words in ALL:
        for listed in re.findall(r"\.\[([\w,]+)\]", " ".join(words)):
            for extra in listed.split(","):
                assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


def test_every_named_script_exists() -> None:
    scripts = [words[1] for words in ALL if words[0] == "python" and len(words) > 1]
    assert scripts
    for script in scripts:
        assert script.startswith("-") or (ROOT / script).is_file(), script


@pytest.mark.parametrize("page", DEVICES)
def test_a_page_of_a_device_goes_all_the_way(page: str) -> None:
    commands = {
        words[1]
        for _, kind, body in _blocks(page)
        if kind == "console"
        for words in _commands(body)
        if words[0] == "maskclr-edge"
    }
    assert DEVICES[page] <= commands


def test_every_named_command_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`maskclr-edge (\w+)`", text)) <= set(COMMANDS)
    assert set(COMMANDS) <= set(re.findall(r"`maskclr-edge (\w+)`", text)), "a command is not in the tour"


def test_what_ci_runs_is_what_the_readme_says() -> None:
    assert ["make", "test"] in ALL
    assert "step make test\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize(("kind", "body"), RUNNABLE)
def test_a_runnable_block_runs(kind: str, body: str, tmp_path: Path) -> None:
    if kind == "python":
        calls = [[sys.executable, "-c", body]]
    else:
        calls = [[sys.executable, "-m", "maskclr_edge", *words[1:]] for words in _commands(body)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for call in calls:
        done = subprocess.run(
            call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1800, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
