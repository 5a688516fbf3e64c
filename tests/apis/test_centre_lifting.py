"""Lifting by models that predict the centre frame of a window."""
import copy

import numpy as np
import pytest
import torch

from motionbert_mm.apis.inference import Lifter
from motionbert_mm.registry import MODELS, build
from tests.io.body import walk_2d

SIZE = (1000, 1000)
NUM_FRAMES = 9
NORMALIZE = [dict(type='NormalizeCoords')]
PSTMO = dict(
    type='MotionModel',
    backbone=dict(type='PSTMOEncoder', max_frames=NUM_FRAMES, dim=16, depth=2, num_heads=2, hidden_dim=24),
    neck=dict(type='StridedReduction', num_frames=NUM_FRAMES, num_heads=2),
    heads=dict(frames=dict(type='FramePoseHead', source='frames'),
               centre=dict(type='FramePoseHead', source='centre', centre=True)),
    predicts=['centre'])
DSTFORMER = dict(PSTMO, backbone=dict(type='DSTformer', max_frames=NUM_FRAMES, dim=8, depth=1, num_heads=2),
                 neck=[dict(type='JointsToFrame', out_channels=16), PSTMO['neck']])


def make_model(config=PSTMO):
    """A model in evaluation mode whose batch norms have seen something."""
    torch.manual_seed(0)
    model = build(MODELS, copy.deepcopy(config)).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def make_lifter(config=PSTMO, *, transforms=NORMALIZE, dilation=1):
    return Lifter(make_model(config), skeleton='h36m', num_frames=NUM_FRAMES, transforms=transforms, dilation=dilation)


def lift(lifter, length, **options):
    return lifter.lift(walk_2d('h36m', length), skeleton='h36m', image_size=SIZE, **options).keypoints_3d


