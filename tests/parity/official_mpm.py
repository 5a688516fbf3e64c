"""Our models, weights and batches for the vectors of MPM's networks."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from motionbert_mm.checkpoints.official_mpm import MPM
from motionbert_mm.structures.motion_sample import MotionSample
from tests.parity.official_pstmo import (
    OF_MASKS,
    OF_NETWORK,
    SKELETONS,
    lifter_parts,
    load_weights,
    make_batch,
    vector_names,
)
from tests.parity.vectors import Vector

STAGE_II, JOINT, TUBE = 'stage2', 'stage1_joint', 'stage1_tube'
VECTORS = {STAGE_II: vector_names('mpm_stage2', 'mpm_stage2_j16', 'mpm_stage2_j17'),
           **{kind: sorted({f'mpm_{kind}', *vector_names(f'mpm_{kind}')}) for kind in (JOINT, TUBE)}}
KINDS = {name: kind for kind, names in VECTORS.items() for name in names}
# Official: one layer in MPMmask2, two in MPMmask.
DECODER_DEPTH = {JOINT: 1, TUBE: 2}
# Options that say which losses are taken and how masks are drawn; in the vectors masks are inputs.
OF_TASKS = OF_MASKS | {'onlylift', 'comp3d', 'comp2dlift', 'mask_manner2D', 'mask_manner3D', 'tubemask2D', 'tubemask3D'}
POINTS = {2: 'x2', 3: 'x3'}  # recorded inputs of stage I, by their coordinates


def model_config(args: dict[str, Any], kind: str) -> dict:
    """The config that the official constructor arguments describe, with the official losses but for their weights."""
    unknown = set(args) - OF_NETWORK - OF_TASKS
    if unknown:
        raise KeyError(f'no counterpart is known for the official options {sorted(unknown)}')
    frames, joints, dim = args['frames'], args['n_joints'], args['channel']
    sizes, is_lifter = dict(num_heads=8, mlp_ratio=args['d_hid'] / dim), kind == STAGE_II
    backbone = dict(type='MPMEncoder', num_joints=joints, max_frames=frames, dim=dim, depth=args['layers'],
                    hidden_dim=2 * dim, has_joint_token=not is_lifter, has_3d=not is_lifter, **sizes)
    model = dict(type='MotionModel', skeleton=SKELETONS[joints], backbone=backbone)
    if is_lifter:
        return dict(model, **lifter_parts(args, num_joints=joints))
    head = dict(num_joints=joints, depth=DECODER_DEPTH[kind], losses=[dict(type='MPJPELoss')], **sizes)
    return dict(model, neck=dict(type='RestoreFrames', max_frames=frames),
                heads=dict(pose_2d=dict(type='MaskedPoseHead', **head), pose_3d=dict(type='FramePoseHead', **head)))


def load_official(vector: Vector) -> nn.Module:
    """Build the model of a vector with its weights."""
    return load_weights(model_config(vector.meta['args'], KINDS[vector.name]), MPM, vector)


def with_confidence(points: np.ndarray) -> Tensor:
    """Network inputs (..., C + 1) of recorded coordinates (..., C)."""
    points = torch.from_numpy(points)
    return torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)


def lifter_batch(vector: Vector) -> tuple[Tensor, MotionSample]:
    """The recorded input of stage II as (B, 1, T, J, 3), and its targets."""
    inputs, samples = make_batch(vector)
    return with_confidence(inputs.numpy()), samples


def pretext_batch(vector: Vector, source: int, *targets: int) -> tuple[Tensor, MotionSample]:
    """A recorded input of stage I as (B, 1, T, J, C + 1), its mask, and what a pretext task learns.

    Args:
        vector: of stage I.
        source: coordinates C of the input, 2 or 3.
        targets: coordinates of the targets that the batch has.
    """
    inputs = with_confidence(vector.inputs[POINTS[source]])[:, None]
    samples = MotionSample(metainfo=dict(skeleton=SKELETONS[vector.meta['args']['n_joints']]))
    samples.set_data(dict(mask=mask_of(vector, source)))
    for target in targets:
        samples.set_data({f'target_{target}d': torch.from_numpy(vector.inputs[POINTS[target]])[:, None]})
    samples.set_data(dict(weight_2d=inputs.new_ones(inputs.shape[:-1])) if 2 in targets else {})
    return inputs, samples


def mask_of(vector: Vector, source: int) -> Tensor:
    """The recorded masks as ours, (B, 1, T, J): officially joints and frames have a mask each, ours is their union."""
    joints, frames = (torch.from_numpy(vector.inputs[f'{kind}mask{source}'].astype(bool)) for kind in 'st')
    shape = vector.inputs[POINTS[source]].shape[:-1]
    # Of the tube the mask is (B, J), the same in all frames, else (T, J), the same for all samples.
    joints = joints[:, None] if KINDS[vector.name] == TUBE else joints[None]
    return (joints | frames[:, None]).expand(shape)[:, None]
