import sys

import numpy as np
import pytest
from PIL import Image

from motionbert_mm.structures.skeleton import get_skeleton
from motionbert_mm.structures.skeleton_table import SKELETONS
from motionbert_mm.visualization import draw_strip, draw_views
from motionbert_mm.visualization.artists import COLORS, SkeletonArtist, nice_step, view_axes
from tests.io.body import walk, walk_2d


def hexes(colors):
    from matplotlib.colors import to_hex
    return [to_hex(color).upper() for color in colors]


def test_the_person_stands_upright_in_front_and_side_view():
    pose = walk('h36m', 1)[0]
    head, ankle = get_skeleton('h36m').index('head'), get_skeleton('h36m').index('left_ankle')
    for view in ('front', 'side'):
        seen = pose @ view_axes(view).T
        assert seen[head, 1] - seen[ankle, 1] > 1400


@pytest.mark.parametrize('view, right, up', [('front', (1, 0, 0), (0, -1, 0)), ('side', (0, 0, 1), (0, -1, 0)),
                                             ('top', (1, 0, 0), (0, 0, 1))])
def test_view_directions(view, right, up):
    axes = view_axes(view)
    np.testing.assert_allclose(axes[:2], [right, up], atol=1e-12)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)  # nothing is mirrored


def test_nothing_but_the_side_decides_the_colour():
    axes = draw_views(walk('h36m', 1)[0], 'h36m').axes[0]
    skeleton = get_skeleton('h36m')
    artist = SkeletonArtist(axes, skeleton)
    for joint, name in enumerate(skeleton.joints):
        side = name.split('_')[0] if '_' in name else 'middle'
        assert hexes([artist.joint_colors[joint]]) == [COLORS[side].upper()]


def test_near_limbs_are_drawn_last():
    skeleton = get_skeleton('h36m')
    axes = draw_views(walk('h36m', 1)[0], 'h36m').axes[0]
    artist = SkeletonArtist(axes, skeleton)
    nearness = np.arange(17.0)
    artist.move(np.zeros((17, 2)), nearness=nearness)
    first, last = hexes(artist.lines.get_colors()[[0, -1]])
    assert first == COLORS['right'].upper()  # root to right hip, the lowest joint numbers
    assert last == COLORS['right'].upper()  # right elbow to right wrist, the highest


def test_unsure_joints_are_hollow():
    axes = draw_views(walk('h36m', 1)[0], 'h36m').axes[0]
    artist = SkeletonArtist(axes, get_skeleton('h36m'))
    artist.move(np.zeros((17, 2)), confidence=np.array([0.1] + [0.9] * 16))
    faces = hexes(artist.dots.get_facecolor())
    assert faces[0] == '#FFFFFF' and faces[1] == COLORS['right'].upper()


def test_views_share_one_scale_and_have_equal_aspect():
    figure = draw_views(walk('h36m', 1)[0], 'h36m')
    figure.canvas.draw()
    scales = [axes.get_window_extent().width / np.diff(axes.get_xlim())[0] for axes in figure.axes]
    heights = [axes.get_window_extent().height / np.diff(axes.get_ylim())[0] for axes in figure.axes]
    assert len(figure.axes) == 3
    np.testing.assert_allclose(scales + heights, scales[0], rtol=1e-6)
    assert [axes.get_title() for axes in figure.axes] == ['front', 'side', 'top']
    assert figure.axes[0].get_xlabel() == 'right, x (mm)'


@pytest.mark.parametrize('name', list(SKELETONS))
def test_every_skeleton_can_be_drawn(name, tmp_path):
    draw_views(walk(name, 1)[0], name, path=tmp_path / 'a.png')
    assert Image.open(tmp_path / 'a.png').size[0] > 500


def test_error_of_a_pose_is_in_the_title():
    pose = walk('h36m', 1)[0]
    figure = draw_views(pose + [3, 4, 0], 'h36m', ground_truth=pose, title='clip')
    assert figure._suptitle.get_text() == 'clip   mean error 5.0 mm'


def test_strip_titles_give_frame_and_root_relative_error():
    motion, truth = walk('h36m', 12), walk('h36m', 12) + 1000.0
    motion[:, 1] += [0, 34, 0]
    figure = draw_strip(motion, 'h36m', ground_truth=truth, frame_ids=range(50, 62), num_poses=3)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ['frame 50\n2.0 mm', 'frame 56\n2.0 mm', 'frame 61\n2.0 mm']


def test_strip_with_input_has_three_rows_and_a_file(tmp_path):
    confidence = np.ones((12, 26))
    confidence[0, 0] = 0
    figure = draw_strip(walk('h36m', 12), 'h36m', keypoints_2d=walk_2d('halpe26', 12), confidence=confidence,
                        skeleton_2d='halpe26', num_poses=4, path=tmp_path / 'strip.png', title='walk')
    assert len(figure.axes) == 12
    top, bottom = figure.axes[0].get_ylim()
    assert top > bottom  # pixels grow downwards
    assert any('confidence' in text.get_text() for text in figure.legends[0].get_texts())
    assert Image.open(tmp_path / 'strip.png').size[0] > 800
    assert [path.name for path in tmp_path.iterdir()] == ['strip.png']


def test_joints_that_were_filled_in_are_hollow():
    filled = np.zeros((12, 17), bool)
    filled[0, 13] = True
    figure = draw_strip(walk('h36m', 12), 'h36m', filled=filled, num_poses=2)
    for number, axes in enumerate(figure.axes):  # two views of two frames
        dots = next(part for part in axes.collections if len(part.get_offsets()) == 17)
        is_white = (dots.get_facecolor() == 1).all(axis=1)
        assert np.flatnonzero(is_white).tolist() == ([13] if number % 2 == 0 else [])
    assert any('confidence' in text.get_text() for text in figure.legends[0].get_texts())


def test_strip_of_one_frame_has_one_column():
    assert len(draw_strip(walk('h36m', 1), 'h36m').axes) == 2


@pytest.mark.parametrize('call, message', [
    (lambda: draw_views(np.zeros((16, 3)), 'h36m'), r'points has shape \(1, 16, 3\), expected \(\.\.\., 17, 3\)'),
    (lambda: draw_views(np.full((17, 3), np.nan), 'h36m'), 'points holds NaN'),
    (lambda: draw_strip(np.zeros((0, 17, 3)), 'h36m'), r'motion has shape \(0, 17, 3\)'),
    (lambda: draw_strip(np.zeros((1, 2, 17, 3)), 'h36m'), 'one person'),
    (lambda: draw_strip(walk('h36m', 4), 'h36m', ground_truth=walk('h36m', 5)),
     'ground_truth has 5 frames, motion has 4'),
    (lambda: draw_strip(walk('h36m', 4), 'h36m', keypoints_2d=walk_2d('coco17', 5)), 'keypoints_2d has 5 frames'),
    (lambda: draw_strip(walk('h36m', 4), 'h36m', keypoints_2d=walk_2d('halpe26', 4)), "skeleton 'h36m'"),
])
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize('span, step', [(1000, 200), (900, 200), (590, 100), (60, 20), (299, 50), (3, 1)])
def test_grid_steps_are_round(span, step):
    assert nice_step(span) == step


def test_pyplot_is_never_loaded():
    loaded = 'matplotlib.pyplot' in sys.modules
    draw_strip(walk('h36m', 3), 'h36m')
    assert ('matplotlib.pyplot' in sys.modules) == loaded
