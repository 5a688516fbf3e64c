import contextlib

import pytest
import torch
from torch import nn

from motionbert_mm.layers import norm as module
from motionbert_mm.layers.kernels import plain_kernels
from motionbert_mm.layers.norm import AnyBatchNorm1d, LayerNorm, UnbiasedLayerNorm


def layer_norm(dim, kind=LayerNorm):
    torch.manual_seed(0)
    norm = kind(dim)
    nn.init.normal_(norm.weight, 1.0, 0.2)
    nn.init.normal_(norm.bias)
    return norm


def gradients(norm, tokens, factor):
    """Gradients of tokens, weight and bias, and the values, in float32."""
    tokens = tokens.clone().requires_grad_()
    normed = norm(tokens)
    assert normed.dtype == tokens.dtype
    (normed * factor.to(normed.dtype)).sum().backward()
    return [each.float() for each in (tokens.grad, norm.weight.grad, norm.bias.grad, normed.detach())]


@pytest.mark.parametrize('piece', [1, 50 * 16, 2 ** 18])
@pytest.mark.parametrize('way', [contextlib.nullcontext, plain_kernels])
def test_weights_learn_from_many_tokens_in_half_precision(monkeypatch, piece, way):
    monkeypatch.setattr(module, 'PIECE', piece)
    tokens, factor = torch.randn(4, 60, 16).bfloat16(), (torch.randn(4, 60, 16) + 0.1).bfloat16()
    with way():
        found = gradients(layer_norm(16), tokens, factor)
    for one, other in zip(found, gradients(layer_norm(16), tokens.float(), factor.float())):
        assert (one - other).norm() < 4e-3 * other.norm()  # rounding of single values; sums in bfloat16 are beyond


def test_single_precision_is_left_to_pytorch():
    tokens, factor = torch.randn(2, 5, 16), torch.randn(2, 5, 16)
    for one, other in zip(gradients(layer_norm(16), tokens, factor),
                          gradients(layer_norm(16, nn.LayerNorm), tokens, factor)):
        assert torch.equal(one, other)
    assert layer_norm(16).bfloat16()(tokens.bfloat16()).dtype == torch.bfloat16


def test_frozen_weights_pass_the_gradient_on():
    tokens = torch.randn(3, 16).bfloat16().requires_grad_()
    layer_norm(16).requires_grad_(False)(tokens).square().sum().backward()
    assert tokens.grad.any()


def test_half_precision_compiles_to_the_same_values():
    norm, tokens = layer_norm(16), torch.randn(3, 4, 16).bfloat16()
    compiled = torch.compile(norm, backend='aot_eager', fullgraph=True)
    torch.testing.assert_close(compiled(tokens), norm(tokens))


@pytest.mark.parametrize('shape', [(0, 16), (16,), (1, 1, 16)])
def test_any_number_of_tokens(shape):
    tokens = torch.randn(shape).bfloat16().requires_grad_()
    normed = layer_norm(16)(tokens)
    normed.sum().backward()
    assert normed.shape == tokens.grad.shape == shape


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
