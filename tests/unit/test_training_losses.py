"""The contrastive losses against small cases worked out by hand and slow, literal formulas."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
from maskclr_edge.training.losses import (  # noqa: E402
    class_contrastive,
    sample_contrastive,
    supervised_contrastive,
)


def unit(rows):
    rows = np.asarray(rows, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow_sample_loss(standard, masked, temperature):
    """SimCLR's equation, one view at a time."""
    views = np.concatenate((unit(standard), unit(masked)))
    count, total = len(standard), 0.0
    for i, view in enumerate(views):
        scores = {k: math.exp(float(view @ views[k]) / temperature) for k in range(len(views)) if k != i}
        total -= math.log(scores[(i + count) % (2 * count)] / sum(scores.values()))
    return total / len(views)


def slow_class_loss(standard, masked, labels, temperature):
    """The supervised contrastive loss with the sum over positives outside the logarithm, view by view."""
    views, labels = np.concatenate((unit(standard), unit(masked))), list(labels) * 2
    total = 0.0
    for i, view in enumerate(views):
        others = [k for k in range(len(views)) if k != i]
        below = sum(math.exp(float(view @ views[k]) / temperature) for k in others)
        positives = [k for k in others if labels[k] == labels[i]]
        logs = [math.log(math.exp(float(view @ views[k]) / temperature) / below) for k in positives]
        total -= sum(logs) / len(positives)
    return total / len(views)


def draws(seed=0, count=6, width=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((2, count, width), generator=generator, dtype=torch.float32)


def test_sample_loss_of_two_orthogonal_clips_by_hand():
    # each view: its partner at similarity 1, two others at 0; temperature 0.5
    views = torch.eye(2)
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert sample_contrastive(views, views, 0.5).item() == pytest.approx(expected, rel=1e-6)


def test_class_loss_of_two_classes_by_hand():
    # each view: one positive at similarity 1, two negatives at 0; temperature 1
    views = torch.eye(2)
    expected = -math.log(math.e / (math.e + 2))
    loss = class_contrastive(views, views, torch.tensor([0, 1]), 1.0)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
def test_losses_equal_the_literal_formulas(temperature):
    standard, masked = draws()
    labels = torch.tensor([0, 1, 0, 2, 2, 0])
    assert sample_contrastive(standard, masked, temperature).item() == pytest.approx(
        slow_sample_loss(standard, masked, temperature), rel=1e-4
    )
    assert class_contrastive(standard, masked, labels, temperature).item() == pytest.approx(
        slow_class_loss(standard, masked, labels.tolist(), temperature), rel=1e-4
    )


def test_a_view_without_a_positive_counts_for_nothing_but_still_repels():
    features, labels = draws(3)[0], torch.tensor([0, 0, 1, 2, 2, 2])
    views = unit(features)
    scores = np.exp(views @ views.T / 0.2)
    below = scores.sum(axis=1) - scores.diagonal()
    pairs = {0: [1], 1: [0], 3: [4, 5], 4: [3, 5], 5: [3, 4]}
    each = [-np.mean([math.log(scores[i, k] / below[i]) for k in others]) for i, others in pairs.items()]
    assert supervised_contrastive(features, labels, 0.2).item() == pytest.approx(np.mean(each), rel=1e-4)
    assert supervised_contrastive(features[:2], torch.tensor([0, 1]), 0.2).item() == 0


def test_temperatures_act():
    standard, masked = draws(1)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    assert sample_contrastive(standard, masked, 0.1) != sample_contrastive(standard, masked, 1.0)
    assert class_contrastive(standard, masked, labels, 0.1) != class_contrastive(
        standard, masked, labels, 1.0
    )


@pytest.mark.parametrize("kind", ["sample", "class"])
def test_gradient_descent_lowers_the_loss_and_pulls_partners_together(kind):
    features = draws(2).clone().requires_grad_()
    labels = torch.tensor([0, 0, 1, 1, 2, 2])

    def loss():
        if kind == "sample":
            return sample_contrastive(features[0], features[1])
        return class_contrastive(features[0], features[1], labels)

    def closeness():
        return torch.cosine_similarity(features[0], features[1]).mean().item()

    first, before = loss().item(), closeness()
    for _ in range(50):
        (gradient,) = torch.autograd.grad(loss(), features)
        assert torch.isfinite(gradient).all()
        features.data -= 0.5 * gradient
    assert loss().item() < first - 0.1
    assert closeness() > before
    # both pathways receive gradient, so both learn
    (gradient,) = torch.autograd.grad(loss(), features)
    assert gradient[0].abs().sum() > 0 and gradient[1].abs().sum() > 0
