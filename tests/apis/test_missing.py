"""Lifting where joints are missing: NaN or confidence 0 in the 2D input."""
import numpy as np
import pytest
import torch

from motionbert_mm.apis.inference import Lifter
from motionbert_mm.apis.missing import complete_input, describe_filled
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.skeleton import get_skeleton
from tests.apis.test_centre_lifting import PSTMO, make_model
from tests.apis.test_inference import NORMALIZE, SIZE, Ramp
from tests.generated import TINY_MODEL
from tests.io.body import walk_2d

FRAMES, JOINTS, WRIST, ELBOW = 9, 17, 13, 12
H36M = get_skeleton('h36m')
# Stage I of MPM: a learned joint stands for hidden ones, a learned frame for hidden frames.
MASKED = dict(
    type='MotionModel',
    backbone=dict(type='MPMEncoder', num_joints=JOINTS, max_frames=FRAMES, dim=16, depth=1, num_heads=2, hidden_dim=24),
    neck=dict(type='RestoreFrames', max_frames=FRAMES),
    heads=dict(pose_3d=dict(type='FramePoseHead', depth=1, num_heads=2)))
# A centre-frame model with a learned joint.
CENTRE = dict(PSTMO, backbone=dict(PSTMO['backbone'], has_joint_token=True))


def make_lifter(config, *, is_made_for_missing=True):
    return Lifter(make_model(config), skeleton='h36m', num_frames=FRAMES, transforms=NORMALIZE,
                  is_made_for_missing=is_made_for_missing)


def lift(lifter, points, confidence=None, *, skeleton='h36m', **options):
    return lifter.lift(points, confidence, skeleton=skeleton, image_size=SIZE, **options)


def walk_with(holes, length):
    """A walk whose joints are NaN at holes, pairs of what indexes frames and joints; and the mask of the holes."""
    mask = np.zeros((length, JOINTS), bool)
    for frames, joints in holes:
        mask[frames, joints] = True
    return np.where(mask[..., None], np.float32(np.nan), walk_2d('h36m', length)), mask


def predict(model, points, mask, windows, flip_test):
    """What the model says about windows (K, T) of a masked sequence, as in testing: (K, T', J, 3) mm from the root."""
    shown = np.where(mask[..., None], 0, points) / 500 - 1
    inputs = np.concatenate([shown, np.ones((*mask.shape, 1))], -1).astype(np.float32)
    norm = dict(target='root_relative', root=np.zeros(len(windows), int), scale=np.full(len(windows), 1000.0))
    batch = collate_batch(dict(inputs=inputs[windows][:, None], fields=dict(mask=mask[windows][:, None]),
                               metainfo=dict(skeleton='h36m', frame_ids=windows, norm=norm)))
    model.flip_test = flip_test
    with torch.no_grad():
        return torch.stack([sample.keypoints_3d[0] for sample in model.test_step(batch)]).numpy()


HOLES = [(slice(2, 6), WRIST), (4, [ELBOW, 0, 3]), (slice(None), 10)]


