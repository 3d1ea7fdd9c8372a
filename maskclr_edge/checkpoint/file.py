"""Our checkpoints: one safetensors file with model config, skeleton contract and training facts inside.

Reading one needs neither torch nor trust. The bytes are laid out here, and not by the safetensors package,
because its metadata come in a random order: the same checkpoint must give the same file.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from maskclr_edge.checkpoint.config import ModelConfig
from maskclr_edge.checkpoint.weights import FloatArray, check_shapes, check_values
from maskclr_edge.errors import CheckpointError, ConfigError
from maskclr_edge.files import write_atomically
from maskclr_edge.skeleton import SkeletonContract

FORMAT = "maskclr-edge-checkpoint"
VERSION = 1
MAX_HEADER_BYTES = 8 << 20
MAX_FILE_BYTES = 4 << 30

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


@dataclass
class Checkpoint:
    """A network's config and weights, the clip contract it was trained under, and facts about its training.

    weights: name -> float32 array, exactly the tensors of ``weight_shapes(config)``. info: JSON-able.
    """

    config: ModelConfig
    contract: SkeletonContract
    weights: dict[str, FloatArray]
    info: dict[str, Any] = field(default_factory=dict)

    def check(self, source: str = "checkpoint") -> None:
        """Raise CheckpointError, starting with ``source``, where weights, config and contract do not fit."""
        check_shapes(self.config, {name: value.shape for name, value in self.weights.items()}, source)
        check_values(self.weights, source)
        _check_contract(self.config, self.contract, source)


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint, *, dtype: str = "float32") -> None:
    """Write a checkpoint atomically; equal checkpoints give equal bytes.

    dtype: "float32", or "float16", which stores matrices and embeddings in half precision and keeps vectors
    (biases, norms, statistics) in single.
    Raises CheckpointError for weights that do not fit, a value too large for float16, or a failing disk, in
    which case an old file of that name stays as it was.
    """
    if dtype not in ("float32", "float16"):
        raise CheckpointError(f"dtype is {dtype!r}; checkpoints are stored as float32 or float16")
    checkpoint.check(f"cannot write {path}")
    arrays = {name: _stored(name, value, dtype) for name, value in sorted(checkpoint.weights.items())}
    header: dict[str, Any] = {
        "__metadata__": {
            "format": FORMAT,
            "version": str(VERSION),
            "config": _to_json(checkpoint.config.to_dict()),
            "contract": _to_json(checkpoint.contract.to_dict()),
            "info": _to_json(checkpoint.info),
        }
    }
    # float32 before float16, so that every tensor is aligned to its item size
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    offset = 0
    for name in names:
        array = arrays[name]
        code = "F32" if array.itemsize == 4 else "F16"
        header[name] = {
            "dtype": code,
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = _to_json(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"cannot write {path}: its info makes a header of {len(text)} bytes; at most {MAX_HEADER_BYTES}"
        )
    try:
        write_atomically(
            Path(path),
            b"".join([len(text).to_bytes(8, "little"), text, *(arrays[name].data for name in names)]),
        )
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error.strerror or error}; nothing was changed"
        ) from error


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint written by ``write_checkpoint``; weights are float32 in memory whatever was stored.

    Sizes are bounded before anything is allocated; names, shapes and values are checked.
    Raises CheckpointError for another format, a truncated file, tensors that do not fit the config, or NaN.
    """
    source = str(path)
    _check_sizes(Path(path))
    try:
        with safe_open(source, framework="numpy") as file:
            config, contract, info = _read_metadata(file.metadata() or {}, source)
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            check_shapes(config, {name: tuple(part.get_shape()) for name, part in slices.items()}, source)
            for name, part in slices.items():
                if part.get_dtype() not in _DTYPES:
                    raise CheckpointError(
                        f"{source}: {name} is stored as {part.get_dtype()}; expected F32 or F16"
                    )
            weights = {name: np.asarray(file.get_tensor(name), dtype=np.float32) for name in slices}
    except (SafetensorError, OSError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{source}: not a whole safetensors file ({first_line}); get or train it again"
        ) from error
    check_values(weights, source)
    return Checkpoint(config, contract, weights, info)


def _check_sizes(path: Path) -> None:
    """Bound the file and its header before a parser sees them."""
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise CheckpointError(f"{path}: not a regular file; give a checkpoint")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    length = int.from_bytes(start[:8], "little")
    if start[8:] != b"{" or not 2 <= length <= size - 8:
        if start.startswith((b"PK\x03\x04", b"\x80")):
            raise CheckpointError(
                f"{path}: a PyTorch file; make a checkpoint of it with: maskclr-edge convert"
            )
        raise CheckpointError(f"{path}: not a whole safetensors file ({size} bytes); get or train it again")
    if length > MAX_HEADER_BYTES or size > MAX_FILE_BYTES:
        limits = f"{MAX_FILE_BYTES} and {MAX_HEADER_BYTES}"
        raise CheckpointError(f"{path}: {size} bytes, header of {length}; at most {limits} are read")


def _read_metadata(
    metadata: dict[str, str], source: str
) -> tuple[ModelConfig, SkeletonContract, dict[str, Any]]:
    """The three JSON documents in the header, each checked."""
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{source}: a safetensors file, but not a {FORMAT} (its metadata say {metadata.get('format')!r})"
        )
    if metadata.get("version") != str(VERSION):
        raise CheckpointError(
            f"{source}: checkpoint version {metadata.get('version')!r}; this release reads version {VERSION}"
        )
    documents: dict[str, dict[str, Any]] = {}
    for key in ("config", "contract", "info"):
        try:
            documents[key] = json.loads(metadata.get(key, ""))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{source}: its {key} is not JSON ({error})") from error
        if not isinstance(documents[key], dict):
            raise CheckpointError(f"{source}: its {key} is not a JSON object")
    try:
        config = ModelConfig.from_dict(documents["config"])
        contract = SkeletonContract.from_dict(documents["contract"])
    except ConfigError as error:
        raise CheckpointError(f"{source}: {error}") from error
    _check_contract(config, contract, source)
    return config, contract, documents["info"]


def _check_contract(config: ModelConfig, contract: SkeletonContract, source: str) -> None:
    """A contract must name each class of the head and fit its frames into the network's positions."""
    if config.head == "class" and len(contract.class_names) != config.num_classes:
        names = len(contract.class_names)
        raise CheckpointError(f"{source}: {names} class names, but the head has {config.num_classes} classes")
    if max(contract.frames, contract.max_frames) > config.maxlen:
        frames = max(contract.frames, contract.max_frames)
        raise CheckpointError(
            f"{source}: the contract allows {frames} frames; the network has {config.maxlen} (maxlen)"
        )


def _stored(name: str, value: FloatArray, dtype: str) -> np.ndarray[Any, Any]:
    """A contiguous little-endian array in the storage type of its tensor."""
    if dtype == "float16" and value.ndim > 1:
        if np.abs(value).max(initial=0) > np.finfo(np.float16).max:
            raise CheckpointError(f"{name} holds values beyond float16; store the checkpoint as float32")
        return np.ascontiguousarray(value, dtype=_DTYPES["F16"])
    return np.ascontiguousarray(value, dtype=_DTYPES["F32"])


def _to_json(value: object) -> str:
    """Compact JSON with sorted keys, so that equal values give equal text; NaN is refused, being no JSON."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"checkpoint info that JSON cannot hold: {error}") from error
