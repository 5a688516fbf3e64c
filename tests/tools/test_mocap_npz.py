import sys

import numpy as np
import pytest

from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.synthetic import generate_clip
from motionbert_mm.geometry.bones import bone_lengths
from motionbert_mm.geometry.camera import project
from motionbert_mm.structures.skeleton import get_skeleton
from tests.generated import load_tool, make_motion

converter = load_tool('dataset_converters/mocap_npz.py')
LENGTHS = (31, 24)


def make_source(path, **changes):
    """World-space clips at 60 fps, in metres."""
    positions = np.concatenate([make_motion(length, seed) for seed, length in enumerate(LENGTHS)]) / 1000
    source = dict(positions=positions.astype(np.float32), clip_start=np.cumsum([0, *LENGTHS]),
                  clip_name=np.array(['train/walk/walk_1', 'train/wave/wave_1']), action=np.array(['walk', 'wave']),
                  fps=np.array(60), root_scale=np.ones(2))
    source.update(changes)
    np.savez(path, **{key: value for key, value in source.items() if value is not None})
    return path


@pytest.fixture
def convert(monkeypatch, tmp_path):
    def run(source, *options, name='store'):
        monkeypatch.setattr(sys, 'argv', ['mocap_npz.py', str(source), str(tmp_path / name), *options])
        converter.main()
        return MotionStore(tmp_path / name)
    return run


def test_every_clip_is_seen_by_four_cameras(convert, tmp_path):
    store = convert(make_source(tmp_path / 'source.npz'))
    assert (store.skeleton, store.fps) == ('h36m', 30.0)
    cameras = [f'azimuth{angle:03d}' for angle in (45, 135, 225, 315)]
    names = [f'{clip}#{camera}' for clip in ('train/walk/walk_1', 'train/wave/wave_1') for camera in cameras]
    assert [clip.name for clip in store.clips] == names
    assert [clip.length for clip in store.clips] == [16] * 4 + [12] * 4
    assert {clip.action for clip in store.clips} == {'walk', 'wave'}
    assert {clip.image_size for clip in store.clips} == {(1000.0, 1002.0)}
    assert {clip.intrinsics for clip in store.clips} == {(1145.0, 1145.0, 512.0, 515.0)}


def test_cameras_see_the_same_motion(convert, tmp_path):
    store = convert(make_source(tmp_path / 'source.npz'))
    points = store.arrays['keypoints_3d'].astype(np.float64)
    intrinsics = np.array(store.clips[0].intrinsics)
    np.testing.assert_allclose(project(points, intrinsics), store.arrays['keypoints_2d'], atol=1e-3)
    expected = bone_lengths(make_motion(LENGTHS[0], 0)[:1], get_skeleton('h36m').limbs)
    for clip in store.clips[:4]:
        first = points[clip.start:clip.start + 1]
        np.testing.assert_allclose(bone_lengths(first, get_skeleton('h36m').limbs), expected, rtol=1e-5)
        assert first[0, 0, 2] == pytest.approx(4500, rel=0.15)


def test_every_second_frame_is_kept_at_half_the_rate(convert, tmp_path):
    source = make_source(tmp_path / 'source.npz')
    half, full = convert(source), convert(source, '--fps', '60', name='full')
    assert full.clips[0].length == 31
    np.testing.assert_allclose(half.arrays['keypoints_3d'][:16], full.arrays['keypoints_3d'][:31:2], atol=0.5)


def test_other_rates_interpolate_in_time():
    clip = np.arange(10.0)[:, None, None] * np.ones((1, 17, 3))
    np.testing.assert_allclose(converter.resample(clip, 60, 25)[:, 0, 0], np.arange(4) * 2.4)
    np.testing.assert_allclose(converter.resample(clip, 30, 60)[:, 0, 0], np.arange(19) / 2)
    assert converter.resample(clip[:1], 60, 30).shape == (1, 17, 3)


