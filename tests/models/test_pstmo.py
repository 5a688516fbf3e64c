"""The encoder, the aggregator and the heads of P-STMO, one by one and joined."""
import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.geometry.coords import flip
from motionbert_mm.models.backbones.pstmo import PSTMOEncoder
from motionbert_mm.models.losses.keypoint import mpjpe
from motionbert_mm.models.necks import FrameToJoints, RestoreFrames, StridedReduction
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.skeleton import get_skeleton

FRAMES, JOINTS = 9, 17
ENCODER = dict(max_frames=FRAMES, dim=16, depth=2, num_heads=2, hidden_dim=24)
LOSSES = [dict(type='MPJPELoss')]
STAGE_1 = dict(type='MotionModel', backbone=dict(type='PSTMOEncoder', **ENCODER, has_joint_token=True),
               neck=dict(type='RestoreFrames', max_frames=FRAMES),
               heads=dict(masked=dict(type='MaskedPoseHead', depth=1, num_heads=2, losses=LOSSES)))
STAGE_2 = dict(type='MotionModel', backbone=dict(type='PSTMOEncoder', **ENCODER),
               neck=dict(type='StridedReduction', num_frames=FRAMES, num_heads=2), predicts=['centre'],
               heads=dict(frames=dict(type='FramePoseHead', source='frames', losses=LOSSES),
                          centre=dict(type='FramePoseHead', source='centre', centre=True, losses=LOSSES)))
MASKED = [dict(type='NormalizeCoords', target=None), dict(type='ReprojectionTarget', root_relative=False),
          dict(type='SampleExactMask', frame_ratio=0.5, num_joints=3),
          dict(type='PackInputs', fields=['target_2d', 'weight_2d', 'keypoints_2d'])]
LIFTED = [dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['target_3d', 'keypoints_3d'])]


