"""Spans that somebody labels by keys while they watch: a key begins an action, and ends it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.live.own_clips import SpanKeeper
from maskclr_edge.live.spans import Span, check_labels
from maskclr_edge.live.view import EndRun, Moment

#: the key of each label in turn; those that end a span, take the last one back, and end the run
KEYS, END, BACK, QUIT = "123456789", " ", "\x7f\b", "q"

#: the keys that were pressed since it was asked the last time
Pressed = Callable[[], str]


class KeyedKeeper(SpanKeeper):
    """A SpanKeeper whose spans come from keys: 1 begins the first label, and so on.

    The same key again, or the space bar, ends the span; another label's key ends it and begins its own;
    backspace drops the span that goes on, or else the last; q ends the run. told hears of each change: the
    label that goes on, None for none, and how many spans there are. Raises ConfigError for labels that have
    no key.
    """

    def __init__(
        self, labels: Sequence[str], pressed: Pressed, told: Callable[[str | None, int], None]
    ) -> None:
        super().__init__([])
        check_labels(labels)
        if len(labels) > len(KEYS):
            raise ConfigError(f"{len(labels)} labels and {len(KEYS)} keys; give fewer labels at a time")
        self._labels, self._pressed, self._told = list(labels), pressed, told
        self._open = self._quit = False

    def show(self, moment: Moment) -> None:
        """Take the keys, and keep who is seen. Raises EndRun at q."""
        for key in self._pressed():
            self._press(key, moment.time_s)
        super().show(moment)
        if self._quit:
            raise EndRun

    def finish(self) -> None:
        """End the span that goes on. Raises DataError where there is none at all."""
        self._end(self.seen_until_s)
        if not self.spans:
            keys = ", ".join(f"{key} {label}" for key, label in zip(KEYS, self._labels, strict=False))
            raise DataError(f"no span was labelled; press a key while the action is performed: {keys}")

    def _press(self, key: str, time_s: float) -> None:
        self._quit |= key == QUIT
        before = self.spans[-1].label if self._open else None
        label = self._labels[KEYS.index(key)] if key in KEYS[: len(self._labels)] else None
        if key in BACK and self.spans:
            self._drop()
        elif label is not None or key == END:
            self._end(time_s)
            if label is not None and label != before:
                self.add(Span(time_s, float("inf"), label))
                self._open = True
        else:
            return
        self._told(self.spans[-1].label if self._open else None, len(self.spans))

    def _end(self, time_s: float) -> None:
        if self._open:
            self.spans[-1] = replace(self.spans[-1], end_s=time_s)
            self._open = False
            if self.spans[-1].end_s <= self.spans[-1].start_s:  # pressed twice within one frame
                self._drop()

    def _drop(self) -> None:
        self.spans.pop()
        self._kept.pop()
        self._open = False
