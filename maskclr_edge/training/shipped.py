"""Configs in the package, by name, and the annotations that a config asks for."""

import difflib
from importlib.resources import files
from pathlib import Path

from maskclr_edge.data import AnnotationSet, made_up_clips, read_annotations
from maskclr_edge.errors import ConfigError
from maskclr_edge.training.config import TrainConfig

#: the ``dataset`` that needs no file
MADE_UP = "made-up"
_MADE_UP_CLIPS = 560
_FOLDER = Path(str(files("maskclr_edge"))) / "configs"


def shipped_configs() -> list[str]:
    """Names of the configs in the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def find_config(name: str) -> Path:
    """A YAML file, or the name of a shipped config. Raises ConfigError naming the closest."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    shipped = shipped_configs()
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, n=1)
        hint = f"did you mean {near[0]}?" if near else "there are: " + ", ".join(shipped)
        raise ConfigError(f"{name}: neither a YAML file nor a shipped config; {hint}")
    return _FOLDER / f"{name}.yaml"


def open_dataset(config: TrainConfig) -> AnnotationSet:
    """The annotations of ``config.dataset``: a file, or "made-up". Raises ConfigError where it is absent."""
    if config.dataset == MADE_UP:
        return made_up_clips(_MADE_UP_CLIPS, seed=config.seed)
    if not config.dataset:
        raise ConfigError("the config names no dataset; give one with --data FILE")
    if not Path(config.dataset).is_file():
        raise ConfigError(
            f"{config.dataset}: there is no such annotation file; give its place with --data FILE"
        )
    return read_annotations(config.dataset, layout=config.layout)
