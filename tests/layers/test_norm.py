import pytest
import torch

from motionbert_mm.layers.norm import AnyBatchNorm1d, UnbiasedLayerNorm


def test_it_divides_by_the_unbiased_standard_deviation():
    torch.manual_seed(0)
    norm, tokens = UnbiasedLayerNorm(12), torch.randn(4, 5, 12) * 3 + 1
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    mean, std = tokens.mean(-1, keepdim=True), tokens.std(-1, keepdim=True)  # torch's default is unbiased
    torch.testing.assert_close(norm(tokens), norm.weight * (tokens - mean) / (std + 1e-6) + norm.bias)


@pytest.mark.parametrize('scale', [1e-5, 1e-3, 1.0])
def test_the_small_number_stands_beside_the_deviation(scale):
    torch.manual_seed(0)
    norm, tokens = UnbiasedLayerNorm(12).double(), scale * torch.randn(5, 12, dtype=torch.float64)
    expected = (tokens - tokens.mean(-1, keepdim=True)) / (tokens.std(-1, keepdim=True) + 1e-6)
    torch.testing.assert_close(norm(tokens), expected, rtol=1e-6, atol=0)


def test_gradients_are_those_of_the_formula():
    torch.manual_seed(0)
    norm = UnbiasedLayerNorm(6).double()
    tokens = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    plain = (tokens - tokens.mean(-1, keepdim=True)) / (tokens.std(-1, keepdim=True) + 1e-6)
    expected, = torch.autograd.grad((plain * norm.weight + norm.bias).pow(3).sum(), tokens)
    got, = torch.autograd.grad(norm(tokens).pow(3).sum(), tokens)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_half_precision_is_normalised_in_that_of_the_weight():
    tokens = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(UnbiasedLayerNorm(8)(tokens.bfloat16()), UnbiasedLayerNorm(8)(tokens), rtol=0.05,
                                   atol=0.05)


def test_a_constant_token_becomes_the_bias():
    norm = UnbiasedLayerNorm(4)
    torch.nn.init.constant_(norm.bias, 0.5)
    torch.testing.assert_close(norm(torch.zeros(2, 4)), torch.full((2, 4), 0.5))


@pytest.mark.parametrize('shape', [(1, 4), (1, 4, 1)])
def test_a_batch_norm_of_one_value_per_channel_uses_running_statistics(shape):
    torch.manual_seed(0)
    norm, values = AnyBatchNorm1d(4), torch.randn(shape)
    norm(torch.randn(8, 4) * 2 + 1)
    before = {name: value.clone() for name, value in norm.named_buffers()}
    alone = norm.train()(values)
    torch.testing.assert_close(alone, norm.eval()(values), rtol=0, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in norm.named_buffers())
    norm.train()(values).sum().backward()
    assert torch.isfinite(norm.weight.grad).all()


@pytest.mark.parametrize('shape', [(2, 4), (1, 4, 3), (5, 4, 1)])
def test_a_batch_norm_of_more_values_is_that_of_torch(shape):
    torch.manual_seed(0)
    norm, official, values = AnyBatchNorm1d(4), torch.nn.BatchNorm1d(4), torch.randn(shape)
    torch.testing.assert_close(norm(values), official(values), rtol=0, atol=0)
    for name, value in official.state_dict().items():
        assert torch.equal(norm.state_dict()[name], value)
