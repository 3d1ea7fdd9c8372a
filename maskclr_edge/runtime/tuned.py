"""What ``maskclr-edge tune`` measured on this machine, kept in the user's cache, and what "auto" takes by it.

A file belongs to one bundle's content, one machine and the installed versions: with another of any of these
it is not taken, and the reason for the choice says so.
"""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from maskclr_edge.errors import BundleError
from maskclr_edge.files import cache_folder, short_digest, write_atomically
from maskclr_edge.runtime.bundle import Bundle
from maskclr_edge.runtime.cores import default_threads
from maskclr_edge.runtime.precisions import exactness
from maskclr_edge.runtime.schema import Fields

FORMAT = "maskclr-edge-tuned"
#: what is slower by no more than this and rounds less is taken instead
WORTH = 0.05
#: the share of clips, in percent, whose answer must be the reference's
AGREEMENT = 99.0
_PACKAGES = (
    "maskclr-edge", "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-cu12",
    "tensorrt-cu13", "tensorrt-rtx-cu13-bindings", "torch",
)  # fmt: skip
_GPUS = Path("/proc/driver/nvidia/gpus")
_LARGEST = 1 << 18


@dataclass(frozen=True)
class Row:
    """One runner and precision: median latency, and the share of clips with the reference's answer, in %."""

    runner: str
    precision: str
    p50_ms: float
    agreement: float


@dataclass(frozen=True)
class Tuned:
    """What was measured for one bundle on one machine: ``rows``, on clips of a shape, and when."""

    rows: tuple[Row, ...]
    frames: int
    persons: int
    reference: str
    clips: int
    created: str

    def choose(self, precision: str = "auto", agreement: float = AGREEMENT) -> Row | None:
        """The row to run: the most exact of those that agree and are within WORTH of the fastest of them.

        ``precision`` other than "auto" leaves only its rows. None where no row is left.
        """
        able = [
            row
            for row in self.rows
            if precision in ("auto", row.precision) and (row.agreement >= agreement or precision != "auto")
        ]
        if not able:
            return None
        bound = (1 + WORTH) * min(row.p50_ms for row in able)
        return min(
            (row for row in able if row.p50_ms <= bound),
            key=lambda row: (exactness(row.precision), row.p50_ms),
        )

    def why(self, row: Row) -> str:
        """The choice in one line."""
        return (
            f"by maskclr-edge tune, {self.created}: {row.runner} {row.precision}, {row.p50_ms:.2f} ms for "
            f"{self.persons} in view at T={self.frames}, {row.agreement:.1f} % of {self.clips} answers as in "
            f"{self.reference}"
        )


def remember(bundle: Bundle, tuned: Tuned) -> Path:
    """Keep what was measured; returns the file. Raises OSError when it cannot be written."""
    file = _file(bundle, here())
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {"format": FORMAT, "version": 1, **asdict(tuned), "machine": here()}
    write_atomically(file, (json.dumps(document, indent=2) + "\n").encode())
    return file


def recall(bundle: Bundle) -> tuple[Tuned | None, str]:
    """What was measured for this bundle, here and with these versions; or None, and why in a few words.

    Raises BundleError for a file that is broken.
    """
    try:
        folder = _folder()
    except RuntimeError:  # a user without a home
        return None, "not tuned"
    others = sorted(folder.glob(f"{bundle_key(bundle)}-*.json"))
    if not others:
        return None, "not tuned"
    file = _file(bundle, here())
    if file not in others:
        return None, "tuned on another machine, or with other versions or threads"
    return _read(file), ""


def forget(bundle: Bundle) -> int:
    """Remove what was measured for a bundle, anywhere; returns how many files there were."""
    files = list(_folder().glob(f"{bundle_key(bundle)}-*.json"))
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


def bundle_key(bundle: Bundle) -> str:
    """16 hexadecimal digits of what a bundle can run: its files, and who takes them."""
    parts = sorted(
        (artifact.sha256, artifact.role, artifact.precision, *artifact.runners)
        for artifact in bundle.artifacts
    )
    return short_digest(parts)


def here() -> dict[str, Any]:
    """What a measurement depends on but the bundle: processor, GPUs, threads, versions."""
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "gpus": [_line(file, "Model") for file in sorted(_GPUS.glob("*/information"))],
        "threads": default_threads(),
        "providers": os.environ.get("MASKCLR_EDGE_ORT_PROVIDERS", ""),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _folder() -> Path:
    return cache_folder() / "tuned"


def _file(bundle: Bundle, machine: Mapping[str, Any]) -> Path:
    return _folder() / f"{bundle_key(bundle)}-{short_digest(machine)}.json"


def _read(file: Path) -> Tuned:
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
        values = json.loads(data) if len(data) <= _LARGEST else None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file}: cannot be read ({str(error)[:100]}); {_AGAIN}") from error
    try:
        top = Fields(file, values)
        top.choice("format", (FORMAT,))
        rows = tuple(
            _row(Fields(file, item, f"rows[{index}]")) for index, item in enumerate(top.items("rows"))
        )
        return Tuned(
            rows, top.count("frames"), top.count("persons"), top.text("reference"), top.count("clips"),
            top.word("created"),
        )  # fmt: skip
    except BundleError as error:
        raise BundleError(f"{error}; {_AGAIN}") from error


_AGAIN = "remove it, or run maskclr-edge tune again"


def _row(fields: Fields) -> Row:
    return Row(
        fields.word("runner"), fields.word("precision"), fields.number("p50_ms"), fields.number("agreement")
    )


def _processor() -> str:
    """The CPU's name, or the board's where the CPU has none."""
    return (
        _line(Path("/proc/cpuinfo"), "model name")
        or _line(Path("/proc/device-tree/model"))
        or platform.processor()
    )


def _line(file: Path, key: str = "") -> str:
    """The value of a file's first ``key : value`` line; without a key, its first line. Empty where none."""
    try:
        with file.open(errors="replace") as stream:
            for line in stream.read(_LARGEST).splitlines():
                name, _, value = line.partition(":")
                if not key or name.strip() == key:
                    return (value if key else line).strip(" \0\t")
    except OSError:
        pass
    return ""


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
