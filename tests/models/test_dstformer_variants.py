import pytest
import torch
from mmengine.config import Config

from motionbert_mm.models.backbones.dstformer import DSTformer
from motionbert_mm.models.backbones.dstformer_variants import (
    ChannelFusion,
    ParallelStreamTransformer,
    SeriesAttentionTransformer,
    SpaceTimeTransformer,
    TimeSpaceTransformer,
)
from motionbert_mm.registry import MODELS, build
from tests.generated import ROOT

DIM, HEADS = 16, 4
SINGLE_STREAMS = [SpaceTimeTransformer, TimeSpaceTransformer]


def make(cls, **options):
    model = cls(3, **{**dict(max_frames=9, dim=DIM, depth=2, num_heads=HEADS), **options}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def changed_by_one_token(model):
    """Mask (T, J) of what moves in the output when frame 2, joint 5 of the input does."""
    inputs = torch.randn(1, 6, 17, 3)
    changed = inputs.clone()
    changed[0, 2, 5] += 1.0
    return (model(changed) - model(inputs)).abs().amax(dim=-1)[0] > 1e-6


@pytest.mark.parametrize('backbone, parameters', [
    (dict(type='SpaceTimeTransformer'), 21_428_227), (dict(type='TimeSpaceTransformer'), 21_428_227),
    (dict(use_fusion=False), 42_456_067),
    # A stage of the two below has one layer per axis, and one layer, where S-T has two.
    (dict(type='ParallelStreamTransformer', use_fusion=False), 21_428_227),
    (dict(type='SeriesAttentionTransformer'), 21_428_227 - 5 * 4_205_568 // 2),
    (dict(type='ParallelStreamTransformer'), 21_428_227 + 5 * (1024 * 1024 + 1024))])
def test_one_line_of_the_config_makes_a_variant_of_known_size(backbone, parameters):
    config = Config.fromfile(ROOT / 'configs/_base_/models/dstformer_base.py')
    config.merge_from_dict(dict(model=dict(backbone=backbone)))
    with torch.device('meta'):
        assert count(build(MODELS, config.model.to_dict())) == parameters


@pytest.mark.parametrize('cls, bias', zip(SINGLE_STREAMS, ([100.0, -100.0], [-100.0, 100.0])))
def test_a_single_stream_is_that_half_of_a_dstformer(cls, bias):
    whole, half, inputs = make(DSTformer), make(cls), torch.randn(2, 6, 17, 3)
    for fusion in whole.fusion:
        fusion.bias.data = torch.tensor(bias)
    rest = half.load_state_dict(whole.state_dict(), strict=False)
    assert rest.missing_keys == []
    torch.testing.assert_close(half(inputs), whole(inputs))


@pytest.mark.parametrize('cls', [*SINGLE_STREAMS, SeriesAttentionTransformer])
def test_every_frame_and_joint_sees_all_others_in_one_stage(cls):
    assert changed_by_one_token(make(cls, depth=1)).all()


def test_a_parallel_stage_sees_the_same_frame_and_the_same_joint_only():
    cross = torch.zeros(6, 17, dtype=torch.bool)
    cross[2], cross[:, 5] = True, True
    assert torch.equal(changed_by_one_token(make(ParallelStreamTransformer, depth=1)), cross)


@pytest.mark.parametrize('is_learned', [True, False])
def test_parallel_streams_start_from_the_same_features(is_learned):
    model, inputs = make(ParallelStreamTransformer, depth=1, use_fusion=is_learned), torch.randn(2, 6, 17, 3)
    embedded = model.embed(inputs) + model.joint_embed + model.frame_embed[:, :6]
    space = torch.stack([model.space_only[0]['spatial'](embedded[:, frame]) for frame in range(6)], dim=1)
    time = torch.stack([model.time_only[0]['temporal'](embedded[:, :, joint]) for joint in range(17)], dim=2)
    share = 0.5
    if is_learned:
        # Official: outputs 2 c and 2 c + 1 of the map are the logits of channel c in space and in time.
        logits = model.fusion[0].fc(torch.cat([space, time], dim=-1)).reshape(2, 6, 17, DIM, 2)
        share = logits.exp()[..., 0] / logits.exp().sum(dim=-1)
    torch.testing.assert_close(model(inputs), model.norm(share * space + (1 - share) * time))


def test_channel_fusion_weighs_equal_streams_alike():
    stream = torch.randn(2, 5, DIM)
    torch.testing.assert_close(ChannelFusion(DIM)(stream, stream), stream)


def attention_by_hand(layer, tokens):
    """Softmax attention (L, D) of one layer without its output projection."""
    query, key, value = (part.unflatten(-1, (HEADS, -1)).transpose(0, 1) for part in layer.qkv(tokens).chunk(3, dim=-1))
    weights = (query @ key.transpose(1, 2) / (DIM / HEADS) ** 0.5).softmax(dim=-1)
    return (weights @ value).transpose(0, 1).flatten(1)


def test_series_attention_uses_one_projection_for_both_axes():
    model, inputs = make(SeriesAttentionTransformer, depth=1), torch.randn(1, 6, 17, 3)
    features = (model.embed(inputs) + model.joint_embed + model.frame_embed[:, :6])[0]
    layer = model.both[0]['series']
    mixed = layer.norm1(features)
    mixed = torch.stack([attention_by_hand(layer.attn, mixed[frame]) for frame in range(6)])
    mixed = torch.stack([attention_by_hand(layer.attn, mixed[:, joint]) for joint in range(17)], dim=1)
    features = features + layer.attn.proj(mixed)
    expected = model.norm(features + layer.mlp(layer.norm2(features)))
    torch.testing.assert_close(model(inputs)[0], expected)


def test_stochastic_depth_of_series_attention_drops_whole_clips():
    model = make(SeriesAttentionTransformer, depth=1)
    layer = model.both[0]['series'].train()
    layer.drop_path.rate = 0.5
    features = torch.randn(40, 3, 17, DIM)
    same = (layer(features) == features).flatten(1)
    assert 0 < same.all(dim=1).sum() < 40
    assert not same[~same.all(dim=1)].any(dim=1).all()


@pytest.mark.parametrize('cls', [*SINGLE_STREAMS, SeriesAttentionTransformer])
def test_one_stream_has_nothing_to_fuse(cls):
    with pytest.raises(TypeError, match=f'{cls.__name__} has use_fusion, which {cls.__name__} does not take'):
        build(MODELS, dict(type=cls.__name__, use_fusion=False))


def test_wrong_inputs_are_named_after_the_class():
    with pytest.raises(ValueError, match='TimeSpaceTransformer was built for at most 9 frames, got 10'):
        make(TimeSpaceTransformer)(torch.zeros(1, 10, 17, 3))
