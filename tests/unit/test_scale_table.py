"""Scale tables: what they hold, and every way in which a file is not one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.checkpoint import Checkpoint, read_checkpoint
from maskclr_edge.data import made_up_clips
from maskclr_edge.deploy.scale_table import ScaleTable, read_table
from maskclr_edge.deploy.table_maker import make_table
from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.runtime.bundled import bundled_checkpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def table(random_checkpoint: Callable[..., Checkpoint]) -> ScaleTable:
    return make_table(random_checkpoint(depth=1), made_up_clips(30, seed=3), "train", count=8)


def test_a_table_is_the_same_every_time_and_after_reading(
    table: ScaleTable, random_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    again = make_table(random_checkpoint(depth=1), made_up_clips(30, seed=3), "train", count=8)
    assert again.to_bytes() == table.to_bytes()
    file = tmp_path / "table.json"
    file.write_bytes(table.to_bytes())
    assert read_table(file) == table
    assert read_table(file).sha256() == table.sha256()


def test_what_it_says_of_its_clips(table: ScaleTable, random_checkpoint: Callable[..., Checkpoint]) -> None:
    assert len(table.clips["names"]) == table.clips["count"] == 8
    assert table.held_out["count"] == 8
    assert all(share is not None and 0 <= share < 0.05 for share in table.saturation.values())
    contract = random_checkpoint(depth=1).contract
    assert table.coverage["frames"][0] == contract.min_frames
    assert table.coverage["frames"][-1] == contract.max_frames
    assert not any(gap.startswith("frames") for gap in table.coverage["gaps"])
    assert any(gap.startswith("class ") for gap in table.coverage["gaps"])
    everything = make_table(random_checkpoint(depth=1), made_up_clips(30, seed=3), "train", count=30)
    assert everything.held_out["count"] == 0
    assert set(everything.saturation.values()) == {None}


def test_a_table_of_another_model(table: ScaleTable) -> None:
    with pytest.raises(ConfigError, match="maskclr-edge calibrate"):
        table.check_model(read_checkpoint(bundled_checkpoint()))
    with pytest.raises(DataError, match="no range for other"):
        table.choose(["other"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"low": 0, "high": 0}, "no usable scale"),
        ({"high": float("inf")}, "finite"),
        ({"high": float("nan")}, "finite"),
        ({"high": 10**60}, "finite"),
        ({"low": 0, "high": 1e-60}, "zero in float32"),
        ({"low": 0.5}, "no usable scale"),
        ({"high": None}, "no usable scale"),
        ({"high": True}, "finite"),
        ({"saturation": 2}, "share"),
        ({"more": 1}, "expected low, high"),
    ],
)
def test_a_scale_of_no_use(table: ScaleTable, change: dict[str, Any], expected: str, tmp_path: Path) -> None:
    raw = json.loads(table.to_bytes())
    name = next(iter(raw["tensors"]))
    raw["tensors"][name].update(change)
    file = tmp_path / "table.json"
    file.write_text(json.dumps(raw))
    with pytest.raises(DataError) as caught:
        read_table(file)
    assert expected in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": "other"}, "not a scale table"),
        ({"version": 2}, "version 2"),
        ({"methods": "mse"}, "unknown key"),
        ({"method": "guess"}, "methods are"),
        ({"tensors": {}}, "0 tensors"),
        ({"tensors": []}, "not a mapping"),
    ],
)
def test_a_file_that_is_no_table(
    table: ScaleTable, change: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "table.json"
    file.write_text(json.dumps(json.loads(table.to_bytes()) | change))
    with pytest.raises(DataError, match=expected):
        read_table(file)


def test_a_file_that_is_cut(table: ScaleTable, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    for data in (table.to_bytes()[:-40], b"", b"\xff\xfe", b"[" * 100_000):
        file.write_bytes(data)
        with pytest.raises(DataError, match="not whole JSON"):
            read_table(file)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path)


def test_the_table_that_ships_is_of_the_bundled_model() -> None:
    """After a change of the bundled model: python calibration/make.py penn_action_coco17.pkl."""
    kept = read_table(ROOT / "calibration" / "penn_action_small.json")
    kept.check_model(read_checkpoint(bundled_checkpoint()))
    assert kept.clips["count"] == 128
    assert set(kept.made) == {"date", "command"}
    assert "/" not in kept.made["command"].replace("calibration/make.py", "")
