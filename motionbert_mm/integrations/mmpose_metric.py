"""The metric of this package on the data sets of MMPose."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from motionbert_mm.datasets.human36m import SKELETON, VIDEO_FPS, canonical_action
from motionbert_mm.datasets.human36m_mmpose import parse_image_name
from motionbert_mm.evaluation.functional.merging import as_array
from motionbert_mm.evaluation.metrics.pose3d import Pose3DMetric
from motionbert_mm.registry import METRICS

MM_PER_METRE = 1000.0


@METRICS.register_module()
class Pose3DMetricForMMPose(Pose3DMetric):
    """``Pose3DMetric`` of lifters that MMPose tests on its ``Human36mDataset``: millimetres, all protocols.

    Reads of each sample ``pred_instances.keypoints``, ``gt_instances.lifting_target``, both in metres, and
    ``lifting_target_visible``; and ``target_img_path``, which must be among the ``meta_keys`` of ``PackPoseInputs``,
    for sequence, subject, action, camera and frames. ``protocol='mmpose'`` averages as MMPose's own ``MPJPE`` does.
    """

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep one batch.

        Args:
            data_batch: not used: MMPose's samples hold prediction and truth.
            data_samples: samples with predictions, as dicts.

        Raises:
            ValueError: samples without ``target_img_path``, or whose names are not those of Human3.6M.
        """
        pairs = [_convert(sample) for sample in data_samples]
        super().process(dict(data_samples=[target for _, target in pairs]), [prediction for prediction, _ in pairs])


def _convert(sample: Mapping[str, Any]) -> tuple[dict, dict]:
    """Make prediction and ground truth of one sample those of ``Pose3DMetric``."""
    if 'target_img_path' not in sample:
        raise ValueError(f"the samples have no target_img_path, only {sorted(sample)}; add it to meta_keys of "
                         'PackPoseInputs')
    images = [parse_image_name(str(path)) for path in np.atleast_1d(sample['target_img_path'])]
    truth = as_array(sample['gt_instances']['lifting_target'])  # (T, K, 3)
    visible = as_array(sample['gt_instances']['lifting_target_visible']).reshape(truth.shape[:-1]) > 0.5
    points = as_array(sample['pred_instances']['keypoints'])
    points = points.reshape(-1, *truth.shape[1:])  # some heads of MMPose leave an axis of one person
    frame_ids, first = np.array([image.frame for image in images]), images[0]
    step = np.diff(frame_ids)
    target = dict(sample_id=first.sequence, subject=first.subject, action=canonical_action(first.action),
                  camera_id=first.camera, fps=VIDEO_FPS / step[0] if len(step) else None, skeleton=SKELETON,
                  frame_ids=frame_ids, keypoints_3d=truth[None] * MM_PER_METRE, visible=visible[None])
    middle = len(frame_ids) // 2
    predicted = frame_ids if len(points) == len(frame_ids) else frame_ids[middle:middle + 1]
    return dict(sample_id=first.sequence, frame_ids=predicted, keypoints_3d=points[None] * MM_PER_METRE), target
