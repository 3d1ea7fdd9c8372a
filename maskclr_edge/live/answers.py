"""Windows of people to probabilities: of each person alone, or with the one beside them.

A model may have classes that two people do together; its contract says which. Two who are near each other are
then one clip, and its answer is for both. Where all classes take two, someone alone is not asked about.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ConfigError
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.pairs import Pairing
from maskclr_edge.live.tracking import Track
from maskclr_edge.live.windows import Window
from maskclr_edge.runtime import Classifier
from maskclr_edge.skeleton import SkeletonContract, preprocess


@dataclass(frozen=True, eq=False)
class Asked:
    """Somebody with a window that is ready, as it was when it was asked about."""

    track: Track
    window: Window


@dataclass(frozen=True, eq=False)
class Answer:
    """Of P people: probabilities (P, K), motion (P,) in body sizes, importance (P, 17) where asked for."""

    probabilities: npt.NDArray[np.float64]
    motion: Sequence[float]
    importance: Array | None


@dataclass(eq=False)
class Question:
    """What each of ``people`` does at a moment, ``pairs`` of them together, as places in ``people``.

    ``answer`` is set last of all, by whoever asks the model, so that another thread may look for it.
    """

    time_s: float
    people: Sequence[Asked]
    pairs: Sequence[tuple[int, int]]
    answer: Answer | None = None


class Answers:
    """Asks a classifier about people whose joints are in the order of ``layout``, in one call a moment.

    two_person: the classes that take two, where the model's contract does not say; ``all`` for every one.
    Raises ConfigError for a class that the model has not, or a model that looks at one person.
    """

    def __init__(
        self,
        classifier: Classifier,
        layout: str,
        resolution_wh: tuple[int, int],
        two_person: tuple[str, ...] = (),
    ) -> None:
        self._classifier, self._layout, self._resolution_wh = classifier, layout, resolution_wh
        contract = classifier.contract
        self.class_names = contract.class_names
        taking_two = _taking_two(contract, two_person)
        self._two = np.array([name in taking_two for name in self.class_names])  # (K,)
        self._pairing = Pairing()

    def pairs(self, people: Sequence[Asked]) -> list[tuple[int, int]]:
        """Who is with whom, as places in ``people``; nobody where the model has no class that takes two."""
        return self._pairing.update([one.track for one in people]) if self._two.any() else []

    def of(self, people: Sequence[Asked], pairs: Sequence[tuple[int, int]]) -> npt.NDArray[np.float64]:
        """Probabilities (P, K) of what each of ``people`` does.

        The answer for a pair counts where its likeliest class takes two, else each is answered for alone. Of
        someone alone nothing is known, and all classes are as likely, where every class takes two.
        """
        alone = [] if self._two.all() else list(range(len(people)))
        groups = [*pairs, *((one,) for one in alone)]
        result = np.full((len(people), len(self.class_names)), 1 / len(self.class_names))
        if groups:
            clips = [self._clip(*(people[one] for one in group)) for group in groups]
            answers = self._classifier.classify_clips(np.stack(clips))
            result[alone] = answers[len(pairs) :]
            for pair, answer in zip(pairs, answers[: len(pairs)], strict=True):
                if self._two[answer.argmax()]:
                    result[list(pair)] = answer
        return result

    def clips_of(self, people: Sequence[Asked], pairs: Sequence[tuple[int, int]]) -> Array:
        """A clip (P, M, T, 17, 3) for each of ``people``, who comes first in it, then the one beside them."""
        beside = {a: (b,) for pair in pairs for a, b in (pair, pair[::-1])}
        groups = [(one, *beside.get(one, ())) for one in range(len(people))]
        return np.stack([self._clip(*(people[one] for one in group)) for group in groups])

    def _clip(self, *people: Asked) -> Array:
        """The clip of one person or two, over the time in which either was seen."""
        contract = self._classifier.contract
        begins, ends = zip(*(one.window.bounds_s for one in people), strict=True)
        bounds_s = min(begins), max(ends)
        keypoints = np.concatenate([one.window.sample(contract.frames, bounds_s) for one in people])
        return preprocess(keypoints, contract, layout=self._layout, resolution_wh=self._resolution_wh)


def _taking_two(contract: SkeletonContract, named: tuple[str, ...]) -> tuple[str, ...]:
    """The classes that two people do together, as the user or else the contract says."""
    if not named:
        return contract.two_person
    if contract.persons < 2:
        raise ConfigError("the model looks at one person at a time, so none of its classes takes two")
    if named == ("all",):
        return contract.class_names
    if unknown := [name for name in named if name not in contract.class_names]:
        some = ", ".join(contract.class_names[:6])
        raise ConfigError(
            f"the model has no class {unknown[0]!r}, to take two; its classes begin with {some}"
        )
    return named
