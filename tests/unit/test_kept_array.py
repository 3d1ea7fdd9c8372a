"""Arrays that a run keeps: taken again where they fit, refused where they are broken."""

from pathlib import Path

import numpy as np
import pytest

from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.evaluation.kept_array import Floats, kept_array


def test_what_was_kept_is_not_computed_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def compute() -> Floats:
        calls.append("")
        return np.arange(6, dtype=np.float32).reshape(2, 3)

    of = {"model": "a"}
    first = kept_array(tmp_path / "new", "logits", of, 2, compute)
    second = kept_array(tmp_path / "new", "logits", of, 2, compute)
    assert len(calls) == 1 and np.array_equal(first, second) and second.dtype == np.float32
    kept_array(tmp_path / "new", "logits", {"model": "b"}, 2, compute)
    kept_array(None, "logits", of, 2, compute)
    assert len(calls) == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }",
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 99999999999), }".ljust(117)
        + b"\n",
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    def compute() -> Floats:
        return np.zeros((2, 3), np.float32)

    kept_array(tmp_path, "logits", {}, 2, compute)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    with pytest.raises(DataError, match="delete it"):
        kept_array(tmp_path, "logits", {}, 2, compute)


def test_arrays_of_another_shape_or_with_nan_are_refused(tmp_path: Path) -> None:
    kept_array(tmp_path, "logits", {}, 2, lambda: np.array([[1.0], [np.nan]], np.float32))
    for rows in (2, 3):
        with pytest.raises(DataError, match="delete it"):
            kept_array(tmp_path, "logits", {}, rows, lambda: np.zeros((2, 1), np.float32))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        kept_array(tmp_path / "file" / "kept", "logits", {}, 1, lambda: np.zeros((1, 1), np.float32))
