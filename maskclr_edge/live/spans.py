"""When somebody does what: labelled spans of time, from a file or called out while they perform.

A spans file is CSV, one span a line: ``start, end, label`` and, if it matters who, a fourth column: the
number of a track, or ``all`` for everyone in the picture. Times are seconds or ``minutes:seconds``. A
heading, empty lines and those that begin with ``#`` are skipped.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskclr_edge.errors import ConfigError, DataError

MAX_FILE_BYTES = 1 << 20
MAX_SPANS = 10_000
MAX_LABEL = 200
#: the person of a span that is everyone's, and of one that is the nearest one's
EVERYONE, NEAREST = "all", ""


@dataclass(frozen=True)
class Span:
    """``person`` (a track's number, all, or the nearest) does ``label`` from ``start_s`` to ``end_s``."""

    start_s: float
    end_s: float
    label: str
    person: str = NEAREST


def read_spans(path: str | Path) -> list[Span]:
    """Read a spans file, in order of time. Raises DataError that names the line and what it should be."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{path}: {path.stat().st_size} bytes; a spans file has at most {MAX_FILE_BYTES}")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text; a spans file has lines like: 1.5, 4.0, wave") from error
    spans: list[Span] = []
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in _cells(line)]
        if not any(cells) or cells[0].startswith("#") or (not spans and cells[0].lower().startswith("start")):
            continue
        if len(spans) == MAX_SPANS:
            raise DataError(f"{path}: more than {MAX_SPANS} spans; cut the recording into several")
        spans.append(_span(f"{path}, line {number}", cells))
    if not spans:
        raise DataError(f"{path}: has no spans; write lines like: 1.5, 4.0, wave")
    return sorted(spans, key=lambda span: (span.start_s, span.end_s))


def called_out(labels: Sequence[str], rounds: int, hold_s: float, rest_s: float) -> list[Span]:
    """Each label in turn for ``hold_s`` seconds after ``rest_s`` of rest, ``rounds`` times over.

    Raises ConfigError as ``check_labels`` does.
    """
    check_labels(labels)
    spans, time_s = [], 0.0
    for label in list(labels) * rounds:
        spans.append(Span(time_s + rest_s, time_s + rest_s + hold_s, label))
        time_s = spans[-1].end_s
    return spans


def check_labels(labels: Sequence[str]) -> None:
    """Raise ConfigError for labels that are empty, too long, or there twice."""
    for label in labels:
        if not _fit_to_print(label):
            raise ConfigError(f"{label[:60]!r} is no label; give 1 to {MAX_LABEL} letters")
    if len(set(labels)) != len(labels):
        raise ConfigError(f"a label is there twice among {', '.join(labels)}; name each once")


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line], skipinitialspace=True), [])
    except csv.Error:  # such as a cell of more than 100 kB
        return [line[:60]]


def _span(where: str, cells: Sequence[str]) -> Span:
    if len(cells) not in (3, 4):
        raise DataError(f"{where} has {len(cells)} columns; expected start, end, label and perhaps a person")
    start_s, end_s = (_seconds(where, cell) for cell in cells[:2])
    if start_s >= end_s:
        raise DataError(f"{where} ends at {end_s:g} s, not after its start at {start_s:g} s; swap them")
    if not _fit_to_print(cells[2]):
        raise DataError(f"{where} has the label {cells[2][:60]!r}; expected 1 to {MAX_LABEL} letters")
    person = cells[3] if len(cells) == 4 else NEAREST
    if person not in (EVERYONE, NEAREST) and not (person.isdecimal() and person.isascii()):
        raise DataError(f"{where} has the person {person[:20]!r}; expected a track's number, all, or nothing")
    return Span(start_s, end_s, cells[2], person)


def _seconds(where: str, text: str) -> float:
    minutes, colon, seconds = text.rpartition(":")
    try:
        value = 60 * int(minutes) + float(seconds) if colon else float(seconds)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e6:
        raise DataError(f"{where} has the time {text[:20]!r}; expected seconds, as 12.5, or 1:05.5")
    return value


def _fit_to_print(label: str) -> bool:
    return 0 < len(label) <= MAX_LABEL and label.isprintable() and label == label.strip()
