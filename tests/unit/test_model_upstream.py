import io
import os
import pickle
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from maskclr_edge.checkpoint import ModelConfig, write_checkpoint  # noqa: E402
from maskclr_edge.errors import CheckpointError  # noqa: E402
from maskclr_edge.model import ActionNet, load_backbone, read_upstream, upstream_contract  # noqa: E402

UNUSED = {
    "backbone.head.weight": (3, 24),
    "backbone.head.bias": (3,),
    "backbone.proj_head.weight": (16, 8),
    "backbone.proj_head.bias": (16,),
    "backbone.blocks_st.0.ts_attn.weight": (32, 32),
    "backbone.blocks_ts.1.ts_attn.bias": (32,),
}


@pytest.fixture
def upstream(random_checkpoint):
    """The small checkpoint and its tensors as upstream has them, with what upstream stores in vain."""

    def make(unused=True, **changes):
        checkpoint = random_checkpoint(**changes)
        state = OrderedDict((name, torch.tensor(value)) for name, value in checkpoint.weights.items())
        if unused:
            state |= {name: torch.ones(shape) for name, shape in UNUSED.items()}
            if checkpoint.config.head == "class":
                state["head.bn.num_batches_tracked"] = torch.tensor(7)
        return checkpoint, state

    return make


def config_of(checkpoint):
    return ModelConfig.from_dict(checkpoint.config.to_dict())


def equal(read, checkpoint):
    assert read.config == checkpoint.config
    assert read.weights.keys() == checkpoint.weights.keys()
    for name, value in read.weights.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, checkpoint.weights[name])


def refusal(path, **options):
    with pytest.raises(CheckpointError) as caught:
        read_upstream(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "module.model.", "model.module.", "_orig_mod.module."]
)
@pytest.mark.parametrize("container", [None, "model", "model_pos", "state_dict"])
def test_every_prefix_and_container(upstream, tmp_path, prefix, container):
    checkpoint, state = upstream(mask_token=True)
    state = OrderedDict((prefix + name, value) for name, value in state.items())
    torch.save(state if container is None else {"epoch": 3, container: state}, tmp_path / "a.bin")
    equal(read_upstream(tmp_path / "a.bin", config=config_of(checkpoint)), checkpoint)


def test_a_container_within_a_container(upstream, tmp_path):
    checkpoint, state = upstream()
    torch.save({"model": {"state_dict": state}}, tmp_path / "a.bin")
    equal(read_upstream(tmp_path / "a.bin", config=config_of(checkpoint)), checkpoint)


@pytest.mark.parametrize(
    "changes",
    [{}, {"head": "embed", "num_classes": 0}, {"att_fuse": False}, {"qkv_bias": False, "mlp_ratio": 1.3}],
)
def test_the_config_follows_from_the_shapes(upstream, tmp_path, changes):
    checkpoint, state = upstream(num_heads=8, **changes)
    torch.save({"model": state}, tmp_path / "a.bin")
    read = read_upstream(tmp_path / "a.bin")
    assert read.config.mlp_hidden == checkpoint.config.mlp_hidden
    assert read.config.to_dict() | {"mlp_ratio": 0} == checkpoint.config.to_dict() | {"mlp_ratio": 0}


