import numpy as np
import pytest
import torch

from motionbert_mm.geometry import coords
from motionbert_mm.structures import get_skeleton

FLIP = get_skeleton('h36m').flip_indices
SIZES = np.array([[1000.0, 1002.0], [1920.0, 1080.0], [480.0, 640.0]])
INTRINSICS = np.array([[1145.0, 1143.0, 512.0, 515.0], [900.0, 910.0, 950.0, 530.0], [600.0, 600.0, 240.0, 320.0]])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def pixels(rng):
    return rng.uniform(0, 480, size=(3, 2, 5, 17, 2))


@pytest.fixture
def poses(rng):
    return rng.normal(size=(3, 2, 5, 17, 3)) * 400 + [0.0, 0.0, 5000.0]


def test_screen_corners():
    corners = np.array([[0.0, 0.0], [1000.0, 500.0], [500.0, 250.0]])
    np.testing.assert_allclose(coords.screen_to_unit(corners, (1000, 500)), [[-1, -0.5], [1, 0.5], [0, 0]])


def test_screen_depth_is_scaled_and_not_shifted():
    np.testing.assert_allclose(coords.screen_to_unit(np.array([500.0, 250.0, 100.0]), (1000, 500)), [0, 0, 0.2])


def test_min_side_fills_the_shorter_side():
    corners = np.array([[640.0, 0.0], [640.0, 720.0], [0.0, 360.0]])
    np.testing.assert_allclose(coords.min_side_to_unit(corners, (1280, 720)), [[0, -1], [0, 1], [-16 / 9, 0]])


def test_max_side_does_not_centre_the_shorter_side():
    np.testing.assert_allclose(coords.max_side_to_unit(np.array([[1920.0, 1080.0]]), (1920, 1080)), [[1, 0.125]])


@pytest.mark.parametrize('there, back', [(coords.screen_to_unit, coords.unit_to_screen),
                                         (coords.min_side_to_unit, coords.unit_to_min_side)])
@pytest.mark.parametrize('channels', [2, 3])
def test_inverse_per_sample_size(there, back, channels, poses):
    points = poses[..., :channels]
    np.testing.assert_allclose(back(there(points, SIZES), SIZES), points, atol=1e-9)


@pytest.mark.parametrize('function', [coords.screen_to_unit, coords.min_side_to_unit, coords.max_side_to_unit])
def test_sizes_go_with_the_leading_axis(function, pixels):
    alone = [function(sample, size) for sample, size in zip(pixels, SIZES)]
    np.testing.assert_array_equal(function(pixels, SIZES), alone)


def test_confidence_does_not_pass_as_a_coordinate(pixels):
    with pytest.raises(ValueError, match=r'2 or 3 channels.*\(3, 2, 5, 17, 4\)'):
        coords.screen_to_unit(np.concatenate([pixels, pixels], -1), SIZES)


def test_crop_fills_the_square_with_the_valid_keypoints(pixels):
    confidence = np.ones(pixels.shape[:-1])
    pixels[:, :, :, 3], confidence[..., 3] = 9999.0, 0.0
    points, _, box = coords.crop_scale(pixels, confidence, clip=False)
    valid = np.delete(points, 3, axis=-2)
    assert np.abs(valid).max() <= 1 + 1e-12
    extent = (valid.max((1, 2, 3)) - valid.min((1, 2, 3))).max(-1)
    np.testing.assert_allclose(extent, 2.0)
    np.testing.assert_allclose(coords.uncrop(points, box), pixels)


