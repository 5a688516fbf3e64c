"""MMPose's configs and data set notes for lifters of this package."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

import torch

from motionbert_mm.geometry.targets import UNIT_MM
from motionbert_mm.integrations.mmpose import PoseLifterBackbone
from motionbert_mm.integrations.mmpose_head import CODECS
from motionbert_mm.structures.skeleton import get_skeleton

PREFIX = 'motionbert_mm.'
SKELETON = 'h36m'  # the joints that MMPose lifts
# MMPose: configs/_base_/datasets/h36m.py. Names that differ from ours, the colours (BGR) of the middle, the left and
# the right side, and the box that its inferencer moves detections to.
JOINT_NAMES = {'right_ankle': 'right_foot', 'left_ankle': 'left_foot', 'nose': 'neck_base'}
COLOURS = {'middle': (51, 153, 255), 'left': (0, 255, 0), 'right': (255, 128, 0)}
BOX_CENTRE, BOX_SIDE = (528.0, 427.0), 400.0
META_KEYS = ('id', 'category_id', 'target_img_path', 'flip_indices', 'factor', 'camera_param', 'target_root')


def check_lifter(described: Optional[Mapping]) -> str:
    """Return what a lifter of ours regresses.

    Args:
        described: model, window and pipeline of its checkpoint.

    Raises:
        ValueError: nothing known of it, or inputs, targets or joints that MMPose's codecs do not make.
    """
    if described is None:
        raise ValueError('the checkpoint does not say which model it holds; give one of tools/train.py, or one of '
                         'tools/model_converters/')
    step = next((step for step in described['pipeline'] if step['type'].endswith('NormalizeCoords')), {})
    skeleton, inputs = described['model'].get('skeleton', SKELETON), step.get('inputs', 'screen')
    target, unit = step.get('target', 'root_relative'), step.get('unit_mm', UNIT_MM)
    if (skeleton, inputs, unit) != (SKELETON, 'screen', UNIT_MM) or target not in CODECS or step.get('given_2d'):
        raise ValueError(f"MMPose's codecs make inputs 'screen' of the joints {SKELETON!r} and targets "
                         f'{", ".join(map(repr, CODECS))} in metres, without given_2d; the model was trained with '
                         f'skeleton {skeleton!r} and {dict(step)}')
    return target


def lifter_config(described: Mapping, *, own: bool = False) -> dict:
    """Write the ``model`` of an MMPose config for a lifter of ours.

    Args:
        described: model, window and pipeline of its checkpoint.
        own: MMPose's own DSTFormer and MotionRegressionHead, for MotionBERT, instead of our classes.
    """
    ours, target = described['model'], check_lifter(described)
    backbone, head = _own_parts(ours) if own else _our_parts(ours, target)
    return dict(type='PoseLifter', backbone=backbone, head=head,
                test_cfg=dict(flip_test=bool(ours.get('flip_test', False))))


def inference_config(described: Mapping, *, own: bool = False) -> dict:
    """Write a config for ``Pose3DInferencer`` and ``init_model``; arguments as of ``lifter_config``.

    With our classes the inferencer sees windows of as many frames as the model was trained on and returns their centre.
    MMPose's own head lifts every frame by itself there.
    """
    ours, window = described['model'], described['window']
    frames = window.get('num_frames') or ours['backbone'].get('max_frames', 243)
    codec = _codec('image_space', rootrel=True) if own else _codec('root_relative', reshape_keypoints=False)
    data = dict(type='Human36mDataset', seq_len=1 if own else frames, seq_step=window.get('dilation') or 1,
                causal=False, pipeline=[dict(type='GenerateTarget', encoder=codec),
                                         dict(type='PackPoseInputs', meta_keys=META_KEYS)])
    return dict(default_scope='mmpose', model=lifter_config(described, own=own), test_dataloader=dict(dataset=data),
                visualizer=dict(type='Pose3dLocalVisualizer', name='visualizer'))


def _codec(target: str, **options: bool) -> dict:
    return dict(type=CODECS[target], num_keypoints=get_skeleton(SKELETON).num_joints, concat_vis=True, **options)


def _our_parts(ours: Mapping, target: str) -> tuple[dict, dict]:
    """Return backbone and head made of our classes."""
    parts = dict(backbone=dict(ours['backbone']), neck=ours.get('neck'), joint_tokens=False)
    with torch.device('meta'):
        channels = PoseLifterBackbone(**parts).out_channels
    heads = {name: {'in_channels': channels, **head} for name, head in ours['heads'].items()}
    predicts = (ours.get('predicts') or list(heads))[0]
    return (dict(type=f'{PREFIX}PoseLifterBackbone', **parts),
            dict(type=f'{PREFIX}LiftHeadForMMPose', heads=heads, predicts=predicts, target=target))


def _own_parts(ours: Mapping) -> tuple[dict, dict]:
    """Return MMPose's backbone and head of the sizes of our DSTformer and representation layer."""
    sizes = ours['backbone']
    dim = sizes.get('dim', 512)
    backbone = dict(type='DSTFormer', in_channels=sizes.get('in_channels', 3), feat_size=dim,
                    depth=sizes.get('depth', 5), num_heads=sizes.get('num_heads', 8),
                    mlp_ratio=sizes.get('mlp_ratio', 2.0), seq_len=sizes.get('max_frames', 243),
                    qkv_bias=sizes.get('qkv_bias', True), att_fuse=sizes.get('use_fusion', True))
    head = dict(type='MotionRegressionHead', in_channels=dim, embedding_size=ours['neck'].get('out_channels', 512),
                loss=dict(type='MPJPEVelocityJointLoss'), decoder=_codec('image_space', rootrel=True))
    return backbone, head


def dataset_meta() -> dict:
    """Return what MMPose notes of Human3.6M in checkpoints, as plain data.

    Official: ``parse_pose_metainfo`` of configs/_base_/datasets/h36m.py. Colours are tensors, since the visualizer
    picks rows of them.
    """
    skeleton = get_skeleton(SKELETON)
    names = [JOINT_NAMES.get(name, name) for name in skeleton.joints]
    colours = [COLOURS[name.split('_')[0] if name.startswith(('left_', 'right_')) else 'middle'] for name in names]
    is_lower = [part.endswith('_leg') or index == skeleton.root for index, part in enumerate(skeleton.parts)]
    flip = list(skeleton.flip_indices)
    return dict(
        dataset_name=SKELETON, num_keypoints=len(names), keypoint_id2name=dict(enumerate(names)),
        keypoint_name2id={name: index for index, name in enumerate(names)},
        upper_body_ids=[index for index, lower in enumerate(is_lower) if not lower],
        lower_body_ids=[index for index, lower in enumerate(is_lower) if lower],
        flip_indices=flip, flip_pairs=[(flip[index], index) for index in range(len(flip)) if flip[index] != index],
        keypoint_colors=torch.tensor(colours, dtype=torch.uint8),
        num_skeleton_links=len(skeleton.limbs), skeleton_links=[tuple(limb) for limb in skeleton.limbs],
        skeleton_link_colors=torch.tensor([colours[child] for _, child in skeleton.limbs], dtype=torch.uint8),
        dataset_keypoint_weights=[1.0] * len(names), sigmas=[],
        stats_info=dict(bbox_center=list(BOX_CENTRE), bbox_scale=BOX_SIDE))
