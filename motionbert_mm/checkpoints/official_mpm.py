"""Official weights of MPM, stage I, completion and stage II, in both directions."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from torch import Tensor

from motionbert_mm.checkpoints.official import Rows
from motionbert_mm.checkpoints.official_blocks import (
    LIFTER,
    TOKEN,
    XY,
    OfficialNetwork,
    encoder_sizes,
    lifter_parts,
    norm_rows,
    normed_linear_rows,
    output_rows,
    residual_rows,
    transformer_rows,
    transformer_sizes,
)

H36M_SKELETONS = {16: 'h36m16', 17: 'h36m'}  # Official: common/h36m_dataset.py, with and without joint 9
LIFTER_MLP_DROP = 0.2  # Official: model/MPM.py; 0.1 in model/MPMLift.py

# What all networks have: 2D encoder, shared MLP and transformer.
ENCODER: Rows = (*normed_linear_rows('encoder2d.', 'backbone.expand.'),
                 *residual_rows('shared_layers_spatial.', 'backbone.'),
                 ('shared_layers_temporal.pos_embedding', 'backbone.frame_embed'),
                 *transformer_rows('shared_layers_temporal.', 'backbone.'))
# Stage I and completion: 3D encoder, tokens and decoders. Official model/MPMLift.py.
MASKED: Rows = (*normed_linear_rows('encoder3d.', 'backbone.expand_3d.'),
                ('spatial_mask_token2d', 'backbone.joint_token', TOKEN),
                ('spatial_mask_token3d', 'backbone.joint_token_3d', TOKEN),
                *norm_rows('encoder_LN.', 'neck.norm.'),
                ('temporal_mask_token', 'neck.frame_token', TOKEN),
                ('dec_pos_embedding', 'neck.frame_embed'),
                *(row for space in ('2d', '3d') for row in (
                    *transformer_rows(f'decoder{space}.', f'heads.pose_{space}.output.', 'last_norm'),
                    *output_rows(f'fcn_dec{space}.', f'heads.pose_{space}.output.'))))


def mpm_model_config(state_dict: Mapping[str, Tensor], *, skeleton: Optional[str] = None) -> dict:
    """Read the sizes of an MPM model off its official weights.

    Args:
        state_dict: official keys without prefix, of stage I, of a completion network or of stage II; in stage II those
            of the refine module may be among them.
        skeleton: joint set of inputs and outputs; None is that of the official models with as many joints.

    Returns:
        A ``MotionModel`` config without losses: in stage II backbone, ``StridedReduction`` and the heads ``frames`` and
        ``centre``, else backbone, ``RestoreFrames`` and the heads ``pose_2d`` and ``pose_3d``.

    Raises:
        ValueError: none of the networks, or keys missing that tell a size.
    """
    is_lifter, is_masked = 'fcn.1.weight' in state_dict, 'fcn_dec3d.1.weight' in state_dict
    if is_lifter == is_masked or 'encoder2d.fc_1.weight' not in state_dict:
        raise ValueError('no MPM model found: expected the keys of stage II (encoder2d., shared_layers_spatial., '
                         'shared_layers_temporal., Transformer_reduce., fcn., fcn_1.) or of stage I (encoder2d., '
                         'encoder3d., shared_layers_spatial., shared_layers_temporal., decoder2d., decoder3d., '
                         f'fcn_dec2d., fcn_dec3d.), got {sorted(map(str, state_dict))[:10]}')
    num_joints = state_dict['encoder2d.fc_1.weight'].shape[1] // XY
    backbone = dict(type='MPMEncoder', num_joints=num_joints, has_joint_token=is_masked, has_3d=is_masked,
                    **encoder_sizes(state_dict, first='encoder2d.', blocks='shared_layers_spatial.',
                                    transformer='shared_layers_temporal.'))
    model = dict(type='MotionModel', skeleton=skeleton or H36M_SKELETONS.get(num_joints, 'h36m'), backbone=backbone)
    if is_lifter:
        backbone['mlp_drop'] = LIFTER_MLP_DROP
        return dict(model, **lifter_parts(state_dict, num_joints=num_joints, num_frames=backbone['max_frames']))
    heads = {f'pose_{space}': dict(type=kind, num_joints=num_joints,
                                   **transformer_sizes(state_dict, f'decoder{space}.'))
             for space, kind in (('2d', 'MaskedPoseHead'), ('3d', 'FramePoseHead'))}
    return dict(model, neck=dict(type='RestoreFrames', max_frames=backbone['max_frames']), heads=heads)


MPM = OfficialNetwork((*ENCODER, *LIFTER, *MASKED), mpm_model_config)