def test_the_old_file_format_and_half_precision_are_read(upstream, tmp_path):
    checkpoint, state = upstream()
    half = OrderedDict(
        (name, value.half() if value.is_floating_point() else value) for name, value in state.items()
    )
    torch.save({"model": half}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    read = read_upstream(tmp_path / "a.pth", config=config_of(checkpoint))
    for name, value in read.weights.items():
        np.testing.assert_allclose(value, checkpoint.weights[name], rtol=1e-3, atol=1e-6)


def test_a_whole_training_checkpoint_is_read_and_its_facts_kept(upstream, tmp_path):
    _, state = upstream(num_heads=8)
    moments = {0: {"step": torch.tensor(9.0), "exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3)}}
    optimizer = {"state": moments, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "params": [0]}]}
    content = {"epoch": 12, "lr": [1e-4], "optimizer": optimizer, "model": state}
    torch.save(content | {"best_acc": torch.tensor(93.9)}, tmp_path / "a.bin")
    assert read_upstream(tmp_path / "a.bin").info == {
        "source": "upstream",
        "epoch": 12,
        "best_acc": pytest.approx(93.9),
    }
    torch.save(content | {"best_acc": np.float64(93.9), "lr": np.float32(0.1)}, tmp_path / "b.bin")
    assert read_upstream(tmp_path / "b.bin").info == {"source": "upstream", "epoch": 12}


def test_the_contract_is_upstreams(upstream, tmp_path):
    _, state = upstream(num_heads=8, maxlen=243, num_classes=60)
    torch.save({"model": state}, tmp_path / "a.bin")
    contract = read_upstream(tmp_path / "a.bin").contract
    assert (contract.frames, contract.max_frames, contract.scale_ratio) == (243, 243, 2.0)
    assert (contract.confidence_order, contract.absent) == ("legacy", "projected")
    assert (contract.class_names[0], contract.class_names[42], len(contract.class_names)) == (
        "drink water",
        "falling down",
        60,
    )
    assert upstream_contract(ModelConfig(num_classes=120)).class_names[119] == "rock-paper-scissors"
    assert upstream_contract(ModelConfig(num_classes=3)).class_names == (
        "class_000",
        "class_001",
        "class_002",
    )
    assert len(upstream_contract(ModelConfig(num_classes=0, head="embed")).class_names) == 120


def test_an_unknown_tensor_is_refused_by_name(upstream, tmp_path):
    _, state = upstream(num_heads=8)
    torch.save({"model": state | {"head.fcn.weight": torch.ones(5, 24, 1, 1)}}, tmp_path / "a.bin")
    assert "'head.fcn.weight'" in refusal(tmp_path / "a.bin")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.bin")
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_upstream(tmp_path / "pipe.bin")


def test_another_architecture_is_refused(tmp_path):
    torch.save({"state_dict": torch.nn.Linear(3, 3).state_dict()}, tmp_path / "a.pth")
    assert "not a DSTformer action checkpoint" in refusal(tmp_path / "a.pth")
    torch.save([1, 2], tmp_path / "a.pth")
    assert "no state dictionary" in refusal(tmp_path / "a.pth")
    torch.save({"weight": 3}, tmp_path / "a.pth")
    assert "'weight' is a int" in refusal(tmp_path / "a.pth")


def test_a_config_that_contradicts_the_weights_is_refused_by_key(upstream, tmp_path):
    checkpoint, state = upstream()
    torch.save({"model": state}, tmp_path / "a.bin")
    other = ModelConfig(**(checkpoint.config.to_dict() | {"num_classes": 6}))
    assert "its num_classes is 5, the config says 6" in refusal(tmp_path / "a.bin", config=other)
    ignored = ModelConfig(**(checkpoint.config.to_dict() | {"hidden_dim": 1024}))  # as upstream ignores it
    equal(read_upstream(tmp_path / "a.bin", config=ignored), checkpoint)


def test_the_default_number_of_heads_must_fit(upstream, tmp_path):
    _, state = upstream(dim_feat=20)
    del state["backbone.blocks_st.0.ts_attn.weight"], state["backbone.proj_head.weight"]
    torch.save({"model": state}, tmp_path / "a.bin")
    assert "does not divide by num_heads 8" in refusal(tmp_path / "a.bin")


def test_a_pretrained_backbone_is_pointed_to_training(upstream, tmp_path):
    _, state = upstream()
    torch.save({"model_pos": state_of_backbone(state)}, tmp_path / "a.bin")
    assert "--pretrained a.bin" in refusal(tmp_path / "a.bin")


def state_of_backbone(state):
    """As MotionBERT's pretraining stores it: without the prefix, with a pose head."""
    return OrderedDict(
        (f"module.{name.removeprefix('backbone.')}", value)
        for name, value in state.items()
        if "backbone." in name
    )


def test_a_pretrained_backbone_starts_a_training(upstream, tmp_path, random_checkpoint):
    _, state = upstream()
    torch.save({"model_pos": state_of_backbone(state)}, tmp_path / "a.bin")
    model = ActionNet(random_checkpoint(num_classes=9, maxlen=30, mask_token=True).config)
    head, token = model.head.fc1.weight.clone(), model.backbone.mask_token.clone()
    load_backbone(model, tmp_path / "a.bin")
    assert torch.equal(model.backbone.norm.weight, state["backbone.norm.weight"])
    assert torch.equal(model.backbone.temp_embed, state["backbone.temp_embed"][:, :30])
    assert torch.equal(model.head.fc1.weight, head)
    assert torch.equal(model.backbone.mask_token, token)


def test_our_own_checkpoint_starts_a_training_too(random_checkpoint, tmp_path):
    checkpoint = random_checkpoint(mask_token=True)
    write_checkpoint(tmp_path / "a.safetensors", checkpoint)
    model = ActionNet(random_checkpoint(num_classes=9).config)
    load_backbone(model, tmp_path / "a.safetensors")
    np.testing.assert_array_equal(
        model.backbone.pos_embed.detach().numpy(), checkpoint.weights["backbone.pos_embed"]
    )


def test_a_backbone_of_other_sizes_is_refused_by_name(random_checkpoint, tmp_path):
    write_checkpoint(tmp_path / "a.safetensors", random_checkpoint())
    for changes, message in (({"depth": 3}, "has no tensor"), ({"maxlen": 50}, "temp_embed has shape")):
        with pytest.raises(CheckpointError, match=message):
            load_backbone(ActionNet(random_checkpoint(**changes).config), tmp_path / "a.safetensors")


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_pickle_that_would_run_code_is_refused_and_does_not(upstream, tmp_path):
    _, state = upstream()
    for name, zipped in (("a.bin", True), ("b.bin", False)):
        content = {"model": state, "optimizer": Trap(tmp_path / "ran")}
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=zipped)
        assert "system" in refusal(tmp_path / name)
    (tmp_path / "c.bin").write_bytes(pickle.dumps(Trap(tmp_path / "ran"), protocol=4))
    refusal(tmp_path / "c.bin")
    assert not (tmp_path / "ran").exists()


