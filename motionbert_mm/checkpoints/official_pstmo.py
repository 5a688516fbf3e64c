"""Official weights of P-STMO, stage I and stage II, in both directions."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from torch import Tensor

from motionbert_mm.checkpoints.official import Rows, get_weight
from motionbert_mm.checkpoints.official_blocks import (
    LIFTER,
    TOKEN,
    XY,
    XYZ,
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

# What both stages have: SEM and TEM.
ENCODER: Rows = (*normed_linear_rows('encoder.', 'backbone.expand.'), *residual_rows('encoder.', 'backbone.'),
                 ('Transformer.pos_embedding', 'backbone.frame_embed'),
                 *transformer_rows('Transformer.', 'backbone.'))
# Stage I: tokens and decoder. Official model/stmo_pretrain.py.
MASKED: Rows = (('spatial_mask_token', 'backbone.joint_token', TOKEN),
                *norm_rows('encoder_LN.', 'neck.norm.'),
                ('encoder_to_decoder.', 'neck.project.'),
                ('mask_token', 'neck.frame_token', TOKEN),
                ('dec_pos_embedding', 'neck.frame_embed'),
                *transformer_rows('Transformer_dec.', 'heads.masked.output.', 'last_norm'),
                *output_rows('fcn_dec.', 'heads.masked.output.'))


def pstmo_model_config(state_dict: Mapping[str, Tensor], *, skeleton: Optional[str] = None) -> dict:
    """Read the sizes of a P-STMO model off its official weights.

    Args:
        state_dict: official keys without prefix, of stage I or stage II; in stage II those of the refine module may be
            among them.
        skeleton: joint set of inputs and outputs, which the weights do not tell; None is that of Human3.6M.

    Returns:
        A ``MotionModel`` config without losses: in stage II backbone, ``StridedReduction`` and the heads ``frames`` and
        ``centre``, in stage I backbone, ``RestoreFrames`` and the head ``masked``.

    Raises:
        ValueError: no model of either stage, or keys missing that tell a size.
    """
    is_lifter, is_masked = 'fcn.1.weight' in state_dict, 'fcn_dec.1.weight' in state_dict
    if is_lifter == is_masked or 'encoder.fc_1.weight' not in state_dict:
        raise ValueError('no P-STMO model found: expected the keys of stage II (encoder., Transformer., '
                         'Transformer_reduce., fcn., fcn_1.) or of stage I (encoder., Transformer., Transformer_dec., '
                         f'fcn_dec.), got {sorted(map(str, state_dict))[:10]}')
    outputs = len(state_dict['fcn.1.weight' if is_lifter else 'fcn_dec.1.weight'])
    num_joints = outputs // (XYZ if is_lifter else XY)
    num_inputs = state_dict['encoder.fc_1.weight'].shape[1]
    backbone = dict(type='PSTMOEncoder', in_channels=num_inputs // max(num_joints, 1), num_joints=num_joints,
                    has_joint_token=is_masked,
                    **encoder_sizes(state_dict, first='encoder.', blocks='encoder.', transformer='Transformer.'))
    model = dict(type='MotionModel', skeleton=skeleton or 'h36m', backbone=backbone)
    if is_lifter:
        return dict(model, **lifter_parts(state_dict, num_joints=num_joints, num_frames=backbone['max_frames']))
    neck = dict(type='RestoreFrames', max_frames=backbone['max_frames'],
                out_channels=get_weight(state_dict, 'dec_pos_embedding').shape[-1])
    head = dict(type='MaskedPoseHead', num_joints=num_joints, **transformer_sizes(state_dict, 'Transformer_dec.'))
    return dict(model, neck=neck, heads=dict(masked=head))


PSTMO = OfficialNetwork((*ENCODER, *LIFTER, *MASKED), pstmo_model_config)