@pytest.mark.parametrize('flip_test', [True, False])
def test_the_model_is_told_which_joints_are_hidden(flip_test):
    lifter = make_lifter(MASKED)
    points, mask = walk_with(HOLES, FRAMES)
    result = lift(lifter, points, flip_test=flip_test)
    expected = predict(lifter.model, points, mask, np.arange(FRAMES)[None], flip_test)[0]
    np.testing.assert_allclose(result.keypoints_3d, expected, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(result.filled, mask)
    np.testing.assert_array_equal(result.hidden, mask)
    np.testing.assert_array_equal(result.confidence == 0, mask)
    assert result.notes == ()
    assert np.abs(lift(lifter, walk_2d('h36m', FRAMES), flip_test=flip_test).keypoints_3d - expected).max() > 1


@pytest.mark.parametrize('flip_test', [True, False])
def test_a_model_of_the_centre_frame_is_told_too(flip_test):
    lifter = make_lifter(CENTRE)
    points, mask = walk_with(HOLES[:2], 20)
    windows = np.clip(np.arange(20)[:, None] + np.arange(-4, 5), 0, 19)
    expected = predict(lifter.model, points, mask, windows, flip_test)[:, 0]
    motion = lift(lifter, points, flip_test=flip_test, batch_size=3).keypoints_3d
    np.testing.assert_allclose(motion, expected, rtol=0, atol=1e-3)


def test_only_windows_that_see_everything_share_the_work_on_frames():
    lifter, shared = make_lifter(CENTRE), []
    points, _ = walk_with(HOLES[:2], 40)
    expected = lift(lifter, points, share_frames=False, batch_size=4).keypoints_3d
    plain = lifter.model.predict_windows
    lifter.model.predict_windows = lambda *arguments: shared.append(len(arguments[1])) or plain(*arguments)
    np.testing.assert_allclose(lift(lifter, points, batch_size=4).keypoints_3d, expected, atol=1e-2)
    assert sum(shared) == 28  # from frame 12: windows around frames up to 9 reach frame 5, in batches of 4
    shared.clear()
    never, _ = walk_with([(slice(None), WRIST)], 40)
    lift(lifter, never, batch_size=4)
    assert not shared


@pytest.mark.parametrize('config', [MASKED, CENTRE, TINY_MODEL], ids=['masked', 'centre', 'DSTformer'])
@pytest.mark.parametrize('missing', ['model', 'interpolate'])
def test_nan_and_confidence_zero_mean_the_same(config, missing):
    lifter = make_lifter(config)
    points, mask = walk_with([*HOLES, (7, slice(None))], 14)
    expected = lift(lifter, points, missing=missing)
    assert np.isfinite(expected.keypoints_3d).all()
    shown, ones = walk_2d('h36m', 14), np.ones(mask.shape)
    for keypoints, confidence in ((shown, np.where(mask, 0, ones)), (shown, np.where(mask, np.nan, ones)),
                                  (np.where(mask[..., None], 7.0, shown), np.where(mask, 0, ones))):
        result = lift(lifter, keypoints, confidence, missing=missing)
        for name in ('keypoints_3d', 'confidence', 'filled', 'hidden'):
            np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))


@pytest.mark.parametrize('config', [MASKED, CENTRE])
def test_holes_are_mirrored_with_the_pose(config):
    lifter, flip = make_lifter(config), list(H36M.flip_indices)
    points, _ = walk_with([(slice(3, 11), [WRIST, ELBOW, 1]), (slice(None), 5)], 15)
    plain = lift(lifter, points).keypoints_3d
    other = lift(lifter, points[:, flip] * [-1, 1] + [1000, 0]).keypoints_3d
    np.testing.assert_allclose(other[:, flip] * [-1, 1, 1], plain, atol=1e-2)


# --- Interpolation ---


def drift(length=20):
    """A pose that moves and grows linearly, so that interpolation is exact."""
    pose, time = walk_2d('h36m', 1)[0], np.arange(length)[:, None, None]
    return (pose + time * (0.02 * (pose - 500) + [3.0, 1.0])).astype(np.float32)


def test_interpolation_of_a_linear_motion_is_exact():
    lifter = Lifter(Ramp(), skeleton='h36m', num_frames=FRAMES, transforms=NORMALIZE)
    points, mask = drift(), np.zeros((20, JOINTS), bool)
    mask[3:9, [WRIST, 0]] = mask[12] = True
    result = lift(lifter, np.where(mask[..., None], np.nan, points))
    for (_, inputs), frames in zip(lifter.model.calls, lifter.model.frames):
        np.testing.assert_allclose(inputs[:, 0, ..., :2].numpy(), points[frames] / 500 - 1, atol=1e-6)
        np.testing.assert_array_equal(inputs[:, 0, ..., 2].numpy(), ~mask[frames])
    np.testing.assert_array_equal(result.filled, mask)
    assert not result.hidden.any() and result.notes == ()


def test_a_joint_that_was_never_seen_is_zero_and_said_to_be_a_guess():
    lifter = make_lifter(TINY_MODEL, is_made_for_missing=False)
    points, mask = walk_with([(slice(None), WRIST), (3, ELBOW)], FRAMES)
    result = lift(lifter, points, flip_test=False)
    filled = points.copy()
    filled[3, ELBOW] = points[[2, 4], ELBOW].mean(0)
    inputs = np.concatenate([filled / 500 - 1, ~mask[..., None]], -1).astype(np.float32)
    inputs[:, WRIST] = 0
    features = lifter.model(torch.from_numpy(inputs)[None, None])
    pose = lifter.model.heads.pose(features).detach().numpy()[0] * 1000
    np.testing.assert_allclose(result.keypoints_3d[:, 1:], pose[:, 1:], rtol=0, atol=1e-3)
    assert result.hidden[:, WRIST].all() and result.hidden.sum() == FRAMES and result.filled.sum() == FRAMES + 1
    assert result.notes == ('hidden from a model that was not trained with hidden joints: left_wrist; what it says '
                            'about them is a guess',)


