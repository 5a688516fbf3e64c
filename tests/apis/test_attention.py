import numpy as np
import pytest
import torch
from torch import nn

from motionbert_mm.apis.attention import (
    attention_distance,
    attention_entropy,
    attention_maps,
    describe_attention,
    find_attention,
    recorded_attention,
)
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.layers.attention import MultiHeadAttention, SeriesAttention, attend_frames, attend_joints
from motionbert_mm.models import backbones
from motionbert_mm.registry import MODELS, build
from tests.minimal import MINIMAL

FRAMES, JOINTS = 9, 17
HIDDEN = [1, 2, 5, 8]
ATTENTIVE = [name for name in backbones.__all__ if name != 'TemporalConvNet']


def make_batch(hidden=(), num_frames=FRAMES):
    """One window, frames hidden as a whole, and joint 3 in all of them."""
    results = dict(inputs=np.random.default_rng(0).normal(size=(1, 1, num_frames, JOINTS, 3)).astype(np.float32),
                   fields={}, metainfo=dict(skeleton='h36m'))
    if len(hidden):
        mask = np.zeros((1, 1, num_frames, JOINTS), bool)
        mask[:, :, :, 3] = mask[:, :, list(hidden)] = True
        results['fields']['mask'] = mask
    return collate_batch(results)


class Wrapped(nn.Module):
    """What ``attention_maps`` asks of a model, without heads and their units."""

    flip_test = True

    def __init__(self, backbone, neck=None):
        super().__init__()
        self.backbone, self.neck = backbone, neck or nn.Identity()

    def test_step(self, batch):
        assert not self.flip_test
        inputs = batch['inputs'][0]
        mask = batch['data_samples'].get('mask')
        return self.neck(self.backbone(inputs) if mask is None else self.backbone(inputs, mask[0]))


def wrap(name, neck=None):
    neck = None if neck is None else build(MODELS, dict(MINIMAL[neck], type=neck))
    return Wrapped(build(MODELS, dict(MINIMAL[name], type=name)), neck).eval()


@pytest.mark.parametrize('name', ATTENTIVE)
def test_every_attention_of_every_backbone_is_recorded_with_the_weights_it_used(name):
    backbone = build(MODELS, dict(MINIMAL[name], type=name)).eval()
    layers, calls = find_attention(backbone), {}
    for key, layer in layers.items():
        layer.register_forward_hook(lambda layer, inputs, output, key=key: calls.update({key: (inputs[0], output)}))
    with torch.no_grad(), recorded_attention(backbone) as recorded:
        backbone(torch.randn(2, FRAMES, JOINTS, 3))
    assert list(recorded) == list(calls) and len(layers) == len(calls)
    for key, passes in recorded.items():
        inputs, output = calls[key]
        weights = iter(passes)

        def mix(tokens, layer=layers[key], weights=weights):
            value = layer.split(layer.qkv(tokens))[2]
            return (next(weights) @ value).transpose(1, 2).flatten(2)

        mixed = (attend_frames(mix, attend_joints(mix, inputs)) if isinstance(layers[key], SeriesAttention)
                 else mix(inputs))
        torch.testing.assert_close(layers[key].proj(mixed), output, atol=1e-6, rtol=1e-5)
        assert next(weights, None) is None


