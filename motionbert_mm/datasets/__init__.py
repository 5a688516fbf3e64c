"""Data sets, their windows and transforms."""
from motionbert_mm.datasets import transforms
from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.joining import JoinedDataset
from motionbert_mm.datasets.loading import ResumableSampler, collate_batch
from motionbert_mm.datasets.mixing import MixedDataset, SourceBatchSampler
from motionbert_mm.datasets.synthetic import SyntheticDataset

__all__ = ['JoinedDataset', 'MixedDataset', 'MotionDataset', 'ResumableSampler', 'SourceBatchSampler',
           'SyntheticDataset', 'collate_batch', 'transforms']
