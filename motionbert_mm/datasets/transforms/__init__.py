"""Transforms, each vectorised over the batch."""
from motionbert_mm.datasets.transforms.basic import ConvertSkeleton, NormalizeCoords, PackInputs, RandomFlip
from motionbert_mm.datasets.transforms.noise import AddDetectorNoise, pixel_noise

__all__ = ['AddDetectorNoise', 'ConvertSkeleton', 'NormalizeCoords', 'PackInputs', 'RandomFlip', 'pixel_noise']
