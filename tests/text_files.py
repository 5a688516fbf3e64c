"""Stores of motion with texts, and checkpoints of small models that know both."""
from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch

from motionbert_mm.checkpoints.load import META_KEY
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.registry import MODELS, build
from tests.generated import make_cameras, make_clip
from tests.minimal import TINY_TEXT

WALK, WAVE, JUMP = 'a person walks', 'a person waves', 'a person jumps'
NUM_FRAMES = 9
CROP = dict(kind='crop', num_frames=NUM_FRAMES, jitter=True)
PIPELINE = [dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['target_3d'])]
VIEW = [dict(type='OrthographicView', facing=True, views=['side', 'front']),
        dict(type='NormalizeCoords', target='image_space'), dict(type='PackInputs')]
MODEL = dict(
    type='MotionModel',
    backbone=dict(type='ActionPoseEncoder', gives_token=True, tap_layer=1, max_frames=NUM_FRAMES, dim=16, depth=1,
                  num_heads=2),
    neck=dict(type='FeatureBranches', branches=dict(
        frames=dict(type='RepresentationLayer', out_channels=8),
        token=dict(type='PosePooling', out_channels=12, drop=0.0))),
    heads=dict(
        pose=dict(type='PoseLiftHead', source='frames', losses=[dict(type='MPJPELoss')]),
        text=dict(type='TextAlignHead', source='token', drop=0.0, text_encoder=TINY_TEXT,
                  losses=[dict(type='AlignmentLoss', temperature=0.2)])))
# Name -> frames, action, text, sequence, begin in it in seconds.
CLIPS = {'r1/0': (30, 'walk', (WALK,), 'r1', 2.0), 'r1/1': (5, 'wave', (WAVE, JUMP), 'r1', 3.0),
         'r2/0': (21, 'jump', (JUMP,), '', None), 'r2/1': (9, '', (), '', None)}


def write_text_store(path: Path, *, fps: float = 30.0, skip: int = 0) -> Path:
    """Write a store of four clips of 2D and 3D; ``skip`` chooses other motions."""
    camera = make_cameras()[0]
    with MotionStoreWriter(path, skeleton='h36m', fps=fps, info=dict(splits=dict(half=['r1/0', 'r2/0']))) as writer:
        for number, (name, (length, action, text, sequence, begin)) in enumerate(CLIPS.items()):
            seconds = None if begin is None else (begin, begin + length / fps)
            writer.add_clip(name, make_clip(length, skip + number, camera), action=action, text=text,
                            sequence=sequence, seconds=seconds, image_size=camera.image_size,
                            intrinsics=camera.intrinsics)
    return path


def save_text_model(path: Path, *, model: Mapping = MODEL, window: Optional[Mapping] = None, seed: int = 0,
                    pipeline: Any = PIPELINE, **facts: Any) -> Path:
    """Write a checkpoint of a model with random weights, as training does."""
    torch.manual_seed(seed)
    built = build(MODELS, copy.deepcopy(dict(model)))
    for parameter in built.parameters():
        if parameter.ndim == 2:  # not those of norms and embeddings of places: what is seen and said must matter
            torch.nn.init.normal_(parameter, std=0.5)
    described = dict(model=model, window=dict(window or CROP), pipeline=pipeline, fps=30.0, num_persons=1,
                     window_seconds=NUM_FRAMES / 30, **facts)
    torch.save(dict(state_dict=built.state_dict(), meta={META_KEY: described}), path)
    return path


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosines (Q, G) between the rows of two arrays."""
    left, right = (each / np.linalg.norm(each, axis=-1, keepdims=True) for each in (left, right))
    return left @ right.T
