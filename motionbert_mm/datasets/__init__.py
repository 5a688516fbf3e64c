"""Data sets, their windows and transforms."""
from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import ResumableSampler, collate_batch
from motionbert_mm.datasets.synthetic import SyntheticDataset
from motionbert_mm.datasets.transforms import AddDetectorNoise, ConvertSkeleton, NormalizeCoords, PackInputs, RandomFlip

__all__ = ['AddDetectorNoise', 'ConvertSkeleton', 'MotionDataset', 'NormalizeCoords', 'PackInputs', 'RandomFlip',
           'ResumableSampler', 'SyntheticDataset', 'collate_batch']
