"""Dropout: the share that is dropped, the scale of the rest, seeds and gradients."""
import pytest
import torch
from torch import nn

from motionbert_mm.layers.attention import MultiHeadAttention, attend
from motionbert_mm.layers.dropout import Dropout, dropout
from motionbert_mm.layers.kernels import plain_kernels

ONES = torch.ones(64, 1000)


@pytest.mark.parametrize('rate', [0.1, 0.25, 0.5, 0.9])
def test_the_wanted_share_is_dropped_and_the_mean_stays(rate):
    """Five standard deviations of a share of 64,000 draws."""
    torch.manual_seed(0)
    dropped = dropout(ONES, rate)
    kept = dropped != 0
    spread = (rate * (1 - rate) / ONES.numel()) ** 0.5
    assert abs(float(kept.float().mean()) - (1 - rate)) < 5 * spread
    torch.testing.assert_close(dropped[kept], torch.full_like(dropped[kept], 1 / (1 - rate)), rtol=1e-3, atol=0)
    # Neither rows nor columns are dropped alike.
    for axis in (0, 1):
        shares = kept.float().mean(dim=axis)
        expected = (rate * (1 - rate) / kept.shape[axis]) ** 0.5
        assert 0.7 * expected < float(shares.std()) < 1.4 * expected
    assert not torch.equal(kept[0], kept[1])


def test_draws_follow_the_generator_of_pytorch():
    found = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        found.append([dropout(ONES, 0.5), dropout(ONES, 0.5)])
    assert all(torch.equal(*pair) for pair in zip(found[0], found[1]))
    assert not torch.equal(found[0][0], found[0][1]) and not torch.equal(found[0][0], found[2][0])


def test_the_gradient_passes_where_values_did():
    values = torch.rand(64, 1000).add_(1.0).requires_grad_()
    dropped = dropout(values, 0.3)
    (dropped * ONES).sum().backward()
    torch.testing.assert_close(values.grad, dropped.detach() / values.detach())


def test_attention_with_dropout_is_right_on_average():
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 100, 8)
    mean = sum(attend(query, key, value, drop=0.3) for _ in range(300)) / 300
    torch.testing.assert_close(mean, attend(query, key, value), atol=0.15, rtol=0.0)


def test_evaluation_drops_nothing():
    layer = Dropout(0.5)
    assert isinstance(layer, nn.Dropout) and layer.eval()(ONES) is ONES
    attention = MultiHeadAttention(8, num_heads=2, attn_drop=0.5, proj_drop=0.5).eval()
    tokens = torch.randn(2, 90, 8)
    torch.testing.assert_close(attention(tokens), attention(tokens))


@pytest.mark.parametrize('case', ['small', 'everything', 'nearly everything', 'plain', 'meta', 'compiled'])
def test_the_rest_is_left_to_pytorch(monkeypatch, case):
    monkeypatch.setattr('motionbert_mm.layers.dropout.draw_kept', None)  # would fail
    if case == 'small':
        assert dropout(ONES[:2], 0.5).shape == (2, 1000)
    elif case == 'everything':
        assert not dropout(ONES, 1.0).any()
    elif case == 'nearly everything':  # 65,536 of 65,536 levels
        assert dropout(ONES, 1.0 - 1e-7).shape == ONES.shape
        assert MultiHeadAttention(8, num_heads=2, attn_drop=1.0 - 1e-7)(torch.randn(2, 9, 8)).isfinite().all()
    elif case == 'plain':
        with plain_kernels():
            dropout(ONES, 0.5)
    elif case == 'meta':
        assert dropout(ONES.to('meta'), 0.5).shape == ONES.shape
    else:
        compiled = torch.compile(lambda values: dropout(values, 0.5), backend='eager', fullgraph=True)
        assert compiled(ONES).shape == ONES.shape
