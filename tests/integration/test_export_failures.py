"""Exports that fail leave what was there before, and what an export refuses."""

import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import CALIBRATION, Maker, export, leftovers, one_block

from maskclr_edge.checkpoint import Checkpoint, write_checkpoint
from maskclr_edge.deploy import export as export_module
from maskclr_edge.deploy import graph
from maskclr_edge.deploy.bundle_folder import BundleFolder
from maskclr_edge.errors import CheckpointError, ConfigError, ExportError
from maskclr_edge.runtime import Bundle


@pytest.fixture
def checkpoint(random_checkpoint: Maker) -> Checkpoint:
    return one_block(random_checkpoint)


def broken_graph(checkpoint: Checkpoint, **options: Any) -> Any:
    """The encoder of other weights."""
    weights = {name: value.copy() for name, value in checkpoint.weights.items()}
    weights["backbone.pre_logits.fc.bias"] += 0.01
    return graph.encoder_graph(replace(checkpoint, weights=weights), **options)


def test_failing_parity_leaves_nothing(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "encoder_graph", broken_graph)
    with pytest.raises(
        ExportError, match=r"fp32 graph does not agree with the checkpoint.*nothing was written"
    ) as caught:
        export(checkpoint, tmp_path / "b", precisions=("fp32",))
    assert caught.value.exit_code == 1
    assert leftovers(tmp_path) == []


def test_a_failure_keeps_the_old_bundle(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = export(checkpoint, tmp_path / "b", precisions=("fp32",))
    before = (old.path / "manifest.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(export_module, "encoder_graph", broken_graph)
        with pytest.raises(ExportError):
            export(checkpoint, old.path, precisions=("fp32",))
    assert (old.path / "manifest.json").read_bytes() == before
    assert leftovers(tmp_path) == ["b"]
    new = export(checkpoint, old.path, precisions=("int8",))
    assert {item.precision for item in new.artifacts} == {"int8"}
    assert not (new.path / "encoder.fp32.onnx").exists()
    assert leftovers(tmp_path) == ["b"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("stage", ["write", "finish"])
def test_a_full_disk_and_ctrl_c_leave_nothing(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, stage: str
) -> None:
    def fail(self: BundleFolder, *arguments: Any) -> None:
        if stage == "write":
            self.path("half.onnx").write_bytes(b"half")
        raise error

    monkeypatch.setattr(BundleFolder, stage, fail)
    expected = ExportError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        export(checkpoint, tmp_path / "b", precisions=("fp32",))
    if expected is ExportError:
        assert "No space left on device; nothing was changed" in str(caught.value)
    assert leftovers(tmp_path) == []


def test_a_rename_that_fails_brings_the_old_bundle_back(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = export(checkpoint, tmp_path / "b", precisions=("fp32",))
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(ExportError, match="Input/output error"):
        export(checkpoint, old.path, precisions=("fp32",))
    assert leftovers(tmp_path) == ["b"]
    Bundle.open(old.path)


def test_a_killed_export_leaves_the_old_bundle(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """SIGKILL in the middle of the second export: no chance to tidy up, and the old bundle is whole."""
    file = tmp_path / "c.safetensors"
    write_checkpoint(file, checkpoint)
    old = export(checkpoint, tmp_path / "b", precisions=("fp32",))
    before = {path.name: path.read_bytes() for path in old.path.iterdir()}
    program = (
        "import sys, time\n"
        "from maskclr_edge.checkpoint import read_checkpoint\n"
        "from maskclr_edge.deploy import export_bundle\n"
        "def stop(done, total, what):\n"
        "    print('here', flush=True)\n"
        "    time.sleep(60)\n"
        "export_bundle(read_checkpoint(sys.argv[1]), sys.argv[2], progress=stop)\n"
    )
    words = [sys.executable, "-c", program, str(file), str(old.path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "here\n"
        running.send_signal(signal.SIGKILL)
    assert {path.name: path.read_bytes() for path in old.path.iterdir()} == before
    Bundle.open(old.path)


def test_what_an_export_must_not_replace(checkpoint: Checkpoint, tmp_path: Path) -> None:
    file, folder, link = tmp_path / "file", tmp_path / "folder", tmp_path / "link"
    file.write_text("mine")
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    link.symlink_to(folder)
    for out, words in ((file, "file or a link"), (folder, "no bundle"), (link, "file or a link")):
        with pytest.raises(ConfigError, match=words):
            export(checkpoint, out, precisions=("fp32",))
    assert (folder / "thesis.tex").read_text() == "mine"
    (folder / "thesis.tex").unlink()
    export(checkpoint, folder, precisions=("fp32",))  # an empty folder may be taken
    export(checkpoint, tmp_path / "new" / "deep", precisions=("fp32",))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precisions": ()}, "no precision"),
        ({"precisions": ("fp32", "fp12")}, "fp12"),
        ({"precisions": ("int8",), "calibration": None}, "needs calibration clips"),
        ({"engines": ("openvino",)}, "openvino"),
        ({"verify": "some"}, "verify"),
        ({"storage": "int4"}, "int4"),
        ({"calibration": np.zeros((2, 2, 9, 17, 3), np.float32)}, "no person"),
    ],
)
def test_bad_options(checkpoint: Checkpoint, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        export(checkpoint, tmp_path / "b", **options)
    assert leftovers(tmp_path) == []


def test_a_budget_needs_classes_and_clips(
    checkpoint: Checkpoint, random_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="held-out clips"):
        export(checkpoint, tmp_path / "b", max_drop=1.0)
    held_out = (CALIBRATION, np.zeros(len(CALIBRATION), np.int64))
    embedding = random_checkpoint(head="embed", num_classes=0, depth=1)
    with pytest.raises(ConfigError, match="embedding head"):
        export(embedding, tmp_path / "b", max_drop=1.0, held_out=held_out)
    assert leftovers(tmp_path) == []


def test_damaged_weights(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.weights["backbone.norm.weight"][0] = np.nan
    with pytest.raises(CheckpointError, match=r"backbone\.norm\.weight"):
        export(checkpoint, tmp_path / "b")
    del checkpoint.weights["backbone.norm.weight"]
    with pytest.raises(CheckpointError, match=r"backbone\.norm\.weight"):
        export(checkpoint, tmp_path / "b")
    assert leftovers(tmp_path) == []
