"""What may stand in a target's YAML file, field by field; every refusal names the file and the key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskclr_edge.checkpoint.config import closest
from maskclr_edge.deploy.build_options import HARDWARE
from maskclr_edge.deploy.engine_profiles import MODEL, Range
from maskclr_edge.errors import ConfigError

_LONGEST_TEXT = 200
_MOST_SMS = 32


def parse(path: Path, data: bytes) -> Mapping[Any, Any]:
    """The keys and values of a YAML file. ConfigError where it holds something else."""
    import yaml

    try:
        raw = yaml.safe_load(data.decode("utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path} is not a YAML file: {reason}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} is not a target: expected keys and values, such as name: rtx-40")
    return raw


def short_list(where: str, key: str, value: object) -> list[Any]:
    """A list of a few items."""
    if not isinstance(value, list) or len(value) > _MOST_SMS:
        raise ConfigError(f"{where}: {key} is {str(value)[:80]!r}; expected a short list")
    return value


def integers(where: str, key: str, value: object) -> list[int]:
    """A list of whole numbers above 0."""
    for item in (items := short_list(where, key, value)):
        if isinstance(item, bool) or not isinstance(item, int) or not 0 < item < 10_000:
            raise ConfigError(f"{where}: {key} holds {str(item)[:80]!r}; expected whole numbers above 0")
    return items


def least_typical_most(where: str, key: str, value: object) -> Range:
    """A ``[least, typical, most]``; the typical one may be the word model."""
    items = short_list(where, key, value)
    if len(items) != 3:
        raise ConfigError(
            f"{where}: {key} holds {str(value)[:80]}; expected ranges [least, typical, most], such as "
            "[1, model, 243]"
        )
    low, high = integers(where, key, [items[0], items[2]])
    opt = 0 if items[1] == MODEL and key == "frames" else integers(where, key, items[1:2])[0]
    try:
        return Range(low, opt, high)
    except ConfigError as error:
        raise ConfigError(f"{where}: {key}: {error}") from error


def option_fields(where: str, raw: Mapping[Any, Any]) -> dict[str, Any]:
    """Settings of the build that a target names."""
    found: dict[str, Any] = {}
    for key in ("tf32", "version_compatible", "dla"):
        if key in raw:
            if not isinstance(raw[key], bool):
                raise ConfigError(f"{where}: {key} is {str(raw[key])[:80]!r}; expected true or false")
            found[key] = raw[key]
    for key in ("level", "workspace_mb"):
        if key in raw:
            if isinstance(raw[key], bool) or not isinstance(raw[key], int):
                raise ConfigError(f"{where}: {key} is {str(raw[key])[:80]!r}; expected a whole number")
            found[key] = raw[key]
    if "hardware" in raw:
        found["hardware"] = one_of(where, "hardware", raw["hardware"], tuple(HARDWARE))
    return found


def text(where: str, key: str, value: object) -> str:
    """A line that is not empty."""
    if not isinstance(value, str) or not value.strip() or "\n" in value or len(value) > _LONGEST_TEXT:
        raise ConfigError(f"{where}: {key} must be a line of 1 to {_LONGEST_TEXT} characters")
    return value


def one_of(where: str, key: str, value: object, known: tuple[str, ...]) -> str:
    """One of some words; nothing at all is the word none."""
    # YAML reads the word itself as text
    word = "none" if value is None else value
    if not isinstance(word, str) or word not in known:
        hint = closest(word, known) or f"; expected one of {', '.join(known)}"
        raise ConfigError(f"{where}: {key} is {str(word)[:80]!r}{hint}")
    return word
