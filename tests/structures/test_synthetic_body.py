import numpy as np
import pytest
import torch

from motionbert_mm.datasets.synthetic import generate_clip
from motionbert_mm.datasets.synthetic_rig import Body as Person
from motionbert_mm.datasets.synthetic_rig import make_body, pose_body
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.structures.skeleton import get_skeleton
from motionbert_mm.structures.synthetic_body import synthetic_body, synthetic_regressor
from motionbert_mm.structures.synthetic_bones import (
    HEAD_TOP,
    MEAN_STATURE,
    REST_OFFSETS,
    SHAPES,
    SMPL,
    fit_betas,
    mean_offsets,
    offset_dirs,
    place,
)

H36M = get_skeleton('h36m')
MIRROR = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope='module')
def model():
    return BodyModel('synthetic').double()


def skin(model, pose, betas):
    """Vertices (N, V, 3) in mm of axis-angle pose (N, 24, 3) and betas (10,)."""
    rotations = torch.from_numpy(axis_angle_to_matrix(pose))
    return model(rotations, torch.from_numpy(np.tile(betas, (len(pose), 1)))).numpy()


def random_pose(seed, frames=3):
    return np.random.default_rng(seed).normal(scale=0.5, size=(frames, 24, 3))


def parts():
    """Vertices of every closed part: connected by faces."""
    body = synthetic_body()
    label = np.arange(len(body.template))
    for _ in range(64):
        lowest = label[body.faces].min(axis=1)
        for column in range(3):
            np.minimum.at(label, body.faces[:, column], lowest)
    return label


def mirror_partners():
    """For each vertex, the one at its mirror image."""
    template = synthetic_body().template
    distances = np.linalg.norm(template[:, None] * MIRROR - template, axis=-1)
    assert distances.min(axis=1).max() < 1e-12
    return distances.argmin(axis=1)


def test_it_has_the_layout_of_smpl():
    body = synthetic_body()
    vertices = len(body.template)
    assert 400 <= vertices <= 900
    assert body.shape_dirs.shape == (vertices, 3, 10) and body.pose_dirs.shape == (vertices, 3, 207)
    assert body.joint_regressor.shape == (24, vertices) and body.skin_weights.shape == (vertices, 24)
    assert body.parents.tolist() == list(SMPL.parents) and synthetic_regressor().shape == (17, vertices)
    assert sorted(np.unique(body.faces)) == list(range(vertices))


def test_weights_are_shares():
    for shares in (synthetic_body().skin_weights, synthetic_body().joint_regressor, synthetic_regressor()):
        assert shares.min() >= 0
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-12)


