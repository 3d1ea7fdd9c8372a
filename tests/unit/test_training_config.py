"""Training configs: upstream's files unchanged, ours, and one clear line for what does not fit."""

import pytest
import yaml

from maskclr_edge.errors import ConfigError

pytest.importorskip("torch", reason="training needs PyTorch")
from maskclr_edge.training import TrainConfig, find_config, parse_override, shipped_configs

# the keys and values of MaskCLR's file for NTU60 x-sub
UPSTREAM = """
finetune: False
partial_train: null
epochs: 600
batch_size: 16
lr_backbone: 0.0001
lr_head: 0.001
weight_decay: 0.01
lr_decay: 0.99
ccl: 0.5
scl: 0.5
backbone: DSTformerv2
model_version: class
maxlen: 243
dim_feat: 512
mlp_ratio: 2
depth: 5
dim_rep: 512
num_heads: 8
att_fuse: True
num_joints: 17
hidden_dim: 2048
dropout_ratio: 0.5
head_version: base
dataset: ntu60_hrnet
data_split: xsub
clip_len: 243
action_classes: 60
random_move: True
scale_range_train: [1, 3]
scale_range_test: [2, 2]
"""


def test_upstream_file_is_read_unchanged(tmp_path):
    path = tmp_path / "maskclrv2_train_NTU60_xsub.yaml"
    path.write_text(UPSTREAM)
    config = TrainConfig.from_yaml(path)
    assert (config.model.num_classes, config.model.dim_feat, config.model.hidden_dim) == (60, 512, 2048)
    assert config.model.mask_token  # what the second version of the backbone holds
    assert (config.train_split, config.val_split) == ("xsub_train", "xsub_val")
    assert (config.epochs, config.lr_head, config.ccl, config.scale_range_train) == (600, 1e-3, 0.5, (1, 3))


def test_upstreams_oneshot_file_is_read_unchanged(tmp_path):
    """The keys and values of MotionBERT's file for one-shot NTU120."""
    path = tmp_path / "MB_train_NTU120_oneshot.yaml"
    general, data = UPSTREAM.split("dataset:")
    text = general.replace("model_version: class", "model_version: embed") + "n_views: 2\ntemp: 0.1\n"
    path.write_text(text + "clip_len: 100\n" + data[data.index("random_move") :])
    config = TrainConfig.from_yaml(path)
    assert (config.model.head, config.n_views, config.class_temperature) == ("embed", 2, 0.1)
    again = TrainConfig.from_flat(yaml.safe_load(config.to_yaml()))
    assert again == config and again.class_temperature == 0.1
    with pytest.raises(ConfigError, match="n_views is 1"):
        TrainConfig.from_yaml(path, {"n_views": 1})


@pytest.mark.parametrize("name", shipped_configs())
def test_shipped_configs_are_read_and_written_back_whole(name):
    config = TrainConfig.from_yaml(find_config(name))
    again = TrainConfig.from_flat(yaml.safe_load(config.to_yaml()))
    assert again == config
    assert config.contract(tuple(map(str, range(max(1, config.model.num_classes))))).frames == config.clip_len


def test_folds_have_splits_of_their_own():
    second = TrainConfig.from_yaml(find_config("sbu_small"), {"fold": 2})
    assert (second.train_split, second.val_split) == ("train_2", "val_2")


def test_unknown_key_names_the_closest(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(UPSTREAM + "lr_backbon: 1\n")
    with pytest.raises(ConfigError, match=r"lr_backbon.*did you mean 'lr_backbone'"):
        TrainConfig.from_yaml(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", "many"),
        ("clip_len", 244),
        ("persons", 3),
        ("lr_head", -1),
        ("flip", "yes"),
        ("msk_type", "random"),
        ("mask_ratio", [0.5, 1.0]),
        ("scale_range_train", [3, 1]),
        ("ema", float("nan")),
        ("dim_feat", 100),  # does not divide by 8 heads
    ],
)
def test_values_that_do_not_fit_are_named(key, value):
    flat = yaml.safe_load(UPSTREAM) | {key: value}
    with pytest.raises(ConfigError, match=key):
        TrainConfig.from_flat(flat)


def test_overrides_of_the_command_line_are_yaml_values():
    assert parse_override("epochs=10") == ("epochs", 10)
    assert parse_override("scale_range_train=[1, 2]") == ("scale_range_train", [1, 2])
    assert TrainConfig.from_flat(yaml.safe_load(UPSTREAM) | {"lr_head": "1e-3"}).lr_head == 1e-3
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_override("epochs")


def test_unknown_shipped_config_names_the_closest():
    with pytest.raises(ConfigError, match="penn_action_small"):
        find_config("pen_action_smal")


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1", "", "!!python/object/apply:os.system [ls]"])
def test_files_that_are_no_config(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        TrainConfig.from_yaml(path)
