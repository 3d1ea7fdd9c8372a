import json

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")

from maskclr_edge.checkpoint import read_checkpoint  # noqa: E402
from maskclr_edge.cli.main import cli, main  # noqa: E402


@pytest.fixture
def upstream(random_checkpoint, tmp_path, monkeypatch):
    """An upstream file, a config and class names in the working folder; the checkpoint they come from."""
    checkpoint = random_checkpoint()
    state = {f"module.{name}": torch.tensor(value) for name, value in checkpoint.weights.items()}
    torch.save({"epoch": 3, "model": state, "best_acc": torch.tensor(90.5)}, tmp_path / "best.bin")
    lines = ["num_heads: 2", "dim_feat: 16", "dim_rep: 24", "depth: 2", "maxlen: 40", "action_classes: 5"]
    (tmp_path / "config.yaml").write_text(
        "\n".join([*lines, "mlp_ratio: 2", "lr_decay: 0.99", "partial_train: null"])
    )
    (tmp_path / "classes.txt").write_text("jump\nsquat\n\nwave\nclap\nbow\n")
    monkeypatch.chdir(tmp_path)
    return checkpoint


def convert(*arguments):
    return CliRunner().invoke(cli, ["convert", "best.bin", *arguments], catch_exceptions=False)


def failure(capsys, *arguments):
    """Exit code and stderr of the real entry point."""
    code = main(["convert", *arguments])
    return code, capsys.readouterr().err


def test_an_upstream_file_becomes_a_checkpoint(upstream):
    result = convert("--out", "a.safetensors", "--config", "config.yaml", "--classes", "classes.txt")
    assert result.exit_code == 0, result.output
    assert "jump, squat, wave, clap, ... (5)" in result.output
    assert "maskclr-edge export a.safetensors" in result.output
    read = read_checkpoint("a.safetensors")
    assert read.config == upstream.config
    assert read.contract.class_names == ("jump", "squat", "wave", "clap", "bow")
    assert (read.contract.confidence_order, read.contract.absent) == ("legacy", "projected")
    assert read.info["best_acc"] == 90.5
    for name, value in read.weights.items():
        np.testing.assert_array_equal(value, upstream.weights[name])


def test_json_stands_alone_and_half_is_smaller(upstream):
    full = convert("--out", "a", "--config", "config.yaml", "--json", "-")
    half = convert("--out", "b", "--config", "config.yaml", "--json", "-", "--half")
    full_summary, half_summary = json.loads(full.stdout), json.loads(half.stdout)
    assert half_summary["bytes"] < full_summary["bytes"]
    assert full_summary["config"]["num_heads"] == 2
    assert full_summary["contract"]["class_names"][4] == "class_004"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.yaml", "num_haeds: 2", "unknown config key 'num_haeds' (did you mean 'num_heads'?)"),
        ("config.yaml", "action_classes: [", "not a YAML file"),
        ("config.yaml", "- 1", "a model YAML is a mapping"),
        ("config.yaml", "action_classes: 6\nnum_heads: 2", "the config says"),
        ("config.yaml", b"\xff\xfe\x00", "not a text file"),
        ("classes.txt", "one\ntwo\n", "2 class names, but the head has 5 classes"),
        ("classes.txt", "\n", "holds no class name"),
        ("classes.txt", "a\na\nb\nc\nd\n", "lists 'a' twice"),
        ("best.bin", b"PK\x03\x04 not a zip", "not a whole PyTorch checkpoint"),
        ("best.bin", b"text", "not a PyTorch checkpoint"),
    ],
)
def test_bad_input_gives_one_line_and_leaves_no_file(upstream, tmp_path, capsys, file, content, message):
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    arguments = ("best.bin", "--out", "a", "--config", "config.yaml", "--classes", "classes.txt")
    code, text = failure(capsys, *arguments)
    assert code == 2
    assert message in " ".join(text.split())
    assert len(text.strip().splitlines()) == 1
    assert not (tmp_path / "a").exists()


def test_a_folder_that_is_not_there_is_named(upstream, capsys):
    code, text = failure(capsys, "best.bin", "--out", "nowhere/a", "--config", "config.yaml")
    assert code == 2
    assert "cannot write nowhere/a" in text
