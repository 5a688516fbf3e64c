"""Linear maps by oneDNN equal those of PyTorch, with their gradients, and are left alone where they do not fit."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from motionbert_mm.layers import linear as module
from motionbert_mm.layers.kernels import plain_kernels, runs_on_onednn
from motionbert_mm.layers.linear import Linear, linear

SHAPE = (4, 243, 17)  # tokens


@pytest.fixture
def calls(monkeypatch):
    """Count what oneDNN is asked for."""
    found = []
    called = module._map
    monkeypatch.setattr(module, '_map', lambda *args: found.append(args) or called(*args))
    return found


def make(in_channels=16, out_channels=24, *, bias=True, seed=0):
    torch.manual_seed(seed)
    return Linear(in_channels, out_channels, bias=bias), torch.randn(*SHAPE, in_channels, requires_grad=True)


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('activation', [None, 'gelu', 'relu'])
def test_values_and_gradients_are_those_of_pytorch(calls, bias, activation):
    layer, tokens = make(bias=bias)
    weights = torch.randn(*SHAPE, 24)
    results = []
    for plain in (False, True):
        layer.zero_grad()
        tokens.grad = None
        if plain:
            with plain_kernels():
                mapped = layer(tokens, activation)
        else:
            mapped = layer(tokens, activation)
        (mapped * weights).sum().backward()
        results.append([mapped.detach(), tokens.grad, layer.weight.grad, *([layer.bias.grad] if bias else [])])
        assert len(calls) == 2  # forward and gradient of the tokens, both of the first round
    for fast, slow in zip(*results):
        torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5 * float(slow.abs().max()))


@pytest.mark.parametrize('activation', [None, 'gelu', 'relu'])
def test_without_gradients_the_activation_is_fused(calls, activation):
    layer, tokens = make()
    with torch.no_grad():
        mapped = layer(tokens, activation)
        expected = F.linear(tokens, layer.weight, layer.bias)
        expected = {None: lambda x: x, 'gelu': F.gelu, 'relu': F.relu}[activation](expected)
    (_, _, _, asked), = calls
    assert asked == activation
    torch.testing.assert_close(mapped, expected, rtol=1e-5, atol=1e-5)


def test_a_frozen_layer_passes_the_gradient_on(calls):
    layer, tokens = make()
    layer.requires_grad_(False)
    layer(tokens).square().sum().backward()
    assert layer.weight.grad is None and layer.bias.grad is None
    expected = 2 * F.linear(tokens.detach(), layer.weight, layer.bias) @ layer.weight
    torch.testing.assert_close(tokens.grad, expected, rtol=1e-5, atol=1e-4)


def test_second_derivatives(calls):
    """Of a penalty on the gradient, as some losses have it."""
    found = []
    for plain in (False, True):
        layer, tokens = make()
        if plain:
            layer.forward = lambda x, layer=layer: F.linear(x, layer.weight, layer.bias)
        gradient, = torch.autograd.grad(layer(tokens).sin().sum(), tokens, create_graph=True)
        gradient.square().sum().backward()
        found.append((tokens.grad, layer.weight.grad))
    for fast, slow in zip(*found):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-4 * float(slow.abs().max()))


def test_under_autocast_like_pytorch(calls):
    """bfloat16 keeps 8 bits: a relative difference of 2 ** -7 of the largest value."""
    layer, tokens = make()
    with torch.autocast('cpu', torch.bfloat16):
        mapped = layer(tokens, 'gelu')
        assert mapped.dtype == torch.bfloat16 and calls[0][0].dtype == torch.bfloat16
        mapped.float().sum().backward()
    exact = F.gelu(F.linear(tokens.detach(), layer.weight, layer.bias))
    assert (mapped - exact).abs().max() < 2 ** -7 * exact.abs().max()
    assert layer.weight.grad.dtype == torch.float32 and tokens.grad.dtype == torch.float32


@pytest.mark.parametrize('why', ['few tokens', 'double', 'plain', 'meta', 'switched off', 'torch.func'])
def test_what_does_not_fit_is_left_to_pytorch(calls, why):
    layer, tokens = make()
    if why == 'few tokens':
        layer(tokens[0, 0])
    elif why == 'double':
        assert layer.double()(tokens.double()).dtype == torch.float64
    elif why == 'plain':
        with plain_kernels():
            layer(tokens)
        assert runs_on_onednn(tokens)
    elif why == 'meta':
        assert linear(tokens.to('meta'), layer.weight.to('meta')).shape == (*SHAPE, 24)
    elif why == 'switched off':
        with torch.backends.mkldnn.flags(enabled=False):
            layer(tokens)
    else:
        torch.func.vmap(layer)(tokens)
    assert not calls


def test_a_compiled_layer_calls_an_operator_that_compilers_leave_alone():
    layer, tokens = make()
    found = []

    def backend(graph, inputs):
        found.append(graph.code)
        return graph

    with torch.no_grad():
        mapped = torch.compile(lambda x: layer(x, 'gelu'), backend=backend, fullgraph=True)(tokens)
        torch.testing.assert_close(mapped, layer(tokens, 'gelu'))
    assert len(found) == 1 and 'motionbert_mm.linear' in found[0]


@pytest.mark.parametrize('amp', [False, True])
def test_a_compiled_layer_learns_the_same(amp):
    """In one graph, without autocast to the last bits; with it the products are the same, sums are not."""
    layer, tokens = make()
    found = []
    for call in (layer, torch.compile(layer, backend='aot_eager', fullgraph=True)):
        with torch.autocast('cpu', torch.bfloat16, enabled=amp):
            mapped = call(tokens, 'gelu')
        assert mapped.dtype == (torch.bfloat16 if amp else torch.float32)
        found.append(torch.autograd.grad(mapped.float().square().sum(), (tokens, *layer.parameters())))
    for compiled, eager in zip(*found):
        tolerance = 2 ** -7 if amp else 1e-5
        torch.testing.assert_close(compiled, eager, rtol=tolerance, atol=tolerance * float(eager.abs().max()))


def test_parameters_are_those_of_the_layer_of_pytorch():
    assert isinstance(Linear(2, 3), nn.Linear)
    assert list(Linear(2, 3).state_dict()) == list(nn.Linear(2, 3).state_dict())
