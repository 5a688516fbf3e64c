"""How well clips are put into classes, by scores or by exemplars.

Of equal scores, and of exemplars that are equally near, the first counts: a class or exemplar of a lower number wins.
The official code leaves that to chance (torch.topk).
"""
from __future__ import annotations

import numpy as np

from motionbert_mm.evaluation.functional.retrieval import unit_features


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int = 1) -> float:
    """Return the share of samples whose label is among the k classes of the highest scores.

    Official: ``accuracy`` in MotionBERT lib/utils/learning.py.

    Args:
        scores: (N, K) probabilities, or anything that grows with them.
        labels: (N,) int in 0..K - 1.
        k: at least 1, at most K.

    Returns:
        Percent.

    Raises:
        ValueError: no sample, shapes that differ, scores that are NaN, a label that is no class, or a k out of range.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    _check_labels(labels, scores.shape[-1])
    if scores.shape[:-1] != labels.shape or np.isnan(scores).any() or not 1 <= k <= scores.shape[1]:
        raise ValueError(f'scores have shape {scores.shape}, {int(np.isnan(scores).sum())} of them NaN, labels '
                         f'{labels.shape} and k is {k}; expected (samples, classes), (samples,) and k from 1 to the '
                         'number of classes')
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    is_before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < labels[:, None]))
    return 100.0 * int((is_before.sum(axis=1) < k).sum()) / len(labels)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count how often a sample of one class was taken for another.

    Args:
        labels: (N,) int in 0..K - 1.
        predicted: (N,) int in 0..K - 1.
        num_classes: K.

    Returns:
        (K, K) int64; the row is the true class, the column the predicted one.

    Raises:
        ValueError: no sample, shapes that differ, or a number that is no class.
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    for numbers in (labels, predicted):
        _check_labels(numbers, num_classes)
    if labels.shape != predicted.shape:
        raise ValueError(f'{len(labels)} labels and {len(predicted)} predicted classes; expected one of each')
    return np.bincount(labels * num_classes + predicted, minlength=num_classes ** 2).reshape(num_classes, num_classes)


def class_recall(confusion: np.ndarray) -> np.ndarray:
    """Return the percentage (K,) of each class's samples that were recognised; NaN for a class without samples."""
    return _percent(np.diagonal(confusion), confusion.sum(axis=1))


def class_precision(confusion: np.ndarray) -> np.ndarray:
    """Return the percentage (K,) of right ones among what was taken for each class; NaN where nothing was."""
    return _percent(np.diagonal(confusion), confusion.sum(axis=0))


def mean_class_accuracy(confusion: np.ndarray) -> float:
    """Return the mean of ``class_recall`` over the classes that have samples: every class counts the same."""
    return float(np.nanmean(class_recall(confusion)))


def nearest_exemplar(queries: np.ndarray, exemplars: np.ndarray, exemplar_labels: np.ndarray) -> np.ndarray:
    """Give each query the label of the exemplar with the highest cosine.

    Official: ``validate`` in MotionBERT train_action_1shot.py, where each class has one exemplar.

    Args:
        queries: (Q, D); the length of a vector does not matter, that of zeros is equally near to all exemplars.
        exemplars: (E, D).
        exemplar_labels: (E,) int.

    Returns:
        (Q,) labels.

    Raises:
        ValueError: no exemplar, or shapes that do not fit.
    """
    exemplars, exemplar_labels = _check_exemplars(queries, exemplars, exemplar_labels)
    return exemplar_labels[(unit_features(queries) @ unit_features(exemplars).T).argmax(axis=1)]


def nearest_mean(queries: np.ndarray, exemplars: np.ndarray, exemplar_labels: np.ndarray) -> np.ndarray:
    """Give each query the label of the class whose mean exemplar has the highest cosine; as ``nearest_exemplar``.

    Exemplars are brought to unit length before they are averaged.
    """
    exemplars, exemplar_labels = _check_exemplars(queries, exemplars, exemplar_labels)
    classes = np.unique(exemplar_labels)
    unit = unit_features(exemplars)
    means = np.stack([unit[exemplar_labels == label].mean(axis=0) for label in classes])
    return nearest_exemplar(queries, means, classes)


# How exemplars decide, by name.
EXEMPLAR_RULES = {'nearest': nearest_exemplar, 'mean': nearest_mean}


def _percent(right: np.ndarray, total: np.ndarray) -> np.ndarray:
    """100 * right / total, NaN where there is nothing."""
    return np.divide(100.0 * right, total, out=np.full(len(total), np.nan), where=total > 0)


def _check_labels(labels: np.ndarray, num_classes: int) -> None:
    if labels.ndim != 1 or not labels.size or labels.dtype.kind not in 'iu':
        raise ValueError(f'labels are {labels.dtype} of shape {labels.shape}, expected (samples,) integers, not none')
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(f'labels run from {labels.min()} to {labels.max()}, but there are {num_classes} classes')


def _check_exemplars(queries: np.ndarray, exemplars: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    exemplars, labels = np.asarray(exemplars), np.asarray(labels)
    if exemplars.ndim != 2 or not len(exemplars) or labels.shape != exemplars.shape[:1] or (
            np.shape(queries)[1:] != exemplars.shape[1:]):
        raise ValueError(f'queries have shape {np.shape(queries)}, exemplars {exemplars.shape} and their labels '
                         f'{labels.shape}; expected (queries, D), (exemplars, D) and (exemplars,), not none')
    return exemplars, labels
