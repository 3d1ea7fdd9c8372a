"""Runners as parameters of tests, skipped with a reason where one is not installed."""

import pytest

from maskclr_edge.optional import available

RUNNERS = [
    pytest.param(name, marks=pytest.mark.skipif(not available(name), reason=f"{name} is not installed"))
    for name in ("torch", "onnxruntime", "openvino")
]
#: those that run a bundle's ONNX
BACKENDS = RUNNERS[1:]
