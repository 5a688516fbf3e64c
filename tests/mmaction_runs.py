"""Runs of the real MMAction2 with our configs, small enough for tests."""
from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from tests.generated import ROOT
from tests.pyskl_files import dense_2d, write_pyskl

CONFIGS = ROOT / 'configs' / 'mmaction'
ACTION = CONFIGS / 'dstformer-base_scratch_243f_1xb32-300e_ntu60-xsub_hrnet.py'
GCN = CONFIGS / 'dstformer-base-gcnhead_scratch_243f_1xb32-300e_ntu60-xsub_hrnet.py'
FRAMES, ITERATIONS, BATCH, EPOCHS = 9, 20, 4, 10
# Of the parts of a model, by the name of the argument, and of all backbones.
SIZES = dict(out_channels=16, in_channels=16, hidden_channels=32)
SMALL = dict(max_frames=FRAMES, dim=16, depth=1, num_heads=2)
SMALL_BACKBONES = dict(DSTformer=SMALL, MPMEncoder=dict(SMALL, hidden_dim=16), PSTMOEncoder=dict(SMALL, hidden_dim=16),
                       PoseFormer=dict(SMALL, dim=4), TemporalConvNet=dict(dim=16, channels=16, filter_widths=(3, 3)))
_numbers = itertools.count()


def clips(split: str, count: int) -> list[dict]:
    """Clips of one person, label 0, and of two, label 1, in turn; of different lengths."""
    return [dense_2d(f'{split}{number}', number % 2, 9 + number, persons=1 + number % 2) for number in range(count)]


def write_skeletons(path: Path) -> Path:
    """Write a pickle of PYSKL with both splits of NTU RGB+D, cross-subject."""
    parts = dict(xsub_train=clips('train', BATCH * ITERATIONS // EPOCHS), xsub_val=clips('val', BATCH))
    return write_pyskl(path, [clip for part in parts.values() for clip in part],
                       {name: [clip['frame_dir'] for clip in part] for name, part in parts.items()})


def shrink(path: Path, ann_file: Path, folder: Path, **changes: Any) -> Config:
    """A config as its file has it but for the sizes: 20 iterations of a small network on a small pickle."""
    config = Config.fromfile(path)
    _shrink_model(config.model)
    for name in ('train', 'val', 'test'):
        for step in config[f'{name}_pipeline']:
            if step.type == 'motionbert_mm.ResampleFrames':
                step.num_frames = FRAMES
        loader = config[f'{name}_dataloader']
        loader.update(batch_size=BATCH, num_workers=0, persistent_workers=False)
        loader.dataset.update(ann_file=str(ann_file), pipeline=config[f'{name}_pipeline'])
    config.train_cfg.update(max_epochs=EPOCHS, val_interval=EPOCHS)
    config.default_hooks.checkpoint.interval = EPOCHS // 2
    # MMEngine keeps its objects by the name of the experiment.
    config.update(work_dir=str(folder), log_level='ERROR', experiment_name=f'mmaction_{next(_numbers)}')
    config.merge_from_dict(changes)
    return config


def _shrink_model(config: Any) -> None:
    """Make the sizes of a model, at any depth, small."""
    if config.get('type') in SMALL_BACKBONES:
        config.update(SMALL_BACKBONES[config.type])
        return
    config.update({name: size for name, size in SIZES.items() if name in config})
    for value in config.values():
        if isinstance(value, Mapping):
            _shrink_model(value)


def make_runner(config: Config) -> Runner:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - MMAction2 draws from the global generator
    return Runner.from_cfg(config)
