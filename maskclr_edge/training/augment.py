"""Training clips from a store: random frames, moves, mirrors and crops for a whole batch at once.

The steps and ranges are MotionBERT's (lib/data/dataset_action.py, lib/utils/utils_data.py); time crops,
mirrors and the dropouts are options of ours. Every array operation runs over the batch, not clip by clip.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.skeleton import flip_clips
from maskclr_edge.training.config import TrainConfig
from maskclr_edge.training.store import ClipStore

Array = npt.NDArray[Any]

_DEGREES = 10.0
_SCALE = (0.9, 1.1)
_SHIFT = 0.1


def training_batch(
    store: ClipStore, indices: npt.NDArray[np.int64], config: TrainConfig, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Augmented clips float32 (N, M, clip_len, 17, 3) of the recordings ``indices`` (N,)."""
    times = random_times(store.lengths[indices], config.clip_len, config.time_crop, rng)
    clips = store.gather(indices, times)
    if config.flip:
        mirrored = rng.random(len(clips)) < 0.5
        clips[mirrored] = flip_clips(clips[mirrored])
    if config.random_move:
        clips = random_move(clips, rng, seen_only=config.absent == "zeros")
    clips = crop_scale_batch(
        clips, rng.uniform(*config.scale_range_train, len(clips)), projected=config.absent == "projected"
    )
    return _degrade(clips, config, rng)


def random_times(
    lengths: npt.NDArray[np.int64], frames: int, time_crop: float, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """A random frame in each of ``frames`` equal intervals of every recording: (N, frames), ascending.

    With ``time_crop`` below 1, half of the clips span a random part of the recording, at least that share.
    """
    count = len(lengths)
    share = np.ones(count)
    if time_crop < 1:
        share = np.where(rng.random(count) < 0.5, 1.0, rng.uniform(time_crop, 1.0, count))
    span = lengths * share
    start = rng.random(count) * (lengths - span)
    position = (np.arange(frames) + rng.random((count, frames))) / frames  # (N, frames) in [0, 1)
    times = (start[:, None] + position * span[:, None]).astype(np.int64)
    return np.clip(times, 0, lengths[:, None] - 1)


def random_move(clips: Array, rng: np.random.Generator, *, seen_only: bool) -> npt.NDArray[np.float32]:
    """Rotate, scale and shift clips (N, M, T, 17, 3), each by amounts that change linearly over time.

    seen_only: joints of confidence 0 stay where they are.
    """
    count, frames = len(clips), clips.shape[2]
    angle = _ramp(rng, count, frames, -_DEGREES, _DEGREES) * (np.pi / 180)
    scale = _ramp(rng, count, frames, *_SCALE)
    shift_x = _ramp(rng, count, frames, -_SHIFT, _SHIFT)
    shift_y = _ramp(rng, count, frames, -_SHIFT, _SHIFT)
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    x, y = clips[..., 0], clips[..., 1]
    moved = np.empty_like(clips)
    moved[..., 0] = cosine * x - sine * y + shift_x
    moved[..., 1] = sine * x + cosine * y + shift_y
    moved[..., 2] = clips[..., 2]
    if seen_only:
        moved *= clips[..., 2:] > 0
    return moved


def _ramp(rng: np.random.Generator, count: int, frames: int, low: float, high: float) -> Array:
    """Values (N, 1, T, 1) going in a straight line from one random number to another."""
    first, last = rng.uniform(low, high, (2, count, 1)).astype(np.float32)
    along = np.linspace(0, 1, frames, dtype=np.float32)
    ramp: Array = (first * (1 - along) + last * along)[:, None, :, None]
    return ramp


def crop_scale_batch(clips: Array, ratios: Array, *, projected: bool) -> npt.NDArray[np.float32]:
    """``skeleton.crop_scale`` for a batch (N, M, T, 17, 3) with one ratio a clip (N,), in float32.

    Equal to the single form up to rounding; tests hold it there.
    """
    count = len(clips)
    seen = clips[..., 2] != 0 if projected else clips[..., 2] > 0
    flat = seen.reshape(count, -1)
    xy = clips[..., :2].reshape(count, -1, 2)
    low = np.where(flat[..., None], xy, np.inf).min(axis=1)  # (N, 2)
    high = np.where(flat[..., None], xy, -np.inf).max(axis=1)
    usable = flat.sum(axis=1) >= 4
    low[~usable], high[~usable] = 0, 0
    size = (high - low).max(axis=1) * ratios
    usable &= size > 0
    size = np.where(usable, size, 1)
    over = (slice(None), None, None, None)
    result = np.empty_like(clips)
    centre = (low + high) / 2
    result[..., :2] = (clips[..., :2] - centre[over]) * (2 / size)[over][..., None]
    result[..., 2] = clips[..., 2]
    np.clip(result, -1, 1, out=result)
    result *= (usable[over] if projected else seen & usable[over])[..., None]
    return result


def _degrade(clips: Array, config: TrainConfig, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """The optional losses of joints, frames and confidence; what is lost is exact zeros."""
    shape = clips.shape[:4]
    if config.joint_dropout:  # a joint is gone for the whole clip
        clips = clips * (rng.random((*shape[:2], 1, 17)) >= config.joint_dropout)[..., None]
    if config.frame_dropout:  # a frame is gone for every joint
        clips = clips * (rng.random((shape[0], 1, shape[2], 1)) >= config.frame_dropout)[..., None]
    if config.confidence_noise:
        lower = rng.uniform(1 - config.confidence_noise, 1, shape).astype(np.float32)
        clips = clips.copy()
        clips[..., 2] *= lower
    result: npt.NDArray[np.float32] = clips.astype(np.float32, copy=False)
    return result
