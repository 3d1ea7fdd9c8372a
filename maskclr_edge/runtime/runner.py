"""The Runner: clips in, logits out, whatever computes them; an absent person costs nothing.

A backend gives two functions, persons to features and features to logits. Everything else is here, once:
the shape check, person packing, the features of absent persons, chunks, threads and closing.
"""

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from maskclr_edge.checkpoint.config import ModelConfig
from maskclr_edge.errors import ConfigError, EngineError, ShapeError
from maskclr_edge.runtime.lengths import infer_by_length
from maskclr_edge.skeleton import SkeletonContract, check_clips

Floats = npt.NDArray[np.float32]

#: lengths T whose absent features are kept; at 35 KB each for the full-size model
ABSENT_KEPT = 64
#: clips whose features are held at once
CLIPS_AT_ONCE = 256


class Runner(ABC):
    """Runs one model in one precision; made by :func:`maskclr_edge.runtime.open_runner`.

    ``infer`` may be called from any number of threads at once, and ``close`` from any thread: it waits for
    the calls that are running, and later calls raise EngineError.
    """

    name: ClassVar[str]
    #: person-frames per encoder call: bounds the activations (some 350 KB a frame at full size)
    frames_per_call: ClassVar[int] = 2048

    def __init__(self, config: ModelConfig, contract: SkeletonContract, precision: str) -> None:
        self.config = config
        self.contract = contract
        self.precision = precision
        #: what a report should know, such as library version and threads
        self.details: dict[str, Any] = {}
        self._absent: OrderedDict[int, Floats] = OrderedDict()
        self._absent_lock = threading.Lock()
        self._state = threading.Condition()
        self._running = 0
        self._closed = False

    @classmethod
    @abstractmethod
    def open(cls, source: Any, precision: str, threads: int | None) -> "Runner":
        """Open a Bundle, or a Checkpoint where the registry says so; the files are verified as read."""

    @abstractmethod
    def _encode(self, persons: Floats) -> Floats:
        """Features (P, F) of persons (P, T, 17, 3), contiguous, P >= 1."""

    @abstractmethod
    def _head(self, features: Floats) -> Floats:
        """Logits (N, K) of features (N, S, F), contiguous, N >= 1; S is the contract's persons."""

    def _prepare(self, persons: int, frames: int) -> None:  # noqa: B027 (most backends take any shape alike)
        """Make ``_encode`` of persons (persons, frames, 17, 3) fast; see ``prepare``."""

    def _close(self) -> None:  # noqa: B027 (most backends have nothing to release)
        """Release what the backend holds; called once, when no call is running."""

    def infer(self, clips: npt.NDArray[Any]) -> Floats:
        """Logits (N, K) float32 of clips (N, M, T, 17, 3) or one clip (M, T, 17, 3).

        M may be less than the contract's person slots where absent persons are zeros. With an embedding
        head the result is (N, hidden_dim), normalised. Raises ShapeError for clips that break the contract
        and EngineError when the backend fails or the runner is closed.
        """
        clips = self._check(clips)
        self._begin_call()
        try:
            if len(clips) <= CLIPS_AT_ONCE:
                return self._infer_chunk(clips)
            starts = range(0, len(clips), CLIPS_AT_ONCE)
            return np.concatenate(
                [self._infer_chunk(clips[start : start + CLIPS_AT_ONCE]) for start in starts]
            )
        finally:
            self._end_call()

    def infer_each(self, clips: Sequence[npt.NDArray[Any]]) -> Floats:
        """Logits (N, K) float32 of N clips (M, T, 17, 3) of different lengths, in their order.

        One call for each length that occurs; errors are those of ``infer``.
        """
        return infer_by_length(self.infer, clips, pad_persons=self.contract.absent == "zeros")

    def prepare(self, persons: int = 1, frames: int | None = None) -> None:
        """Do ahead what makes calls of one shape fast: compile for it, and keep its absent features.

        ``persons`` is the number of persons present in all clips of a call together, ``frames`` the clips'
        length, the contract's when None. Calls of other shapes are not affected, and a backend that gains
        nothing from it does little. May be called while other threads infer. Raises ShapeError for what the
        contract does not allow and EngineError when the backend fails or the runner is closed.
        """
        contract = self.contract
        frames = contract.frames if frames is None else frames
        if persons < 1 or not contract.min_frames <= frames <= contract.max_frames:
            raise ShapeError(
                f"cannot prepare for {persons} persons of {frames} frames; expected 1 or more persons and "
                f"{contract.min_frames} to {contract.max_frames} frames"
            )
        with self._running_call():
            step = max(1, self.frames_per_call // frames)
            for size in dict.fromkeys((min(persons, step), persons % step)):
                if size:
                    self._prepare(size, frames)
            if contract.absent == "zeros":
                self._absent_features(frames)

    def use_absent(self, absent: str | None) -> None:
        """Give zeros to a model trained with projected absent persons: faster, but not what it has seen.

        None keeps the contract. Raises ConfigError for the other way round. Not for use during ``infer``.
        """
        if absent is None or absent == self.contract.absent:
            return
        if absent != "zeros":
            raise ConfigError(f"absent is {absent!r}; this model takes zeros only, leave the option out")
        self.contract = replace(self.contract, absent="zeros")

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def close(self) -> None:
        """Wait for running calls and release the backend; again is harmless."""
        with self._state:
            if self._closed:
                return
            self._closed = True
            self._state.wait_for(lambda: self._running == 0)
        self._absent.clear()
        self._close()

    def __enter__(self) -> "Runner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _running_call(self) -> Iterator[None]:
        self._begin_call()
        try:
            yield
        finally:
            self._end_call()

    def _begin_call(self) -> None:
        with self._state:
            if self._closed:
                raise EngineError(f"the {self.name} runner is closed; open another one")
            self._running += 1

    def _end_call(self) -> None:
        with self._state:
            self._running -= 1
            if self._closed:  # only close() waits
                self._state.notify_all()

    def _check(self, clips: npt.NDArray[Any]) -> Floats:
        contract = self.contract
        checked = check_clips(clips, max_frames=contract.max_frames, max_persons=contract.persons)
        persons, frames = checked.shape[1:3]
        if frames < contract.min_frames:
            raise ShapeError(f"clips have {frames} frames, expected at least {contract.min_frames}")
        if persons < contract.persons and contract.absent == "projected":
            raise ShapeError(
                f"clips have {persons} persons, expected {contract.persons}: this model takes absent persons "
                "as preprocess() projects them; use preprocess(), or open it with absent='zeros'"
            )
        return checked

    def _infer_chunk(self, clips: Floats) -> Floats:
        """Logits of at most CLIPS_AT_ONCE clips: present persons are packed, absent ones filled in."""
        count, persons, frames = clips.shape[:3]
        slots = self.contract.persons
        if self.contract.absent == "zeros":
            present = clips.reshape(count, persons, -1).any(axis=2)  # (N, M)
        else:
            present = np.ones((count, persons), dtype=bool)
        there = present.nonzero()  # clips and slots of those who are there
        if len(there[0]) == count * slots:
            packed = clips.reshape(count * slots, frames, 17, 3)
            return self._head(self._encode_chunks(packed).reshape(count, slots, -1))
        features = np.empty((count, slots, self.config.feature_size), np.float32)
        features[:] = self._absent_features(frames)
        if len(there[0]):
            features[there] = self._encode_chunks(clips[there])  # (P, F)
        return self._head(features)

    def _encode_chunks(self, persons: Floats) -> Floats:
        step = max(1, self.frames_per_call // persons.shape[1])
        if len(persons) <= step:
            return self._encode(persons)
        chunks = range(0, len(persons), step)
        return np.concatenate([self._encode(persons[start : start + step]) for start in chunks])

    def _absent_features(self, frames: int) -> Floats:
        """Features (F,) of a person of exact zeros: a constant of T and the weights."""
        with self._absent_lock:
            kept = self._absent.get(frames)
            if kept is not None:
                self._absent.move_to_end(frames)
                return kept
        features: Floats = self._encode(np.zeros((1, frames, 17, 3), np.float32))[0].copy()
        with self._absent_lock:
            self._absent[frames] = features
            while len(self._absent) > ABSENT_KEPT:
                self._absent.popitem(last=False)
        return features
