"""One engine of a bundle: deserialised, understood, and refused in one line where it cannot run here."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskclr_edge.errors import BundleError, EngineError, ShapeError
from maskclr_edge.runtime.bundle import Artifact, Bundle
from maskclr_edge.runtime.gpu import Gpu
from maskclr_edge.runtime.trt_api import TensorRt, sizes

if TYPE_CHECKING:
    import tensorrt

Shape = tuple[int, ...]

# what TensorRT says -> what is wrong with the file; the first that fits. The texts are those of the library
# of TensorRT-RTX 1.7 and, where it has others, of TensorRT 10 and 11 as users report them: see the tests.
_REASONS = (
    (r"header\.size == blobSize|does not match archive size|empty memory buffer", "it was cut short"),
    (r"[Mm]agic ?[Tt]ag|Not a valid plan", "it is no engine of this kind"),
    (
        r"not compatible with this version|Version tag|created with TensorRT",
        "another version built it",
    ),
    (r"(?i)compute capability|incompatible device", "it was built for another GPU"),
    (r"(?i)out of memory|OutOfMemory", "the GPU has too little free memory for it"),
    (r"EngineHostCodeAllowed", "it brings a runtime of its own, which its manifest does not say"),
    (
        r"(?i)driver version|no CUDA-capable|CUDA initialization",
        "there is no GPU with a fitting driver",
    ),
)


@dataclass(frozen=True)
class Profile:
    """The shapes of the input that one optimisation profile takes, and the one that it is tuned for."""

    index: int
    least: Shape
    best: Shape
    most: Shape

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether a shape lies in its range."""
        return len(shape) == len(self.least) and all(
            low <= size <= high for low, size, high in zip(self.least, shape, self.most, strict=True)
        )

    def distance(self, shape: Sequence[int]) -> float:
        """How far a shape is from the one it is tuned for, as a factor."""
        factor = 1.0
        for size, best in zip(shape, self.best, strict=True):
            factor *= max(size, best) / max(1, min(size, best))
        return factor


