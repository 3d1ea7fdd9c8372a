import numpy as np
import pytest

torch = pytest.importorskip("torch")

from maskclr_edge.checkpoint import Checkpoint, ModelConfig, weight_shapes  # noqa: E402
from maskclr_edge.errors import CheckpointError, ConfigError, ShapeError  # noqa: E402
from maskclr_edge.model import ActionNet, Regularisation, build_model, load_weights, to_weights  # noqa: E402


def clips_of(*shape, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (*shape, 17, 3)).astype(np.float32))


@pytest.mark.parametrize(
    "changes", [{}, {"head": "embed", "num_classes": 0}, {"att_fuse": False, "mask_token": True}]
)
def test_the_network_has_exactly_the_weights_of_a_checkpoint(random_checkpoint, changes):
    config = random_checkpoint(**changes).config
    model = ActionNet(config)
    shapes = {
        name: tuple(value.shape) for name, value in model.state_dict().items() if "num_batches" not in name
    }
    assert shapes == weight_shapes(config)
    assert {name: value.shape for name, value in to_weights(model).items()} == weight_shapes(config)


def test_weights_go_in_and_come_out_unchanged(random_checkpoint):
    checkpoint = random_checkpoint()
    for name, value in to_weights(build_model(checkpoint)).items():
        np.testing.assert_array_equal(value, checkpoint.weights[name])


def test_a_built_model_owns_its_weights(random_checkpoint):
    checkpoint = random_checkpoint()
    model = build_model(checkpoint)
    assert not model.training
    with torch.no_grad():
        model.head.fc2.bias.add_(1)
    np.testing.assert_array_equal(
        checkpoint.weights["head.fc2.bias"], random_checkpoint().weights["head.fc2.bias"]
    )
    taken = to_weights(model)
    with torch.no_grad():
        model.head.fc2.bias.add_(1)
    np.testing.assert_allclose(taken["head.fc2.bias"], checkpoint.weights["head.fc2.bias"] + 1)


def test_loading_names_the_first_tensor_that_differs(random_checkpoint):
    with pytest.raises(CheckpointError, match=r"head\.fc2\.weight has shape \(6, 20\); expected \(5, 20\)"):
        load_weights(ActionNet(random_checkpoint().config), random_checkpoint(num_classes=6).weights)


def test_loading_fills_a_network_that_is_in_training(random_checkpoint):
    checkpoint = random_checkpoint()
    model = ActionNet(checkpoint.config)
    kept = model.head.fc2.weight
    load_weights(model, checkpoint.weights)
    assert model.head.fc2.weight is kept  # an optimiser that holds it goes on holding it
    with torch.no_grad():
        assert torch.equal(model.eval()(clips_of(1, 1, 4)), build_model(checkpoint)(clips_of(1, 1, 4)))


def test_features_are_the_mean_over_persons_and_frames(random_checkpoint):
    model = build_model(random_checkpoint())
    clips = clips_of(3, 2, 6)
    with torch.no_grad():
        features = model.features(clips)
        representation = model.backbone(clips.flatten(0, 1)).view(3, 2, 6, 17, 24)
        assert features.shape == (3, 17 * 24)
        torch.testing.assert_close(features, representation.mean(dim=(1, 2)).flatten(1))
        torch.testing.assert_close(model.encode(clips.flatten(0, 1)).view(3, 2, -1).mean(1), features)
        torch.testing.assert_close(model.head(features), model(clips))


def test_clips_do_not_see_each_other_and_persons_neither(random_checkpoint):
    model = build_model(random_checkpoint())
    clips = clips_of(3, 2, 6)
    with torch.no_grad():
        together = model(clips)
        torch.testing.assert_close(torch.cat([model(clip[None]) for clip in clips]), together)
        torch.testing.assert_close(model(clips.flip(1)), together)


def test_features_and_importance_come_in_one_pass(random_checkpoint):
    model = build_model(random_checkpoint())
    clips = clips_of(2, 2, 5)
    features, importance = model.features_and_importance(clips)
    torch.testing.assert_close(features, model.features(clips))
    assert importance.shape == (2, 2, 5, 17)
    assert not importance.requires_grad
    assert features.requires_grad
    torch.testing.assert_close(importance.sum(-1), torch.ones(2, 2, 5))


def test_the_mask_token_alone_carries_masked_joints(random_checkpoint):
    model = build_model(random_checkpoint(mask_token=True))
    clips = clips_of(2, 1, 5)
    mask = torch.rand(2, 1, 5, 17) < 0.5
    changed = torch.where(mask[..., None], torch.full_like(clips, 0.7), clips)
    torch.testing.assert_close(model.features(clips, mask), model.features(changed, mask))
    model.features(clips, mask).sum().backward()
    assert model.backbone.mask_token.grad.abs().sum() > 0
    assert not torch.allclose(model.features(clips), model.features(clips, mask))


