import time

import numpy as np
import pytest
from PIL import Image

from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.visualization import animate_meshes, draw_mesh_strip
from motionbert_mm.visualization.mesh import to_pixels
from motionbert_mm.visualization.renderer import paint_over, rasterize, render_mesh, shade
from tests.io.body import walk_2d
from tests.meshes import cube, sphere
from tests.visualization.test_animation import frames_of


def placed(mesh, scale, *place):
    vertices, faces = mesh
    return vertices * scale + np.array(place, float), faces


@pytest.fixture(scope='module')
def bodies():
    """Three bodies (3, V, 3) mm who turn, upright in the camera frame, their faces, and their camera."""
    body = BodyModel('synthetic')
    rest = body.skin.template.numpy() * 1000 * [1, -1, -1]
    turned = [rest @ np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]]) for a in (0, 0.5, 1)]
    return np.stack(turned), body.faces, np.tile([0.3, 500, 450], (3, 1))


def test_a_sphere_covers_the_area_of_a_circle():
    points, faces = placed(sphere(40, 80), 50, 64, 64, 0)
    fragments = rasterize(points, faces, 128, 128)
    assert (fragments.face >= 0).sum() == pytest.approx(np.pi * 50 ** 2, rel=0.005)
    picture = render_mesh(points, faces, 128, 128)
    assert picture.shape == (128, 128, 4) and picture.dtype == np.uint8
    assert picture[..., 3].sum() / 255 == pytest.approx(np.pi * 50 ** 2, rel=0.005)
    assert (picture[0, 0] == 0).all() and (picture[64, 64, 3] == 255).all()


def test_depth_and_shares_are_those_of_the_plane():
    corners = np.array([[0, 0, 10], [40, 0, 50], [0, 40, 30.0]])
    fragments = rasterize(corners, np.array([[0, 1, 2]]), 40, 40)
    row, column = 12, 7
    assert fragments.depth[row, column] == pytest.approx(10 + (column + 0.5) * 1.0 + (row + 0.5) * 0.5)
    np.testing.assert_allclose(fragments.weights[row, column] @ corners[:, :2], [column + 0.5, row + 0.5])
    assert fragments.face[30, 30] == -1 and np.isinf(fragments.depth[30, 30])


def test_neighbouring_faces_leave_no_pixel_out():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(9), np.arange(9), indexing='ij'), -1).reshape(-1, 2) * 8.0
    inner = ((grid > 0) & (grid < 64)).all(axis=1)
    grid[inner] += rng.uniform(-2, 2, (inner.sum(), 2))
    corner = (np.arange(8)[:, None] * 9 + np.arange(8)).ravel()
    faces = np.concatenate([np.stack([corner, corner + 1, corner + 9], -1),
                            np.stack([corner + 1, corner + 10, corner + 9], -1)])
    points = np.concatenate([grid, np.zeros((81, 1))], axis=1)
    assert (rasterize(points, faces, 64, 64).face >= 0).all()
    alone = sum((rasterize(points, face[None], 64, 64).face >= 0).sum() for face in faces)
    assert 64 * 64 <= alone < 1.01 * 64 * 64  # twice only what lies on an edge


@pytest.mark.parametrize('order', [1, -1])
def test_the_nearer_surface_wins_whatever_is_drawn_first(order):
    near, far = (placed(cube(1.0), size, 32, 32, depth) for size, depth in ((20, 0), (40, 100)))
    first, second = (near, far)[::order]
    points = np.concatenate([first[0], second[0]])
    faces = np.concatenate([first[1], second[1] + len(first[0])])
    fragments = rasterize(points, faces, 64, 64)
    assert fragments.depth[32, 32] == -10 and fragments.depth[15, 15] == 80
    assert (fragments.depth == -10).sum() == 20 ** 2


def test_shading_follows_the_light_and_not_the_winding():
    points, faces = placed(sphere(20, 40), 50, 64, 64, 0)
    left, right = (render_mesh(points, faces, 128, 128, light=(x, 0, -1))[..., :3].astype(int) for x in (-1, 1))
    assert left[64, 30].sum() > left[64, 98].sum() + 100 and right[64, 98].sum() > right[64, 30].sum() + 100
    turned = render_mesh(points, faces[:, ::-1], 128, 128, light=(-1, 0, -1))[..., :3].astype(int)
    assert np.abs(turned - left).max() <= 1


def test_brightness_is_lambert_s_law():
    points, faces = placed(cube(1.0), 30, 32, 32, 0)  # its front faces the observer
    fragments = rasterize(points, faces, 64, 64)
    frontal, slanted, behind = (shade(fragments, points, faces, light=light, is_flat=True)[32, 32]
                                for light in ((0, 0, -3), (np.sqrt(3), 0, -1), (0, 0, 1)))
    assert slanted - behind == pytest.approx((frontal - behind) / 2)  # the cosine of 60 degrees
    assert 1.0 <= frontal < 1.2 and behind > 0.4


def test_flat_faces_have_one_shade_and_smooth_ones_many():
    points, faces = placed(sphere(6, 12), 50, 64, 64, 0)
    fragments = rasterize(points, faces, 128, 128)
    flat, smooth = (shade(fragments, points, faces, is_flat=is_flat) for is_flat in (True, False))
    one = fragments.face == fragments.face[50, 50]
    assert np.ptp(flat[one]) < 1e-12 and np.ptp(smooth[one]) > 0.01


