"""The options of ``maskclr-edge export`` that are about engines."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from maskclr_edge.cli.lists import word_list
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.deploy.build_options import BuildOptions, EngineSettings
    from maskclr_edge.deploy.engine_profiles import Profiles

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class EngineChoices:
    """What the user said of engines; ``build`` holds only what was said."""

    kinds: tuple[str, ...]
    sms: tuple[int, ...]
    frames: tuple[str, ...]
    persons: str | None
    build: dict[str, Any]
    cache: Path | None

    def settings(self) -> "tuple[EngineSettings, ...]":
        """Of every kind that was named. Raises ConfigError."""
        from maskclr_edge.deploy.build_options import DEFAULT_SMS, BuildOptions, EngineSettings

        if not self.kinds and (self.sms or self.frames or self.persons or self.build):
            raise ConfigError(
                "options of engines without an engine; add --engine tensorrt-rtx, or tensorrt on the device"
            )
        options = self.build_options() or BuildOptions()
        return tuple(
            EngineSettings(
                kind,
                sms=self.sms if kind == "tensorrt" else self.sms or DEFAULT_SMS,
                profiles=self.profiles(),
                options=options,
                cache=self.cache,
            )
            for kind in self.kinds
        )

    def profiles(self) -> "Profiles | None":
        """Ranges of frames and persons, or None where none were given. Raises ConfigError."""
        from maskclr_edge.deploy.engine_profiles import DEFAULT_PERSONS, Profiles, Range

        if not self.frames:
            if self.persons:
                raise ConfigError("--persons is for profiles; give --frames too, such as 1:30:243")
            return None
        persons = Range.parse(self.persons) if self.persons else DEFAULT_PERSONS
        return Profiles(tuple(map(Range.parse, self.frames)), persons)

    def build_options(self) -> "BuildOptions | None":
        """Settings of the build, or None where none were given. Raises ConfigError."""
        from maskclr_edge.deploy.build_options import BuildOptions

        return BuildOptions(**self.build) if self.build else None


def engine_options(command: Command) -> Command:
    """Add the options; the command gets them as ``engine_choices``."""

    def wrapped(
        *,
        engines: tuple[str, ...],
        sm: str | None,
        frames: tuple[str, ...],
        persons: str | None,
        level: int | None,
        workspace: int | None,
        tf32: bool,
        compatible: tuple[str, ...],
        weights: str | None,
        dla: bool,
        timing_cache: Path | None,
        **others: Any,
    ) -> Any:
        hardware = [word for word in compatible if word != "version"]
        if len(hardware) > 1:
            raise ConfigError(f"--compatible is {' and '.join(hardware)}; expected one of them")
        said = {
            "level": level,
            "workspace_mb": workspace,
            "tf32": tf32 or None,
            "version_compatible": True if "version" in compatible else None,
            "hardware": hardware[0] if hardware else None,
            "weights": weights,
            "dla": dla or None,
        }
        choices = EngineChoices(
            word_list(",".join(engines)),
            compute_capabilities(sm or ""),
            frames,
            persons,
            {name: value for name, value in said.items() if value is not None},
            timing_cache,
        )
        return command(engine_choices=choices, **others)

    wrapped.__doc__ = command.__doc__
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    # click keeps the options of the decorators below this one on the function that they decorate
    below: list[click.Parameter] = getattr(command, "__click_params__", [])
    own: list[click.Parameter] = getattr(wrapped, "__click_params__", [])
    setattr(wrapped, "__click_params__", below + own)  # noqa: B010 (mypy knows no such attribute)
    return cast(Command, wrapped)


_OPTIONS = (
    click.option("--engine", "engines", multiple=True, metavar="KIND", help="Also build engines: "
                 "tensorrt-rtx, or tensorrt on the GPU that it is for."),
    click.option("--sm", metavar="LIST", help="Compute capabilities that tensorrt-rtx builds for; 86,89,120 "
                 "by default."),
    click.option("--frames", multiple=True, metavar="MIN:OPT:MAX", help="Frames of an optimisation profile, "
                 "OPT a number or the word model; repeat it for several profiles."),
    click.option("--persons", metavar="MIN:OPT:MAX", help="Persons at once; 1:1:16 by default."),
    click.option("--level", type=click.IntRange(0, 5), help="How long the builder searches; 3 by default."),
    click.option("--workspace", type=click.IntRange(1, 1 << 20), metavar="MIB", help="Scratch memory that a "
                 "layer may take; all of the GPU's by default."),
    click.option("--tf32", is_flag=True, help="Let FP32 products round their inputs to TF32."),
    click.option("--compatible", multiple=True,
                 type=click.Choice(["version", "ampere-plus", "same-capability"]),
                 help="Engines that later TensorRT versions, or other GPUs, take too."),
    click.option("--weights", type=click.Choice(["fixed", "refit", "strip"]), help="Engines that take other "
                 "weights, or have none yet, for maskclr-edge refit."),
    click.option("--dla", is_flag=True, help="Refused, with the reason."),
    click.option("--timing-cache", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
                 help="Where TensorRT's kernel timings are kept; your cache folder by default."),
)  # fmt: skip


def compute_capabilities(text: str) -> tuple[int, ...]:
    """Whole numbers from ``86,89`` or ``SM86 8.9``. Raises ConfigError."""
    found = []
    for word in word_list(text):
        digits = word.upper().removeprefix("SM_").removeprefix("SM").replace(".", "")
        if not digits:
            continue
        if not digits.isdecimal() or len(digits) > 4:
            raise ConfigError(f"--sm is {text!r}; expected compute capabilities such as 86,89,120")
        found.append(int(digits))
    return tuple(dict.fromkeys(found))
