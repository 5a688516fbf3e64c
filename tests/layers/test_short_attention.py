"""Attention of short sequences on CPUs against attention by single operators."""
import pytest
import torch

from motionbert_mm.layers import short_attention
from motionbert_mm.layers.attention import MultiHeadAttention
from motionbert_mm.layers.dropout import draw_kept, share_kept
from motionbert_mm.layers.kernels import plain_kernels
from motionbert_mm.layers.short_attention import mix_short

HEADS, SCALE = 4, 0.3


@pytest.fixture(params=['whole', 'pieces', 'single'])
def piece(request, monkeypatch):
    """All sequences of the tests at once, two of five at a time, and one."""
    weights_of_one = 4 * HEADS * 19 ** 2
    limit = dict(whole=2 ** 22, pieces=2 * weights_of_one, single=1)[request.param]
    monkeypatch.setattr(short_attention, 'PIECE_BYTES', limit)
    return request.param


def projected(dtype=torch.float32):
    torch.manual_seed(0)
    return torch.randn(5, 19, 3 * 32).to(dtype).requires_grad_()


def plainly(tokens, drop=None):
    """Mix by single operators, with the weights multiplied by ``drop`` (N, H, L, L)."""
    query, key, value = tokens.unflatten(-1, (3, HEADS, 8)).permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-2, -1) * SCALE).softmax(-1)
    weights = weights if drop is None else weights * drop
    return (weights @ value).transpose(1, 2).flatten(2)


@pytest.mark.parametrize('dtype, tolerance', [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_values_and_gradients_are_those_of_single_operators(piece, dtype, tolerance):
    given = projected(dtype)
    mixed, expected = mix_short(given, HEADS, scale=SCALE), plainly(given.float())
    torch.testing.assert_close(mixed.float(), expected, atol=tolerance, rtol=tolerance)
    factor = torch.randn_like(expected)
    gradient, = torch.autograd.grad((mixed * factor).sum(), given)
    wanted, = torch.autograd.grad((expected * factor).sum(), given)
    torch.testing.assert_close(gradient, wanted, atol=5 * tolerance, rtol=tolerance)
    with torch.no_grad():
        assert torch.equal(mix_short(given, HEADS, scale=SCALE), mixed)


@pytest.mark.parametrize('rate', [0.2, 0.7])
def test_dropped_weights_are_dropped_from_the_gradients_too(piece, rate):
    given = projected()
    sizes = dict(whole=[5], pieces=[2, 2, 1], single=[1] * 5)[piece]
    torch.manual_seed(3)
    kept = torch.cat([draw_kept(torch.Size((size, HEADS, 19, 19)), rate) for size in sizes]) / share_kept(rate)
    torch.manual_seed(3)
    mixed, expected = mix_short(given, HEADS, scale=SCALE, drop=rate), plainly(given, kept)
    torch.testing.assert_close(mixed, expected, atol=1e-5, rtol=1e-4)
    factor = torch.randn_like(expected)
    gradient, = torch.autograd.grad((mixed * factor).sum(), given)
    wanted, = torch.autograd.grad((expected * factor).sum(), given)
    torch.testing.assert_close(gradient, wanted, atol=1e-4, rtol=1e-4)


def test_a_graph_can_be_used_twice_and_its_input_is_left_alone():
    given = projected()
    before = given.detach().clone()
    mixed = mix_short(given, HEADS, scale=SCALE).square().sum()
    first, = torch.autograd.grad(mixed, given, retain_graph=True)
    second, = torch.autograd.grad(mixed, given)
    assert torch.equal(first, second) and torch.equal(given.detach(), before)


@pytest.mark.parametrize('shape', [(0, 9), (1, 1), (1, 9), (3, 1)])
def test_any_number_of_sequences_and_tokens(shape):
    given = torch.randn(*shape, 3 * 32, requires_grad=True)
    mixed = mix_short(given, HEADS, scale=SCALE)
    torch.testing.assert_close(mixed, plainly(given))
    mixed.sum().backward()
    assert given.grad.shape == given.shape


def test_the_layer_uses_it_where_it_is_faster(monkeypatch):
    calls = []
    monkeypatch.setattr('motionbert_mm.layers.attention.mix_short',
                        lambda tokens, *args, **options: calls.append(options) or mix_short(tokens, *args, **options))
    layer, short, long = MultiHeadAttention(32, attn_drop=0.5), torch.randn(2, 17, 32), torch.randn(2, 90, 32)
    layer.eval()(long)
    layer.double()(short.double())
    with plain_kernels():
        layer.float()(short)
    torch.compile(layer, backend='eager', fullgraph=True)(short)
    assert not calls
    layer(short)
    layer.train()(long)
    layer.eval().bfloat16()(long.bfloat16())
    assert calls == [dict(scale=0.5, drop=0.0), dict(scale=0.5, drop=0.5), dict(scale=0.5, drop=0.0)]


def test_the_layer_with_dropout_is_right_on_average():
    torch.manual_seed(0)
    layer = MultiHeadAttention(32, num_heads=HEADS, attn_drop=0.3)
    tokens = torch.randn(2, 100, 32)
    with torch.no_grad():
        mean = sum(layer.train()(tokens) for _ in range(300)) / 300
        torch.testing.assert_close(mean, layer.eval()(tokens), atol=0.05, rtol=0.0)
