"""Joints that were not seen: what NaN means, and where straight lines lead, in time first, then along the skeleton."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Limbs = Sequence[tuple[int, int]]


def without_nan(points: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints without NaN: those that have any lie at 0 with confidence 0, as detectors write missing joints.

    Args:
        points: (..., C).
        confidence: (...).
    """
    is_missing = np.isnan(points).any(axis=-1) | np.isnan(confidence)
    return np.where(is_missing[..., None], 0, points), np.where(is_missing, 0, confidence)


def interpolate_hidden(points: np.ndarray, mask: np.ndarray, limbs: Limbs) -> np.ndarray:
    """Fill in the hidden joints of windows linearly.

    A joint that is hidden for some frames moves in a straight line, at even speed, from where it was seen last to where
    it is seen next; before its first and after its last seen frame it stays there. A joint that is hidden in all frames
    is put on the line between its two nearest joints that are not, nearest by the number of bones and in different
    directions along the skeleton, nearer to the nearer one; at the nearest joint if there is one direction only, as for
    the end of a limb.

    Args:
        points: (N, T, J, C) in any units; frames at even distance in time.
        mask: (N, T, J) bool, True = hidden; what stands there is not read.
        limbs: pairs of joints, a tree; as ``Skeleton.limbs``.

    Returns:
        (N, T, J, C); seen joints are as they were.

    Raises:
        ValueError: a window in which every joint is hidden in all frames.
    """
    never_seen = mask.all(axis=1)  # (N, J)
    if never_seen.all(axis=1).any():
        raise ValueError(f'window {int(np.argmax(never_seen.all(axis=1)))} hides every joint in all of its '
                         f'{mask.shape[1]} frames; nothing is left to interpolate from')
    filled = _fill_in_time(points, ~mask)
    patterns, numbers = np.unique(never_seen, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.any():
            rows = numbers.reshape(-1) == number
            seen = np.flatnonzero(~pattern)
            weights = _line_weights(pattern, limbs)[:, seen].astype(points.dtype)
            filled[rows] = np.einsum('js,ntsc->ntjc', weights, filled[rows][:, :, seen])
    return np.where(mask[..., None], filled, points)


def interpolate_gaps(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Interpolate the joints of a sequence over the frames in which they were not seen, see ``interpolate_hidden``.

    Joints that were never seen come to lie amid the others of their frame.

    Args:
        points: (F, J, C) any unit; what stands at unseen joints is not read.
        seen: (F, J) bool, at least one of them True.

    Returns:
        (F, J, C), a new array; joints stay as they are where they were seen.
    """
    never = ~seen.any(axis=0)
    filled = np.where(seen[..., None], points, _fill_in_time(points[None], seen[None])[0])
    filled[:, never] = filled[:, ~never].mean(axis=1, keepdims=True)
    return filled


def _fill_in_time(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Interpolate joints between the frames that show them; those that are never seen become zero."""
    num_frames = seen.shape[1]
    frames = np.arange(num_frames)[:, None]
    before = np.maximum.accumulate(np.where(seen, frames, -1), axis=1)
    after = np.minimum.accumulate(np.where(seen, frames, num_frames)[:, ::-1], axis=1)[:, ::-1]
    first = np.where(before < 0, after, before) % num_frames  # the last row of joints that are never seen, unused
    last = np.where(after == num_frames, before, after) % num_frames
    share = np.divide(frames - first, last - first, out=np.zeros(seen.shape, points.dtype), where=last > first,
                      casting='unsafe')[..., None]
    known = np.where(seen[..., None], points, 0.0)
    start, end = (np.take_along_axis(known, rows[..., None], axis=1) for rows in (first, last))
    return start * (1 - share) + end * share


def _line_weights(hidden: np.ndarray, limbs: Limbs) -> np.ndarray:
    """Express every joint by joints that are not ``hidden`` (J,): (J, J) weights, rows sum to one."""
    bones: dict[int, list[int]] = {joint: [] for joint in range(len(hidden))}
    for first, second in limbs:
        bones[first].append(second)
        bones[second].append(first)
    weights = np.diag((~hidden).astype(np.float64))
    for joint in np.flatnonzero(hidden).tolist():
        found = sorted(filter(None, (_first_seen(start, joint, bones, hidden) for start in bones[joint])))
        if len(found) == 1:
            weights[joint, found[0][1]] = 1.0
        else:
            (near, nearest), (far, second) = found[:2]
            weights[joint, nearest], weights[joint, second] = far / (near + far), near / (near + far)
    return weights


def _first_seen(start: int, origin: int, bones: dict[int, list[int]], hidden: np.ndarray) -> tuple[int, ...]:
    """Walk from a neighbour of ``origin`` away from it to the nearest seen joint: (bones, joint); () if there is none.

    Of joints at the same distance, which a branch of the skeleton has, the first in order is taken.
    """
    level, known, steps = [start], {origin, start}, 1
    while level:
        seen = [joint for joint in level if not hidden[joint]]
        if seen:
            return steps, min(seen)
        level = [other for joint in level for other in bones[joint] if other not in known]
        known.update(level)
        steps += 1
    return ()
