"""A small writer of ONNX graphs: every node and weight is named after the module it belongs to.

Names let later steps speak of layers: the weight of ``backbone.norm`` is ``backbone.norm.weight``, the node
that uses it ``backbone.norm/LayerNormalization``, and so is that node's output.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from maskclr_edge import __version__
from maskclr_edge.errors import ExportError

Array = npt.NDArray[np.float32]
Shape = Sequence[str | int]
#: floating point of fewer bits -> its number in ONNX
REDUCED = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}
#: output name -> (tensor, shape)
Outputs = dict[str, tuple[str, Shape]]

OPSET = 20
#: the newest that ONNX Runtime 1.18 and TensorRT 10.3 read; opset 20 asks for 9 at least
IR_VERSION = 10


class GraphBuilder:
    """Collects nodes and initialisers and makes a model of them, the same bytes every time.

    half: store matrices as float16 with a Cast behind each, which every consumer folds when it loads the
    file. The numbers stay those of the checkpoint: a matrix that float16 cannot hold exactly is refused.
    """

    def __init__(self, half: bool = False) -> None:
        self._half = half
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, TensorProto] = {}
        self._names: dict[str, int] = {}

    def op(
        self, kind: str, inputs: Sequence[str], module: str, outputs: int = 1, **attributes: Any
    ) -> list[str]:
        """Add a node of an op kind to a module; returns the names of its outputs."""
        name = f"{module}/{kind}"
        seen = self._names[name] = self._names.get(name, 0) + 1
        if seen > 1:
            name = f"{name}_{seen}"
        results = [name] if outputs == 1 else [f"{name}:{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), results, name=name, **attributes))
        return results

    def __call__(self, kind: str, inputs: Sequence[str], module: str, **attributes: Any) -> str:
        """Add a node with one output; returns that output's name."""
        return self.op(kind, inputs, module, **attributes)[0]

    def array(self, name: str, values: npt.NDArray[Any]) -> str:
        """Add an initialiser as it is (once); returns its name."""
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def ints(self, name: str, *values: int) -> str:
        """Add a list of int64, a shape or axes."""
        return self.array(name, np.array(values, np.int64))

    def matrix(self, name: str, values: Array, scale: Array | None = None) -> str:
        """Add a weight, times ``scale`` where given; returns the name of the float32 tensor to use.

        Raises ExportError when float16 storage was asked for and would change the weight.
        """
        if not self._half:
            scaled = values if scale is None else (values.astype(np.float64) * scale).astype(np.float32)
            return self.array(name, scaled)
        stored = half_exactly(values)
        if stored is None:
            raise ExportError(
                f"{name} does not fit float16 exactly; export with float32 storage, or train and save the "
                "checkpoint in float16"
            )
        result = self("Cast", [self.array(name, stored)], name, to=TensorProto.FLOAT)
        if scale is not None:  # a scale can leave float16's grid: it is applied after the cast
            result = self("Mul", [result, self.array(f"{name}.scale", scale)], name)
        return result

    def reduced(self, name: str, values: Array, kind: str, scale: Array | None = None) -> str:
        """Add a weight or bias, times ``scale`` where given, rounded to a type of :data:`REDUCED`.

        Raises ExportError for a value beyond float16.
        """
        if name not in self._initializers:
            scaled = values if scale is None else (values.astype(np.float64) * scale).astype(np.float32)
            self._initializers[name] = reduced_tensor(name, scaled, kind)
        return name

    def model(self, name: str, inputs: Mapping[str, Shape], outputs: Outputs) -> onnx.ModelProto:
        """The finished model. inputs: name -> shape; outputs: name -> (tensor, shape); all float32."""

        def values(shapes: Mapping[str, Shape]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(key, TensorProto.FLOAT, shapes[key]) for key in shapes]

        renamed = {tensor: output for output, (tensor, _) in outputs.items()}
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [renamed.get(tensor, tensor) for tensor in names]
        graph = helper.make_graph(
            self._nodes,
            name,
            values(inputs),
            values({key: shape for key, (_, shape) in outputs.items()}),
            list(self._initializers.values()),
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="maskclr-edge",
            producer_version=__version__,
        )


def reduced_tensor(name: str, values: Array, kind: str) -> TensorProto:
    """A tensor rounded to nearest, ties to even. Raises ExportError for a value beyond float16."""
    values = np.ascontiguousarray(values, np.float32)
    if kind == "float16":
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise ExportError(
                f"{name} has a value of {np.abs(values).max():.3g} and float16 ends at 65504; take bf16"
            )
        raw = half.tobytes()
    else:  # bfloat16 is the upper half of a float32
        bits = values.view(np.uint32)
        raw = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()
    return helper.make_tensor(name, REDUCED[kind], values.shape, raw, raw=True)


def half_exactly(values: Array) -> npt.NDArray[np.float16] | None:
    """The same numbers as float16, or None where that would change one."""
    with np.errstate(over="ignore"):
        stored = values.astype(np.float16)
    return stored if np.array_equal(stored.astype(np.float32), values) else None


def to_bytes(model: onnx.ModelProto) -> bytes:
    """The file's content; equal models give equal bytes."""
    return bytes(model.SerializeToString(deterministic=True))
