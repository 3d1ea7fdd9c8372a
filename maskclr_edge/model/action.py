"""Action recognition: the backbone, pooling over frames and persons, and a head.

Source: MotionBERT lib/model/model_action.py.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskclr_edge.checkpoint import Checkpoint, ModelConfig, weight_shapes
from maskclr_edge.checkpoint.weights import FloatArray, check_shapes
from maskclr_edge.model.backbone import DSTformer
from maskclr_edge.model.blocks import Regularisation, dropped


class ClassHead(nn.Module):
    """Pooled features ``(N, F)`` -> logits ``(N, K)``: fc1, batch norm, ReLU, fc2."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(config.hidden_dim, momentum=0.1)
        self.fc1 = nn.Linear(config.feature_size, config.hidden_dim)
        self.fc2 = nn.Linear(config.hidden_dim, config.num_classes)

    def hidden(self, features: Tensor, *, remember: bool = True) -> Tensor:
        """The layer before the logits, ``(N, hidden_dim)``, which the contrastive losses compare.

        remember: whether a batch in training counts for the statistics that evaluation will use.
        """
        scores = self.fc1(features)
        if remember or not self.training:
            return F.relu(self.bn(scores))
        bn = self.bn
        return F.relu(F.batch_norm(scores, None, None, bn.weight, bn.bias, training=True, eps=bn.eps))

    def forward(self, features: Tensor) -> Tensor:
        """``(N, F)`` -> ``(N, K)``."""
        logits: Tensor = self.fc2(self.hidden(features))
        return logits


class EmbedHead(nn.Module):
    """Pooled features ``(N, F)`` -> unit vectors ``(N, hidden_dim)`` of one-shot recognition."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.feature_size, config.hidden_dim)

    def hidden(self, features: Tensor, *, remember: bool = True) -> Tensor:
        """The embedding before it is normalised, ``(N, hidden_dim)``; it has no statistics to remember."""
        embedding: Tensor = self.fc1(features)
        return embedding

    def forward(self, features: Tensor) -> Tensor:
        """``(N, F)`` -> ``(N, hidden_dim)`` of length 1."""
        return F.normalize(self.hidden(features), dim=-1)


class ActionNet(nn.Module):
    """The whole network: ``(N, M, T, 17, 3)`` -> logits ``(N, K)`` or unit vectors ``(N, hidden_dim)``.

    A clip's feature is the mean over its M person slots, absent ones included, as upstream.
    """

    def __init__(self, config: ModelConfig, regularisation: Regularisation | None = None) -> None:
        super().__init__()
        regularisation = regularisation or Regularisation()
        self.config, self.dropout = config, regularisation.dropout
        self.backbone = DSTformer(config, regularisation)
        self.head: ClassHead | EmbedHead = ClassHead(config) if config.head == "class" else EmbedHead(config)

    def forward(self, clips: Tensor) -> Tensor:
        """``(N, M, T, 17, 3)`` -> ``(N, K)`` or ``(N, hidden_dim)``."""
        result: Tensor = self.head(self.features(clips))
        return result

    def features(self, clips: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pooled features ``(N, F)``, F = 17 dim_rep: mean over frames and over person slots.

        mask: bool ``(N, M, T, 17)``, joints to replace (see ``DSTformer.forward``).
        """
        representation = self.backbone(clips.flatten(0, 1), None if mask is None else mask.flatten(0, 1))
        return self.pool(representation, clips.shape[1])

    def features_and_importance(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features ``(N, F)`` and joint importance ``(N, M, T, 17)`` in one pass."""
        representation, importance = self.backbone(clips.flatten(0, 1), importance=True)
        return self.pool(representation, clips.shape[1]), importance.view(clips.shape[:4])

    def encode(self, persons: Tensor) -> Tensor:
        """One feature a person, ``(P, T, 17, 3)`` -> ``(P, F)``: the mean over frames."""
        return self.pool(self.backbone(persons), 1)

    def pool(self, representation: Tensor, persons: int) -> Tensor:
        """``(N persons, T, 17, dim_rep)`` -> ``(N, F)``: dropout, mean over frames, mean over persons."""
        kept = dropped(representation, self.dropout, self.training)
        pooled = kept.mean(dim=1, dtype=torch.float32).flatten(1)  # (N persons, F)
        return pooled if persons == 1 else pooled.view(-1, persons, pooled.shape[1]).mean(dim=1)


def build_model(checkpoint: Checkpoint) -> ActionNet:
    """The network of a checkpoint, in eval mode, in float32 on the CPU. It owns copies of the weights."""
    with torch.device("meta"):  # no initialisation that is overwritten at once
        model = ActionNet(checkpoint.config)
    load_weights(model, checkpoint.weights, assign=True)
    return model.eval()


def load_weights(model: ActionNet, weights: Mapping[str, FloatArray], *, assign: bool = False) -> None:
    """Copy a checkpoint's weights into a network of the same shape.

    assign: replace the parameters instead of filling them, for a network built on the meta device.
    Raises CheckpointError naming the first tensor that differs.
    """
    check_shapes(
        model.config, {name: value.shape for name, value in weights.items()}, "cannot load the weights"
    )
    state = {name: torch.tensor(value) for name, value in weights.items()}
    if model.config.head == "class":
        state["head.bn.num_batches_tracked"] = torch.tensor(0)
    model.load_state_dict(state, assign=assign)


def to_weights(model: ActionNet) -> dict[str, FloatArray]:
    """A copy of the network's weights as float32 arrays, in the form of a checkpoint."""
    state = model.state_dict()
    return {name: state[name].detach().float().cpu().numpy().copy() for name in weight_shapes(model.config)}
