import numpy as np
import pytest
import torch

from motionbert_mm.evaluation import functional as F


def make_window(name, frames, offset=0.0, **extra):
    frames = np.asarray(frames)
    points = np.broadcast_to((frames + offset)[None, :, None, None], (1, len(frames), 17, 3)).astype(np.float32)
    return dict(sample_id=name, frame_ids=frames, keypoints_3d=torch.from_numpy(points.copy()), **extra)


def test_merge_frames_averages_rows_of_a_frame_without_nan():
    values = np.array([1.0, 5.0, np.nan, 3.0, np.nan], np.float32)
    frames, means = F.merge_frames(np.array([7, 2, 7, 7, 9]), values)
    assert frames.tolist() == [2, 7, 9] and means.dtype == np.float32
    np.testing.assert_array_equal(means, np.array([5, 2, np.nan], np.float32))


def test_merge_frames_sorts_rows_without_overlap():
    frames, means = F.merge_frames(np.array([3, 1, 2]), np.array([[3.0], [1.0], [2.0]]))
    assert frames.tolist() == [1, 2, 3] and means[:, 0].tolist() == [1.0, 2.0, 3.0]


def test_merge_windows_joins_each_sequence():
    windows = [make_window('a', range(4)), make_window('b', range(3)), make_window('a', range(2, 6), offset=1.0)]
    merged = F.merge_windows(windows)
    frames, points = merged['a']
    assert set(merged) == {'a', 'b'} and frames.tolist() == list(range(6))
    assert points.shape == (1, 6, 17, 3) and points.dtype == np.float32
    assert points[0, :, 0, 0].tolist() == [0, 1, 2.5, 3.5, 5, 6]


def test_merge_windows_counts_a_repeated_window_once():
    windows = [make_window('a', range(4)), make_window('a', range(2, 6), offset=1.0)]
    once, twice = (F.merge_windows(windows + copies)['a'][1] for copies in ([], [windows[1], windows[1]]))
    np.testing.assert_array_equal(once, twice)


def test_merge_windows_drops_padded_copies_but_keeps_frames_that_nothing_else_shows():
    window = make_window('a', [4, 5, 5, 5, 6])
    window['keypoints_3d'][:, 2:4] = 1000.0
    window['visible'] = torch.ones(1, 5, 17, dtype=torch.bool)
    window['visible'][:, 2:] = False
    frames, points = F.merge_windows([window])['a']
    assert frames.tolist() == [4, 5, 6] and points[0, :, 0, 0].tolist() == [4, 5, 6]


def test_merge_windows_takes_other_fields_and_refuses_frames_that_do_not_fit():
    window = dict(sample_id='a', frame_ids=[0, 1], scores=np.ones((2, 2, 5)))
    assert F.merge_windows([window], field='scores')['a'][1].shape == (2, 2, 5)
    with pytest.raises(ValueError, match='a: scores has 2 frames on axis 1 but frame_ids 3'):
        F.merge_windows([{**window, 'frame_ids': [0, 1, 2]}], field='scores')
