"""Errors of 3D joint positions."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from motionbert_mm.evaluation.functional.keypoint_eval import (
    acceleration_error,
    auc,
    mpjpe,
    mpjve,
    n_mpjpe,
    p_mpjpe,
    pck,
)
from motionbert_mm.evaluation.functional.merging import as_array
from motionbert_mm.evaluation.metrics.base import MotionMetric, Window
from motionbert_mm.registry import METRICS
from motionbert_mm.structures.skeleton import get_skeleton

Joints = Optional[Sequence[Union[str, int]]]


class _JointSet(NamedTuple):
    """Joints to keep of a skeleton, and the rows of those that are averaged and those that PCK and AUC count."""

    total: int
    root: int
    kept: list[int]
    averaged: list[int]
    counted: list[int]


@METRICS.register_module()
class Pose3DMetric(MotionMetric):
    """MPJPE, P-MPJPE, N-MPJPE, MPJVE, acceleration error, PCK at 150 mm and AUC from 0 to 150 mm.

    Keys of the result: ``MPJPE``, ``P-MPJPE``, ``N-MPJPE`` (mm), ``MPJVE`` (mm per frame), ``Accel`` (mm per frame
    squared), ``PCK@150`` and ``AUC`` (percent); each also as ``key/frame``, ``key/clip`` and ``key/<group_by>``.
    Velocities are taken between frames that follow each other at the sequence's own frame step, never across a gap.
    A frame counts if the target of every joint that is used is visible; a joint that a data set never shows therefore
    has to be left out of ``joints``. All but the first four arguments are those of :class:`MotionMetric`.

    Official Human3.6M numbers of MotionBERT: ``average='action'``, ``overlap='errors'``, ``drop_zero_error=True`` and
    the faulty sequences in ``skip_list``. Official MPI-INF-3DHP: ``average='frame'`` and in ``pck_joints`` the fourteen
    joints of ``MPI_INF_3DHP_GROUPS``.

    Args:
        joints: names or indices of the joints that are averaged; None takes all of the skeleton, the root included.
        pck_joints: names or indices of the joints that PCK and AUC count; None takes ``joints``.
        root_relative: measure positions relative to the skeleton's root joint.
        drop_zero_error: leave out frames whose MPJPE is exactly 0 (official MotionBERT).
        average: which of the three averages is the headline.
        group_by: metainfo key that groups clips.
        within_group: 'frame' or 'clip', what is averaged inside a group.
        overlap: 'predictions' or 'errors', how overlapping windows are merged.
        skip_list: sequences that are left out, names or patterns.
        prefix: put before every key of the result, with a slash.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
        collect_dir: shared directory for gathering on the CPU.
    """

    def __init__(self, *, joints: Joints = None, pck_joints: Joints = None, root_relative: bool = True,
                 drop_zero_error: bool = False, average: str = 'action', group_by: str = 'action',
                 within_group: str = 'frame', overlap: str = 'predictions', skip_list: Sequence[str] = (),
                 prefix: Optional[str] = None, collect_device: str = 'cpu',
                 collect_dir: Optional[str] = None) -> None:
        super().__init__(average=average, group_by=group_by, within_group=within_group, overlap=overlap,
                         skip_list=skip_list, prefix=prefix, collect_device=collect_device, collect_dir=collect_dir)
        self.joints, self.pck_joints = joints, pck_joints
        self.root_relative, self.drop_zero_error = root_relative, drop_zero_error
        self._joint_sets: dict[str, _JointSet] = {}

    def extract(self, prediction: Mapping[str, Any], target: Mapping[str, Any]) -> list[Window]:
        """Keep the joints and visible frames of ``keypoints_3d`` (M, T, J, 3) mm, relative to the root if so set."""
        name, skeleton = target['sample_id'], target.get('skeleton')
        joints = self._joint_set(skeleton)
        pred, truth, visible, frame_ids = _matched(prediction, target, name)
        if pred.shape != truth.shape or truth.shape[2] != joints.total:
            raise ValueError(f'{name}: keypoints_3d must be (M, T, {joints.total}, 3) for the skeleton {skeleton}, got '
                             f'prediction {pred.shape} and ground truth {truth.shape}; '
                             'check the head and ConvertSkeleton')
        needed = sorted({*joints.kept, joints.root}) if self.root_relative else joints.kept
        meta = {'group': target.get(self.group_by), 'fps': target.get('fps'), 'skeleton': skeleton,
                'flip_test': prediction.get('flip_test')}
        windows = []
        for person, shown in enumerate(visible[:, :, needed].all(axis=-1)):
            arrays = {'pred': pred[person, shown], 'target': truth[person, shown]}
            for role, points in arrays.items():
                _check_finite(points[:, needed], frame_ids[shown], name, role)
            if self.root_relative:
                arrays = {role: points - points[:, joints.root, None] for role, points in arrays.items()}
            arrays = {role: points[:, joints.kept] for role, points in arrays.items()}
            windows.append(Window(name, person, frame_ids[shown], arrays, frame_ids[~shown], meta))
        return windows

    def measure(self, window: Window) -> dict[str, np.ndarray]:
        """Measure a window or merged clip: (F,) values by name."""
        joints = self._joint_set(window.meta['skeleton'])
        pred, target = (window.arrays[role][:, joints.averaged] for role in ('pred', 'target'))
        counted = [window.arrays[role][:, joints.counted] for role in ('pred', 'target')]
        steps = np.diff(window.frame_ids)
        regular = steps == steps[steps > 0].min() if (steps > 0).any() else np.zeros(len(steps), bool)
        return {
            'MPJPE': mpjpe(pred, target),
            'P-MPJPE': p_mpjpe(pred, target),
            'N-MPJPE': n_mpjpe(pred, target),
            'MPJVE': _undefined_first(mpjve(pred, target), regular, len(pred)),
            'Accel': _undefined_first(acceleration_error(pred, target), regular[1:] & regular[:-1], len(pred)),
            'PCK@150': pck(*counted),
            'AUC': auc(*counted),
        }

    def finish(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Make frames without any error undefined, if they are to be dropped."""
        if not self.drop_zero_error:
            return values
        exact = values['MPJPE'] == 0
        return {name: np.where(exact, np.nan, entries) for name, entries in values.items()}

    def describe(self, clips: Sequence[Window]) -> list[str]:
        """Say which joints were measured, and relative to what."""
        skeletons = sorted({clip.meta['skeleton'] for clip in clips})
        words = [f'joints: {_joint_words(self.joints)} of {", ".join(skeletons)}']
        if self.pck_joints is not None:
            words.append(f'PCK and AUC: {_joint_words(self.pck_joints)}')
        roots = sorted({get_skeleton(name).joints[self._joint_set(name).root] for name in skeletons})
        words.append(f'relative to {", ".join(roots)}' if self.root_relative else 'absolute positions')
        if self.drop_zero_error:
            words.append('frames with zero error dropped')
        return words

    def _joint_set(self, name: Optional[str]) -> _JointSet:
        """Look up the joints of a skeleton, once."""
        if name is None:
            raise KeyError("Pose3DMetric needs the skeleton's name in the metainfo of the ground truth; "
                           'let the data set or ConvertSkeleton set it')
        if name not in self._joint_sets:
            skeleton = get_skeleton(name)
            averaged = _indices(self.joints, skeleton)
            counted = averaged if self.pck_joints is None else _indices(self.pck_joints, skeleton)
            kept = sorted({*averaged, *counted})
            self._joint_sets[name] = _JointSet(skeleton.num_joints, skeleton.root, kept,
                                               [kept.index(joint) for joint in averaged],
                                               [kept.index(joint) for joint in counted])
        return self._joint_sets[name]


