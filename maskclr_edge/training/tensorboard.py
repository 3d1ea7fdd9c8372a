"""A run's figures as TensorBoard scalars, beside the log that every run keeps."""

from pathlib import Path
from typing import Any

from maskclr_edge.optional import require
from maskclr_edge.training.loop import Event

FOLDER = "tensorboard"


class TensorBoardLog:
    """An observer of ``train`` that writes OUT/tensorboard: "step/loss" and so on, and "epoch/...".

    The horizontal axis counts optimiser steps in both. A resumed run takes back the points of the epoch that
    was cut short. Raises MissingDependencyError without tensorboard.
    """

    def __init__(self, out: str | Path) -> None:
        require("tensorboard")
        self._folder = Path(out) / FOLDER
        self._writer: Any = None

    def __call__(self, event: Event) -> None:
        """Write the figures of a step or an epoch."""
        step = (event.epoch - 1) * event.steps_per_epoch + event.step
        if self._writer is None:
            self._writer = require("torch.utils.tensorboard").SummaryWriter(self._folder, purge_step=step)
        for name, value in event.figures.items():
            self._writer.add_scalar(f"{event.kind}/{name}", value, step)
        if event.kind == "epoch":
            self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
