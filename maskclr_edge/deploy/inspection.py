"""What a bundle, an ONNX file, a checkpoint or an engine holds, as plain values.

Files are told by their content. Nothing is run: an engine is native code, and is loaded only when its
layers are asked for.
"""

import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maskclr_edge.deploy.engine_layers import output_types, read_layers
from maskclr_edge.errors import BundleError, ConfigError, EngineError
from maskclr_edge.optional import available, require
from maskclr_edge.runtime.bundle import MANIFEST, Artifact, Bundle
from maskclr_edge.runtime.trt_api import load_tensorrt, sizes
from maskclr_edge.runtime.trt_engine import brings_host_code

#: first bytes of a plan -> flavour; seen in files of TensorRT-RTX 1.7, and in those of TensorRT 8.6 and newer
_PLANS = {b"vtrt": "tensorrt-rtx", b"ftrt": "tensorrt"}
_TORCH = (b"PK\x03\x04", b"\x80")
#: a protobuf file cannot be larger
_LARGEST_ONNX = (1 << 31) - 1
_LARGEST_HEADER = 100 << 20
#: clip length at which the products of an ONNX file by itself are counted: a second of video
_FRAMES = 30


def inspect(path: str | Path) -> dict[str, Any]:
    """Facts of a file or a bundle's folder; ``kind`` says which it is.

    Raises ConfigError for what is none of them, and BundleError or CheckpointError for a damaged one.
    """
    path = Path(path)
    if path.is_dir():
        return inspect_bundle(Bundle.open(path))
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    if head[:4] in _PLANS:
        return inspect_engine(path, _PLANS[head[:4]])
    if head.startswith(_TORCH):
        raise ConfigError(f"{path} is a PyTorch file; make a checkpoint of it: maskclr-edge convert {path}")
    if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= _LARGEST_HEADER:
        return inspect_checkpoint(path)
    if head[:1] == b"{":
        raise ConfigError(
            f"{path} is JSON; expected a bundle's folder, an ONNX file, a checkpoint or an engine"
        )
    return inspect_onnx(path)


def inspect_bundle(bundle: Bundle) -> dict[str, Any]:
    """Facts of a bundle whose files were checked. Its ONNX encoders are read back where onnx is installed.

    Raises BundleError for a file that is of its precision in name only.
    """
    found: Mapping[str, Mapping[str, Any]] = {}
    if available("onnx"):  # what only runs a bundle does not have it
        from maskclr_edge.deploy.read_back import read_bundle

        found = read_bundle(bundle)
    return {
        "kind": "bundle",
        "path": str(bundle.path),
        "bytes": sum({item.file: item.bytes for item in bundle.artifacts}.values()),
        "created": bundle.created,
        "built_by": dict(bundle.built_by),
        "checkpoint": dict(bundle.checkpoint),
        "model": bundle.config.to_dict(),
        "contract": bundle.contract.to_dict(),
        "runners": {name: list(bundle.precisions(name)) for name in bundle.runners()},
        "artifacts": [
            asdict(item) | {"read_back": found.get(item.file, item.read_back)} for item in bundle.artifacts
        ],
        "read_back_now": sorted(found),
        "unlisted": list(bundle.unlisted()),
    }


def inspect_checkpoint(path: Path) -> dict[str, Any]:
    """Facts of one of our checkpoints. Raises CheckpointError."""
    from maskclr_edge.checkpoint import parameter_count, read_checkpoint

    checkpoint = read_checkpoint(path)
    return {
        "kind": "checkpoint",
        "path": str(path),
        "bytes": path.stat().st_size,
        "parameters": parameter_count(checkpoint.config),
        "model": checkpoint.config.to_dict(),
        "contract": checkpoint.contract.to_dict(),
        "info": dict(checkpoint.info),
    }


