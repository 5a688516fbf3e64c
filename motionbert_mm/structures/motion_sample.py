"""The one data element of all tasks, for ground truth and prediction alike."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement

# Metainfo that is shared by a batch, and what to do about samples that differ; every other entry has one value per
# sample.
SHARED_METAINFO = {
    'skeleton': 'convert them to one skeleton in the pipeline (ConvertSkeleton)',
    'source': 'a batch holds samples of one source of a MixedDataset',
    'loss_weight': 'a batch holds samples of one source of a MixedDataset',
}


class MotionSample(BaseDataElement):
    """Motion of M persons over T frames, or a batch of them with a leading axis B.

    Ground truth and prediction use the same names and units, so that a metric compares like with like.

    ============== ================= =====================================================================
    field          shape             unit
    ============== ================= =====================================================================
    keypoints_2d   (M, T, J, 2)      pixels of the original image, origin top left
    confidence     (M, T, J)         0..1; 1 for projected truth
    keypoints_3d   (M, T, J, 3)      millimetres, camera frame: x right, y down, z forward
    target_3d      (M, T, J, 3)      keypoints_3d in the normalised units that the network regresses
    target_2d      (M, T, J, 2)      2D input before corruption, in its normalised units
    weight_2d      (M, T, J)         0..1: confidence of target_2d
    visible        (M, T, J)         bool: is the target valid (False for padded frames)
    mask           (M, T, J)         bool: True is hidden from the encoder
    smpl_pose      (M, T, 24, 3)     axis-angle, radians, root orientation in the camera frame
    smpl_betas     (M, T, 10)        SMPL shape coefficients
    initial_pose   (M, T, 24, 3)     smpl_pose as another method sees it, for a refiner
    initial_betas  (M, T, 10)        smpl_betas likewise
    vertices       (M, T, V, 3)      millimetres, camera frame
    label          ()                class index
    label_2        ()                class index of the other sample of a mixture (MixUp)
    label_share    ()                0..1: share of ``label`` in the mixture
    scores         (K,)              class scores
    embedding      (D,)              unit norm
    ============== ================= =====================================================================

    Metainfo: sample_id, subject, action, activity (T,), camera_id, image_size, intrinsics, fps, frame_ids, skeleton,
    text, of data sets of motion and text also text_id, negatives, positives, sequence, seconds and categories (see
    ``TextMotionDataset``), and norm, the only place that de-normalisation reads. Per sample each is one value; in a
    batch each is an array or list over samples (``norm`` a dict of them), except ``skeleton`` and, of a batch of
    ``MixedDataset``, ``source`` (its name) and ``loss_weight``, which a batch shares.
    """

    def __len__(self) -> int:
        for value in self.values():
            return len(value)
        return len(self.metainfo.get('sample_id', ()))

    def set_metainfo(self, metainfo: Mapping[str, Any]) -> None:
        """Note facts as they are, without the copy of each that other data elements make; nobody writes into them."""
        for name, value in metainfo.items():
            self.set_field(value, name, field_type='metainfo')

    def pin_memory(self) -> MotionSample:
        """Return the sample with its fields in pinned memory, for ``pin_memory=True`` of PyTorch's loader."""
        return MotionSample(metainfo=dict(self.metainfo_items()),
                            **{name: value.pin_memory() for name, value in self.items()})

    def unbind(self) -> list[MotionSample]:
        """Split a batch into its samples; fields are views, metainfo is indexed."""
        meta, fields = dict(self.metainfo_items()), dict(self.items())
        return [MotionSample(metainfo={key: _pick(key, value, index) for key, value in meta.items()},
                             **{key: value[index] for key, value in fields.items()})
                for index in range(len(self))]

    @staticmethod
    def stack(samples: Sequence[MotionSample]) -> MotionSample:
        """Make one batch of samples with equal fields, shapes and skeleton."""
        first = samples[0]
        meta = {key: _gather(key, [sample.metainfo[key] for sample in samples]) for key in first.metainfo_keys()}
        fields = {key: torch.stack([sample.get(key) for sample in samples]) for key in first.keys()}
        return MotionSample(metainfo=meta, **fields)


def _pick(key: str, value: Any, index: int) -> Any:
    """Take one sample's share of a batch's metainfo."""
    if key in SHARED_METAINFO:
        return value
    if isinstance(value, dict):
        return {name: entry if isinstance(entry, str) else entry[index] for name, entry in value.items()}
    return value[index]


def _gather(key: str, values: list) -> Any:
    """Join the samples' shares of one metainfo key; the inverse of ``_pick``."""
    first = values[0]
    if key in SHARED_METAINFO:
        if any(value != first for value in values):
            raise ValueError(f'samples of one batch must share {key}, got {sorted(set(values))}; '
                             f'{SHARED_METAINFO[key]}')
        return first
    if isinstance(first, dict):
        return {name: entry if isinstance(entry, str) else np.stack([value[name] for value in values])
                for name, entry in first.items()}
    return np.stack(values) if isinstance(first, np.ndarray) else list(values)
