"""Errors of 3D joint positions."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from motionbert_mm.evaluation.functional.averaging import mean_where
from motionbert_mm.evaluation.functional.keypoint_eval import (
    AUC_THRESHOLDS,
    acceleration_error,
    auc,
    complete,
    joint_errors,
    mpjpe,
    mpjve,
    n_mpjpe,
    p_mpjpe,
    pck,
)
from motionbert_mm.evaluation.functional.matching import check_finite, hidden_joints, match_frames, visible_joints
from motionbert_mm.evaluation.functional.merging import as_array
from motionbert_mm.evaluation.functional.steps import steady_steps, undefined_first
from motionbert_mm.evaluation.metrics.base import MotionMetric, Window
from motionbert_mm.evaluation.metrics.report import Report
from motionbert_mm.evaluation.protocols import get_protocol, resolve_options
from motionbert_mm.registry import METRICS
from motionbert_mm.structures.skeleton import get_skeleton

AUC_WORDS = f'{AUC_THRESHOLDS[0]:g}, {AUC_THRESHOLDS[1]:g}, ..., {AUC_THRESHOLDS[-1]:g} mm'
Joints = Optional[Sequence[Union[str, int]]]
JointGroups = Union[Joints, Mapping[str, Sequence[Union[str, int]]]]


# What a mask of the ground truth adds to MPJPE.
HIDDEN, SEEN, COMPLETED = PARTS = ('MPJPE/hidden', 'MPJPE/seen', 'MPJPE/completed')


class _Hidden(NamedTuple):
    """What was hidden from the network: joints that were so in some frame, and how many in a frame, from..to."""

    joints: frozenset[str]
    least: int
    most: int


class _JointSet(NamedTuple):
    """Joints to keep of a skeleton, and rows of those: averaged, counted by PCK and AUC, in each group of PCK."""

    total: int
    root: int
    kept: list[int]
    averaged: list[int]
    counted: list[int]
    groups: dict[str, list[int]]


@METRICS.register_module()
class Pose3DMetric(MotionMetric):
    """MPJPE, P-MPJPE, MPJVE, N-MPJPE, acceleration error, PCK at 150 mm and AUC from 0 to 150 mm.

    Keys of the result: ``MPJPE``, ``P-MPJPE`` (mm), ``MPJVE`` (mm per frame), ``N-MPJPE`` (mm), ``Accel`` (mm per frame
    squared), ``PCK@150`` and ``AUC`` (percent); each also as ``key/frame``, ``key/clip``, ``key/<group_by>`` and
    ``key/<table>``, and with groups of joints ``PCK@150/<joints>``.
    Velocities are taken between frames that follow each other at the sequence's own frame step, never across a gap,
    and with ``overlap='errors'`` not across the borders of windows.
    A frame counts if the target of every joint that is used is visible; a joint that a data set never shows therefore
    has to be left out of ``joints``.

    Where the ground truth has a ``mask`` there are also ``MPJPE/hidden`` and ``MPJPE/seen``, means over the joints of a
    frame that the network was not or was given, and ``MPJPE/completed``, which takes the truth for the latter: the
    errors of hidden joints divided by all J, 0 in a frame that hides nothing (MPM, table 4; times J over the number of
    hidden joints it is the error of those). Windows that overlap may be hidden differently, so these three are measured
    in each window and averaged per source frame, with either ``overlap``. An average of predictions, however, mixes
    windows that were given a joint with others that were not: for masks that differ choose ``overlap='errors'``.

    A named protocol fixes ``joints``, ``root_relative``, ``drop_zero_error``, ``average``, ``group_by``,
    ``within_group``, ``overlap`` and, on MPI-INF-3DHP, ``pck_joints``: another value is refused. ``skip_list`` adds to
    the recordings that it leaves out, and the protocol line says so; ``tables`` adds to its tables. Without a protocol
    an option that is None has the value given in brackets.

    Args:
        protocol: a row of ``PROTOCOLS``: 'motionbert', 'videopose3d' or 'mmpose' on Human3.6M, 'mpi_inf_3dhp'; None
            takes the options alone.
        joints: names or indices of the joints that are averaged [all of the skeleton, the root included].
        pck_joints: names or indices of the joints that PCK and AUC count, or such lists by group of joints, for which
            PCK is given too; None takes ``joints``.
        root_relative: measure positions relative to the skeleton's root joint [True].
        drop_zero_error: leave out frames whose MPJPE is exactly 0 [False].
        average: which of the three averages is the headline ['action'].
        group_by: what the rows of the first table are, a grouping or a metainfo key ['action'].
        tables: likewise for further tables, e.g. ``['subject']``.
        within_group: 'frame' or 'clip', what is averaged inside a group ['frame'].
        overlap: 'predictions' or 'errors', how overlapping windows are merged ['predictions'].
        skip_list: sequences that are left out, names or patterns.
        prefix: put before every key of the result, with a slash.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
        collect_dir: shared directory for gathering on the CPU.
    """

    def __init__(self, protocol: Optional[str] = None, *, joints: Joints = None, pck_joints: JointGroups = None,
                 root_relative: Optional[bool] = None, drop_zero_error: Optional[bool] = None,
                 average: Optional[str] = None, group_by: Optional[str] = None, tables: Sequence[str] = (),
                 within_group: Optional[str] = None, overlap: Optional[str] = None, skip_list: Sequence[str] = (),
                 prefix: Optional[str] = None, collect_device: str = 'cpu', collect_dir: Optional[str] = None) -> None:
        self.protocol = None if protocol is None else get_protocol(protocol)
        options = resolve_options(self.protocol, dict(
            joints=joints, pck_joints=pck_joints, root_relative=root_relative, drop_zero_error=drop_zero_error,
            average=average, group_by=group_by, within_group=within_group, overlap=overlap))
        super().__init__(average=options['average'], group_by=options['group_by'], tables=tables,
                         within_group=options['within_group'], overlap=options['overlap'], skip_list=skip_list,
                         prefix=prefix, collect_device=collect_device, collect_dir=collect_dir)
        self.more_skipped = self.skip_list
        if self.protocol is not None:
            self.skip_list = (*self.protocol.skip_list, *self.more_skipped)
            self.tables = (*self.protocol.tables, *self.tables)
        self.joints, self.pck_joints = options['joints'], options['pck_joints']
        self.root_relative, self.drop_zero_error = options['root_relative'], options['drop_zero_error']
        self._joint_sets: dict[str, _JointSet] = {}
        self._hidden: Optional[_Hidden] = None

    def extract(self, prediction: Mapping[str, Any], target: Mapping[str, Any]) -> list[Window]:
        """Keep the joints and visible frames of ``keypoints_3d`` (M, T, J, 3) mm, relative to the root if so set."""
        name, skeleton = target['sample_id'], target.get('skeleton')
        joints = self._joint_set(skeleton)
        pred, truth, visible, mask, frame_ids = _matched(prediction, target, name)
        if pred.shape != truth.shape or truth.shape[2] != joints.total or mask.shape != truth.shape[:3]:
            raise ValueError(f'{name}: keypoints_3d must be (M, T, {joints.total}, 3) for the skeleton {skeleton}, got '
                             f'prediction {pred.shape}, ground truth {truth.shape} and mask {mask.shape}; '
                             'check the head and ConvertSkeleton')
        needed = sorted({*joints.kept, joints.root}) if self.root_relative else joints.kept
        meta = {'fps': target.get('fps'), 'skeleton': skeleton, 'flip_test': prediction.get('flip_test'),
                'subject': target.get('subject'), 'action': target.get('action'), 'camera': target.get('camera_id')}
        windows = []
        for person, shown in enumerate(visible[:, :, needed].all(axis=-1)):
            arrays = {'pred': pred[person, shown], 'target': truth[person, shown]}
            for role, points in arrays.items():
                check_finite(points[:, needed], frame_ids[shown], name, role)
            if self.root_relative:
                arrays = {role: points - points[:, joints.root, None] for role, points in arrays.items()}
            arrays = {role: points[:, joints.kept] for role, points in arrays.items()}
            hidden = mask[person, shown]
            averaged = [joints.kept[row] for row in joints.averaged]
            parts = _measure_parts(*(arrays[role][:, joints.averaged] for role in ('pred', 'target')),
                                   hidden[:, averaged])
            windows.append(Window(name, person, frame_ids[shown], {**arrays, **parts}, frame_ids[~shown],
                                  {**meta, 'mask': _what_was_hidden(hidden, skeleton)}))
        return windows

    def measure(self, window: Window) -> dict[str, np.ndarray]:
        """Measure a window or merged clip: (F,) values by name."""
        joints = self._joint_set(window.meta['skeleton'])
        pred, target = (window.arrays[role][:, joints.averaged] for role in ('pred', 'target'))
        counted = [window.arrays[role][:, joints.counted] for role in ('pred', 'target')]
        steady = steady_steps(window.frame_ids)
        return {
            'MPJPE': mpjpe(pred, target),
            'P-MPJPE': p_mpjpe(pred, target),
            'MPJVE': undefined_first(mpjve(pred, target), steady, len(pred)),
            'N-MPJPE': n_mpjpe(pred, target),
            'Accel': undefined_first(acceleration_error(pred, target), steady[1:] & steady[:-1], len(pred)),
            'PCK@150': pck(*counted),
            'AUC': auc(*counted),
            **{f'PCK@150/{name}': pck(*(window.arrays[role][:, rows] for role in ('pred', 'target')))
               for name, rows in joints.groups.items()},
            **{name: window.arrays[name] for name in PARTS if name in window.arrays},
        }

    def report(self, results: Sequence[Window]) -> Report:
        """Average the values of all clips; where nothing was hidden, there are no parts of MPJPE.

        Args:
            results: windows of all processes, in any order, copies included.
        """
        self._hidden = _join_hidden([window.meta['mask'] for window in results if window.meta.get('mask')])
        if self._hidden is None:
            results = [window._replace(arrays={name: values for name, values in window.arrays.items()
                                               if name not in PARTS}) for window in results]
        return super().report(results)

    def finish(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Make frames without any error undefined, if they are to be dropped."""
        if not self.drop_zero_error:
            return values
        exact = values['MPJPE'] == 0
        return {name: np.where(exact, np.nan, entries) for name, entries in values.items()}

    def describe(self, clips: Sequence[Window]) -> list[str]:
        """Say the name of the protocol, which joints were measured, and relative to what."""
        skeletons = sorted({clip.meta['skeleton'] for clip in clips})
        words = [] if self.protocol is None else [f'protocol: {self.protocol.name}']
        words.append(f'joints: {_joint_words(self.joints)} of {", ".join(skeletons)}')
        if self.pck_joints is not None:
            words.append(f'PCK and AUC: {_joint_words(_all_joints(self.pck_joints))}, strictly below 150 mm and '
                         f'{AUC_WORDS}')
        roots = sorted({get_skeleton(name).joints[self._joint_set(name).root] for name in skeletons})
        words.append(f'relative to {", ".join(roots)}' if self.root_relative else 'absolute positions')
        if self.drop_zero_error:
            words.append('frames with zero error dropped')
        if self._hidden is not None:
            words += self._describe_hidden(clips)
        return words

    def _describe_hidden(self, clips: Sequence[Window]) -> list[str]:
        """Say what was hidden, in how many frames, and how its errors are averaged."""
        names, least, most = self._hidden
        is_fixed = least == most == len(names)
        if is_fixed:
            what = _group_words(names, get_skeleton(clips[0].meta['skeleton']))
        else:
            number = str(least) if least == most else f'{least} to {most}'
            what = '1 joint that differs' if most == 1 else f'{number} joints that differ'
        frames = sum(np.isfinite(clip.arrays['MPJPE']).sum() for clip in clips)
        share = sum(np.isfinite(clip.arrays[HIDDEN]).sum() for clip in clips) / frames
        words = [f'hidden: {what}, in {"every frame" if share == 1 else f"{share:.0%} of the frames"}',
                 'hidden, seen and completed: each window measured']
        if self.overlap == 'predictions' and not is_fixed:
            words.append('the others: averaged predictions, of which some may have been given what others were not')
        return words

    def describe_excluded(self) -> str:
        """Name the recordings that the protocol leaves out, and the patterns that were added."""
        if self.protocol is None:
            return super().describe_excluded()
        more = f'; beyond the protocol: {", ".join(self.more_skipped)}' if self.more_skipped else ''
        return self.protocol.describe_excluded() + more

    def check(self, clips: Sequence[Window]) -> None:
        """Refuse clips among which the protocol did not find a recording that it leaves out."""
        if self.protocol is not None:
            self.protocol.check_excluded({'sample_id': clip.sample_id, **clip.meta} for clip in clips)

    def _joint_set(self, name: Optional[str]) -> _JointSet:
        """Look up the joints of a skeleton, once."""
        if name is None:
            raise KeyError("Pose3DMetric needs the skeleton's name in the metainfo of the ground truth; "
                           'let the data set or ConvertSkeleton set it')
        if name not in self._joint_sets:
            skeleton = get_skeleton(name)
            if self.protocol is not None and name != self.protocol.skeleton:
                raise ValueError(f'protocol {self.protocol.name!r} is defined for skeleton {self.protocol.skeleton!r}, '
                                 f'the data have {name!r}; convert them (ConvertSkeleton), or leave protocol out')
            averaged = _indices(self.joints, skeleton)
            counted = averaged if self.pck_joints is None else _indices(_all_joints(self.pck_joints), skeleton)
            groups = self.pck_joints if isinstance(self.pck_joints, Mapping) else {}
            kept = sorted({*averaged, *counted})
            self._joint_sets[name] = _JointSet(skeleton.num_joints, skeleton.root, kept,
                                               [kept.index(joint) for joint in averaged],
                                               [kept.index(joint) for joint in counted],
                                               {group: [kept.index(joint) for joint in _indices(names, skeleton)]
                                                for group, names in groups.items()})
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


