"""Two tracks whose persons change places."""
import numpy as np
import pytest

from motionbert_mm.geometry.association import exchange, find_swaps


@pytest.fixture
def tracks():
    """Two people 300 px apart who sway by a few pixels a frame: (1, 2, 20, 17, 2)."""
    rng = np.random.default_rng(0)
    bodies = rng.uniform(0, 200, (2, 1, 17, 2)) + np.array([100.0, 400.0])[:, None, None, None]
    return (bodies + np.cumsum(rng.normal(size=(2, 20, 1, 2)) * 3, axis=1))[None]


def swap(tracks, frames):
    """Exchange the persons in some frames."""
    swapped = np.isin(np.arange(tracks.shape[2]), frames)[None]
    return exchange(tracks, swapped), swapped


@pytest.mark.parametrize('frames', [[], range(5, 20), [3], [4, 5, 6, 11], range(1, 20, 2)])
def test_swaps_are_found_and_undone(tracks, frames):
    given, swapped = swap(tracks, frames)
    np.testing.assert_array_equal(find_swaps(given), swapped)
    np.testing.assert_array_equal(find_swaps(given, np.ones(given.shape[:-1], bool)), swapped)
    np.testing.assert_array_equal(exchange(given, find_swaps(given)), tracks)


def test_the_first_frame_says_who_is_who(tracks):
    given, swapped = swap(tracks, range(6))
    np.testing.assert_array_equal(find_swaps(given), ~swapped)


def test_samples_do_not_touch_each_other(tracks):
    batch = np.concatenate([tracks, swap(tracks, [3, 4])[0], swap(tracks, range(9, 20))[0]])
    np.testing.assert_array_equal(find_swaps(batch), np.concatenate([find_swaps(sample[None]) for sample in batch]))


def test_the_first_track_decides_and_equal_distances_change_nothing(tracks):
    given = tracks.copy()
    given[0, 0, 8] = given[0, 1, 8]  # a frame that shows the second person twice
    assert find_swaps(given)[0].tolist() == [False] * 8 + [True] * 12


def test_an_unseen_person_keeps_the_place(tracks):
    seen = np.ones(tracks.shape[:-1], bool)
    seen[0, 0, 6:11] = False
    given = np.where(seen[..., None], tracks, 0.0)
    given[0, 1] -= 150.0  # nearer to 0 than the first person, who seems to jump there and back
    assert find_swaps(given + 50.0 * seen[..., None]).any()
    assert not find_swaps(given + 50.0 * seen[..., None], seen).any()


def test_a_person_who_comes_back_on_the_other_track_is_found(tracks):
    seen = np.ones(tracks.shape[:-1], bool)
    seen[0, 0, 6:11] = False
    given, swapped = swap(np.where(seen[..., None], tracks, 0.0), range(11, 20))
    np.testing.assert_array_equal(find_swaps(given, exchange(seen, swapped)), swapped)


def test_a_person_who_comes_later_does_not_change_places(tracks):
    seen = np.ones(tracks.shape[:-1], bool)
    seen[0, 0, :7] = False
    given = np.where(seen[..., None], tracks[:, ::-1], 0.0)
    assert find_swaps(given).any() and not find_swaps(given, seen).any()


def test_joints_that_one_never_shows_do_not_count(tracks):
    seen = np.ones(tracks.shape[:-1], bool)
    seen[0, 1, :, 2:] = seen[0, 0, 4:7, 2:] = False  # two joints tell the persons apart
    given, swapped = swap(np.where(seen[..., None], tracks, np.nan), [4, 5, 6])
    np.testing.assert_array_equal(find_swaps(given, exchange(seen, swapped)), swapped)


def test_the_distances_of_the_joints_are_added_up():
    before = np.array([[[0.0, 0.0], [0.0, 0.0]], [[-2.0, 0.0], [3.0, 0.0]]])  # (2, J, 2)
    after = np.array([[[3.0, 0.0], [3.0, 0.0]], [[9.0, 9.0], [9.0, 9.0]]])  # 3 and 3 to itself, 5 and 0 to the other
    assert find_swaps(np.stack([before, after], axis=1)[None]).tolist() == [[False, True]]


def test_an_absent_person_changes_places_with_nobody(tracks):
    seen = np.ones(tracks.shape[:-1], bool)
    seen[0, 1] = False
    assert not find_swaps(np.where(seen[..., None], tracks, 0.0), seen).any()


def test_a_single_frame_is_its_own_reference(tracks):
    assert find_swaps(tracks[:, :, :1]).tolist() == [[False]]


def test_any_array_of_persons_is_exchanged(tracks):
    swapped = np.arange(20)[None] > 9
    flags = np.stack([np.zeros((1, 20), bool), np.ones((1, 20), bool)], axis=1)
    np.testing.assert_array_equal(exchange(flags, swapped), np.stack([swapped, ~swapped], axis=1))
    assert exchange(flags, swapped).dtype == bool
