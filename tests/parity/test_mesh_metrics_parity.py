"""Mesh metrics and mirroring of MotionBERT, lib/utils/utils_mesh.py."""
import numpy as np
import pytest
import torch

from motionbert_mm.evaluation import MeshMetric
from motionbert_mm.evaluation import functional as F
from motionbert_mm.geometry.alignment import procrustes_align
from motionbert_mm.geometry.rotation import axis_angle_to_matrix, mirror_axis_angle, mirror_matrix
from motionbert_mm.structures.skeleton import get_skeleton
from tests.parity.vectors import assert_close, load_vector

TOLERANCE = 1e-4  # mm
STORED = 1e-7  # relative rounding of a recorded float32; matters above 1 m
OFFICIAL = {'MPVE': 'mpve', 'MPJPE': 'mpjpe', 'PA-MPJPE': 'pa_mpjpe', 'MPJPE/17': 'mpjpe_17j',
            'PA-MPJPE/17': 'pa_mpjpe_17j'}
FLIP = get_skeleton('smpl24').flip_indices


@pytest.fixture(scope='module')
def vector():
    return load_vector('mb_mesh_metrics')


def assert_mm(actual, expected):
    np.testing.assert_allclose(actual, np.asarray(expected, np.float64), rtol=0, atol=TOLERANCE)


def bodies(vector):
    """Vertices and joints of prediction and truth."""
    return [vector.inputs[name + end] for name in ('verts', 'kp_3d') for end in ('', '_gt')]


def test_evaluate_mesh(vector):
    pred, target, pred_joints, target_joints = bodies(vector)
    errors = {'MPVE': F.mpve(pred, target, pred_joints, target_joints),
              **F.body_joint_errors(pred_joints - pred_joints[:, :1], target_joints - target_joints[:, :1])}
    assert {name: len(values) for name, values in errors.items()} == dict.fromkeys(OFFICIAL, len(pred))
    for name, official in OFFICIAL.items():
        assert_mm(errors[name].mean(), vector.outputs[official])


def test_the_metric_gives_the_numbers_of_evaluate_mesh(vector, monkeypatch):
    pred, target, pred_joints, target_joints = bodies(vector)
    metric = MeshMetric(dict(path='synthetic'), protocol='h36m-mosh')
    monkeypatch.setattr(metric, '_pose', lambda smpl_pose, smpl_betas: (target, target_joints))
    frames = len(pred)
    meta = dict(sample_id='clip', action='walk', frame_ids=np.arange(frames))
    truth = dict(meta, smpl_pose=torch.zeros(1, frames, 24, 3), smpl_betas=torch.zeros(1, frames, 10))
    metric.process(dict(data_samples=[truth]), [dict(meta, vertices=pred[None], keypoints_3d=pred_joints[None])])
    result = metric.evaluate(1)
    for name, official in OFFICIAL.items():
        assert_mm(result[name], vector.outputs[official])


def test_compute_error_of_training(vector):
    pred, target, pred_joints, target_joints = bodies(vector)
    assert_mm(F.mpve(pred, target, pred_joints, target_joints).mean(), vector.outputs['compute_error_mpve'])
    relative = [points - points[:, :1] for points in (pred_joints, target_joints)]
    assert_mm(F.mpjpe(*relative).mean(), vector.outputs['compute_error_mpjpe'])


def test_rigid_align(vector):
    pred, target = (vector.inputs[name].astype(np.float64) for name in ('kp_3d', 'kp_3d_gt'))
    np.testing.assert_allclose(procrustes_align(pred, target), vector.outputs['rigid_align'], rtol=STORED,
                               atol=TOLERANCE)


def test_flip_thetas(vector):
    assert_close(mirror_axis_angle(vector.inputs['thetas'], FLIP), vector.outputs['flip_thetas'])
    batch = vector.inputs['thetas_batch']
    mirrored = mirror_axis_angle(batch.reshape(*batch.shape[:-1], 24, 3), FLIP)
    assert_close(mirrored.reshape(batch.shape), vector.outputs['flip_thetas_batch'])


def test_flip_thetas_of_matrices(vector):
    thetas, expected = (axis_angle_to_matrix(angles.astype(np.float64))
                        for angles in (vector.inputs['thetas'], vector.outputs['flip_thetas']))
    assert_close(mirror_matrix(thetas, FLIP), expected)
