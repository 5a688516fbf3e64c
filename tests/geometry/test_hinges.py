import numpy as np
import pytest
import torch

from motionbert_mm.geometry.hinges import HINGES, bend, bends_naturally, trunk_axes
from motionbert_mm.geometry.rotation import axis_angle_to_matrix

DOWN = np.array([0.0, -1.0, 0.0])  # trunk axes: left, up, forward


def lower(bend_degrees, towards_degrees):
    """A bone under a hanging one, bent by some degrees; towards the front is 0, towards the left 90."""
    angle, towards = np.radians([bend_degrees, towards_degrees])
    return np.array([np.sin(angle) * np.sin(towards), -np.cos(angle), np.sin(angle) * np.cos(towards)])


def is_natural(joint, before, after, upper=DOWN):
    """Bends of (degrees, direction) of a limb that hangs before and has another upper bone after."""
    hinge = HINGES[joint]
    turn = rotation_between(DOWN, upper)
    return bool(bends_naturally((DOWN, lower(*before)), (upper, turn @ lower(*after)), np.array(hinge.forward),
                                np.array(hinge.twist)))


def rotation_between(first, second):
    axis = np.cross(first, second)
    sine = np.linalg.norm(axis)
    return axis_angle_to_matrix(axis / max(sine, 1e-12) * np.arctan2(sine, first @ second))


def test_axes_of_the_trunk_are_left_up_and_forward():
    # Somebody who looks at the camera: camera axes are x right, y down, z forward.
    hips = np.array([100.0, 0.0, 3000.0]), np.array([-100.0, 0.0, 3000.0])
    shoulders = np.array([150.0, -500.0, 3100.0]), np.array([-150.0, -500.0, 3100.0])  # leans backwards
    axes = trunk_axes(hips, shoulders)
    np.testing.assert_allclose(axes[0], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(axes[1], np.array([0, -500, 100]) / np.hypot(500, 100), atol=1e-12)
    np.testing.assert_allclose(axes[2], np.array([0, -100, -500]) / np.hypot(500, 100), atol=1e-12)


@pytest.mark.parametrize('degrees, towards', [(0, 0), (30, 0), (90, 90), (120, 180), (60, -45)])
@pytest.mark.parametrize('upper', [DOWN, [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.6, 0.48, 0.64]])
def test_a_bend_has_a_size_and_a_direction(degrees, towards, upper):
    cosine, direction = bend(np.array(upper), rotation_between(DOWN, np.array(upper)) @ lower(degrees, towards))
    assert cosine == pytest.approx(np.cos(np.radians(degrees)))
    sine, towards = np.sin(np.radians(degrees)), np.radians(towards)
    np.testing.assert_allclose(direction, [sine * np.sin(towards), sine * np.cos(towards)], atol=1e-9)


@pytest.mark.parametrize('joint, before, after, expected', [
    ('knee', (60, 180), (80, 180), True),
    ('knee', (5, 180), (30, 180), True),
    ('knee', (5, 180), (30, 0), False),  # bent over to the front
    ('knee', (5, 180), (30, 90), False),  # to the side
    ('knee', (5, 180), (8, 0), True),  # as good as straight
    ('knee', (4, 0), (30, 0), False),  # a measured knee is a little beyond straight; that does not turn it round
    ('knee', (60, 180), (60, 220), True),
    ('knee', (60, 180), (60, 230), False),
    ('knee', (60, 100), (60, 130), True),  # its own plane counts, not that of most people
    ('knee', (60, 100), (60, 180), False),
    ('knee', (140, 180), (148, 180), True),
    ('knee', (140, 180), (152, 180), False),
    ('knee', (155, 180), (154, 180), True),  # as sharp as it was
    ('elbow', (60, 0), (80, 0), True),
    ('elbow', (5, 0), (30, 180), False),
    ('elbow', (5, 0), (30, 0), True),
    ('elbow', (60, 0), (60, 50), True),
    ('elbow', (60, 0), (60, 70), False),
    ('elbow', (60, 120), (60, 150), True),
    ('elbow', (60, 120), (60, 0), False),
])
@pytest.mark.parametrize('upper', [DOWN, [0.6, -0.8, 0.0], [0.0, -0.8, 0.6]])
def test_joints_bend_as_those_of_people(joint, before, after, expected, upper):
    assert is_natural(joint, before, after, np.array(upper)) is expected


@pytest.mark.parametrize('joint', HINGES)
@pytest.mark.parametrize('degrees', [0, 3, 20, 90, 145, 160])
def test_what_people_do_is_accepted_unchanged(joint, degrees):
    usual = 0 if joint == 'elbow' else 180
    for towards in (usual, usual - 80, usual + 80):
        assert is_natural(joint, (degrees, towards), (degrees, towards))


def test_torch_and_numpy_agree():
    vectors = np.random.default_rng(0).normal(size=(4, 500, 3))
    vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    forward, twist = np.full(500, -1.0), np.full(500, 45.0)
    expected = bends_naturally(tuple(vectors[:2]), tuple(vectors[2:]), forward, twist)
    tensors = torch.from_numpy(vectors)
    given = bends_naturally(tuple(tensors[:2]), tuple(tensors[2:]), torch.from_numpy(forward), torch.from_numpy(twist))
    np.testing.assert_array_equal(given.numpy(), expected)
    assert 0.05 < expected.mean() < 0.95
    axes = trunk_axes(tuple(vectors[:2]), tuple(vectors[2:]))
    np.testing.assert_allclose(trunk_axes(tuple(tensors[:2]), tuple(tensors[2:])).numpy(), axes, atol=1e-12)
    np.testing.assert_allclose(axes @ axes.swapaxes(-1, -2), np.broadcast_to(np.eye(3), axes.shape), atol=1e-9)
