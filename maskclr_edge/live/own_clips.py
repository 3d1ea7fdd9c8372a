"""Clips of a person's own actions: followed people and labelled spans in, annotations to train on out."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from maskclr_edge.data import Annotation, AnnotationSet
from maskclr_edge.errors import DataError
from maskclr_edge.live.geometry import size_of
from maskclr_edge.live.spans import EVERYONE, NEAREST, Span
from maskclr_edge.live.view import EndRun, Moment
from maskclr_edge.live.windows import LEAST_S, Window

TRAIN, VAL = "train", "val"
#: clips are kept at this rate at most: more frames a second tell the network nothing
_MOST_FPS = 30.0
#: share of a clip in which its person must have been seen
_LEAST_SEEN = 0.6
#: of someone who is told to begin, the first moments are not the action yet
REACTION_S = 0.4

Array = npt.NDArray[np.float32]
Seen = tuple[float, Array]
Prompt = Callable[[Span | None, Span | None, float], None]


class SpanKeeper:
    """A view that keeps everyone's skeletons while a span lasts, and ends the run after the last one.

    prompt is called at each moment with the span that it is in, the one that comes next, and the time in
    seconds. reaction_s: how much of a span's beginning is not the action yet.
    """

    def __init__(self, spans: Sequence[Span], prompt: Prompt | None = None, reaction_s: float = 0.0) -> None:
        self.spans, self.seen_until_s = list[Span](), 0.0
        self._prompt, self._reaction_s = prompt, reaction_s
        self._ends_s = max((span.end_s for span in spans), default=math.inf)
        self._kept: list[dict[int, list[Seen]]] = []
        for span in spans:
            self.add(span)

    def add(self, span: Span) -> None:
        """Keep who is seen in one more span."""
        self.spans.append(span)
        self._kept.append(defaultdict(list))

    def show(self, moment: Moment) -> None:
        """Keep who is seen. Raises EndRun when no span is left."""
        self.seen_until_s = moment.time_s
        for span, kept in zip(self.spans, self._kept, strict=True):
            if span.start_s + self._reaction_s <= moment.time_s <= span.end_s:
                for person in moment.people:
                    kept[person.number].append((moment.time_s, person.keypoints))
        if self._prompt is not None:
            now = next((span for span in self.spans if span.start_s <= moment.time_s <= span.end_s), None)
            later = next((span for span in self.spans if span.start_s > moment.time_s), None)
            self._prompt(now, later, moment.time_s)
        if moment.time_s > self._ends_s:
            raise EndRun

    def finish(self) -> None:
        """The run is over: see KeyedKeeper."""

    def people_of(self, index: int) -> dict[int, list[Seen]]:
        """Who does span ``index``, and how they were seen, by the number of their track."""
        person, kept = self.spans[index].person, self._kept[index]
        if person == EVERYONE or not kept:
            return dict(kept)
        if person == NEAREST:
            nearest = max(kept, key=lambda number: _presence(kept[number]))
            return {nearest: kept[nearest]}
        return {int(person): kept[int(person)]} if int(person) in kept else {}


@dataclass
class Cut:
    """The clips of a recording, and what a user should know of it."""

    annotations: AnnotationSet
    notes: list[str]


def cut_clips(
    keeper: SpanKeeper,
    *,
    name: str,
    layout: str,
    resolution_wh: tuple[int, int],
    fps: float,
    clip_s: float = 2.5,
    val_share: float = 0.25,
    older: AnnotationSet | None = None,
) -> Cut:
    """Cut what a keeper saw into clips of ``clip_s`` seconds that overlap by half; the splits are train, val.

    The last spans of each label, ``val_share`` of them, are val; of a label with one span its last part is.
    So no moment is in both. older: a set that these clips are added to.
    Raises DataError when a label has no clip.
    """
    notes: list[str] = []
    annotations = list(older.annotations) if older else []
    classes = list(older.class_names) if older else []
    splits = {TRAIN: list(older.splits.get(TRAIN, ())) if older else [],
              VAL: list(older.splits.get(VAL, ())) if older else []}  # fmt: skip
    new: dict[str, int] = {span.label: 0 for span in keeper.spans}
    for index, span, split in _parts(keeper.spans, val_share):
        label = classes.index(span.label) if span.label in classes else len(classes)
        found = 0
        for seen in keeper.people_of(index).values():
            for keypoints in _clips(seen, span, clip_s, min(fps, _MOST_FPS)):
                unique = f"{len(annotations):05d} {name} {span.label} {span.start_s:.1f}"[:500]
                annotations.append(Annotation(unique, label, keypoints, resolution_wh, layout))
                splits[split].append(unique)
                found += 1
        if found and label == len(classes):
            classes.append(span.label)
        new[span.label] += found
        if not found:
            notes.append(
                f"{span.label}, {span.start_s:.1f} to {span.end_s:.1f} s: nobody was seen long enough"
            )
    empty = [label for label, count in new.items() if not count]
    if empty:
        raise DataError(
            f"{name}: no clip of {', '.join(empty)}: nobody was seen there for {LEAST_S:g} s; check the "
            f"times (the source ended at {keeper.seen_until_s:.1f} s), and that whole bodies are in view"
        )
    result = AnnotationSet(
        tuple(annotations), {key: tuple(members) for key, members in splits.items()}, tuple(classes),
        made_up=older.made_up if older else False, source=older.source if older else name,
    )  # fmt: skip
    for split in (TRAIN, VAL):
        lacking = set(classes) - {classes[one.label] for one in result.split(split)}
        if lacking:
            notes.append(f"{split} has no clip of {', '.join(sorted(lacking))}: label more of it")
    return Cut(result, notes)


def _parts(spans: Sequence[Span], val_share: float) -> list[tuple[int, Span, str]]:
    """Spans with their index and split; one that is the only one of its label is cut in two."""
    of_label: dict[str, list[int]] = defaultdict(list)
    for index, span in enumerate(spans):
        of_label[span.label].append(index)
    parts = []
    for members in of_label.values():
        held = min(max(round(val_share * len(members)), 1), len(members) - 1) if val_share else 0
        for place, index in enumerate(members):
            span = spans[index]
            if len(members) > 1 or not val_share:
                parts.append((index, span, TRAIN if place < len(members) - held else VAL))
                continue
            edge = span.end_s - val_share * (span.end_s - span.start_s)
            parts.append((index, replace(span, end_s=edge), TRAIN))
            parts.append((index, replace(span, start_s=edge), VAL))
    return sorted(parts, key=lambda part: part[1].start_s)


def _clips(seen: Sequence[Seen], span: Span, clip_s: float, fps: float) -> list[Array]:
    """Clips (1, T, V, 3) of one person in a span: half overlapping, the last one flush with its end."""
    length = min(clip_s, span.end_s - span.start_s)
    count = 1 + math.ceil((span.end_s - span.start_s - length) / (clip_s / 2) - 1e-6)
    clips = []
    for start in np.linspace(span.start_s, span.end_s - length, count):
        window = Window(math.inf)
        for time_s, keypoints in seen:
            if start <= time_s <= start + length:
                window.add(time_s, keypoints)
        if window.span_s >= max(LEAST_S, _LEAST_SEEN * length):
            clips.append(window.sample(max(round(window.span_s * fps), 2)))
    return clips


def _presence(seen: Sequence[Seen]) -> float:
    """How much of somebody was seen: moments, weighted by their size in the picture."""
    return sum(size_of(keypoints) for _, keypoints in seen)
