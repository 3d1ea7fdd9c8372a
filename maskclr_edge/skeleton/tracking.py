"""Which detected person is which, from frame to frame, in a recording of two persons."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ShapeError

Array = npt.NDArray[Any]


def track_identity(keypoints: Array, absent: Literal["zeros", "projected"] = "zeros") -> Array:
    """Undo swaps of person 0 and 1 in keypoints (M, T, V, 2 or 3); M of 1 comes back as it is.

    "projected" is MotionBERT's ``human_tracking`` to the letter: a swap begins, or ends, at each frame
    where person 0 is nearer to where person 1 was (summed joint distances) than to where person 0 was,
    absent persons and unseen joints included. "zeros" is the same rule over joints that are seen in both
    frames; a person without any confidence above 0 in a frame is absent there, is never compared, and keeps
    its identity until it returns. Raises ShapeError for more than two persons.
    """
    if keypoints.ndim != 4 or keypoints.shape[-1] not in (2, 3) or keypoints.shape[0] not in (1, 2):
        raise ShapeError(
            f"keypoints have shape {keypoints.shape}, identity tracking needs "
            "(persons, frames, joints, 3) with 1 or 2 persons; keep two with select_persons()"
        )
    if keypoints.shape[0] == 1 or keypoints.shape[1] == 1:
        return keypoints
    if absent == "projected" or keypoints.shape[-1] == 2:
        swapped = _swapped_upstream(keypoints[..., :2])
    else:
        seen = keypoints[..., 2] > 0
        present: Array = np.any(seen, axis=-1)
        if not present.any(axis=-1).all():
            return keypoints  # one of the two is never there: nothing to confuse
        if present.all():
            swapped = _swapped_both_present(keypoints[..., :2], seen)
        else:
            swapped = _swapped_with_gaps(keypoints[..., :2], seen, present)
    return np.where(swapped[None, :, None, None], keypoints[::-1], keypoints)


def _swapped_upstream(xy: Array) -> npt.NDArray[np.bool_]:
    """Which frames are swapped, by MotionBERT's rule: the parity of the switches so far."""
    stay = np.linalg.norm(xy[0, 1:] - xy[0, :-1], axis=-1).sum(axis=-1)
    switch = np.linalg.norm(xy[0, 1:] - xy[1, :-1], axis=-1).sum(axis=-1)
    return np.concatenate(([False], np.cumsum(stay > switch) % 2 == 1))


def _swapped_both_present(xy: Array, seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    stay = _distance(xy[0, 1:], seen[0, 1:], xy[0, :-1], seen[0, :-1])
    switch = _distance(xy[0, 1:], seen[0, 1:], xy[1, :-1], seen[1, :-1])
    with np.errstate(invalid="ignore"):  # no joint in common: NaN compares false, the identity stays
        return np.concatenate(([False], np.cumsum(stay > switch) % 2 == 1))


def _distance(a: Array, seen_a: Array, b: Array, seen_b: Array) -> Array:
    """Mean distance over the joints (..., V) seen in both; NaN where there are none."""
    both = seen_a & seen_b
    total = np.where(both, np.linalg.norm(a - b, axis=-1), 0).sum(axis=-1)
    return np.where(both.any(axis=-1), total / np.maximum(both.sum(axis=-1), 1), np.nan)


def _swapped_with_gaps(xy: Array, seen: Array, present: Array) -> npt.NDArray[np.bool_]:
    """Which frames are swapped where somebody leaves or enters: compared with the last sight of each."""
    swapped = np.zeros(xy.shape[1], dtype=bool)
    last: list[int | None] = [None, None]  # frame in which each track was last present
    state = False

    def cost(slot: int, frame: int, track: int) -> float:
        past = last[track]
        if past is None:
            return np.nan
        was = track ^ int(swapped[past])  # the slot that held this track then
        return float(_distance(xy[slot, frame], seen[slot, frame], xy[was, past], seen[was, past]))

    for frame in range(xy.shape[1]):
        slots = [slot for slot in (0, 1) if present[slot, frame]]
        if slots and last != [None, None]:
            state = _decide(
                state,
                [[cost(slot, frame, track) for track in (0, 1)] for slot in slots],
                slots,
                xy,
                seen,
                frame,
            )
        swapped[frame] = state
        for slot in slots:
            last[slot ^ int(state)] = frame
    return swapped


def _decide(
    state: bool, costs: list[list[float]], slots: list[int], xy: Array, seen: Array, frame: int
) -> bool:
    """Whether a frame is swapped, by the cost of each present slot for each track (NaN: never seen)."""
    if len(slots) == 2:
        # one known track: it takes whichever of the two is nearer; two known tracks: the cheaper pairing
        plain = np.nansum([costs[0][0], costs[1][1]])
        crossed = np.nansum([costs[0][1], costs[1][0]])
        return state if plain == crossed else bool(crossed < plain)
    slot, (to_first, to_second) = slots[0], costs[0]
    if not np.isnan(to_first) and not np.isnan(to_second):
        nearer = int(to_second < to_first)
        return state if to_first == to_second else bool(slot ^ nearer)
    known = int(np.isnan(to_first))
    if np.isnan(costs[0][known]) or slot ^ int(state) == known:
        return state
    # A lone person in the other slot is the known one if it moved by less than half its own size, else
    # somebody new.
    points = xy[slot, frame][seen[slot, frame]]
    size = float(np.ptp(points, axis=0).max())
    return bool(slot ^ known) if costs[0][known] < size / 2 else state
