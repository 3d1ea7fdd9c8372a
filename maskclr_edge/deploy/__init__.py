"""Checkpoint to bundle: the ONNX graph, its precision, engines, parity, manifest. Needs onnx, not torch.

Names are imported when they are used: ``targets`` can then be read where onnx is not installed.
"""

import importlib
from typing import TYPE_CHECKING, Any

from maskclr_edge.optional import require

if TYPE_CHECKING:
    from maskclr_edge.deploy.build_options import ENGINES
    from maskclr_edge.deploy.export import export_bundle, extend_bundle
    from maskclr_edge.deploy.graph import encoder_graph, head_graph
    from maskclr_edge.deploy.manifest import fingerprint
    from maskclr_edge.deploy.precision import PRECISIONS

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "encoder_graph",
    "export_bundle",
    "extend_bundle",
    "fingerprint",
    "head_graph",
]

_HOMES = {
    "ENGINES": "build_options",
    "PRECISIONS": "precision",
    "encoder_graph": "graph",
    "export_bundle": "export",
    "extend_bundle": "export",
    "fingerprint": "manifest",
    "head_graph": "graph",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require("onnx")  # every module behind these names reads or writes ONNX: say at once how to get it
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