def assert_equal_motion(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize('dilation', [1, 2])
@pytest.mark.parametrize('length', [1, 4, 9, 40])
@pytest.mark.parametrize('flip_test', [True, False])
def test_shared_frames_give_what_windows_one_by_one_give(length, dilation, flip_test):
    lifter = make_lifter(dilation=dilation)
    expected = lift(lifter, length, batch_size=1, share_frames=False, flip_test=flip_test)
    shared = lift(lifter, length, batch_size=7, flip_test=flip_test)
    assert shared.shape == (length, 17, 3)
    assert np.abs(expected).max() > 10
    assert_equal_motion(shared, expected)
    assert_equal_motion(lift(lifter, length, batch_size=7, share_frames=False, flip_test=flip_test), expected)


@pytest.mark.parametrize('share_frames', [True, False])
def test_a_window_lies_around_every_frame_and_repeats_the_ends(share_frames):
    lifter, points = make_lifter(dilation=2), walk_2d('h36m', 12)
    motion = lift(lifter, 12, flip_test=False, share_frames=share_frames)
    inputs = np.concatenate([points / 500 - 1, np.ones((12, 17, 1))], -1).astype(np.float32)
    for centre in (0, 5, 11):
        window = np.clip(centre + 2 * np.arange(-4, 5), 0, 11)
        features = lifter.model(torch.from_numpy(inputs[window])[None, None])
        pose = lifter.model.heads.centre(features['centre']).detach().numpy()[0, 0] * 1000
        assert_equal_motion(motion[centre, 1:], pose[1:])


@pytest.mark.parametrize('flip_test', [True, False])
def test_single_frames_are_embedded_once(flip_test):
    lifter, frames = make_lifter(), []
    lifter.model.backbone.expand.register_forward_hook(lambda _, inputs, __: frames.append(inputs[0].shape[:2].numel()))
    lift(lifter, 40, flip_test=flip_test, batch_size=8)
    assert sum(frames) == 40 * (1 + flip_test)
    frames.clear()
    lift(lifter, 40, flip_test=flip_test, batch_size=8, share_frames=False)
    assert sum(frames) == 40 * NUM_FRAMES * (1 + flip_test)


def test_long_sequences_are_embedded_in_blocks(monkeypatch):
    lifter = make_lifter()
    expected = lift(lifter, 40)
    monkeypatch.setattr('motionbert_mm.apis.inference.BLOCK', 11)
    assert_equal_motion(lift(lifter, 40), expected)


def test_mirroring_is_asked_for_and_the_model_left_as_it_was():
    lifter = make_lifter()
    plain, averaged = lift(lifter, 12, flip_test=False), lift(lifter, 12)
    assert np.abs(plain - averaged).max() > 1
    assert lifter.model.flip_test is False


@pytest.mark.parametrize('config, transforms', [
    (DSTFORMER, NORMALIZE), (PSTMO, [dict(type='NormalizeCoords', inputs='crop_scale')])],
    ids=['another backbone', 'inputs that depend on the window'])
def test_what_cannot_be_shared_is_lifted_window_by_window(config, transforms):
    lifter = make_lifter(config, transforms=transforms)
    assert lifter.predicts_centre
    assert not lifter.shares_frames
    motion = lift(lifter, 12, batch_size=5)
    assert motion.shape == (12, 17, 3)
    assert_equal_motion(motion, lift(lifter, 12, batch_size=1))


def test_the_head_of_all_frames_is_blended_as_that_of_any_model():
    lifter = make_lifter(dict(PSTMO, predicts=['frames']))
    assert not lifter.predicts_centre
    assert not lifter.shares_frames
    seen = []
    motion = lift(lifter, 40, progress=lambda batches: seen.extend(batches) or batches, batch_size=4)
    assert motion.shape == (40, 17, 3)
    assert seen == [0, 4, 8]  # 9 windows, every 4 frames


def test_progress_wraps_the_batches_of_one_window_per_frame():
    seen = []
    lift(make_lifter(), 40, batch_size=16, progress=lambda batches: seen.extend(batches) or batches)
    assert seen == [0, 16, 32]


def test_predicted_windows_carry_the_number_of_their_centre_frame():
    lifter = make_lifter()
    samples = []
    predict = lifter.model.predict_windows
    lifter.model.predict_windows = lambda *arguments: samples.extend(predict(*arguments)) or samples[-5:]
    lift(lifter, 10, batch_size=5)
    assert [sample.frame_ids.tolist() for sample in samples] == [[frame] for frame in range(10)]
    assert all(sample.flip_test is True for sample in samples)


@pytest.mark.parametrize('stated, asked, expected', [(2, None, 2), (2, 1, 1), (None, None, 1)])
def test_the_checkpoint_brings_window_and_dilation(tmp_path, stated, asked, expected):
    model = make_model()
    window = dict(num_frames=NUM_FRAMES, kind='centre', **(dict(dilation=stated) if stated else {}))
    description = dict(model=PSTMO, window=window, pipeline=[*NORMALIZE, dict(type='PackInputs')])
    torch.save(dict(meta=dict(motionbert_mm=description), state_dict=model.state_dict()), tmp_path / 'a.pth')
    loaded = Lifter.from_checkpoint(tmp_path / 'a.pth', 'cpu', dilation=asked)
    assert (loaded.num_frames, loaded.dilation) == (NUM_FRAMES, expected)
    assert loaded.shares_frames
    np.testing.assert_array_equal(lift(loaded, 15), lift(make_lifter(dilation=expected), 15))


def test_dilation_must_be_positive():
    with pytest.raises(ValueError, match='dilation must be at least 1, got 0'):
        make_lifter(dilation=0)


def test_a_model_that_does_not_lift_is_refused():
    masked = dict(type='MotionModel', backbone=dict(PSTMO['backbone'], has_joint_token=True),
                  neck=dict(type='RestoreFrames', max_frames=NUM_FRAMES),
                  heads=dict(masked=dict(type='MaskedPoseHead', depth=1, num_heads=2)))
    with pytest.raises(ValueError, match='the model predicts .*keypoints_2d.*, expected keypoints_3d'):
        lift(make_lifter(masked), 12)
