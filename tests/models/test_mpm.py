"""MPM: two doors into one space, three tasks on one decoder input, and stage II from stage I."""
from types import SimpleNamespace

import pytest
import torch

from motionbert_mm.checkpoints.transfer import decoder_to_reduction
from motionbert_mm.engine.hooks import DecoderTransferHook
from motionbert_mm.models.backbones.mpm import MPMEncoder
from motionbert_mm.models.backbones.pstmo import PSTMOEncoder
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample

FRAMES, JOINTS, DIM = 9, 16, 16
SIZES = dict(max_frames=FRAMES, dim=DIM, depth=2, num_heads=2, hidden_dim=24)
LOSSES = [dict(type='MPJPELoss')]
HEAD = dict(num_joints=JOINTS, depth=1, num_heads=2, losses=LOSSES)
STAGE_1 = dict(type='MotionModel', skeleton='h36m16', backbone=dict(type='MPMEncoder', **SIZES),
               neck=dict(type='RestoreFrames', max_frames=FRAMES),
               heads=dict(pose_2d=dict(HEAD, type='MaskedPoseHead'), pose_3d=dict(HEAD, type='FramePoseHead')))
OUTPUT = dict(type='FramePoseHead', num_joints=JOINTS, losses=LOSSES)
STAGE_2 = dict(type='MotionModel', skeleton='h36m16', predicts=['centre'],
               backbone=dict(type='MPMEncoder', has_3d=False, has_joint_token=False, mlp_drop=0.2, **SIZES),
               neck=dict(type='StridedReduction', num_frames=FRAMES, strides=(3, 3), num_heads=2),
               heads=dict(frames=dict(OUTPUT, source='frames'), centre=dict(OUTPUT, source='centre', centre=True)))


