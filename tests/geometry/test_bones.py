import numpy as np
import pytest
import torch

from motionbert_mm.geometry.bones import bone_lengths, bone_vectors, limb_angles
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.structures import get_skeleton

LIMBS = get_skeleton('h36m').limbs
CHAIN = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0], [3.0, 9.0]])
CHAIN_LIMBS = [(0, 1), (1, 2), (2, 3)]


@pytest.fixture
def poses():
    return np.random.default_rng(0).normal(size=(2, 5, 17, 3))


def test_lengths_by_hand():
    np.testing.assert_allclose(bone_lengths(CHAIN, CHAIN_LIMBS), [3.0, 4.0, 5.0])


def test_angles_by_hand():
    angles = limb_angles(CHAIN, CHAIN_LIMBS, [(0, 1), (1, 2)])
    np.testing.assert_allclose(angles, [np.pi / 2, 0.0], atol=1e-3)


def test_vectors_point_from_parent_to_child(poses):
    np.testing.assert_array_equal(bone_vectors(poses, LIMBS)[..., 0, :], poses[..., 1, :] - poses[..., 0, :])


def test_lengths_and_angles_do_not_depend_on_the_view(poses):
    moved = poses @ axis_angle_to_matrix(np.array([0.3, -1.0, 2.0])) + [1.0, 2.0, 3.0]
    np.testing.assert_allclose(bone_lengths(moved, LIMBS), bone_lengths(poses, LIMBS))
    pairs = [(0, 3), (7, 10)]
    np.testing.assert_allclose(limb_angles(moved, LIMBS, pairs), limb_angles(poses, LIMBS, pairs))


def test_torch_gives_the_same_with_finite_gradients_for_a_collapsed_pose(poses):
    pairs = [(0, 1), (1, 2)]
    tensor = torch.from_numpy(poses)
    np.testing.assert_allclose(bone_lengths(tensor, LIMBS).numpy(), bone_lengths(poses, LIMBS))
    np.testing.assert_allclose(limb_angles(tensor, LIMBS, pairs).numpy(), limb_angles(poses, LIMBS, pairs))
    leaf = torch.zeros(1, 17, 3, requires_grad=True)
    (bone_lengths(leaf, LIMBS).sum() + limb_angles(leaf, LIMBS, pairs).sum()).backward()
    assert torch.isfinite(leaf.grad).all()