def test_every_part_is_closed_and_oriented_outwards():
    body, label = synthetic_body(), parts()
    edges = np.concatenate([body.faces[:, [0, 1]], body.faces[:, [1, 2]], body.faces[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges)  # each direction once
    assert set(map(tuple, edges)) == set(map(tuple, edges[:, ::-1]))  # and the other by the neighbour
    assert len(np.unique(label)) == 9  # trunk, and two legs, feet, arms and thumbs
    first, second, third = (body.template[body.faces[:, corner]] for corner in range(3))
    normal = np.cross(second - first, third - first)
    assert np.linalg.norm(normal, axis=-1).min() > 1e-6
    volumes = np.bincount(label[body.faces[:, 0]], (first * normal).sum(axis=-1) / 6)
    assert volumes[np.unique(label)].min() > 1e-5  # a thumb has about 30 ml
    assert 0.04 < volumes.sum() < 0.09  # m3


def test_faces_look_away_from_the_bones():
    """Between the joints of arms, legs and trunk."""
    body, label = synthetic_body(), parts()
    middle = body.template[body.faces].mean(axis=1)
    normal = np.cross(*(body.template[body.faces[:, corner]] - body.template[body.faces[:, 0]] for corner in (1, 2)))
    joints = body.joint_regressor @ body.template
    for upper, lower in (('left_hip', 'left_knee'), ('right_knee', 'right_ankle'), ('left_shoulder', 'left_elbow'),
                         ('right_elbow', 'right_wrist'), ('spine1', 'spine3')):
        start, end = joints[SMPL.index(upper)], joints[SMPL.index(lower)]
        along = (middle - start) @ (end - start) / ((end - start) ** 2).sum()
        outward = middle - start - along[:, None] * (end - start)
        part = label[body.joint_regressor[SMPL.index(lower)].argmax()]
        is_on_it = (along > 0.1) & (along < 0.9) & (label[body.faces[:, 0]] == part)
        assert is_on_it.sum() > 16
        assert ((outward * normal).sum(axis=-1)[is_on_it] > 0).all()


def test_left_mirrors_right():
    body, partner = synthetic_body(), mirror_partners()
    flips = list(SMPL.flip_indices)
    np.testing.assert_array_equal(partner[partner], np.arange(len(partner)))
    np.testing.assert_allclose(body.skin_weights[partner][:, flips], body.skin_weights, atol=1e-12)
    np.testing.assert_allclose(body.shape_dirs[partner] * MIRROR[:, None], body.shape_dirs, atol=1e-12)
    np.testing.assert_allclose(body.joint_regressor[flips][:, partner], body.joint_regressor, atol=1e-12)


def test_it_stands_as_a_person_does():
    body = synthetic_body()
    joints = dict(zip(SMPL.joints, body.joint_regressor @ body.template))
    height = np.ptp(body.template[:, 1])
    assert 1.6 < height < 1.75
    assert joints['left_wrist'][0] > 0.6 and abs(joints['left_wrist'][1] - joints['left_shoulder'][1]) < 0.01
    nose = body.template[(body.template[:, 1] > joints['head'][1] - 0.05)]
    assert nose[:, 2].max() > 0.1 > -nose[:, 2].min() - 0.02  # a nose in front, no such thing behind
    feet = body.template[body.template[:, 1] < joints['left_ankle'][1] - 0.03]
    assert feet[:, 2].max() > joints['left_foot'][2] + 0.05 > 0.15 and feet[:, 2].min() > -0.08
    lowest = body.template[:, 1].min()
    assert joints['left_ankle'][1] - lowest == pytest.approx(0.076, abs=0.005)


def test_rest_joints_are_those_of_the_mean_person():
    body, offsets = synthetic_body(), mean_offsets()
    joints = 1000 * body.joint_regressor @ body.template
    np.testing.assert_allclose(joints, place(offsets)[:24], atol=1e-9)
    for joint, share in REST_OFFSETS.items():
        np.testing.assert_allclose(offsets[SMPL.index(joint)], np.array(share) * MEAN_STATURE, atol=1e-9)
    head_top = (synthetic_regressor() @ body.template)[H36M.index('head')] * 1000
    np.testing.assert_allclose(head_top - joints[SMPL.index('head')], np.array(HEAD_TOP) * MEAN_STATURE, atol=1e-9)


@pytest.mark.parametrize('number, bones', enumerate(SHAPES.values()))
def test_a_shape_coefficient_lengthens_its_bones_only(number, bones):
    offsets, longer = mean_offsets(), mean_offsets() + offset_dirs()[..., number]
    body = synthetic_body()
    joints = 1000 * body.joint_regressor @ (body.template + body.shape_dirs[..., number])
    np.testing.assert_allclose(joints, place(longer)[:24], atol=1e-9)
    changed = [name for name, old, new in zip((*SMPL.joints, 'head_top'), offsets, longer) if not np.allclose(old, new)]
    assert {name.replace('right_', 'left_') for name in changed} == set(bones)
    for name in set(bones) & set(SMPL.joints):
        ratio = np.linalg.norm(longer[SMPL.index(name)]) / np.linalg.norm(offsets[SMPL.index(name)])
        assert ratio == pytest.approx(1.05)


def test_regressed_joints_follow_every_pose_and_shape(model):
    """Against forward kinematics of a person with the same bones, for any rotation of any joint."""
    betas = np.random.default_rng(0).normal(size=10)
    offsets = mean_offsets() + offset_dirs() @ betas
    person = Person('anyone', MEAN_STATURE, offsets[:24], offsets[24], 19.0, 48.0)
    pose = random_pose(1, frames=8)
    _, expected = pose_body(pose, np.zeros((8, 3)), person)
    joints = model.joints(torch.from_numpy(skin(model, pose, betas))).numpy()
    np.testing.assert_allclose(joints, expected, atol=1e-3)


def test_joints_of_clips_are_near_those_of_the_rig(model):
    """Ten coefficients do not tell the three bones of the spine apart."""
    worst = []
    for index in range(12):
        clip = generate_clip(index, num_frames=20)
        betas = fit_betas(clip.body.offsets, clip.body.head_top)
        joints = model.joints(torch.from_numpy(skin(model, clip.smpl_pose[::5], betas))).numpy()
        expected = clip.positions[::5] - clip.smpl_joints[::5, :1]
        worst.append(np.linalg.norm(joints - expected, axis=-1).max())
    assert max(worst) < 4.0


def test_fitted_betas_give_the_bones_of_subjects():
    for seed in range(20):
        person = make_body('anyone', np.random.default_rng(seed))
        betas = fit_betas(person.offsets, person.head_top)
        fitted = np.linalg.norm((mean_offsets() + offset_dirs() @ betas)[:24], axis=-1)
        assert np.abs(fitted - np.linalg.norm(person.offsets, axis=-1)).max() < 8.0
        assert np.abs(betas).max() < 5


def test_betas_are_found_again():
    betas = np.random.default_rng(3).normal(size=10)
    offsets = mean_offsets() + offset_dirs() @ betas
    np.testing.assert_allclose(fit_betas(offsets[:24], offsets[24]), betas, atol=1e-9)


def test_a_mirrored_pose_gives_the_mirrored_mesh(model):
    betas, pose = np.random.default_rng(4).normal(size=10), random_pose(5)
    mirrored = pose[:, list(SMPL.flip_indices)] * [1, -1, -1]
    np.testing.assert_allclose(skin(model, mirrored, betas),
                               skin(model, pose, betas)[:, mirror_partners()] * MIRROR, atol=1e-8)


def test_a_bent_knee_keeps_its_girth(model):
    """Without pose directions linear blending thins it."""
    pose = np.zeros((1, 24, 3))
    pose[0, SMPL.index('left_knee'), 0] = np.pi / 2
    body = synthetic_body()
    flat = BodyModel.from_body(type(body)(**{**vars(body), 'pose_dirs': np.zeros_like(body.pose_dirs)}),
                               synthetic_regressor()).double()
    ring = np.flatnonzero(body.joint_regressor[SMPL.index('left_knee')])
    front, back = ring[body.template[ring, 2].argmax()], ring[body.template[ring, 2].argmin()]
    rest, bent, thin = (np.linalg.norm(vertices[0, front] - vertices[0, back]) for vertices in (
        skin(model, 0 * pose, np.zeros(10)), skin(model, pose, np.zeros(10)), skin(flat, pose, np.zeros(10))))
    assert thin < 0.75 * rest < 0.85 * rest < bent < 1.05 * rest


def test_nobody_can_change_the_shared_arrays():
    for array in (*vars(synthetic_body()).values(), synthetic_regressor()):
        with pytest.raises(ValueError, match='read-only'):
            array[0] = 0
