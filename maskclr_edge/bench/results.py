"""Result files: one versioned JSON envelope for all that is measured, dated, with the machine in it.

    {"format": "maskclr-edge-benchmark", "version": 2, "name": "latency", "created": "2026-11-24T12:00:00Z",
     "machine": {...}, "settings": {...}, "results": {...}}

`settings` is what was asked for, `results` what came out. A reader refuses a version it does not know.
Version 2 renamed what a row of a bench measures from "scenario" to "part", and keeps the samples.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.files import write_atomically

FORMAT = "maskclr-edge-benchmark"
VERSION = 2
READABLE = (1, 2)
MAX_BYTES = 64_000_000
_KEYS = {"format", "version", "name", "created", "machine", "settings", "results"}
_NAME = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*\Z")
_DATED = re.compile(r"(\d{4}-\d{2}-\d{2})_(.+)\.json\Z")


def result_document(
    name: str,
    results: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    machine: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Put results into the envelope, with the present time (UTC) and the machine.

    machine: what ``describe_machine`` said before the measurement, so that its load is others' and not ours.
    """
    created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "format": FORMAT, "version": VERSION, "name": name, "created": created,
        "machine": dict(describe_machine() if machine is None else machine),
        "settings": dict(settings), "results": dict(results),
    }  # fmt: skip
    return check_result(document)


def check_result(document: Any) -> dict[str, Any]:
    """The document, if it is a whole result of a known version; DataError says what is wrong otherwise."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f'not a result file: its "format" should be "{FORMAT}"')
    if document.get("version") not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise DataError(
            f"result file of version {document.get('version')!r}; this release reads versions {known}"
        )
    if wrong := set(document) ^ _KEYS:
        raise DataError(f"result file with missing or unknown keys: {', '.join(sorted(map(str, wrong)))}")
    if not isinstance(document["name"], str) or not _NAME.match(document["name"]):
        raise DataError(f"a result's name is lower case words joined by _; got {document['name']!r}")
    for key in ("machine", "settings", "results"):
        if not isinstance(document[key], dict):
            raise DataError(
                f'"{key}" of a result file should be an object; got {type(document[key]).__name__}'
            )
    _check_values(document, "result")
    return document


def write_result(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a result whole or not at all, and its folder first. ConfigError when that cannot be done."""
    text = json.dumps(check_result(dict(document)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def write_dated(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write a result as YYYY-MM-DD_name.json into a folder; a second run on one day replaces the first."""
    return write_result(folder / f"{document['created'][:10]}_{document['name']}.json", document)


def read_result(path: Path) -> dict[str, Any]:
    """Read and check a result file. DataError names the file and what is wrong with it."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path} is {size} bytes; a result file has at most {MAX_BYTES}")
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    try:
        return check_result(document)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def newest_result(folder: Path, name: str) -> Path | None:
    """The newest dated file of a name in a folder, by the date in its file name; None where there is none."""
    dated = ((match, path) for path in folder.glob("*.json") if (match := _DATED.match(path.name)))
    return max((path for match, path in dated if match[2] == name), default=None)


def _check_values(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise DataError(f"{where} has a key that is not text: {key!r}")
            _check_values(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _check_values(inner, f"{where}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise DataError(f"{where} is {value}, not a finite number")
    elif value is not None and not isinstance(value, (str, int, bool)):
        raise DataError(f"{where} is a {type(value).__name__}, which JSON cannot hold")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
