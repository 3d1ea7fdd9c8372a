"""A model file for several people, made from what mediapipe's own wheel carries.

mediapipe 0.10.14 has a pose detector and a landmark network for its one-person solution; ``PoseLandmarker``,
which finds several people, wants the two in one archive with their input normalisation written into each as
TFLite metadata. The archive is made once and kept in the user's cache folder; nothing is downloaded.
"""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

from maskclr_edge.errors import SourceError
from maskclr_edge.files import write_atomically
from maskclr_edge.optional import require

#: name in the archive, file in the wheel, mean and deviation of the input pixels (MediaPipe's pose graphs:
#: the detector takes -1..1, the landmark network 0..1)
_PARTS = (
    ("pose_detector.tflite", "modules/pose_detection/pose_detection.tflite", 127.5, 127.5),
    ("pose_landmarks_detector.tflite", "modules/pose_landmark/pose_landmark_full.tflite", 0.0, 255.0),
)


def cache_folder() -> Path:
    """Where derived files are kept: ``$XDG_CACHE_HOME/maskclr-edge``, or ``~/.cache/maskclr-edge``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "maskclr-edge"


def pose_task() -> bytes:
    """The archive, from the cache or newly made. Raises SourceError when the wheel lacks its models."""
    mediapipe: Any = require("mediapipe")
    path = cache_folder() / f"pose-{mediapipe.__version__}.task"
    try:
        data = path.read_bytes()
        if _whole(data):
            return data
    except OSError:
        pass
    data = build_pose_task(Path(mediapipe.__file__).parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError:
        pass  # a read-only or full cache costs a second at each start, nothing more
    return data


def build_pose_task(mediapipe_folder: Path) -> bytes:
    """Make the archive from the models in mediapipe's folder. Raises SourceError when they are not there."""
    writers: Any = require("mediapipe.tasks.python.metadata.metadata_writers.metadata_writer")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, inside, mean, deviation in _PARTS:
            try:
                model = (mediapipe_folder / inside).read_bytes()
            except OSError as error:
                raise SourceError(
                    f"mediapipe here does not carry {inside}; install the release that does: "
                    "pip install 'mediapipe==0.10.14'"
                ) from error
            writer = writers.MetadataWriter.create(bytearray(model))
            writer.add_image_input([mean], [deviation])
            with_metadata, _ = writer.populate()
            # A fixed date: the same wheel gives the same bytes.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), bytes(with_metadata))
    return buffer.getvalue()


def _whole(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return sorted(archive.namelist()) == sorted(part[0] for part in _PARTS) and not archive.testzip()
    except zipfile.BadZipFile:
        return False
