"""Checkpoint to bundle: the ONNX graph, its precision, engines, parity, manifest. Needs onnx, not torch."""

from maskclr_edge.optional import require

require("onnx")  # every module below reads or writes ONNX: say at once how to get it

from maskclr_edge.deploy.engine_set import ENGINES  # noqa: E402
from maskclr_edge.deploy.export import PRECISIONS, export_bundle, extend_bundle  # noqa: E402
from maskclr_edge.deploy.graph import encoder_graph, head_graph  # noqa: E402
from maskclr_edge.deploy.manifest import fingerprint  # noqa: E402

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "encoder_graph",
    "export_bundle",
    "extend_bundle",
    "fingerprint",
    "head_graph",
]