def make(config, **changes):
    torch.manual_seed(0)
    model = build(MODELS, {**config, **changes}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def poses(channels, seed=1):
    return torch.randn(3, FRAMES, JOINTS, channels, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def mask():
    """Four hidden frames a sample, and five hidden joints in the others."""
    generator = torch.Generator().manual_seed(2)
    frames = torch.rand(3, FRAMES, generator=generator).argsort(1) < 4
    joints = torch.rand(3, FRAMES, JOINTS, generator=generator).argsort(2) < 5
    return frames[..., None] | joints


@pytest.fixture
def encoder():
    return make(dict(type='MPMEncoder', **SIZES))


def make_batch(task, mask=None):
    """A batch as the task's data set gives it."""
    points_2d, points_3d, ones = poses(2)[:, None], poses(3)[:, None], torch.ones(3, 1, FRAMES, JOINTS, 1)
    samples = MotionSample(metainfo=dict(skeleton='h36m16', sample_id=list('abc')))
    if task == 'm2m':
        samples.set_data(dict(target_2d=points_2d, weight_2d=ones[..., 0]))
    else:
        samples.set_data(dict(target_3d=points_3d))
    if mask is not None:
        samples.set_data(dict(mask=mask[:, None]))
    return torch.cat([points_3d if task == 'm3m' else points_2d, ones], dim=-1), samples


def test_the_channels_choose_the_door(encoder):
    points_2d, points_3d, ones = poses(2), poses(3), torch.ones(3, FRAMES, JOINTS, 1)
    for points, encode in ((points_2d, encoder.encode2d), (points_3d, encoder.encode3d)):
        features = encoder(torch.cat([points, ones], dim=-1))
        assert features.shape == (3, FRAMES, 1, DIM)
        torch.testing.assert_close(features, encode(points), rtol=0, atol=0)
        torch.testing.assert_close(encoder(torch.cat([points, 0 * ones], dim=-1)), features, rtol=0, atol=0)


def test_the_way_of_2d_is_that_of_pstmo(encoder, mask):
    other = PSTMOEncoder(num_joints=JOINTS, has_joint_token=True, **SIZES).eval()
    missing, unexpected = other.load_state_dict(encoder.state_dict(), strict=False)
    assert not missing and {key.split('.')[0] for key in unexpected} == {'expand_3d', 'joint_token_3d'}
    torch.testing.assert_close(encoder.encode2d(poses(2), mask), other(poses(2), mask), rtol=0, atol=0)


@pytest.mark.parametrize('channels', [2, 3])
def test_what_is_hidden_cannot_be_known(encoder, mask, channels):
    points, encode = poses(channels), (encoder.encode2d if channels == 2 else encoder.encode3d)
    changed = torch.where(mask[..., None], torch.full_like(points, float('nan')), points)
    torch.testing.assert_close(encode(changed, mask), encode(points, mask), rtol=0, atol=0)


def test_an_encoder_without_3d_refuses_it():
    encoder = MPMEncoder(has_3d=False, **SIZES)
    with pytest.raises(ValueError, match='reads 2D poses only; set backbone.has_3d=True'):
        encoder(poses(4))


def test_other_joints_are_refused(encoder):
    with pytest.raises(ValueError, match=r'built for inputs \(N, T, 16, 3\), got \(3, 9, 15, 3\)'):
        encoder(poses(4)[:, :, :15])


@pytest.mark.parametrize('task, learned, idle', [('m2m', 'pose_2d', 'pose_3d'), ('m3m', 'pose_3d', 'pose_2d'),
                                                 ('m2l', 'pose_3d', 'pose_2d')])
@pytest.mark.parametrize('is_masked', [True, False])
def test_a_task_trains_its_head_and_reaches_every_parameter(task, learned, idle, is_masked, mask):
    model = make(STAGE_1).train()
    losses = model.loss(*make_batch(task, mask if is_masked else None))
    assert losses[f'{learned}.loss_mpjpe'] > 0 and f'{idle}.loss_mpjpe' not in losses
    sum(losses.values()).backward()
    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    assert not [key for key, value in trained.items() if value.grad is None]  # what distributed training asks for
    door, other = ('expand_3d', 'expand') if task == 'm3m' else ('expand', 'expand_3d')
    assert trained[f'backbone.{door}.fc.weight'].grad.any() and not trained[f'backbone.{other}.fc.weight'].grad.any()
    assert trained[f'heads.{learned}.output.fc.weight'].grad.any()
    assert not trained[f'heads.{idle}.output.fc.weight'].grad.any()


def test_both_decoders_read_the_same_tokens(mask):
    """Restoring and lifting a masked 2D pose are one pass (official: the lifting pass returns both)."""
    model = make(STAGE_1)
    features = model.extract_features(torch.cat([poses(2), poses(1)], dim=-1)[:, None], mask)
    outputs = model.run_heads(features)
    assert outputs['pose_2d'].shape == (3, FRAMES, JOINTS, 2) and outputs['pose_3d'].shape == (3, FRAMES, JOINTS, 3)
    expected = model.heads['pose_3d'](model.neck(model.backbone.encode2d(poses(2), mask), mask))
    torch.testing.assert_close(outputs['pose_3d'], expected, rtol=0, atol=0)


def test_the_strided_transformer_starts_as_the_decoder():
    """The first strided layer is the decoder's layer, of whose tokens every third is kept."""
    first, second = make(STAGE_1), make(STAGE_2)
    weights = decoder_to_reduction(first.state_dict(), head='pose_3d', width=3)
    missing, unexpected = second.load_state_dict(weights, strict=False)
    assert not unexpected and 'neck.transformer.layers.0.conv.weight' not in missing
    tokens = torch.randn(3, FRAMES, DIM)
    decoded = first.heads['pose_3d'].output.layers[0](tokens)
    torch.testing.assert_close(second.neck.transformer.layers[0](tokens), decoded[:, ::3], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(second.neck.transformer.positions[0], first.neck.frame_embed, rtol=0, atol=0)
    torch.testing.assert_close(second.heads['centre'].output.fc.weight, first.heads['pose_3d'].output.fc.weight)


def make_runner(model, messages):
    return SimpleNamespace(model=model, logger=SimpleNamespace(info=messages.append))


def test_stage_two_takes_all_of_stage_one_that_it_has(mask):
    first, second, messages = make(STAGE_1), make(STAGE_2), []
    checkpoint = dict(state_dict=first.state_dict())
    DecoderTransferHook().after_load_checkpoint(make_runner(second, messages), checkpoint)
    missing, _ = second.load_state_dict(checkpoint['state_dict'], strict=False)
    assert messages and 'start from the decoder of pose_3d' in messages[0]
    assert not [key for key in missing if key.startswith(('backbone.', 'neck.transformer.layers.0.', 'heads.centre.'))]


def test_a_checkpoint_of_stage_two_is_left_alone():
    second, messages = make(STAGE_2), []
    checkpoint = dict(state_dict=second.state_dict())
    before = dict(checkpoint['state_dict'])
    DecoderTransferHook().after_load_checkpoint(make_runner(second, messages), checkpoint)
    assert not messages and checkpoint['state_dict'].keys() == before.keys()


def test_a_checkpoint_without_the_decoder_is_refused():
    state = {key: value for key, value in make(STAGE_1).state_dict().items() if 'pose_3d' not in key}
    with pytest.raises(ValueError, match=r"no decoder of a head 'pose_3d' behind .*; its heads are \['pose_2d'\]"):
        DecoderTransferHook().after_load_checkpoint(make_runner(make(STAGE_2), []), dict(state_dict=state))


def test_a_model_without_a_strided_transformer_is_refused():
    with pytest.raises(TypeError, match='starts a StridedReduction, but model.neck is RestoreFrames'):
        DecoderTransferHook().after_load_checkpoint(make_runner(make(STAGE_1), []), dict(state_dict={}))
