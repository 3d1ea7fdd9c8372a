"""Which joints are hidden: by each person's own importances, as many as asked, important ones first."""

import pytest

torch = pytest.importorskip("torch", reason="the model needs PyTorch")
from maskclr_edge.model.masking import probabilistic_mask, targeted_mask  # noqa: E402


def importances(seed=0, persons=7):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((persons, 17), generator=generator) ** 3


def test_targeted_mask_by_hand():
    importance = torch.tensor([[0.50, 0.11, 0.09, 0.30]])
    assert targeted_mask(importance, 0.2).tolist() == [[True, True, False, True]]  # 0.11 / 0.50 is above 0.2


def test_targeted_mask_never_hides_everything():
    mask = targeted_mask(torch.full((3, 17), 1 / 17), 0.2)
    assert mask.sum(dim=1).tolist() == [16, 16, 16]


@pytest.mark.parametrize("kind", ["tm", "agpm"])
def test_a_persons_mask_does_not_depend_on_the_batch(kind):
    importance, uniform = importances(), torch.rand((7, 17), generator=torch.Generator().manual_seed(1))

    def mask(rows):
        if kind == "tm":
            return targeted_mask(importance[rows], 0.2)
        return probabilistic_mask(importance[rows], uniform[rows], torch.full((len(rows),), 0.5), 0.75)

    whole = mask(list(range(7)))
    for row in range(7):
        assert torch.equal(mask([row])[0], whole[row])


@pytest.mark.parametrize("ratio", [0.0, 0.2, 0.5, 0.9, 0.99])
def test_probabilistic_mask_hides_the_share_it_is_given(ratio):
    uniform = torch.rand((7, 17), generator=torch.Generator().manual_seed(2))
    mask = probabilistic_mask(importances(), uniform, torch.full((7,), ratio), 0.75)
    expected = min(round(ratio * 17), 16)
    assert mask.sum(dim=1).tolist() == [expected] * 7


def test_probabilistic_mask_prefers_important_joints_but_spares_none():
    importance = torch.linspace(0.01, 1, 17).expand(4000, 17)
    uniform = torch.rand((4000, 17), generator=torch.Generator().manual_seed(3))
    often = probabilistic_mask(importance, uniform, torch.full((4000,), 0.3), 0.2).float().mean(dim=0)
    assert often[-1] > 0.6 > often[8] > often[0] > 0
    # a sample without replacement: the first draw's odds are the softmax itself
    one = probabilistic_mask(importance, uniform, torch.full((4000,), 1 / 17), 0.2).float().mean(dim=0)
    assert one[-1].item() == pytest.approx(torch.softmax(importance[0] / 0.2, 0)[-1].item(), abs=0.03)