def test_a_hip_is_interpolated_before_the_root_is_made_of_it():
    points, confidence = walk_2d('coco17', 6), np.ones((6, 17), np.float32)
    confidence[2, 11] = confidence[4, 15] = 0  # left hip and ankle
    given = complete_input(points, confidence, 'coco17', H36M, by_model=False)
    hip = points[[1, 3], 11].mean(0)
    np.testing.assert_allclose(given.source.keypoints[2, 0], (hip + points[2, 12]) / 2, rtol=1e-6)
    filled = {(frame, H36M.joints[joint]) for frame, joint in np.argwhere(given.filled)}
    assert filled == {(2, 'left_hip'), (2, 'root'), (2, 'spine'), (4, 'left_ankle')}


def test_a_mean_of_joints_that_were_seen_in_turns_is_interpolated():
    confidence = np.ones((6, 17), np.float32)
    confidence[::2, 11] = confidence[1::2, 12] = 0  # the hips
    given = complete_input(walk_2d('coco17', 6), confidence, 'coco17', H36M, by_model=False)
    assert given.filled[:, H36M.root].all() and not given.hidden.any()


@pytest.mark.parametrize('by_model', [True, False])
def test_joints_that_the_input_never_has_are_not_filled(by_model):
    confidence = np.ones((6, 16), np.float32)
    confidence[2] = confidence[:, 11] = 0
    given = complete_input(walk_2d('h36m16', 6), confidence, 'h36m16', H36M, by_model=by_model)
    nose = H36M.index('nose')
    assert given.source.invented == ('nose',) and np.isfinite(given.source.keypoints).all()
    assert not given.filled[:, nose].any() and given.filled[2].sum() == JOINTS - 1


# --- Frames without any joint ---


def test_frames_without_any_joint_are_interpolated_where_joints_were_seen_on_both_sides():
    points, mask = walk_with([(slice(5, 8), slice(None)), (slice(3, 10), WRIST), (slice(0, 5), ELBOW)], 12)
    given = complete_input(np.nan_to_num(points), (~mask).astype(np.float32), 'h36m', H36M, by_model=True)
    hidden = mask.copy()
    hidden[5:8] = False
    hidden[5:8, [WRIST, ELBOW]] = True  # the wrist on neither side, the elbow on one
    np.testing.assert_array_equal(given.hidden, hidden)
    np.testing.assert_array_equal(given.filled, mask)


def test_missing_frames_at_the_ends_are_filled_and_nothing_else_is_known_of_a_frame_needs_all_joints():
    points, mask = walk_with([(slice(0, 3), slice(None)), (slice(5, 7), slice(None))], 9)
    mask[3:5, :9] = mask[7:, 9:] = True
    given = complete_input(np.nan_to_num(points), (~mask).astype(np.float32), 'h36m', H36M, by_model=True)
    assert given.hidden[:3, :9].all() and not given.hidden[:3, 9:].any()  # as in frame 3
    assert not given.hidden[5:7].any()  # nothing was seen on both sides


@pytest.mark.parametrize('config', [MASKED, CENTRE])
def test_windows_may_have_different_numbers_of_missing_frames(config):
    lifter = make_lifter(config)
    points, mask = walk_with([(slice(6, 9), slice(None)), (15, slice(None)), (slice(2, 12), WRIST)], 30)
    result = lift(lifter, points)
    assert np.isfinite(result.keypoints_3d).all()
    assert not result.hidden[15].any() and result.hidden[7].sum() == 1 and result.filled[7].all()
    np.testing.assert_allclose(lift(lifter, points, batch_size=1).keypoints_3d, result.keypoints_3d, atol=1e-2)


@pytest.mark.parametrize('seen', [1, 4, 5])
def test_a_person_missing_in_most_frames_is_said_to_be(seen):
    points, _ = walk_with([(slice(seen, None), slice(None))], 10)
    result = lift(make_lifter(TINY_MODEL, is_made_for_missing=False), points)
    said = [note for note in result.notes if 'missing in most frames' in note]
    assert len(said) == (seen < 5) and all(f'{10 - seen} of 10' in note for note in said)


# --- Which models are made for it ---