def _all_joints(joints: JointGroups) -> Joints:
    """The joints of all groups."""
    return [joint for group in joints.values() for joint in group] if isinstance(joints, Mapping) else joints


def _joint_words(joints: Joints) -> str:
    return 'all' if joints is None else f'{len(joints)} ({", ".join(str(joint) for joint in joints)})'


def _measure_parts(pred: np.ndarray, target: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Errors (F,) of hidden and seen joints and of the completed pose; points (F, J, 3), mask (F, J)."""
    errors = joint_errors(pred, target)
    return {HIDDEN: mean_where(errors, mask), SEEN: mean_where(errors, ~mask),
            COMPLETED: mpjpe(complete(pred, target, mask), target)}


def _what_was_hidden(mask: np.ndarray, skeleton: str) -> Optional[_Hidden]:
    """Sum up a mask (F, J) of a window; None if it hides nothing."""
    counts = mask.sum(axis=-1)
    if not counts.any():
        return None
    names = frozenset(np.array(get_skeleton(skeleton).joints)[mask.any(axis=0)].tolist())
    return _Hidden(names, int(counts[counts > 0].min()), int(counts.max()))


def _join_hidden(windows: Sequence[_Hidden]) -> Optional[_Hidden]:
    if not windows:
        return None
    joints, least, most = zip(*windows)
    return _Hidden(frozenset().union(*joints), min(least), max(most))


def _group_words(names: frozenset[str], skeleton: Any) -> str:
    """Name joints in the order of the skeleton, and their group where it has a name."""
    joints = ', '.join(joint for joint in skeleton.joints if joint in names)
    groups = (group for group, rows in skeleton.groups.items() if {skeleton.joints[row] for row in rows} == names)
    group = next(groups, None)
    return joints if group is None else f'{group} ({joints})'


def _matched(prediction: Mapping[str, Any], target: Mapping[str, Any],
             name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Prediction and truth (M, T, J, 3), visibility and mask (M, T, J) and frame ids (T,) of the predicted frames."""
    frame_ids, rows = match_frames(prediction, target)
    if target.get('keypoints_3d') is None:
        raise KeyError(f'{name}: the ground truth has no keypoints_3d, only {sorted(target)}; '
                       'check the targets of the data set and the fields of PackInputs')
    pred, truth = (as_array(sample['keypoints_3d']).astype(np.float32) for sample in (prediction, target))
    flags = (find(target, truth.shape[:3])[:, rows] for find in (visible_joints, hidden_joints))
    return pred, truth[:, rows], *flags, frame_ids
