"""The Classifier: raw keypoints in any known layout in, ranked labels out, by the model's own contract."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ConfigError
from maskclr_edge.runtime.factory import open_runner
from maskclr_edge.runtime.runner import Runner
from maskclr_edge.skeleton import SkeletonContract, preprocess

if TYPE_CHECKING:
    from maskclr_edge.checkpoint import Checkpoint
    from maskclr_edge.runtime.bundle import Bundle


@dataclass(frozen=True)
class Answer:
    """One class, its number ``index``, and how probable the model holds it, 0 to 1."""

    label: str
    index: int
    probability: float


class Classifier:
    """Names the action in keypoints. As thread-safe as the runner it holds."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    @classmethod
    def open(
        cls,
        model: "str | Path | Bundle | Checkpoint" = "bundled",
        runner: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        *,
        absent: str | None = None,
    ) -> "Classifier":
        """Open a model; the arguments and errors are those of :func:`maskclr_edge.runtime.open_runner`."""
        return cls(open_runner(model, runner, precision, threads, absent=absent))

    @property
    def contract(self) -> SkeletonContract:
        """How the model wants its keypoints; the class names are in it."""
        return self.runner.contract

    def __call__(
        self, keypoints: npt.ArrayLike, layout: str, resolution_wh: tuple[int, int], top: int = 5
    ) -> list[Answer]:
        """Answers for one recording, the most probable first; ``top`` at most.

        ``keypoints`` (M, T, V, 3) or (T, V, 3) are pixels and confidence of V joints in the order of
        ``layout``, in an image of ``resolution_wh`` pixels. Raises ShapeError and ConfigError for what does
        not fit, and ConfigError when the model has no classes.
        """
        return self.rank(self.probabilities(keypoints, layout, resolution_wh), top)

    def probabilities(
        self, keypoints: npt.ArrayLike, layout: str, resolution_wh: tuple[int, int]
    ) -> npt.NDArray[np.float64]:
        """Probability of every class, (K,), for one recording; arguments and errors as for calling."""
        self._needs("class")
        result: npt.NDArray[np.float64] = self.classify_clips(self._clip(keypoints, layout, resolution_wh))[0]
        return result

    def classify_clips(self, clips: npt.NDArray[Any] | Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """Probabilities (N, K) of clips (N, M, T, 17, 3) that were made by the model's contract.

        A list of clips (M, T, 17, 3) may mix lengths: each length is one call, answers keep the order.
        """
        self._needs("class")
        return softmax(self._infer(clips))

    def embed(
        self, keypoints: npt.ArrayLike, layout: str, resolution_wh: tuple[int, int]
    ) -> npt.NDArray[np.float32]:
        """Embedding (hidden_dim,) of length 1 for one recording, from a model with an embedding head."""
        self._needs("embed")
        result: npt.NDArray[np.float32] = self.runner.infer(self._clip(keypoints, layout, resolution_wh))[0]
        return result

    def embed_clips(self, clips: npt.NDArray[Any] | Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """Embeddings (N, hidden_dim) of clips, which are those of ``classify_clips``."""
        self._needs("embed")
        return self._infer(clips)

    def rank(self, probabilities: npt.NDArray[Any], top: int = 5) -> list[Answer]:
        """The ``top`` most probable classes of probabilities (K,); of equals the lower index comes first."""
        if isinstance(top, bool) or top < 1:
            raise ConfigError(f"top is {top}, expected 1 or more")
        names: Sequence[str] = self.contract.class_names
        order = np.argsort(-np.asarray(probabilities), kind="stable")[:top]
        return [Answer(names[index], int(index), float(probabilities[index])) for index in order]

    def prepare(self, persons: int = 1) -> None:
        """Make calls for so many persons in view fast ahead of the first: see Runner.prepare for the cost."""
        slots = self.contract.persons if self.contract.absent == "projected" else 1
        self.runner.prepare(-(-persons // slots) * slots)

    def close(self) -> None:
        """Close the runner; again is harmless."""
        self.runner.close()

    def __enter__(self) -> "Classifier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _clip(
        self, keypoints: npt.ArrayLike, layout: str, resolution_wh: tuple[int, int]
    ) -> npt.NDArray[np.float32]:
        return preprocess(keypoints, self.contract, layout=layout, resolution_wh=resolution_wh)

    def _infer(self, clips: npt.NDArray[Any] | Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        if isinstance(clips, np.ndarray):
            return self.runner.infer(clips)
        return self.runner.infer_each(clips)

    def _needs(self, head: str) -> None:
        has = self.runner.config.head
        if has == head:
            return
        if head == "class":
            raise ConfigError("this model has an embedding head and knows no classes; use embed()")
        raise ConfigError("this model has a class head and gives no embeddings; call it instead")


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Probabilities (..., K) of logits (..., K), in float64."""
    values = np.asarray(logits, np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    result: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return result
