"""Checkpoints and the shape of the network. NumPy and safetensors only: no torch."""

from maskclr_edge.checkpoint.config import HEADS, ModelConfig
from maskclr_edge.checkpoint.file import Checkpoint, read_checkpoint, write_checkpoint
from maskclr_edge.checkpoint.weights import parameter_count, weight_shapes

__all__ = [
    "HEADS",
    "Checkpoint",
    "ModelConfig",
    "parameter_count",
    "read_checkpoint",
    "weight_shapes",
    "write_checkpoint",
]
