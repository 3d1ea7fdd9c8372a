"""Which joints a model looks at, for showing: the first part of its encoder, run beside the classifier."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.optional import require
from maskclr_edge.runtime.bundle import Bundle
from maskclr_edge.runtime.factory import load_model


class JointImportance:
    """Importance of joints by the FP32 encoder of a bundle or a checkpoint, on ONNX Runtime.

    It takes the graph up to the last spatial attention out of the encoder, which needs the extra ``export``;
    the classifier's own file stays as it is, since a graph that gives its attention out runs slower.
    Raises BundleError for a bundle without FP32, and MissingDependencyError.
    """

    def __init__(self, model: str | Path) -> None:
        require("onnx")
        from maskclr_edge.deploy.graph import encoder_graph
        from maskclr_edge.deploy.importance import open_importance
        from maskclr_edge.deploy.precision import get_precision

        source = load_model(model)
        if isinstance(source, Bundle):
            encoder = source.read(source.select("onnxruntime", "fp32")["encoder"])
        else:
            encoder = encoder_graph(source).SerializeToString()
        precision = get_precision("fp32")
        # one thread: it runs a few times a second, beside a pose estimator that wants the cores
        self._of = open_importance(encoder, config=source.config, precision=precision, threads=1)

    def __call__(self, clips: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Importance (N, 17), in H36M order, of the first person of clips (N, M, T, 17, 3); rows sum to 1."""
        return self._of(np.ascontiguousarray(clips[:, 0]))
