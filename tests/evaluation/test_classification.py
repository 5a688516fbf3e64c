import numpy as np
import pytest

from motionbert_mm.evaluation import functional as F

SCORES = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
LABELS = np.array([0, 1, 1, 2])


def test_accuracy_by_hand():
    assert [F.top_k_accuracy(SCORES, LABELS, k) for k in (1, 2, 3)] == [50, 100, 100]


def test_of_equal_scores_the_first_class_counts_as_in_the_confusion_matrix():
    scores, labels = np.zeros((6, 3)), np.array([0, 0, 1, 1, 2, 2])
    assert [F.top_k_accuracy(scores, labels, k) for k in (1, 2, 3)] == pytest.approx([100 / 3, 200 / 3, 100])
    confusion = F.confusion_matrix(labels, scores.argmax(axis=1), 3)
    assert 100 * np.trace(confusion) / 6 == pytest.approx(F.top_k_accuracy(scores, labels))


def test_confusion_recall_precision_and_mean_class_accuracy_by_hand():
    confusion = F.confusion_matrix(np.array([0, 0, 0, 1, 2, 2]), np.array([0, 0, 1, 1, 1, 1]), 4)
    assert confusion.tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(F.class_recall(confusion), [200 / 3, 100, 0, np.nan])
    np.testing.assert_allclose(F.class_precision(confusion), [100, 25, np.nan, np.nan])
    assert F.mean_class_accuracy(confusion) == pytest.approx((200 / 3 + 100 + 0) / 3)


def test_every_class_counts_the_same_in_the_mean():
    labels = np.array([0] * 98 + [1, 1])
    confusion = F.confusion_matrix(labels, np.zeros(100, int), 2)
    assert F.mean_class_accuracy(confusion) == 50 and np.trace(confusion) == 98


def test_the_nearest_exemplar_is_found_by_direction_not_length():
    exemplars = np.array([[1.0, 0.0], [0.0, 100.0]])
    found = F.nearest_exemplar(np.array([[0.9, 0.1], [1e-3, 2e-3], [-1, 0.2]]), exemplars, np.array([7, 3]))
    assert found.tolist() == [7, 3, 3]


def test_several_exemplars_decide_one_by_one_or_by_their_mean():
    exemplars, labels = np.array([[1.0, 0.0], [-1.0, 0.1], [0.0, 1.0]]), np.array([0, 0, 1])
    query = np.array([[-1.0, 0.5]])
    assert F.nearest_exemplar(query, exemplars, labels).tolist() == [0]
    # The mean of the unit vectors of class 0 is short and points up, a little to the right.
    assert F.nearest_mean(np.array([[0.2, 0.5], [-0.2, 0.5]]), exemplars, labels).tolist() == [0, 1]
    assert F.nearest_mean(query, np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), labels).tolist() == [1]


def test_with_one_exemplar_for_each_class_both_rules_are_the_same():
    rng = np.random.default_rng(0)
    arguments = rng.normal(size=(50, 8)), rng.normal(size=(6, 8)), rng.permutation(6)
    np.testing.assert_array_equal(F.nearest_mean(*arguments), F.nearest_exemplar(*arguments))


def test_of_equally_near_exemplars_the_first_counts():
    assert F.nearest_exemplar(np.zeros((1, 2)), np.eye(2), np.array([5, 2])).tolist() == [5]


@pytest.mark.parametrize('call, words', [
    (lambda: F.top_k_accuracy(SCORES, LABELS[:3]), r'scores have shape \(4, 3\), 0 of them NaN, labels \(3,\)'),
    (lambda: F.top_k_accuracy(SCORES, LABELS, 4), 'k is 4; .*k from 1 to the number of classes'),
    (lambda: F.top_k_accuracy(np.full((4, 3), np.nan), LABELS), '12 of them NaN'),
    (lambda: F.top_k_accuracy(SCORES, LABELS + 1), 'labels run from 1 to 3, but there are 3 classes'),
    (lambda: F.top_k_accuracy(SCORES, LABELS.astype(float)), r'labels are float64 of shape \(4,\)'),
    (lambda: F.confusion_matrix(LABELS, LABELS[:2], 3), '4 labels and 2 predicted'),
    (lambda: F.confusion_matrix(np.empty(0, int), np.empty(0, int), 3), 'expected .* integers, not none'),
    (lambda: F.confusion_matrix(LABELS, LABELS, 2), 'labels run from 0 to 2, but there are 2 classes'),
    (lambda: F.nearest_exemplar(np.ones((2, 3)), np.ones((2, 4)), np.arange(2)), r'queries have shape \(2, 3\)'),
    (lambda: F.nearest_mean(np.ones((2, 3)), np.ones((0, 3)), np.empty(0, int)), r'exemplars \(0, 3\).*not none'),
])
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
