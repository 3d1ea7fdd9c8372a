"""One step of both pathways: packing changes no number, masks hide what they should, gradients reach all."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
from maskclr_edge.data import made_up_clips, make_clips  # noqa: E402
from maskclr_edge.model import ActionNet  # noqa: E402
from maskclr_edge.training import TrainConfig, find_config  # noqa: E402
from maskclr_edge.training.losses import supervised_contrastive  # noqa: E402
from maskclr_edge.training.pathways import Pathways, pack  # noqa: E402

METHOD = {"msk_type": "agpm", "ce_type": "avgce", "scl": 0.5, "ccl": 0.5, "dropout_ratio": 0.0}


def make(persons=2, **keys):
    config = TrainConfig.from_yaml(find_config("made_up_tiny"), {"persons": persons, **METHOD, **keys})
    data = made_up_clips(12, seed=5, persons=(1, 2))
    clips, labels = make_clips(data.annotations, config.contract(data.class_names))
    torch.manual_seed(0)
    return config, Pathways(ActionNet(config.model), config).eval(), clips, labels


def test_packed_logits_equal_the_padded_network():
    config, pathways, clips, labels = make()
    batch = pack(clips, labels, config, np.random.default_rng(0), slice(None))
    absent = int((~clips.any(axis=(2, 3, 4))).sum())
    assert absent > 1 and len(batch.persons) == 24 - absent + 1  # absent slots share one row
    result = pathways(batch, masked=False)
    padded = pathways.model(torch.from_numpy(clips))
    torch.testing.assert_close(result.logits, padded.detach(), rtol=1e-4, atol=1e-5)


def test_the_share_of_one_process_is_a_part_of_the_whole():
    config, _, clips, labels = make()
    whole = pack(clips, labels, config, np.random.default_rng(0), slice(None))
    part = pack(clips, labels, config, np.random.default_rng(0), slice(6, 12))
    for slot_of_whole, slot_of_part in zip(whole.slots[6:].flatten(), part.slots.flatten(), strict=True):
        assert torch.equal(whole.persons[slot_of_whole], part.persons[slot_of_part])
        if whole.persons[slot_of_whole].any():
            assert torch.equal(whole.uniform[slot_of_whole], part.uniform[slot_of_part])


@pytest.mark.parametrize("msk_type", ["tm", "agpm"])
def test_masks_hide_joints_of_present_persons_for_the_whole_clip(msk_type):
    config, pathways, clips, labels = make(msk_type=msk_type, mask_th=0.9)
    batch = pack(clips, labels, config, np.random.default_rng(0), slice(None))
    _, importance = pathways.model.backbone(batch.persons, importance=True)
    mask = pathways.mask(importance, batch)
    assert mask.shape == batch.persons.shape[:3]
    assert (mask == mask[:, :1]).all()
    there = batch.persons.flatten(1).any(dim=1)
    assert not mask[~there].any()
    if msk_type == "agpm":
        assert (mask[there][:, 0].sum(dim=1) == 8).all()  # half of 17, rounded to even


@pytest.mark.parametrize("token", [False, True])
def test_every_loss_has_a_gradient_in_every_weight(token):
    config, pathways, clips, labels = make(mask_token=token)
    batch = pack(clips, labels, config, np.random.default_rng(0), slice(None))
    result = pathways(batch, masked=True)
    assert set(result.parts) == {"ce", "ce_masked", "scl", "ccl"}
    expected = (result.parts["ce"] + result.parts["ce_masked"]) / 2
    expected = expected + 0.5 * result.parts["scl"] + 0.5 * result.parts["ccl"]
    torch.testing.assert_close(result.loss.detach(), expected)
    result.loss.backward()
    # fusion scores start at zero weights, yet every weight must be reached
    missing = [name for name, p in pathways.model.named_parameters() if p.grad is None]
    assert missing == []


@pytest.mark.parametrize("span", ["clip", "frame", "mixed"])
def test_a_mask_holds_for_its_span_and_hides_the_share_asked(span):
    config, pathways, clips, labels = make(msk_type="agpm", mask_span=span, mask_ratio=[0.1, 0.9])
    batch = pack(clips, labels, config, np.random.default_rng(0), slice(None))
    _, importance = pathways.model.backbone(batch.persons, importance=True)
    mask = pathways.mask(importance, batch)
    there = batch.persons.flatten(1).any(dim=1)
    spans = batch.span[there]
    expected = {"clip": {1}, "frame": {config.clip_len}}
    found = {len(set(row.tolist())) for row in spans}
    assert found == expected[span] if span in expected else len(found) > 3
    for row, firsts in zip(mask[there], spans, strict=True):
        assert torch.equal(row, row[firsts])  # equal in every frame to the first of its span
    ratios = batch.ratio[there]
    assert torch.equal(mask[there].sum(dim=2), torch.round(ratios * 17).long().clamp(0, 16))


def test_importance_is_averaged_over_the_frames_that_share_a_mask():
    config, pathways, clips, labels = make(msk_type="tm", mask_th=0.999999, mask_span="mixed")
    batch = pack(clips[:, :1], labels, config, np.random.default_rng(1), slice(None))
    importance = torch.rand(batch.persons.shape[:3], generator=torch.Generator().manual_seed(0))
    mask = pathways.mask(importance, batch)
    for person, firsts in enumerate(batch.span.tolist()):
        for first in set(firsts):
            frames = [frame for frame, of in enumerate(firsts) if of == first]
            top = importance[person, frames].mean(dim=0).argmax()
            assert mask[person, frames].nonzero()[:, 1].unique().tolist() == [top.item()]


def test_an_embedding_head_learns_by_the_supervised_contrastive_loss():
    config, pathways, clips, labels = make(model_version="embed", class_temperature=0.1)
    batch = pack(clips, labels, config, np.random.default_rng(0), slice(None))
    alone = pathways(batch, masked=False)
    assert alone.logits is None
    hidden = pathways.model.head.hidden(pathways.model.features(torch.from_numpy(clips)))
    torch.testing.assert_close(alone.loss, supervised_contrastive(hidden, batch.labels, 0.1))
    both = pathways(batch, masked=True)
    assert set(both.parts) == {"supcon", "supcon_masked", "scl", "ccl"}
    both.loss.backward()
    assert [name for name, p in pathways.model.named_parameters() if p.grad is None] == []


def test_the_statistics_of_the_head_are_those_of_whole_clips():
    config, pathways, clips, labels = make()
    batch = pack(clips, labels, config, np.random.default_rng(0), slice(None))
    pathways.train()  # nothing is drawn: dropout and stochastic depth are off
    norm = pathways.model.head.bn
    fresh = {name: value.clone() for name, value in norm.state_dict().items()}
    remembered = []
    for masked in (False, True):
        norm.load_state_dict(fresh)
        pathways(batch, masked)
        remembered.append(norm.running_mean.clone())
    assert not torch.equal(remembered[0], fresh["running_mean"])
    torch.testing.assert_close(remembered[0], remembered[1], rtol=1e-5, atol=1e-7)
