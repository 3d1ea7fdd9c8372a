"""``maskclr-edge refit``: what it refuses before any TensorRT is needed; the rig tests do the rest."""

from collections.abc import Callable
from pathlib import Path

import pytest

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.cli.main import main
from maskclr_edge.deploy import export_bundle
from maskclr_edge.runtime import bundled_bundle


def test_what_is_refused(
    random_checkpoint: Callable[..., Checkpoint], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, out = str(bundled_bundle()), str(tmp_path / "out")
    assert main(["refit", own, own, "--out", out]) == 2
    assert "has no engines; build some with --weights refit" in capsys.readouterr().err
    other = export_bundle(random_checkpoint(maxlen=30, depth=1), tmp_path / "other")
    assert main(["refit", own, str(other.path), "--out", out]) == 2
    assert "are of different networks" in capsys.readouterr().err
    assert main(["refit", str(tmp_path / "none"), own, "--out", out]) == 2
    assert "is not a bundle" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
