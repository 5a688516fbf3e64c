"""From the class scores of every frame to segments of one class each."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

UNKNOWN = -1  # label of a segment that no class explains well enough
LEAST_SCORE = 0.01  # of a frame: overlapping windows make neighbours too sure together


@dataclass(frozen=True)
class Segment:
    """Neighbouring frames of one class.

    Attributes:
        start: first frame.
        end: frame after the last.
        label: class, or ``UNKNOWN``.
        score: mean score of the class over the frames; of an unknown segment, that of the classes which were best.
    """

    start: int
    end: int
    label: int
    score: float


def find_segments(scores: np.ndarray, *, change_cost: float = 0.0, min_frames: int = 1,
                  threshold: Optional[float] = None) -> list[Segment]:
    """Part a sequence where its best class changes.

    The labels are those with the greatest sum of log scores less the cost of their changes (the Viterbi algorithm);
    without cost, the best class of every frame. Then runs of one label that are too short go to the neighbour whose
    class scores higher over their frames, the shortest first, until none is left; a stretch without labels is no
    neighbour. Then runs whose class has a low mean score become unknown.

    Args:
        scores: (F, K) of every frame; a row of NaN is a frame without a label.
        change_cost: nats that a change of the label must be worth: 30 is a class e times as likely for 30 frames. Keeps
            a stretch in which the scores are undecided from being labelled otherwise than its surroundings.
        min_frames: runs shorter than this are given away, unless they have no neighbour.
        threshold: mean score below which a run is unknown; None keeps all.

    Returns:
        Segments in the order of time that cover exactly the frames with a label. Segments that adjoin differ in label.

    Raises:
        ValueError: no array (F, K), rows that are NaN in part, infinite scores, or a negative cost.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or not scores.shape[1]:
        raise ValueError(f'scores have shape {scores.shape}, expected (F, K), one row per frame')
    has_label = ~np.isnan(scores).any(axis=1)
    if not np.isfinite(scores[has_label]).all() or not np.isnan(scores[~has_label]).all():
        raise ValueError('scores hold infinity, or rows that are NaN in part; a frame without a label is NaN in all '
                         'classes')
    if not change_cost >= 0:
        raise ValueError(f'change_cost is {change_cost}, expected nats, 0 or more')
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.nancumsum(scores, axis=0)])
    segments = []
    for start, end in find_runs(has_label, is_true=True):
        best = _best_path(scores[start:end], change_cost)
        runs = _merge_short([(start + first, start + last, int(best[first])) for first, last in find_runs(best)],
                            sums, min_frames)
        segments += _forget_unsure([Segment(first, last, label, float(_mean(sums, first, last, label)))
                                    for first, last, label in runs], threshold)
    return segments


def find_runs(values: np.ndarray, *, is_true: bool = False) -> list[tuple[int, int]]:
    """Return start and end (exclusive) of the runs of equal values (F,), or of those that are true only."""
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    return [(start, end) for start, end in zip(edges, edges[1:]) if start < end and (values[start] or not is_true)]


def _best_path(scores: np.ndarray, change_cost: float) -> np.ndarray:
    """Return the labels (F,) of the greatest sum of log scores (F, K) less the cost of every change."""
    if not change_cost:
        return scores.argmax(axis=1)
    gains = np.log(np.maximum(scores, LEAST_SCORE))
    totals, before = gains[0], np.empty(scores.shape, np.int64)
    for frame in range(1, len(gains)):
        best = totals.argmax()
        changes = totals < totals[best] - change_cost
        before[frame] = np.where(changes, best, np.arange(len(totals)))
        totals = np.where(changes, totals[best] - change_cost, totals) + gains[frame]
    path = np.empty(len(gains), np.int64)
    path[-1] = totals.argmax()
    for frame in range(len(gains) - 1, 0, -1):
        path[frame - 1] = before[frame, path[frame]]
    return path


def _merge_short(runs: list[tuple], sums: np.ndarray, min_frames: int) -> list[tuple]:
    """Give short runs (start, end, label) of one stretch to their neighbours; ``sums`` (F + 1, K) are of the scores."""
    runs = list(runs)
    while len(runs) > 1:
        place = min(range(len(runs)), key=lambda index: runs[index][1] - runs[index][0])
        start, end, _ = runs[place]
        if end - start >= min_frames:
            break
        around = [index for index in (place - 1, place + 1) if 0 <= index < len(runs)]
        label = runs[max(around, key=lambda index: _mean(sums, start, end, runs[index][2]))][2]
        joined = [place, *(index for index in around if runs[index][2] == label)]
        first, last = min(joined), max(joined)
        runs[first:last + 1] = [(runs[first][0], runs[last][1], label)]
    return runs


def _mean(sums: np.ndarray, start: int, end: int, label: int) -> float:
    return (sums[end, label] - sums[start, label]) / (end - start)


def _forget_unsure(segments: list[Segment], threshold: Optional[float]) -> list[Segment]:
    """Make segments of a low score unknown, and one of those that adjoin."""
    kept: list[Segment] = []
    for segment in segments:
        if threshold is None or segment.score >= threshold:
            kept.append(segment)
            continue
        start, score = segment.start, segment.score
        if kept and kept[-1].label == UNKNOWN:
            before = kept.pop()
            total = before.score * (before.end - before.start) + score * (segment.end - start)
            start, score = before.start, total / (segment.end - before.start)
        kept.append(Segment(start, segment.end, UNKNOWN, score))
    return kept