def test_crop_ratio_enlarges_the_square_per_sample(pixels):
    confidence = np.ones(pixels.shape[:-1])
    plain, _, _ = coords.crop_scale(pixels, confidence)
    scaled, _, _ = coords.crop_scale(pixels, confidence, ratio=np.array([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(scaled * np.array([1.0, 2.0, 4.0]).reshape(3, 1, 1, 1, 1), plain)


def test_crop_clips_to_the_square(pixels):
    confidence = np.ones(pixels.shape[:-1])
    loose, _, _ = coords.crop_scale(pixels, confidence, ratio=0.5, clip=False)
    tight, _, _ = coords.crop_scale(pixels, confidence, ratio=0.5)
    assert np.abs(loose).max() > 1
    np.testing.assert_array_equal(tight, np.clip(loose, -1, 1))


def test_crop_of_each_sample_is_its_own(pixels, rng):
    confidence = rng.random(pixels.shape[:-1])
    together = coords.crop_scale(pixels, confidence)
    for sample in range(len(pixels)):
        alone = coords.crop_scale(pixels[sample:sample + 1], confidence[sample:sample + 1])
        for ours, its in zip(together, alone):
            np.testing.assert_array_equal(ours[sample], its[0])


@pytest.mark.parametrize('num_valid', [0, 3])
def test_crop_of_too_few_keypoints_is_zero_and_leaves_the_others_alone(pixels, num_valid):
    confidence = np.ones(pixels.shape[:-1])
    confidence[1] = 0.0
    confidence[1, 0, 0, :num_valid] = 1.0
    points, kept, box = coords.crop_scale(pixels, confidence)
    assert not points[1].any() and not kept[1].any() and box[1, 2] == 0
    expected, _, _ = coords.crop_scale(pixels[[0, 2]], confidence[[0, 2]])
    np.testing.assert_array_equal(points[[0, 2]], expected)


def test_crop_does_not_write_into_its_arguments(pixels):
    confidence = np.ones(pixels.shape[:-1])
    before = pixels.copy()
    coords.crop_scale(pixels, confidence)
    np.testing.assert_array_equal(pixels, before)
    assert (confidence == 1).all()


def test_flip_is_an_involution(poses):
    np.testing.assert_array_equal(coords.flip(coords.flip(poses, FLIP), FLIP), poses)


def test_flip_negates_x_only_and_swaps_sides(poses):
    flipped = coords.flip(poses, FLIP)
    np.testing.assert_array_equal(flipped[..., 4, :], poses[..., 1, :] * [-1, 1, 1])
    np.testing.assert_array_equal(flipped[..., 0, :], poses[..., 0, :] * [-1, 1, 1])


@pytest.mark.parametrize('width', [640.0, SIZES[:, 0]])
def test_pixel_flip_is_an_involution(pixels, width):
    flipped = coords.flip_pixels(pixels, FLIP, width)
    np.testing.assert_allclose(coords.flip_pixels(flipped, FLIP, width), pixels)


def test_pixel_flip_is_the_flip_of_screen_coordinates(pixels):
    flipped = coords.flip_pixels(pixels, FLIP, SIZES[:, 0])
    np.testing.assert_allclose(coords.screen_to_unit(flipped, SIZES),
                               coords.flip(coords.screen_to_unit(pixels, SIZES), FLIP), atol=1e-12)


def test_root_relative_puts_the_root_at_zero_and_keeps_differences(poses):
    relative = coords.root_relative(poses, 0)
    assert not relative[..., 0, :].any()
    np.testing.assert_allclose(np.diff(relative, axis=-2), np.diff(poses, axis=-2))


def test_image_space_and_back(poses):
    image = coords.image_space_3d(poses, INTRINSICS, root=0)
    np.testing.assert_allclose(coords.camera_space_3d(image, INTRINSICS, poses[..., 0, 2]), poses, atol=1e-8)


def test_image_space_factor_is_about_depth_over_focal_length():
    factor = coords.image_space_factor(np.array([5000.0]), (1145.0, 1145.0, 512.0, 515.0))
    # 2000 mm are 458 pixels at 5 m, 459 with the border pixel.
    np.testing.assert_allclose(factor, 2000.0 / 459.0)


def test_image_space_of_a_flat_pose_is_its_projection(poses):
    poses[..., 2] = 5000.0
    image = coords.image_space_3d(poses, INTRINSICS, root=0)
    assert not image[..., 2].any()
    np.testing.assert_allclose(image[0, ..., 0], poses[0, ..., 0] / 5000 * 1145 + 512)


def test_torch_gives_the_same_and_stays_torch(pixels, poses, rng):
    confidence = (rng.random(pixels.shape[:-1]) > 0.2).astype(float)
    confidence[1] = 0.0
    tensors = [torch.from_numpy(array) for array in (pixels, confidence, poses)]
    pairs = [
        (coords.screen_to_unit(pixels, SIZES), coords.screen_to_unit(tensors[0], SIZES)),
        (coords.flip(poses, FLIP), coords.flip(tensors[2], FLIP)),
        (coords.flip_pixels(pixels, FLIP, SIZES[:, 0]), coords.flip_pixels(tensors[0], FLIP, SIZES[:, 0])),
        (coords.crop_scale_3d(poses[:, 0]), coords.crop_scale_3d(tensors[2][:, 0])),
        (coords.image_space_3d(poses, INTRINSICS, 0), coords.image_space_3d(tensors[2], INTRINSICS, 0)),
        *zip(coords.crop_scale(pixels, confidence, 1.5), coords.crop_scale(tensors[0], tensors[1], 1.5)),
    ]
    for array, tensor in pairs:
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_allclose(tensor.numpy(), array, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('function', [
    lambda points: coords.screen_to_unit(points, (1000, 1002)),
    lambda points: coords.flip(points, FLIP),
    lambda points: coords.crop_scale(points, points[..., 0])[0],
])
def test_single_precision_stays_single(pixels, function):
    assert function(pixels.astype(np.float32)).dtype == np.float32
    assert function(torch.from_numpy(pixels).float()).dtype == torch.float32


@pytest.mark.parametrize('shape', [(3, 2, 5, 17), (3, 17), (17,)])
def test_fast_paths_give_the_plain_numbers(shape):
    rng = np.random.default_rng(0)
    size = rng.uniform(500, 1500, (*shape[:-3], 2)).astype(np.float32) if len(shape) > 3 else np.float32([1000, 800])
    points = (rng.normal(size=(*shape, 3)) * 500).astype(np.float32)
    np.testing.assert_array_equal(coords.root_relative(points, 4), points - points[..., 4:5, :])
    flat, centre = points[..., :2], size.reshape(*size.shape[:-1], *[1] * (points.ndim - size.ndim), 2) / 2
    for given in (flat, np.ascontiguousarray(flat)):
        np.testing.assert_array_equal(coords.screen_to_unit(given, size), (flat - centre) / centre[..., :1])
