import numpy as np
import pytest

from motionbert_mm.datasets import windows
from motionbert_mm.datasets.windows import WindowPlan

LENGTHS = [1, 2, 7, 8, 9, 10, 13, 26, 27, 28, 61]


def all_frames(plan, rng=None):
    """Clip, frames and whether each frame lies inside, of every window."""
    return plan.frames(np.arange(len(plan)), rng or np.random.default_rng(0))


@pytest.mark.parametrize('tail', ['drop', 'shift', 'pad'])
@pytest.mark.parametrize('stride', [1, 3, 9, 12])
def test_sliding_equals_the_pure_function(stride, tail):
    plan = WindowPlan(LENGTHS, num_frames=9, stride=stride, tail=tail)
    clips, frames, _ = all_frames(plan)
    expected = [windows.sliding_windows(length, 9, stride, tail) for length in LENGTHS]
    np.testing.assert_array_equal(frames, np.concatenate(expected))
    np.testing.assert_array_equal(clips, np.repeat(np.arange(len(LENGTHS)), [len(part) for part in expected]))


@pytest.mark.parametrize('dilation', [1, 2, 5])
@pytest.mark.parametrize('num_frames', [1, 8, 9])
def test_centre_equals_the_pure_function(num_frames, dilation):
    plan = WindowPlan(LENGTHS, num_frames=num_frames, kind='centre', dilation=dilation)
    clips, frames, inside = all_frames(plan)
    np.testing.assert_array_equal(
        frames, np.concatenate([windows.centre_windows(length, num_frames, dilation) for length in LENGTHS]))
    assert np.bincount(clips).tolist() == LENGTHS
    assert inside[:, num_frames // 2].all()


@pytest.mark.parametrize('tail', ['shift', 'pad'])
@pytest.mark.parametrize('stride, dilation', [(4, 1), (9, 1), (5, 3)])
def test_every_frame_is_covered_inside_a_window(stride, dilation, tail):
    plan = WindowPlan(LENGTHS, num_frames=9, stride=stride, dilation=dilation, tail=tail)
    clips, frames, inside = all_frames(plan)
    for clip, length in enumerate(LENGTHS):
        covered = set(frames[clips == clip][inside[clips == clip]].tolist())
        assert covered == set(range(length)) if dilation == 1 else covered <= set(range(length))
        assert (frames[clips == clip] < length).all()


def test_frames_beyond_the_clip_repeat_its_edge_and_are_marked():
    clips, frames, inside = all_frames(WindowPlan([3], num_frames=5))
    assert frames.tolist() == [[0, 1, 2, 2, 2]] and inside.tolist() == [[True, True, True, False, False]]
    _, frames, inside = all_frames(WindowPlan([2], num_frames=3, kind='centre'))
    assert frames.tolist() == [[0, 0, 1], [0, 1, 1]]
    assert inside.tolist() == [[False, True, True], [True, True, False]]


@pytest.mark.parametrize('dilation', [1, 3])
def test_chosen_centres_give_the_windows_of_these_frames(dilation):
    lengths, centres = [5, 30, 4, 12], [[], [3, 29, 7], [0], range(12)]
    plan = WindowPlan(lengths, num_frames=9, kind='centre', dilation=dilation, centres=centres)
    every = WindowPlan(lengths, num_frames=9, kind='centre', dilation=dilation)
    assert len(plan) == 16
    clips, frames, inside = all_frames(plan)
    assert clips.tolist() == [1] * 3 + [2] + [3] * 12 and frames[:, 4].tolist() == [3, 29, 7, 0, *range(12)]
    numbers = np.concatenate([[0, 5, 35, 39][clip] + np.array(part, int) for clip, part in enumerate(centres)])
    for part, whole in zip((clips, frames, inside), every.frames(numbers, None)):
        np.testing.assert_array_equal(part, whole)
    shuffled = np.random.default_rng(0).permutation(16)
    np.testing.assert_array_equal(plan.frames(shuffled, None)[1], frames[shuffled])


def test_no_window_lies_wholly_outside():
    for tail in ('shift', 'pad'):
        assert all_frames(WindowPlan(LENGTHS, num_frames=3, stride=5, tail=tail))[2].any(axis=1).all()


def test_a_one_frame_clip_gives_a_window_of_one_valid_frame():
    _, frames, inside = all_frames(WindowPlan([1], num_frames=9))
    assert frames.tolist() == [[0] * 9] and inside.tolist() == [[True] + [False] * 8]


def test_jitter_starts_up_to_a_stride_later_and_stays_inside():
    plan = WindowPlan([100], num_frames=9, stride=7, jitter=True)
    plain = WindowPlan([100], num_frames=9, stride=7)
    assert len(plan) == len(plain)
    rng = np.random.default_rng(0)
    shifts = np.stack([all_frames(plan, rng)[1][:, 0] - all_frames(plain)[1][:, 0] for _ in range(200)])
    assert set(np.unique(shifts[:, :-2])) == set(range(7))
    assert (shifts >= 0).all() and (shifts[:, -1] == 0).all()
    _, frames, inside = all_frames(plan, rng)
    assert inside.all() and (np.diff(frames, axis=1) == 1).all() and frames.max() < 100


def test_crops_are_one_window_of_each_clip():
    clips, frames, inside = all_frames(WindowPlan([1, 4, 9, 20], num_frames=9, kind='crop'))
    assert clips.tolist() == [0, 1, 2, 3]
    assert [row.sum() for row in inside] == [1, 4, 9, 9]
    assert inside.argmax(axis=1).tolist() == [4, 2, 0, 0]  # in the middle of the padding
    assert frames[1].tolist() == [0, 0, 0, 1, 2, 3, 3, 3, 3]
    assert frames[3].tolist() == list(range(5, 14))


@pytest.mark.parametrize('dilation', [1, 2])
def test_jittered_crops_reach_every_place(dilation):
    plan, rng = WindowPlan([4, 30], num_frames=9, kind='crop', jitter=True, dilation=dilation), np.random.default_rng(0)
    draws = [all_frames(plan, rng) for _ in range(400)]
    span = 8 * dilation + 1
    starts = {int(frames[1, 0]) for _, frames, _ in draws}
    assert starts == set(range(30 - span + 1)) and all(inside[1].all() for _, _, inside in draws)
    if dilation == 1:
        assert {int(inside[0].argmax()) for _, _, inside in draws} == set(range(6))
        assert all(inside[0].sum() == 4 for _, _, inside in draws)
    assert all((np.diff(frames[1]) == dilation).all() for _, frames, _ in draws)


def test_windows_of_whole_clips_are_drawn_from_the_generator():
    for kind, pick in (('uniform', windows.uniform_indices), ('resample', windows.resample_indices)):
        plan = WindowPlan(LENGTHS, num_frames=9, kind=kind, jitter=True)
        assert len(plan) == len(LENGTHS)
        _, frames, inside = all_frames(plan, np.random.default_rng(3))
        rng = np.random.default_rng(3)
        np.testing.assert_array_equal(frames, np.stack([pick(length, 9, rng) for length in LENGTHS]))
        assert inside.all()
        fixed = all_frames(WindowPlan(LENGTHS, num_frames=9, kind=kind), rng)[1]
        np.testing.assert_array_equal(fixed, np.stack([pick(length, 9) for length in LENGTHS]))


@pytest.mark.parametrize('lengths', [LENGTHS, [61, *LENGTHS, 5], [3, 4, 1, 2]])
@pytest.mark.parametrize('stride', [1, 3, 9])
def test_official_equals_the_pure_function(stride, lengths):
    ids = np.repeat(np.arange(len(lengths)), lengths)
    plan = WindowPlan(lengths, num_frames=9, kind='official', stride=stride, seed=5)
    clips, frames, inside = all_frames(plan)
    starts = np.cumsum([0, *lengths])[clips]
    expected = windows.official_clips(ids, 9, stride, np.random.RandomState(5))
    np.testing.assert_array_equal(starts[:, None] + frames, expected)
    assert inside.all()


def test_official_stretched_clips_are_drawn_once():
    plan = WindowPlan([3, 20], num_frames=9, kind='official', stride=9, seed=1)
    first, again = all_frames(plan, np.random.default_rng(0))[1], all_frames(plan, np.random.default_rng(1))[1]
    np.testing.assert_array_equal(first, again)
    draws = {tuple(all_frames(WindowPlan([3, 20], num_frames=9, kind='official', seed=seed))[1][0])
             for seed in range(20)}
    assert len(draws) > 3


def test_official_plans_share_a_random_state():
    rng = np.random.RandomState(0)
    frames = [all_frames(WindowPlan([3, 20], num_frames=9, kind='official', seed=rng))[1][0] for _ in range(2)]
    rng = np.random.RandomState(0)
    expected = [windows.resample_indices(3, 9, rng) for _ in range(2)]
    np.testing.assert_array_equal(frames, expected)
    assert not np.array_equal(*expected)


def test_official_keeps_frames_of_stretched_clips_only():
    plan = WindowPlan([100_000] * 20 + [5], num_frames=9, kind='official', stride=1)
    assert len(plan) == 20 * 99_992
    assert sum(value.nbytes for value in vars(plan).values() if isinstance(value, np.ndarray)) < 1000


def test_any_order_of_numbers_gives_the_same_windows():
    plan = WindowPlan(LENGTHS, num_frames=9, stride=4)
    numbers = np.random.default_rng(0).permutation(len(plan))
    clips, frames, inside = all_frames(plan)
    picked = plan.frames(numbers, np.random.default_rng(0))
    for expected, got in zip((clips, frames, inside), picked):
        np.testing.assert_array_equal(got, expected[numbers])


def test_numbers_out_of_range_are_refused():
    plan = WindowPlan([20], num_frames=9, stride=9)
    for number in (-1, len(plan)):
        with pytest.raises(IndexError, match=f'{number}.*{len(plan)} windows'):
            plan.frames(np.array([0, number]), np.random.default_rng(0))


@pytest.mark.parametrize('options, message', [
    (dict(kind='slidng'), "'slidng'.*'sliding', 'centre'"),
    (dict(tail='wrap'), "'wrap'.*'drop', 'shift', 'pad'"),
    (dict(stride=0), 'stride 0'),
    (dict(dilation=0), 'dilation 0'),
    (dict(num_frames=0), 'num_frames 0'),
    (dict(tail='drop'), r"no clip is as long as a window of 9 frames \(longest: 5\)"),
    (dict(kind='official', jitter=True), "'official' takes every frame .* got dilation 1 and jitter True"),
    (dict(kind='official', dilation=2), "'official' takes every frame .* got dilation 2 and jitter False"),
    (dict(centres=[[0], [1]]), "centres go with kind='centre' .* got kind 'sliding'"),
    (dict(kind='centre', centres=[[0]]), 'got kind .centre. and 1 arrays for 2 clips'),
    (dict(kind='centre', centres=[[0], [2, 3]]), r'centres 2\.\.3 were asked for in clip 1, which has 3 frames'),
    (dict(kind='centre', centres=[[-1], []]), r'centres -1\.\.-1 were asked for in clip 0'),
    (dict(kind='centre', centres=[[], []]), 'no frame of any clip is to be the centre'),
])
def test_meaningless_plans_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        WindowPlan([5, 3], **{'num_frames': 9, **options})
