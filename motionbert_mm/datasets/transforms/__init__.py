"""Transforms, each vectorised over the batch."""
from motionbert_mm.datasets.transforms.basic import (
    ConvertSkeleton,
    NormalizeCoords,
    PackInputs,
    RandomFlip,
    ReprojectionTarget,
    Take3DInputs,
    ZeroMissing,
)
from motionbert_mm.datasets.transforms.joint_groups import SampleJointGroups
from motionbert_mm.datasets.transforms.keypoint_noise import AddMixtureNoise
from motionbert_mm.datasets.transforms.masking import SampleExactMask, SampleMask
from motionbert_mm.datasets.transforms.mixup import MixUp
from motionbert_mm.datasets.transforms.motion_masks import HideWindow, SampleMotionMask
from motionbert_mm.datasets.transforms.movement import RandomMove
from motionbert_mm.datasets.transforms.noise import AddDetectorNoise, pixel_noise
from motionbert_mm.datasets.transforms.oracle import RootDepthOracle
from motionbert_mm.datasets.transforms.persons import AssociatePersons, OfficialActionPose
from motionbert_mm.datasets.transforms.pose_augmentation import AugmentPose
from motionbert_mm.datasets.transforms.robustness import AddGaussianNoise, ShuffleFrames
from motionbert_mm.datasets.transforms.splicing import SpliceClips
from motionbert_mm.datasets.transforms.views import OrthographicView

__all__ = ['AddDetectorNoise', 'AddGaussianNoise', 'AddMixtureNoise', 'AssociatePersons', 'AugmentPose',
           'ConvertSkeleton', 'HideWindow', 'MixUp', 'NormalizeCoords', 'OfficialActionPose', 'OrthographicView',
           'PackInputs', 'RandomFlip', 'RandomMove', 'ReprojectionTarget', 'RootDepthOracle', 'SampleExactMask',
           'SampleJointGroups', 'SampleMask', 'SampleMotionMask', 'ShuffleFrames', 'SpliceClips', 'Take3DInputs',
           'ZeroMissing', 'pixel_noise']
