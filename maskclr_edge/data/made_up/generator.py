"""Labelled clips of MADE-UP motions: no person was recorded. For demonstrations, tests and trials."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from maskclr_edge.data.annotations import Annotation, AnnotationSet
from maskclr_edge.data.made_up import exercises, gestures, sports
from maskclr_edge.data.made_up.camera import RESOLUTION_WH, film
from maskclr_edge.data.made_up.figure import Array, Body, Figure
from maskclr_edge.errors import ConfigError

MAX_CLIPS = 1_000_000


class _Motion(NamedTuple):
    perform: Callable[[Figure, Array, np.random.Generator], None]
    views: tuple[float, ...]  # degrees of yaw that people film it from
    spread: float  # and how far around them
    close_up: float = 0.0  # how often only the upper body is in the picture


_FRONT, _BACK, _RIGHT, _LEFT = 0.0, 180.0, 90.0, -90.0
_MOTIONS: dict[str, _Motion] = {
    "baseball_pitch": _Motion(sports.baseball_pitch, (_FRONT, 20, -20, _BACK), 15),
    "baseball_swing": _Motion(sports.baseball_swing, (_FRONT, 20, -20), 15),
    "bench_press": _Motion(exercises.bench_press, (60, -60, 20, -20, _RIGHT, _LEFT), 15),
    "bowl": _Motion(sports.bowl, (135, 150, 165, 110), 15),
    "clean_and_jerk": _Motion(exercises.clean_and_jerk, (_FRONT, 30, -30), 15),
    "golf_swing": _Motion(sports.golf_swing, (_RIGHT, _RIGHT, _FRONT, _LEFT), 12),
    "jump_rope": _Motion(exercises.jump_rope, (_FRONT, _FRONT, 45, -45), 15),
    "jumping_jacks": _Motion(exercises.jumping_jacks, (_FRONT,), 12),
    "pullup": _Motion(exercises.pullup, (_BACK, _BACK, _BACK, _FRONT), 20),
    "pushup": _Motion(exercises.pushup, (_RIGHT, _LEFT, 60, -60), 12),
    "situp": _Motion(exercises.situp, (_RIGHT, _LEFT, 60, -60), 12),
    "squat": _Motion(exercises.squat, (_FRONT, 35, -35, 60, -60), 15),
    "strum_guitar": _Motion(exercises.strum_guitar, (_FRONT, 25, -25), 12, 0.8),
    "tennis_forehand": _Motion(sports.tennis_forehand, (_FRONT, _BACK, 135, _RIGHT), 20),
    "tennis_serve": _Motion(sports.tennis_serve, (_FRONT, 30, -30, 150, _BACK), 20),
    "bow": _Motion(gestures.bow, (_FRONT, 45, -45, _RIGHT, _LEFT), 20),
    "clap": _Motion(gestures.clap, (_FRONT, 30, -30), 15, 0.2),
    "kick": _Motion(gestures.kick, (45, -45, _RIGHT, _LEFT), 20),
    "lunge": _Motion(gestures.lunge, (45, -45, _RIGHT, _LEFT), 20),
    "punch": _Motion(gestures.punch, (45, -45, _RIGHT, _LEFT), 20),
    "raise_arms": _Motion(gestures.raise_arms, (_FRONT, 30, -30), 20),
    "throw": _Motion(gestures.throw, (45, -45, _RIGHT, _LEFT), 20),
    "wave": _Motion(gestures.wave, (_FRONT, 30, -30), 15, 0.2),
}
#: every class there is; those that Penn Action has too bear its names
MADE_UP_CLASSES = tuple(_MOTIONS)


def made_up_clips(
    count: int,
    *,
    seed: int = 0,
    frames: tuple[int, int] = (30, 90),
    persons: tuple[int, int] = (1, 1),
    classes: Sequence[str] | None = None,
    split_fractions: Mapping[str, float] | None = None,
) -> AnnotationSet:
    """Generate ``count`` MADE-UP labelled recordings, with a detector's noise and confidences.

    The layout is COCO-17, the picture 640 x 480 pixels.
    The classes take turns. ``frames`` and ``persons`` (1 or 2) are inclusive ranges; in a clip of two, both
    do the same. ``classes`` chooses and orders some of MADE_UP_CLASSES, and so the labels.
    ``split_fractions`` names the splits and their shares, by default train 0.8 and val 0.2. Equal arguments
    give equal clips, and a clip does not depend on ``count``. Raises ConfigError for an unknown class, an
    empty or impossible range, or shares that do not add up to 1.
    """
    names = MADE_UP_CLASSES if classes is None else tuple(classes)
    for name in names:
        if name not in _MOTIONS:
            close = difflib.get_close_matches(str(name), MADE_UP_CLASSES, n=3, cutoff=0.0)
            raise ConfigError(f"no made-up class is called {name!r}; did you mean {', '.join(close)}?")
    if not names or len(set(names)) != len(names):
        raise ConfigError("made-up classes must be at least one, and each given once")
    if not 0 <= count <= MAX_CLIPS:
        raise ConfigError(f"{count} made-up clips were asked for, expected 0 to {MAX_CLIPS}")
    _check_range("frames", frames, 100_000)
    _check_range("persons", persons, 2)
    fractions = {"train": 0.8, "val": 0.2} if split_fractions is None else dict(split_fractions)
    if not fractions or min(fractions.values()) < 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ConfigError(f"split fractions {fractions} must be at least 0 and add up to 1")
    annotations = tuple(_clip(index, names, seed, frames, persons) for index in range(count))
    splits: dict[str, list[str]] = {name: [] for name in fractions}
    edges = np.cumsum(list(fractions.values()))
    for index, annotation in enumerate(annotations):
        # the golden ratio spreads every split evenly over the clips, and so over the classes
        place = (index + 0.5) * 0.6180339887498949 % 1
        splits[
            tuple(fractions)[min(int(np.searchsorted(edges, place, side="right")), len(edges) - 1)]
        ].append(annotation.name)
    return AnnotationSet(
        annotations,
        {name: tuple(members) for name, members in splits.items()},
        names,
        made_up=True,
        source=f"made-up motions, seed {seed}",
    )


def _check_range(what: str, limits: tuple[int, int], most: int) -> None:
    low, high = limits
    if not 1 <= low <= high <= most:
        raise ConfigError(f"{what} of made-up clips are {low} to {high}, expected a range within 1 to {most}")


def _clip(
    index: int, names: tuple[str, ...], seed: int, frames: tuple[int, int], persons: tuple[int, int]
) -> Annotation:
    rng = np.random.default_rng([seed, index])
    label = index % len(names)
    motion = _MOTIONS[names[label]]
    length = int(rng.integers(frames[0], frames[1] + 1))
    number = int(rng.integers(persons[0], persons[1] + 1))
    people = [_person(motion, length, rng) for _ in range(number)]
    for place, joints in enumerate(people):
        joints[..., 0] += 1.5 * (place - (number - 1) / 2)
    yaw = rng.choice(motion.views) + rng.normal(0, motion.spread)
    keypoints = film(people, float(yaw), rng, close_up=bool(rng.random() < motion.close_up))
    return Annotation(f"made-up-{names[label]}-{index:05d}", label, keypoints, RESOLUTION_WH, "coco17")


def _person(motion: _Motion, length: int, rng: np.random.Generator) -> Array:
    """One performance (length, 17, 3), begun a little early or late and at an uneven pace."""
    figure = Figure(Body.drawn(rng), length)
    even = (np.arange(length) + 0.5) / length
    start, pace = rng.uniform(-0.05, 0.05), rng.uniform(0.93, 1.07)
    u = start + pace * even + rng.uniform(-0.03, 0.03) * np.sin(2 * np.pi * even)
    motion.perform(figure, u, rng)
    return figure.joints()
