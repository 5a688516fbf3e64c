import itertools

import numpy as np
import pytest

from motionbert_mm.evaluation.functional.segments import (
    LEAST_SCORE,
    UNKNOWN,
    Segment,
    find_runs,
    find_segments,
)


def one_hot(labels, num_classes=3, sure=0.8):
    """Scores (F, K) whose best classes are ``labels``; -1 is a frame without a label."""
    labels = np.asarray(labels)
    scores = np.full((len(labels), num_classes), (1 - sure) / (num_classes - 1))
    scores[np.arange(len(labels)), labels] = sure
    scores[labels < 0] = np.nan
    return scores


def spans(segments):
    return [(segment.start, segment.end, segment.label) for segment in segments]


def test_segments_follow_the_best_class():
    segments = find_segments(one_hot([0] * 4 + [2] * 3 + [0] * 2))
    assert spans(segments) == [(0, 4, 0), (4, 7, 2), (7, 9, 0)]
    np.testing.assert_allclose([segment.score for segment in segments], 0.8)


def test_a_score_is_the_mean_over_the_frames():
    assert find_segments(np.array([[0.6, 0.4], [0.8, 0.2]])) == [Segment(0, 2, 0, pytest.approx(0.7))]


@pytest.mark.parametrize('seed', range(20))
@pytest.mark.parametrize('min_frames', [1, 4, 9])
def test_segments_cover_what_has_a_label_in_order(seed, min_frames):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.full(4, 0.3), size=80)
    scores = np.stack([np.convolve(column, np.ones(3) / 3, 'same') for column in scores.T], axis=1)
    for start in rng.integers(80, size=2):
        scores[start:start + rng.integers(12)] = np.nan
    segments = find_segments(scores, min_frames=min_frames, threshold=0.3)
    covered = np.zeros(80, int)
    for segment in segments:
        covered[segment.start:segment.end] += 1
    np.testing.assert_array_equal(covered, ~np.isnan(scores[:, 0]))
    stretches = find_runs(covered == 1, is_true=True)
    for before, after in zip(segments, segments[1:]):
        assert before.end <= after.start
        assert before.end < after.start or before.label != after.label
    for segment in segments:
        assert segment.end - segment.start >= min_frames or (segment.start, segment.end) in stretches
        assert (segment.label == UNKNOWN) == (segment.score < 0.3)
        if segment.label != UNKNOWN:
            np.testing.assert_allclose(segment.score, scores[segment.start:segment.end, segment.label].mean())


def test_short_runs_go_to_the_better_neighbour():
    scores = one_hot([0] * 6 + [1] * 2 + [2] * 6)
    scores[6:8] = [0.1, 0.6, 0.3]
    assert spans(find_segments(scores, min_frames=3)) == [(0, 6, 0), (6, 14, 2)]
    scores[6:8] = [0.3, 0.6, 0.1]
    assert spans(find_segments(scores, min_frames=3)) == [(0, 8, 0), (8, 14, 2)]


def test_a_short_run_amid_one_class_joins_both_sides():
    assert spans(find_segments(one_hot([0] * 5 + [1] * 2 + [0] * 5), min_frames=3)) == [(0, 12, 0)]


def test_the_shortest_run_goes_first():
    # Were the run of two given away first, it would take the single frame of class 2 along to class 0.
    scores = one_hot([0] * 5 + [1] * 2 + [2] + [1] * 5)
    assert spans(find_segments(scores, min_frames=4)) == [(0, 5, 0), (5, 13, 1)]


def test_a_stretch_shorter_than_a_segment_stays_alone():
    scores = one_hot([0] * 5 + [-1] * 2 + [1] * 2 + [-1] + [2] * 5)
    assert spans(find_segments(scores, min_frames=4)) == [(0, 5, 0), (7, 9, 1), (10, 15, 2)]


def test_unsure_runs_become_one_unknown_segment():
    scores = np.concatenate([one_hot([0] * 4), one_hot([1] * 4 + [2] * 2, sure=0.4)])
    known, unknown = find_segments(scores, threshold=0.5)
    assert (known.start, known.end, known.label) == (0, 4, 0)
    assert unknown == Segment(4, 10, UNKNOWN, pytest.approx(0.4))
    assert spans(find_segments(scores, threshold=0.4 - 1e-9)) == [(0, 4, 0), (4, 8, 1), (8, 10, 2)]


def test_nothing_has_no_segments():
    assert find_segments(np.empty((0, 3))) == [] and find_segments(np.full((4, 3), np.nan)) == []


@pytest.mark.parametrize('scores', [np.zeros(3), np.empty((3, 0)), [[0.1, np.nan]], [[np.inf, 0.0]]])
def test_other_arrays_are_refused(scores):
    with pytest.raises(ValueError, match='scores h(ave shape|old infinity)'):
        find_segments(np.array(scores))


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('cost', [0.3, 2.0])
def test_labels_are_the_best_after_the_cost_of_changes(seed, cost):
    scores = np.random.default_rng(seed).dirichlet(np.full(3, 0.5), size=6)

    def value(labels):
        changes = sum(first != second for first, second in zip(labels, labels[1:]))
        return np.log(np.maximum(scores[range(6), labels], LEAST_SCORE)).sum() - cost * changes

    best = max(itertools.product(range(3), repeat=6), key=value)
    expected = [(start, end, best[start]) for start, end in find_runs(np.array(best))]
    assert spans(find_segments(scores, change_cost=cost)) == expected


def test_an_undecided_stretch_is_labelled_as_its_surroundings():
    scores = one_hot([0] * 30 + [1] * 20 + [2] * 30)
    scores[30:50] = [0.25, 0.4, 0.35]
    assert spans(find_segments(scores)) == [(0, 30, 0), (30, 50, 1), (50, 80, 2)]
    assert spans(find_segments(scores, change_cost=10.0)) == [(0, 30, 0), (30, 80, 2)]
    scores[30:50] = [0.05, 0.9, 0.05]
    assert len(find_segments(scores, change_cost=10.0)) == 3
    with pytest.raises(ValueError, match='change_cost is -1, expected nats, 0 or more'):
        find_segments(scores, change_cost=-1)
