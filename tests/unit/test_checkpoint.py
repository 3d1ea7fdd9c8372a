import errno
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from maskclr_edge.checkpoint import (
    ModelConfig,
    parameter_count,
    read_checkpoint,
    weight_shapes,
    write_checkpoint,
)
from maskclr_edge.errors import CheckpointError, ConfigError


def rewrite(path, *, metadata=None, tensors=None, header=None):
    """The file again, with parts of its header or its tensors changed."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    whole = json.loads(data[8 : 8 + length])
    if metadata:
        whole["__metadata__"].update(metadata)
    if header:
        whole.update(header)
    if tensors is not None:
        save_file(load_file(path) | tensors, path, metadata=whole["__metadata__"])
        return
    text = json.dumps(whole).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.fixture
def written(random_checkpoint, tmp_path):
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, random_checkpoint())
    return path


def refusal(path):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_round_trip_is_exact(random_checkpoint, tmp_path):
    checkpoint = random_checkpoint(head="embed", num_classes=0, qk_scale=0.25, mask_token=True)
    write_checkpoint(tmp_path / "a", checkpoint)
    again = read_checkpoint(tmp_path / "a")
    assert (again.config, again.contract, again.info) == (
        checkpoint.config,
        checkpoint.contract,
        checkpoint.info,
    )
    assert again.weights.keys() == checkpoint.weights.keys()
    for name, value in again.weights.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, checkpoint.weights[name])


def test_any_safetensors_reader_can_read_it(written, random_checkpoint):
    tensors = load_file(written)
    for name, value in random_checkpoint().weights.items():
        np.testing.assert_array_equal(tensors[name], value)


def test_equal_checkpoints_give_equal_bytes(random_checkpoint, tmp_path):
    checkpoint = random_checkpoint()
    shuffled = replace(checkpoint, weights=dict(reversed(checkpoint.weights.items())))
    write_checkpoint(tmp_path / "a", checkpoint)
    write_checkpoint(tmp_path / "b", shuffled)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_float16_halves_the_matrices_and_keeps_vectors_exact(random_checkpoint, tmp_path):
    checkpoint = random_checkpoint(hidden_dim=200)
    write_checkpoint(tmp_path / "full", checkpoint)
    write_checkpoint(tmp_path / "half", checkpoint, dtype="float16")
    assert (tmp_path / "half").stat().st_size < 0.6 * (tmp_path / "full").stat().st_size
    for name, value in read_checkpoint(tmp_path / "half").weights.items():
        assert value.dtype == np.float32
        if value.ndim == 1:
            np.testing.assert_array_equal(value, checkpoint.weights[name])
        np.testing.assert_allclose(value, checkpoint.weights[name], rtol=1e-3, atol=1e-6)


def test_a_value_beyond_float16_is_refused_and_the_old_file_stays(written, random_checkpoint):
    before = written.read_bytes()
    checkpoint = random_checkpoint()
    checkpoint.weights["head.fc2.weight"][0, 0] = 1e5
    with pytest.raises(CheckpointError, match=r"head\.fc2\.weight.*float32"):
        write_checkpoint(written, checkpoint, dtype="float16")
    assert written.read_bytes() == before


def test_a_full_disk_leaves_the_old_file_and_nothing_else(written, random_checkpoint, monkeypatch):
    before = written.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_checkpoint(written, random_checkpoint(seed=1))
    assert written.read_bytes() == before
    assert [entry.name for entry in written.parent.iterdir()] == [written.name]


def test_reading_loads_no_torch(written):
    code = (
        f"import sys; from maskclr_edge.checkpoint import read_checkpoint; read_checkpoint({str(written)!r});"
    )
    code += "print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.parametrize("kept", [0, 7, 8, 9, 100, 0.5, -1])
def test_a_truncated_file_is_refused(written, kept):
    data = written.read_bytes()
    written.write_bytes(data[: int(len(data) * kept)] if isinstance(kept, float) else data[:kept])
    assert "not a whole safetensors file" in refusal(written)


def test_trailing_bytes_are_refused(written):
    written.write_bytes(written.read_bytes() + b"more")
    assert "not a whole safetensors file" in refusal(written)


def test_a_header_that_claims_gigabytes_is_refused_unread(tmp_path):
    path = tmp_path / "huge"
    with path.open("wb") as file:  # sparse: takes no room
        file.write((5 << 30).to_bytes(8, "little") + b"{")
        file.truncate(6 << 30)
    assert "at most" in refusal(path)


def test_a_shape_that_claims_gigabytes_is_refused(written):
    rewrite(
        written, header={"head.fc2.bias": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
    )
    assert "safetensors" in refusal(written)


def test_a_torch_file_is_pointed_to_convert(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"PK\x03\x04" + bytes(100))
    assert "maskclr-edge convert" in refusal(tmp_path / "a.bin")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "No such file" in refusal(tmp_path / "nowhere")
    assert "not a regular file" in refusal(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_checkpoint(tmp_path / "pipe")


def test_other_safetensors_files_are_refused(tmp_path):
    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "other")
    assert "not a maskclr-edge-checkpoint" in refusal(tmp_path / "other")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"version": "2"}, "version '2'"),
        ({"config": "{"}, "config is not JSON"),
        ({"config": "[" * 100_000}, "config is not JSON"),
        ({"contract": "[]"}, "contract is not a JSON object"),
        ({"config": '{"num_classes": 5, "dim_feet": 16}'}, "'dim_feat'"),
        ({"config": '{"num_classes": 5, "dim_feat": 4096, "dim_rep": 4096, "depth": 64}'}, "parameters"),
        ({"contract": '{"class_names": ["a"], "frames": 0}'}, "skeleton contract"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(written, metadata, message):
    rewrite(written, metadata=metadata)
    assert message in refusal(written)


def test_the_first_tensor_that_differs_is_named_with_what_was_expected(written):
    rewrite(written, tensors={"backbone.norm.bias": np.zeros(17, np.float32)})
    assert "backbone.norm.bias has shape (17,); expected (16,)" in refusal(written)


def test_a_tensor_too_many_or_of_another_type_is_named(written):
    rewrite(written, tensors={"backbone.norm.bias": np.zeros(16, np.float64)})
    assert "backbone.norm.bias is stored as F64" in refusal(written)
    rewrite(
        written, tensors={"backbone.norm.bias": np.zeros(16, np.float32), "extra": np.zeros(1, np.float32)}
    )
    assert "'extra'" in refusal(written)


def test_a_missing_tensor_is_named(written, random_checkpoint, tmp_path):
    checkpoint = random_checkpoint()
    del checkpoint.weights["backbone.ts_attn.1.bias"]
    with pytest.raises(
        CheckpointError, match=re.escape("no tensor backbone.ts_attn.1.bias; expected one of shape (2,)")
    ):
        write_checkpoint(tmp_path / "b", checkpoint)
    assert not (tmp_path / "b").exists()


def test_nan_and_negative_variances_are_named(written):
    rewrite(written, tensors={"head.fc2.bias": np.array([0, 0, np.nan, 0, 0], np.float32)})
    assert "head.fc2.bias holds NaN" in refusal(written)
    rewrite(
        written,
        tensors={"head.fc2.bias": np.zeros(5, np.float32), "head.bn.running_var": -np.ones(20, np.float32)},
    )
    assert "head.bn.running_var holds a negative variance" in refusal(written)


def test_class_names_and_frames_must_fit_the_network(random_checkpoint, tmp_path):
    checkpoint = random_checkpoint()
    fewer = replace(checkpoint, contract=replace(checkpoint.contract, class_names=("only", "two")))
    with pytest.raises(CheckpointError, match="2 class names, but the head has 5 classes"):
        write_checkpoint(tmp_path / "a", fewer)
    longer = replace(checkpoint, contract=replace(checkpoint.contract, max_frames=41))
    with pytest.raises(CheckpointError, match="41 frames"):
        write_checkpoint(tmp_path / "a", longer)


def test_info_that_json_cannot_hold_is_refused(random_checkpoint, tmp_path):
    for info in ({"a": object()}, {"loss": float("nan")}):
        with pytest.raises(CheckpointError, match="JSON cannot hold"):
            write_checkpoint(tmp_path / "a", replace(random_checkpoint(), info=info))


def test_random_damage_never_gives_another_error(written):
    data = bytearray(written.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        for place in rng.integers(0, 6000, size=3):
            damaged[place] = rng.integers(0, 256)
        written.write_bytes(damaged)
        try:
            read_checkpoint(written)
        except CheckpointError as error:
            assert "\n" not in str(error)


def test_the_reference_model_has_the_published_size():
    assert round(parameter_count(ModelConfig(num_classes=60)) / 1e6, 1) == 60.4
    shapes = weight_shapes(ModelConfig(num_classes=60))
    assert shapes["head.fc1.weight"] == (2048, 17 * 512)
    assert shapes["backbone.ts_attn.4.weight"] == (2, 1024)
    assert not any("ts_attn" in name and "blocks" in name for name in shapes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0"),
        ({"num_classes": True}, "num_classes is True"),
        ({"num_classes": 3, "dim_feat": 30}, "does not divide"),
        ({"num_classes": 3, "num_joints": 18}, "num_joints is 18; expected 17"),
        ({"num_classes": 3, "head": "detect"}, "head is 'detect'"),
        ({"num_classes": 3, "mlp_ratio": float("nan")}, "mlp_ratio is nan"),
        ({"num_classes": 3, "att_fuse": 1}, "att_fuse is 1"),
        ({"num_classes": 10**5000}, "a huge number"),
        ({"dim_feat": 16}, "no num_classes"),
        ([], "list"),
    ],
)
def test_configs_that_cannot_be_are_refused(values, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        ModelConfig.from_dict(values)


def test_config_round_trip():
    config = ModelConfig(num_classes=3, dim_feat=16, mlp_ratio=4, qk_scale=1)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_upstream_yaml_keys_are_read_unchanged():
    values = {"finetune": False, "partial_train": None, "epochs": 600, "ccl": 0.5, "backbone": "DSTformerv2"}
    values |= {"model_version": "class", "maxlen": 243, "dim_feat": 256, "mlp_ratio": 4, "dropout_ratio": 0.5}
    values |= {"action_classes": 120, "head_version": "base", "scale_range_train": [1, 3], "att_fuse": True}
    expected = ModelConfig(num_classes=120, dim_feat=256, mlp_ratio=4, mask_token=True)
    assert ModelConfig.from_yaml_dict(values) == expected
    embed = ModelConfig.from_yaml_dict({"model_version": "embed", "n_views": 2, "temp": 0.1})
    assert (embed.head, embed.num_classes) == ("embed", 0)


def test_an_unknown_yaml_key_names_the_closest():
    with pytest.raises(ConfigError, match=r"'action_class'.*'action_classes'"):
        ModelConfig.from_yaml_dict({"action_class": 60})
    with pytest.raises(ConfigError, match="no action_classes"):
        ModelConfig.from_yaml_dict({"dim_feat": 64})
