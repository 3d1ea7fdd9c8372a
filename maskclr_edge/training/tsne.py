"""Features of both pathways as points in a plane: t-SNE (van der Maaten and Hinton 2008), by scikit-learn.

The features are those before the logits, which the contrastive losses compare and the classes are read from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.errors import DataError
from maskclr_edge.evaluation.figures import new_figure, save_figure
from maskclr_edge.model import ActionNet
from maskclr_edge.optional import require
from maskclr_edge.training.config import TrainConfig
from maskclr_edge.training.pathways import pack, pathway_mask

Floats = npt.NDArray[np.float32]

_MASK_KEYS = ("msk_type", "mask_th", "mask_ratio", "mask_tau")
_PERPLEXITY = 30.0
#: fewer points have no neighbourhood to keep
FEWEST = 5


@dataclass(frozen=True, eq=False)
class PathwayFeatures:
    """Features (N, D) of the same clips on the standard and on the masked pathway."""

    standard: Floats
    masked: Floats


def mask_config(checkpoint: Checkpoint, msk_type: str | None = None) -> TrainConfig:
    """How a checkpoint's masked pathway masks: as it was trained, else as the method says.

    ``msk_type`` "tm" or "agpm" decides instead. Of a model that was trained without masks the masked pathway
    is targeted masking, or probabilistic masking where the network has a mask token.
    """
    trained = checkpoint.info.get("config")
    keys = {key: trained[key] for key in _MASK_KEYS if key in trained} if isinstance(trained, dict) else {}
    if msk_type is not None:
        keys["msk_type"] = msk_type
    elif keys.get("msk_type", "none") == "none":
        keys["msk_type"] = "agpm" if checkpoint.config.mask_token else "tm"
    contract = checkpoint.contract
    return TrainConfig(
        model=checkpoint.config,
        clip_len=contract.frames,
        persons=contract.persons,
        absent=contract.absent,
        **keys,
    )


def pathway_features(
    model: ActionNet,
    clips: Floats,
    config: TrainConfig,
    *,
    seed: int = 0,
    batch: int = 32,
    progress: Callable[[int, int, str], None] | None = None,
) -> PathwayFeatures:
    """Features of clips (N, M, T, 17, 3) on both pathways of a network in eval mode.

    The masks are drawn from ``seed`` alone. ``progress`` is called with (done, total, what).
    """
    rng = np.random.default_rng(seed)
    standard: list[Floats] = []
    masked: list[Floats] = []
    for start in range(0, len(clips), batch):
        part = np.ascontiguousarray(clips[start : start + batch], dtype=np.float32)
        packed = pack(part, np.zeros(len(part), np.int64), config, rng, slice(None))
        with torch.inference_mode():
            representation, importance = model.backbone(packed.persons, importance=True)
            hidden = model.backbone(packed.persons, pathway_mask(importance, packed, config))
            for found, source in ((standard, representation), (masked, hidden)):
                pooled = model.pool(source, 1)[packed.slots].mean(dim=1)  # (N, F)
                found.append(model.head.hidden(pooled).numpy())
        if progress is not None:
            progress(min(start + batch, len(clips)), len(clips), "features")
    return PathwayFeatures(np.concatenate(standard), np.concatenate(masked))


def project(views: Sequence[Floats], *, seed: int = 0) -> list[Floats]:
    """Points (N, 2) of each view's features (N, D), in one plane: equal features lie at equal places.

    Raises DataError for fewer than FEWEST clips, MissingDependencyError without scikit-learn.
    """
    manifold = require("sklearn.manifold")
    features = np.concatenate(views)
    if min(map(len, views)) < FEWEST:
        raise DataError(f"t-SNE was asked for {min(map(len, views))} clips, it needs at least {FEWEST}")
    # constant features (dead units) carry nothing; the others count by how much they vary
    features = features[:, features.std(axis=0) > 0]
    if features.shape[1] < 2:
        raise DataError("all clips have the same features, there is nothing to draw; check the model")
    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    tsne = manifold.TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
    points = np.asarray(tsne.fit_transform(features), dtype=np.float32)
    return np.split(points, np.cumsum([len(view) for view in views])[:-1])


def neighbour_agreement(features: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Percent of clips whose nearest other clip by cosine is of their own class: how apart classes are."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return 100.0 * float(np.mean(labels[similarity.argmax(axis=1)] == labels))


def draw_points(
    path: str | Path,
    views: Mapping[tuple[str, str], Floats],
    labels: npt.NDArray[np.int64],
    class_names: Sequence[str],
    *,
    title: str = "",
) -> None:
    """Write a PNG of points (N, 2) by (row, column) name, coloured by class labels (N,).

    Raises MissingDependencyError without matplotlib, ConfigError when the file cannot be written.
    """
    rows = list(dict.fromkeys(row for row, _ in views))
    columns = list(dict.fromkeys(column for _, column in views))
    figure = new_figure(4.2 * len(columns) + 2.2, 4.2 * len(rows) + 0.4)
    panels = figure.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
    shown = np.unique(labels)
    colours = require("matplotlib").colormaps["tab20" if len(shown) <= 20 else "gist_rainbow"]
    handles: list[Any] = []
    for (row, column), points in views.items():
        panel = panels[rows.index(row)][columns.index(column)]
        panel.set(title=f"{column}, {row}", xticks=[], yticks=[])
        handles = []
        for number, label in enumerate(shown):
            mine = points[labels == label]
            shade = colours(number if len(shown) <= 20 else number / len(shown))
            handles.append(panel.scatter(mine[:, 0], mine[:, 1], s=9, color=shade, linewidths=0))
    names = [class_names[label] for label in shown]
    figure.legend(handles, names, loc="outside right center", fontsize=8, ncols=1 + len(names) // 31)
    if title:
        figure.suptitle(title, fontsize=11)
    save_figure(path, figure)