def test_a_whole_pickled_model_is_refused_with_its_class(tmp_path):
    torch.save(torch.nn.Linear(3, 3), tmp_path / "a.bin")
    assert "Linear" in refusal(tmp_path / "a.bin")


@pytest.mark.parametrize("kept", [0, 3, 40, 0.5, 0.99])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused(upstream, tmp_path, kept, zipped):
    _, state = upstream(num_heads=8)
    path = tmp_path / "a.bin"
    torch.save({"model": state}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)] if isinstance(kept, float) else data[:kept])
    assert "PyTorch checkpoint" in refusal(path)


def test_a_zip_bomb_is_refused_unopened(upstream, tmp_path):
    _, state = upstream(num_heads=8)
    buffer = io.BytesIO()
    torch.save({"model": state}, buffer)
    path = tmp_path / "a.bin"
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        new.writestr("archive/data/999", bytes(50_000_000))
    assert "would unpack to" in refusal(path)


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(upstream, tmp_path):
    _, state = upstream(num_heads=8, maxlen=4000, dim_feat=64)
    for name in UNUSED:
        state.pop(name)
    state["backbone.temp_embed"] = torch.zeros(1).expand(1, 4000, 1, 64)
    state["backbone.blocks_st.0.mlp_s.fc1.weight"] = torch.zeros(1).expand(1000, 64)
    torch.save({"model": state}, tmp_path / "a.bin")
    message = refusal(tmp_path / "a.bin")
    assert "claim" in message or "has shape" in message


def test_integers_and_nan_are_refused(upstream, tmp_path):
    _, state = upstream(num_heads=8)
    torch.save(state | {"head.fc2.bias": torch.zeros(5, dtype=torch.int64)}, tmp_path / "a.bin")
    assert "head.fc2.bias is torch.int64" in refusal(tmp_path / "a.bin")
    torch.save(state | {"head.fc2.bias": torch.full((5,), torch.inf)}, tmp_path / "a.bin")
    assert "head.fc2.bias holds NaN or infinity" in refusal(tmp_path / "a.bin")


def test_two_keys_of_one_name_are_refused(upstream, tmp_path):
    _, state = upstream(num_heads=8)
    torch.save(state | {"module.head.fc2.bias": torch.zeros(5)}, tmp_path / "a.bin")
    assert "head.fc2.bias twice" in refusal(tmp_path / "a.bin")


def test_random_damage_never_gives_another_error(upstream, tmp_path):
    _, state = upstream(num_heads=8)
    path = tmp_path / "a.bin"
    torch.save({"model": state}, path)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(30):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), size=20):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read_upstream(path)
        except CheckpointError as error:
            assert "\n" not in str(error)


def test_nothing_is_imported_from_a_file_that_names_modules(tmp_path, monkeypatch):
    """The unpickler must refuse by name, before it imports."""
    (tmp_path / "trapmodule.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"\x80\x02ctrapmodule\nf\n)R.")
    refusal(tmp_path / "a.bin")
    assert "trapmodule" not in sys.modules
