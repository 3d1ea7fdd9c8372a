"""Which layers quantisation hurts, and which to leave alone so that accuracy stays within a budget.

All measurements are on clips held out from calibration. A group is one attention or one MLP of a block, or
the layer before tanh: layers that a backend runs together are kept or quantised together.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.onnx_pair import open_pair
from maskclr_edge.deploy.precision import Precision
from maskclr_edge.deploy.quantise import quantisable
from maskclr_edge.errors import ConfigError, ExportError
from maskclr_edge.evaluation.metrics import top_k_accuracy

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]
#: a float32 encoder's copy with Q/DQ pairs everywhere but in the modules named
Quantiser = Callable[[Sequence[str]], onnx.ModelProto]

PERSONS_AT_ONCE = 8
#: clips that each group is ranked on; the budget itself is measured on all
RANKED = 64


@dataclass(frozen=True)
class Sensitivity:
    """What quantising one group alone does to the logits of the clips.

    kl: mean Kullback-Leibler divergence from the float network's class probabilities, in nats. cosine: mean
    cosine of the logits with the float network's. agreement: percent of clips with the same answer. weights:
    the group's share of all weights that can be quantised.
    """

    module: str
    kl: float
    cosine: float
    agreement: float
    weights: float


@dataclass(frozen=True)
class Budgeted:
    """The modules to leave in floating point, and what that gives on ``clips`` held-out clips, in percent."""

    skip: tuple[str, ...]
    max_drop: float
    float_top1: float
    top1: float
    agreement: float
    clips: int
    tried: tuple[tuple[int, float], ...]
    ranking: tuple[Sensitivity, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form for the manifest."""
        return asdict(self) | {"tried": [{"kept": kept, "top1": top1} for kept, top1 in self.tried]}


class HeldOut:
    """Clips (N, M, T, 17, 3) and labels (N,) held out from calibration, and a float network's logits."""

    def __init__(
        self,
        clips: Floats,
        labels: npt.NDArray[np.int64],
        *,
        precision: Precision,
        encoder: bytes,
        head: bytes,
    ) -> None:
        self.labels = labels
        self._present: npt.NDArray[np.bool_] = np.asarray(clips.any(axis=(2, 3, 4)))  # (N, M)
        # somebody absent is zeros whoever it is, and runs once: last of the persons
        self._persons = np.concatenate([clips[self._present], np.zeros_like(clips[:1, 0])])
        self._precision, self._head = precision, head
        self.logits = self.run(encoder)

    def first(self, count: int) -> "HeldOut":
        """The first ``count`` clips, with their logits."""
        part = copy(self)
        part.labels, part.logits = self.labels[:count], self.logits[:count]
        part._present = self._present[:count]
        part._persons = np.concatenate([self._persons[: part._present.sum()], self._persons[-1:]])
        return part

    def run(self, encoder: bytes) -> Floats:
        """Logits (N, K) of an encoder of the precision."""
        pair = open_pair(self._precision, encoder, self._head)
        starts = range(0, len(self._persons), PERSONS_AT_ONCE)
        found = np.concatenate([pair.encoder(self._persons[at : at + PERSONS_AT_ONCE]) for at in starts])
        features = np.broadcast_to(found[-1], (*self._present.shape, found.shape[1])).copy()
        features[self._present] = found[:-1]
        return pair.head(features)

    def agreement(self, logits: Floats) -> float:
        """Percent of clips with the float network's answer."""
        return 100 * float(np.mean(logits.argmax(axis=1) == self.logits.argmax(axis=1)))


def groups(model: onnx.ModelProto, skip: Sequence[str] = ()) -> dict[str, int]:
    """Group -> number of its weights, of an encoder's layers that can be quantised, in the graph's order."""
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    weights = {node.name: node.input[1] for node in model.graph.node if node.op_type == "MatMul"}
    found: dict[str, int] = {}
    for name in quantisable(model, skip):
        path = name.rpartition("/")[0]
        group = path.rpartition(".")[0] if ".blocks_" in path else path
        found[group] = found.get(group, 0) + sizes[weights[name]]
    return found