def _indices(joints: Joints, skeleton: Any) -> list[int]:
    """Indices of joints given by name or index; None is all."""
    if joints is None:
        return list(range(skeleton.num_joints))
    indices = [skeleton.index(joint) if isinstance(joint, str) else int(joint) for joint in joints]
    wrong = [index for index in indices if not 0 <= index < skeleton.num_joints]
    if wrong or not indices:
        raise ValueError(f'joints of Pose3DMetric must be names or indices 0..{skeleton.num_joints - 1} of the '
                         f'skeleton {skeleton.name}, got {list(joints)}')
    return indices


def _joint_words(joints: Joints) -> str:
    return 'all' if joints is None else f'{len(joints)} ({", ".join(str(joint) for joint in joints)})'


def _matched(prediction: Mapping[str, Any], target: Mapping[str, Any],
             name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Prediction and truth (M, T, J, 3), visibility (M, T, J) and frame ids (T,) of the predicted frames."""
    for role, sample in (('prediction', prediction), ('ground truth', target)):
        if sample.get('keypoints_3d') is None:
            raise KeyError(f'{name}: the {role} has no keypoints_3d, only {sorted(sample)}; '
                           'check the head and the targets of the data set')
    pred, truth = (as_array(sample['keypoints_3d']).astype(np.float32) for sample in (prediction, target))
    visible = np.ones(truth.shape[:3], bool)  # without the field all targets are valid
    if target.get('visible') is not None:
        visible = as_array(target['visible']).astype(bool)
    frame_ids = as_array(prediction.get('frame_ids', target['frame_ids'])).astype(np.int64)
    if len(frame_ids) != pred.shape[1]:
        raise ValueError(f'{name}: {pred.shape[1]} predicted frames, but frame_ids has {len(frame_ids)}; '
                         'the head must set frame_ids of the frames that it predicts')
    if pred.shape[1] != truth.shape[1]:
        rows = _find_frames(frame_ids, as_array(target['frame_ids']), visible, name)
        truth, visible = truth[:, rows], visible[:, rows]
    return pred, truth, visible, frame_ids


def _find_frames(wanted: np.ndarray, available: np.ndarray, visible: np.ndarray,
                 name: str) -> np.ndarray:
    """Rows of the ground truth that belong to the predicted frames (centre-frame models predict one of T)."""
    # Visible rows last: of a frame and its padded copies, the frame itself is found.
    order = np.argsort(visible.any(axis=(0, 2)), kind='stable')
    rows = {int(available[row]): int(row) for row in order}
    missing = [int(frame) for frame in wanted if int(frame) not in rows]
    if missing:
        raise ValueError(f'{name}: predicted frames {missing[:5]} are not among the target frames '
                         f'{int(available.min())}..{int(available.max())}; check frame_ids of the head')
    return np.array([rows[int(frame)] for frame in wanted])


def _check_finite(points: np.ndarray, frame_ids: np.ndarray, name: str, role: str) -> None:
    bad = ~np.isfinite(points).all(axis=(1, 2))
    if bad.any():
        word, cure = {'pred': ('prediction', 'training diverged or the input holds NaN'),
                      'target': ('ground truth', 'mark such targets visible=False or repair the data')}[role]
        raise ValueError(f'{name}: the {word} is NaN or infinite in {int(bad.sum())} of {len(bad)} frames, first in '
                         f'frame {int(frame_ids[bad][0])}; {cure}')


def _undefined_first(values: np.ndarray, defined: np.ndarray, length: int) -> np.ndarray:
    """(F - k,) values of frame differences -> (F,) values of their last frames, NaN elsewhere."""
    padded = np.full(length, np.nan)
    if len(values):
        padded[length - len(values):] = np.where(defined, values, np.nan)
    return padded
