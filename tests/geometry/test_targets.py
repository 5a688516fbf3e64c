"""Targets of lifting: what the network learns, and the way back to millimetres."""
import numpy as np
import pytest
import torch

from motionbert_mm.geometry.bones import ADULT_LEG, bone_lengths
from motionbert_mm.geometry.coords import image_space_3d, image_space_factor, screen_to_unit
from motionbert_mm.geometry.targets import decode_input, decode_target, encode_target
from motionbert_mm.structures.skeleton import get_skeleton
from tests.generated import make_cameras, make_motion

SKELETON = get_skeleton('h36m')
ROOT, LEGS = SKELETON.root, SKELETON.legs
FRAMES = 6
IMAGE_TARGETS = ('image_space', 'image_space_global')


@pytest.fixture
def points():
    """Millimetres (2, 1, T, J, 3), each sample before a camera of its own."""
    return np.stack([camera.to_camera(make_motion(FRAMES, seed))
                     for seed, camera in enumerate(make_cameras())]).astype(np.float32)[:, None]


@pytest.fixture
def meta():
    cameras = make_cameras()
    return dict(sample_id=['first', 'second'], image_size=np.array([camera.image_size for camera in cameras], 'f4'),
                intrinsics=np.array([camera.intrinsics for camera in cameras], 'f4'))


def image_form(points, meta):
    """The 2.5D pose in pixels and the millimetres per pixel, as a store holds them."""
    factor = image_space_factor(points[..., ROOT, 2], meta['intrinsics'])
    return dict(keypoints_image=image_space_3d(points, meta['intrinsics'], ROOT), image_factor=factor)


def decode(target, norm):
    return decode_target(torch.from_numpy(target), norm, LEGS).numpy()


def test_an_unknown_target_is_named():
    with pytest.raises(KeyError, match=r"unknown 3D target 'metres'; known are \['image_space', 'image_space_glob"):
        encode_target('metres', None, ROOT, {})


def test_a_record_of_2d_motion_has_no_way_to_millimetres():
    with pytest.raises(KeyError, match='unknown 3D target None; .* set NormalizeCoords.target'):
        decode_target(torch.zeros(2, 1, FRAMES, 17, 3), dict(input_box=np.ones((2, 3), 'f4')), LEGS)


def test_inputs_come_back_to_the_square_that_they_were_made_of():
    box = np.array([[500, 300, 1000], [20, 30, 8]], np.float32)  # centre and side
    points = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [1.0, 0.5]]).expand(2, 1, 1, 3, 2)
    expected = torch.tensor([[[0.0, -200.0], [500, 300], [1000, 550]], [[16.0, 26.0], [20, 30], [24, 32]]])
    torch.testing.assert_close(decode_input(points, dict(input_box=box)), expected[:, None, None])


def test_inputs_without_a_record_are_refused():
    with pytest.raises(KeyError, match=r"knows \['target'\], but not input_box.*make the inputs with NormalizeCoords"):
        decode_input(torch.zeros(1, 1, 1, 17, 2), dict(target='root_relative'))


def test_root_relative_is_in_metres_and_comes_back(points, meta):
    target, norm = encode_target('root_relative', points, ROOT, meta)
    np.testing.assert_allclose(target, (points - points[..., ROOT:ROOT + 1, :]) / 1000, atol=1e-6)
    np.testing.assert_allclose(decode(target, norm), points - points[..., ROOT:ROOT + 1, :], atol=1e-3)


def test_root_relative_may_have_another_unit(points, meta):
    relative = points - points[..., ROOT:ROOT + 1, :]
    target, norm = encode_target('root_relative', points, ROOT, {**meta, 'unit_mm': 1.0})
    np.testing.assert_array_equal(target, relative)
    np.testing.assert_array_equal(decode(target, norm), relative)


@pytest.mark.parametrize('name', IMAGE_TARGETS)
def test_a_pose_in_pixels_gives_the_target_of_its_3d_pose(points, meta, name):
    from_3d, record = encode_target(name, points, ROOT, meta)
    for truth in (None, points):
        from_image, other = encode_target(name, truth, ROOT, {**meta, **image_form(points, meta)})
        np.testing.assert_allclose(from_image, from_3d, atol=1e-6)
        assert other.keys() == record.keys() and other['target'] == name
        np.testing.assert_allclose(other['factor'], record['factor'], rtol=1e-6)