def inspect_onnx(path: Path) -> dict[str, Any]:
    """Facts of an ONNX file: tensors, types, operations. Raises ConfigError for another file."""
    onnx = require("onnx")
    from maskclr_edge.deploy.read_back import read_back

    size = path.stat().st_size
    if size > _LARGEST_ONNX:
        raise ConfigError(f"{path} is {size} bytes; expected an ONNX file, which ends at 2 GiB")
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except Exception:  # protobuf has one class for this, which moves between its releases
        model = onnx.ModelProto()
    if not model.graph.node or not model.opset_import:
        raise ConfigError(f"{path} is neither a bundle's folder, nor a checkpoint, an ONNX file or an engine")
    try:
        found = read_back(model, frames=_FRAMES if _has_frames(model) else 0)
    except (IndexError, ValueError):  # shapes of others' graphs may not be known before they run
        found = {}
    return {
        "kind": "onnx",
        "path": str(path),
        "bytes": size,
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "opset": {one.domain or "ai.onnx": one.version for one in model.opset_import},
        "ir_version": model.ir_version,
        "inputs": {one.name: _tensor(onnx, one) for one in model.graph.input},
        "outputs": {one.name: _tensor(onnx, one) for one in model.graph.output},
        "nodes": found.get("nodes") or _count(model),
        "initializers": found.get("initializers", {}),
        "gemm_flops": found.get("gemm_flops", {}),
    }


def inspect_engine(path: Path, flavour: str) -> dict[str, Any]:
    """What a bundle beside an engine says of it. The engine itself is not loaded."""
    entries = _beside(path)
    facts: dict[str, Any] = {
        "kind": "engine",
        "path": str(path),
        "bytes": path.stat().st_size,
        "flavour": flavour,
        "in_bundle": bool(entries),
    }
    if entries:
        item = entries[0]
        facts |= {
            "role": item.role,
            "precisions": [one.precision for one in entries],
            "read_back": dict(item.read_back),
            "shapes": dict(item.shapes),
            "built_for": dict(item.built_for or {}),
        }
    return facts


def engine_layers(path: str | Path) -> dict[str, Any]:
    """Layers, profiles and tensors of an engine, by TensorRT's own inspector: needs the GPU that it is for.

    Raises EngineError where it cannot be loaded here, ConfigError for a file that is no engine.
    """
    path = Path(path)
    with path.open("rb") as file:
        flavour = _PLANS.get(file.read(4))
    if flavour is None:
        raise ConfigError(f"{path} is no engine; --layers shows those of an engine file")
    api = load_tensorrt(flavour)
    api.log.messages.clear()
    runtime = api.runtime(host_code=any(map(brings_host_code, _beside(path))))
    engine = runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        words = api.log.first_error()[:200] or "it gave no reason"
        raise EngineError(
            f"{path} cannot be loaded by {flavour} {api.version} here, and layers are in no other place; "
            f"ask on the GPU that it is for (it said: {words})"
        )
    inspector = engine.create_engine_inspector()
    layers = read_layers(inspector.get_engine_information(api.trt.LayerInformationFormat.JSON))
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    profiles = [
        {
            name: [list(sizes(shape)) for shape in engine.get_tensor_profile_shape(name, index)]
            for name in names
            if api.is_input(engine, name)
        }
        for index in range(engine.num_optimization_profiles)
    ]
    return {
        "tensors": names,
        "profiles": profiles,
        "refittable": bool(engine.refittable),
        "output_types": output_types(layers),
        "layers": layers,
    }


def _beside(path: Path) -> list[Artifact]:
    """Entries of the manifest in the same folder that name a file and have its size."""
    if not (path.parent / MANIFEST).is_file():
        return []
    try:
        bundle = Bundle.open(path.parent, verify=False)
    except BundleError:
        return []
    return [item for item in bundle.artifacts if item.file == path.name]


def _has_frames(model: Any) -> bool:
    sizes = (dim.dim_param for one in model.graph.input for dim in one.type.tensor_type.shape.dim)
    return "frames" in sizes


def _tensor(onnx: Any, value: Any) -> dict[str, Any]:
    kind = value.type.tensor_type
    shape: list[int | str] = [one.dim_param or one.dim_value for one in kind.shape.dim]
    try:
        name = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
    except ValueError:
        name = str(kind.elem_type)
    return {"type": name, "shape": shape}


def _count(model: Any) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return dict(sorted(counts.items()))
