"""The one interface of pose estimators, and the table of those there are."""

import importlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import numpy.typing as npt

from maskclr_edge.errors import ConfigError

#: name -> "module:Class" of an estimator, imported when it is asked for
ESTIMATORS: dict[str, str] = {"mediapipe": "maskclr_edge.live.mediapipe_pose:MediapipePose"}


class PoseEstimator(Protocol):
    """Finds people in images, one after another; it may use what it saw in earlier ones.

    ``layout`` names the joint order of what :meth:`estimate` gives.
    """

    name: str
    layout: str

    def estimate(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """People in an image (H, W, 3) of BGR bytes: float32 (P, V, 3), pixels and confidence 0 to 1.

        An unseen joint is ``(0, 0, 0)``; P is 0 when nobody is there.
        """
        ...

    def close(self) -> None:
        """Free what it holds; again is harmless."""
        ...

    def __enter__(self) -> "PoseEstimator": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_pose(name: str, max_people: int = 8) -> PoseEstimator:
    """Open a pose estimator by name, or RTMPose by the path of its .onnx file.

    Raises ConfigError for an unknown name and MissingDependencyError when its package is not installed.
    """
    if name.lower().endswith(".onnx"):
        from maskclr_edge.live.rtmpose import RtmPose

        return RtmPose(name, max_people=max_people)
    if name not in ESTIMATORS:
        known = ", ".join(ESTIMATORS)
        raise ConfigError(f"unknown pose estimator {name!r}; there are: {known}, an RTMPose .onnx file, none")
    module, _, attribute = ESTIMATORS[name].partition(":")
    make: Callable[..., PoseEstimator] = getattr(importlib.import_module(module), attribute)
    return make(max_people=max_people)
