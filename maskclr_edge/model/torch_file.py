"""PyTorch files read as data: sizes bounded first, and no code of theirs is ever run."""

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from maskclr_edge.errors import CheckpointError

MAX_FILE_BYTES = 4 << 30
MAX_PICKLE_BYTES = 64 << 20
MAX_ENTRIES = 100_000

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_REFUSED_GLOBAL = re.compile(r"GLOBAL (\w+(?:\.\w+)+)")


class _Skipped:
    """Stands for a NumPy scalar in a file, such as an accuracy: the unpickler may make it; never read."""

    def __init__(self, *args: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


_NUMPY_SCALARS = [
    (_Skipped, name)
    for name in ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")
]


def is_torch_file(path: Path) -> bool:
    """Whether a file starts as torch.save writes it (and not as a safetensors file does).

    Raises CheckpointError for a file that cannot be read.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise CheckpointError(f"{path}: not a regular file; give a checkpoint")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    return start.startswith((_ZIP, _PICKLE)) and start[8:] != b"{"


def load_torch_file(path: Path) -> Any:
    """What torch.save wrote, on the CPU: containers, numbers, text and tensors only.

    Raises CheckpointError for a file that is damaged, too large, packed, or in need of code.
    """
    if not is_torch_file(path):
        raise CheckpointError(f"{path}: not a PyTorch checkpoint (.bin, .pth)")
    _check_sizes(path)
    try:
        with torch.serialization.safe_globals(list(_NUMPY_SCALARS)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it makes of an unusual pickle is in the error
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = _REFUSED_GLOBAL.search(str(error))
        if refused:
            raise CheckpointError(
                f"{path}: refused, it asks for {refused[1]}: a checkpoint of tensors needs no code"
            ) from error
        raise CheckpointError(f"{path}: not a whole PyTorch checkpoint; get it again") from error
    except Exception as error:  # the reader raises whatever a damaged byte leads it to
        raise CheckpointError(
            f"{path}: not a whole PyTorch checkpoint ({_first_line(error)}); get it again"
        ) from error


def _check_sizes(path: Path) -> None:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise CheckpointError(f"{path}: {size} bytes; checkpoints of at most {MAX_FILE_BYTES} are read")
    with path.open("rb") as file:
        if file.read(4) != _ZIP:
            return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(
            f"{path}: not a whole PyTorch checkpoint ({_first_line(error)}); get it again"
        ) from error
    unpacked = sum(entry.file_size for entry in entries)
    # torch.save stores without compression, so an entry larger than its place in the file is a trap
    if unpacked > size or len(entries) > MAX_ENTRIES:
        raise CheckpointError(
            f"{path}: {size} bytes that would unpack to {unpacked} in {len(entries)} parts; refused"
        )
    index = max((entry.file_size for entry in entries if entry.filename.endswith("data.pkl")), default=0)
    if index > MAX_PICKLE_BYTES:
        raise CheckpointError(f"{path}: its index takes {index} bytes; at most {MAX_PICKLE_BYTES} are read")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