def test_a_pose_in_pixels_is_taken_as_it_is(points, meta):
    """It need not be the projection of the 3D truth: official labels are rounded, other views have no camera."""
    image = image_form(points, meta)
    image['keypoints_image'] = image['keypoints_image'] * np.float32(0.5)
    del meta['intrinsics']
    target, norm = encode_target('image_space', points, ROOT, {**meta, **image})
    unit = screen_to_unit(image['keypoints_image'], meta['image_size'])
    np.testing.assert_allclose(target, unit - unit[..., ROOT:ROOT + 1, :], atol=1e-6)
    np.testing.assert_array_equal(norm['factor'], image['image_factor'])


def test_image_space_comes_back_from_the_root(points, meta):
    image = image_form(points, meta)
    target, norm = encode_target('image_space', None, ROOT, {**meta, **image})
    assert not target[..., ROOT, :].any()
    pixels = image['keypoints_image']
    expected = (pixels - pixels[..., ROOT:ROOT + 1, :]) * image['image_factor'][..., None, None]
    np.testing.assert_allclose(decode(target, norm), expected, atol=0.01)
    # Depth is metric, whatever the perspective does to x and y.
    np.testing.assert_allclose(decode(target, norm)[..., 2], points[..., 2] - points[..., ROOT:ROOT + 1, 2], atol=0.01)


def test_a_predicted_root_does_not_move_the_pose(points, meta):
    target, norm = encode_target('image_space', points, ROOT, meta)
    moved = target.copy()
    moved[..., ROOT, :] = 0.7
    np.testing.assert_array_equal(decode(moved, norm), decode(target, norm))


def test_global_image_space_keeps_the_place_in_the_image(points, meta):
    image = image_form(points, meta)
    image['keypoints_image'] = image['keypoints_image'] + np.array([0.0, 0.0, 40.0], np.float32)
    target, norm = encode_target('image_space_global', None, ROOT, {**meta, **image})
    unit = screen_to_unit(image['keypoints_image'], meta['image_size'])
    np.testing.assert_allclose(target[..., :2], unit[..., :2], atol=1e-6)
    np.testing.assert_allclose(target[..., 2], unit[..., 2] - unit[:, :, :1, ROOT:ROOT + 1, 2], atol=1e-6)
    assert np.abs(target[..., ROOT, 2]).max() < 1e-6 and np.abs(target[..., ROOT, :2]).max() > 0.01
    middle = np.concatenate([meta['image_size'] / 2, [[40.0]] * 2], axis=-1)[:, None, None, None]
    expected = (image['keypoints_image'] - middle) * image['image_factor'][..., None, None]
    np.testing.assert_allclose(decode(target, norm), expected, atol=0.01)


def test_global_image_space_keeps_how_the_root_moves_in_depth(meta, points):
    image = image_form(points, meta)
    image['keypoints_image'][..., 2] += 10.0 * np.arange(FRAMES, dtype='f4')[:, None]
    target, _ = encode_target('image_space_global', None, ROOT, {**meta, **image})
    expected = 10.0 * np.arange(FRAMES) * 2 / meta['image_size'][:, :1]
    np.testing.assert_allclose(target[:, 0, :, ROOT, 2], expected, atol=1e-5)


@pytest.mark.parametrize('name', IMAGE_TARGETS)
def test_the_true_2d_input_replaces_the_predicted_plane(points, meta, name):
    target, norm = encode_target(name, points, ROOT, meta)
    inputs = screen_to_unit(image_form(points, meta)['keypoints_image'], meta['image_size'])[..., :2]
    wrong = target + np.array([0.5, 0.25, 0.0], np.float32)
    np.testing.assert_allclose(decode(wrong, {**norm, 'xy': inputs}), decode(target, norm), atol=0.05)


@pytest.mark.parametrize('name', IMAGE_TARGETS)
def test_an_unknown_scale_gives_the_legs_of_an_adult(points, meta, name):
    image = image_form(points, meta)
    del image['image_factor']
    target, norm = encode_target(name, None, ROOT, {**meta, **image})
    assert np.isnan(norm['factor']).all()
    legs = bone_lengths(decode(target, norm), LEGS).sum(-1) / 2
    np.testing.assert_allclose(legs.mean(-1), ADULT_LEG, rtol=1e-5)


@pytest.mark.parametrize('name', IMAGE_TARGETS)
def test_without_truth_there_is_a_record_and_no_target(meta, name):
    target, norm = encode_target(name, None, ROOT, meta)
    assert target is None and norm['target'] == name
    output = torch.randn(2, 1, FRAMES, SKELETON.num_joints, 3, generator=torch.Generator().manual_seed(0))
    assert decode_target(output, norm, LEGS).isfinite().all()
