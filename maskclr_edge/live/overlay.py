"""What a person sees: skeletons, where people went, a label on each of them, a line of figures. OpenCV."""

from collections.abc import Sequence

import numpy as np

from maskclr_edge.live.canvas import DARK, GREY, WHITE, Canvas, Colour
from maskclr_edge.live.cards import Box, Cards
from maskclr_edge.live.decisions import IDLE, UNKNOWN
from maskclr_edge.live.figures import Figures
from maskclr_edge.live.geometry import SEEN, Array, box_of
from maskclr_edge.live.labeller import Labelled
from maskclr_edge.skeleton import get_layout, to_h36m

#: a picture lower than this is drawn at twice the size, so that text can be read
_LOW = 480
#: width of a card, in the canvas's units; a longer label is cut
_NARROWEST, _WIDEST = 176, 280
#: colours of persons, BGR, told apart by people with any colour vision (Okabe and Ito)
PERSONS: tuple[Colour, ...] = (
    *((0, 159, 230), (233, 180, 86), (115, 158, 0)),
    *((66, 228, 240), (178, 114, 0), (167, 121, 204)),
    *((0, 94, 213), (205, 205, 205)),
)
_UNSURE, _SURE, _GLOW, _WARN = (60, 120, 245), (150, 225, 80), (255, 120, 255), (80, 190, 255)

#: from the eyes to the crown of a head, in parts of a skeleton's height
_CROWN = 0.09
#: places of a trail that are drawn alike, at once
_TRAIL_STEP = 4
#: from hardly to clearly seen
_TONES: list[Colour] = [
    (round(b), round(g), round(r)) for b, g, r in np.linspace(_UNSURE, _SURE, 33).tolist()
]


