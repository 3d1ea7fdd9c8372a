"""The shape of the network: one frozen dataclass, read from dictionaries and from upstream's YAML keys."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any

from maskclr_edge.errors import ConfigError

HEADS = ("class", "embed")

#: name -> (smallest, largest) accepted value; the upper ends bound what a hostile file can make us allocate
_BOUNDS = {
    "num_classes": (0, 100_000),
    "dim_feat": (1, 4096),
    "dim_rep": (1, 4096),
    "depth": (1, 64),
    "num_heads": (1, 256),
    "maxlen": (1, 4096),
    "num_joints": (17, 17),
    "hidden_dim": (1, 16384),
}

#: upstream YAML key -> field of ModelConfig, where the names differ
_YAML_NAMES = {"action_classes": "num_classes", "model_version": "head"}

_YAML_GENERAL = "finetune partial_train train_2d no_eval epochs batch_size weight_decay checkpoint_frequency"
_YAML_RATES = "lr_backbone lr_head lr_decay learning_rate dropout dropout_ratio pretrain_3d_curriculum"
_YAML_METHOD = (
    "n_views temp ccl scl backbone head_version msk_path_start_epoch mask_th msk_type cl_type ce_type"
)
_YAML_DATA = "dataset data_split clip_len data_root subset_list dt_file data_stride sample_stride chunk"
_YAML_AUGMENTATION = """random_move scale_range_train scale_range_test synthetic flip noise noise_path
d2c_params_path mask_ratio mask_T_ratio mask_drop rootrel no_conf gt_2d"""
_YAML_LOSSES = "lambda_3d_velocity lambda_scale lambda_lv lambda_lg lambda_a lambda_av"

#: keys of upstream's YAML files and options that say nothing about the network's shape
UPSTREAM_YAML_KEYS = frozenset(
    " ".join((_YAML_GENERAL, _YAML_RATES, _YAML_METHOD, _YAML_DATA, _YAML_AUGMENTATION, _YAML_LOSSES)).split()
)


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and switches of DSTformer and its head; the shape of every weight follows from it.

    num_classes: columns of the class head (0 is allowed for the embedding head, which has none).
    dim_feat, dim_rep: width of the tokens, and of the representation after tanh.
    mlp_ratio: MLP width over dim_feat. maxlen: most frames a clip may have.
    hidden_dim: width of the head's hidden layer, or of the embedding.
    qk_scale: factor on the attention scores, None for 1 / sqrt(head width).
    mask_token: whether the backbone holds a learned token for masked joints (MaskCLR v2).

    Raises ConfigError for a value of the wrong type or out of range.
    Source: MotionBERT lib/model/DSTformer.py and model_action.py.
    """

    num_classes: int
    dim_feat: int = 512
    dim_rep: int = 512
    depth: int = 5
    num_heads: int = 8
    mlp_ratio: float = 2.0
    maxlen: int = 243
    num_joints: int = 17
    hidden_dim: int = 2048
    head: str = "class"
    att_fuse: bool = True
    qkv_bias: bool = True
    qk_scale: float | None = None
    mask_token: bool = False

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                expected = str(low) if low == high else f"a whole number from {low} to {high}"
                raise ConfigError(f"{name} is {_show(value)}; expected {expected}")
        for name in ("att_fuse", "qkv_bias", "mask_token"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} is {_show(getattr(self, name))}; expected true or false")
        object.__setattr__(self, "mlp_ratio", _number("mlp_ratio", self.mlp_ratio, 16.0))
        if self.qk_scale is not None:
            object.__setattr__(self, "qk_scale", _number("qk_scale", self.qk_scale, 1e4))
        if self.head not in HEADS:
            raise ConfigError(f"head is {_show(self.head)}; expected one of {', '.join(HEADS)}")
        if self.head == "class" and self.num_classes < 1:
            raise ConfigError("num_classes is 0; a class head needs at least 1")
        if self.dim_feat % self.num_heads:
            raise ConfigError(f"dim_feat {self.dim_feat} does not divide by num_heads {self.num_heads}")
        if self.mlp_hidden < 1:
            raise ConfigError(
                f"mlp_ratio {self.mlp_ratio} of dim_feat {self.dim_feat} leaves no hidden unit; raise it"
            )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim_feat // self.num_heads

    @property
    def scale(self) -> float:
        """Factor on the attention scores; a qk_scale of 0 means the default, as upstream."""
        return self.qk_scale or self.head_dim**-0.5

    @property
    def mlp_hidden(self) -> int:
        """Hidden width of a block's MLP."""
        return int(self.dim_feat * self.mlp_ratio)

    @property
    def feature_size(self) -> int:
        """F: length of one person's pooled feature, joints times dim_rep."""
        return self.num_joints * self.dim_rep

    @property
    def output_size(self) -> int:
        """Columns of the network's result: classes, or the width of the embedding."""
        return self.num_classes if self.head == "class" else self.hidden_dim

    def to_dict(self) -> dict[str, Any]:
        """All fields, JSON-able; ``from_dict`` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelConfig":
        """Read ``to_dict``'s form; absent fields take their defaults.

        Raises ConfigError for an unknown key, naming the closest.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"a model config is a mapping of names to values; got {type(values).__name__}")
        names = [field.name for field in fields(cls)]
        for key in values:
            if key not in names:
                raise ConfigError(f"unknown model config key {_show(key)}{closest(key, names)}")
        if "num_classes" not in values:
            raise ConfigError("the model config has no num_classes")
        return cls(**values)

    @classmethod
    def from_yaml_dict(cls, values: Mapping[str, Any]) -> "ModelConfig":
        """Read the flat keys of upstream's YAML files: action_classes, model_version, dim_feat, ...

        Upstream's other keys are skipped. ``backbone: DSTformerv2`` means a mask token; an absent
        action_classes is 0 for the embedding head.
        Raises ConfigError for a key that neither upstream nor this class knows, naming the closest.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"a model YAML is a mapping of keys to values; got {type(values).__name__}")
        names = {field.name for field in fields(cls)}
        known = sorted(names | UPSTREAM_YAML_KEYS | set(_YAML_NAMES))
        chosen: dict[str, Any] = {"mask_token": values.get("backbone") == "DSTformerv2"}
        for key, value in values.items():
            if key not in known:
                raise ConfigError(f"unknown config key {_show(key)}{closest(key, known)}")
            name = _YAML_NAMES.get(key, key)
            if name in names:
                chosen[name] = value
        if "num_classes" not in chosen:
            if chosen.get("head", "class") != "embed":
                raise ConfigError(
                    "the config has no action_classes; give the number of classes of the checkpoint"
                )
            chosen["num_classes"] = 0
        return cls(**chosen)


def closest(word: object, known: "list[str] | tuple[str, ...]") -> str:
    """`` (did you mean 'x'?)`` for the nearest known word, or nothing where none is near."""
    near = get_close_matches(str(word)[:80], known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _number(name: str, value: object, high: float) -> float:
    """A finite number in [0, high] as a float; ConfigError otherwise (NaN fails the comparison)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
        raise ConfigError(f"{name} is {_show(value)}; expected a number from 0 to {high:g}")
    return float(value)


def _show(value: object) -> str:
    """A value for an error message, short whatever it is."""
    text = repr(value) if isinstance(value, str | bool | float | None) else str(type(value).__name__)
    if isinstance(value, int) and not isinstance(value, bool):
        text = str(value) if abs(value) < 10**20 else "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."
