"""Files written whole or not at all, and where caches lie."""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write ``data`` to a temporary sibling, flush it to disk and rename it over ``path``.

    A full disk or a kill leaves the old file, or none. Raises OSError that names ``path``.
    """
    path = Path(path)
    try:
        _write(path, data)
    except OSError as error:  # naming the sibling would only puzzle
        raise OSError(error.errno, error.strerror, str(path)) from error


def short_digest(facts: Any) -> str:
    """Sixteen hex digits for a file's name, of facts as JSON holds them."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def cache_folder() -> Path:
    """Where caches lie: MASKCLR_EDGE_CACHE, or a folder of the user's."""
    own = os.environ.get("MASKCLR_EDGE_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maskclr-edge"


def _write(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
