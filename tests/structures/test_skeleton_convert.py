import itertools

import numpy as np
import pytest
import torch

from motionbert_mm.structures import Skeleton, convert, get_skeleton
from motionbert_mm.structures.skeleton_table import SKELETONS

ALL = sorted(SKELETONS)
PAIRS = list(itertools.product(ALL, ALL))
# Published index lists; a pair is the mean of two joints, None the mean of the result's root and thorax.
H36M_FROM = {
    'coco17': [(11, 12), 12, 14, 16, 11, 13, 15, None, (5, 6), 0, (1, 2), 5, 7, 9, 6, 8, 10],
    'halpe26': [19, 12, 14, 16, 11, 13, 15, (18, 19), 18, 0, 17, 5, 7, 9, 6, 8, 10],
    'body25': [8, 9, 10, 11, 12, 13, 14, (1, 8), 1, 0, (15, 16), 5, 6, 7, 2, 3, 4],
    'coco18': [(8, 11), 8, 9, 10, 11, 12, 13, None, 1, 0, (14, 15), 5, 6, 7, 2, 3, 4],
    'mpii16': [6, 2, 1, 0, 3, 4, 5, 7, 8, (8, 9), 9, 13, 14, 15, 12, 11, 10],
    'mpi_inf_3dhp17': [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4],
    'mpi_inf_3dhp28': [4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16],
    'posetrack18': [(11, 12), 12, 14, 16, 11, 13, 15, None, 1, 0, 2, 5, 7, 9, 6, 8, 10],
    'smpl24': [0, 2, 5, 8, 1, 4, 7, 6, 12, (12, 15), 15, 16, 18, 20, 17, 19, 21],
    'ntu25': [0, 16, 17, 18, 12, 13, 14, 1, 20, 2, 3, 4, 5, 6, 8, 9, 10],
}


def random_pose(skeleton, seed=0):
    return np.random.default_rng(seed).normal(size=(2, 5, get_skeleton(skeleton).num_joints, 3))


@pytest.mark.parametrize('source', sorted(H36M_FROM))
def test_h36m_follows_the_published_indices(source):
    pose = random_pose(source)
    rules = [np.atleast_1d(0 if rule is None else rule) for rule in H36M_FROM[source]]
    expected = np.stack([pose[..., rule, :].mean(-2) for rule in rules], -2)
    if None in H36M_FROM[source]:
        expected[..., 7, :] = expected[..., [0, 8], :].mean(-2)
    np.testing.assert_allclose(convert(pose, source, 'h36m').keypoints, expected, atol=1e-12)


@pytest.mark.parametrize('source', ALL)
def test_h36m16_is_h36m_without_joint_9(source):
    pose = random_pose(source)
    np.testing.assert_array_equal(convert(pose, source, 'h36m16').keypoints,
                                  np.delete(convert(pose, source, 'h36m').keypoints, 9, axis=-2))


def test_3dhp17_is_a_permutation_of_h36m():
    there = convert(random_pose('h36m'), 'h36m', 'mpi_inf_3dhp17')
    assert there.averaged == there.invented == ()
    indices = convert(np.arange(17.0)[:, None], 'h36m', 'mpi_inf_3dhp17').keypoints[:, 0]
    assert indices.tolist() == [10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 0, 7, 9]
    np.testing.assert_array_equal(convert(there.keypoints, 'mpi_inf_3dhp17', 'h36m').keypoints, random_pose('h36m'))


def test_3dhp17_is_the_published_subset_of_28():
    indices = convert(np.arange(28.0)[:, None], 'mpi_inf_3dhp28', 'mpi_inf_3dhp17').keypoints[:, 0]
    assert indices.tolist() == [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]


@pytest.mark.parametrize('middle', ['mpi_inf_3dhp28', 'ntu25', 'mpii16', 'smpl24'])
def test_the_way_back_restores_what_was_copied(middle):
    pose = random_pose('h36m')
    there = convert(pose, 'h36m', middle)
    back = convert(there.keypoints, middle, 'h36m')
    changed = ~np.isclose(back.keypoints, pose).all((0, 1, 3))
    assert {get_skeleton('h36m').joints[joint] for joint in np.flatnonzero(changed)} <= {'nose'}


@pytest.mark.parametrize('source, target', PAIRS)
def test_flip_commutes_with_conversion(source, target):
    pose = random_pose(source)
    flip_source, flip_target = (list(get_skeleton(name).flip_indices) for name in (source, target))
    flipped_first = convert(pose[..., flip_source, :], source, target).keypoints
    flipped_last = convert(pose, source, target).keypoints[..., flip_target, :]
    np.testing.assert_allclose(flipped_first, flipped_last, atol=1e-12)