class Engine:
    """A deserialised engine with one input and one output, both float32."""

    def __init__(self, api: TensorRt, gpu: Gpu, bundle: Bundle, artifact: Artifact) -> None:
        """Inside ``gpu.current()``. Raises BundleError or EngineError that names both sides."""
        self._api = api
        self._artifact = artifact
        self.file = bundle.path / artifact.file
        self._lock = threading.Lock()
        data = bundle.read(artifact)
        if artifact.kind != api.flavour:
            raise BundleError(
                f"{self.file}: is of kind {artifact.kind}, runner {api.flavour} takes {api.flavour}"
            )
        api.log.messages.clear()
        self._runtime = api.runtime(host_code=brings_host_code(artifact))
        engine = self._runtime.deserialize_cuda_engine(data)
        if engine is None:
            raise EngineError(_refused(self, gpu))
        self._engine: tensorrt.ICudaEngine = engine
        self._kernels = api.kernel_cache(engine, artifact.sha256, gpu.name)
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self.inputs = {name: self._shape(name) for name in names if api.is_input(engine, name)}
        self.outputs = {name: self._shape(name) for name in names if name not in self.inputs}
        for name in names:
            if not api.is_float32(engine, name):
                raise BundleError(
                    f"{self.file}: {name} is not float32, which an engine of this project takes and gives; "
                    "export it again"
                )
        self.profiles = self._read_profiles()
        #: bytes that a context needs for activations, whichever profile is on
        self.memory = max(256, int(engine.device_memory_size_v2))
        self._rows: dict[Shape, int] = {}

    @property
    def source(self) -> str:
        """Name of the input."""
        return str(next(iter(self.inputs)))

    @property
    def result(self) -> str:
        """Name of the output."""
        return str(next(iter(self.outputs)))

    def largest(self) -> Shape:
        """The input's largest shape over all profiles, axis by axis."""
        return tuple(max(sizes) for sizes in zip(*(profile.most for profile in self.profiles), strict=True))

    def rows(self, shape: Sequence[int]) -> int:
        """How many rows (persons, or clips) of a shape a call takes at once.

        Raises ShapeError that names the ranges of the engine where no profile takes the shape.
        """
        row = tuple(shape[1:])
        if row not in self._rows:  # as many as there are lengths
            self._rows[row] = self._count_rows(shape)
        return self._rows[row]

    def _count_rows(self, shape: Sequence[int]) -> int:
        counts = [p.most[0] for p in self.profiles if p.takes((p.most[0], *shape[1:]))]
        if counts and any(profile.takes((1, *shape[1:])) for profile in self.profiles):
            return max(counts)
        if len(shape) == 4:
            spans = ", ".join(f"{p.least[1]} to {p.most[1]}" for p in self.profiles)
            raise ShapeError(
                f"clips have {shape[1]} frames, {self.file.name} takes {spans}; resample the clips, or "
                "export with frames that reach as far"
            )
        ranges = ", ".join(f"{p.least} to {p.most}" for p in self.profiles)
        raise ShapeError(f"input is {tuple(shape)}, {self.file.name} takes {ranges}; export it again")

    def choose(self, shape: Sequence[int]) -> Profile:
        """The profile that takes a shape and is tuned nearest to it. Raises ShapeError where none does."""
        fitting = [profile for profile in self.profiles if profile.takes(shape)]
        if not fitting:
            self.rows(shape)
            ranges = ", ".join(f"{p.least} to {p.most}" for p in self.profiles)
            raise ShapeError(f"input is {tuple(shape)}, {self.file.name} takes {ranges}; export it again")
        return min(fitting, key=lambda profile: profile.distance(shape))

    def context(self, profile: Profile, stream: int) -> "tensorrt.IExecutionContext":
        """A new execution context on a profile, still without memory. Raises EngineError."""
        with self._lock:
            self._api.log.messages.clear()
            context = self._api.context(self._engine, self._kernels)
        if context is None:
            raise EngineError(f"{self.file}: no execution context could be made ({self.words()})")
        if not self._api.select_profile(context, profile.index, stream):
            raise EngineError(f"{self.file}: profile {profile.index} could not be set ({self.words()})")
        return context

    def capturable(self, context: "tensorrt.IExecutionContext", stream: int) -> bool:
        """Whether a CUDA graph can be made of a context on a stream."""
        return self._api.capturable(context, stream)

    def words(self) -> str:
        """What TensorRT said last, in one line."""
        return str(self._api.log.first_error())[:200] or "TensorRT gave no reason"

    def close(self) -> None:
        """Release it, after its contexts and inside ``gpu.current()``, and keep what it has compiled."""
        if self._kernels is not None:
            self._kernels.keep()
        del self._kernels, self._engine, self._runtime

    def _shape(self, name: str) -> list[int | None]:
        return [None if size < 0 else size for size in sizes(self._engine.get_tensor_shape(name))]

    def _read_profiles(self) -> tuple[Profile, ...]:
        engine = self._engine
        if len(self.inputs) != 1:  # check_tensors says it better
            return ()
        found = []
        for index in range(engine.num_optimization_profiles):
            shapes = engine.get_tensor_profile_shape(self.source, index)
            found.append(Profile(index, *map(sizes, shapes)))
        return tuple(found)


def brings_host_code(artifact: Artifact) -> bool:
    """Whether the manifest says that an engine is version compatible: it brings its TensorRT's runtime."""
    options = (artifact.built_for or {}).get("options")
    return isinstance(options, dict) and options.get("version_compatible") is True


def _refused(engine: Engine, gpu: Gpu) -> str:
    """One line that names what the engine is for, what is here, and what to do."""
    api = engine._api
    words = str(api.log.first_error())
    reason = next((text for pattern, text in _REASONS if re.search(pattern, words)), "")
    made = _built_for(engine._artifact.built_for or {})
    here = f"{api.flavour} {api.version} on {gpu.name} ({gpu.sm})"
    said = f" ({api.flavour} said: {words[:200]})" if words else ""
    return (
        f"{engine.file}: an engine {made}, not taken by {here}{': ' if reason else ''}{reason}; "
        f"export the bundle again on this machine, or for it{said}"
    )


def _built_for(facts: Any) -> str:
    """What a manifest says that an engine was built with and for; it may come from anyone."""
    capabilities = facts.get("sm")
    listed = [str(sm)[:20] for sm in capabilities][:12] if isinstance(capabilities, list) else []
    gpu = facts.get("gpu")
    where = [*([str(gpu)[:60]] if isinstance(gpu, str) else []), *([", ".join(listed)] if listed else [])]
    version = str(facts.get("version", "an unknown version"))[:40]
    return f"built with {version} for {' '.join(where) or 'an unknown GPU'}"
