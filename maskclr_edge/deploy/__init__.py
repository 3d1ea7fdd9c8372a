"""Checkpoint to bundle: the ONNX graph, its precision, engines, parity, manifest. Needs onnx, not torch."""

from maskclr_edge.optional import require

require("onnx")  # every module here reads or writes ONNX: say at once how to get it
