"""Deployment targets: what a device takes, one strict YAML file each, read without onnx.

The files are edited in ``export/`` of the sources, and lie in ``targets/`` of an installed package.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from maskclr_edge.checkpoint.config import closest
from maskclr_edge.deploy.precision import PRECISIONS, get_precision
from maskclr_edge.errors import ConfigError
from maskclr_edge.optional import available
from maskclr_edge.skeleton import SkeletonContract

_PRECISIONS = tuple(PRECISIONS)
_ENGINES = ("none", "tensorrt-rtx")
_FINISHES = ("none", "trtexec")
_OPTIONAL = ("also", "notes")
_LONGEST_FILE = 1 << 16
_LONGEST_TEXT = 200
_MOST_FRAMES = 243
_MOST_SMS = 32


@dataclass(frozen=True)
class Target:
    """What a device takes.

    precisions: what is exported for it. also: what it takes too, and gets only when asked for by name.
    engine: kind to build ahead of time, or "none". finish: "trtexec" where the engine is built on the device.
    sms: compute capabilities, 86 for SM86. frames: least and most frames that its engines take.
    Raises ConfigError for values that do not fit each other.
    """

    name: str
    what: str
    precisions: tuple[str, ...]
    engine: str
    finish: str
    sms: tuple[int, ...]
    frames: tuple[int, int]
    also: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.engine != "none" and not self.sms:
            raise ConfigError(f"target {self.name}: an engine needs sms, such as [86]")
        if self.engine != "none" and self.finish != "none":
            raise ConfigError(
                f"target {self.name}: engine {self.engine} is built here; finish must be none, "
                f"not {self.finish}"
            )
        low, high = self.frames
        if not 1 <= low <= high <= _MOST_FRAMES:
            raise ConfigError(
                f"target {self.name}: frames are {low} to {high}; expected a range in 1 to {_MOST_FRAMES}"
            )

    @property
    def takes(self) -> tuple[str, ...]:
        """Every precision that it takes."""
        return tuple(dict.fromkeys(self.precisions + self.also))

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Target":
        """Read a target file. Raises ConfigError that names the file and the key."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                data = file.read(_LONGEST_FILE + 1)
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
        if len(data) > _LONGEST_FILE:
            raise ConfigError(f"{path} is over {_LONGEST_FILE} bytes; expected a target, a short YAML file")
        return cls._from_mapping(_parse(path, data), str(path))

    @classmethod
    def _from_mapping(cls, raw: Mapping[Any, Any], where: str) -> "Target":
        known = [field.name for field in fields(cls)]
        for key in raw:
            if key not in known:
                hint = closest(key, known) or f"; a target has {', '.join(known)}"
                raise ConfigError(f"{where}: unknown key {str(key)[:80]!r}{hint}")
        for key in known:
            if key not in raw and key not in _OPTIONAL:
                raise ConfigError(f"{where}: the key {key!r} is missing")
        frames = _integers(where, "frames", raw["frames"])
        if len(frames) != 2:
            raise ConfigError(f"{where}: frames are {len(frames)} numbers; expected two, such as [1, 243]")
        precisions, also = (
            tuple(dict.fromkeys(_one_of(where, key, item, _PRECISIONS) for item in _list(where, key, found)))
            for key, found in (("precisions", raw["precisions"]), ("also", raw.get("also") or []))
        )
        if not precisions:
            raise ConfigError(f"{where}: precisions are empty; expected some of {', '.join(_PRECISIONS)}")
        return cls(
            name=_text(where, "name", raw["name"]),
            what=_text(where, "what", raw["what"]),
            precisions=precisions,
            engine=_one_of(where, "engine", raw["engine"], _ENGINES),
            finish=_one_of(where, "finish", raw["finish"], _FINISHES),
            sms=tuple(dict.fromkeys(_integers(where, "sms", raw["sms"]))),
            frames=(frames[0], frames[1]),
            also=also,
            notes=tuple(
                _text(where, "notes", item) for item in _list(where, "notes", raw.get("notes") or [])
            ),
        )


def target_folder() -> Path:
    """Where the built-in targets lie: in the package, or beside it in a checkout."""
    package = Path(str(files("maskclr_edge")))
    inside = package / "targets"
    return inside if inside.is_dir() else package.parent / "export"


def target_names() -> list[str]:
    """Names of the built-in targets."""
    return sorted(path.stem for path in target_folder().glob("*.yaml"))


