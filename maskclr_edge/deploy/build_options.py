"""What an engine is built with, and what a flavour of TensorRT does not take, refused with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maskclr_edge.deploy.engine_profiles import Profiles
from maskclr_edge.errors import ConfigError

#: kind of engine -> what its files are called
SUFFIXES = {"tensorrt": "trt", "tensorrt-rtx": "rtx"}
ENGINES = tuple(SUFFIXES)
#: word -> member of TensorRT's HardwareCompatibilityLevel
HARDWARE = {"none": "NONE", "ampere-plus": "AMPERE_PLUS", "same-capability": "SAME_COMPUTE_CAPABILITY"}
WEIGHTS = ("fixed", "refit", "strip")
LEVELS = range(6)
#: compute capabilities that a TensorRT-RTX engine is built for when none are named: GeForce RTX 30, 40 and 50
DEFAULT_SMS = (86, 89, 120)
_MOST_WORKSPACE_MB = 1 << 20


@dataclass(frozen=True)
class BuildOptions:
    """Settings of a build beside the graph and its profiles.

    level: how long the builder searches, 0 to 5. workspace_mb: scratch memory that a layer may take, in MiB,
    all of the GPU's where None. tf32: let FP32 products round their inputs to ten bits. version_compatible:
    an engine that later releases take too. hardware: a key of :data:`HARDWARE`. weights: "fixed", "refit"
    (can be given others), "strip" (left out, to be given later). dla: refused. Raises ConfigError.
    """

    level: int = 3
    workspace_mb: int | None = None
    tf32: bool = False
    version_compatible: bool = False
    hardware: str = "none"
    weights: str = "fixed"
    dla: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.level, bool) or self.level not in LEVELS:
            raise ConfigError(f"builder level is {self.level!r}; expected 0 (quick) to 5 (thorough)")
        if self.workspace_mb is not None and not 1 <= self.workspace_mb <= _MOST_WORKSPACE_MB:
            raise ConfigError(f"workspace is {self.workspace_mb} MiB; expected 1 to {_MOST_WORKSPACE_MB}")
        if self.hardware not in HARDWARE:
            raise ConfigError(
                f"hardware compatibility is {self.hardware!r}; expected one of {', '.join(HARDWARE)}"
            )
        if self.weights not in WEIGHTS:
            raise ConfigError(f"weights are {self.weights!r}; expected one of {', '.join(WEIGHTS)}")
        if self.dla:
            raise ConfigError(
                "DLA has no LayerNormalization and no product of two activations, which attention is made "
                "of: nearly every layer would fall back to the GPU; leave DLA out"
            )

    def check(self, flavour: str, sms: Sequence[int] = ()) -> None:
        """Raise ConfigError for what ``flavour`` does not have."""
        if flavour != "tensorrt-rtx":
            if sms:
                listed = ", ".join(map(str, sms))
                raise ConfigError(
                    f"TensorRT builds for the GPU that it runs on, and not for SM {listed}; leave --sm out, "
                    "or take --engine tensorrt-rtx"
                )
            return
        if not sms:
            raise ConfigError("no compute capability to build for; name some, e.g. --sm 86,89")
        if self.hardware != "none":
            raise ConfigError(
                f"TensorRT-RTX has no hardware compatibility {self.hardware}: its engines are for the "
                "compute capabilities of --sm; name all that are wanted"
            )
        if self.version_compatible:
            raise ConfigError(
                "TensorRT-RTX's packages have no lean runtime, which version compatibility needs; build "
                "again with each release"
            )

    def to_dict(self) -> dict[str, Any]:
        """As the manifest has it."""
        return asdict(self)


@dataclass(frozen=True)
class EngineSettings:
    """How the engines of one kind are built, for every precision of a bundle.

    sms: compute capabilities for TensorRT-RTX, by precision where ``sms_of`` has it. profiles: those of
    ``default_profiles`` where None. cache: folder of kernel timings, the user's own where None. Raises
    ConfigError for an unknown kind and for what the kind does not have.
    """

    kind: str
    sms: tuple[int, ...] = ()
    sms_of: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    profiles: Profiles | None = None
    options: BuildOptions = field(default_factory=BuildOptions)
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.kind not in ENGINES:
            raise ConfigError(f"engine is {self.kind!r}; expected {', '.join(ENGINES)}")
        self.options.check(self.kind, self.sms or tuple(sm for sms in self.sms_of.values() for sm in sms))

    def builds(self, precision: str) -> bool:
        """Whether there is a GPU to build a precision for."""
        return self.kind == "tensorrt" or bool(self.capabilities([precision]))

    def capabilities(self, precisions: Sequence[str]) -> tuple[int, ...]:
        """Compute capabilities for a file that these precisions share."""
        return tuple(dict.fromkeys(sm for name in precisions for sm in self.sms_of.get(name, self.sms)))


def engine_settings(engines: Sequence["str | EngineSettings"], sms: Sequence[int]) -> list[EngineSettings]:
    """Settings of every kind of engine; a name stands for those that the kind has by itself."""
    return [
        EngineSettings(one, tuple(sms) if one != "tensorrt" else ()) if isinstance(one, str) else one
        for one in engines
    ]