@pytest.mark.parametrize('scale', [None, 0.7])
def test_weights_are_those_of_the_fused_kernel_of_long_sequences(scale):
    layer = MultiHeadAttention(8, num_heads=2, qk_scale=scale).eval()
    tokens = torch.randn(2, 70, 8)
    with torch.no_grad(), recorded_attention(layer) as recorded:
        output = layer(tokens)
        value = layer.split(layer.qkv(tokens))[2]
        rebuilt = layer.proj((recorded[''][0] @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(rebuilt, output, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(recorded[''][0].sum(-1), torch.ones(2, 2, 70))


def test_nothing_is_recorded_outside_and_the_output_stays_the_same():
    layer = MultiHeadAttention(8, num_heads=2)
    tokens = torch.randn(2, 5, 8)
    before = layer(tokens)
    with recorded_attention(layer) as recorded:
        inside = layer(tokens)
    layer(tokens)
    assert torch.equal(before, inside) and len(recorded['']) == 1 and not layer.qkv._forward_hooks
    with pytest.raises(ZeroDivisionError), recorded_attention(layer):
        raise ZeroDivisionError
    assert not layer.qkv._forward_hooks


def test_modules_are_chosen_by_pattern():
    model = wrap('PSTMOEncoder', 'StridedReduction')
    assert list(find_attention(model, ['neck.*', '*.0.attn'])) == ['backbone.layers.0.attn', *(
        f'neck.transformer.layers.{number}.attn' for number in range(3))]
    with pytest.raises(ValueError, match=r"no attention layer fits heads\.\*; the model has backbone\.layers\.0\.attn"):
        find_attention(model, ['heads.*'])
    with pytest.raises(ValueError, match='TemporalConvNet has no attention layer'):
        find_attention(build(MODELS, dict(MINIMAL['TemporalConvNet'], type='TemporalConvNet')))


def test_tokens_of_the_reduction_are_the_frames_that_its_residuals_carry():
    maps = {each.name: each for each in attention_maps(wrap('PSTMOEncoder', 'StridedReduction'), make_batch())}
    tokens = [maps[f'neck.transformer.layers.{number}.attn'].tokens.tolist() for number in range(3)]
    assert tokens == [list(range(9)), list(range(9)), [0, 3, 6]]
    centred = Wrapped(build(MODELS, dict(MINIMAL['PSTMOEncoder'], type='PSTMOEncoder')),
                      build(MODELS, dict(MINIMAL['StridedReduction'], type='StridedReduction', centred=True))).eval()
    assert attention_maps(centred, make_batch())[-1].tokens.tolist() == [1, 4, 7]
    assert all(each.weights.shape == (1, 2, len(each.tokens), len(each.tokens)) for each in maps.values())


def test_the_encoder_attends_over_visible_frames_only():
    each, = attention_maps(wrap('PSTMOEncoder'), make_batch(HIDDEN))
    assert each.tokens.tolist() == [0, 3, 4, 6, 7] and each.weights.shape == (1, 2, 5, 5)
    assert (each.name, each.group, each.number) == ('backbone.layers.0.attn', 'backbone.layers', 0)


@pytest.mark.parametrize('num_frames', [FRAMES, JOINTS])
def test_joints_and_frames_are_told_apart_even_if_equally_many(num_frames):
    backbone = build(MODELS, dict(MINIMAL['DSTformer'], type='DSTformer', max_frames=num_frames))
    maps = attention_maps(Wrapped(backbone).eval(), make_batch(num_frames=num_frames))
    shapes = {each.group: (each.kind, each.weights.shape) for each in maps}
    assert shapes == {f'backbone.{stream}.{name}': (kind, shape) for stream in ('space_first', 'time_first')
                      for name, kind, shape in (('spatial', 'joints', (num_frames, 2, JOINTS, JOINTS)),
                                                ('temporal', 'frames', (JOINTS, 2, num_frames, num_frames)))}


def test_attention_in_series_gives_two_maps():
    joints, frames = attention_maps(wrap('SeriesAttentionTransformer'), make_batch())
    assert (joints.name, joints.weights.shape) == ('backbone.both.0.series.attn.joints', (9, 2, 17, 17))
    assert (frames.group, frames.weights.shape) == ('backbone.both.series.frames', (17, 2, 9, 9))


def test_weights_of_a_joint_are_found_under_its_number():
    # Joint 5 alone moves; the attention over frames of all others, which hold still, is even without positions.
    model = wrap('TimeSpaceTransformer')
    nn.init.zeros_(model.backbone.frame_embed)
    nn.init.normal_(model.backbone.time_first[0]['temporal'].attn.qkv.weight)
    batch = make_batch()
    still = torch.arange(JOINTS) != 5
    batch['inputs'][:, :, :, still] = batch['inputs'][:, :, :1, still]
    temporal = attention_maps(model, batch)[0]
    is_even = np.abs(temporal.weights - 1 / FRAMES).max(axis=(1, 2, 3)) < 1e-4
    assert np.flatnonzero(~is_even).tolist() == [5]


def test_several_windows_and_unknown_tokens_are_refused():
    model = wrap('PSTMOEncoder')
    batch = make_batch()
    with pytest.raises(ValueError, match=r'one window of one person.*got \(2, 1, 9, 17, 3\)'):
        attention_maps(model, dict(batch, inputs=batch['inputs'].repeat(2, 1, 1, 1, 1)))
    model.neck = nn.Sequential(nn.Flatten(1, 2), nn.ConstantPad1d((0, 0, 1, 0), 0.0), MultiHeadAttention(16))
    with pytest.raises(ValueError, match=r'neck\.2 attends over 10 tokens; expected 9, its frames, or 9'):
        attention_maps(model, batch)
    assert model.flip_test is True


def test_distance_and_entropy_of_known_weights():
    even, diagonal = np.full((4, 4), 0.25), np.eye(4)
    weights = np.stack([even, diagonal, diagonal[::-1]])[None].repeat(2, axis=0)
    places = np.array([0, 2, 4, 10])
    # Reversed: 0 and 10 look at each other, and so do 2 and 4.
    np.testing.assert_allclose(attention_distance(weights, places), [2 * (2 + 4 + 10 + 2 + 8 + 6) / 16, 0, 6])
    np.testing.assert_allclose(attention_entropy(weights), [np.log(4), 0, 0], atol=1e-12)


def test_summary_has_a_row_per_head_and_distances_of_frames_only():
    maps = attention_maps(wrap('SpaceTimeTransformer'), make_batch())
    spatial, temporal = (describe_attention(each, step=3) for each in maps)
    assert [row['head'] for row in temporal] == [1, 2] and temporal[0]['num_tokens'] == 9
    assert spatial[0]['distance'] == spatial[0]['even_distance'] == ''
    assert spatial[0]['even_entropy'] == pytest.approx(np.log(17)) and 0 < spatial[0]['entropy'] <= np.log(17) + 1e-6
    assert temporal[0]['even_distance'] == pytest.approx(3 * 80 / 27)  # mean of |i - j| is (n^2 - 1) / 3n
    assert temporal[0]['distance'] == pytest.approx(temporal[0]['even_distance'], rel=0.05)  # hardly trained
