"""A small network and its export, which the tests of exports share."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy import export_bundle
from maskclr_edge.deploy.parity import probe_clips
from maskclr_edge.runtime import Bundle

Maker = Callable[..., Checkpoint]
CALIBRATION = probe_clips(6, 2, 20, seed=8)


def one_block(random_checkpoint: Maker) -> Checkpoint:
    """One block deep, trained for 30 frames and able to take 243."""
    made = random_checkpoint(maxlen=243, depth=1)
    return replace(made, contract=replace(made.contract, frames=30))


def export(checkpoint: Checkpoint, out: Path, **options: Any) -> Bundle:
    """FP32 and INT8, where the options do not say otherwise."""
    return export_bundle(
        checkpoint, out, **({"precisions": ("fp32", "int8"), "calibration": CALIBRATION} | options)
    )


def leftovers(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())
