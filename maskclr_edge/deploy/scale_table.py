"""Scale tables: the activation ranges of a model as a JSON file that people review and exports reuse."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy.calibrate import METHODS
from maskclr_edge.deploy.manifest import fingerprint
from maskclr_edge.errors import ConfigError, DataError

FORMAT = "maskclr-edge-scale-table"
VERSION = 1

_LONGEST_FILE = 16 << 20
_MOST_TENSORS = 10_000
_LARGEST = 1e30
_KEYS = ("format", "version", "model", "method", "clips", "coverage", "held_out", "built_by", "tensors")
_OPTIONAL = ("made",)


@dataclass(frozen=True)
class ScaleTable:
    """Ranges (low, high) of a model's tensors, and what they were measured on.

    model: ``fingerprint`` of the checkpoint. saturation: share of a tensor's values beyond its range on clips
    held out from calibration, or None where there were none. coverage names the gaps of the calibration
    clips. made: date and command, of a table that is kept.
    """

    model: str
    method: str
    ranges: Mapping[str, tuple[float, float]]
    saturation: Mapping[str, float | None]
    clips: Mapping[str, Any]
    coverage: Mapping[str, Any] = field(default_factory=dict)
    held_out: Mapping[str, Any] = field(default_factory=dict)
    built_by: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The file's content; equal tables give equal bytes."""
        tensors = {
            name: {"low": low, "high": high, "saturation": self.saturation.get(name)}
            for name, (low, high) in self.ranges.items()
        }
        content = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model,
            **({"made": dict(self.made)} if self.made else {}),
            "method": self.method,
            "clips": dict(self.clips),
            "coverage": dict(self.coverage),
            "held_out": dict(self.held_out),
            "built_by": dict(self.built_by),
            "tensors": tensors,
        }
        return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    def sha256(self) -> str:
        """Hash of the file's content."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def check_model(self, checkpoint: Checkpoint) -> None:
        """Raise ConfigError when the table was made from another model."""
        own = fingerprint(checkpoint)
        if own != self.model:
            raise ConfigError(
                f"the scale table is of model {self.model[:12]}, and this model is {own[:12]}; "
                "make one for it with maskclr-edge calibrate"
            )

    def choose(self, tensors: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Ranges of these tensors. Raises DataError for one that the table lacks."""
        for tensor in tensors:
            if tensor not in self.ranges:
                raise DataError(f"the scale table has no range for {tensor}; make it again")
        return {tensor: self.ranges[tensor] for tensor in tensors}


def read_table(path: str | Path) -> ScaleTable:
    """Read a scale table. Raises DataError that names the file, and the tensor whose scale is of no use."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > _LONGEST_FILE:
        raise DataError(f"{path} is over {_LONGEST_FILE >> 20} MiB; expected a scale table")
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is not whole JSON ({' '.join(str(error).split())[:120]}); "
            "make the table again with maskclr-edge calibrate"
        ) from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise DataError(f"{path} is not a scale table; make one with maskclr-edge calibrate")
    if raw.get("version") != VERSION or isinstance(raw["version"], bool):
        raise DataError(f"{path}: version {str(raw.get('version'))[:20]}; this maskclr-edge reads {VERSION}")
    for key in raw:
        if key not in _KEYS + _OPTIONAL:
            raise DataError(f"{path}: unknown key {key[:80]!r}; a table has {', '.join(_KEYS)}")
    for key in _KEYS:
        if key not in raw:
            raise DataError(f"{path}: the key {key!r} is missing; make the table again")
    for key in ("clips", "coverage", "held_out", "built_by", "tensors", *_OPTIONAL):
        if not isinstance(raw.get(key, {}), dict):
            raise DataError(f"{path}: {key} is not a mapping; make the table again")
    model, method, tensors = raw["model"], raw["method"], raw["tensors"]
    if not isinstance(model, str) or method not in METHODS:
        raise DataError(f"{path}: model or method is not one; methods are {', '.join(METHODS)}")
    if not 0 < len(tensors) <= _MOST_TENSORS:
        raise DataError(f"{path}: {len(tensors)} tensors; expected 1 to {_MOST_TENSORS}")
    ranges, saturation = {}, {}
    for name, entry in tensors.items():
        ranges[name], saturation[name] = _tensor(f"{path}: {name[:80]}", entry)
    return ScaleTable(
        model=model,
        method=method,
        ranges=ranges,
        saturation=saturation,
        clips=raw["clips"],
        coverage=raw["coverage"],
        held_out=raw["held_out"],
        built_by=raw["built_by"],
        made=raw.get("made", {}),
    )


def _tensor(where: str, entry: object) -> tuple[tuple[float, float], float | None]:
    if not isinstance(entry, dict) or set(entry) != {"low", "high", "saturation"}:
        raise DataError(f"{where}: expected low, high and saturation; make the table again")
    low, high, share = (_number(where, key, entry[key]) for key in ("low", "high", "saturation"))
    if low is None or high is None or not low <= 0 < high:
        raise DataError(
            f"{where}: the range is {low} to {high}, which gives no usable scale; expected low <= 0 < high"
        )
    if np.float32(max(-low, high) / 127) == 0:
        raise DataError(f"{where}: the range is {low} to {high}, whose scale is zero in float32")
    if share is not None and not 0 <= share <= 1:
        raise DataError(f"{where}: saturation is {share}; expected a share from 0 to 1")
    return (low, high), share


def _number(where: str, key: str, value: object) -> float | None:
    if value is None:
        return None
    # NaN fails the comparison, and infinity and numbers that float32 cannot hold are above it
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise DataError(f"{where}: {key} is {str(value)[:40]}; expected a finite number")
    return float(value)
