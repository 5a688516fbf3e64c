"""The least arguments that build each registered class; a class without a row fails the tests that enumerate."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from torch import zeros
from torch.nn import Parameter
from torch.optim import SGD
from torch.utils.data import DataLoader

from motionbert_mm.datasets.mixing import MixedDataset
from motionbert_mm.integrations.compat import REPAIRS
from tests.generated import Labelled

TINY_BACKBONE = dict(type='DSTformer', max_frames=9, dim=16, depth=1, num_heads=2)
TINY_HEAD = dict(type='PoseLiftHead', losses=[dict(type='MPJPELoss')])
TINY_TEXT = dict(
    vocabulary='\n'.join(('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a', 'person', 'walks', 'waves', 'jumps')),
    num_layers=1, max_tokens=16, bert=dict(hidden_size=16, num_attention_heads=2, intermediate_size=32,
                                           hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
MIXED_SAMPLER = SimpleNamespace(dataset=MixedDataset(dict(poses=list(range(4)))), seed=0, epoch=0, rank=0, world_size=1)
PAIRS_SAMPLER = SimpleNamespace(dataset=Labelled([0, 0, 1, 1]), seed=0, epoch=0, rank=0, world_size=1)
RUNNER = SimpleNamespace(visualizer=SimpleNamespace())  # what a loop touches when it is made
# {store}: path of a motion store. {pyskl}: path of a pickle of PYSKL. {tmp}: a directory to write to.
MINIMAL: dict[str, dict] = {
    # models
    'DSTformer': dict(max_frames=9, dim=16, depth=1, num_heads=2),
    **{name: dict(max_frames=9, dim=16, depth=1, num_heads=2) for name in (
        'ParallelStreamTransformer', 'SeriesAttentionTransformer', 'SpaceTimeTransformer', 'TimeSpaceTransformer')},
    'ActionPoseEncoder': dict(max_frames=9, dim=16, depth=1, num_heads=2),
    'PSTMOEncoder': dict(max_frames=9, dim=16, depth=1, num_heads=2, hidden_dim=24, drop=0.0),
    'MPMEncoder': dict(num_joints=17, max_frames=9, dim=16, depth=1, num_heads=2, hidden_dim=24, drop=0.0,
                       has_joint_token=False),
    'PoseFormer': dict(max_frames=9, dim=4, depth=1, num_heads=2),
    'TemporalConvNet': dict(dim=4, channels=16, filter_widths=(3, 3)),
    'FeatureBranches': dict(in_channels=16, branches=dict(
        frames=dict(type='RepresentationLayer', out_channels=8),
        token=dict(type='PosePooling', out_channels=8, drop=0.0))),
    'PosePooling': dict(in_channels=16, out_channels=8, drop=0.0),
    'FrameToJoints': dict(in_channels=16, out_channels=8),
    'JointsToFrame': dict(in_channels=16, out_channels=8),
    'RepresentationLayer': dict(in_channels=16, out_channels=8),
    'RestoreFrames': dict(in_channels=16, out_channels=8, max_frames=9),
    'StridedReduction': dict(in_channels=16, num_frames=9, num_heads=2, drop=0.0),
    'FramePoseHead': dict(in_channels=16, losses=[dict(type='MPJPELoss')]),
    'MaskedPoseHead': dict(in_channels=16, depth=1, num_heads=2, drop=0.0, losses=[dict(type='MPJPELoss')]),
    'ActionHead': dict(in_channels=16, num_classes=3, hidden_channels=32, drop=0.0,
                       losses=[dict(type='CrossEntropyLoss')]),
    'EmbeddingHead': dict(in_channels=16, out_channels=8, drop=0.0, losses=[dict(type='SupConLoss')]),
    'MeshHead': dict(in_channels=16, body_model=dict(path='synthetic'), hidden_channels=16, drop=0.0,
                     losses=[dict(type='MPJPELoss')], smpl_losses=[dict(type='SMPLPoseLoss')]),
    'MeshRefineHead': dict(in_channels=16, body_model=dict(path='synthetic'), hidden_channels=16, drop=0.0,
                           smpl_losses=[dict(type='SMPLPoseLoss')]),
    'TextAlignHead': dict(in_channels=16, drop=0.0, text_encoder=TINY_TEXT, losses=[dict(type='AlignmentLoss')]),
    'AlignmentLoss': {},
    'CrossEntropyLoss': {},
    'SupConLoss': {},
    'PoseLiftHead': dict(in_channels=16, losses=[dict(type='MPJPELoss')]),
    'RefinedPoseHead': dict(in_channels=16, losses=[dict(type='MPJPELoss')]),
    'MotionModel': dict(backbone=TINY_BACKBONE, heads=dict(pose=TINY_HEAD),
                        neck=dict(type='RepresentationLayer', out_channels=8)),
    'MotionDataPreprocessor': {},
    **{f'{name}Loss': {} for name in ('Angle', 'AngleVelocity', 'CoordinateL1', 'LimbLength', 'LimbVariance', 'MPJPE',
                                      'NMPJPE', 'SMPLAxisAngle', 'SMPLNorm', 'SMPLPose', 'SMPLShape', 'Velocity',
                                      'Weighted2D')},
    # data
    'MotionDataset': dict(data_root='{store}', window=dict(num_frames=9), pipeline=[dict(type='NormalizeCoords')]),
    'PysklDataset': dict(ann_file='{pyskl}', data_root='{tmp}/pyskl', window=dict(num_frames=9),
                         pipeline=[dict(type='NormalizeCoords', target=None)]),
    'TextMotionDataset': dict(data_root='{store}', window=dict(num_frames=9, kind='crop'),
                              negatives=dict(number=2), pipeline=[dict(type='NormalizeCoords')]),
    'SyntheticTextDataset': dict(data_root='{tmp}/synthetic', num_clips=1, num_frames=20, window=dict(num_frames=9),
                                 phrasings='train', pipeline=[dict(type='NormalizeCoords')]),
    'SyntheticDataset': dict(data_root='{tmp}/synthetic', num_clips=1, num_frames=20, window=dict(num_frames=9),
                             pipeline=[dict(type='NormalizeCoords')]),
    'MixedDataset': dict(datasets=dict(poses=dict(type='MotionDataset', data_root='{store}', window=dict(num_frames=9),
                                               pipeline=[dict(type='NormalizeCoords')]))),
    'JoinedDataset': dict(datasets=dict(poses=dict(type='MotionDataset', data_root='{store}', window=dict(num_frames=9),
                                                pipeline=[dict(type='NormalizeCoords'), dict(type='PackInputs')]))),
    'ResumableSampler': dict(dataset=list(range(4))),
    'SourceBatchSampler': dict(sampler=MIXED_SAMPLER, batch_size=2),
    'ClassPairSampler': dict(sampler=PAIRS_SAMPLER, batch_size=4),
    'AddDetectorNoise': {},
    'AddGaussianNoise': dict(std=0.01),
    'AddMixtureNoise': {},
    'AssociatePersons': {},
    'AugmentPose': {},
    'ConvertSkeleton': dict(target='h36m16'),
    'HideWindow': {},
    'MixUp': {},
    'NormalizeCoords': {},
    'OfficialActionPose': {},
    'OrthographicView': {},
    'PackInputs': {},
    'ReprojectionTarget': {},
    'SampleExactMask': {},
    'SampleJointGroups': dict(groups=['left_leg', 2]),
    'RootDepthOracle': {},
    'SampleMask': {},
    'SampleMotionMask': {},
    'ShuffleFrames': {},
    'SpliceClips': {},
    'Take3DInputs': {},
    'ZeroMissing': {},
    'RandomFlip': {},
    'RandomMove': {},
    # MMAction2
    'RecognizerBackbone': dict(backbone=TINY_BACKBONE, neck=dict(type='RepresentationLayer', out_channels=8)),
    'RecognizerHead': dict(head=dict(type='ActionHead', in_channels=8, num_classes=3, hidden_channels=32, drop=0.0,
                                     losses=[dict(type='CrossEntropyLoss')])),
    'RecognizerPipeline': dict(pipeline=[dict(type='NormalizeCoords', inputs='crop_scale', target=None)]),
    'ResampleFrames': dict(num_frames=9),
    # MMPose
    'PoseLifterBackbone': dict(backbone=TINY_BACKBONE),
    'CentreLifterBackbone': dict(backbone=TINY_BACKBONE),
    'LiftHeadForMMPose': dict(heads=dict(pose=dict(TINY_HEAD, in_channels=16))),
    'Pose3DMetricForMMPose': {},
    # evaluation
    'ActionMetric': {},
    'OneShotMetric': {},
    'TextRetrievalMetric': dict(class_texts=dict(walk=['a person walks'], wave=['a person waves'])),
    'DumpScores': dict(out_file='{tmp}/scores.npz'),
    'MeshMetric': dict(body_model=dict(path='synthetic')),
    'Pose2DMetric': {},
    'Pose3DMetric': {},
    'DumpPredictions': dict(out_file='{tmp}/out.npz'),
    'DrawPredictions': dict(show_dir='{tmp}/show'),
    # engine
    'MainProcessLoggerHook': {},
    'PlainCheckpointHook': {},
    'DecoderTransferHook': {},
    'CurriculumHook': dict(first_epochs=dict(poses=1)),
    'StepSeedHook': {},
    'TextEncoderHook': {},
    'HostRepairsHook': dict(skip=[repair.name for repair in REPAIRS]),
    'ResumableEpochLoop': dict(runner=RUNNER, dataloader=DataLoader([1, 2]), max_epochs=1),
    'BFloat16OptimWrapper': dict(optimizer=SGD([Parameter(zeros(1))], lr=0.1)),
    'MotionOptimConstructor': dict(optim_wrapper_cfg=dict(optimizer=dict(type='SGD', lr=0.1))),
}


def arguments(name: str, **places: Any) -> dict:
    """Return the row of a registered class, with ``{store}``, ``{pyskl}`` and ``{tmp}`` filled in."""
    if name not in MINIMAL:
        pytest.fail(f'{name} is registered but has no row in tests/minimal.py: add the least arguments that build it')
    return _filled(MINIMAL[name], places)


def _filled(value: Any, places: dict) -> Any:
    """Fill places in, at any depth."""
    if isinstance(value, dict):
        return {key: _filled(entry, places) for key, entry in value.items()}
    return value.format(**places) if isinstance(value, str) and '{' in value else value
