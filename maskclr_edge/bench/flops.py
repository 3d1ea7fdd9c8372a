"""Floating point operations of the network: what a share of the machine's peak is a share of."""

from maskclr_edge.checkpoint import ModelConfig


def network_flops(config: ModelConfig, *, frames: int, persons: int = 1) -> int:
    """Operations of one clip's matrix products, a multiply-add as two, for persons that are present.

    Linear layers and attention products of both streams, embedding, representation and head; norms, softmax
    and activations are not counted, as is usual.
    """
    width, tokens = config.dim_feat, frames * config.num_joints
    linear = 4 * width * width + 2 * width * config.mlp_hidden  # qkv, proj, and the MLP
    spatial = 2 * tokens * config.num_joints * width
    temporal = 2 * tokens * frames * width
    blocks = 2 * config.depth * (2 * tokens * linear + spatial + temporal)  # two streams
    fusion = config.depth * tokens * 4 * width if config.att_fuse else 0
    ends = tokens * (3 * width + width * config.dim_rep)
    head = config.feature_size * config.hidden_dim
    if config.head == "class":
        head += config.hidden_dim * config.num_classes
    return 2 * (persons * (blocks + fusion + ends) + head)
