import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from motionbert_mm.models.losses.alignment import AlignmentLoss, focal_divergence


def logits(rows=5, candidates=17, scale=3.0, seed=0):
    return scale * torch.randn(rows, candidates, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_hot(places, candidates=17):
    return F.one_hot(torch.tensor(places), candidates).double()


def naive(logits, target, gamma, focal='sample'):
    """Equation 2 in numpy, float64."""
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    with np.errstate(divide='ignore', invalid='ignore'):
        parts = np.where(target > 0, target * np.log(target / shares), 0.0)
    if focal == 'sample':
        return (1 - (shares * (target > 0)).sum(axis=1))**gamma * parts.sum(axis=1)
    return ((1 - shares)**gamma * parts).sum(axis=1)


@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0, 3.0])
def test_one_true_candidate_is_focal_infonce(gamma):
    scores, places = logits(), [0, 3, 16, 0, 5]
    shares = np.exp(scores.numpy()) / np.exp(scores.numpy()).sum(axis=1, keepdims=True)
    of_true = shares[np.arange(5), places]
    expected = -(1 - of_true)**gamma * np.log(of_true)
    for focal in ('sample', 'element'):
        losses = focal_divergence(scores, one_hot(places), gamma=gamma, focal=focal)
        np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-10)


def test_gamma_zero_is_cross_entropy():
    scores, places = logits().float(), [0, 3, 16, 0, 5]
    losses = focal_divergence(scores, one_hot(places).float(), gamma=0.0)
    torch.testing.assert_close(losses, F.cross_entropy(scores, torch.tensor(places), reduction='none'))


@pytest.mark.parametrize('focal', ['sample', 'element'])
@pytest.mark.parametrize('gamma', [0.0, 2.0])
def test_several_true_candidates_against_equation_2(gamma, focal):
    scores, target = logits(candidates=6), torch.zeros(5, 6, dtype=torch.float64)
    target[:, 0], target[:, 4] = 0.5, 0.5
    target[0] = torch.tensor([0.7, 0.2, 0.1, 0, 0, 0])
    losses = focal_divergence(scores, target, gamma=gamma, focal=focal)
    np.testing.assert_allclose(losses.numpy(), naive(scores.numpy(), target.numpy(), gamma, focal), rtol=1e-9)


def test_by_element_several_true_candidates_can_cost_less_than_nothing():
    target, shares = torch.tensor([[0.7, 0.2, 0.1]]).double(), torch.tensor([[0.6, 0.3, 0.1]]).double()
    assert focal_divergence(shares.log(), target, focal='element').item() == pytest.approx(-0.022, abs=1e-3)
    assert focal_divergence(shares.log(), target).item() >= 0


def test_the_loss_is_least_where_the_shares_are_the_target():
    target = torch.tensor([[0.5, 0.5, 0.0]]).double()
    exact = focal_divergence(torch.tensor([[3.0, 3.0, -40.0]]).double(), target, gamma=0.0)
    assert exact.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize('focal', ['sample', 'element'])
@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_extreme_logits_stay_finite(dtype, gamma, focal):
    scores = torch.tensor([[1e4, -1e4, 0], [-1e4, 1e4, 0], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [0, 1e4, -1e4]],
                          dtype=dtype, requires_grad=True)
    target = torch.tensor([[1.0, 0, 0], [1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]], dtype=dtype)
    losses = focal_divergence(scores, target, gamma=gamma, focal=focal)
    losses.sum().backward()
    assert torch.isfinite(losses).all() and torch.isfinite(scores.grad).all()
    assert losses[0].item() == pytest.approx(0, abs=1e-6) and losses[1].item() == pytest.approx(2e4)


@pytest.mark.parametrize('focal', ['sample', 'element'])
def test_left_out_candidates_count_for_nothing(focal):
    scores, target, allowed = logits().requires_grad_(), one_hot([0] * 5), torch.ones(5, 17, dtype=torch.bool)
    allowed[:, 5:9], allowed[2] = False, False  # the true candidate counts all the same
    losses = focal_divergence(scores, target, allowed, focal=focal)
    losses.sum().backward()
    assert not scores.grad[:, 5:9].any() and not scores.grad[2].any() and scores.grad[0, 1:5].all()
    kept = [column for column in range(17) if column not in range(5, 9)]
    alone = focal_divergence(scores.detach()[:, kept], target[:, kept], focal=focal)
    torch.testing.assert_close(losses.detach()[[0, 1, 3, 4]], alone[[0, 1, 3, 4]])
    assert losses[2].item() == pytest.approx(0.0, abs=1e-12)


def test_rows_without_a_true_candidate_do_not_count():
    scores, target = logits().requires_grad_(), one_hot([0, 1, 2, 3, 4])
    target[1], target[3] = 0.0, 0.0
    allowed = torch.ones(5, 17)
    allowed[3] = 0.0  # nor has it any other
    loss = AlignmentLoss(temperature=1.0)(scores, target, allowed)
    loss.backward()
    assert not scores.grad[[1, 3]].any() and torch.isfinite(scores.grad).all()
    expected = naive(scores.detach().numpy(), one_hot([0, 1, 2, 3, 4]).numpy(), 2.0)[[0, 2, 4]].mean()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert AlignmentLoss()(scores, torch.zeros(5, 17), allowed).item() == 0


@pytest.mark.parametrize('focal', ['sample', 'element'])
def test_no_gradient_goes_through_a_detached_factor(focal):
    scores, target = logits(rows=1).requires_grad_(), one_hot([3])
    share = scores.detach().softmax(-1)[0, 3]
    focal_divergence(scores, target, detach=True, focal=focal).sum().backward()
    plain = scores.detach().clone().requires_grad_()
    F.cross_entropy(plain, torch.tensor([3])).backward()
    torch.testing.assert_close(scores.grad, (1 - share)**2 * plain.grad)
    scores.grad = None
    focal_divergence(scores, target, focal=focal).sum().backward()
    assert not torch.allclose(scores.grad, (1 - share)**2 * plain.grad)


def test_gradients_against_finite_differences():
    target = torch.tensor([[0.5, 0.5, 0, 0], [1.0, 0, 0, 0]]).double()
    for options in (dict(), dict(gamma=0.0), dict(focal='element')):
        scores = logits(2, 4, scale=1.0).requires_grad_()
        assert torch.autograd.gradcheck(lambda x, options=options: focal_divergence(x, target, **options), scores)


def test_cosines_are_divided_by_the_temperature_in_full_precision():
    cosines, target = torch.tensor([[0.80, 0.79]]), torch.tensor([[1.0, 0.0]])
    expected = -math.log(1 / (1 + math.exp(-0.1)))
    with torch.autocast('cpu', torch.bfloat16):
        assert AlignmentLoss(gamma=0.0)(cosines, target).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('options', [dict(temperature=0.0), dict(gamma=-1.0), dict(focal='batch')])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match='expected a positive temperature, gamma of at least 0 and one of'):
        AlignmentLoss(**options)
