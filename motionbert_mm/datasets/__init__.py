"""Data sets, their windows and transforms."""
from motionbert_mm.datasets import transforms
from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.joining import JoinedDataset
from motionbert_mm.datasets.loading import ResumableSampler, collate_batch
from motionbert_mm.datasets.mixing import MixedDataset, SourceBatchSampler
from motionbert_mm.datasets.pairs import ClassPairSampler
from motionbert_mm.datasets.pyskl import PysklDataset
from motionbert_mm.datasets.synthetic import SyntheticDataset
from motionbert_mm.datasets.text_motion import SyntheticTextDataset, TextMotionDataset

__all__ = ['ClassPairSampler', 'JoinedDataset', 'MixedDataset', 'MotionDataset', 'PysklDataset',
           'ResumableSampler', 'SourceBatchSampler', 'SyntheticDataset', 'SyntheticTextDataset', 'TextMotionDataset',
           'collate_batch', 'transforms']
