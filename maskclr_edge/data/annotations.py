"""Annotation files: labelled keypoint recordings in pyskl's pickle form, checked one by one as they are read.

Source of the form: pyskl's skeleton annotation format (``split`` and ``annotations``, each with
``frame_dir``, ``label``, ``img_shape`` (h, w), ``keypoint`` (M, T, V, 2) and ``keypoint_score`` (M, T, V)).
The keys ``classes`` (names by label), ``note`` and ``made_up`` are optional additions.
"""

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.data.plain_pickle import MAX_BYTES, read_plain_pickle
from maskclr_edge.errors import DataError
from maskclr_edge.skeleton import MAX_PIXEL, get_layout

MAX_PERSONS = 2
MAX_FRAMES = 100_000
MAX_CLASSES = 10_000
MAX_SIDE = 65_536


@dataclass(frozen=True, eq=False)
class Annotation:
    """One labelled recording: keypoints (M, T, V, 3), pixels and confidence, in the order of ``layout``.

    The keypoints are float32, or float16 where the file has them so (NTU RGB+D: half the memory, and the
    precision that upstream weights were trained at).
    """

    name: str
    label: int
    keypoints: npt.NDArray[Any]
    resolution_wh: tuple[int, int]
    layout: str


@dataclass(frozen=True, eq=False)
class AnnotationSet:
    """Annotations, the names of the splits they form, and the class names that their labels index.

    ``made_up`` says that the motions are generated, not recorded. ``source`` says where they come from, for
    reports.
    """

    annotations: tuple[Annotation, ...]
    splits: Mapping[str, tuple[str, ...]]
    class_names: tuple[str, ...]
    made_up: bool = False
    source: str = ""
    _index: dict[str, Annotation] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {annotation.name: annotation for annotation in self.annotations})

    def split(self, name: str) -> list[Annotation]:
        """The annotations of one split, in its order. Raises DataError that names the splits there are."""
        if name not in self.splits:
            known = ", ".join(sorted(self.splits)) or "none"
            raise DataError(f"{self.source}: has no split {name!r}; its splits are: {known}")
        return [self._index[member] for member in self.splits[name]]

    def for_classes(self, class_names: Sequence[str]) -> "AnnotationSet":
        """The same annotations with their labels counted in a model's ``class_names``.

        Raises DataError for an annotation whose class is not among them.
        """
        if tuple(class_names) == self.class_names:
            return self
        place = {name: label for label, name in enumerate(class_names)}
        used = {annotation.label for annotation in self.annotations}
        for label in sorted(used):
            if self.class_names[label] not in place:
                close = difflib.get_close_matches(self.class_names[label], place, n=3, cutoff=0.0)
                raise DataError(
                    f"{self.source}: class {self.class_names[label]!r} is not among the {len(place)} classes "
                    f"expected (closest: {', '.join(close)}); use data of those classes, or a model of these"
                )
        relabelled = (replace(one, label=place[self.class_names[one.label]]) for one in self.annotations)
        return replace(self, annotations=tuple(relabelled), class_names=tuple(class_names))