def test_noise_is_that_of_the_seed(convert, tmp_path):
    source = make_source(tmp_path / 'source.npz')
    first, again, other = (convert(source, '--seed', seed, name=name)
                           for seed, name in (('1', 'a'), ('1', 'b'), ('2', 'c')))
    np.testing.assert_array_equal(first.arrays['detected_2d'], again.arrays['detected_2d'])
    assert not np.array_equal(first.arrays['detected_2d'], other.arrays['detected_2d'])
    error = np.linalg.norm(first.arrays['detected_2d'] - first.arrays['keypoints_2d'], axis=-1)
    assert np.median(error) == pytest.approx(4.76, abs=0.5)
    plain = convert(source, '--noise', 'none', name='d')
    assert set(plain.arrays) == {'keypoints_3d', 'keypoints_2d'}


POSITIONS = np.concatenate([make_motion(length, seed) for seed, length in enumerate(LENGTHS)]) / 1000


@pytest.mark.parametrize('changes, message', [
    (dict(positions=POSITIONS[:, :16]), r'shape \(55, 16, 3\), expected \(F, 17, 3\) in the order of h36m: root, ri'),
    (dict(positions=POSITIONS * 1000), 'a person is .* high .*must be in metres with z up'),
    (dict(positions=np.where(np.arange(55)[:, None, None] == 7, np.nan, POSITIONS)), 'NaN .*first in frame 7, joint 0'),
    (dict(positions=POSITIONS[:0], clip_start=np.zeros(3, int)), r'shape \(0, 17, 3\)'),
    (dict(clip_start=np.array([0, 31])), 'clip_start must rise from 0 to 55 in 3 steps'),
    (dict(clip_start=np.array([0, 0, 55])), 'clip_start must rise'),
    (dict(fps=None), 'lacks fps; it holds'),
    (dict(action=np.array(['walk'])), 'action has 1 entries, expected one for each of the 2 clips'),
    (dict(fps=np.array(0)), 'fps is 0, expected a positive number'),
    (dict(fps=np.array('30')), 'fps has dtype <U2, expected numbers'),
    (dict(fps=np.array([30.0, 60.0])), 'fps has 2 entries, expected one frame rate'),
    (dict(clip_start=np.array(0)), r'clip_start has shape \(\), expected a list'),
    (dict(clip_name=np.array([]), action=np.array([])), r'clip_name has shape \(0,\), expected a list'),
])
def test_wrong_sources_are_named(convert, tmp_path, changes, message):
    source = make_source(tmp_path / 'source.npz', **changes)
    with pytest.raises(SystemExit, match=message) as exit_info:
        convert(source)
    assert 'source.npz' in str(exit_info.value) and '\n' not in str(exit_info.value)
    assert not (tmp_path / 'store').exists()


@pytest.mark.parametrize('content, message', [(None, 'no such file'), (b'', 'truncated or no .npz'),
                                              (b'PK\x03\x04', 'truncated'), (b'text', 'truncated or no .npz')])
def test_files_that_cannot_be_read_are_named(convert, tmp_path, content, message):
    source = tmp_path / 'source.npz'
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(SystemExit, match=f'source.npz.*{message}'):
        convert(source)


def test_a_truncated_archive_is_named(convert, tmp_path):
    source = make_source(tmp_path / 'source.npz')
    source.write_bytes(source.read_bytes()[:5000])
    with pytest.raises(SystemExit, match='truncated or no .npz'):
        convert(source)


@pytest.mark.parametrize('change, message', [
    (lambda positions: positions[..., [0, 2, 1]], 'z must point up'),
    (lambda positions: positions * [1, 1, -1] + [0, 0, 2], 'z must point up'),
    (lambda positions: positions[:, [*range(6), 16, *range(7, 16), 6]], 'changes its length'),
])
def test_other_axes_and_joint_orders_are_refused(change, message):
    positions = generate_clip(0, num_frames=60).positions / 1000
    converter.check_posture('right', positions, [0, 60])
    with pytest.raises(ValueError, match=message):
        converter.check_posture('wrong', change(positions), [0, 60])
