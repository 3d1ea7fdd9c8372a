"""Keypoint recordings: what a pose estimator saw, kept in one file.

Three forms are read; all of them hold pixels and confidence, never normalised coordinates.

``.npz`` (NumPy archive, plain or compressed, no pickled objects) and ``.json`` (one object) share these keys:

=================  ==========================================================================================
``keypoints``      numbers ``(M, T, V, 3)``: persons, frames, joints, ``(x px, y px, confidence)``; one person
                   may be ``(T, V, 3)``. A joint that was not seen is ``(0, 0, 0)``. Required.
``resolution_wh``  two integers, width and height of the image in pixels. Required, here or from the caller.
``layout``         a joint layout such as ``coco17``. Required, here or from the caller: 17 joints may be of
                   either COCO or Human3.6M, and guessing wrong gives confident nonsense.
``fps``            frames per second. Optional, 30 when nobody says.
``name``           what to call it. Optional, else the file's name.
=================  ==========================================================================================

``.pkl`` is a pyskl annotation file: every annotation is a recording (:func:`read_recordings`).
"""

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import DataError
from maskclr_edge.skeleton import LAYOUTS, get_layout

KEYS = ("keypoints", "resolution_wh", "layout", "fps", "name")
DEFAULT_FPS = 30.0
MAX_FILE_BYTES = 512 * 2**20
MAX_JSON_BYTES = 64 * 2**20
MAX_PERSONS = 64
MAX_RESOLUTION = 65_536
MAX_FPS = 10_000.0
#: far outside any image, yet safe to square in float32
MAX_PIXEL = 1e6


@dataclass(frozen=True)
class Recording:
    """Keypoints ``(M, T, V, 3)`` in pixels with confidence, and what is needed to understand them.

    float32, or float16 where an annotation file has them so.
    """

    keypoints: npt.NDArray[Any]
    layout: str
    resolution_wh: tuple[int, int]
    fps: float = DEFAULT_FPS
    name: str = ""

    @property
    def frames(self) -> int:
        """Number of frames, T."""
        return int(self.keypoints.shape[1])


def read_recording(
    path: str | Path,
    layout: str | None = None,
    resolution_wh: tuple[int, int] | None = None,
    fps: float | None = None,
) -> Recording:
    """Read one recording from an ``.npz``, a ``.json``, or a ``.pkl`` that holds exactly one annotation.

    ``layout`` and ``resolution_wh`` fill in what the file does not say; contradicting the file is an error.
    ``fps`` replaces the file's. Raises DataError when the file is not a usable recording.
    """
    recordings = read_recordings(path, layout, resolution_wh, fps)
    if len(recordings) != 1:
        raise DataError(f"{path}: holds {len(recordings)} annotations, one recording was expected")
    return recordings[0]


