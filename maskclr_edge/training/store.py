"""The training clips in memory at their native length, read by index in one gather a batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maskclr_edge.data import Annotation
from maskclr_edge.errors import DataError, MaskclrEdgeError
from maskclr_edge.skeleton import SkeletonContract, crop_scale, pad_persons, prepare


@dataclass(frozen=True, eq=False)
class ClipStore:
    """Recordings end to end: frames float32 (F, M, 17, 3), and each recording's offset, length and label.

    Coordinates are the camera's for ``absent: projected`` contracts; for ``absent: zeros`` each recording
    is normalised once to its own bounding box, so that random moves turn about the person.
    """

    frames: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def from_annotations(
        cls,
        annotations: Sequence[Annotation],
        contract: SkeletonContract,
        *,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> "ClipStore":
        """Convert annotations once, by the contract. Raises DataError for none, or for a label beyond it."""
        if not annotations:
            raise DataError("there are no annotations to train on; choose a split that has some")
        parts = []
        for position, annotation in enumerate(annotations):
            if not 0 <= annotation.label < len(contract.class_names):
                raise DataError(
                    f"annotation {annotation.name!r} has label {annotation.label}, the config has "
                    f"{len(contract.class_names)} action_classes; raise action_classes or use other data"
                )
            try:
                clip = prepare(
                    annotation.keypoints,
                    contract,
                    layout=annotation.layout,
                    resolution_wh=annotation.resolution_wh,
                )
            except MaskclrEdgeError as error:
                raise type(error)(f"annotation {annotation.name!r}: {error}") from error
            clip = pad_persons(clip, contract.persons)
            if contract.absent == "zeros":
                clip = crop_scale(clip, 1.0)
            parts.append(clip.transpose(1, 0, 2, 3))  # (T, M, 17, 3)
            if progress is not None:
                progress(position + 1, len(annotations), "clips")
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        return cls(
            frames=np.concatenate(parts),
            offsets=np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64),
            lengths=lengths,
            labels=np.array([annotation.label for annotation in annotations], dtype=np.int64),
        )

    def gather(self, indices: npt.NDArray[np.int64], times: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Frames ``times`` (N, T) of recordings ``indices`` (N,), as clips (N, M, T, 17, 3)."""
        clips = self.frames[self.offsets[indices][:, None] + times]
        return np.ascontiguousarray(clips.transpose(0, 2, 1, 3, 4))
