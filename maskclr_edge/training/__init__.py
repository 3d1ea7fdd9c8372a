"""Training in PyTorch: the two pathways of MaskCLR, from annotations to checkpoints."""

from maskclr_edge.training.config import TrainConfig, parse_override, read_yaml
from maskclr_edge.training.loop import Event, TrainResult, train

__all__ = ["Event", "TrainConfig", "TrainResult", "parse_override", "read_yaml", "train"]