def read_recordings(
    path: str | Path,
    layout: str | None = None,
    resolution_wh: tuple[int, int] | None = None,
    fps: float | None = None,
    *,
    split: str | None = None,
) -> list[Recording]:
    """Read every recording in a file: one from ``.npz`` and ``.json``, one an annotation from ``.pkl``.

    ``split`` picks a named split of an annotation file. Raises DataError as :func:`read_recording` does.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".pkl":
        return _from_annotations(path, layout, resolution_wh, fps, split)
    if suffix not in (".npz", ".json"):
        raise DataError(f"{path}: a recording is an .npz, .json or .pkl file, not {suffix or 'suffixless'}")
    if split is not None:
        raise DataError(f"{path}: a recording has no splits; leave out the split {split!r}")
    fields = _read_npz(path) if suffix == ".npz" else _read_json(path)
    return [_recording(path, fields, layout, resolution_wh, fps)]


def write_recording(path: str | Path, recording: Recording) -> None:
    """Write a recording as a compressed ``.npz``, whole or not at all. Raises DataError when it cannot."""
    from maskclr_edge.files import write_atomically

    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise DataError(f"{path}: recordings are written as .npz")
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        keypoints=np.asarray(recording.keypoints, np.float32),
        resolution_wh=np.asarray(recording.resolution_wh, np.int64),
        layout=np.asarray(recording.layout),
        fps=np.asarray(recording.fps, np.float64),
        name=np.asarray(recording.name),
    )
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error


def _from_annotations(
    path: Path,
    layout: str | None,
    resolution_wh: tuple[int, int] | None,
    fps: float | None,
    split: str | None,
) -> list[Recording]:
    from maskclr_edge.data.annotations import read_annotations

    annotation_set = read_annotations(path, layout=layout or "coco17")
    chosen = annotation_set.split(split) if split is not None else list(annotation_set.annotations)
    if resolution_wh is not None:
        for annotation in chosen:
            _agree(path, f"resolution_wh of {annotation.name}", annotation.resolution_wh, resolution_wh)
    rate = _fps(path, fps if fps is not None else DEFAULT_FPS)
    return [Recording(a.keypoints, a.layout, a.resolution_wh, rate, a.name) for a in chosen]


def _recording(
    path: Path,
    fields: Mapping[str, Any],
    layout: str | None,
    resolution_wh: tuple[int, int] | None,
    fps: float | None,
) -> Recording:
    for key in fields:
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(KEYS)}"
            raise DataError(f"{path}: unknown key {str(key)[:60]!r}; {hint}")
    if "keypoints" not in fields:
        raise DataError(f"{path}: has no key 'keypoints' (M, T, V, 3) in pixels with confidence")
    keypoints = _keypoints(path, fields["keypoints"])
    joints = keypoints.shape[2]
    said_layout = _text(path, "layout", fields["layout"]) if "layout" in fields else None
    layout = _agree(path, "layout", said_layout, layout)
    if layout is None:
        fit = [name for name, known in LAYOUTS.items() if len(known.joints) == joints]
        names = ", ".join(fit) or "none known"
        raise DataError(f"{path}: does not say its joint layout; give one ({joints} joints: {names})")
    expected = len(get_layout(layout).joints)
    if joints != expected:
        raise DataError(f"{path}: keypoints have {joints} joints, layout {layout} has {expected}")
    said_wh = _resolution(path, fields["resolution_wh"]) if "resolution_wh" in fields else None
    given_wh = None if resolution_wh is None else _resolution(path, resolution_wh)
    size = _agree(path, "resolution_wh", said_wh, given_wh)
    if size is None:
        raise DataError(f"{path}: does not say the image size its pixels are of; give it, as in 1920x1080")
    rate = _fps(path, fps if fps is not None else fields.get("fps", DEFAULT_FPS))
    name = _text(path, "name", fields["name"]) if "name" in fields else ""
    return Recording(keypoints, layout, size, rate, name or path.stem)


def _keypoints(path: Path, value: Any) -> npt.NDArray[np.float32]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DataError(f"{path}: keypoints are ragged; every frame needs the same joints") from error
    if array.dtype.kind not in "fiu":
        raise DataError(f"{path}: keypoints hold {array.dtype}, numbers were expected")
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[-1] != 3 or 0 in array.shape:
        raise DataError(f"{path}: keypoints are {array.shape}, expected (M, T, V, 3) or (T, V, 3), none 0")
    if array.shape[0] > MAX_PERSONS:
        raise DataError(f"{path}: keypoints have {array.shape[0]} persons, at most {MAX_PERSONS} are read")
    if not np.isfinite(array).all():
        raise DataError(f"{path}: keypoints hold NaN or infinity; a joint that was not seen is (0, 0, 0)")
    if np.abs(array.astype(np.float64)).max() > MAX_PIXEL:
        raise DataError(f"{path}: keypoints reach beyond {MAX_PIXEL:.0e} pixels")
    return np.ascontiguousarray(array, np.float32)


def _agree(path: Path, what: str, said: Any, given: Any) -> Any:
    """The file's word, or the caller's where the file is silent; both only when they are equal."""
    if said is not None and given is not None and said != given:
        raise DataError(f"{path}: {what} is {said} in the file and {given} was given; leave the option out")
    return said if said is not None else given


def _text(path: Path, key: str, value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind == "U":
        value = value.item()
    if not isinstance(value, str) or len(value) > 1000:
        raise DataError(f"{path}: {key} is not a short text")
    return value


def _resolution(path: Path, value: Any) -> tuple[int, int]:
    sizes = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(sizes, Sequence) or isinstance(sizes, str) or len(sizes) != 2:
        raise DataError(f"{path}: resolution_wh is two integers, width and height")
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MAX_RESOLUTION:
            raise DataError(
                f"{path}: resolution_wh {tuple(sizes)} is not two integers of 1..{MAX_RESOLUTION}"
            )
    return int(sizes[0]), int(sizes[1])


def _fps(path: Path, value: Any) -> float:
    number = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= MAX_FPS:
        raise DataError(f"{path}: fps {number!r} is not a rate above 0 and at most {MAX_FPS:.0f}")
    return float(number)


def _read_bytes(path: Path, limit: int) -> bytes:
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise DataError(f"{path}: is not a regular file; give a recording")
    try:
        size = path.stat().st_size
        if size > limit:
            raise DataError(f"{path}: is {size / 2**20:.0f} MiB, at most {limit / 2**20:.0f} MiB are read")
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _read_json(path: Path) -> Mapping[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in items}) != len(items):
            raise ValueError("a key appears twice")
        return dict(items)

    def constant(word: str) -> float:
        raise ValueError(f"{word} is not a number")

    try:
        data = _read_bytes(path, MAX_JSON_BYTES)
        value = json.loads(data, object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not a JSON recording ({str(error)[:120]})") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: is a JSON {type(value).__name__}, an object with 'keypoints' was expected")
    return value


def _read_npz(path: Path) -> Mapping[str, Any]:
    data = _read_bytes(path, MAX_FILE_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > 2 * len(KEYS):
                raise DataError(f"{path}: holds {len(members)} arrays, a recording has at most {len(KEYS)}")
            if sum(member.file_size for member in members) > MAX_FILE_BYTES:
                raise DataError(f"{path}: unpacks to more than {MAX_FILE_BYTES / 2**20:.0f} MiB")
            return {m.filename.removesuffix(".npy"): _read_npy(archive.read(m)) for m in members}
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds on broken archives
        raise DataError(f"{path}: is not an .npz recording ({str(error)[:120]})") from error


def _read_npy(data: bytes) -> npt.NDArray[Any]:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array format {version} is not known")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    # numpy would reserve what the header claims before it finds the data missing
    if dtype.hasobject or math.prod(shape) * dtype.itemsize > len(data):
        raise ValueError("an array holds objects, or claims more values than there are")
    stream.seek(0)
    array: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array
