"""Holding an exported network to its checkpoint, over a grid of shapes, on made-up skeletons."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy import reference
from maskclr_edge.errors import ConfigError
from maskclr_edge.optional import available
from maskclr_edge.skeleton import SkeletonContract

Floats = npt.NDArray[np.float32]
Infer = Callable[[Floats], npt.NDArray[Any]]
Progress = Callable[[int, int, str], None]

#: (N, M, T) that between them hold every extreme and an odd size in each place
CORNERS = ((1, 1, 1), (3, 2, 2), (2, 1, 17), (1, 2, 30), (1, 2, 81), (1, 1, 243))
FRAMES = (1, 2, 17, 30, 81, 242, 243)
GRIDS = ("corners", "full")

#: largest |error| of a logit, as a share of max(1, max |logit|) of the same shape
FP32_TOLERANCE = 1e-4
#: root mean square error of the logits over that of the logits: tells a rounded network from a broken one
QUANTISED_TOLERANCE = 0.5

# a standing figure, H36M order, x to the right and y down
_FIGURE = np.array(
    [
        *[(0.0, 0.0), (-0.1, 0.0), (-0.12, 0.4), (-0.12, 0.8), (0.1, 0.0), (0.12, 0.4), (0.12, 0.8)],
        *[(0.0, -0.25), (0.0, -0.5), (0.0, -0.6), (0.0, -0.7), (0.18, -0.48), (0.25, -0.2), (0.27, 0.05)],
        *[(-0.18, -0.48), (-0.25, -0.2), (-0.27, 0.05)],
    ],
    np.float32,
)


@dataclass(frozen=True)
class Probe:
    """Clips (N, M, T, 17, 3) and the checkpoint's logits for them."""

    clips: Floats
    logits: npt.NDArray[Any]


@dataclass(frozen=True)
class Parity:
    """How near a candidate came to its checkpoint over ``shapes`` shapes; errors are of logits.

    ``worst_shape`` is the (N, M, T) with the largest share of what is allowed; ``relative_error`` is root
    mean square over root mean square, all shapes together.
    """

    max_abs_error: float
    max_abs_logit: float
    relative_error: float
    worst_shape: tuple[int, int, int]
    shapes: int
    tolerance: float
    passed: bool
    reference: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form for the manifest."""
        return asdict(self) | {"worst_shape": list(self.worst_shape)}


def shape_grid(name: str, contract: SkeletonContract) -> list[tuple[int, int, int]]:
    """Shapes (N, M, T) of the grid "corners" (six) or "full", cut to what the contract allows.

    Raises ConfigError for another name.
    """
    if name not in GRIDS:
        raise ConfigError(f"verify is {name!r}; expected one of {', '.join(GRIDS)}")
    grid = CORNERS if name == "corners" else product((1, 2, 3), (1, 2), FRAMES)
    low, high, slots = contract.min_frames, contract.max_frames, contract.persons
    cut = [(n, min(m, slots), min(max(t, low), high)) for n, m, t in grid]
    return list(dict.fromkeys(cut))


def make_probes(
    checkpoint: Checkpoint, shapes: Sequence[tuple[int, int, int]], progress: Progress | None = None
) -> tuple[list[Probe], str]:
    """Run the checkpoint on made-up clips of each shape; also says what ran it, "pytorch" or "numpy"."""
    name, infer = _reference(checkpoint)
    probes = []
    for index, (count, persons, frames) in enumerate(shapes):
        clips = probe_clips(count, persons, frames, seed=index)
        probes.append(Probe(clips, infer(clips)))
        if progress is not None:
            progress(index + 1, len(shapes), f"reference ({name})")
    return probes, name


def compare(
    infer: Infer,
    probes: Sequence[Probe],
    *,
    exact: bool,
    reference: str,
    tolerance: float = QUANTISED_TOLERANCE,
    progress: Progress | None = None,
    what: str = "parity",
) -> Parity:
    """Run a candidate on the probes. exact: every logit within FP32_TOLERANCE, else ``tolerance`` (relative).

    A result of another shape, NaN or infinity fails.
    """
    worst, worst_shape, finite = -1.0, (0, 0, 0), True
    error_max = logit_max = error_squares = logit_squares = 0.0
    for index, probe in enumerate(probes):
        result = np.asarray(infer(probe.clips), np.float64)
        finite = finite and result.shape == probe.logits.shape and bool(np.isfinite(result).all())
        if not finite:
            worst_shape, error_max = _shape(probe), float("inf")
            break
        error = np.abs(result - probe.logits)
        largest = float(np.abs(probe.logits).max())
        share = float(error.max()) / max(1.0, largest)
        if share > worst:
            worst, worst_shape = share, _shape(probe)
        error_max, logit_max = max(error_max, float(error.max())), max(logit_max, largest)
        error_squares += float((error**2).sum())
        logit_squares += float((np.asarray(probe.logits, np.float64) ** 2).sum())
        if progress is not None:
            progress(index + 1, len(probes), what)
    relative = (error_squares / max(logit_squares, 1e-30)) ** 0.5 if finite else float("inf")
    tolerance = FP32_TOLERANCE if exact else tolerance
    passed = finite and (worst if exact else relative) <= tolerance
    return Parity(error_max, logit_max, relative, worst_shape, len(probes), tolerance, passed, reference)


def probe_clips(count: int, persons: int, frames: int, seed: int) -> Floats:
    """Made-up clips (N, M, T, 17, 3): moving figures in [-1, 1], some joints unseen, some persons absent."""
    random = np.random.default_rng([seed, count, persons, frames])
    each = (count, persons, 1, 17, 1)
    time = np.linspace(0, 2 * np.pi * frames / 60, frames).reshape(1, 1, -1, 1, 1)
    swing = np.sin(time * random.uniform(0.5, 4, each) + random.uniform(0, 2 * np.pi, each))
    place = _FIGURE * random.uniform(0.4, 1.0, (count, persons, 1, 1, 1))
    place = place + random.normal(0, 0.15, (count, persons, 1, 1, 2))
    place = place + swing * random.normal(0, 0.12, (count, persons, 1, 17, 2))
    clips = np.empty((count, persons, frames, 17, 3), np.float32)
    clips[..., :2] = np.clip(place, -1, 1)
    clips[..., 2] = random.uniform(0.3, 1.0, clips.shape[:-1])
    clips[random.random(clips.shape[:-1]) < 0.05] = 0  # unseen joints
    clips[:, 1:][random.random((count, persons - 1)) < 0.5] = 0  # absent second persons
    return clips


def _reference(checkpoint: Checkpoint) -> tuple[str, Infer]:
    """The PyTorch network where torch is installed, else the NumPy one."""
    if not available("torch"):
        return "numpy", lambda clips: reference.logits(checkpoint, clips)
    import torch

    from maskclr_edge.model import build_model

    model = build_model(checkpoint)

    def infer(clips: Floats) -> npt.NDArray[Any]:
        with torch.inference_mode():
            logits: npt.NDArray[Any] = model(torch.from_numpy(clips)).numpy()
        return logits

    return "pytorch", infer


def _shape(probe: Probe) -> tuple[int, int, int]:
    count, persons, frames = probe.clips.shape[:3]
    return count, persons, frames
