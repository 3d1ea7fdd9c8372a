"""Deployment targets: what a device takes, one strict YAML file each, read without onnx.

The files are edited in ``export/`` of the sources, and lie in ``targets/`` of an installed package.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from maskclr_edge.checkpoint.config import closest
from maskclr_edge.deploy.build_options import ENGINES, BuildOptions, EngineSettings
from maskclr_edge.deploy.engine_profiles import Profiles, Range
from maskclr_edge.deploy.precision import PRECISIONS, get_precision
from maskclr_edge.deploy.target_fields import (
    integers,
    least_typical_most,
    one_of,
    option_fields,
    parse,
    short_list,
    text,
)
from maskclr_edge.errors import ConfigError
from maskclr_edge.optional import available
from maskclr_edge.runtime.cuda_device import find_gpu

_PRECISIONS = tuple(PRECISIONS)
_ENGINES = ("none", *ENGINES)
_OPTIONS = ("level", "workspace_mb", "tf32", "version_compatible", "hardware", "dla")
_OPTIONAL = ("also", "persons", "memory", "versions", "notes", *_OPTIONS)
_LONGEST_FILE = 1 << 16
_MOST_FRAMES = 243


@dataclass(frozen=True)
class Target:
    """What a device takes.

    precisions: what is exported for it. also: what it takes too, and gets only when asked for by name.
    engine: "tensorrt-rtx", built ahead of time; "tensorrt", built on the device; or "none". sms: compute
    capabilities, 86 for SM86. profiles: frames and persons that its engines take. options: of the build.
    memory: what the device has. versions: of JetPack and TensorRT that it is for.
    Raises ConfigError for values that do not fit each other.
    """

    name: str
    what: str
    precisions: tuple[str, ...]
    engine: str
    sms: tuple[int, ...]
    profiles: Profiles
    options: BuildOptions = BuildOptions()  # noqa: RUF009 (it is frozen)
    also: tuple[str, ...] = ()
    memory: str = ""
    versions: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.engine != "none" and not self.sms:
            raise ConfigError(f"target {self.name}: an engine needs sms, such as [86]")
        low, high = self.profiles.span
        if high > _MOST_FRAMES:
            raise ConfigError(
                f"target {self.name}: frames are {low} to {high}; expected a range in 1 to {_MOST_FRAMES}"
            )
        if self.engine == "tensorrt-rtx":
            self.options.check(self.engine, self.sms)

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
        return cls._from_mapping(parse(path, data), str(path))

    @classmethod
    def _from_mapping(cls, raw: Mapping[Any, Any], where: str) -> "Target":
        known = ["name", "what", "precisions", "engine", "sms", "frames", *_OPTIONAL]
        for key in raw:
            if key not in known:
                hint = closest(key, known) or f"; a target has {', '.join(known)}"
                raise ConfigError(f"{where}: unknown key {str(key)[:80]!r}{hint}")
        for key in known:
            if key not in raw and key not in _OPTIONAL:
                raise ConfigError(f"{where}: the key {key!r} is missing")
        precisions, also = (
            tuple(
                dict.fromkeys(one_of(where, key, item, _PRECISIONS) for item in short_list(where, key, found))
            )
            for key, found in (("precisions", raw["precisions"]), ("also", raw.get("also") or []))
        )
        if not precisions:
            raise ConfigError(f"{where}: precisions are empty; expected some of {', '.join(_PRECISIONS)}")
        frames = tuple(
            least_typical_most(where, "frames", item) for item in short_list(where, "frames", raw["frames"])
        )
        persons = least_typical_most(where, "persons", raw.get("persons", [1, 1, 16]))
        try:
            profiles = Profiles(frames, persons)
            options = BuildOptions(**option_fields(where, raw))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        return cls(
            name=text(where, "name", raw["name"]),
            what=text(where, "what", raw["what"]),
            precisions=precisions,
            engine=one_of(where, "engine", raw["engine"], _ENGINES),
            sms=tuple(dict.fromkeys(integers(where, "sms", raw["sms"]))),
            profiles=profiles,
            options=options,
            also=also,
            memory=text(where, "memory", raw.get("memory", "not stated")),
            versions=text(where, "versions", raw.get("versions", "any")),
            notes=tuple(
                text(where, "notes", item) for item in short_list(where, "notes", raw.get("notes") or [])
            ),
        )

    def here(self) -> bool:
        """Whether this machine can build its engine: TensorRT builds on the GPU alone."""
        if self.engine == "tensorrt":
            gpu = find_gpu() if available("tensorrt") else None
            return gpu is not None and gpu.sm in self.sms
        return self.engine == "tensorrt-rtx" and rtx_here()

    def takes_all(self, precisions: Sequence[str]) -> tuple[str, ...]:
        """Those of some precisions that it takes."""
        return tuple(name for name in precisions if name in self.takes)


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
    engines: tuple[EngineSettings, ...] = ()
    left: tuple[Target, ...] = ()


def plan(
    targets: Sequence[Target],
    *,
    precisions: Sequence[str] = (),
    engines: Sequence[str] = (),
    sms: Sequence[int] = (),
    profiles: Profiles | None = None,
    options: BuildOptions | None = None,
    cache: Path | None = None,
) -> Plan:
    """Everything that the targets ask for together; explicit precisions, engines and sms narrow it.

    profiles and options take the place of the targets' own; cache is a folder of kernel timings. An engine
    that cannot be built here is left for the device. Raises ConfigError for an explicit choice that no target
    has, naming what they have, and for targets whose options differ.
    """
    chosen = tuple(precisions) or tuple(dict.fromkeys(item for one in targets for item in one.precisions))
    for target in targets:
        if not target.takes_all(chosen):
            raise ConfigError(
                f"target {target.name} takes {', '.join(target.takes)}, and not {', '.join(chosen)}; "
                f"{_takers(chosen[0])}"
            )
    for name in chosen:
        if all(name not in target.takes for target in targets):
            raise ConfigError(f"no target that was named takes {name}; {_takers(name)}")
    with_engine = [target for target in targets if target.engine != "none"]
    kinds = _narrow("engine", engines, (target.engine for target in with_engine))
    _narrow("sm", sms, (sm for target in with_engine for sm in target.sms))
    wanted = [target for target in with_engine if target.engine in kinds]
    # asked for by name, a builder that is missing is an error
    built = [target for target in wanted if target.here() or target.engine in engines]
    made = [
        replace(
            _settings(kind, [one for one in built if one.engine == kind], chosen, sms, profiles, options),
            cache=cache,
        )
        for kind in dict.fromkeys(target.engine for target in built)
    ]
    takes = tuple(precisions) or tuple(dict.fromkeys(item for one in targets for item in one.takes))
    return Plan(chosen, takes, tuple(made), tuple(one for one in wanted if one not in built))


def _settings(
    kind: str,
    targets: Sequence[Target],
    precisions: Sequence[str],
    sms: Sequence[int],
    profiles: Profiles | None,
    options: BuildOptions | None,
) -> EngineSettings:
    """One kind of engine for several devices: each precision for the GPUs whose target takes it."""
    if options is None:
        options = targets[0].options
        for target in targets:
            if target.options != options:
                raise ConfigError(
                    f"targets {targets[0].name} and {target.name} differ in how engines are built; export "
                    "them one after the other"
                )
    if profiles is None:
        ranges = tuple(dict.fromkeys(one for target in targets for one in target.profiles.frames))
        persons = [target.profiles.persons for target in targets]
        most = max(one.high for one in persons)
        profiles = Profiles(ranges, Range(min(one.low for one in persons), persons[0].opt, most))
    if kind == "tensorrt":
        return EngineSettings(kind, profiles=profiles, options=options)
    of = {
        name: tuple(
            dict.fromkeys(
                sm for one in targets if name in one.takes for sm in one.sms if sm in (sms or one.sms)
            )
        )
        for name in PRECISIONS
    }
    for name in precisions:
        if sms and not of[name] and any(name in one.takes for one in targets):
            raise ConfigError(f"--sm {', '.join(map(str, sms))} is for no target that takes {name}")
    return EngineSettings(kind, sms_of=of, profiles=profiles, options=options)


def rtx_here() -> bool:
    """Whether this machine has a TensorRT-RTX to build with."""
    ours = ("tensorrt_rtx_bindings", "onnxruntime_ep_nv_tensorrt_rtx")
    return available("tensorrt_rtx") or all(map(available, ours))


def finish_command(target: Target, name: str, bundle: str) -> list[str]:
    """Words of the one command that makes a target's engines on the device. name: the user's for it."""
    folder = bundle.rstrip("/") or bundle
    return ["maskclr-edge", "export", folder, "--out", folder, "--target", name, "--engine", target.engine]


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
