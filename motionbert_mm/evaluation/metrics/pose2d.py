"""Errors of 2D joint positions: how well a pretext restores what it was not shown."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from motionbert_mm.evaluation.functional.averaging import mean_where
from motionbert_mm.evaluation.functional.keypoint_eval import joint_errors
from motionbert_mm.evaluation.functional.matching import check_finite, hidden_joints, match_frames, visible_joints
from motionbert_mm.evaluation.functional.merging import as_array
from motionbert_mm.evaluation.metrics.base import MotionMetric, Window
from motionbert_mm.registry import METRICS

FIELD = 'keypoints_2d'


@METRICS.register_module()
class Pose2DMetric(MotionMetric):
    """Distance of predicted 2D joints from ``keypoints_2d`` of the ground truth, in all and by what was hidden.

    Keys of the result: ``MPJPE-2D`` in pixels over all joints; its parts ``MPJPE-2D/seen``, ``MPJPE-2D/hidden-joints``
    (hidden in a frame of which something was seen) and ``MPJPE-2D/hidden-frames`` (every joint hidden), by the ``mask``
    of the ground truth, without which all was seen; and ``MPJPE-2D-permille``, thousandths of half the image width,
    where the image size is known, for comparison with the losses. The first and the last also as ``key/frame``,
    ``key/clip`` and ``key/<group_by>``; a part that no frame has is left out.

    The joints of a part are averaged in each frame first. With masks of exact counts (``SampleExactMask``) all frames
    of a part have equally many, so that this is the mean over its joints. Targets that are not visible do not count.
    Differs from official: neither do the frames that pad a window. Windows that overlap are hidden differently, so each
    is measured and the errors are averaged per frame. ``test_mode=True`` of the data set keeps the masks the same.

    Args:
        average: 'frame', 'clip' or the value of ``group_by``: which of the three averages is the headline.
        group_by: a row of ``GROUPINGS``, or a metainfo key: what the rows of the table are.
        tables: likewise for further tables.
        within_group: 'frame' or 'clip', what is averaged inside a group.
        skip_list: sequences that are left out, names or patterns.
        prefix: put before every key of the result, with a slash.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
        collect_dir: shared directory for gathering on the CPU.
    """

    def __init__(self, *, average: str = 'action', group_by: str = 'action', tables: Sequence[str] = (),
                 within_group: str = 'frame', skip_list: Sequence[str] = (), prefix: Optional[str] = None,
                 collect_device: str = 'cpu', collect_dir: Optional[str] = None) -> None:
        super().__init__(average=average, group_by=group_by, tables=tables, within_group=within_group,
                         overlap='errors', skip_list=skip_list, prefix=prefix, collect_device=collect_device,
                         collect_dir=collect_dir)

    def extract(self, prediction: Mapping[str, Any], target: Mapping[str, Any]) -> list[Window]:
        """Keep the frames of ``keypoints_2d`` (M, T, J, 2) pixels in which a target is visible."""
        name = target['sample_id']
        frame_ids, rows = match_frames(prediction, target, FIELD)
        arrays = _arrays(prediction, target, rows)
        size = target.get('image_size')
        meta = {'fps': target.get('fps'), 'skeleton': target.get('skeleton'), 'flip_test': prediction.get('flip_test'),
                'half_width': np.nan if size is None else float(size[0]) / 2}
        windows = []
        for person, shown in enumerate(arrays['valid'].any(axis=-1)):
            kept = {role: values[person, shown] for role, values in arrays.items()}
            for role in ('pred', 'target'):
                check_finite(np.where(kept['valid'][..., None], kept[role], 0.0), frame_ids[shown], name, role)
            windows.append(Window(name, person, frame_ids[shown], kept, frame_ids[~shown], meta))
        return windows

    def measure(self, window: Window) -> dict[str, np.ndarray]:
        """Measure a window: (F,) values by name."""
        valid, mask = window.arrays['valid'], window.arrays['mask']
        errors = joint_errors(window.arrays['pred'], window.arrays['target'])
        no_joint_seen = mask.all(axis=-1, keepdims=True)
        overall = mean_where(errors, valid)
        return {
            'MPJPE-2D': overall,
            'MPJPE-2D/seen': mean_where(errors, valid & ~mask),
            'MPJPE-2D/hidden-joints': mean_where(errors, valid & mask & ~no_joint_seen),
            'MPJPE-2D/hidden-frames': mean_where(errors, valid & no_joint_seen),
            'MPJPE-2D-permille': overall / window.meta['half_width'] * 1000,
        }

    def describe(self, clips: Sequence[Window]) -> list[str]:
        """Say which joints were measured, in which unit, and whether anything was hidden."""
        skeletons = sorted({clip.meta['skeleton'] or 'an unnamed skeleton' for clip in clips})
        is_hidden = any(np.isfinite(values).any() for clip in clips for name, values in clip.arrays.items()
                        if 'hidden' in name)
        return [f'joints: all of {", ".join(skeletons)}', 'absolute positions in pixels',
                'hidden by a mask: all, seen and hidden joints count' if is_hidden else 'nothing was hidden']


def _arrays(prediction: Mapping[str, Any], target: Mapping[str, Any], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Points (M, T', J, 2), ``valid`` and ``mask`` (M, T', J) of the predicted frames, rows (T',) of the target's."""
    name = target['sample_id']
    if target.get(FIELD) is None:
        raise KeyError(f'{name}: the ground truth has no {FIELD}, only {sorted(target)}; add {FIELD} to the fields of '
                       'PackInputs')
    pred, truth = (as_array(sample[FIELD]).astype(np.float32) for sample in (prediction, target))
    valid = visible_joints(target, truth.shape[:3])
    mask = hidden_joints(target, valid.shape)
    if pred.shape != (*valid[:, rows].shape, 2) or truth.shape != (*mask.shape, 2):
        raise ValueError(f'{name}: {FIELD} must be (M, T, J, 2), got prediction {pred.shape}, ground truth '
                         f'{truth.shape} and mask {mask.shape}; check the head and ConvertSkeleton')
    return {'pred': pred, 'target': truth[:, rows], 'valid': valid[:, rows], 'mask': mask[:, rows]}
