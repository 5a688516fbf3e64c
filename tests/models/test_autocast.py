"""Backbones in half precision."""
import pytest
import torch

from motionbert_mm.layers.transformer import TransformerLayer
from motionbert_mm.models.backbones.stream_transformer import StreamTransformer
from motionbert_mm.registry import MODELS, build
from tests.minimal import arguments
from tests.models.test_contract import FRAMES, JOINTS, example, named, registered

JOINT_BACKBONES = [name for name in registered('backbones')
                   if name == 'PoseFormer' or issubclass(MODELS.get(name), StreamTransformer)]
INPUTS = example(FRAMES, JOINTS, 3)


def make(name):
    torch.manual_seed(0)
    return build(MODELS, dict(type=name, **arguments(name))).eval()


def in_half(module, inputs):
    with torch.autocast('cpu', torch.bfloat16):
        return named(module(inputs))


@pytest.mark.parametrize('name', registered('backbones'))
def test_features_are_close_to_those_of_float32(name):
    module = make(name)
    half = in_half(module, INPUTS)
    for key, full in named(module(INPUTS)).items():
        difference = half[key].float() - full
        assert 0 < difference.square().mean().sqrt() < 0.02 * full.std()


@pytest.mark.parametrize('name', JOINT_BACKBONES)
def test_features_are_half_precision_between_the_layers_too(name):
    module, types = make(name), []
    for layer in module.modules():
        if isinstance(layer, TransformerLayer):
            layer.register_forward_hook(lambda layer, inputs, output: types.append((inputs[0].dtype, output.dtype)))
    in_half(module, INPUTS)
    assert types and set(types) == {(torch.bfloat16, torch.bfloat16)}
    types.clear()
    module(INPUTS)
    assert set(types) == {(torch.float32, torch.float32)}


def test_normalised_features_are_float32():
    half = in_half(make('DSTformer'), INPUTS)['']
    assert half.dtype == torch.float32
    assert make('DSTformer').bfloat16()(INPUTS.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(half.mean(dim=-1), torch.zeros_like(half[..., 0]), atol=1e-6, rtol=0)


def test_gradients_are_close_to_those_of_float32():
    module = make('DSTformer')
    factor = torch.randn_like(module(INPUTS))
    (module(INPUTS) * factor).mean().backward()
    full = {name: value.grad.clone() for name, value in module.named_parameters()}
    module.zero_grad()
    half = in_half(module, INPUTS)['']
    (half * factor).mean().backward()
    for name, value in module.named_parameters():
        assert value.grad.dtype == torch.float32
        assert (value.grad - full[name]).norm() < 0.1 * full[name].norm(), name