def find_target(name: str) -> Target:
    """A built-in target by name, or one from a YAML file. Raises ConfigError naming the closest."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return Target.from_yaml(path)
    names = target_names()
    if name not in names:
        hint = closest(name, names) or f"; there are {', '.join(names) or 'none in this install'}"
        raise ConfigError(f"{name!r} is neither a target nor a YAML file{hint}")
    return Target.from_yaml(target_folder() / f"{name}.yaml")


@dataclass(frozen=True)
class Plan:
    """What to export for some targets: ``engines`` here, and what is ``left`` to do on a device.

    takes: precisions that a bundle which is there already may have for them.
    """

    precisions: tuple[str, ...]
    takes: tuple[str, ...]
    engines: tuple[str, ...]
    sms: tuple[int, ...]
    frames: tuple[int, int] | None
    left: tuple[Target, ...]


def plan(
    targets: Sequence[Target],
    *,
    precisions: Sequence[str] = (),
    engines: Sequence[str] = (),
    sms: Sequence[int] = (),
) -> Plan:
    """Everything that the targets ask for together; explicit precisions, engines and sms narrow it.

    An engine whose builder is not installed here is left for the device. Raises ConfigError for an explicit
    choice that no target has: the line names what they have.
    """
    built = [target for target in targets if target.engine != "none"]
    chosen = tuple(precisions) or tuple(dict.fromkeys(item for one in targets for item in one.precisions))
    for target in targets:
        if not set(chosen) & set(target.takes):
            raise ConfigError(
                f"target {target.name} takes {', '.join(target.takes)}, and not {', '.join(chosen)}; "
                f"{_takers(chosen[0])}"
            )
    for name in chosen:
        if all(name not in target.takes for target in targets):
            raise ConfigError(f"no target that was named takes {name}; {_takers(name)}")
    kinds = _narrow("engine", engines, (target.engine for target in built))
    capabilities = _narrow("sm", sms, (sm for target in built for sm in target.sms))
    here = bool(engines) or rtx_here()  # asked for by name, a missing builder is an error
    later = [target for target in targets if target.finish != "none" or (target in built and not here)]
    if not here:
        kinds, built = (), []
    frames = [target.frames for target in built]
    span = (min(low for low, _ in frames), max(high for _, high in frames)) if frames else None
    takes = tuple(precisions) or tuple(dict.fromkeys(item for one in targets for item in one.takes))
    return Plan(chosen, takes, kinds, capabilities, span, tuple(later))


def rtx_here() -> bool:
    """Whether this machine has a TensorRT-RTX to build with."""
    ours = ("tensorrt_rtx_bindings", "onnxruntime_ep_nv_tensorrt_rtx")
    return available("tensorrt_rtx") or all(map(available, ours))


def finish_command(target: Target, contract: SkeletonContract, bundle: str, precision: str) -> list[str]:
    """Words of the one command that makes the encoder's engine on the device, from the bundle's ONNX."""
    if target.engine != "none":
        sms = ",".join(map(str, target.sms))
        return ["maskclr-edge", "export", bundle, "--out", bundle, "--engine", target.engine, "--sm", sms]
    low, high = max(target.frames[0], contract.min_frames), min(target.frames[1], contract.max_frames)
    typical = min(max(contract.frames, low), high)
    shapes = {"min": (1, low), "opt": (1, typical), "max": (16, high)}
    folder = bundle.rstrip("/")
    return [
        "trtexec",
        f"--onnx={folder}/encoder.{precision}.onnx",
        f"--saveEngine={folder}/encoder.{precision}.engine",
        "--stronglyTyped",
        *(f"--{kind}Shapes=persons:{persons}x{t}x17x3" for kind, (persons, t) in shapes.items()),
    ]


def _takers(precision: str) -> str:
    """Which built-in targets take a precision, for an error."""
    get_precision(precision)
    able = [name for name in target_names() if precision in find_target(name).takes]
    return f"{precision} is for {', '.join(able) or 'no target'}"


def _narrow(option: str, given: Sequence[Any], asked: Iterable[Any]) -> tuple[Any, ...]:
    have = tuple(dict.fromkeys(asked))
    for item in given:
        if item not in have:
            listed = ", ".join(map(str, have)) or "none"
            raise ConfigError(f"--{option} {item} is not what the targets take, which is {listed}")
    return tuple(given) or have


def _parse(path: Path, data: bytes) -> Mapping[Any, Any]:
    import yaml

    try:
        raw = yaml.safe_load(data.decode("utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path} is not a YAML file: {reason}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} is not a target: expected keys and values, such as name: rtx-40")
    return raw


def _list(where: str, key: str, value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MOST_SMS:
        raise ConfigError(f"{where}: {key} is {str(value)[:80]!r}; expected a short list")
    return value


def _integers(where: str, key: str, value: object) -> list[int]:
    for item in (items := _list(where, key, value)):
        if isinstance(item, bool) or not isinstance(item, int) or not 0 < item < 10_000:
            raise ConfigError(f"{where}: {key} holds {str(item)[:80]!r}; expected whole numbers above 0")
    return items


def _text(where: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\n" in value or len(value) > _LONGEST_TEXT:
        raise ConfigError(f"{where}: {key} must be a line of 1 to {_LONGEST_TEXT} characters")
    return value


def _one_of(where: str, key: str, value: object, known: tuple[str, ...]) -> str:
    # an empty value is none; YAML reads the word itself as text
    word = "none" if value is None else value
    if not isinstance(word, str) or word not in known:
        hint = closest(word, known) or f"; expected one of {', '.join(known)}"
        raise ConfigError(f"{where}: {key} is {str(word)[:80]!r}{hint}")
    return word
