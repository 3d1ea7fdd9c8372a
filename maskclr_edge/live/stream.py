"""Labelled clips joined into one stream, and how well it was labelled as it ran: soon, calmly, correctly.

The stream goes through the product's own tracks, windows and decisions, frame by frame. A clip follows
another without a pause, as a cut in a film does: the hardest case, since nothing but the motion tells.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from maskclr_edge.data import Annotation
from maskclr_edge.errors import DataError
from maskclr_edge.live.decisions import IDLE, UNKNOWN
from maskclr_edge.live.figures import LabelChange
from maskclr_edge.live.frame import Frame
from maskclr_edge.live.labeller import Labeller, LiveSettings
from maskclr_edge.live.spans import Span
from maskclr_edge.runtime import Classifier

#: the longer side of the picture that clips of all sizes are brought to, in pixels
_SIDE = 1000
#: overlaps (intersection over union) at which spans count as found, as Lea et al., CVPR 2017
OVERLAPS = (0.1, 0.25, 0.5)


class Stream:
    """Annotations one after another at ``fps``; ``spans`` say what is when.

    They come in an order drawn by ``seed``, the first ``clips`` of them where not all are wanted.
    """

    name, live, resolution_wh = "stream", False, (_SIDE, _SIDE)

    def __init__(
        self,
        annotations: Sequence[Annotation],
        class_names: Sequence[str],
        fps: float = 30.0,
        seed: int = 0,
        clips: int | None = None,
    ) -> None:
        if not annotations:
            raise DataError("a stream takes one clip at least; the split has none")
        layouts = {annotation.layout for annotation in annotations}
        if len(layouts) != 1:
            raise DataError(f"a stream takes clips of one joint layout, got {len(layouts)}")
        self.layout: str | None = layouts.pop()
        self.fps, self.notes = fps, list[str]()
        order = np.random.default_rng(seed).permutation(len(annotations))[:clips]
        self._clips = [annotations[index] for index in order]
        self.total = sum(clip.keypoints.shape[1] for clip in self._clips)
        self.spans: list[Span] = []
        start = 0
        for clip in self._clips:
            end = start + clip.keypoints.shape[1]
            self.spans.append(Span(start / fps, end / fps, class_names[clip.label]))
            start = end

    def frames(self) -> Iterator[Frame]:
        """The people of every frame, in a picture of one size."""
        index = 0
        for clip in self._clips:
            keypoints = np.array(clip.keypoints, np.float32)
            keypoints[..., :2] *= _SIDE / max(clip.resolution_wh)
            for people in keypoints.swapaxes(0, 1):
                yield Frame(index, index / self.fps, people=people[(people[..., 2] > 0).any(axis=-1)])
                index += 1

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class StreamScores:
    """How a stream was labelled.

    detected_percent: actions whose label was shown before they ended. detection_s: from an action's start
    until its label is shown, the median over all, those never detected as infinite (None where that is the
    median), and the 90th of 100 likewise. changes_per_minute: changes of a label within one action, but for
    the one that brings the right label first. false_alarms_per_hour: changes to the label of an action that
    is not the one going on. f1: of shown spans against true ones, by the overlap at which one counts.
    right_percent: of the time, with the right label shown; unknown_percent: with no action's label shown.
    """

    minutes: float
    actions: int
    detected_percent: float
    detection_s: float | None
    detection_p90_s: float | None
    changes_per_minute: float
    false_alarms_per_hour: float
    f1: dict[str, float]
    right_percent: float
    unknown_percent: float

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


def score_stream(
    stream: Stream,
    classifier: Classifier,
    settings: LiveSettings,
    progress: Callable[[int, int, str], None] | None = None,
) -> StreamScores:
    """Let a stream run through tracks, windows and decisions, and score what was shown."""
    assert stream.layout is not None
    labeller = Labeller(classifier, settings, stream.layout, stream.resolution_wh)
    shown: list[frozenset[str]] = []
    changes: list[LabelChange] = []
    for frame in stream.frames():
        assert frame.people is not None
        people, changed = labeller.update(frame.people, frame.time_s)
        shown.append(frozenset(one.label for one in people) - {UNKNOWN, IDLE})
        changes += changed
        if progress is not None:
            progress(frame.index + 1, stream.total, "frames")
    return scores_of(stream.spans, stream.fps, shown, changes)


def scores_of(
    spans: Sequence[Span], fps: float, shown: Sequence[frozenset[str]], changes: Sequence[LabelChange]
) -> StreamScores:
    """Score what was shown at each frame, the labels of actions alone, and the changes of labels."""
    delays, right = [], 0
    for span in spans:
        first, end = round(span.start_s * fps), round(span.end_s * fps)
        hits = [span.label in labels for labels in shown[first:end]]
        right += sum(hits)
        delays.append(hits.index(True) / fps if any(hits) else np.inf)
    starts = [span.start_s for span in spans]
    false = extra = 0
    brought = set()
    for change in changes:
        at = max(bisect_right(starts, change.time_s + 1e-3) - 1, 0)
        correct = change.label == spans[at].label
        false += not correct and change.label not in (UNKNOWN, IDLE)
        if correct and at not in brought:
            brought.add(at)
        else:
            extra += 1
    minutes = len(shown) / fps / 60
    return StreamScores(
        minutes=minutes,
        actions=len(spans),
        detected_percent=100 * float(np.mean(np.isfinite(delays))),
        detection_s=_finite(float(np.percentile(delays, 50, method="higher"))),
        detection_p90_s=_finite(float(np.percentile(delays, 90, method="higher"))),
        changes_per_minute=extra / minutes,
        false_alarms_per_hour=60 * false / minutes,
        f1={str(least): _f1(spans, _shown_spans(shown, fps), least) for least in OVERLAPS},
        right_percent=100 * right / len(shown),
        unknown_percent=100 * float(np.mean([not labels for labels in shown])),
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _shown_spans(shown: Sequence[frozenset[str]], fps: float) -> list[Span]:
    """What was shown as spans: each label from where it appears until it goes."""
    spans, since = [], dict[str, int]()
    for index, labels in enumerate([*shown, frozenset[str]()]):
        for label in [label for label in since if label not in labels]:
            spans.append(Span(since.pop(label) / fps, index / fps, label))
        for label in labels:
            since.setdefault(label, index)
    return spans


def _f1(true: Sequence[Span], shown: Sequence[Span], least: float) -> float:
    """F1 in percent: a shown span counts once, for the true one of its label that it overlaps most."""
    if not shown:
        return 0.0
    taken: set[int] = set()
    starts = [span.start_s for span in true]
    for span in shown:
        first = max(bisect_right(starts, span.start_s) - 1, 0)
        best, place = 0.0, -1
        for index in range(first, len(true)):
            other = true[index]
            if other.start_s >= span.end_s:
                break
            both = min(span.end_s, other.end_s) - max(span.start_s, other.start_s)
            either = max(span.end_s, other.end_s) - min(span.start_s, other.start_s)
            if other.label == span.label and index not in taken and both / either > best:
                best, place = both / either, index
        if best >= least:
            taken.add(place)
    return 200 * len(taken) / (len(true) + len(shown))
