"""How well queries find what belongs to them in a gallery of candidates.

Candidates that are equally similar to a query stand in no order; they count as if they were shuffled. A model whose
features are all alike is therefore at the level of chance, neither above nor below it.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

# Similarities closer than this are equal: cosines of float32 features are hardly known better.
TOLERANCE = 1e-6
BLOCK = 1024  # queries that are compared with the gallery at a time


@dataclass(frozen=True)
class Places:
    """Where the best right candidate of each of Q queries stands.

    Attributes:
        before: (Q,) wrong candidates that are more similar to the query.
        beside: (Q,) wrong candidates that are as similar as the best right one.
        right: (Q,) right candidates that are as similar as the best right one, itself included.
    """

    before: np.ndarray
    beside: np.ndarray
    right: np.ndarray

    @property
    def ranks(self) -> np.ndarray:
        """Rank (Q,) of the best right candidate, from 1, its mean over all orders of equal candidates."""
        return self.before + (self.beside + self.right + 1) / (self.right + 1)


def find_places(similarity: np.ndarray, is_right: np.ndarray, tolerance: float = TOLERANCE) -> Places:
    """Find the best right candidate of every query.

    Args:
        similarity: (Q, G), larger is more similar.
        is_right: (Q, G) bool.
        tolerance: similarities that differ by no more are equal.

    Raises:
        ValueError: shapes that differ, similarities that are NaN, or queries without a right candidate.
    """
    similarity, is_right = np.asarray(similarity), np.asarray(is_right, bool)
    if similarity.ndim != 2 or similarity.shape != is_right.shape:
        raise ValueError(f'similarity has shape {similarity.shape} and is_right {is_right.shape}; expected (queries, '
                         'candidates) for both')
    if np.isnan(similarity).any():
        raise ValueError(f'{int(np.isnan(similarity).any(axis=1).sum())} of {len(similarity)} queries have a '
                         'similarity that is NaN; the features are not finite')
    if not is_right.any(axis=1).all():
        raise ValueError(f'{int((~is_right.any(axis=1)).sum())} of {len(similarity)} queries have no right candidate; '
                         'leave them out, or add what belongs to them to the gallery')
    best = np.where(is_right, similarity, -np.inf).max(axis=1, keepdims=True)
    is_before = (similarity > best + tolerance) & ~is_right
    is_beside = np.abs(similarity - best) <= tolerance
    return Places(is_before.sum(axis=1), (is_beside & ~is_right).sum(axis=1), (is_beside & is_right).sum(axis=1))


def recall_at(places: Places, count: int) -> float:
    """Return the share of the queries with a right candidate among the first ``count``, in 0..1 (R@count).

    A query whose best right candidate is equal to others counts with its probability to be among the first in a random
    order of these.
    """
    if count < 1:
        raise ValueError(f'recall is measured among the first 1 or more candidates, got {count}')
    equal = places.beside + places.right
    drawn = np.clip(count - places.before, 0, equal)  # how many of the equal candidates are among the first
    is_possible = drawn <= places.beside  # that all of these are wrong
    left = np.where(is_possible, places.beside - drawn, 0)
    all_wrong = np.exp(gammaln(places.beside + 1) - gammaln(left + 1) + gammaln(equal - drawn + 1) - gammaln(equal + 1))
    return float(np.where(is_possible, 1 - all_wrong, 1.0).mean())


def median_rank(places: Places) -> float:
    """Return the median over the queries of the rank of the best right candidate, from 1."""
    return float(np.median(places.ranks))


def unit_features(features: np.ndarray, *, centred: bool = False) -> np.ndarray:
    """Scale features (N, D) to unit length.

    Args:
        features: one row per sample.
        centred: subtract the mean of the unit features of all samples first, and scale again: two modalities may each
            keep to a place of its own.

    Returns:
        (N, D) float64 of unit length, or zero where nothing but rounding errors is left.
    """
    unit = _scaled(np.asarray(features, np.float64), 0.0)
    return _scaled(unit - unit.mean(axis=0), TOLERANCE) if centred else unit


def retrieve(queries: np.ndarray, gallery: np.ndarray, query_ids: Sequence, gallery_ids: Sequence) -> Places:
    """Rank a gallery for every query by the products of their features, the cosine where these have unit length.

    Args:
        queries: (Q, D).
        gallery: (G, D).
        query_ids: (Q,) what each query shows; candidates with the same are right.
        gallery_ids: (G,).

    Raises:
        ValueError: see ``find_places``.
    """
    return _join(find_places(queries[rows] @ gallery.T, is_right) for rows, is_right in _blocks(query_ids, gallery_ids))


def chance_places(query_ids: Sequence, gallery_ids: Sequence) -> Places:
    """Return the places of a ranking that knows nothing, as of ``retrieve``."""
    return _join(find_places(np.zeros(is_right.shape), is_right) for _, is_right in _blocks(query_ids, gallery_ids))


def _blocks(query_ids: Sequence, gallery_ids: Sequence) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows of some queries, and which candidates are right for them (q, G)."""
    numbers = np.unique(np.concatenate([np.asarray(query_ids), np.asarray(gallery_ids)]), return_inverse=True)[1]
    asked, known = numbers.reshape(-1)[:len(query_ids)], numbers.reshape(-1)[len(query_ids):]
    for start in range(0, len(asked), BLOCK):
        rows = slice(start, start + BLOCK)
        yield rows, asked[rows, None] == known


def _join(parts: Iterator[Places]) -> Places:
    parts = list(parts)
    return Places(*(np.concatenate([getattr(part, name) for part in parts]) for name in ('before', 'beside', 'right')))


def _scaled(features: np.ndarray, least: float) -> np.ndarray:
    """Divide rows by their length; those that are no longer than ``least`` become zero."""
    length = np.linalg.norm(features, axis=-1, keepdims=True)
    return np.where(length > least, features / np.where(length > least, length, 1.0), 0.0)
