"""Transforms, each vectorised over the batch."""
from motionbert_mm.datasets.transforms.basic import (
    ConvertSkeleton,
    NormalizeCoords,
    PackInputs,
    RandomFlip,
    ReprojectionTarget,
    ZeroMissing,
)
from motionbert_mm.datasets.transforms.keypoint_noise import AddMixtureNoise
from motionbert_mm.datasets.transforms.masking import SampleExactMask, SampleMask
from motionbert_mm.datasets.transforms.noise import AddDetectorNoise, pixel_noise
from motionbert_mm.datasets.transforms.oracle import RootDepthOracle
from motionbert_mm.datasets.transforms.robustness import AddGaussianNoise, ShuffleFrames
from motionbert_mm.datasets.transforms.views import OrthographicView

__all__ = ['AddDetectorNoise', 'AddGaussianNoise', 'AddMixtureNoise', 'ConvertSkeleton', 'NormalizeCoords',
           'OrthographicView', 'PackInputs', 'RandomFlip', 'ReprojectionTarget', 'RootDepthOracle', 'SampleExactMask',
           'SampleMask', 'ShuffleFrames', 'ZeroMissing', 'pixel_noise']