def read_annotations(
    path: str | os.PathLike[str],
    *,
    layout: str = "coco17",
    class_names: Sequence[str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> AnnotationSet:
    """Read a pyskl annotation pickle; no code in it can run, and every annotation is checked.

    ``layout`` is the joint order of the file, which it does not say itself. ``class_names`` (of the model,
    say) name the labels of a file that has no ``classes``, and bound them; without either they are called
    ``class 0``, ``class 1``, ... Missing ``keypoint_score`` counts as 1. Raises DataError that names the
    file, the annotation and what to do; ConfigError for an unknown layout.
    """
    get_layout(layout)
    content = read_plain_pickle(path, max_bytes=max_bytes)
    source = str(path)
    raw = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(raw, list) or not raw:
        raise DataError(
            f"{source}: holds no annotations; expected a pyskl pickle: a dict "
            "with the keys 'annotations' (a list) and 'split'"
        )
    names = _class_names(source, content.get("classes"), class_names)
    annotations: list[Annotation] = []
    taken: set[str] = set()
    for position, entry in enumerate(raw):
        raw[position] = None  # frees the file's own arrays as they are copied
        where = f"{source}: annotation {position + 1} of {len(raw)}"
        annotation = _annotation(where, entry, layout, len(names) if names else MAX_CLASSES)
        if annotation.name in taken:
            raise DataError(
                f"{where} has the frame_dir {_quote(annotation.name)} of another one; give each its own"
            )
        taken.add(annotation.name)
        annotations.append(annotation)
    if not names:
        names = tuple(f"class {label}" for label in range(max(one.label for one in annotations) + 1))
    splits = _splits(source, content.get("split", {}), taken)
    return AnnotationSet(tuple(annotations), splits, names, content.get("made_up") is True, Path(path).name)


def _annotation(where: str, entry: object, layout: str, classes: int) -> Annotation:
    if not isinstance(entry, dict):
        raise DataError(f"{where} is a {type(entry).__name__}; expected a dict")
    name = entry.get("frame_dir")
    if not isinstance(name, str) or not 0 < len(name) <= 500:
        raise DataError(f"{where} has no frame_dir; give it a unique name of at most 500 characters")
    where = f"{where} ({_quote(name)})"
    label = entry.get("label")
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < classes:
        raise DataError(f"{where} has label {_quote(label)}; expected a whole number from 0 to {classes - 1}")
    keypoints = _keypoints(where, entry, layout)
    return Annotation(name, label, keypoints, _resolution(where, entry.get("img_shape")), layout)


def _keypoints(where: str, entry: Mapping[str, Any], layout: str) -> npt.NDArray[Any]:
    joints = len(get_layout(layout).joints)
    xy, score = entry.get("keypoint"), entry.get("keypoint_score")
    if not isinstance(xy, np.ndarray) or xy.ndim != 4 or xy.shape[2:] != (joints, 2):
        raise DataError(
            f"{where} has a keypoint of shape {_shape(xy)}; expected "
            f"(persons, frames, {joints}, 2) for layout {layout}"
        )
    if score is None:
        score = np.ones(xy.shape[:3], dtype=np.float16)
    if not isinstance(score, np.ndarray) or score.shape != xy.shape[:3]:
        raise DataError(f"{where} has a keypoint_score of shape {_shape(score)}; expected {xy.shape[:3]}")
    persons, frames = xy.shape[:2]
    if not 1 <= persons <= MAX_PERSONS:
        raise DataError(f"{where} has {persons} persons; expected 1 or {MAX_PERSONS}: keep those who act")
    if not 1 <= frames <= MAX_FRAMES:
        raise DataError(
            f"{where} has {frames} frames; expected 1 to {MAX_FRAMES}, leave it out of the file or cut it"
        )
    total = entry.get("total_frames", frames)
    if total != frames:
        raise DataError(
            f"{where} says total_frames {_quote(total)}, its keypoint has {frames} frames; make them agree"
        )
    half = xy.dtype == np.float16 and score.dtype == np.float16
    keypoints = np.empty((persons, frames, joints, 3), dtype=np.float16 if half else np.float32)
    with np.errstate(over="ignore"):  # an overflow to infinity is reported below as what it is
        keypoints[..., :2] = xy
        keypoints[..., 2] = score
    if not np.isfinite(keypoints).all():
        person, frame, joint, _ = np.argwhere(~np.isfinite(keypoints))[0]
        raise DataError(
            f"{where} has NaN or infinity at person {person}, frame {frame}, "
            f"joint {get_layout(layout).joints[joint]}; expected finite numbers: "
            "give an unseen joint as 0 with score 0"
        )
    if not half and np.abs(keypoints[..., :2]).max() > MAX_PIXEL:
        raise DataError(
            f"{where} has a coordinate beyond {MAX_PIXEL:.0f}; expected pixels of the image in img_shape"
        )
    return keypoints


def _resolution(where: str, shape: object) -> tuple[int, int]:
    sides = shape.tolist() if isinstance(shape, np.ndarray) else shape
    if not isinstance(sides, tuple | list) or len(sides) < 2:
        raise DataError(f"{where} has no img_shape; expected (height, width) in pixels")
    height, width = sides[:2]
    for side in (height, width):
        if not isinstance(side, int) or not 1 <= side <= MAX_SIDE:
            raise DataError(
                f"{where} has {_quote(side)} in img_shape; expected (height, width) in 1 to {MAX_SIDE} pixels"
            )
    return width, height


def _class_names(source: str, stored: object, given: Sequence[str] | None) -> tuple[str, ...]:
    """The file's own names, else the given ones, else none."""
    if stored is None:
        return tuple(given or ())
    if not isinstance(stored, list | tuple) or not 0 < len(stored) <= MAX_CLASSES:
        raise DataError(f"{source}: 'classes' must list 1 to {MAX_CLASSES} names")
    if not all(isinstance(name, str) and 0 < len(name) <= 200 for name in stored) or len(set(stored)) != len(
        stored
    ):
        raise DataError(f"{source}: 'classes' must be different names of 1 to 200 characters each")
    return tuple(stored)


def _splits(source: str, raw: object, taken: set[str]) -> dict[str, tuple[str, ...]]:
    if not isinstance(raw, dict) or not all(
        isinstance(name, str) and isinstance(members, list | tuple) for name, members in raw.items()
    ):
        raise DataError(f"{source}: 'split' must be a dict of lists of frame_dir names")
    for name, members in raw.items():
        for member in members:
            if not isinstance(member, str) or member not in taken:
                raise DataError(
                    f"{source}: split {_quote(name)} names {_quote(member)}, which is no annotation "
                    "of the file; remove it from the split, or add the annotation"
                )
    return {name: tuple(members) for name, members in raw.items()}


def _quote(value: object) -> str:
    """A value for an error message: one short line, whatever it is."""
    text = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def _shape(value: object) -> str:
    return str(value.shape) if isinstance(value, np.ndarray) else f"none (it is a {type(value).__name__})"