def test_a_mesh_beyond_the_border_is_cut_off():
    points, faces = placed(sphere(20, 40), 50, 0, 0, 0)
    whole = render_mesh(points + [100, 100, 0], faces, 200, 200)
    np.testing.assert_array_equal(render_mesh(points, faces, 80, 80), whole[100:180, 100:180])
    assert not render_mesh(points + [500, 0, 0], faces, 80, 80).any()


def test_a_picture_is_laid_over_an_image_or_white():
    picture = render_mesh(*placed(sphere(20, 40), 20, 32, 32, 0), 64, 64)
    image = np.full((64, 64, 3), [10, 200, 30], np.uint8)
    over = paint_over(picture, image)
    assert over[0, 0].tolist() == [10, 200, 30] and paint_over(picture)[0, 0].tolist() == [255] * 3
    np.testing.assert_array_equal(over[32, 32], picture[32, 32, :3])
    with pytest.raises(ValueError, match=r'expected uint8 of \(64, 64, 3\)'):
        paint_over(picture, image[:32])


def test_a_mesh_of_the_size_of_smpl_is_rendered_in_less_than_two_seconds():
    points, faces = placed(sphere(84, 82), 200, 256, 256, 0)
    assert len(points) == 6890 and len(faces) == 13776
    start = time.perf_counter()
    render_mesh(points, faces, 512, 512)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize('change, message', [
    (dict(width=0), 'at least one pixel'), (dict(oversampling=0), 'oversampling is 0'),
    (dict(light=(0, 0, 0)), 'light'), (dict(faces=np.array([[0, 1, 99999]])), 'are they of another body model')])
def test_what_cannot_be_rendered_is_refused(change, message):
    points, faces = placed(sphere(4, 6), 2, 4, 4, 0)
    with pytest.raises(ValueError, match=message):
        render_mesh(**{**dict(points=points, faces=faces, width=8, height=8), **change})


def test_strip_shows_the_mesh_under_the_input(bodies, tmp_path):
    frames, faces, camera = bodies
    draw_mesh_strip(frames, faces, path=tmp_path / 'plain.png', dpi=50)
    draw_mesh_strip(frames, faces, path=tmp_path / 'full.png', camera=camera, keypoints_2d=walk_2d('coco17', 3),
                    confidence=np.ones((3, 17)), skeleton_2d='coco17', frame_ids=[4, 5, 6], title='walk', dpi=50)
    plain, full = (np.asarray(Image.open(tmp_path / name).convert('RGB')).astype(int)
                   for name in ('plain.png', 'full.png'))
    assert full.shape[0] > plain.shape[0]
    bluish = [((image[..., 2] - image[..., 0]) > 20).sum() for image in (plain, full)]
    assert bluish[0] > 1000 and bluish[1] > 1.2 * bluish[0]


def test_the_overlay_lies_where_the_camera_puts_it(bodies, tmp_path):
    frames, faces, camera = bodies
    points = walk_2d('h36m', 3)
    figure = draw_mesh_strip(frames, faces, camera=camera, keypoints_2d=points, num_poses=1)
    axes = figure.axes[0]
    drawn = axes.images[0].get_array()[..., 3] > 127
    (left, right), (_, top) = axes.get_xlim(), axes.get_ylim()
    rows, columns = np.nonzero(drawn)
    seen = to_pixels(frames[0], camera[0])
    step = (right - left) / drawn.shape[1]
    low, high = seen[:, :2].min(axis=0), seen[:, :2].max(axis=0)
    np.testing.assert_allclose([left + columns.min() * step, top + rows.min() * step], low, atol=2 * step)
    np.testing.assert_allclose([left + (columns.max() + 1) * step, top + (rows.max() + 1) * step], high, atol=2 * step)


def test_animation_shows_the_turning_mesh(bodies, tmp_path):
    frames, faces, camera = bodies
    animate_meshes(frames, faces, tmp_path / 'a.gif', fps=20, camera=camera, keypoints_2d=walk_2d('h36m', 3))
    durations, images = zip(*frames_of(tmp_path / 'a.gif'))
    assert durations == (50, 50, 50) and (images[0] != images[2]).any(-1).sum() > 500
    animate_meshes(frames[:1], faces, tmp_path / 'b.gif')
    (_, alone), = frames_of(tmp_path / 'b.gif')
    assert alone.shape[1] < images[0].shape[1]


@pytest.mark.parametrize('change, message', [
    (dict(camera=None), 'need a finite camera'), (dict(camera=np.full((3, 3), np.nan)), 'need a finite camera'),
    (dict(camera=np.ones((2, 3))), 'camera has 2 frames'), (dict(keypoints_2d=walk_2d('coco17', 2)), 'has 2 frames'),
    (dict(frames=np.zeros((0, 4, 3))), 'no frames'), (dict(frames=np.full((3, 894, 3), np.nan)), 'NaN')])
def test_what_does_not_fit_is_refused(bodies, tmp_path, change, message):
    frames, faces, camera = bodies
    given = dict(frames=frames, faces=faces, camera=camera, keypoints_2d=walk_2d('coco17', 3), skeleton_2d='coco17')
    with pytest.raises(ValueError, match=message):
        draw_mesh_strip(**{**given, **change})
    with pytest.raises(ValueError, match=message):
        animate_meshes(**{**given, **change}, path=tmp_path / 'a.gif')
    assert not list(tmp_path.iterdir())
