"""The layers of an engine, from the JSON of TensorRT's engine inspector, whose form differs by release.

TensorRT 10 gives a tensor's type and layout in one text ("Row major linear FP16 format", or the type alone),
TensorRT 11 in two entries. An engine that was built without details has names alone.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from maskclr_edge.errors import EngineError

#: how the inspector calls a type -> how ONNX and this project do
_TYPES = {
    **dict.fromkeys(("fp32", "float", "float32"), "float32"),
    **dict.fromkeys(("fp16", "half", "float16"), "float16"),
    **dict.fromkeys(("bf16", "bfloat16"), "bfloat16"),
    **dict.fromkeys(("fp8", "float8"), "float8"),
    **{name: name for name in ("fp4", "int4", "int8", "uint8", "int32", "int64", "bool")},
}
_WORD = re.compile(rf"\b({'|'.join(_TYPES)})(?![0-9])", re.IGNORECASE)
_LONGEST = 400

Layer = dict[str, Any]


def read_layers(text: str | None) -> list[Layer]:
    """Layers with name, type, inputs, outputs and kernel; a tensor has name, shape and type.

    What the inspector does not say is an empty text or list. Raises EngineError for what is not its JSON.
    """
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise EngineError(
            f"TensorRT's inspector gave no JSON ({reason}); nothing can be said of layers"
        ) from (error)
    layers = found.get("Layers") if isinstance(found, Mapping) else None
    if not isinstance(layers, list):
        raise EngineError("TensorRT's inspector gave JSON without Layers; nothing can be said of them")
    return [_layer(one) for one in layers]


def output_types(layers: Sequence[Layer]) -> dict[str, int]:
    """How many layers give each type, the most frequent first: the precision that an engine really has."""
    found = Counter(
        kind for layer in layers for kind in {one["type"] for one in layer["outputs"] if one["type"]}
    )
    return dict(found.most_common())


def _layer(raw: Any) -> Layer:
    if not isinstance(raw, Mapping):  # a name alone
        return {"name": _text(raw), "type": "", "inputs": [], "outputs": [], "kernel": ""}
    return {
        "name": _text(raw.get("Name")),
        "type": _text(raw.get("LayerType")),
        "inputs": _tensors(raw.get("Inputs")),
        "outputs": _tensors(raw.get("Outputs")),
        "kernel": _text(raw.get("TacticName")),
    }


def _tensors(raw: Any) -> list[dict[str, Any]]:
    items = [one for one in raw if isinstance(one, Mapping)] if isinstance(raw, list) else []
    return [
        {"name": _text(one.get("Name")), "shape": _shape(one.get("Dimensions")), "type": _type(one)}
        for one in items
    ]


def _type(tensor: Mapping[Any, Any]) -> str:
    """The type of a tensor in our words, or the inspector's where they are others; "" where it has none."""
    for key in ("DataType", "Datatype", "Format/Datatype"):
        words = _text(tensor.get(key))
        if words:
            known = _WORD.search(words)
            return _TYPES[known[1].lower()] if known else words
    return ""


def _shape(raw: Any) -> list[int]:
    sizes = raw if isinstance(raw, list) else []
    return [size for size in sizes[:8] if isinstance(size, int) and not isinstance(size, bool)]


def _text(raw: Any) -> str:
    return raw[:_LONGEST] if isinstance(raw, str) else ""
