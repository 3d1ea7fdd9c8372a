"""Which joints an exported encoder looks at, and how far a precision shifts that.

The importance is the one that masks joints in training: the attention that a joint receives in the last
spatial attention of the ST stream. Its softmax has the same name in the ONNX file of every precision.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx

from maskclr_edge.checkpoint.config import ModelConfig
from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.onnx_pair import open_network
from maskclr_edge.deploy.precision import Precision
from maskclr_edge.errors import ExportError

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]

PERSONS_AT_ONCE = 16


def joint_importance(
    encoder: bytes,
    persons: Floats,
    *,
    config: ModelConfig,
    precision: Precision,
    progress: Progress | None = None,
) -> Floats:
    """Importance (P, 17) of the joints of persons (P, T, 17, 3) in an encoder's ONNX file; rows sum to 1.

    Raises ExportError for a file that is not an encoder of this package.
    """
    importance_of, found = open_importance(encoder, config=config, precision=precision), []
    for start in range(0, len(persons), PERSONS_AT_ONCE):
        found.append(importance_of(persons[start : start + PERSONS_AT_ONCE]))
        if progress is not None:
            progress(min(start + PERSONS_AT_ONCE, len(persons)), len(persons), "attention")
    return np.concatenate(found)


def open_importance(
    encoder: bytes, *, config: ModelConfig, precision: Precision, threads: int | None = None
) -> Callable[[Floats], Floats]:
    """The part of an encoder's ONNX file that leads to the importance (P, 17) of joints (P, T, 17, 3).

    Softmax over joints of the attention that each receives, as a mean over heads and a sum over queries, as
    a mean over frames. Raises ExportError for a file that is not an encoder of this package.
    """
    attention = f"backbone.blocks_st.{config.depth - 1}.attn_s/Softmax"
    try:
        model = onnx.ModelProto.FromString(encoder)
    except Exception as error:  # protobuf's DecodeError, of either implementation
        raise ExportError("the encoder is not an ONNX file; export it again") from error
    if all(attention not in node.output for node in model.graph.node):
        raise ExportError(f"the encoder has no tensor {attention}; export it again with this maskclr-edge")
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(
            attention, onnx.TensorProto.FLOAT, [None, config.num_heads, 17, 17]
        )
    )
    attention_of = open_network(precision, to_bytes(model), threads)

    def importance_of(persons: Floats) -> Floats:
        received = attention_of(persons).mean(axis=1).sum(axis=1)  # (P*T, heads, 17, 17) -> (P*T, 17)
        weights = np.exp(received - received.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        result: Floats = weights.reshape(len(persons), persons.shape[1], -1).mean(axis=1)
        return result

    return importance_of


def top_overlap(one: Floats, other: Floats, count: int) -> float:
    """Percent of a person's ``count`` most important joints that two importances (P, 17) share; the mean."""
    best = [np.argsort(-importance, axis=1, kind="stable")[:, :count] for importance in (one, other)]
    shared = [len(set(a) & set(b)) for a, b in zip(*(part.tolist() for part in best), strict=True)]
    return 100.0 * float(np.mean(shared)) / count