class Overlay:
    """Draws on copies of frames; ``size_wh`` is the size of what it gives.

    Bones and joints go from orange, hardly seen, to green, clearly seen. A joint glows as much as the model
    looks at it, where that is known.
    """

    def __init__(self, resolution_wh: tuple[int, int], layout: str) -> None:
        self.scale = 2 if resolution_wh[1] < _LOW else 1
        # video codecs want even sides
        self.size_wh = (resolution_wh[0] * self.scale // 2 * 2, resolution_wh[1] * self.scale // 2 * 2)
        self._layout = get_layout(layout)
        self._canvas = Canvas(self.size_wh)
        self._cards = Cards(self._canvas.inside)

    def draw(
        self, image: Array | None, people: Sequence[Labelled], figures: Figures, caption: str = ""
    ) -> Array:
        """A picture (H, W, 3) of BGR bytes; a dark ground where the source has no images.

        caption: words for the person in front of the camera, large.
        """
        canvas = self._canvas
        canvas.begin(image)
        for person in people:
            self._trail(person)
        for person in people:
            self._glow(person)
            self._skeleton(person)
        self._cards.begin([self._box(person) for person in people])
        for person in people:
            self._label(person)
        self._hud(figures)
        if caption:
            canvas.banner(caption)
        return canvas.picture

    def _trail(self, person: Labelled) -> None:
        """Where the feet went: the line grows thinner and darker into the past."""
        points = np.array(person.trail).reshape(-1, 2) * self.scale
        colour, count = colour_of(person.number), max(len(points) - 1, 1)
        for begin in range(0, count, _TRAIL_STEP):
            fresh = min(begin + _TRAIL_STEP, count) / count
            blue, green, red = (int(value * (0.35 + 0.65 * fresh)) for value in colour)
            part = points[begin : begin + _TRAIL_STEP + 1]
            self._canvas.lines(part[:-1], part[1:], (blue, green, red), 0.8 + 2.2 * fresh)

    def _glow(self, person: Labelled) -> None:
        if person.importance is None:
            return
        joints = to_h36m(person.keypoints[None, None], self._layout.name, "h36m")[0, 0]
        share = person.importance / max(float(person.importance.max()), 1e-9)
        for (x, y, seen), much in zip(joints, share, strict=True):
            if seen > 0 and much > 0.25:
                at = (x * self.scale, y * self.scale)
                self._canvas.disc(at, 4 + 15 * float(much), _GLOW, 0.65 * float(much))

    def _skeleton(self, person: Labelled) -> None:
        points, sure = person.keypoints[:, :2] * self.scale, person.keypoints[:, 2]
        bones = [(a, b) for a, b in self._layout.edges if min(sure[a], sure[b]) > 0]
        starts, ends = (points[[bone[end] for bone in bones]] for end in (0, 1))
        self._canvas.lines(starts, ends, DARK, 5.5)
        for a, b in bones:
            self._canvas.line(points[a], points[b], _of_confidence(min(sure[a], sure[b])), 3)
        for point, confidence in zip(points, sure, strict=True):
            if confidence > 0:
                self._canvas.disc(point, 4.6, DARK)
                self._canvas.disc(point, 3.4, _of_confidence(confidence))

    def _label(self, person: Labelled) -> None:
        """A card above the person's head: number, label, and bars of the three likeliest classes."""
        canvas, rows = self._canvas, person.top[:3]
        settled = person.label not in (UNKNOWN, IDLE)
        indent = 23 + canvas.measure(f"{person.number}", 0.5)
        beside = indent + (62 if settled else 12)  # the number, and the percentage where there is one
        width = min(max(canvas.measure(words(person.label), 0.55) + beside, _NARROWEST), _WIDEST)
        line, room = 21, 8
        tall = 30 + line * len(rows) + (room if rows else 0)
        left, top = self._cards.place(person.number, self._box(person), (width, tall))
        colour = colour_of(person.number)
        canvas.panel(left, top, width, tall, 0.72)
        canvas.box(left, top, 5, tall, colour)
        canvas.text(f"{person.number}", left + 14, top + 21, 0.5, colour, bold=True)
        name = canvas.fitting(words(person.label), width - beside, 0.55)
        canvas.text(name, left + indent, top + 21, 0.55, WHITE if settled else GREY, bold=settled)
        if settled:
            # grey where the label is held through a moment in which another class is the likeliest
            tone = WHITE if rows and rows[0][0] == person.label else GREY
            canvas.text_right(f"{100 * person.probability:.0f}%", left + width - 10, top + 21, 0.5, tone)
        for row, (label, probability) in enumerate(rows):
            y = top + 30 + line * row
            share = min(max(probability, 0.0), 1.0)
            ground = colour if label == person.label else (110, 100, 92)
            canvas.panel(left + 14, y, width - 24, line - 4, 0.45, (70, 62, 56))
            canvas.panel(left + 14, y, (width - 24) * share, line - 4, 0.75, ground)
            shown = canvas.fitting(words(label), width - 70, 0.4)
            canvas.text(shown, left + 20, y + 13, 0.4, WHITE)
            canvas.text_right(f"{100 * probability:.0f}", left + width - 15, y + 13, 0.4, WHITE)

    def _box(self, person: Labelled) -> Box:
        """Where a person is, in the canvas's units."""
        x0, y0, x1, y1 = (box_of(person.keypoints) * self.scale / self._canvas.unit).tolist()
        return x0, y0 - _CROWN * (y1 - y0), x1, y1

    def _hud(self, figures: Figures) -> None:
        """The strip at the foot: time, pace, age, drops, and what each stage takes; notes above it."""
        canvas = self._canvas
        width, height = canvas.width, canvas.height
        canvas.panel(0, height - 26, width, 26, 0.6)
        dropped = _WARN if figures.dropped else WHITE
        facts: list[tuple[str, str, Colour]] = [
            (f"{figures.time_s:.1f}", "s", WHITE),
            (f"{figures.fps:.1f}", "fps", WHITE),
            (f"{figures.age_ms:.0f}", "ms old", WHITE),
            (f"{figures.dropped}", "dropped", dropped),
            (f"{figures.people}", "person" if figures.people == 1 else "people", WHITE),
        ]
        x = 12.0
        for value, unit, tone in facts:
            x = canvas.text(value, x, height - 9, 0.45, tone, bold=True) + 4
            x = canvas.text(unit, x, height - 9, 0.42, GREY) + 18
        stages = "   ".join(f"{stage} {took:.0f}" for stage, took in figures.stages_ms.items())
        if stages:
            line = canvas.fitting(f"{stages} ms", width - x - 12, 0.42)
            canvas.text_right(line, width - 12, height - 9, 0.42, GREY)
        for row, note in enumerate(reversed(figures.notes)):
            text = canvas.fitting(words(note), width - 40, 0.45)
            y = height - 56 - 30 * row
            canvas.panel(12, y, canvas.measure(text, 0.45) + 20, 24, 0.7)
            canvas.text(text, 22, y + 17, 0.45, _WARN)


def colour_of(number: int) -> Colour:
    """The colour of a person, BGR."""
    return PERSONS[(number - 1) % len(PERSONS)]


def words(name: str) -> str:
    """Class names as words; OpenCV's letters are ASCII."""
    return name.replace("_", " ").encode("ascii", "replace").decode()


def _of_confidence(confidence: float) -> Colour:
    sure = min(max((float(confidence) - SEEN) / (1 - SEEN), 0.0), 1.0)
    return _TONES[round(sure * (len(_TONES) - 1))]
