"""Generated motion of bodies, as parameters and posed: what tests of mesh metrics measure."""
import numpy as np
import torch

from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.structures.motion_sample import MotionSample

BODY = dict(path='synthetic')


def make_motion(length, seed, persons=1):
    """Parameters (M, F, ...) of slow motion by name."""
    rng = np.random.default_rng(seed)
    time = np.arange(length)[:, None, None]
    rate, phase, size = (rng.uniform(low, high, (persons, 1, 24, 3)) for low, high in ((0.1, 0.4), (0, 6), (-0.6, 0.6)))
    betas = np.repeat(rng.normal(size=(persons, 1, 10)), length, axis=1)
    return dict(smpl_pose=(size * np.sin(rate * time + phase)).astype(np.float32), smpl_betas=betas.astype(np.float32))


def disturb(motion, seed, size=0.1):
    """The same motion with noise on every angle and coefficient."""
    rng = np.random.default_rng(seed)
    return {name: values + rng.normal(0, size, values.shape).astype(np.float32) for name, values in motion.items()}


def pose(body, motion):
    """Vertices (M, F, V, 3) and joints (M, F, 17, 3) mm of parameters."""
    angles, betas = (torch.from_numpy(motion[name]) for name in ('smpl_pose', 'smpl_betas'))
    vertices = body(axis_angle_to_matrix(angles).flatten(0, 1), betas.flatten(0, 1)).unflatten(0, angles.shape[:2])
    return {'vertices': vertices.numpy(), 'keypoints_3d': body.joints(vertices).numpy()}


def make_window(name, truth, pred, frames, visible=None, **meta):
    """Ground truth and prediction of one window; their fields hold all frames of the sequence."""
    frames = np.asarray(frames)
    meta = dict(sample_id=name, frame_ids=frames, action=name.partition('_')[0], skeleton='h36m', fps=30.0, **meta)
    target, sample = (MotionSample(metainfo=meta, **{key: torch.from_numpy(values[:, frames])
                                                     for key, values in fields.items()}) for fields in (truth, pred))
    if visible is not None:
        target.visible = torch.from_numpy(np.repeat(visible[..., None], 17, axis=-1))
    return target, sample
