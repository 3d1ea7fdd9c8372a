"""Clips of different lengths: one call for each length, answers in the order of the clips."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ShapeError

Floats = npt.NDArray[np.float32]


def infer_by_length(
    infer: Callable[[npt.NDArray[Any]], Floats], clips: Sequence[npt.NDArray[Any]], *, pad_persons: bool
) -> Floats:
    """Logits (N, K) of N clips (M, T, 17, 3) whose T, and M, may differ; ``infer`` takes (n, M, T, 17, 3).

    ``pad_persons``: fill up the persons of a length's clips with zeros, where those mean that nobody is
    there, instead of one more call for each M. Nothing is padded or cut in time: no value of a frame means
    that there is none. Raises ShapeError for what is no list of clips, and what ``infer`` raises.
    """
    arrays = [np.asarray(clip) for clip in clips]
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, clip in enumerate(arrays):
        if clip.ndim != 4:
            raise ShapeError(
                f"clip {index} of {len(arrays)} has shape {clip.shape}, expected (persons, frames, 17, 3)"
            )
        groups.setdefault(clip.shape[1:] if pad_persons else clip.shape, []).append(index)
    if not groups:
        raise ShapeError("there are no clips; expected a list of (persons, frames, 17, 3)")
    order = [index for indices in groups.values() for index in indices]
    parts = [infer(_stack([arrays[index] for index in indices])) for indices in groups.values()]
    logits = np.concatenate(parts)
    result = np.empty_like(logits)
    result[order] = logits
    return result


def _stack(clips: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Clips of one length as (n, M, T, 17, 3), with zeros for the persons that some have less."""
    most = max(len(clip) for clip in clips)
    return np.stack([np.pad(clip, [(0, most - len(clip)), *[(0, 0)] * 3]) for clip in clips])
