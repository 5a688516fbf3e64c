"""Checkpoint files as the official code of P-STMO and MPM writes them, and what the tests of their converters need."""
from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from motionbert_mm.checkpoints.load import META_KEY
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.transforms import PackInputs
from motionbert_mm.registry import MODELS, TRANSFORMS, build
from motionbert_mm.structures.skeleton import get_skeleton
from tests.parity.vectors import load_vector


def official_file(name: str, prefix: str = 'module.') -> dict[str, Tensor]:
    """The weights of a vector as a bare state dict, as run.py saves it."""
    return {prefix + key: value for key, value in load_vector(name).state_dict.items()}


def as_trained(config: dict) -> dict:
    """A checkpoint as a run of our own writes it."""
    return dict(state_dict=build(MODELS, config).state_dict(),
                meta={META_KEY: dict(model=config, window={}, pipeline=[])})


def make_batch(info: dict[str, Any], num_samples: int = 2) -> tuple[dict, dict]:
    """Random pixels, prepared as a loaded checkpoint says: results of the transforms, and the batch."""
    rng, num_joints = np.random.default_rng(0), get_skeleton(info['skeleton']).num_joints
    shape = (num_samples, 1, info['num_frames'], num_joints)
    results = dict(keypoints_2d=rng.uniform(0, 1000, (*shape, 2)).astype(np.float32),
                   confidence=np.ones(shape, np.float32), visible=np.ones(shape, bool), skeleton=info['skeleton'],
                   image_size=np.tile(np.float32([1000, 1002]), (num_samples, 1)),
                   frame_ids=np.tile(np.arange(shape[2]), (num_samples, 1)), sample_id=['a', 'b'])
    for transform in info['input']:
        results = build(TRANSFORMS, transform)(results, rng)
    return results, collate_batch(PackInputs(fields=())(results, rng))
