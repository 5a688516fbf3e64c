import re

import pytest
import torch
from mmengine.config import Config
from torch.nn.functional import linear

from motionbert_mm.layers import attention
from motionbert_mm.layers.attention import MultiHeadAttention, attend
from motionbert_mm.layers.transformer import DropPath
from motionbert_mm.models.backbones.dstformer import DSTformer, StreamFusion
from motionbert_mm.registry import MODELS, build
from tests.generated import ROOT

LIMIT = attention.SHORT_FLOAT32


def make(**options):
    torch.manual_seed(0)
    return DSTformer(3, **{**dict(max_frames=27, dim=16, depth=2, num_heads=4), **options})


def randomise(module):
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize('config, parameters', [('dstformer_base', 42_466_317), ('dstformer_lite', 16_001_549)])
def test_official_sizes(config, parameters):
    model = Config.fromfile(ROOT / 'configs' / '_base_' / 'models' / f'{config}.py').model
    with torch.device('meta'):
        assert count(build(MODELS, model)) == parameters


def test_size_without_fusion():
    fused, averaged = make(), make(use_fusion=False)
    assert count(fused) - count(averaged) == 2 * (4 * 16 + 2)


def test_fusion_starts_with_equal_shares():
    model = build(MODELS, dict(type='MotionModel', backbone=dict(type='DSTformer', max_frames=9, dim=16, depth=2),
                               heads=dict(pose=dict(type='PoseLiftHead'))))
    first, second = torch.randn(2, 4, 16).unbind()
    for _ in range(2):
        for fusion in model.backbone.fusion:
            torch.testing.assert_close(fusion(first, second), (first + second) / 2)
        model.init_weights()  # a generic initialisation of every linear layer would undo it


def test_fusion_is_the_softmax_of_one_linear_map():
    fusion, (first, second) = randomise(StreamFusion(16)), torch.randn(2, 3, 5, 16).unbind()
    shares = linear(torch.cat([first, second], dim=-1), fusion.weight, fusion.bias).softmax(dim=-1)
    torch.testing.assert_close(fusion(first, second), first * shares[..., :1] + second * shares[..., 1:])


def test_a_short_clip_uses_the_first_frame_embeddings():
    model, inputs = randomise(make()).eval(), torch.randn(2, 5, 17, 3)
    short = randomise(make(max_frames=5)).eval()
    state = {key: value[:, :5] if key == 'frame_embed' else value for key, value in model.state_dict().items()}
    short.load_state_dict(state)
    torch.testing.assert_close(model(inputs), short(inputs))


def test_one_frame_is_enough():
    features = randomise(make()).eval()(torch.randn(2, 1, 17, 3))
    assert features.shape == (2, 1, 17, 16) and torch.isfinite(features).all()


def test_every_frame_and_joint_sees_all_others():
    model, inputs = randomise(make(depth=1)).eval(), torch.randn(1, 6, 17, 3)
    changed = inputs.clone()
    changed[0, 2, 5] += 1.0
    moved = (model(changed) - model(inputs)).abs().amax(dim=-1)[0]
    assert (moved > 1e-5).all()


def test_swapping_joints_with_their_embeddings_swaps_the_output():
    model, inputs = randomise(make()).eval(), torch.randn(2, 6, 17, 3)
    order = torch.randperm(17, generator=torch.Generator().manual_seed(0))
    features = model(inputs)
    model.joint_embed.data = model.joint_embed.data[:, order]
    torch.testing.assert_close(model(inputs[:, :, order]), features[:, :, order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('shape, message', [
    ((2, 28, 17, 3), r'at most 27 frames, got 28; set backbone.max_frames or the num_frames'),
    ((2, 9, 16, 3), r'inputs \(N, T, 17, 3\), got \(2, 9, 16, 3\); convert the joints in the pipeline'),
    ((2, 9, 17, 2), r'inputs \(N, T, 17, 3\), got \(2, 9, 17, 2\)'),
    ((9, 17, 3), r'inputs \(N, T, 17, 3\), got \(9, 17, 3\)'),
])
def test_wrong_inputs_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        make()(torch.zeros(shape))


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match='dim 16 is not divisible by num_heads 6'):
        make(num_heads=6)


def test_dropout_draws_in_training_only():
    model, inputs = randomise(make(drop=0.2, attn_drop=0.2, drop_path=0.3)), torch.randn(2, 5, 17, 3)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


def test_drop_path_grows_with_the_stage_and_keeps_the_mean():
    rates = [stage['spatial'].drop_path.rate for stage in make(depth=3, drop_path=0.4).space_first]
    assert rates == pytest.approx([0.0, 0.2, 0.4])
    torch.manual_seed(0)
    dropped = DropPath(0.25)(torch.ones(4000, 2, 3))
    rows = dropped.flatten(1)
    assert ((rows == 0).all(dim=1) | torch.isclose(rows, torch.tensor(4 / 3)).all(dim=1)).all()
    assert dropped.mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize('scale', [None, 0.7])
@pytest.mark.parametrize('length', [1, 17, LIMIT])
def test_both_ways_of_attention_are_equal(monkeypatch, length, scale):
    results = []
    for limit in (LIMIT, 0):  # plain products, then the fused kernel
        monkeypatch.setattr(attention, 'SHORT_FLOAT32', limit)
        torch.manual_seed(0)
        query, key, value = torch.randn(3, 2, 4, length, 8).requires_grad_().unbind()
        tensors = [tensor.detach().requires_grad_() for tensor in (query, key, value)]
        mixed = attend(*tensors, scale=scale)
        mixed.square().sum().backward()
        results.append([mixed.detach(), *(tensor.grad for tensor in tensors)])
    for plain, fused in zip(*results):
        torch.testing.assert_close(plain, fused, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('length', [4, LIMIT + 1])
def test_attention_dropout_acts_on_the_weights(length):
    torch.manual_seed(0)
    query, key, value = torch.zeros(1, 1, length, 4), torch.zeros(1, 1, length, 4), torch.ones(1, 1, length, 4)
    mixed = torch.cat([attend(query, key, value, drop=0.5) for _ in range(2000 // length)])
    assert mixed.mean() == pytest.approx(1.0, abs=0.05) and mixed.std() > 0.05
    assert torch.equal(attend(query, key, value), value)


def test_query_key_and_value_lie_behind_each_other():
    layer = randomise(MultiHeadAttention(8, num_heads=2)).eval()
    tokens = torch.randn(3, 5, 8)
    query, key, value = layer.qkv(tokens).chunk(3, dim=-1)
    heads = []
    for part in range(2):
        q, k, v = (tensor[..., part * 4:part * 4 + 4] for tensor in (query, key, value))
        heads.append((q @ k.transpose(1, 2) / 2).softmax(dim=-1) @ v)
    torch.testing.assert_close(layer(tokens), layer.proj(torch.cat(heads, dim=-1)))


def test_no_bias_when_none_is_wanted():
    names = [name for name, _ in make(qkv_bias=False).named_parameters()]
    assert not [name for name in names if re.search(r'qkv\.bias', name)] and [n for n in names if 'qkv.weight' in n]
