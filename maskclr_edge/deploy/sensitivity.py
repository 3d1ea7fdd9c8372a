"""Which layers quantisation hurts: groups of them quantised alone, ranked by what that does to the logits.

All measurements are on clips held out from calibration. A group is one attention or one MLP of a block, or
the layer before tanh: layers that a backend runs together are kept or quantised together.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.onnx_pair import Network, open_network
from maskclr_edge.deploy.precision import Precision
from maskclr_edge.deploy.quantise import quantisable

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]
#: a float32 encoder's copy with Q/DQ pairs everywhere but in the modules named
Quantiser = Callable[[Sequence[str]], onnx.ModelProto]

PERSONS_AT_ONCE = 8
#: clips that each group is ranked on
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


class HeldOut:
    """Clips (N, M, T, 17, 3) and labels (N,) held out from calibration, and a float network's logits.

    The head, which is never quantised, runs as it does for ``precision`` whatever runs the encoder.
    """

    def __init__(
        self,
        clips: Floats,
        labels: npt.NDArray[np.int64],
        *,
        precision: Precision,
        encoder: bytes,
        head: bytes,
        progress: Progress | None = None,
    ) -> None:
        self.labels, self._progress = labels, progress
        self._present: npt.NDArray[np.bool_] = np.asarray(clips.any(axis=(2, 3, 4)))  # (N, M)
        # somebody absent is zeros whoever it is, and runs once: last of the persons
        self._persons = np.concatenate([clips[self._present], np.zeros_like(clips[:1, 0])])
        self._head = open_network(precision, head)
        self.logits = self.run(open_network(precision, encoder), "held-out clips, float")

    def first(self, count: int) -> "HeldOut":
        """The first ``count`` clips, with their logits."""
        part = copy(self)
        part._progress = None
        part.labels, part.logits = self.labels[:count], self.logits[:count]
        part._present = self._present[:count]
        part._persons = np.concatenate([self._persons[: part._present.sum()], self._persons[-1:]])
        return part

    def run(self, encoder: Network, what: str = "held-out clips") -> Floats:
        """Logits (N, K) of an encoder; ``what`` is for the progress."""
        parts, total = [], len(self._persons)
        for at in range(0, total, PERSONS_AT_ONCE):
            parts.append(encoder(self._persons[at : at + PERSONS_AT_ONCE]))
            if self._progress is not None:
                self._progress(min(at + PERSONS_AT_ONCE, total), total, what)
        found = np.concatenate(parts)
        features = np.broadcast_to(found[-1], (*self._present.shape, found.shape[1])).copy()
        features[self._present] = found[:-1]
        return self._head(features)

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
    precision: Precision,
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
        alone = to_bytes(quantised([other for other in sizes if other != group]))
        logits = held_out.run(open_network(precision, alone))
        kl = (np.exp(wanted) * (wanted - _log_softmax(logits))).sum(axis=1).mean()
        lengths = np.linalg.norm(logits, axis=1) * np.linalg.norm(held_out.logits, axis=1)
        cosine = ((logits * held_out.logits).sum(axis=1) / np.maximum(lengths, 1e-12)).mean()
        agreement = held_out.agreement(logits)
        found.append(Sensitivity(group, float(kl), float(cosine), agreement, sizes[group] / total))
        if progress is not None:
            progress(done + 1, len(sizes), "sensitivity")
    return sorted(found, key=lambda one: (-one.kl, one.module))


def _log_softmax(logits: Floats) -> npt.NDArray[np.float64]:
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
