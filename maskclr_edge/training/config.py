"""How to train: one frozen dataclass over the flat YAML keys of MotionBERT and MaskCLR, and ours."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from maskclr_edge.checkpoint import ModelConfig
from maskclr_edge.checkpoint.config import UPSTREAM_YAML_KEYS, closest
from maskclr_edge.errors import ConfigError
from maskclr_edge.skeleton import SkeletonContract

_MAX_CONFIG_BYTES = 1 << 20

_CHOICES: dict[str, tuple[str, ...]] = {
    "schedule": ("exponential", "cosine"),
    "precision": ("fp32", "bf16"),
    "msk_type": ("none", "tm", "agpm"),
    "mask_span": ("clip", "frame", "mixed"),
    "ce_type": ("ce", "avgce"),
    "confidence_order": ("h36m", "legacy"),
    "absent": ("zeros", "projected"),
}

#: name -> (smallest, largest) accepted value of a number
_RANGES: dict[str, tuple[float, float]] = {
    "clip_len": (1, 243),
    "persons": (1, 2),
    "fold": (1, 1000),
    "epochs": (1, 100_000),
    "batch_size": (2, 65_536),
    "accumulate": (1, 4096),
    "seed": (0, 2**31),
    "holdout": (0, 0.9),
    "lr_backbone": (0, 10),
    "lr_head": (0, 10),
    "weight_decay": (0, 10),
    "lr_decay": (0.01, 1),
    "warmup_epochs": (0, 100_000),
    "clip_grad": (0, 1e6),
    "ema": (0, 0.99999),
    "label_smoothing": (0, 0.9),
    "dropout_ratio": (0, 0.95),
    "drop_path": (0, 0.95),
    "time_crop": (0.01, 1),
    "joint_dropout": (0, 0.9),
    "frame_dropout": (0, 0.9),
    "confidence_noise": (0, 1),
    "mask_th": (0, 1),
    "mask_tau": (1e-3, 100),
    "msk_path_start_epoch": (0, 100_000),
    "ccl": (0, 1000),
    "scl": (0, 1000),
    "n_views": (1, 64),
    "sample_temperature": (1e-3, 100),
    "class_temperature": (1e-3, 100),
}


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run; ``from_yaml`` reads upstream's files unchanged.

    dataset: path of the annotation file, relative to the current folder or to the YAML file.
    data_split: "NAME" trains on split NAME_train and reports NAME_val; "" means "train" and "val". fold: of a
    file with several, 2 means "train_2" and "val_2".
    holdout: share of each class of the training split, its last clips by name, that is kept apart to choose
    the best epoch by (0: the last epoch is it).
    clip_len: frames of a clip. scale_range_train/test: crop box over bounding box, in side length.
    random_move: rotation +-10 degrees, scale 0.9-1.1, shift +-0.1, linear over time. flip: mirror half of
    the clips. time_crop: smallest share of a recording that a training clip spans.
    ema: decay of the moving average of the weights that is evaluated and kept (0: none).
    msk_type, mask_th, mask_ratio, mask_tau, msk_path_start_epoch, ccl, scl, ce_type: the masked pathway of
    MaskCLR. mask_span: frames that share a mask, the whole "clip", one "frame", or "mixed" (drawn).
    n_views: clips of one class that a batch of one-shot training (``model_version: embed``) puts together.
    Learning rates and weight decay per step of AdamW; ``lr_decay`` per epoch ("exponential").
    Raises ConfigError for an unknown key or a value out of range.
    """

    model: ModelConfig
    dataset: str = ""
    layout: str = "coco17"
    data_split: str = ""
    fold: int = 1
    clip_len: int = 243
    persons: int = 2
    confidence_order: str = "h36m"
    absent: str = "zeros"
    scale_range_train: tuple[float, float] = (1.0, 3.0)
    scale_range_test: tuple[float, float] = (2.0, 2.0)
    holdout: float = 0.0

    epochs: int = 300
    batch_size: int = 32
    accumulate: int = 1
    lr_backbone: float = 1e-4
    lr_head: float = 1e-3
    weight_decay: float = 0.01
    lr_decay: float = 0.99
    schedule: str = "exponential"
    warmup_epochs: float = 0.0
    clip_grad: float = 0.0
    ema: float = 0.0
    label_smoothing: float = 0.0
    dropout_ratio: float = 0.5
    drop_path: float = 0.0
    precision: str = "fp32"
    compile: bool = False
    seed: int = 0

    random_move: bool = True
    flip: bool = False
    time_crop: float = 1.0
    joint_dropout: float = 0.0
    frame_dropout: float = 0.0
    confidence_noise: float = 0.0

    msk_type: str = "none"
    mask_th: float = 0.2
    mask_ratio: tuple[float, float] = (0.5, 0.5)
    mask_tau: float = 0.75
    mask_span: str = "clip"
    msk_path_start_epoch: float = 300
    ce_type: str = "ce"
    ccl: float = 0.0
    scl: float = 0.0
    n_views: int = 2
    sample_temperature: float = 0.5
    class_temperature: float = 0.07

    #: upstream keys that were read and act nowhere here, kept so that a file can be written back whole
    unused: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(allowed)}")
        whole = {f.name for f in fields(self) if f.type in (int, "int")}
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            kind = int if name in whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
                number = "a whole number" if name in whole else "a number"
                raise ConfigError(f"{name} is {value!r}; expected {number} from {low:g} to {high:g}")
        for name, low in (("scale_range_train", 0.1), ("scale_range_test", 0.1), ("mask_ratio", 0.0)):
            object.__setattr__(self, name, _pair(name, getattr(self, name), low))
        if self.mask_ratio[1] >= 1:
            raise ConfigError(f"mask_ratio is {self.mask_ratio!r}; a clip needs joints that stay (below 1)")
        if self.model.head == "embed" and self.n_views < 2:
            raise ConfigError("n_views is 1; one-shot training compares 2 clips of a class, or more")
        if self.clip_len > self.model.maxlen:
            raise ConfigError(f"clip_len {self.clip_len} is above maxlen {self.model.maxlen}; raise maxlen")
        for f in fields(self):
            if f.type in (bool, "bool") and not isinstance(getattr(self, f.name), bool):
                raise ConfigError(f"{f.name} is {getattr(self, f.name)!r}; expected true or false")

    @property
    def train_split(self) -> str:
        """Name of the split to train on."""
        return self._split("train")

    @property
    def val_split(self) -> str:
        """Name of the split that the final accuracy is reported on."""
        return self._split("val")

    def _split(self, part: str) -> str:
        name = f"{self.data_split}_{part}" if self.data_split else part
        return name if self.fold == 1 else f"{name}_{self.fold}"

    def contract(self, class_names: tuple[str, ...], two_person: tuple[str, ...] = ()) -> SkeletonContract:
        """The skeleton contract of weights trained by this config; two_person: classes that take two."""
        return SkeletonContract(
            class_names=class_names,
            frames=self.clip_len,
            persons=self.persons,
            max_frames=self.model.maxlen,
            confidence_order=self.confidence_order,  # type: ignore[arg-type]  # checked in __post_init__
            absent=self.absent,  # type: ignore[arg-type]
            scale_ratio=self.scale_range_test[0],
            two_person=two_person if self.persons == 2 else (),
        )

    def to_flat(self) -> dict[str, Any]:
        """All keys in the flat form of the YAML files; ``from_flat`` gives back an equal config."""
        values = {name: value for name, value in asdict(self).items() if name not in ("model", "unused")}
        model = self.model.to_dict()
        head = {"action_classes": model.pop("num_classes"), "model_version": model.pop("head")}
        flat = dict(self.unused) | head | model | values
        return {key: list(value) if isinstance(value, tuple) else value for key, value in flat.items()}

    def to_yaml(self) -> str:
        """The config as a YAML document."""
        return yaml.safe_dump(self.to_flat(), sort_keys=False)

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Read flat keys, upstream's or ours. Raises ConfigError for an unknown key, naming the closest."""
        own = {f.name for f in fields(cls)} - {"model", "unused"}
        of_model = {f.name for f in fields(ModelConfig)} | {"action_classes", "model_version", "backbone"}
        known = sorted(own | of_model | UPSTREAM_YAML_KEYS)
        for key in values:
            if key not in known:
                raise ConfigError(f"unknown config key {key!r}{closest(key, known)}")
        model = ModelConfig.from_yaml_dict({key: value for key, value in values.items() if key in of_model})
        chosen = {key: _plain(value) for key, value in values.items() if key in own}
        if model.head == "embed" and "temp" in values:  # upstream's name, read by its one-shot training alone
            chosen.setdefault("class_temperature", _plain(values["temp"]))
        unused = {key: value for key, value in values.items() if key not in own and key not in of_model}
        return cls(model=model, unused=unused, **chosen)

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Mapping[str, Any] | None = None) -> "TrainConfig":
        """Read a YAML file, then set single keys. Raises ConfigError naming file and fault."""
        values = read_yaml(path)
        try:
            return cls.from_flat(dict(values) | dict(overrides or {}))
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file of flat keys as a dictionary. Raises ConfigError where it is not one."""
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise ConfigError(
                f"{path}: {path.stat().st_size} bytes; a config has at most {_MAX_CONFIG_BYTES}"
            )
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not a YAML file ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys with values, got {type(values).__name__}")
    return values


def parse_override(text: str) -> tuple[str, Any]:
    """``KEY=VALUE`` of the command line, the value read as YAML. Raises ConfigError."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"{text!r} is not KEY=VALUE, as in --set epochs=10")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"{key}: {value!r} is not a YAML value") from error


def _plain(value: Any) -> Any:
    """Lists become tuples; a number written as text (YAML reads 1e-3 so) becomes a number."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _pair(name: str, value: Any, low: float) -> tuple[float, float]:
    """A (low, high) pair of numbers; one number stands for both."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or any(isinstance(v, bool) or not isinstance(v, int | float) for v in pair):
        raise ConfigError(f"{name} is {value!r}; expected a number or [low, high]")
    if not low <= pair[0] <= pair[1] <= 100:
        raise ConfigError(f"{name} is {value!r}; expected {low:g} <= low <= high <= 100")
    return float(pair[0]), float(pair[1])