def rank(
    model: onnx.ModelProto,
    quantised: Quantiser,
    held_out: HeldOut,
    *,
    skip: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[Sensitivity]:
    """The groups of a float32 encoder by what quantising each one alone does, the worst first.

    skip: modules that are not quantised in any case. The first RANKED clips are run.
    """
    held_out = held_out.first(RANKED)
    sizes = groups(model, skip)
    total = sum(sizes.values())
    wanted = _log_softmax(held_out.logits)
    found = []
    for done, group in enumerate(sizes):
        logits = held_out.run(to_bytes(quantised([other for other in sizes if other != group])))
        kl = (np.exp(wanted) * (wanted - _log_softmax(logits))).sum(axis=1).mean()
        lengths = np.linalg.norm(logits, axis=1) * np.linalg.norm(held_out.logits, axis=1)
        cosine = ((logits * held_out.logits).sum(axis=1) / np.maximum(lengths, 1e-12)).mean()
        agreement = held_out.agreement(logits)
        found.append(Sensitivity(group, float(kl), float(cosine), agreement, sizes[group] / total))
        if progress is not None:
            progress(done + 1, len(sizes), "sensitivity")
    return sorted(found, key=lambda one: (-one.kl, one.module))


def within_budget(
    quantised: Quantiser,
    held_out: HeldOut,
    ranked: Callable[[], Sequence[Sensitivity]],
    max_drop: float,
    progress: Progress | None = None,
) -> Budgeted:
    """The fewest groups to keep in floating point, the worst first, so that top-1 drops ``max_drop`` at most.

    ranked: gives the groups, the worst first; asked only where something has to be kept, for it takes long.
    Raises ConfigError for a budget that is no share of percent, ExportError where even half of the weights
    in floating point do not meet it: such a file would be quantised in name only.
    """
    if not 0 <= max_drop <= 100:
        raise ConfigError(f"max-drop is {max_drop:g}; expected points of top-1 accuracy from 0 to 100")
    float_top1 = top_k_accuracy(held_out.logits, held_out.labels)
    ranking: Sequence[Sensitivity] = ()
    most = 0
    measured: dict[int, Floats] = {}

    def drop(kept: int) -> float:
        if kept not in measured:
            measured[kept] = held_out.run(to_bytes(quantised([one.module for one in ranking[:kept]])))
            if progress is not None:
                progress(len(measured), most + 1, "accuracy budget")
        return float_top1 - top_k_accuracy(measured[kept], held_out.labels)

    low, high = 0, 0
    if drop(0) > max_drop:
        ranking = ranked()
        most = int(np.searchsorted(np.cumsum([one.weights for one in ranking]), 0.5))
    while drop(high) > max_drop:  # one, two, four and so on, then the fewest in between
        if high == most:
            raise ExportError(
                f"a drop of {max_drop:g} points cannot be kept: with {most} of {len(ranking)} groups in "
                f"floating point top-1 is still {drop(most):.2f} points below {float_top1:.2f} %; allow "
                "more, calibrate on more clips or with --method mse, or export fp16"
            )
        low, high = high + 1, min(max(1, 2 * high), most)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if drop(middle) <= max_drop else (middle + 1, high)
    logits = measured[high]
    return Budgeted(
        skip=tuple(one.module for one in ranking[:high]),
        max_drop=max_drop,
        float_top1=float_top1,
        top1=top_k_accuracy(logits, held_out.labels),
        agreement=held_out.agreement(logits),
        clips=len(held_out.labels),
        tried=tuple((kept, top_k_accuracy(measured[kept], held_out.labels)) for kept in sorted(measured)),
        ranking=tuple(ranking),
    )


def _log_softmax(logits: Floats) -> npt.NDArray[np.float64]:
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
