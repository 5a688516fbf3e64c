import pytest
import torch
import torch.nn.functional as F

from motionbert_mm.layers.strided import StridedTransformer, StridedTransformerLayer

DIM = 8


def make(stride, **options):
    torch.manual_seed(0)
    layer = StridedTransformerLayer(DIM, stride=stride, num_heads=2, **options).eval()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer


def tokens_of(length):
    return torch.randn(2, length, DIM, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('length, stride', [(9, 1), (9, 3), (27, 9), (13, 13), (8, 3)])
def test_it_is_a_strided_convolution_beside_subsampling(length, stride):
    layer, tokens = make(stride), tokens_of(length)
    tokens_after = tokens + layer.attn(layer.norm1(tokens))
    hidden = F.relu(layer.fc(layer.norm2(tokens_after)))
    weight = layer.conv.weight.unflatten(1, (3, -1)).transpose(1, 2)  # (D, hidden, taps)
    branch = F.conv1d(hidden.transpose(1, 2), weight, layer.conv.bias, stride=stride, padding=1).transpose(1, 2)
    torch.testing.assert_close(layer(tokens), tokens_after[:, ::stride] + branch, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('stride', [3, 9])
def test_centred_groups_meet_neither_padding_nor_gaps(stride):
    layer, tokens = make(stride, centred=True), tokens_of(3 * stride)
    tokens_after = tokens + layer.attn(layer.norm1(tokens))
    hidden = F.relu(layer.fc(layer.norm2(tokens_after)))
    groups = hidden.reshape(2, 3, -1)
    expected = tokens_after[:, stride // 2::stride] + layer.conv(groups)
    torch.testing.assert_close(layer(tokens), expected, rtol=1e-5, atol=1e-5)


def test_a_stack_reduces_to_one_token_that_knows_the_order():
    torch.manual_seed(0)
    stack, tokens = StridedTransformer(DIM, num_tokens=27, strides=(3, 3, 3), num_heads=2).eval(), tokens_of(27)
    assert stack(tokens).shape == (2, 1, DIM)
    assert not torch.allclose(stack(tokens), stack(tokens.flip(1)), atol=1e-3)


def test_positions_are_given_to_the_first_three_layers():
    stack = StridedTransformer(DIM, num_tokens=81, strides=(3, 3, 3, 3), num_heads=2)
    assert [tuple(table.shape) for table in stack.positions] == [(1, 81, DIM)] * 3
