import numpy as np
import pytest

from motionbert_mm.datasets import windows

LENGTHS = [1, 2, 8, 9, 10, 13, 30]
RNGS = [np.random.default_rng, np.random.RandomState]


@pytest.mark.parametrize('length', LENGTHS)
@pytest.mark.parametrize('stride', [1, 4, 9])
@pytest.mark.parametrize('tail', ['shift', 'pad'])
def test_sliding_windows_cover_every_frame(length, stride, tail):
    indices = windows.sliding_windows(length, 9, stride, tail)
    assert indices.shape[1] == 9
    assert set(indices.ravel().tolist()) == set(range(length))


@pytest.mark.parametrize('length', LENGTHS)
@pytest.mark.parametrize('stride', [1, 4, 12])
def test_dropped_tails_leave_whole_windows_only(length, stride):
    indices = windows.sliding_windows(length, 9, stride)
    assert indices.shape == (len(range(0, length - 8, stride)), 9)
    assert (np.diff(indices, axis=1) == 1).all()
    assert (np.diff(indices[:, 0]) == stride).all()


def test_tails_by_hand():
    assert windows.sliding_windows(7, 3, 3)[:, 0].tolist() == [0, 3]
    assert windows.sliding_windows(7, 3, 3, 'shift').tolist() == [[0, 1, 2], [3, 4, 5], [4, 5, 6]]
    assert windows.sliding_windows(7, 3, 3, 'pad').tolist() == [[0, 1, 2], [3, 4, 5], [6, 6, 6]]
    assert windows.sliding_windows(2, 3, 3, 'shift').tolist() == [[0, 1, 1]]


@pytest.mark.parametrize('tail', ['shift', 'pad'])
def test_exact_fit_needs_no_tail(tail):
    np.testing.assert_array_equal(windows.sliding_windows(12, 4, 4, tail), windows.sliding_windows(12, 4, 4))


def test_a_stride_above_the_window_does_not_step_over_the_end():
    assert windows.sliding_windows(10, 3, 5, 'pad')[:, 0].tolist() == [0, 5]


@pytest.mark.parametrize('length', LENGTHS)
@pytest.mark.parametrize('dilation', [1, 2, 5])
def test_every_frame_is_the_centre_of_one_window(length, dilation):
    indices = windows.centre_windows(length, 9, dilation)
    assert indices.shape == (length, 9)
    assert indices[:, 4].tolist() == list(range(length))
    assert indices.min() >= 0 and indices.max() < length


def test_centre_windows_by_hand():
    assert windows.centre_windows(5, 3, 2).tolist() == [[0, 0, 2], [0, 1, 3], [0, 2, 4], [1, 3, 4], [2, 4, 4]]


@pytest.mark.parametrize('sample', [windows.uniform_indices, windows.resample_indices])
@pytest.mark.parametrize('make_rng', [lambda seed: None, *RNGS])
@pytest.mark.parametrize('length', LENGTHS)
def test_resampled_frames_ascend_inside_the_sequence(sample, make_rng, length):
    indices = sample(length, 9, make_rng(0))
    assert indices.shape == (9,) and indices.dtype == np.int64
    assert (np.diff(indices) >= 0).all()
    assert indices[0] >= 0 and indices[-1] < length


def test_uniform_takes_one_frame_of_each_segment():
    assert windows.uniform_indices(20, 4).tolist() == [2, 7, 12, 17]
    drawn = np.stack([windows.uniform_indices(20, 4, np.random.default_rng(seed)) for seed in range(200)])
    assert (drawn // 5 == np.arange(4)).all()
    assert {tuple(np.unique(column % 5)) for column in drawn.T} == {(0, 1, 2, 3, 4)}


def test_as_many_frames_as_wanted_are_kept():
    assert windows.uniform_indices(9, 9).tolist() == list(range(9))
    assert windows.resample_indices(9, 9).tolist() == list(range(9))


@pytest.mark.parametrize('sample, options', [(windows.uniform_indices, {}), (windows.resample_indices, {}),
                                             (windows.resample_indices, dict(replay=True))])
def test_many_lengths_give_the_rows_of_each(sample, options):
    lengths = np.array([30, 2, 9, 1, 13, 8])
    rows = sample(lengths, 9, **options)
    assert rows.shape == (6, 9) and rows.dtype == np.int64
    np.testing.assert_array_equal(rows, [sample(length, 9, **options) for length in lengths])
    assert sample(lengths[:0], 9, np.random.default_rng(0), **options).shape == (0, 9)


@pytest.mark.parametrize('make_rng', RNGS)
@pytest.mark.parametrize('sample, order', [(windows.uniform_indices, [0, 1, 2, 3, 4, 5]),
                                           (windows.resample_indices, [1, 3, 5, 0, 2, 4])])
def test_many_lengths_draw_like_one_after_the_other(make_rng, sample, order):
    lengths = np.array([30, 2, 9, 1, 13, 8])
    rows, rng = sample(lengths, 9, make_rng(4)), make_rng(4)
    # Resampling draws for those that are stretched first.
    for place in order:
        np.testing.assert_array_equal(rows[place], sample(lengths[place], 9, rng))


def test_equal_lengths_are_drawn_independently():
    for sample, options in ((windows.uniform_indices, {}), (windows.resample_indices, {}),
                            (windows.resample_indices, dict(replay=True))):
        rows = sample(np.array([40] * 6), 9, np.random.default_rng(0), **options)
        assert len({tuple(row) for row in rows.tolist()}) == 6
        assert (rows >= 0).all() and (rows < 40).all()


def test_replay_keeps_the_speed():
    assert windows.resample_indices(3, 8, replay=True).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    run = windows.resample_indices(50, 8, np.random.default_rng(0), replay=True)
    assert (np.diff(run) == 1).all() and run[-1] < 50


def test_official_clips_by_hand():
    ids = ['long'] * 7 + ['short'] * 2 + ['last'] * 2
    clips = windows.official_clips(ids, 3, 2, np.random.default_rng(0))
    assert clips[:3, 0].tolist() == [0, 2, 4]
    assert (np.diff(clips[:3], axis=1) == 1).all()
    assert len(clips) == 4 and set(clips[3].tolist()) <= {7, 8}  # the last sequence is short and dropped


def test_official_clips_stretch_an_id_once_only():
    clips = windows.official_clips([1, 1, 2, 2, 1, 1, 3], 3, 1, np.random.default_rng(0))
    assert [set(clip) <= frames for clip, frames in zip(clips.tolist(), ({0, 1}, {2, 3}))] == [True, True]
    assert len(clips) == 2


@pytest.mark.parametrize('call, message', [
    (lambda: windows.sliding_windows(0, 9, 1), 'length must be at least 1, got 0'),
    (lambda: windows.sliding_windows(9, 9, 0), 'stride must be at least 1, got 0'),
    (lambda: windows.sliding_windows(9, 9, 1, 'wrap'), "'wrap'"),
    (lambda: windows.centre_windows(9, 0), 'num_frames must be at least 1, got 0'),
    (lambda: windows.resample_indices(0, 9), 'length must be at least 1, got 0'),
    (lambda: windows.resample_indices(np.array([3, 0, 5]), 9), 'length must be at least 1, got 0'),
    (lambda: windows.uniform_indices(np.array([3, -2, 0]), 9), 'length must be at least 1, got -2'),
    (lambda: windows.official_clips([], 9, 1, np.random.default_rng(0)), 'length must be at least 1, got 0'),
])
def test_meaningless_numbers_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
