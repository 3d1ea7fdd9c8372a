"""Checkpoints on PyTorch: needs no export, and on the CPU is what the other runners are held to."""

from typing import Any, ClassVar

import numpy as np

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.errors import ConfigError, EngineError
from maskclr_edge.optional import require
from maskclr_edge.runtime.io_check import first_line
from maskclr_edge.runtime.runner import Floats, Runner
from maskclr_edge.runtime.torch_graphs import GraphedCall

_ON_CPU = "an empty CUDA_VISIBLE_DEVICES keeps it on the CPU"


class TorchRunner(Runner):
    """The network itself, in float32 and eval mode, on the GPU where PyTorch has one, with CUDA graphs.

    ``threads`` sets PyTorch's number, process-wide. ``details`` has the device, and for a GPU whether graphs
    are replayed, or why not.
    """

    name: ClassVar[str] = "torch"

    def __init__(self, checkpoint: Checkpoint, precision: str, threads: int | None) -> None:
        super().__init__(checkpoint.config, checkpoint.contract, precision)
        if precision != "fp32":
            raise ConfigError(f"runner torch runs a checkpoint in fp32, {precision} was asked for")
        self._torch = require("torch")
        from maskclr_edge.model import build_model

        if threads is not None:
            self._torch.set_num_threads(threads)
        device = "cuda" if self._torch.cuda.is_available() else "cpu"
        self._model = build_model(checkpoint)
        self._encoder: Any = self._model.encode
        self._header: Any = self._head_of_slots
        self.details = {
            "torch": self._torch.__version__,
            "threads": self._torch.get_num_threads(),
            "device": device,
        }
        if device == "cuda":
            self._to_gpu()

    @classmethod
    def open(cls, source: Checkpoint, precision: str, threads: int | None) -> "TorchRunner":
        """Build the network of a checkpoint. Raises ConfigError for a precision other than fp32."""
        return cls(source, precision, threads)

    def _encode(self, persons: Floats) -> Floats:
        return self._run(self._encoder, persons)

    def _head(self, features: Floats) -> Floats:
        return self._run(self._header, features)

    def _prepare(self, persons: int, frames: int) -> None:
        if isinstance(self._encoder, GraphedCall):
            for _ in range(2):  # the second call of a shape records it
                self._encode(np.zeros((persons, frames, self.config.num_joints, 3), np.float32))

    def _close(self) -> None:
        del self._encoder, self._header, self._model

    def _head_of_slots(self, features: Any) -> Any:
        """(N, S, F) -> (N, K): the head on the mean over person slots."""
        return self._model.head(features.mean(dim=1))

    def _to_gpu(self) -> None:
        try:
            self._model.to("cuda")
        except RuntimeError as error:
            raise EngineError(f"torch cannot use its GPU: {first_line(error)}; {_ON_CPU}") from error
        self._encoder, self._header = GraphedCall(self._encoder), GraphedCall(self._header)
        self.details["cuda_graphs"] = True

    def _run(self, function: Any, array: Floats) -> Floats:
        # torch warns about arrays that may not be written to, though nothing here writes
        source = array if array.flags.writeable else array.copy()
        try:
            with self._torch.inference_mode():
                result: Floats = np.asarray(function(self._torch.from_numpy(source)))
        except RuntimeError as error:
            raise EngineError(f"torch failed on an input of {array.shape}: {first_line(error)}") from error
        if isinstance(function, GraphedCall) and function.reason:
            self.details["cuda_graphs"] = function.reason
        return result
