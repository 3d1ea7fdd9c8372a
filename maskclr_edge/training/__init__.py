"""Training in PyTorch: the two pathways of MaskCLR, from annotations to checkpoints."""

from maskclr_edge.training.config import TrainConfig, parse_override, read_yaml
from maskclr_edge.training.loop import Event, TrainResult, train
from maskclr_edge.training.shipped import find_config, open_dataset, shipped_configs
from maskclr_edge.training.state import STATE_FILE
from maskclr_edge.training.tensorboard import TensorBoardLog

__all__ = [
    "STATE_FILE",
    "Event",
    "TensorBoardLog",
    "TrainConfig",
    "TrainResult",
    "find_config",
    "open_dataset",
    "parse_override",
    "read_yaml",
    "shipped_configs",
    "train",
]
