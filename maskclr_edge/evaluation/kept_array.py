"""Arrays that took long to compute, kept in a folder so that a run that was stopped goes on from them."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import DataError
from maskclr_edge.evaluation.row_store import write_kept
from maskclr_edge.files import short_digest

Floats = npt.NDArray[np.float32]


def kept_array(
    folder: Path | None, kind: str, of: Mapping[str, Any], rows: int, compute: Callable[[], Floats]
) -> Floats:
    """``compute()``, an array (rows, K) of finite float32, or the one that an earlier run kept in ``folder``.

    The file's name is ``kind`` and a digest of ``of``, the facts that decide every number. Without a folder
    nothing is kept. Raises DataError for a kept file that is broken, ConfigError where none can be written.
    """
    if folder is None:
        return compute()
    path = folder / f"{kind}-{short_digest(dict(of))}.npy"
    if path.exists():
        return _read(path, rows)
    array = compute()
    data = io.BytesIO()
    np.save(data, np.asarray(array, np.float32), allow_pickle=False)
    write_kept(path, data.getvalue())
    return array


def _read(path: Path, rows: int) -> Floats:
    broken = f"{path}: not an array that this run kept; delete it or choose another folder"
    try:
        # mapped, so that a size that the header only claims is refused before memory is taken for it
        array = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, SyntaxError, EOFError, OverflowError, MemoryError) as error:
        raise DataError(broken) from error
    if array.dtype != np.float32 or array.ndim != 2 or len(array) != rows or not np.isfinite(array).all():
        raise DataError(broken)
    return array
