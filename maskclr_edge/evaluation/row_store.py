"""Finished rows of a robustness run, kept in a file so that a run that was stopped goes on from there."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.files import short_digest, write_atomically

FORMAT = "maskclr-edge-robustness-rows"
VERSION = 1
MAX_BYTES = 16_000_000
#: what a row without corruption is called
CLEAN = "clean"


@dataclass(frozen=True)
class Task:
    """One pass over all clips: a corruption (or CLEAN), its severity, and which draw of it."""

    corruption: str
    severity: float
    draw: int

    def __str__(self) -> str:
        return CLEAN if self.corruption == CLEAN else f"{self.corruption}:{self.severity:g} draw {self.draw}"


@dataclass(frozen=True)
class Row:
    """The accuracies, in percent, of one pass over ``clips`` clips."""

    corruption: str
    severity: float
    draw: int
    top1: float
    top5: float
    mean_class: float
    clips: int

    @property
    def task(self) -> Task:
        """What the row is the result of."""
        return Task(self.corruption, self.severity, self.draw)


class RowStore:
    """Rows by task. With a folder, each is written as it is added; without, they are kept in memory alone.

    The file's name holds a digest of ``of``, the facts that decide every number (model, data, seed, ...):
    rows of another model or data set are never taken for these. Raises ConfigError where the folder cannot be
    written to, DataError for a file that is broken.
    """

    def __init__(self, folder: Path | None, of: Mapping[str, Any]) -> None:
        self.of = dict(of)
        self.path: Path | None = None
        self.rows: dict[Task, Row] = {}
        if folder is None:
            return
        self.path = folder / f"rows-{short_digest(self.of)}.json"
        if self.path.exists():
            self.rows = {row.task: row for row in _read(self.path, self.of)}

    def add(self, row: Row) -> None:
        """Keep a row; the file is replaced whole, so that a kill leaves every row before this one."""
        self.rows[row.task] = row
        if self.path is None:
            return
        rows = [asdict(kept) for kept in self.rows.values()]
        document = {"format": FORMAT, "version": VERSION, "of": self.of, "rows": rows}
        write_kept(self.path, (json.dumps(document, indent=1) + "\n").encode())


def write_kept(path: Path, data: bytes) -> None:
    """Write a file that a later run goes on from, its folder too. Raises ConfigError where it cannot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error


def _read(path: Path, of: Mapping[str, Any]) -> list[Row]:
    broken = f"{path}: not a file of finished rows of this run; delete it or choose another folder"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(broken)
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(broken) from error
    head = {"format": FORMAT, "version": VERSION, "of": dict(of)}
    if not isinstance(document, dict) or {key: document.get(key) for key in head} != head:
        raise DataError(broken)
    rows = document.get("rows")
    if not isinstance(rows, list):
        raise DataError(broken)
    return [_row(entry, broken) for entry in rows]


def _row(entry: Any, broken: str) -> Row:
    names = [field.name for field in fields(Row)]
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise DataError(broken)
    for name in names:
        kinds = {"corruption": (str,), "draw": (int,), "clips": (int,)}.get(name, (int, float))
        if isinstance(entry[name], bool) or not isinstance(entry[name], kinds):
            raise DataError(broken)
    if any(not 0 <= entry[name] <= 100 for name in ("top1", "top5", "mean_class")):
        raise DataError(broken)
    return Row(**entry)
