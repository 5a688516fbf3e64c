from itertools import permutations

import numpy as np
import pytest

from motionbert_mm.evaluation.functional import retrieval
from motionbert_mm.evaluation.functional.retrieval import (
    chance_places,
    find_places,
    median_rank,
    recall_at,
    retrieve,
    unit_features,
)


def test_ranks_and_recall_of_a_hand_made_table():
    # The right candidate is the one of the same number: ranks 1, 3, 2 and 4.
    similarity = [[0.9, 0.1, 0.2, 0.3], [0.5, 0.4, 0.1, 0.6], [0.0, 0.1, 0.7, 0.8], [0.4, 0.3, 0.2, 0.1]]
    places = find_places(similarity, np.eye(4))
    assert places.ranks.tolist() == [1, 3, 2, 4]
    assert [recall_at(places, count) for count in (1, 2, 3, 4, 10)] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    assert median_rank(places) == 2.5


def test_the_best_of_several_right_candidates_counts():
    places = find_places([[0.9, 0.8, 0.7, 0.6]], [[False, False, True, True]])
    assert places.ranks.tolist() == [3]
    assert (recall_at(places, 2), recall_at(places, 3)) == (0, 1)


@pytest.mark.parametrize('similarity, is_right', [
    ([3, 2, 2, 2, 1], [0, 1, 0, 0, 0]), ([3, 2, 2, 2, 1], [0, 1, 1, 0, 0]), ([2, 2, 2, 2, 2], [0, 0, 0, 0, 1]),
    ([2, 2, 2, 2, 2], [1, 0, 1, 0, 1]), ([1, 5, 5, 5, 4], [1, 1, 0, 0, 1]), ([5, 5, 1, 1, 0], [1, 1, 0, 1, 0])])
def test_equal_candidates_count_as_the_mean_of_all_their_orders(similarity, is_right):
    similarity, is_right = np.array(similarity, float), np.array(is_right, bool)
    first = []
    for order in map(list, permutations(range(5))):
        if (np.diff(similarity[order]) <= 0).all():
            first.append(np.flatnonzero(is_right[order])[0] + 1)
    places = find_places(similarity[None], is_right[None])
    assert places.ranks[0] == pytest.approx(np.mean(first))
    for count in range(1, 6):
        assert recall_at(places, count) == pytest.approx(np.mean(np.array(first) <= count))


def test_features_that_are_all_alike_are_at_chance():
    ids = [f'clip {number // 2}' for number in range(20)]
    same = np.ones((20, 3)) + np.random.default_rng(0).normal(size=(20, 3)) * 1e-8
    found, guessed = retrieve(unit_features(same), unit_features(same), ids, ids), chance_places(ids, ids)
    for count, expected in ((1, 2 / 20), (5, 1 - 15 * 14 / (20 * 19)), (19, 1.0)):
        assert recall_at(found, count) == pytest.approx(recall_at(guessed, count)) == pytest.approx(expected)
    assert median_rank(found) == median_rank(guessed) == 7  # of two among twenty: 21 / 3


def test_chance_in_a_large_gallery_is_exact():
    numbers = np.arange(5000)
    assert recall_at(chance_places(numbers[:3], numbers), 10) == pytest.approx(10 / 5000, rel=1e-6)
    assert median_rank(chance_places(numbers[:3], numbers)) == 2500.5


def test_queries_are_compared_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    queries, gallery = unit_features(rng.normal(size=(10, 4))), unit_features(rng.normal(size=(7, 4)))
    asked, known = rng.integers(3, size=10), np.array([0, 1, 2, 0, 1, 2, 0])
    expected = find_places(queries @ gallery.T, asked[:, None] == known)
    monkeypatch.setattr(retrieval, 'BLOCK', 3)
    np.testing.assert_array_equal(retrieve(queries, gallery, asked, known).ranks, expected.ranks)


def test_unit_features_have_unit_length_and_no_mean():
    features = np.random.default_rng(0).normal(size=(50, 4)) + [5.0, 0, 0, 0]
    np.testing.assert_allclose(np.linalg.norm(unit_features(features), axis=1), 1)
    centred = unit_features(features, centred=True)
    np.testing.assert_allclose(np.linalg.norm(centred, axis=1), 1)
    assert unit_features(features).mean(0)[0] > 0.9 and abs(centred.mean(0)[0]) < 0.3
    alike = np.ones((3, 2)) + [[0.0, 1e-8], [0.0, 0.0], [1e-8, 0.0]]
    assert (unit_features(alike, centred=True) == 0).all()


def test_a_gap_between_modalities_is_undone_by_their_means():
    motion = np.random.default_rng(0).normal(size=(30, 8))
    first, second = motion + 20 * np.eye(8)[0], motion + 20 * np.eye(8)[1] + 3 * np.ones(8)
    ids = np.arange(30)
    for centred, least, most in ((False, 0.0, 0.9), (True, 0.95, 1.0)):
        places = retrieve(unit_features(first, centred=centred), unit_features(second, centred=centred), ids, ids)
        assert least <= recall_at(places, 1) <= most


@pytest.mark.parametrize('similarity, is_right, message', [
    (np.zeros((2, 3)), np.zeros((3, 2)), r'shape \(2, 3\) and is_right \(3, 2\)'),
    ([[np.nan, 1.0]], [[True, False]], '1 of 1 queries have a similarity that is NaN'),
    (np.zeros((2, 2)), [[True, False], [False, False]], '1 of 2 queries have no right candidate')])
def test_bad_tables_are_refused(similarity, is_right, message):
    with pytest.raises(ValueError, match=message):
        find_places(similarity, is_right)


def test_recall_among_no_candidates_is_refused():
    with pytest.raises(ValueError, match='the first 1 or more candidates, got 0'):
        recall_at(find_places([[1.0]], [[True]]), 0)