@pytest.mark.parametrize('config, masks, expected', [
    (TINY_MODEL, None, False), (TINY_MODEL, [], False), (TINY_MODEL, [dict(type='SampleMask')], True),
    (TINY_MODEL, [dict(type='SampleMask', joint_ratio=0.0)], False),
    (TINY_MODEL, [dict(type='motionbert_mm.SampleJointGroups', groups=['left_arm'])], True),
    (MASKED, None, True), (MASKED, [], True), (MASKED, [dict(type='SampleExactMask', num_joints=0)], False),
    (MASKED, [dict(type='SampleExactMask', num_joints=0), dict(type='SampleExactMask')], True)])
def test_a_checkpoint_says_whether_its_model_knows_hidden_joints(tmp_path, config, masks, expected):
    description = dict(model=config, window=dict(num_frames=FRAMES), pipeline=NORMALIZE)
    description.update({} if masks is None else dict(trained_mask=masks))
    torch.save(dict(meta=dict(motionbert_mm=description), state_dict=build(MODELS, config).state_dict()),
               tmp_path / 'a.pth')
    lifter = Lifter.from_checkpoint(tmp_path / 'a.pth', 'cpu')
    assert lifter.is_made_for_missing is expected
    points, mask = walk_with([(2, WRIST)], FRAMES)
    np.testing.assert_array_equal(lift(lifter, points).hidden, mask & expected)
    np.testing.assert_array_equal(lift(lifter, points, missing='model').hidden, mask)
    assert not lift(lifter, points, missing='interpolate').hidden.any()


def test_masks_of_a_test_pipeline_count_where_those_of_training_are_unknown(tmp_path):
    description = dict(model=TINY_MODEL, window=dict(num_frames=FRAMES),
                       pipeline=[*NORMALIZE, dict(type='SampleMask', joint_ratio=0.0, frame_ratio=0.0)])
    for pipeline, expected in ((description['pipeline'], False), ([*NORMALIZE, dict(type='SampleMask')], True)):
        meta = dict(motionbert_mm=dict(description, pipeline=pipeline))
        torch.save(dict(meta=meta, state_dict=build(MODELS, TINY_MODEL).state_dict()), tmp_path / 'a.pth')
        assert Lifter.from_checkpoint(tmp_path / 'a.pth', 'cpu').is_made_for_missing is expected


def test_a_model_that_completes_3d_poses_is_refused(tmp_path):
    description = dict(model=MASKED, window=dict(num_frames=FRAMES), pipeline=[*NORMALIZE, dict(type='Take3DInputs')])
    torch.save(dict(meta=dict(motionbert_mm=description), state_dict=build(MODELS, MASKED).state_dict()),
               tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='a.pth is of a model that completes 3D poses'):
        Lifter.from_checkpoint(tmp_path / 'a.pth', 'cpu')


@pytest.mark.parametrize('change, message', [
    (dict(missing='guess'), "missing is 'guess', expected one of auto, model, interpolate"),
    (dict(points=np.full((9, 17, 2), np.inf)), 'hold infinity'),
    (dict(confidence=np.full((9, 17), -np.inf)), 'hold infinity'),
    (dict(points=np.full((9, 17, 2), np.nan)), 'nothing was seen: every joint is NaN or has confidence 0'),
    (dict(confidence=np.zeros((9, 17))), 'nothing was seen')])
def test_what_cannot_be_filled_is_refused(change, message):
    lifter = make_lifter(TINY_MODEL)
    with pytest.raises(ValueError, match=message):
        lift(lifter, **{'points': walk_2d('h36m', 9), **change})


def test_joints_that_the_model_does_not_read_are_not_enough():
    confidence = np.zeros((4, 26), np.float32)
    confidence[:, get_skeleton('halpe26').index('left_heel')] = 1
    with pytest.raises(ValueError, match='no joint from which one of the h36m joints of the model follows was seen'):
        complete_input(walk_2d('halpe26', 4), confidence, 'halpe26', H36M, by_model=True)


def test_what_was_filled_is_said_by_joint():
    filled, hidden = np.zeros((2, 5, 3), bool)
    filled[1:4, :2] = filled[0, 2] = hidden[1:3, :2] = True
    assert describe_filled(filled, hidden, ['knee', 'ankle', 'toe']) == [
        'knee, ankle: 2 by the model and 1 by interpolation, of 5 frames', 'toe: 1 by interpolation, of 5 frames']
    whole = np.repeat(filled[:, :1], 3, axis=1)
    assert describe_filled(whole, whole & False, ['knee', 'ankle', 'toe']) == [
        'all joints: 3 by interpolation, of 5 frames']
    assert describe_filled(filled & False, hidden & False, ['knee', 'ankle', 'toe']) == []
