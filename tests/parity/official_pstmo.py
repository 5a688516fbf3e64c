"""Our models, weights and batches for the vectors of P-STMO's networks."""
from __future__ import annotations

from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from motionbert_mm.checkpoints.official_blocks import OfficialNetwork
from motionbert_mm.checkpoints.official_pstmo import PSTMO
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton
from tests.parity.vectors import PARITY_DIR, Vector

ABSOLUTE = 2e-5  # tolerance of networks
SKELETONS = {17: 'h36m', 16: 'h36m16'}  # by the number of joints
# Options that say how masks are drawn; in the vectors masks are inputs.
OF_MASKS = {'spatial_mask_num', 'temporal_mask_rate'}
OF_NETWORK = {'layers', 'channel', 'd_hid', 'frames', 'n_joints', 'out_joints', 'in_channels', 'out_channels',
              'stride_num'}


def vector_names(kind: str, *known: str) -> list[str]:
    """The vectors that belong to this repository and whatever else of the kind ``PARITY_DIR`` holds."""
    return sorted({*known, *(path.stem for path in PARITY_DIR.glob(f'{kind}_*.npz'))})


STAGE_I = vector_names('ps_mae', 'ps_mae_f27')
STAGE_II = vector_names('ps_stmo', 'ps_stmo_f9', 'ps_stmo_f27', 'ps_stmo_f81')


def model_config(args: dict[str, Any], *, is_masked: bool) -> dict:
    """The config that the official constructor arguments describe, stage I or stage II, with the official losses."""
    unknown = set(args) - OF_NETWORK - OF_MASKS
    if unknown:
        raise KeyError(f'no counterpart is known for the official options {sorted(unknown)}')
    frames, dim, losses = args['frames'], args['channel'], [dict(type='MPJPELoss')]
    sizes = dict(num_heads=8, mlp_ratio=args['d_hid'] / dim)
    backbone = dict(type='PSTMOEncoder', in_channels=args['in_channels'], num_joints=args['n_joints'],
                    max_frames=frames, dim=dim, depth=args['layers'], hidden_dim=2 * dim,
                    has_joint_token=is_masked, **sizes)
    model = dict(type='MotionModel', skeleton=SKELETONS[args['n_joints']], backbone=backbone)
    if is_masked:
        neck = dict(type='RestoreFrames', max_frames=frames, out_channels=dim // 2)
        return dict(model, neck=neck, heads=dict(masked=dict(
            type='MaskedPoseHead', num_joints=args['n_joints'],
            depth=args['layers'] - 1, losses=losses, **sizes)))
    return dict(model, **lifter_parts(args, num_joints=args['out_joints']))


def lifter_parts(args: dict[str, Any], *, num_joints: int) -> dict:
    """What the config of a model of stage II has behind the backbone, with the official losses."""
    head = dict(type='FramePoseHead', num_joints=num_joints, out_channels=args['out_channels'],
                losses=[dict(type='MPJPELoss')])
    neck = dict(type='StridedReduction', num_frames=args['frames'], strides=args['stride_num'], num_heads=8,
                mlp_ratio=args['d_hid'] / args['channel'])
    return dict(neck=neck, predicts=['centre'],
                heads=dict(frames=dict(head, source='frames'), centre=dict(head, source='centre', centre=True)))


def load_official(vector: Vector) -> nn.Module:
    """Build the model of a vector with its weights."""
    return load_weights(model_config(vector.meta['args'], is_masked='mask' in vector.inputs), PSTMO, vector)


def load_weights(config: dict, network: OfficialNetwork, vector: Vector) -> nn.Module:
    """Build a model with the weights of a vector; every key must have a place and every place a key."""
    model = build(MODELS, config)
    weights, unmatched = network.to_ours(vector.state_dict)
    assert unmatched == []
    model.load_state_dict(weights, strict=True)
    return model.eval()


def assert_near(actual: Any, expected: Any) -> None:
    """Compare outputs of networks."""
    torch.testing.assert_close(actual, torch.as_tensor(expected), rtol=0, atol=ABSOLUTE)


def outputs_of(model: nn.Module, inputs: Tensor, mask: Optional[Tensor] = None) -> dict[str, Tensor]:
    """The outputs of all heads, (N, T', J, C) each, for inputs (B, M, T, J, C)."""
    with torch.no_grad():
        return model.run_heads(model.extract_features(inputs, mask), model.heads)


def averaged(model: nn.Module, pair: Tensor, mirror: list[int], mask: Optional[Tensor] = None) -> dict[str, Tensor]:
    """Average the outputs of a pair (N, 2, T, J, C), after mirroring the second back.

    Officially the data give the second input mirrored already; in the vectors it is another pose, drawn at random.
    """
    plain, mirrored = pair.split(1, dim=1)
    first, second = outputs_of(model, plain, mask), outputs_of(model, mirrored, mask)
    return {name: head.average_mirrored(first[name], second[name], mirror) for name, head in model.heads.items()}


def make_batch(vector: Vector) -> tuple[Tensor, MotionSample]:
    """The recorded input as (B, 1, T, J, 2), and what belongs to it: targets, mask, a record of normalisation."""
    inputs = from_official(vector.inputs['x'])[:, None]
    num_samples, root = len(inputs), get_skeleton(SKELETONS[vector.meta['args']['n_joints']]).root
    samples = MotionSample(metainfo=dict(
        skeleton=SKELETONS[vector.meta['args']['n_joints']], sample_id=[str(number) for number in range(num_samples)],
        frame_ids=np.tile(np.arange(inputs.shape[2]), (num_samples, 1)),
        norm=dict(target='root_relative', root=np.full(num_samples, root),
                  scale=np.full(num_samples, 1000.0, np.float32))))
    if 'target' in vector.inputs:
        target = torch.from_numpy(vector.inputs['target'])[:, None].clone()
        target[..., root, :] = 0.0
        samples.set_data(dict(target_3d=target))
    if 'mask' in vector.inputs:
        # Officially two masks: frames that are left out, and joints of any frame. Ours is their union.
        mask = torch.from_numpy(vector.inputs['mask'])[:, None] | torch.from_numpy(vector.inputs['spatial_mask'])
        samples.set_data(dict(mask=mask.expand(num_samples, 1, -1, -1), target_2d=inputs,
                              weight_2d=inputs.new_ones(inputs.shape[:-1])))
    return inputs, samples


def from_official(array: np.ndarray) -> Tensor:
    """Official arrays (N, C, T, J, 1) as (N, T, J, C)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array[..., 0], 1, -1)))


def flip_indices(vector: Vector) -> list[int]:
    """The mirror of every joint by the recorded lists of left and right joints."""
    mirror = list(range(vector.meta['args']['n_joints']))
    for left, right in zip(vector.meta['joints_left'], vector.meta['joints_right']):
        mirror[left], mirror[right] = right, left
    return mirror