def test_too_many_frames_are_refused(random_checkpoint):
    with pytest.raises(ShapeError, match="got 41 frames; this network takes at most 40"):
        build_model(random_checkpoint())(clips_of(1, 1, 41))


def test_every_weight_learns(random_checkpoint):
    model = build_model(random_checkpoint(mask_token=True)).train()
    clips = clips_of(4, 2, 5)
    features = torch.cat([model.features(clips), model.features(clips, torch.rand(4, 2, 5, 17) < 0.5)])
    torch.nn.functional.cross_entropy(model.head(features), torch.arange(8) % 5).backward()
    idle = [
        name
        for name, value in model.named_parameters()
        if value.grad is None or not value.grad.abs().sum() > 0
    ]
    assert idle == []


def test_half_precision_stays_close_in_training_and_in_evaluation(random_checkpoint):
    model = build_model(random_checkpoint(dim_feat=32))
    clips = clips_of(4, 1, 8)
    exact = model.features(clips)
    exact.pow(2).sum().backward()
    gradient = model.backbone.joints_embed.weight.grad.clone()
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        half = model.features(clips)
        assert half.dtype == torch.float32  # pooled in single precision
        with torch.no_grad():
            torch.testing.assert_close(model.features(clips), exact, rtol=0, atol=0.05)
    half.pow(2).sum().backward()
    torch.testing.assert_close(half, exact, rtol=0, atol=0.05)
    similarity = torch.cosine_similarity(
        gradient.flatten(), model.backbone.joints_embed.weight.grad.flatten(), dim=0
    )
    assert similarity > 0.98


def test_regularisation_acts_in_training_only(random_checkpoint):
    checkpoint = random_checkpoint()
    clips = clips_of(2, 1, 4)
    plain = build_model(checkpoint)(clips)
    for name in ("dropout", "drop", "attn_drop", "drop_path"):
        model = ActionNet(checkpoint.config, Regularisation(**{name: 0.5}))
        load_weights(model, checkpoint.weights)
        torch.manual_seed(0)
        torch.testing.assert_close(model.eval()(clips), plain)
        assert not torch.allclose(model.train().features(clips), model.features(clips)), name


def test_stochastic_depth_drops_whole_persons_and_keeps_the_mean(random_checkpoint):
    checkpoint = random_checkpoint(depth=1)
    model = ActionNet(checkpoint.config, Regularisation(drop_path=0.5))
    block = model.backbone.blocks_st[0]
    block.drop_path = 0.5  # the only layer of a network is its first, which drops nothing
    block.train()
    x, change = torch.zeros(4000, 2, 3, 16), torch.ones(4000, 2, 3, 16)
    torch.manual_seed(0)
    result = block._add(x, change)
    assert set(result.unique().tolist()) == {0.0, 2.0}
    assert (result.flatten(1).std(dim=1) == 0).all()
    assert abs(result.mean().item() - 1) < 0.05


@pytest.mark.parametrize("value", [-0.1, 1.0, "0.5", True, float("nan")])
def test_impossible_probabilities_are_refused(value):
    with pytest.raises(ConfigError, match="drop_path"):
        Regularisation(drop_path=value)


def test_initialisation_is_upstreams():
    torch.manual_seed(0)
    model = ActionNet(ModelConfig(num_classes=3, dim_feat=64, depth=2, hidden_dim=32, mask_token=True))
    backbone = model.backbone
    for value in (backbone.blocks_st[1].mlp_t.fc1.weight, backbone.temp_embed, backbone.joints_embed.weight):
        assert 0.017 < value.std().item() < 0.023
    assert backbone.blocks_ts[0].attn_s.qkv.bias.abs().max() == 0
    assert backbone.ts_attn[1].weight.abs().max() == 0
    assert (backbone.ts_attn[1].bias == 0.5).all()
    assert backbone.mask_token.abs().sum() > 0
    assert backbone.norm.eps == backbone.blocks_st[0].norm1_s.eps == 1e-6


def test_a_checkpoint_of_a_trained_network_is_whole(random_checkpoint):
    source = random_checkpoint()
    model = ActionNet(source.config).train()
    model(clips_of(4, 1, 5))  # moves the running statistics
    checkpoint = Checkpoint(source.config, source.contract, to_weights(model))
    checkpoint.check()
    clips = clips_of(2, 1, 5)
    torch.testing.assert_close(build_model(checkpoint)(clips), model.eval()(clips))
