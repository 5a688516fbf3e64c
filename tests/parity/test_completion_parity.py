"""Scores of MPM's completion: seen joints take the truth, hidden ones the prediction, all joints are averaged."""
import numpy as np
import pytest
import torch

from motionbert_mm.evaluation import Pose3DMetric
from motionbert_mm.evaluation import functional as F
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton
from tests.parity.vectors import assert_identical, load_vector

TOLERANCE = 1e-4  # mm
SKELETONS = {17: 'h36m', 16: 'h36m16'}


@pytest.fixture
def official():
    """Truth, prediction and completed poses (B, T, J, 3) in metres, and the mask (B, T, J)."""
    vector = load_vector('mpm_stage1_tube')
    truth, mask = vector.inputs['x3'], vector.inputs['smask3'].astype(bool)
    return truth, vector.outputs['only3d'], vector.outputs['completed3d'], np.repeat(mask[:, None], truth.shape[1], 1)


def test_completed_poses(official):
    truth, pred, completed, mask = official
    assert 0 < mask.sum() < mask.size
    assert_identical(torch.from_numpy(F.complete(pred, truth, mask).astype(np.float32)), torch.from_numpy(completed))


def test_the_metric_scores_completed_poses(official):
    truth, pred, completed, mask = official
    name = SKELETONS[truth.shape[2]]
    metric = Pose3DMetric(average='frame', overlap='errors', root_relative=False)
    for number, window in enumerate(zip(truth, pred, mask)):
        meta = dict(sample_id=f'window {number}', frame_ids=np.arange(truth.shape[1]), skeleton=name)
        points, guess, hidden = (torch.from_numpy(values[None].copy()) for values in window)
        metric.process(dict(data_samples=[MotionSample(metainfo=meta, keypoints_3d=1000 * points, mask=hidden)]),
                       [dict(meta, keypoints_3d=1000 * guess)])
    result = metric.evaluate(len(truth))
    # Official: mpjpe_cal of the completed poses over all frames and all joints.
    expected = 1000 * np.linalg.norm(completed.astype(np.float64) - truth, axis=-1).mean()
    assert result['MPJPE/completed'] == pytest.approx(expected, abs=TOLERANCE, rel=1e-6)
    hidden = 1000 * np.linalg.norm(pred.astype(np.float64) - truth, axis=-1)[mask]
    assert get_skeleton(name).num_joints / (mask.mean() * mask.shape[2]) * result['MPJPE/completed'] == pytest.approx(
        hidden.mean(), abs=TOLERANCE, rel=1e-6)
