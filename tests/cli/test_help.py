"""Help is there for every command, with examples, and costs no heavy import."""

import importlib
import subprocess
import sys

import click
import pytest

from maskclr_edge.cli.main import COMMANDS, cli, main

HEAVY = ("torch", "cv2", "onnx", "onnxruntime", "openvino", "tensorrt", "mediapipe", "numpy", "rich", "yaml")
OPTIONAL = (
    *("torch", "cv2", "onnx", "openvino", "tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings", "mediapipe"),
    *(
        "onnxruntime_ep_nv_tensorrt_rtx",
        "pycuda",
        "cuda",
        "sklearn",
        "matplotlib",
        "scipy",
        "hypothesis",
        "aiohttp",
    ),
)


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from maskclr_edge.cli.main import main\n"
        "code = main(['--help'])\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_help_is_there_on_a_base_install() -> None:
    """Optional packages are missing on a device; asking what a command does must not need them."""
    program = (
        "import sys\n"
        f"for name in {OPTIONAL}: sys.modules[name] = None\n"  # importing one now raises ImportError
        "from maskclr_edge.cli.main import COMMANDS, main\n"
        "bad = [name for name in COMMANDS if main([name, '--help']) != 0]\n"
        "print('bad:', bad)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "bad: []", done.stderr


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, what in COMMANDS.items():
        assert f"  {name} " in text
        assert what.split()[0] in text


def test_no_arguments_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert "0." in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_parse(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples:" in text
    examples = [line.split() for line in text.splitlines() if line.strip().startswith(f"maskclr-edge {name}")]
    assert examples, f"{name} --help shows no call of itself"
    command = importlib.import_module(f"maskclr_edge.cli.{name}").command
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    for words in examples:
        assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name: str) -> None:
    command = importlib.import_module(f"maskclr_edge.cli.{name}").command
    assert isinstance(command, click.Command)
    silent = [param.name for param in command.params if isinstance(param, click.Option) and not param.help]
    assert silent == []


def test_the_group_finds_only_what_it_lists() -> None:
    context = click.Context(cli)
    assert cli.list_commands(context) == list(COMMANDS)
    assert cli.get_command(context, "main") is None
    assert cli.get_command(context, "console") is None
