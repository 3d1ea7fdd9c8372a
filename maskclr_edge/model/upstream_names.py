"""Upstream's state dictionaries: where they lie in a file, their prefixes, and what sizes they imply."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from maskclr_edge.checkpoint import ModelConfig
from maskclr_edge.errors import CheckpointError, ConfigError

Shapes = Mapping[str, tuple[int, ...]]

DEFAULT_HEADS = 8
_CONTAINERS = ("model", "model_pos", "state_dict")
_PREFIX = re.compile(r"^(?:(?:module|model|_orig_mod)\.)+")
#: stored by upstream and never used in recognising actions
_UNUSED = re.compile(
    r"backbone\.blocks_(?:st|ts)\.\d+\.ts_attn\.(?:weight|bias)"
    r"|backbone\.(?:head|proj_head)\.(?:weight|bias)"
    r"|head\.bn\.num_batches_tracked"
)
_BLOCK = re.compile(r"backbone\.blocks_st\.(\d{1,4})\.")


def plain_names(content: Any, source: str) -> dict[str, Tensor]:
    """The tensors of a loaded file under our names: containers opened, prefixes and unused tensors dropped.

    A backbone stored on its own gets the prefix ``backbone.``. Raises CheckpointError where there is no state
    dictionary, where something in it is no tensor, or where two keys come to the same name.
    """
    for _ in range(3):
        inner = [content[key] for key in _CONTAINERS if isinstance(content, Mapping) and key in content]
        inner = [value for value in inner if isinstance(value, Mapping)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(
            f"{source}: holds no state dictionary; expected tensors by name, or under 'model'"
        )
    tensors: dict[str, Tensor] = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{source}: {key!r} is a {type(value).__name__}; expected a tensor by name")
        name = _PREFIX.sub("", key)
        if name in tensors:
            raise CheckpointError(f"{source}: holds {name} twice, under different prefixes")
        tensors[name] = value
    if "joints_embed.weight" in tensors:
        tensors = {f"backbone.{name}": value for name, value in tensors.items()}
    return {name: value for name, value in tensors.items() if not _UNUSED.fullmatch(name)}


def infer_config(shapes: Shapes, given: ModelConfig | None, source: str) -> ModelConfig:
    """The config that the shapes of an action checkpoint imply.

    given: supplies what no shape shows, num_heads (else 8) and qk_scale; the rest must agree.
    Raises CheckpointError naming the missing tensor or the key that disagrees.
    """

    def size(name: str, axis: int, dimensions: int) -> int:
        if name not in shapes:
            first = next(iter(shapes), "nothing")
            raise CheckpointError(
                f"{source}: not a DSTformer action checkpoint: it has no {name} (but {first[:80]})"
            )
        if len(shapes[name]) != dimensions:
            raise CheckpointError(f"{source}: {name} has shape {shapes[name]}; expected {dimensions} axes")
        return shapes[name][axis]

    width = size("backbone.joints_embed.weight", 0, 2)
    if size("backbone.joints_embed.weight", 1, 2) != 3:
        raise CheckpointError(
            f"{source}: its joints have {shapes['backbone.joints_embed.weight'][1]} values, not 3"
        )
    layers = [int(match[1]) for name in shapes if (match := _BLOCK.match(name))]
    head = "class" if "head.fc2.weight" in shapes else "embed"
    try:
        config = ModelConfig(
            num_classes=size("head.fc2.weight", 0, 2) if head == "class" else 0,
            dim_feat=width,
            dim_rep=size("backbone.pre_logits.fc.weight", 0, 2),
            depth=max(layers, default=0) + 1,
            num_heads=given.num_heads if given else DEFAULT_HEADS,
            mlp_ratio=_ratio(size("backbone.blocks_st.0.mlp_s.fc1.weight", 0, 2), width),
            maxlen=size("backbone.temp_embed", 1, 4),
            num_joints=size("backbone.pos_embed", 1, 3),
            hidden_dim=size("head.fc1.weight", 0, 2),
            head=head,
            att_fuse="backbone.ts_attn.0.weight" in shapes,
            qkv_bias="backbone.blocks_st.0.attn_s.qkv.bias" in shapes,
            qk_scale=given.qk_scale if given else None,
            mask_token="backbone.mask_token" in shapes,
        )
    except ConfigError as error:
        raise CheckpointError(f"{source}: {error}") from error
    if given:
        _check_agreement(config, given, source)
    return config


def _check_agreement(found: ModelConfig, given: ModelConfig, source: str) -> None:
    """Compare the keys that shapes show, but for hidden_dim of a class head: upstream ignores its own."""
    same = replace(given, mask_token=found.mask_token)
    if found.head == given.head == "class":
        same = replace(same, hidden_dim=found.hidden_dim)
    if found.head == given.head == "embed":
        same = replace(same, num_classes=found.num_classes)
    if found.mlp_hidden == given.mlp_hidden:
        same = replace(same, mlp_ratio=found.mlp_ratio)
    for key, value in found.to_dict().items():
        if value != getattr(same, key):
            raise CheckpointError(f"{source}: its {key} is {value}, the config says {getattr(given, key)}")


def _ratio(hidden: int, width: int) -> float:
    """The mlp_ratio for which ``int(width * ratio)`` is ``hidden``."""
    ratio = hidden / max(width, 1)
    return ratio if int(width * ratio) == hidden else (hidden + 0.5) / width