def make(config, **changes):
    torch.manual_seed(0)
    model = build(MODELS, {**config, **changes}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def load(store, pipeline):
    dataset = MotionDataset(str(store), window=dict(kind='centre', num_frames=FRAMES), pipeline=pipeline)
    return collate_batch(dataset.__getitems__([0, 5, 40]))


@pytest.fixture
def inputs():
    return torch.randn(3, FRAMES, JOINTS, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def mask():
    """Four hidden frames a sample, and two hidden joints in the others."""
    generator = torch.Generator().manual_seed(2)
    frames = torch.rand(3, FRAMES, generator=generator).argsort(1) < 4
    joints = torch.rand(3, FRAMES, JOINTS, generator=generator).argsort(2) < 2
    return frames[..., None] | joints


@pytest.fixture
def encoder():
    return make(dict(type='PSTMOEncoder', **ENCODER, has_joint_token=True))


def test_what_is_hidden_cannot_be_known(encoder, inputs, mask):
    changed = torch.where(mask[..., None], torch.full_like(inputs, float('nan')), inputs)
    torch.testing.assert_close(encoder(changed, mask), encoder(inputs, mask), rtol=0, atol=0)


def test_hidden_frames_come_back_as_zeros_in_their_places(encoder, inputs, mask):
    features, is_hidden = encoder(inputs, mask)[:, :, 0], mask.all(-1)
    assert not features[is_hidden].any() and features[~is_hidden].any(-1).all()


def test_visible_frames_know_when_they_are(encoder, inputs, mask):
    """The same poses at other times give other features."""
    moved, moved_mask = inputs.roll(1, dims=1), mask.roll(1, dims=1)
    assert not torch.allclose(encoder(moved, moved_mask).roll(-1, dims=1), encoder(inputs, mask), atol=1e-2)


def test_a_hidden_joint_is_a_learned_one_or_zero(inputs, mask):
    learned, plain = make(dict(type='PSTMOEncoder', **ENCODER, has_joint_token=True)), make(
        dict(type='PSTMOEncoder', **ENCODER))
    one = mask & ~mask.all(-1, keepdim=True)
    for encoder, token in ((learned, learned.joint_token), (plain, torch.zeros(2))):
        replaced = torch.where(one[..., None], token, inputs[..., :2])
        torch.testing.assert_close(encoder(inputs, one), encoder(replaced), rtol=1e-5, atol=1e-5)


def test_the_confidence_is_read_only_with_three_channels(inputs):
    changed = torch.cat([inputs[..., :2], inputs[..., 2:] + 1], dim=-1)
    for channels, is_equal in ((2, True), (3, False)):
        encoder = make(dict(type='PSTMOEncoder', in_channels=channels, **ENCODER))
        assert torch.equal(encoder(inputs), encoder(changed)) is is_equal


def test_samples_that_hide_unequal_numbers_of_frames_are_refused(encoder, inputs, mask):
    mask[0] = False
    with pytest.raises(ValueError, match='equally many tokens.*SampleExactMask'):
        encoder(inputs, mask)


@pytest.mark.parametrize('is_seen', [True, False])
def test_hidden_frames_enter_the_statistics_as_told(inputs, mask, is_seen):
    encoder = make(dict(type='PSTMOEncoder', **ENCODER, hidden_in_statistics=is_seen)).train()
    encoder(torch.where(mask.all(-1)[..., None, None], inputs + 100.0, inputs), mask)
    assert bool(encoder.expand.norm.running_mean.abs().max() > 5) is is_seen


def test_layers_start_equal_as_do_their_maps():
    encoder = PSTMOEncoder(**ENCODER)
    first, second = (layer.state_dict() for layer in encoder.layers)
    assert all(torch.equal(first[key], second[key]) for key in first)
    query, key, value = first['attn.qkv.weight'].chunk(3)
    assert torch.equal(query, key) and torch.equal(query, value) and torch.equal(query, first['attn.proj.weight'])
    neck = StridedReduction(16, num_frames=9, num_heads=2)
    first, second = (layer.state_dict() for layer in neck.transformer.layers[:2])
    assert torch.equal(first['attn.qkv.weight'], second['attn.qkv.weight'])
    assert not torch.equal(first['fc.weight'], second['fc.weight'])


@pytest.mark.parametrize('options, words', [
    (dict(num_frames=10), r'got num_frames 10 and strides None; expected one of \[9, 27, 81, 243, 351\] frames'),
    (dict(num_frames=9, strides=(3, 2)), r'num_frames 9 and strides \(3, 2\)')])
def test_strides_that_do_not_end_at_one_frame_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        StridedReduction(16, **options)


@pytest.mark.parametrize('shape, words', [((2, 9, 17, 16), 'JointsToFrame'), ((2, 5, 1, 16), 'num_frames')])
def test_the_aggregator_refuses_other_layouts(shape, words):
    with pytest.raises(ValueError, match=f'frame tokens .N, 9, 1, D., got .*{words}'):
        StridedReduction(16, num_frames=9, num_heads=2)(torch.zeros(shape))


def test_splitting_frames_refuses_tokens_of_joints():
    with pytest.raises(ValueError, match='expects one token for every frame'):
        FrameToJoints(16)(torch.zeros(2, 9, 17, 16))


def test_the_decoder_reads_visible_features_only():
    torch.manual_seed(0)
    neck = RestoreFrames(16, out_channels=8, max_frames=FRAMES)
    features = torch.randn(2, FRAMES, 1, 16)
    mask = torch.zeros(2, FRAMES, JOINTS, dtype=torch.bool)
    mask[:, 3:6] = True
    mask[:, 0, 0] = True  # a hidden joint does not hide its frame
    hidden, first = features.clone(), features.clone()
    hidden[:, 3:6] = torch.randn(2, 3, 1, 16)
    first[:, 0] = torch.randn(2, 1, 16)
    torch.testing.assert_close(neck(hidden, mask), neck(features, mask), rtol=0, atol=0)
    assert not torch.allclose(neck(first, mask), neck(features, mask), atol=1e-3)
    assert not torch.allclose(neck(features, mask)[:, 3], neck(features, mask)[:, 4], atol=1e-3)


@pytest.mark.parametrize('part, words', [('RestoreFrames', 'at most 243 frames'), ('FramePoseHead', 'JointsToFrame'),
                                         ('MaskedPoseHead', 'JointsToFrame')])
def test_readers_of_frames_refuse_tokens_of_joints(part, words):
    with pytest.raises(ValueError, match=words):
        build(MODELS, dict(type=part, in_channels=16))(torch.zeros(2, 9, 17, 16))


def restore(model, batch, mask):
    return model.heads['masked'](model.neck(model.backbone(batch['inputs'].flatten(0, 1), mask), mask))


def test_stage_one_learns_hidden_and_visible_joints(tiny_store):
    batch, model = load(tiny_store, MASKED), make(STAGE_1)
    losses = model(**batch, mode='loss')
    samples = batch['data_samples']
    mask = samples.mask.flatten(0, 1)
    restored = restore(model, batch, mask)
    weight = samples.visible.flatten(0, 1).float()
    torch.testing.assert_close(losses, {'masked.loss_mpjpe': mpjpe(restored, samples.target_2d.flatten(0, 1), weight)})


def test_stage_one_predicts_pixels(tiny_store):
    batch, model = load(tiny_store, MASKED), make(STAGE_1)
    samples, mask = model(**batch, mode='predict'), batch['data_samples'].mask.flatten(0, 1)
    unit = restore(model, batch, mask)
    width, height = batch['data_samples'].metainfo['image_size'][0]
    expected = (unit[0] + torch.tensor([1.0, height / width])) * width / 2
    torch.testing.assert_close(samples[0].keypoints_2d[0], expected, rtol=1e-4, atol=1e-2)


def test_the_mask_is_mirrored_with_the_pose(tiny_store):
    """Mirroring poses, targets and mask of a batch mirrors what flip averaging predicts, exactly."""
    batch, model = load(tiny_store, MASKED), make(STAGE_1, flip_test=True)
    swap = list(get_skeleton('h36m').flip_indices)
    samples = batch['data_samples']
    mirrored = samples.clone()
    mirrored.mask = samples.mask[..., swap]
    turned = torch.from_numpy(flip(batch['inputs'].numpy(), swap))
    plain = model(**batch, mode='predict')
    again = model(turned, mirrored, mode='predict')
    for one, other, size in zip(plain, again, samples.metainfo['image_size']):
        expected = one.keypoints_2d[..., swap, :] * torch.tensor([-1.0, 1.0]) + torch.tensor([float(size[0]), 0.0])
        torch.testing.assert_close(other.keypoints_2d, expected, rtol=1e-4, atol=1e-2)


def test_stage_two_weighs_the_centre_and_all_frames(tiny_store):
    batch, model = load(tiny_store, LIFTED), make(STAGE_2)
    losses, features = model(**batch, mode='loss'), model(batch['inputs'])
    samples = batch['data_samples']
    target, weight = samples.target_3d.flatten(0, 1), samples.visible.flatten(0, 1).float()
    torch.testing.assert_close(losses, {
        'frames.loss_mpjpe': mpjpe(model.heads['frames'](features['frames']), target, weight),
        'centre.loss_mpjpe': mpjpe(model.heads['centre'](features['centre']), target[:, 4:5])})


def test_stage_two_predicts_the_centre_frame(tiny_store):
    batch, model = load(tiny_store, LIFTED), make(STAGE_2)
    for sample, frames in zip(model(**batch, mode='predict'), batch['data_samples'].metainfo['frame_ids']):
        assert sample.keypoints_3d.shape == (1, 1, 17, 3)
        np.testing.assert_array_equal(sample.frame_ids, frames[4:5])


def test_two_heads_of_one_field_have_to_be_chosen_from():
    with pytest.raises(ValueError, match='frames, centre some predict the centre frame and some all frames'):
        build(MODELS, {**STAGE_2, 'predicts': None})
    with pytest.raises(ValueError, match=r"predicts is \['middle'\], expected some of the heads \['frames', "):
        build(MODELS, {**STAGE_2, 'predicts': ['middle']})


def test_two_heads_that_predict_the_same_are_refused(tiny_store):
    heads = {name: dict(type='FramePoseHead') for name in ('one', 'two')}
    model = make(dict(type='MotionModel', backbone=STAGE_2['backbone'], heads=heads))
    with pytest.raises(ValueError, match='one, two all predict keypoints_3d; name one of them in model.predicts'):
        model(**load(tiny_store, LIFTED), mode='predict')


@pytest.mark.parametrize('neck, source, words', [
    (STAGE_2['neck'], 'middle', r"source='middle', but the neck gives \['frames', 'centre'\]"),
    (STAGE_2['neck'], None, r"source=None, but the neck gives \['frames', 'centre'\]"),
    (None, 'centre', "source='centre', but the neck gives None")])
def test_a_head_that_reads_what_is_not_there_is_refused(neck, source, words, tiny_store):
    config = dict(STAGE_2, neck=neck, predicts=None, heads=dict(pose=dict(type='FramePoseHead', source=source)))
    with pytest.raises(ValueError, match=words):
        make(config)(**load(tiny_store, LIFTED), mode='loss')


@pytest.mark.parametrize('backbone', ['DSTformer', 'TemporalConvNet'])
@pytest.mark.parametrize('stage', [STAGE_1, STAGE_2], ids=['masked', 'strided'])
def test_other_backbones_drive_both_stages(backbone, stage, tiny_store):
    sizes = dict(DSTformer=dict(max_frames=9, dim=16, depth=1, num_heads=2),
                 TemporalConvNet=dict(dim=4, channels=16, filter_widths=(3, 3)))
    necks = [dict(type='JointsToFrame', out_channels=16), stage['neck']]
    model = make(stage, backbone=dict(type=backbone, **sizes[backbone]), neck=necks)
    batch = load(tiny_store, MASKED if stage is STAGE_1 else LIFTED)
    total, _ = model.parse_losses(model(**batch, mode='loss'))
    total.backward()
    assert total > 0 and all(torch.isfinite(value).all() for sample in model(**batch, mode='predict')
                             for value in sample.values())
    assert not [key for key, value in model.named_parameters() if value.requires_grad and value.grad is None]
