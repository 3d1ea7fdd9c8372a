"""The network in PyTorch: DSTformer, its heads, and upstream's checkpoints."""

from maskclr_edge.model.action import ActionNet, ClassHead, EmbedHead, build_model, load_weights, to_weights
from maskclr_edge.model.backbone import DSTformer
from maskclr_edge.model.blocks import Regularisation
from maskclr_edge.model.upstream import load_backbone, read_upstream, upstream_contract

__all__ = [
    "ActionNet",
    "ClassHead",
    "DSTformer",
    "EmbedHead",
    "Regularisation",
    "build_model",
    "load_backbone",
    "load_weights",
    "read_upstream",
    "to_weights",
    "upstream_contract",
]
