"""One slot between two threads: a slow reader gets the newest, or the writer waits; no queue grows."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds one item. With ``wait`` the writer waits for the slot; without, a newer item takes its place.

    join makes one item of the one that was not fetched and the newer one, for what must not get lost; the
    newer one alone by default. ``dropped`` counts the items that nobody fetched.
    """

    def __init__(self, wait: bool, join: Callable[[T, T], T] | None = None) -> None:
        self.dropped = 0
        self._wait, self._join = wait, join
        self._item: T | None = None
        self._finished = self._stopped = False
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Leave an item; false when the reader is gone."""
        with self._changed:
            if self._wait:
                self._changed.wait_for(lambda: self._item is None or self._stopped)
            if self._stopped:
                return False
            if self._item is not None:
                self.dropped += 1
                item = self._join(self._item, item) if self._join else item
            self._item = item
            self._changed.notify_all()
            return True

    def get(self) -> T | None:
        """Wait for an item and take it; None when no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._finished or self._stopped)
            item, self._item = (None if self._stopped else self._item), None
            self._changed.notify_all()
            return item

    def finish(self) -> None:
        """The writer has no more; what lies in the slot may still be taken."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Both sides leave off at once."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
