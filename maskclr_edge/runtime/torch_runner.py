"""Checkpoints on PyTorch's CPU kernels: needs no export, and is what the other runners are held to."""

from typing import Any, ClassVar

import numpy as np

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.errors import ConfigError, EngineError
from maskclr_edge.optional import require
from maskclr_edge.runtime.io_check import first_line
from maskclr_edge.runtime.runner import Floats, Runner


class TorchRunner(Runner):
    """The network itself, in float32 and eval mode. ``threads`` sets PyTorch's number, process-wide."""

    name: ClassVar[str] = "torch"

    def __init__(self, checkpoint: Checkpoint, precision: str, threads: int | None) -> None:
        super().__init__(checkpoint.config, checkpoint.contract, precision)
        if precision != "fp32":
            raise ConfigError(f"runner torch runs a checkpoint in fp32, {precision} was asked for")
        self._torch = require("torch")
        from maskclr_edge.model import build_model

        if threads is not None:
            self._torch.set_num_threads(threads)
        self._model = build_model(checkpoint)
        self.details = {"torch": self._torch.__version__, "threads": self._torch.get_num_threads()}

    @classmethod
    def open(cls, source: Checkpoint, precision: str, threads: int | None) -> "TorchRunner":
        """Build the network of a checkpoint. Raises ConfigError for a precision other than fp32."""
        return cls(source, precision, threads)

    def _encode(self, persons: Floats) -> Floats:
        return self._run(self._model.encode, persons)

    def _head(self, features: Floats) -> Floats:
        return self._run(lambda tensor: self._model.head(tensor.mean(dim=1)), features)

    def _close(self) -> None:
        del self._model

    def _run(self, function: Any, array: Floats) -> Floats:
        # torch warns about arrays that may not be written to, though nothing here writes
        source = array if array.flags.writeable else array.copy()
        try:
            with self._torch.inference_mode():
                result: Floats = np.asarray(function(self._torch.from_numpy(source)))
        except RuntimeError as error:
            raise EngineError(f"torch failed on an input of {array.shape}: {first_line(error)}") from error
        return result
