"""Where the cards of people go: beside nobody's face, apart from one another, and not jumping about."""

from collections.abc import Callable, Sequence

#: left, top, right, bottom
Box = tuple[float, float, float, float]

#: room between a card and its person, and between two cards
_AWAY, _APART = 14.0, 4.0
#: a place that hides so much less, in parts of a card, is worth moving to
_WORTH = 0.3
#: what is hidden of another card counts so much more than what is hidden of a person
_CARD = 10.0


class Cards:
    """Places one card a person in each picture: above, beside or below them, wherever it hides least.

    ``inside(left, top, width, height)`` moves a card into the picture.
    """

    def __init__(self, inside: Callable[[float, float, float, float], tuple[float, float]]) -> None:
        self._inside = inside
        self._people: Sequence[Box] = ()
        self._cards: list[Box] = []
        self._before: dict[int, int] = {}  # which of the places a person's card had in the last picture
        self._now: dict[int, int] = {}

    def begin(self, people: Sequence[Box]) -> None:
        """Start a new picture with people at these places."""
        self._people, self._cards = people, []
        self._before, self._now = self._now, {}

    def place(self, number: int, person: Box, size_wh: tuple[float, float]) -> tuple[float, float]:
        """Left and top of the card of person ``number``, who is at ``person``."""
        (x0, y0, x1, y1), (width, tall) = person, size_wh
        middle = (x0 + x1 - width) / 2
        wanted = [
            (middle, y0 - tall - _AWAY), (x1 + _AWAY, y0), (x0 - _AWAY - width, y0), (middle, y1 + _AWAY),
            *((middle, card[1] - tall - _APART) for card in self._cards),
        ]  # fmt: skip
        costs = []
        for which, (left, top) in enumerate(wanted):
            left, top = self._inside(left, top, width, tall)
            box = (left, top, left + width, top + tall)
            roomy = (left - _APART, top - _APART, left + width + _APART, top + tall + _APART)
            hidden = sum(_shared(box, other) for other in self._people)
            hidden += _CARD * sum(_shared(roomy, other) for other in self._cards)
            stays = _WORTH * width * tall if self._before.get(number) == which else 0.0
            costs.append((hidden - stays, which, box))
        _, self._now[number], box = min(costs)
        self._cards.append(box)
        return box[0], box[1]


def _shared(a: Box, b: Box) -> float:
    """Area of what two boxes share."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)
