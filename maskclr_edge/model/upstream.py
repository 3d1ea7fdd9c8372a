"""Upstream's checkpoints (MotionBERT, MaskCLR v1, v2) become ours; pretrained backbones start a training."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maskclr_edge.checkpoint import Checkpoint, ModelConfig, read_checkpoint
from maskclr_edge.checkpoint.weights import FloatArray, check_shapes, check_values
from maskclr_edge.data.ntu_classes import NTU60_CLASSES, NTU120_CLASSES, NTU_TWO_PERSON
from maskclr_edge.errors import CheckpointError
from maskclr_edge.model.action import ActionNet
from maskclr_edge.model.torch_file import is_torch_file, load_torch_file
from maskclr_edge.model.upstream_names import infer_config, plain_names
from maskclr_edge.skeleton import MAX_FRAMES, SkeletonContract


def read_upstream(
    path: str | os.PathLike[str],
    *,
    config: ModelConfig | None = None,
    contract: SkeletonContract | None = None,
) -> Checkpoint:
    """Read an upstream action checkpoint (``.bin``, ``.pth``) as one of ours.

    Any container (``model``, ``model_pos``, ``state_dict``, none) and prefix (``module.``, ``model.``) is
    taken. Tensors that upstream stores but never uses are dropped, other unknown ones refused by name.
    config: supplies the number of heads (else 8) and qk_scale, which shapes do not show; the rest must agree.
    contract: that of upstream's weights by default, see ``upstream_contract``.
    Raises CheckpointError for a damaged or foreign file, one that would run code, a backbone without
    head (see ``load_backbone``), and weights that contradict ``config``.
    """
    content = load_torch_file(Path(path))
    tensors = plain_names(content, str(path))
    if "backbone.joints_embed.weight" in tensors and "head.fc1.weight" not in tensors:
        raise CheckpointError(
            f"{path}: a pretrained backbone without an action head; fine-tune it with: "
            f"maskclr-edge train CONFIG.yaml --pretrained {Path(path).name}"
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    config = infer_config(shapes, config, str(path))
    check_shapes(config, shapes, str(path))
    checkpoint = Checkpoint(
        config, contract or upstream_contract(config), _arrays(tensors, Path(path)), _facts(content)
    )
    checkpoint.check(str(path))
    return checkpoint


def upstream_contract(config: ModelConfig, class_names: Sequence[str] | None = None) -> SkeletonContract:
    """The clip contract of upstream's weights: confidences in COCO order, absent persons moved with the crop.

    class_names: by default the names of NTU RGB+D for 60 and 120 classes, and for the embedding head, which
    upstream trains on NTU RGB+D 120; ``class_000`` and so on otherwise.
    """
    if class_names is None:
        count = config.num_classes if config.head == "class" else len(NTU120_CLASSES)
        known = {60: NTU60_CLASSES, 120: NTU120_CLASSES}
        class_names = known.get(count) or [f"class_{index:03d}" for index in range(count)]
    frames = min(MAX_FRAMES, config.maxlen)
    return SkeletonContract(
        tuple(class_names),
        frames,
        max_frames=frames,
        confidence_order="legacy",
        absent="projected",
        scale_ratio=2.0,
        two_person=tuple(name for name in class_names if name in NTU_TWO_PERSON),
    )


def load_backbone(model: ActionNet, path: str | os.PathLike[str]) -> None:
    """Fill a network's backbone from a pretrained one, for fine-tuning; its head stays as it is.

    path: one of our checkpoints, or an upstream file, with or without a head. Frame embeddings beyond the
    network's ``maxlen`` are cut; a mask token that the file lacks keeps its value, one that the network lacks
    is dropped.
    Raises CheckpointError naming the first tensor that differs.
    """
    tensors: Mapping[str, Any]
    if is_torch_file(Path(path)):
        tensors = plain_names(load_torch_file(Path(path)), str(path))
    else:
        tensors = {name: torch.from_numpy(value) for name, value in read_checkpoint(path).weights.items()}
    given: dict[str, Tensor] = {
        name: value for name, value in tensors.items() if name.startswith("backbone.")
    }
    frames = given.get("backbone.temp_embed")
    if frames is not None and frames.ndim == 4 and frames.shape[1] > model.config.maxlen:
        given["backbone.temp_embed"] = frames[:, : model.config.maxlen]
    if not model.config.mask_token:
        given.pop("backbone.mask_token", None)
    elif "backbone.mask_token" not in given:
        given["backbone.mask_token"] = model.backbone.mask_token.detach()
    shapes = {name: tuple(tensor.shape) for name, tensor in given.items()}
    check_shapes(model.config, shapes, str(path), prefix="backbone.")
    arrays = _arrays(given, Path(path))
    check_values(arrays, str(path))
    state = {name.removeprefix("backbone."): torch.from_numpy(value) for name, value in arrays.items()}
    model.backbone.load_state_dict(state)


def _arrays(tensors: Mapping[str, Tensor], path: Path) -> dict[str, FloatArray]:
    """Float32 copies. Refuses what is not plain numbers, or claims more numbers than the file holds."""
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or not tensor.is_floating_point() or tensor.device.type != "cpu":
            raise CheckpointError(
                f"{path}: {name} is {tensor.dtype}, {tensor.layout}; expected plain numbers"
            )
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > path.stat().st_size + (1 << 20):
        raise CheckpointError(f"{path}: its tensors claim {claimed} bytes, more than the file holds; refused")
    return {name: np.array(tensor.detach().to(torch.float32).numpy()) for name, tensor in tensors.items()}


def _facts(content: Any) -> dict[str, Any]:
    """What the file says about its training, as far as it is plain numbers."""
    facts: dict[str, Any] = {"source": "upstream"}
    for key in ("epoch", "best_acc"):
        value = content.get(key) if isinstance(content, Mapping) else None
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
            facts[key] = value
    return facts
