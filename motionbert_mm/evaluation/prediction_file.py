"""Predicted sequences in one .npz file that is enough to measure them again, under any protocol.

Of sequence ID the file holds, without pickle::

    ID/keypoints_3d    (M, F, J, 3) millimetres, camera axes, windows merged per source frame
    ID/frame_ids       (F,) source frames, ascending
    ID/ground_truth    (M, F, J, 3) millimetres, camera axes, relative to the root
    ID/visible         (M, F, J) is the target valid
    ID/activity        (F,) number of what is done in each frame, 0 unknown; only where the data set states it
    ID/window_lengths  (W,) frames of each window that the model saw

and of a mesh model, whose joints are those of its bodies::

    ID/smpl_pose       (M, F, 24, 3) axis-angle in radians; of overlapping windows the average on the manifold
    ID/smpl_betas      (M, F, 10)
    ID/true_smpl_pose, ID/true_smpl_betas  likewise, the truth

and, only where windows overlap or repeat frames, the windows as they were predicted, one after another:
``ID/window_keypoints_3d``, ``ID/window_frame_ids``, ``ID/window_ground_truth``, ``ID/window_visible``,
``ID/window_activity``, ``ID/window_smpl_pose`` and so on, with as many rows as ``window_lengths`` sums up to. Elsewhere
the windows are consecutive runs of the F frames. Of the whole file:
``sample_id``, ``subject``, ``action``, ``camera`` and ``fps`` (one entry per sequence), ``skeleton``, ``unit``,
``frame``, ``protocol`` (of the config; empty if it names none), ``flip_test`` and ``version``.

Files of other methods need ``ID/keypoints_3d`` alone, (F, J, 3) or (M, F, J, 3), and if they hold bodies
``ID/smpl_pose`` and ``ID/smpl_betas``.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from motionbert_mm.evaluation.functional.merging import merge_windows
from motionbert_mm.geometry.rotation import average_rotations, axis_angle_to_matrix, matrix_to_axis_angle
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.plain_files import read_npz

VERSION = 2
FRAME = 'camera axes (x right, y down, z forward), relative to the root'
COLUMNS = ('subject', 'action', 'camera', 'fps')
POSES = {'smpl_pose': (24, 3), 'true_smpl_pose': (24, 3)}
BODIES = {**POSES, 'smpl_betas': (10,), 'true_smpl_betas': (10,)}


class Rows(NamedTuple):
    """Frames of a sequence, in ascending order or window after window.

    Attributes:
        frame_ids: (R,) source frames.
        keypoints_3d: (M, R, J, 3) predictions in millimetres.
        ground_truth: (M, R, J, 3) millimetres relative to the root, or None.
        visible: (M, R, J) is the target valid, or None.
        activity: (R,) int, or None.
        smpl_pose: (M, R, 24, 3) predicted bodies, radians, or None; likewise all below.
        smpl_betas: (M, R, 10).
        true_smpl_pose: (M, R, 24, 3).
        true_smpl_betas: (M, R, 10).
    """

    frame_ids: np.ndarray
    keypoints_3d: np.ndarray
    ground_truth: Optional[np.ndarray]
    visible: Optional[np.ndarray]
    activity: Optional[np.ndarray] = None
    smpl_pose: Optional[np.ndarray] = None
    smpl_betas: Optional[np.ndarray] = None
    true_smpl_pose: Optional[np.ndarray] = None
    true_smpl_betas: Optional[np.ndarray] = None

    def cut(self, start: int, end: int) -> dict[str, np.ndarray]:
        """Return the arrays that are there, of some rows."""
        return {key: values[..., start:end] if values.ndim == 1 else values[:, start:end]
                for key, values in self._asdict().items() if values is not None}


@dataclass(frozen=True)
class PredictedSequence:
    """Predictions for one sequence.

    Attributes:
        name: unique, camera included.
        merged: one row per source frame.
        windows: the rows that the model predicted, window after window; ``merged`` where that is the same.
        lengths: (W,) rows of each window.
        facts: subject, action, camera, fps, as far as they are known.
        states_frames: False if the file left the frames out, so that they must be all of the sequence.
    """

    name: str
    merged: Rows
    windows: Rows
    lengths: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)
    states_frames: bool = True

    def samples(self, skeleton: str, flip_test: Optional[bool]) -> Iterator[tuple[dict, dict]]:
        """Yield prediction and ground truth of each window as the metrics take them."""
        facts = {'camera_id' if key == 'camera' else key: value for key, value in self.facts.items()}
        ends = np.cumsum(self.lengths)
        for start, end in zip(ends - self.lengths, ends):
            rows = self.windows.cut(start, end)
            both = {'sample_id': self.name, 'frame_ids': rows.pop('frame_ids')}
            predicted = {key: rows.pop(key) for key in ('keypoints_3d', 'smpl_pose', 'smpl_betas') if key in rows}
            names = {'ground_truth': 'keypoints_3d', 'true_smpl_pose': 'smpl_pose', 'true_smpl_betas': 'smpl_betas'}
            truth = {names.get(key, key): values for key, values in rows.items()}
            yield {**both, 'flip_test': flip_test, **predicted}, {**both, 'skeleton': skeleton, **facts, **truth}


@dataclass(frozen=True)
class Predictions:
    """The content of a file.

    Attributes:
        sequences: in the order of the file.
        skeleton: name of the joint set; None if the file does not say.
        unit: of the predictions; None if the file does not say.
        protocol: that the config named, or ''.
        flip_test: were predictions averaged with those for the mirrored input; None if the file does not say.
    """

    sequences: list[PredictedSequence]
    skeleton: Optional[str]
    unit: Optional[str] = 'mm'
    protocol: str = ''
    flip_test: Optional[bool] = None


def join_windows(name: str, windows: Iterable[Mapping[str, Any]], facts: Mapping[str, Any]) -> PredictedSequence:
    """Make a sequence of its windows, in any order, copies included.

    Args:
        name: of the sequence.
        windows: dicts of ``frame_ids`` (T,), ``keypoints_3d`` (M, T, J, 3), ``visible`` (M, T, J) and, if known,
            ``ground_truth`` (M, T, J, 3), ``activity`` (T,) and parameters of bodies (M, T, ...).
        facts: subject, action, camera, fps.
    """
    distinct = {window['frame_ids'].tobytes(): window for window in windows}
    parts = sorted(distinct.values(), key=lambda window: window['frame_ids'].tolist())
    columns = {key: np.concatenate([part[key] for part in parts], axis=1) if key in parts[0] else None
               for key in ('keypoints_3d', 'ground_truth', 'visible', *BODIES)}
    activity = np.concatenate([part['activity'] for part in parts]) if 'activity' in parts[0] else None
    rows = Rows(np.concatenate([part['frame_ids'] for part in parts]), **columns, activity=activity)
    lengths = np.array([len(part['frame_ids']) for part in parts])
    if (np.diff(rows.frame_ids) > 0).all():
        return PredictedSequence(name, rows, rows, lengths, dict(facts))
    return PredictedSequence(name, _merge(name, parts, rows), rows, lengths, dict(facts))


def _merge(name: str, parts: Sequence[Mapping[str, Any]], rows: Rows) -> Rows:
    """Bring windows to one row per source frame, in ascending order."""
    named = [{**part, 'sample_id': name} for part in parts]
    frames, keypoints = merge_windows(named)[name]
    truth = None if rows.ground_truth is None else merge_windows(named, 'ground_truth')[name][1]
    visible = np.zeros(keypoints.shape[:3], bool)
    np.logical_or.at(visible, (slice(None), np.searchsorted(frames, rows.frame_ids)), rows.visible)
    first = np.unique(rows.frame_ids, return_index=True)[1]
    activity = None if rows.activity is None else rows.activity[first]
    bodies = {key: _merge_body(named, name, key) for key in BODIES if key in parts[0]}
    return Rows(frames, keypoints, truth, visible, activity, **bodies)


def _merge_body(windows: Sequence[Mapping[str, Any]], name: str, key: str) -> np.ndarray:
    """Merge a parameter of bodies: coefficients by their mean, rotations by the one that is nearest to all."""
    if key not in POSES:
        return merge_windows(windows, key)[name][1]
    matrices = [{**window, key: axis_angle_to_matrix(window[key].astype(np.float64))} for window in windows]
    mean = merge_windows(matrices, key)[name][1]  # its projection is the average of the rotations
    known = np.isfinite(mean).all(axis=(-2, -1), keepdims=True)  # the truth of a frame that does not count may be NaN
    average = average_rotations(np.where(known, mean, np.eye(3))[..., None, :, :])
    return np.where(known[..., 0], matrix_to_axis_angle(average), np.nan).astype(np.float32)


def write_predictions(path: Union[str, Path], predictions: Predictions) -> None:
    """Write a file; it appears only when it is complete."""
    sequences = predictions.sequences
    arrays = {'version': np.array(VERSION), 'skeleton': np.array(predictions.skeleton),
              'unit': np.array(predictions.unit), 'frame': np.array(FRAME),
              'protocol': np.array(predictions.protocol), 'sample_id': np.array([part.name for part in sequences])}
    if predictions.flip_test is not None:
        arrays['flip_test'] = np.array(predictions.flip_test)
    for key in COLUMNS:
        if all(part.facts.get(key) is not None for part in sequences):
            arrays[key] = np.array([part.facts[key] for part in sequences])
    for part in sequences:
        arrays.update(_entries(part.name, part.merged))
        arrays[f'{part.name}/window_lengths'] = part.lengths
        if part.windows is not part.merged:
            arrays.update(_entries(f'{part.name}/window_', part.windows, join=''))
    with atomic_path(path) as work:
        np.savez_compressed(work, **arrays)


def _entries(prefix: str, rows: Rows, join: str = '/') -> dict[str, np.ndarray]:
    return {f'{prefix}{join}{key}': values for key, values in rows._asdict().items() if values is not None}


def read_predictions(path: Union[str, Path]) -> Predictions:
    """Read a file of ours or of another method.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no .npz file, a torn one, one that needs pickle, or arrays of another shape.
    """
    path = Path(path)
    arrays = read_npz(path, 'tools/test.py --dump writes such a file')
    names = [key.rpartition('/')[0] for key in arrays if key.endswith('/keypoints_3d')]
    if not names:
        raise ValueError(f'{path} holds no ID/keypoints_3d, only {sorted(arrays)[:5]}; expected one array '
                         '(F, J, 3) or (M, F, J, 3) in millimetres per sequence ID')
    facts = _facts(arrays, path)
    sequences = [_sequence(name, arrays, facts.get(name, {}), path) for name in names]
    flip_test = bool(arrays['flip_test']) if 'flip_test' in arrays else None
    return Predictions(sequences, _text(arrays, 'skeleton'), _text(arrays, 'unit'),
                       _text(arrays, 'protocol') or '', flip_test)


def _text(arrays: Mapping[str, np.ndarray], key: str) -> Optional[str]:
    return str(arrays[key]) if key in arrays else None


def _facts(arrays: Mapping[str, np.ndarray], path: Path) -> dict[str, dict[str, Any]]:
    """Take the columns of the file apart: facts by sequence."""
    if 'sample_id' not in arrays:
        return {}
    columns = {key: arrays[key].tolist() for key in COLUMNS if key in arrays}
    names = arrays['sample_id'].tolist()
    for key in columns:
        if arrays[key].shape != arrays['sample_id'].shape or arrays[key].ndim != 1:
            raise ValueError(f'{path}: {key} has shape {arrays[key].shape} and sample_id {arrays["sample_id"].shape}, '
                             'expected one entry of each per sequence')
    return {name: {key: column[row] for key, column in columns.items()} for row, name in enumerate(names)}


def _sequence(name: str, arrays: Mapping[str, np.ndarray], facts: dict[str, Any], path: Path) -> PredictedSequence:
    """Gather the arrays of one sequence and check them."""
    points = arrays[f'{name}/keypoints_3d']
    points = points[None] if points.ndim == 3 else points
    if points.ndim != 4 or points.shape[-1] != 3 or points.dtype.kind != 'f':
        raise ValueError(f'{path}: {name}/keypoints_3d is {points.dtype} of shape {points.shape}, expected floats '
                         '(F, J, 3) or (M, F, J, 3)')
    merged = _rows(f'{name}/', arrays, points.astype(np.float32), path)
    windows = merged
    if f'{name}/window_keypoints_3d' in arrays:
        windows = _rows(f'{name}/window_', arrays, arrays[f'{name}/window_keypoints_3d'], path)
    lengths = arrays.get(f'{name}/window_lengths', np.array([len(merged.frame_ids)]))
    total = lengths.sum() if lengths.ndim == 1 and lengths.dtype.kind in 'iu' else 'no integer'
    if total != len(windows.frame_ids):
        raise ValueError(f'{path}: {name}/window_lengths sums up to {total}, but the windows have '
                         f'{len(windows.frame_ids)} rows; the file is damaged, dump again')
    return PredictedSequence(name, merged, windows, lengths, facts, f'{name}/frame_ids' in arrays)


def _rows(prefix: str, arrays: Mapping[str, np.ndarray], points: np.ndarray, path: Path) -> Rows:
    """Check that the arrays of a sequence have the same frames."""
    num_frames = points.shape[1]
    frame_ids = arrays.get(f'{prefix}frame_ids', np.arange(num_frames))
    if frame_ids.shape != (num_frames,) or frame_ids.dtype.kind not in 'iu':
        raise ValueError(f'{path}: {prefix}frame_ids is {frame_ids.dtype} of shape {frame_ids.shape}, expected '
                         f'{num_frames} integers, one per frame of keypoints_3d')
    if (frame_ids < 0).any() or (not prefix.endswith('window_') and (np.diff(frame_ids) <= 0).any()):
        raise ValueError(f'{path}: {prefix}frame_ids must ascend from 0 or more without repeating; merge windows first')
    truth, visible = (arrays.get(f'{prefix}{key}') for key in ('ground_truth', 'visible'))
    for key, values, shape in (('ground_truth', truth, points.shape), ('visible', visible, points.shape[:3])):
        if values is not None and (values.shape != shape or values.dtype.kind not in 'fiub'):
            raise ValueError(f'{path}: {prefix}{key} is {values.dtype} of shape {values.shape}, expected numbers of '
                             f'shape {shape} as keypoints_3d has')
    activity = arrays.get(f'{prefix}activity')
    if activity is not None and (activity.shape != frame_ids.shape or activity.dtype.kind not in 'iu'):
        raise ValueError(f'{path}: {prefix}activity is {activity.dtype} of shape {activity.shape}, expected '
                         f'{num_frames} integers, one per frame of keypoints_3d')
    if truth is not None and visible is None:
        visible = np.ones(points.shape[:3], bool)
    return Rows(frame_ids, points, truth, visible, activity, **_bodies(prefix, arrays, points, path))


def _bodies(prefix: str, arrays: Mapping[str, np.ndarray], points: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    """Check that the bodies of a sequence are those of its joints; the person axis may be missing."""
    bodies = {}
    for key in (key for key in BODIES if f'{prefix}{key}' in arrays):
        values, expected = arrays[f'{prefix}{key}'], (*points.shape[:2], *BODIES[key])
        values = values[None] if values.ndim == len(expected) - 1 else values
        if values.shape != expected or values.dtype.kind != 'f':
            raise ValueError(f'{path}: {prefix}{key} is {values.dtype} of shape {values.shape}, expected floats of '
                             f'shape {expected}, the persons and frames of keypoints_3d')
        bodies[key] = values.astype(np.float32)
    return bodies