@pytest.mark.parametrize('source, target', PAIRS)
def test_every_target_joint_is_reported_once_and_inside_the_source(source, target):
    result = convert(np.ones((1, get_skeleton(source).num_joints, 2)), source, target)
    np.testing.assert_allclose(result.keypoints, 1.0)  # weights sum to one
    assert sorted(result.copied + result.averaged + result.invented) == sorted(get_skeleton(target).joints)
    unsure = [get_skeleton(target).joints[joint] for joint in np.flatnonzero(result.confidence[0] == 0)]
    assert sorted(unsure) == sorted(result.invented)


@pytest.mark.parametrize('name', ALL)
def test_conversion_to_itself_is_the_identity(name):
    result = convert(random_pose(name), name, name)
    np.testing.assert_array_equal(result.keypoints, random_pose(name))
    assert result.copied == get_skeleton(name).joints


def test_report_of_coco_to_h36m():
    result = convert(random_pose('coco17'), 'coco17', 'h36m')
    assert result.averaged == ('root', 'spine', 'thorax', 'head')
    assert result.invented == ()
    assert 'nose' in result.copied


def test_mpii_has_no_nose():
    result = convert(random_pose('mpii16'), 'mpii16', 'h36m')
    assert result.invented == ('nose',)
    assert result.averaged == ()


def test_invented_joints_sit_on_their_nearest_known_ancestor():
    pose = random_pose('h36m')
    result = convert(pose, 'h36m', 'halpe26')
    halpe = get_skeleton('halpe26')
    assert 'left_ear' in result.invented and 'left_big_toe' in result.invented
    np.testing.assert_array_equal(result.keypoints[..., halpe.index('left_ear'), :], pose[..., 9, :])
    np.testing.assert_array_equal(result.keypoints[..., halpe.index('left_big_toe'), :], pose[..., 6, :])


def test_confidence_of_a_mean_is_the_minimum():
    confidence = np.random.default_rng(0).random((4, 17))
    result = convert(np.zeros((4, 17, 2)), 'coco17', 'h36m', confidence)
    np.testing.assert_array_equal(result.confidence[:, 0], confidence[:, [11, 12]].min(-1))
    np.testing.assert_array_equal(result.confidence[:, 7], confidence[:, [5, 6, 11, 12]].min(-1))


def test_a_missing_joint_hides_what_is_made_of_it_and_nan_does_not_spread():
    pose, confidence = random_pose('coco17'), np.ones((2, 5, 17))
    pose[..., 11, :], confidence[..., 11] = np.nan, 0.0
    result = convert(pose, 'coco17', 'h36m', confidence)
    touched = [0, 4, 7]  # root, left hip, spine
    assert np.flatnonzero(np.isnan(result.keypoints).any((0, 1, 3))).tolist() == touched
    assert np.flatnonzero((result.confidence == 0).all((0, 1))).tolist() == touched


def test_torch_gives_the_same_and_stays_torch():
    pose = random_pose('coco17').astype(np.float32)
    confidence = np.random.default_rng(1).random((2, 5, 17), dtype=np.float32)
    arrays = convert(pose, 'coco17', 'h36m', confidence)
    leaf = torch.from_numpy(pose).requires_grad_()
    tensors = convert(leaf, 'coco17', 'h36m', torch.from_numpy(confidence))
    assert tensors.keypoints.dtype == torch.float32 and arrays.keypoints.dtype == np.float32
    np.testing.assert_allclose(tensors.keypoints.detach().numpy(), arrays.keypoints, rtol=1e-6)
    np.testing.assert_array_equal(tensors.confidence.numpy(), arrays.confidence)
    tensors.keypoints.sum().backward()
    assert torch.isfinite(leaf.grad).all()


def test_wrong_joint_count_is_refused():
    with pytest.raises(ValueError, match=r"'coco17' keypoints have 17 joints.*\(4, 26, 2\)"):
        convert(np.zeros((4, 26, 2)), 'coco17', 'h36m')


def test_wrong_confidence_shape_is_refused():
    with pytest.raises(ValueError, match=r'confidence must have shape \(4, 17\).*got \(4, 17, 1\)'):
        convert(np.zeros((4, 17, 2)), 'coco17', 'h36m', np.zeros((4, 17, 1)))


def test_limb_joints_are_never_invented():
    upper = Skeleton('upper_body', ('nose', 'left_shoulder', 'right_shoulder'), (-1, 0, 0),
                     ('head', 'left_arm', 'right_arm'))
    with pytest.raises(ValueError, match="'upper_body' to 'h36m': 'root' cannot be derived"):
        convert(np.zeros((1, 3, 2)), upper, 'h36m')
