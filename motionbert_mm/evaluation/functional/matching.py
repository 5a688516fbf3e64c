"""Find the ground truth of the frames that a model predicted."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from motionbert_mm.evaluation.functional.merging import as_array

FIELD = 'keypoints_3d'


def match_frames(prediction: Mapping[str, Any], target: Mapping[str, Any],
                 field: str = FIELD) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows of a window's ground truth that belong to the predicted frames.

    Centre-frame models predict one frame of T. Of a frame and its padded copies the frame itself is found.

    Args:
        prediction: ``field`` (M, T', J, C) and, if they are not those of the target, ``frame_ids`` (T',).
        target: ``sample_id``, ``frame_ids`` (T,) and, if known, ``visible`` (M, T, J).
        field: what was predicted.

    Returns:
        (T',) source frames, and (T',) rows of the target's T.

    Raises:
        KeyError: no prediction.
        ValueError: frames that do not fit or that the target lacks.
    """
    name = target['sample_id']
    if prediction.get(field) is None:
        raise KeyError(f'{name}: the prediction has no {field}, only {sorted(prediction)}; check the head')
    available = as_array(target['frame_ids']).astype(np.int64)
    wanted = as_array(prediction.get('frame_ids', available)).astype(np.int64)
    num_frames = prediction[field].shape[1]
    if len(wanted) != num_frames:
        raise ValueError(f'{name}: {num_frames} predicted frames, but frame_ids has {len(wanted)}; '
                         'the head must set frame_ids of the frames that it predicts')
    if np.array_equal(wanted, available):
        return wanted, np.arange(num_frames)
    shown = np.ones(len(available), bool)
    if target.get('visible') is not None:
        shown = as_array(target['visible']).astype(bool).any(axis=(0, 2))
    # Visible rows last: of a frame and its padded copies, the frame itself is found.
    rows = {int(available[row]): int(row) for row in np.argsort(shown, kind='stable')}
    missing = [int(frame) for frame in wanted if int(frame) not in rows]
    if missing:
        raise ValueError(f'{name}: predicted frames {missing[:5]} are not among the target frames '
                         f'{int(available.min())}..{int(available.max())}; check frame_ids of the head')
    return wanted, np.array([rows[int(frame)] for frame in wanted])


def visible_joints(target: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return which targets are valid, (M, T, J) bool; without the field all are, in the given shape."""
    if target.get('visible') is None:
        return np.ones(shape, bool)
    return as_array(target['visible']).astype(bool)


def hidden_joints(target: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return which joints were hidden from the network, (M, T, J) bool; without a mask none, in the given shape."""
    if target.get('mask') is None:
        return np.zeros(shape, bool)
    return as_array(target['mask']).astype(bool)


def check_finite(points: np.ndarray, frame_ids: np.ndarray, name: str, role: str) -> None:
    """Refuse NaN and infinite coordinates.

    Args:
        points: (F, J, C) of the joints that count.
        frame_ids: (F,) source frames.
        name: of the sequence.
        role: 'pred' or 'target', whose points they are.

    Raises:
        ValueError: a coordinate that is not finite.
    """
    bad = ~np.isfinite(points).all(axis=(1, 2))
    if bad.any():
        word, cure = {'pred': ('prediction', 'training diverged or the input holds NaN'),
                      'target': ('ground truth', 'mark such targets visible=False or repair the data')}[role]
        raise ValueError(f'{name}: the {word} is NaN or infinite in {int(bad.sum())} of {len(bad)} frames, first in '
                         f'frame {int(frame_ids[bad][0])}; {cure}')
