"""The single corruptions: what a bad pose estimator, camera or tracker does to one normalised clip.

Each function takes its own copy of a clip (M, T, 17, 3), a severity, a random generator and ``gone``, the
values (3,) of a missing joint; it changes the copy and returns it. Draws never depend on the severity: where
they decide what goes missing, a higher severity takes the same and more.
"""

import numpy as np
import numpy.typing as npt

from maskclr_edge.skeleton.layouts import H36M_JOINTS, H36M_LEFT, H36M_RIGHT

Clip = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Generator = np.random.Generator

_JOINTS = len(H36M_JOINTS)


def _limb(side: str, *joints: str) -> tuple[int, ...]:
    return tuple(H36M_JOINTS.index(f"{side}_{joint}") for joint in joints)


_ARM, _LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
LIMBS = tuple(_limb(side, *joints) for side in ("left", "right") for joints in (_ARM, _LEG))
SIDES = (H36M_LEFT, H36M_RIGHT)


def present_persons(clips: npt.NDArray[np.float32]) -> Mask:
    """Which persons of clips (..., M, T, 17, 3) are there: those with a joint of confidence above 0."""
    return np.asarray((clips[..., 2] > 0).any(axis=(-2, -1)))


def needs_two_persons(clips: Clip) -> str:
    """Why no identity can be swapped in clips (N, M, T, 17, 3); "" where one can."""
    found = (present_persons(clips).sum(axis=1) > 1).any()
    return "" if found else "it needs two persons in a clip, and none here has them"


def needs_unequal_confidences(clips: Clip) -> str:
    """Why confidences cannot be drawn together in clips (N, M, T, 17, 3); "" where they can."""
    values = clips[..., 2].reshape(len(clips), -1)
    seen = values > 0
    highest = np.where(seen, values, 0).max(axis=1)
    lowest = np.where(seen, values, np.inf).min(axis=1)
    return "" if (highest > lowest).any() else "the confidences of seen joints are equal here"


def noise(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """Another offset for every joint of every frame."""
    return _moved(clip, severity, rng.standard_normal((*clip.shape[:3], 2)))


def noise_spatial(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """One offset a joint for the whole clip: an estimator that is wrong in the same way all the time."""
    return _moved(clip, severity, rng.standard_normal((clip.shape[0], 1, _JOINTS, 2)))


def noise_temporal(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """One offset a frame for the whole body: a box or a camera that shakes."""
    return _moved(clip, severity, rng.standard_normal((*clip.shape[:2], 1, 2)))


def joints(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """So many random joints of each person are missing throughout."""
    order = rng.random((clip.shape[0], _JOINTS)).argsort(axis=1)
    for person, chosen in enumerate(order[:, : round(severity)]):
        clip[person, :, chosen] = gone
    return clip


def limb(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """So many random arms and legs of each person are missing throughout."""
    for person in range(len(clip)):
        for chosen in rng.permutation(len(LIMBS))[: round(severity)]:
            clip[person][:, LIMBS[chosen]] = gone
    return clip


def side(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """The left or the right side of each person is missing in a share of the frames, in one block."""
    for person in range(len(clip)):
        chosen = SIDES[int(rng.integers(2))]
        clip[person][_block(clip.shape[1], severity, rng)[:, None], chosen] = gone
    return clip


def points(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """Each joint of each frame is missing with a probability."""
    clip[rng.random(clip.shape[:3]) < severity] = gone
    return clip


def frames_uniform(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """A share of the frames is missing at even distances."""
    total = clip.shape[1]
    edges = np.floor(np.arange(total + 1) * severity + 1e-6)
    clip[:, np.diff(edges) > 0] = gone
    return clip


def frames_random(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """A share of the frames is missing, here and there."""
    clip[:, _some_frames(clip.shape[1], severity, rng)] = gone
    return clip


def frames_block(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """A share of the frames is missing in one block."""
    clip[:, _block(clip.shape[1], severity, rng)] = gone
    return clip


def box(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """A square that stands still hides what is behind it; its side is a share of the persons' box."""
    seen = clip[..., 2] > 0
    place = rng.random(2)
    if not seen.any():
        return clip
    xy = clip[..., :2][seen]
    low, high = xy.min(axis=0), xy.max(axis=0)
    centre = low + place * (high - low)
    half = severity * float((high - low).max()) / 2
    hidden = seen & (np.abs(clip[..., :2] - centre) <= half).all(axis=-1)
    clip[hidden] = gone
    return clip


def swap(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """Left and right joints change places in a share of the frames."""
    chosen = _some_frames(clip.shape[1], severity, rng)
    mirror = np.arange(_JOINTS)
    mirror[[*H36M_LEFT, *H36M_RIGHT]] = [*H36M_RIGHT, *H36M_LEFT]
    clip[:, chosen] = clip[:, chosen][:, :, mirror]
    return clip


def identity(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """Two persons change places in a share of the frames; a person alone keeps its own."""
    chosen = _some_frames(clip.shape[1], severity, rng)
    if len(clip) == 2 and present_persons(clip).all():
        clip[:, chosen] = clip[::-1, chosen]
    return clip


def rate(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """Only every k-th frame is new, and held until the next one: a slow camera."""
    step = round(severity)
    held = np.arange(clip.shape[1])
    held -= held % step
    return clip[:, held]


def confidence(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """All confidences lose a share of themselves."""
    clip[..., 2] *= np.float32(1 - severity)
    return clip


def confidence_flat(clip: Clip, severity: float, rng: Generator, gone: Clip) -> Clip:
    """The confidences of seen joints go a share of the way to their mean: at 1 they say nothing."""
    seen = clip[..., 2] > 0
    if seen.any():
        values = clip[..., 2][seen]
        clip[..., 2][seen] = values + np.float32(severity) * (values.mean() - values)
    return clip


def _moved(clip: Clip, sigma: float, unit: npt.NDArray[np.float64]) -> Clip:
    """Seen joints moved by sigma times ``unit``, and kept in the crop's [-1, 1] as ``crop_scale`` does."""
    seen = clip[..., 2:] > 0
    xy = clip[..., :2]
    np.copyto(xy, np.clip(xy + sigma * unit, -1, 1), where=seen, casting="same_kind")
    return clip


def _count(total: int, share: float) -> int:
    """A share of ``total`` frames as a number, rounded half up."""
    return min(total, int(np.floor(share * total + 0.5)))


def _some_frames(total: int, share: float, rng: Generator) -> npt.NDArray[np.int64]:
    return np.sort(rng.permutation(total)[: _count(total, share)])


def _block(total: int, share: float, rng: Generator) -> npt.NDArray[np.int64]:
    """Frames in a row. Blocks of one draw lie in each other: a longer one covers a shorter one."""
    where = rng.random()
    count = _count(total, share)
    return np.arange(count) + int(where * (total - count) + 0.5)
